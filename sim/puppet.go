package sim

import (
	"frostfed/protocols"
	"frostfed/protocols/acked"
)

// puppet is the adversary in the process of a faulty member. The core of that
// process is honest and believes that it talks to the others; in truth it talks
// to the puppet, which opens every message, and says to the others what it likes,
// with the keys of the member. So a liar can keep to the protocol as far as it
// helps the lie:
//
//	core <--acked--> inner[peer] | behaviour | outer <--acked--> network
type puppet struct {
	m         *member
	behaviour behaviour
	outer     *acked.Machine   // as this member, towards the others
	inner     []*acked.Machine // as each of the others, towards the own core
	timer     uint64
	busy      bool // frames are being passed on: flush follows
}

// letter is a whole message between two members.
type letter struct {
	from, to int
	protocol protocols.Protocol
	body     []byte
	delay    int64 // before it leaves, ms
}

// behaviour is what is wrong with a faulty member.
type behaviour interface {
	// out returns what is said in place of a message of the core.
	out(p *puppet, l letter) []letter
	// in sees a message from another member before the core does, and may change
	// it. nil keeps it from the core.
	in(p *puppet, l letter) *letter
}

func newPuppet(m *member) *puppet {
	p := &puppet{m: m, behaviour: m.w.behaviour(m), inner: make([]*acked.Machine, m.w.knobs.N)}
	ids := m.w.charter.Members()
	var others []protocols.NodeID
	for i, id := range ids {
		if i != m.index {
			others = append(others, id)
			p.connect(i)
		}
	}
	p.outer = mustAcked(m.w, m.cfg.Self, others)
	return p
}

func mustAcked(w *world, self protocols.NodeID, peers []protocols.NodeID) *acked.Machine {
	a, err := acked.New(acked.Config{Self: self, Peers: peers, Boot: w.rng.Uint64() | 1})
	if err != nil {
		panic(err) // the configuration is right
	}
	return a
}

// connect begins a new conversation with the core in the name of another member.
func (p *puppet) connect(i int) {
	id := p.m.w.charter.Members()[i]
	p.inner[i] = mustAcked(p.m.w, id, []protocols.NodeID{p.m.cfg.Self})
	p.inner[i].PeerUp(p.m.now(), p.m.cfg.Self)
}

func (p *puppet) up(peer int) {
	p.outer.PeerUp(p.m.now(), p.m.w.charter.Members()[peer])
	p.flush()
}

func (p *puppet) down(peer int) {
	p.outer.PeerDown(p.m.now(), p.m.w.charter.Members()[peer])
	p.flush()
}

func (p *puppet) fromCore(env protocols.Envelope) {
	to := p.m.w.charter.Index(env.To)
	p.inward(to, p.inner[to].Step(p.m.now(), p.m.cfg.Self, env.Protocol, env.Body))
	p.flush()
}

func (p *puppet) fromNetwork(from int, protocol protocols.Protocol, frame []byte) {
	p.outward(p.outer.Step(p.m.now(), p.m.w.charter.Members()[from], protocol, frame))
	p.flush()
}

// flush lets out what both sides have queued, and plans for their deadlines.
func (p *puppet) flush() {
	if p.busy {
		return
	}
	p.busy = true
	now := p.m.now()
	deadline := protocols.Never
	for i, inner := range p.inner {
		if inner != nil {
			p.inward(i, inner.Tick(now))
			deadline = min(deadline, p.inner[i].Deadline())
		}
	}
	p.outward(p.outer.Tick(now))
	p.busy = false
	if deadline = min(deadline, p.outer.Deadline()); deadline == protocols.Never {
		return
	}
	p.timer++
	timer := p.timer
	p.later(max(1, int64(deadline-now)), func() {
		if p.timer == timer {
			p.flush()
		}
	})
}

// later runs f if the process still lives then.
func (p *puppet) later(delay int64, f func()) {
	p.m.w.after(delay, func() {
		if p.m.puppet == p && p.m.core != nil {
			f()
		}
	})
}

// inward handles effects of the conversation with the core in another's name.
func (p *puppet) inward(i int, e acked.Effects) {
	for _, env := range e.Send {
		p.m.hear(i, env.Protocol, env.Body)
	}
	for _, event := range e.Out {
		if msg, ok := event.(acked.Received); ok {
			for _, l := range p.behaviour.out(p, letter{from: p.m.index, to: i, protocol: msg.Protocol, body: msg.Body}) {
				p.say(l)
			}
		}
	}
}

// outward handles effects of the conversation with the others.
func (p *puppet) outward(e acked.Effects) {
	for _, env := range e.Send {
		frames := []protocols.Envelope{env}
		if g, ok := p.behaviour.(garbage); ok {
			frames = g.frames(p, env)
		}
		for _, f := range frames {
			p.m.transmit(f)
		}
	}
	for _, event := range e.Out {
		switch event := event.(type) {
		case acked.Received:
			l := letter{from: p.m.w.charter.Index(event.From), to: p.m.index, protocol: event.Protocol, body: event.Body}
			if l := p.behaviour.in(p, l); l != nil {
				_ = p.inner[l.from].Send(p.m.now(), p.m.cfg.Self, l.protocol, l.body) // an own lie may be out of size: then it is lost
			}
		case acked.Resumed:
			p.connect(p.m.w.charter.Index(event.Peer)) // the core must say it again, too
		}
	}
}

// say sends a message as this member.
func (p *puppet) say(l letter) {
	if l.to == p.m.index || l.to < 0 || l.to >= p.m.w.knobs.N {
		return
	}
	if l.delay > 0 {
		delay := l.delay
		l.delay = 0
		p.later(delay, func() { p.say(l); p.flush() })
		return
	}
	_ = p.outer.Send(p.m.now(), p.m.w.charter.Members()[l.to], l.protocol, l.body) // likewise
}
