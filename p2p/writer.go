package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"frostfed/protocols"
)

// errRefused says that a peer does not have us on its member list.
var errRefused = errors.New("the peer does not list us as a member")

// A queue holds frames for one member on one protocol.
type queue struct {
	frames chan []byte
	bytes  atomic.Int64 // queued or being written
}

func (q *queue) push(body []byte) bool {
	n := int64(len(body))
	if q.bytes.Add(n) > maxQueueBytes {
		q.bytes.Add(-n)
		return false
	}
	select {
	case q.frames <- body:
		return true
	default:
		q.bytes.Add(-n)
		return false
	}
}

// Send queues body, 1 to MaxFrame bytes, for a member and never blocks. It
// returns false when the frame is dropped: no such member or protocol, a bad
// size, the member is not up, its queue is full, or the host is closing. True
// promises nothing. The caller must not change body afterwards.
func (h *Host) Send(to protocols.NodeID, p protocols.Protocol, body []byte) bool {
	reason := h.send(to, p, body)
	if reason != "" {
		h.metrics.drops.WithLabelValues(reason).Inc()
	}
	return reason == ""
}

func (h *Host) send(to protocols.NodeID, p protocols.Protocol, body []byte) (reason string) {
	l := h.links[peer.ID(to)]
	switch {
	case l == nil || l.queues[p] == nil:
		return dropUnknown
	case len(body) == 0 || len(body) > MaxFrame:
		return dropSize
	case h.closing.Load():
		return dropClosing
	case !l.isUp():
		return dropDown
	case !l.queues[p].push(body):
		return dropFull
	}
	return ""
}

// batchSize is where a writer stops joining queued frames into one write. At 16
// KiB the gain is had, and a heartbeat waits for no more than that.
const batchSize = 16 << 10

// buffers are shared by all writers: one of its own for each member and protocol
// would cost 80 KiB * 4 * 128.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// write is the one writer of frames to a member on a protocol.
func (h *Host) write(ctx context.Context, l *link, p protocols.Protocol) {
	q := l.queues[p]
	out := outbound{h: h, l: l, id: wireID(p)}
	defer out.reset()
	for {
		var body []byte
		select {
		case body = <-q.frames:
		case <-ctx.Done():
			return
		}
		buf := buffers.Get().(*[]byte)
		batch, frames, size := appendFrame((*buf)[:0], body), 1, len(body)
	join:
		for len(batch) < batchSize {
			select {
			case body = <-q.frames:
				batch, frames, size = appendFrame(batch, body), frames+1, size+len(body)
			default:
				break join
			}
		}
		if err := out.send(ctx, batch); err == nil {
			h.metrics.sent(p, frames, size)
		} else {
			h.metrics.drops.WithLabelValues(dropStream).Add(float64(frames))
			if ctx.Err() == nil && h.connected(l.id) {
				l.noteError(err)
			}
		}
		*buf = batch
		buffers.Put(buf)
		q.bytes.Add(-int64(size))
	}
}

func appendFrame(b, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
}

// outbound is a stream that is opened when there is something to write and
// opened again after it broke.
type outbound struct {
	h  *Host
	l  *link
	id protocol.ID
	s  network.Stream
}

// send writes b within the write deadline. A stream that broke since the last
// frame is replaced once; frames half written on the old one are cut off there,
// so nothing arrives twice but what the peer had read.
func (o *outbound) send(ctx context.Context, b []byte) error {
	reused := o.s != nil
	err := o.try(ctx, b)
	if err != nil && reused && !errors.Is(err, os.ErrDeadlineExceeded) {
		err = o.try(ctx, b)
	}
	return err
}

func (o *outbound) try(ctx context.Context, b []byte) error {
	if o.s == nil {
		if err := o.open(ctx); err != nil {
			return err
		}
	}
	err := o.s.SetWriteDeadline(time.Now().Add(o.h.timing.write))
	if err == nil {
		_, err = o.s.Write(b)
	}
	if err != nil {
		o.reset()
		return fmt.Errorf("write to %s: %w", o.id, err)
	}
	return nil
}

// open begins a stream on the connection there is. Negotiation is lazy: a peer
// that refuses is found out by a later write, or by the heartbeat, which reads.
func (o *outbound) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, "the keeper dials"), o.h.timing.write)
	defer cancel()
	s, err := o.h.host.NewStream(ctx, o.l.id, o.id)
	if err != nil {
		return fmt.Errorf("open %s: %w", o.id, err)
	}
	o.s = s
	return nil
}

func (o *outbound) reset() {
	if o.s != nil {
		o.s.Reset()
		o.s = nil
	}
}

func refused(err error) bool {
	var reset *network.StreamError
	return errors.As(err, &reset) && reset.Remote && reset.ErrorCode == network.StreamGated
}
