package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"frostfed/protocols"
)

// errFrameSize is wrapped by readFrame for a length prefix out of range.
var errFrameSize = errors.New("frame size out of range")

// admit returns the link of the member that opened s. Anyone else's stream is
// reset before a byte of it is read, and counted.
func (h *Host) admit(s network.Stream) *link {
	l := h.links[s.Conn().RemotePeer()]
	if l == nil {
		h.metrics.refused.Inc()
		s.ResetWithError(network.StreamGated)
	}
	return l
}

// handle reads one inbound stream until it ends.
func (h *Host) handle(ctx context.Context, p protocols.Protocol, s network.Stream) {
	if !h.enter() {
		s.ResetWithError(network.StreamShutdown)
		return
	}
	defer h.wg.Done()
	l := h.admit(s)
	if l == nil {
		return
	}
	code := network.StreamNoError
	for {
		body, err := h.readFrame(ctx, l, s)
		if errors.Is(err, errFrameSize) {
			code = network.StreamProtocolViolation
			h.fault(ctx, l, FaultFrameSize, string(p))
		}
		if err != nil {
			break
		}
		h.alive(l)
		h.metrics.received(p, len(body))
		if !h.post(ctx, l, Frame{From: l.node, Protocol: p, Body: body}) {
			break
		}
	}
	s.ResetWithError(code)
}

// readFrame reads one frame. An idle stream may stay silent for ever, since the
// connection under it is probed; a frame that has begun must end in time.
func (h *Host) readFrame(ctx context.Context, l *link, s network.Stream) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(s, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size == 0 || size > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errFrameSize, size)
	}
	// Over its rate a member is not read from: the wait reaches it as a full
	// window, not as memory here.
	if err := l.inbound.WaitN(ctx, int(size)+frameCost); err != nil {
		return nil, err
	}
	if err := s.Scope().ReserveMemory(int(size), network.ReservationPriorityAlways); err != nil {
		return nil, fmt.Errorf("reserve frame: %w", err)
	}
	defer s.Scope().ReleaseMemory(int(size))
	if err := s.SetReadDeadline(time.Now().Add(h.timing.body)); err != nil {
		return nil, err
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(s, body); err != nil {
		return nil, err
	}
	return body, s.SetReadDeadline(time.Time{})
}

func (h *Host) fault(ctx context.Context, l *link, kind, detail string) {
	h.metrics.faults.WithLabelValues(kind).Inc()
	h.post(ctx, l, PeerFault{Fault: protocols.Fault{Culprit: l.node, Kind: kind, Detail: detail}})
}
