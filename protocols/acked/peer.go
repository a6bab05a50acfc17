package acked

import "frostfed/protocols"

// peer is the conversation with one peer: who it is (its boot), what waits for it,
// and the one timer of it all.
type peer struct {
	cfg   *Config
	id    protocols.NodeID
	lanes []*lane // in the order of Config.Protocols

	up    bool
	dirty bool // something may be ready to leave

	// Greeting. A boot is believed only when it answers a question asked of it,
	// so a late frame of an earlier boot can never displace the living one.
	boot   uint64         // 0: unknown
	ping   uint64         // the question that waits for an answer; 0: none
	asked  uint64         // questions so far
	hello  bool           // a hello is due
	pong   uint64         // the answer it carries; 0: none
	pongTo uint64         // the boot that asked
	met    protocols.Time // when boot was accepted

	// Outbox, over all lanes.
	messages, bytes int
	lost            bool // overflowed: drop all until it is empty, then Resumed

	// The timer runs while the peer is up and owes us an answer.
	wait     protocols.Time // the current back-off
	resendAt protocols.Time // Never: not running
	attempts int
	since    protocols.Time // when the peer began to owe us an answer, or last gave one
	stalled  bool

	early    int // bytes held out of order
	counters Stats
}

func newPeer(cfg *Config, id protocols.NodeID) *peer {
	p := &peer{cfg: cfg, id: id, wait: cfg.ResendMin, resendAt: protocols.Never}
	p.resetLanes()
	return p
}

func (p *peer) resetLanes() {
	p.lanes = nil
	for _, proto := range p.cfg.Protocols {
		p.lanes = append(p.lanes, &lane{protocol: proto})
	}
	p.messages, p.bytes, p.early, p.lost = 0, 0, 0, false
}

func (p *peer) lane(proto protocols.Protocol) *lane {
	for _, l := range p.lanes {
		if l.protocol == proto {
			return l
		}
	}
	return nil
}

func (p *peer) fault(e *Effects, kind, detail string) {
	e.Faults = append(e.Faults, protocols.Fault{Culprit: p.id, Kind: kind, Detail: detail})
}

func (p *peer) enqueue(now protocols.Time, l *lane, body []byte) {
	if p.lost || p.messages == MaxOutbox || p.bytes+len(body) > MaxOutboxBytes {
		// Dropping everything from here on, rather than what happens not to fit,
		// lets the peer see a prefix of the messages and then a fresh start.
		p.lost = true
		p.counters.Dropped++
		return
	}
	if p.messages == 0 {
		p.since = now
	}
	l.queue = append(l.queue, body)
	p.messages++
	p.bytes += len(body)
	p.dirty = true
}

func (p *peer) step(now protocols.Time, l *lane, f frame, e *Effects) {
	p.dirty = true
	if f.kind == kindHello {
		p.greet(now, f, e)
		return
	}
	if f.from != p.boot || f.to != p.cfg.Boot {
		// It was meant for, or comes from, a boot that is no more or that we
		// have not met. Its sender repeats it once we know each other.
		p.counters.Stale++
		p.ask()
		return
	}
	if !l.acknowledged(p, f.ack, f.held) {
		p.fault(e, FaultBadAck, "")
		return
	}
	if l.progress {
		l.progress = false
		p.progress(now, e)
	}
	if p.lost && p.messages == 0 {
		p.lost = false
		e.Out = append(e.Out, Resumed{p.id})
	}
	if f.kind == kindData {
		l.receive(p, f, e)
	}
}

