package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// The heartbeat: the pinger opens a stream and writes
//
//	instance (8 bytes, random per process) || sequence (8 bytes)
//
// and the peer answers on the same stream with
//
//	sequence (8 bytes) || status (1 byte: 0, or 1 if it sees our identity in use twice)
//
// Only members are answered, so an answer proves more than a connection does.
const (
	heartbeatID  = Prefix + "heartbeat/1"
	instanceSize = 8
	pingSize     = instanceSize + 8
	pongSize     = 8 + 1

	statusOK     = 0
	statusCloned = 1

	maxMisses = 2 // unanswered heartbeats until the connection is given up
)

var errHeartbeat = errors.New("malformed heartbeat")

// heartbeat pings the member until it is disconnected or does not answer. It
// returns whether it ever did.
func (h *Host) heartbeat(ctx context.Context, l *link) (answered bool) {
	out := outbound{h: h, l: l, id: heartbeatID}
	defer out.reset()
	misses := 0
	for seq := uint64(1); ; seq++ {
		err := h.beat(ctx, l, &out, seq)
		if err == nil {
			misses, answered = 0, true
		} else {
			out.reset()
			if ctx.Err() != nil || !h.connected(l.id) {
				return answered
			}
			l.noteError(err)
			// A fast error (refused, unknown protocol) is an answer of a kind: the
			// path works. Only silence is a miss, and is tried again at once.
			if isTimeout(err) {
				if misses++; misses == maxMisses {
					h.log.Warn("member does not answer", "member", l.id)
					h.host.Network().ClosePeer(l.id)
					return answered
				}
				continue
			}
		}
		lost := func() bool { return !h.connected(l.id) }
		if !h.rest(ctx, l, h.timing.heartbeat, lost) || lost() {
			return answered
		}
	}
}

// beat sends one ping, waits for its answer and notes what it says.
func (h *Host) beat(ctx context.Context, l *link, out *outbound, seq uint64) error {
	if out.s == nil {
		if err := out.open(ctx); err != nil {
			return err
		}
	}
	start := time.Now()
	status, err := out.ping(seq, start.Add(h.timing.answer))
	if errors.Is(err, errHeartbeat) {
		h.fault(ctx, l, FaultHeartbeat, "answer")
	}
	if err != nil {
		return err
	}
	h.alive(l)
	l.mu.Lock()
	l.rtt = time.Since(start)
	l.lastError = ""
	news := status == statusCloned && !l.cloned
	l.cloned = status == statusCloned
	l.mu.Unlock()
	if news {
		h.log.Warn("our identity is in use by another process", "witness", l.id)
		h.post(ctx, l, IdentityInUse{Witness: l.node})
	}
	h.publish(ctx, l)
	return nil
}

// ping writes one heartbeat and reads its answer, both before deadline.
func (o *outbound) ping(seq uint64, deadline time.Time) (status byte, err error) {
	if err := o.s.SetDeadline(deadline); err != nil {
		return 0, err
	}
	ping := binary.BigEndian.AppendUint64(slices.Clone(o.h.instance[:]), seq)
	if _, err := o.s.Write(ping); err != nil {
		return 0, fmt.Errorf("send heartbeat: %w", err)
	}
	var pong [pongSize]byte
	if _, err := io.ReadFull(o.s, pong[:]); err != nil {
		if refused(err) {
			return 0, errRefused
		}
		return 0, fmt.Errorf("await heartbeat: %w", err)
	}
	if status = pong[8]; binary.BigEndian.Uint64(pong[:]) != seq || status > statusCloned {
		return 0, errHeartbeat
	}
	return status, nil
}

// answerHeartbeat serves one stream of a member's heartbeats.
func (h *Host) answerHeartbeat(ctx context.Context, s network.Stream) {
	if !h.enter() {
		s.ResetWithError(network.StreamShutdown)
		return
	}
	defer h.wg.Done()
	l := h.admit(s)
	if l == nil {
		return
	}
	defer s.Reset()
	for {
		// Silence ends the stream after a few intervals, so that streams on dead
		// connections do not add up.
		if s.SetDeadline(time.Now().Add(4*h.timing.heartbeat)) != nil {
			return
		}
		var ping [pingSize]byte
		if _, err := io.ReadFull(s, ping[:]); err != nil {
			return
		}
		if l.inbound.WaitN(ctx, frameCost) != nil {
			return
		}
		h.alive(l)
		status, news := l.spoke([instanceSize]byte(ping[:instanceSize]))
		if news {
			h.log.Warn("two processes use the identity of a member", "member", l.id)
			h.fault(ctx, l, FaultCloned, "two instances take turns")
		}
		pong := append(slices.Clone(ping[instanceSize:]), status)
		if _, err := s.Write(pong); err != nil {
			return
		}
	}
}

// spoke notes which process of the member sent a heartbeat. It returns the status
// to answer with, and whether the member was just found to be cloned.
func (l *link) spoke(instance [instanceSize]byte) (status byte, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.instances.cloned()
	l.instances.spoke(instance)
	if !l.instances.cloned() {
		return statusOK, false
	}
	return statusCloned, !was
}

// instances tells a restarted process from two that run at once: a process that
// was replaced never speaks again, two alternate.
type instances struct {
	current [instanceSize]byte
	past    [4][instanceSize]byte // ring; a liar that invents instances fills only this
	next    int
	run     int // heartbeats of current in a row
	returns int // times a past instance came back
}

const (
	cloneReturns = 2  // one return may be a late packet
	calmRun      = 12 // heartbeats, a minute: the other process is gone
)

func (in *instances) cloned() bool { return in.returns >= cloneReturns }

func (in *instances) spoke(instance [instanceSize]byte) {
	if instance == in.current {
		if in.run++; in.run >= calmRun {
			in.returns = 0
		}
		return
	}
	if slices.Contains(in.past[:], instance) {
		in.returns++
	} else {
		// Started after the copy was found, perhaps: it must not stop for what is
		// over. If the others still run, they return.
		in.returns = 0
	}
	in.past[in.next] = in.current
	in.next = (in.next + 1) % len(in.past)
	in.current, in.run = instance, 1
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
