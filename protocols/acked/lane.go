package acked

import (
	"bytes"

	"frostfed/protocols"
)

// lane is one protocol's share of a conversation: a sliding window each way.
type lane struct {
	protocol protocols.Protocol

	// Sending. flight[i] has sequence number base+i.
	queue    [][]byte // messages not in a frame yet, in order
	cut      int      // bytes of queue[0] that already are
	base     uint64   // first frame not acknowledged
	flight   []flight
	inFlight int  // bytes of flight
	progress bool // an acknowledgement said something new

	// Receiving.
	expect  uint64            // next frame to hand up
	early   [window][]segment // frames after it, by sequence number modulo window
	partial []byte            // beginning of a message
	discard bool              // the current message is too large: skip to its end
	ackDue  bool
}

// flight is a frame not acknowledged. Its segments never change, so that the
// receiver may take any copy of it; the header is written anew at each sending.
type flight struct {
	segments []segment
	bytes    int  // of messages
	ends     int  // messages that end in it
	due      bool // to be sent with the next transmit
	sent     bool
	held     bool // the receiver has it, out of order
}

// transmit sends what is due. The acknowledgement rides on every data frame and
// travels alone only if there is none.
func (l *lane) transmit(p *peer, e *Effects) {
	for len(l.queue) > 0 && len(l.flight) < window && l.inFlight < flightBytes {
		l.pack()
	}
	f := frame{kind: kindData, from: p.cfg.Boot, to: p.boot, ack: l.expect, held: l.heldBits()}
	for i := range l.flight {
		fl := &l.flight[i]
		if !fl.due {
			continue
		}
		if fl.sent {
			p.counters.Resent++
		}
		p.counters.Sent++
		fl.due, fl.sent = false, true
		f.seq, f.segments = l.base+uint64(i), fl.segments
		p.send(e, l.protocol, f)
		l.ackDue = false
	}
	if l.ackDue {
		l.ackDue = false
		f.kind, f.seq, f.segments = kindAck, 0, nil
		p.send(e, l.protocol, f)
	}
}

// pack fills one frame from the queue: whole messages, and the beginning of the
// one that does not fit.
func (l *lane) pack() {
	fl := flight{due: true}
	room := maxSegments
	for len(l.queue) > 0 && room > segmentHeader {
		rest := l.queue[0][l.cut:]
		n := min(len(rest), room-segmentHeader)
		fl.segments = append(fl.segments, segment{more: n < len(rest), data: rest[:n]})
		fl.bytes += n
		room -= segmentHeader + n
		l.cut += n
		if n == len(rest) {
			fl.ends++
			l.queue[0] = nil // let it go with its frame
			l.queue, l.cut = l.queue[1:], 0
		}
	}
	l.flight = append(l.flight, fl)
	l.inFlight += fl.bytes
}

func (l *lane) repeat(p *peer) {
	for i := range l.flight {
		l.flight[i].due = !l.flight[i].held
	}
}

// acknowledged takes what the receiver says it has. It returns false if that was
// never sent. An older acknowledgement than one seen before says nothing.
func (l *lane) acknowledged(p *peer, ack uint64, held uint32) bool {
	if ack < l.base {
		return true
	}
	n := ack - l.base
	if n > uint64(len(l.flight)) {
		return false
	}
	for i := range window - 1 {
		if held&(1<<i) != 0 && n+1+uint64(i) >= uint64(len(l.flight)) {
			return false
		}
	}
	for _, fl := range l.flight[:n] {
		l.inFlight -= fl.bytes
		p.bytes -= fl.bytes
		p.messages -= fl.ends
	}
	clear(l.flight[:n])
	l.flight = l.flight[n:]
	l.base = ack
	l.progress = l.progress || n > 0
	for i := range window - 1 {
		if held&(1<<i) != 0 && !l.flight[1+i].held {
			l.flight[1+i].held = true
			l.flight[1+i].due = false
			l.progress = true
		}
	}
	return true
}

// receive takes a data frame: hands up what is complete, holds what came early.
func (l *lane) receive(p *peer, f frame, e *Effects) {
	l.ackDue = true
	switch slot := f.seq % window; {
	case f.seq < l.expect:
		p.counters.Duplicates++
	case f.seq >= l.expect+window:
		// An honest sender's window begins at or before l.expect.
		p.fault(e, FaultWindow, "")
	case f.seq != l.expect && l.early[slot] != nil:
		p.counters.Duplicates++
	case f.seq != l.expect:
		if cost := memory(f.segments); p.early+cost <= earlyBytes {
			l.early[slot] = f.segments
			p.early += cost
		}
	default:
		l.accept(p, f.segments, e)
		for {
			slot := l.expect % window
			segs := l.early[slot]
			if segs == nil {
				break
			}
			l.early[slot] = nil
			p.early -= memory(segs)
			l.accept(p, segs, e)
		}
	}
}

// accept hands up the messages of the frame that was expected.
func (l *lane) accept(p *peer, segs []segment, e *Effects) {
	l.expect++
	p.counters.Received++
	for _, s := range segs {
		switch {
		case l.discard:
			l.discard = s.more
		case len(l.partial)+len(s.data) > MaxMessage:
			p.fault(e, FaultOversized, "")
			l.partial, l.discard = nil, s.more
		case s.more:
			l.partial = append(l.partial, s.data...)
		case l.partial != nil:
			e.Out = append(e.Out, Received{p.id, l.protocol, append(l.partial, s.data...)})
			l.partial = nil
		default:
			// A copy, so that a small message does not pin its 64 KiB frame.
			e.Out = append(e.Out, Received{p.id, l.protocol, bytes.Clone(s.data)})
		}
	}
}

func (l *lane) heldBits() uint32 {
	var bits uint32
	for i := range uint64(window - 1) {
		if l.early[(l.expect+1+i)%window] != nil {
			bits |= 1 << i
		}
	}
	return bits
}

// memory is what holding segments costs. Counting the slice, too, keeps frames of
// one-byte messages from taking ten times their size.
func memory(segs []segment) int {
	const overhead = 40 // a segment, and its header in the frame it aliases
	n := overhead * len(segs)
	for _, s := range segs {
		n += len(s.data)
	}
	return n
}
