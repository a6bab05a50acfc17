package sign

import (
	"bytes"
	"fmt"
	"testing"

	"frostfed/protocols"
)

// Refusals are counted apart from faults: n-t of them are harmless, one more fails
// the run with every reason, and a change of mind heals it.
func TestRefusals(t *testing.T) {
	w := newWorld(t, 8, 3, 5, nil)
	id, items := reqID(1), w.items(1)
	order := w.ranked(id)
	for _, i := range order[3:] {
		w.apply(i, w.nodes[i].m.Refuse(w.now, id, "over_limit"))
	}
	for _, i := range order[:3] {
		w.approve(i, id, items)
	}
	w.run(30000)
	w.mustSign(id, items, order[:3]...)
	w.mustNotBlame()

	id = reqID(2)
	order = w.ranked(id)
	for _, i := range order[2:] {
		w.apply(i, w.nodes[i].m.Refuse(w.now, id, "over_limit"))
	}
	for _, i := range order[:2] {
		w.approve(i, id, items)
	}
	w.run(30000)
	w.mustNotSign(id)
	w.mustNotBlame()
	f, ok := w.nodes[order[0]].failed[id]
	if !ok || f.Reason != ReasonRefused || len(f.Refused) != 3 || len(f.Bad) != 0 {
		t.Fatalf("got %+v", f)
	}
	for _, r := range f.Refused {
		if r.Code != "over_limit" || r.Peer == name(order[0]) || r.Peer == name(order[1]) {
			t.Errorf("refusal %+v", r)
		}
	}
	if view := w.nodes[order[0]].m.Requests(); len(view) != 1 || len(view[0].Refused) != 3 || !view[0].Coordinating {
		t.Errorf("view %+v", view)
	}
	w.approve(order[4], id, items)
	w.run(30000)
	w.mustSign(id, items, order[0], order[1], order[4])
	w.mustNotBlame()
}

// Members approve late, after the SIGN came, and join; and one that approves after
// the end gets the signatures.
func TestLateApproval(t *testing.T) {
	w := newWorld(t, 9, 3, 4, nil)
	id, items := reqID(1), w.items(2)
	order := w.ranked(id)
	w.approve(order[0], id, items)
	w.run(10000)
	w.approve(order[1], id, items)
	w.run(10000)
	w.mustNotSign(id)
	w.approve(order[2], id, items)
	w.run(10000)
	w.mustSign(id, items, order[:3]...)
	w.approve(order[3], id, items)
	w.run(1000) // before its turn to coordinate
	w.mustSign(id, items)
	w.mustNotBlame()
}

// A finished request survives a restart: it is served, and not signed again.
func TestHistory(t *testing.T) {
	w := newWorld(t, 16, 2, 3, func(c *Config) { c.History = 3 })
	items := w.items(1)
	for i := range byte(5) {
		w.approveAll(reqID(i), items)
		w.run(20000)
	}
	if got := len(w.nodes[0].disk); got != 3 {
		t.Fatalf("%d records, want 3", got)
	}
	w.restart(0)
	w.nodes[0].signed = make(map[requestID][][64]byte)
	fx := w.nodes[0].m.Approve(w.now, reqID(4), w.keys[0].ID, items)
	if len(fx.Send) != 0 {
		t.Errorf("%d messages for a finished request", len(fx.Send))
	}
	w.apply(0, fx)
	w.mustSign(reqID(4), items, 0)
	// Other items under the same name are not what was signed.
	fx = w.nodes[0].m.Approve(w.now, reqID(4), w.keys[0].ID, w.items(1))
	if f, ok := fx.Out[0].(Failed); !ok || f.Reason != ReasonInconsistent {
		t.Errorf("got %+v", fx.Out)
	}
	// Asking is answered, not without end.
	served := 0
	for range 10 {
		served += len(w.nodes[0].m.Step(w.now, name(1), readyMsg{reqID(4)}.encode()).Send)
	}
	if served != maxServed {
		t.Errorf("served %d times", served)
	}
}

// The same seed gives the same bytes, in the same order.
func TestDeterministic(t *testing.T) {
	run := func() string {
		w := newWorld(t, 17, 3, 5, func(c *Config) { c.Delta, c.Pool = 300, 4 })
		items := w.items(10)
		w.nodes[2].tamper = w.liar(2, func(_ int, m *psigMsg) bool { m.psigs[0][0] ^= 1; return true })
		for i := range byte(4) {
			w.approveAll(reqID(i), items)
		}
		w.run(700)
		w.restart(1)
		for i := range byte(4) {
			w.approve(1, reqID(i), items)
		}
		w.run(60000)
		for i := range byte(4) {
			w.mustSign(reqID(i), items)
		}
		return w.traceString()
	}
	if a, b := run(), run(); a != b {
		t.Errorf("traces differ: %s, %s", a, b)
	}
}

