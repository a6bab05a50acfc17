package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// timing is every duration of the package that a member can notice.
type timing struct {
	heartbeat time.Duration // between heartbeats
	answer    time.Duration // within which a heartbeat must be answered
	write     time.Duration // of one write, or of opening a stream
	body      time.Duration // from the header of a frame to its last byte
	dial      time.Duration // of one dial
	lookup    time.Duration // of one DHT query
	yield     time.Duration // the member with the higher ID lets the other dial first
	minRedial time.Duration
	maxRedial time.Duration
}

// A lost path is given up after at most heartbeat + maxMisses*answer = 15 s; by
// default libp2p takes 40 s.
var defaultTiming = timing{
	heartbeat: 5 * time.Second,
	answer:    5 * time.Second,
	write:     5 * time.Second,
	body:      10 * time.Second,
	dial:      10 * time.Second,
	lookup:    5 * time.Second,
	yield:     time.Second,
	minRedial: 500 * time.Millisecond,
	maxRedial: 30 * time.Second,
}

// warnAfter failures in a row a peer is logged as unreachable, once per outage:
// during a restart of everyone the first few dials fail as a matter of course.
const warnAfter = 4

// keep dials the member while it is not connected and pings it while it is.
func (h *Host) keep(ctx context.Context, l *link) {
	wait := time.Duration(0)
	if compareID(h.self, l.id) > 0 {
		wait = h.timing.yield
	}
	for failures := 0; ; {
		if !h.rest(ctx, l, wait, func() bool { return h.connected(l.id) }) {
			return
		}
		if h.connected(l.id) {
			if h.heartbeat(ctx, l) {
				failures = 0
			}
			h.publish(ctx, l)
		} else if err := h.dialMember(ctx, l); err == nil {
			wait = 0
			continue
		} else if ctx.Err() == nil {
			l.noteError(err)
			if failures+1 == warnAfter {
				h.log.Warn("member is unreachable", "member", l.id, "err", oneLine(err))
			}
		}
		wait = h.redialDelay(failures)
		failures++
	}
}

// rest waits for d, or until done after a change of the link, and publishes what
// changed meanwhile. It returns false when the host is closing.
func (h *Host) rest(ctx context.Context, l *link, d time.Duration, done func() bool) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		h.publish(ctx, l)
		select {
		case <-timer.C:
			return true
		case <-l.changed:
			if done() {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// publish posts the PeerDown and PeerUp that are due. Only the keeper calls it,
// so that they alternate.
func (h *Host) publish(ctx context.Context, l *link) {
	down, up := l.news()
	if down {
		h.log.Info("member down", "member", l.id)
		h.post(ctx, l, PeerDown{ID: l.node})
	}
	if up {
		h.log.Info("member up", "member", l.id)
		h.post(ctx, l, PeerUp{ID: l.node})
	}
}

// redialDelay doubles from minRedial to maxRedial; the upper half of it is
// random, so that members that lost each other do not meet again in step.
func (h *Host) redialDelay(failures int) time.Duration {
	d := h.timing.maxRedial
	if failures < 16 {
		d = min(d, h.timing.minRedial<<failures)
	}
	return d/2 + rand.N(d/2+1)
}

// dialMember tries the addresses at hand and, if they fail, those the DHT has
// that are new.
func (h *Host) dialMember(ctx context.Context, l *link) error {
	known := h.book.addrs(l.id)
	err := h.dial(ctx, peer.AddrInfo{ID: l.id, Addrs: known})
	if err == nil || ctx.Err() != nil {
		return err
	}
	found, lookupErr := h.find.lookup(ctx, h, l.id)
	fresh := slices.DeleteFunc(found, func(a ma.Multiaddr) bool { return ma.Contains(known, a) })
	switch {
	case h.connected(l.id):
		return nil
	case len(fresh) > 0:
		return h.dial(ctx, peer.AddrInfo{ID: l.id, Addrs: fresh})
	case len(known) == 0 && lookupErr != nil:
		return fmt.Errorf("find address: %w", lookupErr)
	}
	return err
}

func (h *Host) dial(ctx context.Context, to peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(ctx, h.timing.dial)
	defer cancel()
	// libp2p has a back-off of its own, per address and up to 5 minutes; ours is
	// the one that counts, and the error must be the real one.
	h.swarm().Backoff().Clear(to.ID)
	err := h.host.Connect(ctx, to)
	var dial *swarm.DialError
	if errors.As(err, &dial) && len(dial.DialErrors) > 0 {
		first := dial.DialErrors[0]
		return fmt.Errorf("dial %s: %w", first.Address, first.Cause)
	}
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	return nil
}
