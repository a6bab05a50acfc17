package sign

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"frostfed/protocols"

	"github.com/btcsuite/btcd/btcec/v2"
)

func impatient(c *Config) { c.Patience = -1 }

// onPSig makes a member lie: change rewrites its partial signatures.
func onPSig(change func(to int, m *psigMsg) bool) func(int, []byte) [][]byte {
	return func(to int, body []byte) [][]byte {
		if msg, err := decode(body); err == nil {
			if p, ok := msg.(psigMsg); ok {
				if !change(to, &p) {
					return nil
				}
				return [][]byte{p.encode()}
			}
		}
		return [][]byte{body}
	}
}

func mute(int, []byte) [][]byte { return nil }

// The first coordinator is dead: the next one takes over after Delta, or at once if
// the death is known.
func TestTakeover(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := newWorld(t, 4, 3, 4, nil)
		id, items := reqID(1), w.items(3)
		first := w.ranked(id)[0]
		w.kill(first)
		if known {
			for i, nd := range w.nodes {
				if i != first {
					w.apply(i, nd.m.PeerDown(w.now, name(first)))
				}
			}
		}
		w.approveAll(id, items)
		w.run(1500)
		if known {
			w.mustSign(id, items)
			continue
		}
		w.mustNotSign(id)
		w.run(1500)
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// A coordinator dies in the middle of its run, at every possible moment.
func TestCoordinatorDiesMidRun(t *testing.T) {
	for after := range protocols.Time(30) {
		w := newWorld(t, 5, 3, 5, nil)
		id, items := reqID(1), w.items(2)
		w.approveAll(id, items)
		w.run(5 * after)
		w.kill(w.ranked(id)[0])
		w.run(20000)
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// Everybody coordinates at once. watch checks that no pair is used twice.
func TestAllCoordinateAtOnce(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, seed, 4, 5, func(c *Config) { c.Delta = 1 })
		var ids []requestID
		items := w.items(3)
		for i := range 5 {
			ids = append(ids, reqID(byte(i)))
			w.approveAll(ids[i], items)
		}
		w.run(30000)
		for _, id := range ids {
			w.mustSign(id, items)
		}
		w.mustNotBlame()
	}
}

// Who sends a wrong partial signature is named, exactly, and the signature
// completes.
func TestLiarIsNamed(t *testing.T) {
	tooBig := [32]byte(bytes.Repeat([]byte{255}, 32))
	lies := map[string]func(*psigMsg){
		"one bit":      func(m *psigMsg) { m.psigs[0][9] ^= 1 },
		"not a scalar": func(m *psigMsg) { m.psigs[1] = tooBig },
		"swapped":      func(m *psigMsg) { slices.Reverse(m.psigs) },
		"one too few":  func(m *psigMsg) { m.psigs = m.psigs[1:] },
		"zero":         func(m *psigMsg) { m.psigs[0] = [32]byte{} },
		"negated": func(m *psigMsg) {
			s := new(btcec.ModNScalar)
			s.SetBytes(&m.psigs[0])
			m.psigs[0] = s.Negate().Bytes()
		},
	}
	for name, lie := range lies {
		for _, config := range []func(*Config){nil, impatient} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, 6, 3, 5, config)
				id, items := reqID(1), w.items(2)
				liar := (w.ranked(id)[0] + 1) % 5 // the coordinator's neighbour is in its first session
				w.nodes[liar].tamper = onPSig(func(_ int, m *psigMsg) bool { lie(m); return true })
				w.approveAll(id, items)
				w.run(30000)
				w.mustSign(id, items)
				if got := w.blamed(FaultBadPartial); !slices.Equal(got, []int{liar}) {
					t.Errorf("blamed %v, want %d", got, liar)
				}
				for _, nd := range w.nodes {
					for _, f := range nd.faults {
						checkEvidence(t, f)
					}
				}
			})
		}
	}
}

// checkEvidence reads a proof as a stranger would: SIGN and PSIG of one session.
func checkEvidence(t *testing.T, f protocols.Fault) {
	t.Helper()
	if f.Kind != FaultBadPartial {
		t.Errorf("fault %s", f.Kind)
		return
	}
	var parts []message
	for rest := f.Proof; len(rest) > 0; {
		size := binary.BigEndian.Uint32(rest)
		msg, err := decode(rest[4 : 4+size])
		if err != nil {
			t.Fatal(err)
		}
		parts, rest = append(parts, msg), rest[4+size:]
	}
	if len(parts) != 2 || parts[0].(signMsg).session != parts[1].(psigMsg).session {
		t.Errorf("evidence of %d parts", len(parts))
	}
}

