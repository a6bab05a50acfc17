package sign

import (
	"slices"
	"testing"

	"frostfed/protocols"
)

// A member that asks for nonces and sessions without end gets two pools, and one
// more each second. The pools of the others are not touched, and a request that
// somebody else coordinates is signed meanwhile at once.
func TestM7HostileRequesterDrainsNoPoolButItsOwn(t *testing.T) {
	const seconds = 20
	d := newDuel(t, 1)
	made, others := d.signer.issued[0].next, d.signer.issued[2].next
	base := d.signer.issued[0].budget
	end := d.now + seconds*second
	for sid := uint32(1); d.now < end; d.now += 20 {
		// All pairs it has, in a session of a request that nobody knows; 16 of
		// those wait, the next one burns the oldest.
		var msg signMsg
		for k, index := range d.signer.issued[0].live {
			if k == maxLot {
				break
			}
			msg.slots = append(msg.slots, slot{index: index})
		}
		msg.request, msg.session, msg.signers, msg.epoch = reqID(byte(sid)), sessionID{epochID{1}, sid}, []int{0, 1}, d.signer.cfg.Epoch
		if len(msg.slots) > 0 {
			d.signer.Step(d.now, name(0), msg.encode())
		}
		d.signer.Step(d.now, name(0), needMsg{maxPairs}.encode())
		d.signer.Tick(d.now)
		sid++
		if live := len(d.signer.issued[0].live); live > maxLot {
			t.Fatalf("%d pairs for one coordinator", live)
		}
	}
	if got, most := int(d.signer.issued[0].next-made), base+seconds*maxLot; got > most || got < seconds*maxLot/2 {
		t.Errorf("%d pairs made in %d s, at most %d wanted", got, seconds, most)
	}
	if d.signer.issued[2].next != others || len(d.signer.issued[2].live) != maxLot {
		t.Error("the pool of another coordinator changed")
	}
	// Member 2 coordinates with member 1 as if nothing were the matter.
	d.id = reqID(200)
	for d.ranked(d.id)[0] != 2 {
		d.id[0]++
	}
	d.nodes[0].tamper = mute
	d.approve(1, d.id, d.items)
	d.approve(2, d.id, d.items)
	d.run(1500)
	d.mustSign(d.id, d.items, 1, 2)
}

// The same against an approved request: a coordinator that opens sessions without
// end gets as many as one can need.
func TestM7SessionsWithoutEnd(t *testing.T) {
	d := newDuel(t, 1)
	d.approveSigner()
	answered := 0
	for sid := range uint32(400) {
		d.now += 100
		h := d.nodes[0].m.held[1]
		if len(h.pairs) == 0 {
			break
		}
		msg := d.craft(0, sid+1)
		fx := d.signer.Step(d.now, name(0), msg.encode())
		for _, env := range fx.Send {
			m, err := decode(env.Body)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := m.(psigMsg); ok {
				answered++
			}
			if env.To == name(0) {
				d.nodes[0].m.Step(d.now, name(1), env.Body)
			}
		}
		d.nodes[0].m.held[0].pairs = append(d.nodes[0].m.held[0].pairs, d.nodes[0].m.held[0].pairs[0])
	}
	if most := 1 + d.signer.maxRepeats(d.signer.requests[d.id]); answered != most {
		t.Errorf("%d sessions answered, want %d", answered, most)
	}
}

// A coordinator that was cut short gets the rest later, without asking.
func TestShortRefillIsCompleted(t *testing.T) {
	d := newDuel(t, 1)
	d.now += 10 * second
	for range 4 { // restarts in quick succession
		d.signer.Resync(d.now, name(0))
	}
	if live := len(d.signer.issued[0].live); live == maxLot {
		t.Fatal("not cut short")
	}
	at := d.signer.Deadline()
	if at > d.now+second {
		t.Fatalf("nothing due within a second")
	}
	fx := d.signer.Tick(at)
	if live := len(d.signer.issued[0].live); live != maxLot || len(fx.Send) != 1 {
		t.Errorf("%d pairs, %d messages", live, len(fx.Send))
	}
}

// A pool that stays below low water is reported once, and again when it is full.
func TestPoolLow(t *testing.T) {
	w := newWorld(t, 5, 2, 3, func(c *Config) { c.Pool = 8 })
	m := w.nodes[0].m
	if slices.ContainsFunc(m.Pools(), func(p PoolView) bool { return p.Low || p.Available != p.Size }) {
		t.Fatalf("pools at first: %+v", m.Pools())
	}
	m.held[1].draw(7)
	var got []PoolLow
	note := func(fx protocols.Effects[Event]) {
		for _, out := range fx.Out {
			if p, ok := out.(PoolLow); ok {
				got = append(got, p)
			}
		}
	}
	note(m.Tick(w.now))
	at := m.Deadline()
	if at != w.now+lowDelay {
		t.Fatalf("due at %d, now %d", at, w.now)
	}
	note(m.Tick(at))
	note(m.Tick(at + 1))
	if want := []PoolLow{{name(1), 1, true}}; !slices.Equal(got, want) {
		t.Fatalf("reported %v, want %v", got, want)
	}
	if !m.Pools()[1].Low {
		t.Error("not in the view")
	}
	w.nodes[1].m.now = at // its budget has grown meanwhile
	for _, env := range w.nodes[1].m.Resync(at+2, name(0)).Send {
		note(m.Step(at+2, name(1), env.Body))
	}
	if want := (PoolLow{name(1), 8, false}); len(got) != 2 || got[1] != want || m.Pools()[1].Low {
		t.Errorf("reported %v", got)
	}
}