// Approve says why it does not take a request.
func TestApproveRefuses(t *testing.T) {
	w := newWorld(t, 18, 1, 2, func(c *Config) { c.Requests = 2 })
	m, key := w.nodes[0].m, w.keys[0].ID
	good := w.items(1)
	notAScalar := cloneItems(good)
	notAScalar[0].Tweaks = [][32]byte{[32]byte(bytes.Repeat([]byte{255}, 32))}
	notAScalar[0].XOnly = []bool{false}
	modes := cloneItems(good)
	modes[0].XOnly = []bool{true}
	for name, row := range map[string]struct {
		key    [32]byte
		items  []Item
		reason string
	}{
		"no such key":    {[32]byte{1}, good, ReasonUnknownKey},
		"no items":       {key, nil, ReasonInvalid},
		"too many items": {key, make([]Item, maxItems+1), ReasonInvalid},
		"tweak range":    {key, notAScalar, ReasonInvalid},
		"tweak modes":    {key, modes, ReasonInvalid},
	} {
		fx := m.Approve(w.now, reqID(1), row.key, row.items)
		if f, ok := fx.Out[0].(Failed); !ok || f.Reason != row.reason {
			t.Errorf("%s: got %+v", name, fx.Out)
		}
	}
	w3 := newWorld(t, 19, 3, 3, func(c *Config) { c.Requests = 2 })
	for i := range byte(3) {
		fx := w3.nodes[0].m.Approve(w3.now, reqID(i), key, good)
		if i == 2 {
			if f, ok := fx.Out[len(fx.Out)-1].(Failed); !ok || f.Reason != ReasonBusy {
				t.Errorf("got %+v", fx.Out)
			}
		}
	}
	w3.apply(0, w3.nodes[0].m.Cancel(w3.now, reqID(0)))
	if fx := w3.nodes[0].m.Approve(w3.now, reqID(2), key, good); len(w3.nodes[0].m.Requests()) != 2 {
		t.Errorf("no room after Cancel: %+v", fx.Out)
	}
}

// A key that does not fit together is not added.
func TestKeyRejected(t *testing.T) {
	w := newWorld(t, 20, 2, 3, nil)
	for name, change := range map[string]func(*Key){
		"negated":       func(k *Key) { k.ThreshPK[0] ^= 1 },
		"foreign share": func(k *Key) { k.SecShare = w.keys[1].SecShare },
		"zero share":    func(k *Key) { k.SecShare = make([]byte, 32) },
		"short share":   func(k *Key) { k.SecShare = k.SecShare[1:] },
		"other size":    func(k *Key) { k.PubShares = k.PubShares[1:] },
		"threshold":     func(k *Key) { k.T = 4 },
	} {
		k := w.keys[0]
		k.ID = [32]byte{42}
		change(&k)
		fx := w.nodes[0].m.AddKey(w.now, k)
		if len(fx.Out) != 1 {
			t.Fatalf("%s: accepted", name)
		}
		if _, ok := fx.Out[0].(KeyRejected); !ok {
			t.Errorf("%s: got %+v", name, fx.Out)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", w.keys[0], w.keys[0], w.keys[0]); len(s) > 100 {
		t.Errorf("a key prints as %s", s)
	}
}

// A coordinator that gives a request up while it is signed, and approves it again,
// opens sessions of other names: it has not changed one.
func TestApprovedAgain(t *testing.T) {
	w := newWorld(t, 77, 2, 3, nil)
	w.delay = func(int, int) protocols.Time { return 10 }
	id, items := reqID(1), w.items(1)
	c := w.ranked(id)[0]
	w.approveAll(id, items)
	for w.nodes[c].sessions[id] == 0 {
		w.run(1)
	}
	w.run(12) // SIGN has arrived, PSIG has not
	w.at(w.now, c, func() protocols.Effects[Event] { return w.nodes[c].m.Cancel(w.now, id) })
	w.run(1)
	w.approve(c, id, items)
	w.run(60_000)
	w.mustSign(id, items)
	w.mustNotBlame()
}