// Up to n-t members are silent: nobody notices but the retry.
func TestSilentMembers(t *testing.T) {
	for _, config := range []func(*Config){nil, impatient} {
		for _, size := range [][2]int{{2, 3}, {3, 5}, {5, 7}, {1, 3}} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				w := newWorld(t, 7, size[0], size[1], config)
				id, items := reqID(1), w.items(2)
				order := w.ranked(id)
				for i := range size[1] - size[0] {
					w.nodes[order[i]].tamper = mute // the first coordinators, too
				}
				w.approveAll(id, items)
				w.run(60000)
				for i, nd := range w.nodes {
					if nd.tamper == nil {
						w.mustSign(id, items, i)
						if limit := size[1] - size[0] + 1; nd.sessions[id] > limit {
							t.Errorf("member %d started %d sessions, the bound is %d", i, nd.sessions[id], limit)
						}
					}
				}
				w.mustNotBlame()
			})
		}
	}
}

// Garbage responders, slow honest members, an impatient coordinator: at most
// n-t+1 sessions, and no honest member is blamed.
func TestSessionBound(t *testing.T) {
	for seed := range uint64(60) {
		n := 3 + int(seed%6)
		th := 1 + int(seed/6)%n
		w := newWorld(t, seed, th, n, impatient)
		slow := w.delay
		liars := w.rng.Uint64() % uint64(n-th+1)
		w.delay = func(from, to int) protocols.Time {
			if uint64(from) >= liars {
				d := slow(from, to) // a few are much slower than the others
				return d * d
			}
			return 1
		}
		for i := range int(liars) {
			switch w.rng.Uint64() % 3 {
			case 0:
				w.nodes[i].tamper = onPSig(func(_ int, m *psigMsg) bool { m.psigs[0][3] ^= 1; return true })
			case 1:
				w.nodes[i].tamper = onPSig(func(_ int, m *psigMsg) bool { // every other answer is good
					if w.rng.Uint64()%2 == 0 {
						m.psigs[0][3] ^= 1
					}
					return true
				})
			case 2:
				w.nodes[i].tamper = onPSig(func(int, *psigMsg) bool { return w.rng.Uint64()%2 == 0 })
			}
		}
		id, items := reqID(byte(seed)), w.items(1)
		w.approveAll(id, items)
		w.run(200000)
		for i, nd := range w.nodes {
			if nd.tamper == nil {
				w.mustSign(id, items, i)
			}
			if nd.sessions[id] > n-th+1 {
				t.Errorf("seed %d, %d of %d, %d liars: member %d started %d sessions", seed, th, n, liars, i, nd.sessions[id])
			}
		}
		for _, i := range w.blamed(FaultBadPartial) {
			if w.nodes[i].tamper == nil {
				t.Errorf("seed %d: honest member %d blamed", seed, i)
			}
		}
	}
}

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

// T-1 members never finish, never crash, and hold no more and more.
func TestTooFew(t *testing.T) {
	w := newWorld(t, 10, 4, 5, impatient)
	id, items := reqID(1), w.items(2)
	for _, i := range []int{0, 1} {
		w.nodes[i].tamper = mute
	}
	w.approveAll(id, items)
	w.run(600000)
	w.mustNotSign(id)
	for i, nd := range w.nodes {
		if nd.sessions[id] > 2 {
			t.Errorf("member %d started %d sessions", i, nd.sessions[id])
		}
		if at := nd.m.Deadline(); at != protocols.Never {
			t.Errorf("member %d still wants a tick at %d", i, at)
		}
	}
}

// A member computes other items. It is told apart, and blamed by nobody.
func TestInconsistentItems(t *testing.T) {
	w := newWorld(t, 11, 2, 3, nil)
	id, items := reqID(1), w.items(2)
	other := cloneItems(items)
	other[1].Message[0] ^= 1
	order := w.ranked(id)
	w.approve(order[0], id, items)
	w.approve(order[1], id, other)
	w.approve(order[2], id, items)
	w.run(30000)
	w.mustSign(id, items, order[0], order[2])
	if w.nodes[order[1]].signed[id] != nil {
		t.Error("the odd member accepted signatures of other items")
	}
	for _, i := range []int{order[0], order[2]} {
		for _, f := range w.nodes[i].faults {
			t.Errorf("member %d blames %s for %s", i, f.Culprit, f.Kind)
		}
	}
}