// greet handles a hello: answer its question, check its answer.
func (p *peer) greet(now protocols.Time, f frame, e *Effects) {
	if f.ping != 0 {
		p.hello, p.pong, p.pongTo = true, f.ping, f.from
	}
	switch {
	case p.ping != 0 && f.pong == p.ping && f.to == p.cfg.Boot:
		if f.from != p.boot && p.boot != 0 && now < p.met+p.cfg.ResendMin {
			// Resumed makes the machines above say much again. A peer that
			// restarts faster than this does it to make us talk; the question
			// stays open and the timer repeats it.
			return
		}
		p.ping = 0
		p.progress(now, e)
		if f.from != p.boot {
			p.meet(now, f.from, e)
		}
	case f.from != p.boot:
		p.ask()
	case f.to != p.cfg.Boot && f.to != 0:
		p.ask() // it takes us for an earlier boot
	}
}

// ask starts a question unless one is on its way; the timer repeats it.
func (p *peer) ask() {
	if p.ping != 0 {
		return
	}
	p.asked++
	p.ping, p.hello = p.asked, true
}

// meet accepts the peer's boot. If it is not its first, the peer lost its memory:
// sequence numbers begin anew on both sides, and what waited for it goes, because
// it may refer to what was said before.
func (p *peer) meet(now protocols.Time, boot uint64, e *Effects) {
	first := p.boot == 0
	p.boot, p.met = boot, now
	if first {
		return
	}
	p.resetLanes()
	e.Out = append(e.Out, Resumed{p.id})
}

// progress notes that the peer gave an answer that was owed.
func (p *peer) progress(now protocols.Time, e *Effects) {
	p.wait, p.resendAt, p.attempts, p.since = p.cfg.ResendMin, protocols.Never, 0, now
	if p.stalled {
		p.stalled = false
		e.Out = append(e.Out, Recovered{p.id})
	}
}

func (p *peer) setUp() {
	p.up, p.dirty = true, true
	p.wait, p.resendAt, p.attempts = p.cfg.ResendMin, protocols.Never, 0
	p.repeat()
}

// repeat makes everything the peer owes an answer to leave again.
func (p *peer) repeat() {
	p.hello = p.hello || p.ping != 0
	for _, l := range p.lanes {
		l.repeat(p)
	}
}

// owes says whether the peer has been sent anything it did not answer.
func (p *peer) owes() bool {
	if p.ping != 0 {
		return true
	}
	for _, l := range p.lanes {
		if len(l.flight) > 0 {
			return true
		}
	}
	return false
}

func (p *peer) tick(now protocols.Time, e *Effects) {
	if p.messages > 0 && !p.stalled && now >= p.since+p.cfg.StallAfter {
		p.stalled = true
		e.Out = append(e.Out, Stalled{p.id})
	}
	if !p.up {
		return
	}
	if now >= p.resendAt {
		p.attempts++
		p.wait = min(2*p.wait, p.cfg.ResendMax)
		p.resendAt = protocols.Never
		p.repeat()
	}
	if p.boot == 0 {
		p.ask()
	}
	if p.hello {
		p.sayHello(e)
	}
	if p.boot != 0 {
		for _, l := range p.lanes {
			l.transmit(p, e)
		}
	}
	p.dirty = false
	if p.resendAt == protocols.Never && p.owes() {
		p.resendAt = now + p.wait
	}
}

func (p *peer) sayHello(e *Effects) {
	f := frame{kind: kindHello, from: p.cfg.Boot, to: p.boot, ping: p.ping, pong: p.pong}
	if p.pong != 0 {
		f.to = p.pongTo
	}
	p.hello, p.pong, p.pongTo = false, 0, 0
	p.send(e, p.lanes[0].protocol, f)
}

func (p *peer) send(e *Effects, proto protocols.Protocol, f frame) {
	e.Send = append(e.Send, protocols.Envelope{To: p.id, Protocol: proto, Body: f.encode()})
}

func (p *peer) deadline(now protocols.Time) protocols.Time {
	d := protocols.Never
	if p.messages > 0 && !p.stalled {
		d = p.since + p.cfg.StallAfter
	}
	if !p.up {
		return d
	}
	if p.dirty {
		return now
	}
	return min(d, p.resendAt)
}
