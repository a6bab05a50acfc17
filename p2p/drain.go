package p2p

import (
	"context"
	"sync"
	"time"
)

// drain lets queued frames leave, within drainTimeout. libp2p closes dialed
// sockets with a reset, which throws away what the other side has not read yet;
// so each member that was sent something is pinged once more. An answer means
// that everything before it has arrived in the peer's process.
func (h *Host) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range h.order {
		if l.isUp() {
			wg.Go(func() { h.flush(ctx, l) })
		}
	}
	wg.Wait()
}

func (h *Host) flush(ctx context.Context, l *link) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for l.queued() > 0 {
		select {
		case <-ticker.C:
		case <-h.stopped: // nobody writes any more
			return
		case <-ctx.Done():
			return
		}
	}
	out := outbound{h: h, l: l, id: heartbeatID}
	defer out.reset()
	if out.open(ctx) == nil {
		deadline, _ := ctx.Deadline()
		out.ping(0, deadline) // nothing is left to do about an error
	}
}

func (l *link) queued() int64 {
	var n int64
	for _, q := range l.queues {
		n += q.bytes.Load()
	}
	return n
}