// A signer restarts before, during and after a run, and recovers.
func TestSignerRestarts(t *testing.T) {
	for after := range protocols.Time(25) {
		w := newWorld(t, 12, 4, 4, nil) // everyone is needed
		id, items := reqID(1), w.items(2)
		victim := w.ranked(id)[2]
		w.approveAll(id, items)
		w.run(7 * after)
		w.restart(victim)
		w.approve(victim, id, items) // as its composer has it on disk
		w.run(1700)                  // no other coordinator is needed
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// Messages from and to a member are lost while it is away, at any moment, and it
// comes back with its memory: what it missed is said again.
func TestAway(t *testing.T) {
	for after := range protocols.Time(25) {
		for rank := range 3 {
			w := newWorld(t, 22, 3, 3, func(c *Config) { c.Pool = 16 })
			id, items := reqID(1), w.items(2)
			victim := w.ranked(id)[rank]
			w.approveAll(id, items)
			w.run(7 * after)
			w.queue = slices.DeleteFunc(w.queue, func(e *event) bool { return e.link && (e.node == victim || e.from == victim) })
			for i, nd := range w.nodes {
				if i != victim {
					w.apply(i, nd.m.Resync(w.now, name(victim)))
					w.apply(victim, w.nodes[victim].m.Resync(w.now, name(i)))
				}
			}
			w.run(1700)
			w.mustSign(id, items)
			w.mustNotBlame()
		}
	}
}

// The coordinator restarts in the middle of its run and runs again.
func TestCoordinatorRestarts(t *testing.T) {
	for after := range protocols.Time(25) {
		w := newWorld(t, 13, 3, 3, nil)
		id, items := reqID(1), w.items(2)
		victim := w.ranked(id)[0]
		w.approveAll(id, items)
		w.run(7 * after)
		w.restart(victim)
		w.approve(victim, id, items)
		w.run(60000)
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// Unsolicited partial signatures are a fault, repeated ones nothing.
func TestUnsolicited(t *testing.T) {
	w := newWorld(t, 14, 2, 3, nil)
	id, items := reqID(1), w.items(1)
	c := w.ranked(id)[0]
	a, b := (c+1)%3, (c+2)%3
	w.nodes[a].tamper = func(to int, body []byte) [][]byte { return [][]byte{body, body} }
	w.nodes[b].tamper = mute
	var lie psigMsg
	w.approve(c, id, items)
	w.run(100)
	lie = psigMsg{request: id, session: sessionID{w.nodes[c].m.cfg.Epoch, 1}, psigs: make([][32]byte, 1)}
	w.apply(c, w.nodes[c].m.Step(w.now, name(b), lie.encode())) // no session of b is open
	w.approve(a, id, items)
	w.run(5000)
	w.mustSign(id, items, c, a)
	if got := w.blamed(FaultUnsolicited); !slices.Equal(got, []int{b}) {
		t.Errorf("blamed %v, want %d", got, b)
	}

	// An answer to a session that is not the open one, or that comes before the
	// SIGN was even computed, is not looked at.
	w = newWorld(t, 14, 3, 3, nil)
	c = w.ranked(id)[0]
	b = (c + 1) % 3
	w.nodes[b].tamper = mute
	w.apply(c, w.nodes[c].m.Approve(w.now, id, w.keys[c].ID, items))
	seat := &w.nodes[c].m.requests[id].run.seats[b]
	if seat.state != pending {
		t.Fatal("no session")
	}
	lie.session = sessionID{w.nodes[c].m.cfg.Epoch, 2}
	w.apply(c, w.nodes[c].m.Step(w.now, name(b), lie.encode()))
	if got := w.blamed(FaultUnsolicited); !slices.Equal(got, []int{b}) || seat.state != bad {
		t.Errorf("blamed %v, want %d", got, b)
	}
}

// A DONE with signatures that do not verify is a fault and changes nothing.
func TestForgedDone(t *testing.T) {
	w := newWorld(t, 15, 3, 3, nil)
	id, items := reqID(1), w.items(2)
	w.apply(0, w.nodes[0].m.Approve(w.now, id, w.keys[0].ID, items))
	for _, sigs := range []int{1, 2, 3} {
		fx := w.nodes[0].m.Step(w.now, name(1), doneMsg{id, make([][64]byte, sigs)}.encode())
		wantFault(t, fx.Faults, FaultBadSignature)
	}
	w.mustNotSign(id)
	w.approve(1, id, items)
	w.approve(2, id, items)
	w.run(10000)
	w.mustSign(id, items)
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
		w.nodes[2].tamper = onPSig(func(_ int, m *psigMsg) bool { m.psigs[0][0] ^= 1; return true })
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
