package acked

import (
	"testing"

	"frostfed/protocols"
)

const carolDown = 60_000 // longer than any back-off

func mustNew(t testing.TB, self protocols.NodeID, boot uint64, peers ...protocols.NodeID) *Machine {
	t.Helper()
	m, err := New(Config{Self: self, Peers: peers, Boot: boot})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// greet makes m believe that peer runs boot, if m asked anything.
func greet(m *Machine, peer protocols.NodeID, boot uint64) []Event {
	p := m.peers[peer]
	e := m.Step(m.now, peer, protocols.Echo, frame{kind: kindHello, from: boot, to: m.cfg.Boot, pong: p.ping}.encode())
	m.Tick(m.now)
	return e.Out
}

// pair is alice and bob in contact, with frames carried by hand.
type pair struct {
	t          *testing.T
	alice, bob *Machine
	now        protocols.Time
	events     map[protocols.NodeID][]Event
	faults     []protocols.Fault
	frames     int
	drop       func(from protocols.NodeID, f frame) bool
}

func newPair(t *testing.T) *pair {
	return pairWith(t, mustNew(t, "alice", 1, "bob"))
}

func pairWith(t *testing.T, alice *Machine) *pair {
	p := &pair{t: t, alice: alice, bob: mustNew(t, "bob", 2, "alice"), events: map[protocols.NodeID][]Event{}}
	p.alice.PeerUp(0, "bob")
	p.bob.PeerUp(0, "alice")
	p.settle()
	p.frames = 0
	return p
}

// settle carries frames until nobody has anything to say at p.now.
func (p *pair) settle() {
	p.t.Helper()
	for range 10_000 {
		a, b := p.alice.Tick(p.now), p.bob.Tick(p.now)
		p.carry("alice", p.bob, a)
		p.carry("bob", p.alice, b)
		if len(a.Send)+len(b.Send) == 0 {
			return
		}
	}
	p.t.Fatal("chatter without end")
}

func (p *pair) carry(from protocols.NodeID, to *Machine, e Effects) {
	p.t.Helper()
	p.events[from] = append(p.events[from], e.Out...)
	for _, env := range e.Send {
		if len(env.Body) > MaxFrame {
			p.t.Fatalf("frame of %d bytes", len(env.Body))
		}
		f, err := decode(env.Body)
		if err != nil {
			p.t.Fatal(err)
		}
		p.frames++
		if p.drop != nil && p.drop(from, f) {
			continue
		}
		in := to.Step(p.now, from, env.Protocol, env.Body)
		p.events[to.cfg.Self] = append(p.events[to.cfg.Self], in.Out...)
		p.faults = append(p.faults, in.Faults...)
	}
}

// advance moves the clock from deadline to deadline.
func (p *pair) advance(until protocols.Time) {
	p.t.Helper()
	for {
		d := min(p.alice.Deadline(), p.bob.Deadline())
		if d > until {
			p.now = until
			return
		}
		p.now = max(p.now, d)
		p.settle()
	}
}

func (p *pair) send(from *Machine, to protocols.NodeID, body []byte) {
	p.t.Helper()
	if err := from.Send(p.now, to, protocols.Echo, body); err != nil {
		p.t.Fatal(err)
	}
}

func bodies(events []Event) [][]byte {
	var out [][]byte
	for _, ev := range events {
		if r, ok := ev.(Received); ok {
			out = append(out, r.Body)
		}
	}
	return out
}

func count[E Event](events []Event) int {
	n := 0
	for _, ev := range events {
		if _, ok := ev.(E); ok {
			n++
		}
	}
	return n
}
