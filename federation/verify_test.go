package federation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"frostfed/protocols"
	"frostfed/protocols/frost/sign"
)

// until steps until a member sees the phase of the one key there is.
func (w *world) until(member int, phase string) {
	w.t.Helper()
	for range 2000 {
		if core := w.cores[member]; core != nil {
			if keys := core.Keys(); len(keys) == 1 && keys[0].Phase == phase {
				return
			}
		}
		w.step()
	}
	w.t.Fatalf("member %d never sees the key %s", member, phase)
}

func (w *world) propose(label string) {
	w.t.Helper()
	_, e, err := w.cores[0].NewKey(w.now, label)
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle(0, e)
}

// mustBeVerified checks the key's signature as btcec does, and that addresses are
// given out.
func (w *world) mustBeVerified(members ...int) {
	w.t.Helper()
	for _, i := range members {
		core := w.cores[i]
		v := core.Keys()[0]
		if v.Phase != "complete" && v.Phase != "active" {
			w.t.Errorf("member %d: the key is %s", i, v.Phase)
			continue
		}
		pub, err := btcec.ParsePubKey(v.ThreshPK[:])
		if err != nil {
			w.t.Fatal(err)
		}
		sig, err := schnorr.ParseSignature(v.Verification[:])
		message := core.keys.keys[v.ID].verification.message
		if err != nil || !sig.Verify(message[:], pub) {
			w.t.Errorf("member %d: no verification signature", i)
		}
		if other := w.cores[members[0]].keys.keys[v.ID].verification.message; message != other {
			w.t.Errorf("member %d means another message", i)
		}
		_, e, err := core.NewAddress(w.now, "main")
		if err != nil {
			w.t.Errorf("member %d: %v", i, err)
		}
		w.settle(i, e)
	}
}

// ready counts the events by which a member says that a key may be used.
func (w *world) ready(i int) (fresh, again int) {
	for _, d := range w.out[i] {
		if r, ok := d.(KeyReady); ok && r.Fresh {
			fresh++
		} else if ok {
			again++
		}
	}
	return fresh, again
}

// No address before the members have signed with the key: not while it is
// generated, not while it is verified.
func TestNoAddressBeforeVerification(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.propose("main")
	seen, got := make([]bool, 4), make([]bool, 4)
	for range 60 {
		w.step()
		for i, core := range w.cores {
			if got[i] {
				continue
			}
			_, _, err := core.NewAddress(w.now, "main")
			got[i] = err == nil
			fresh, _ := w.ready(i)
			if keys := core.Keys(); len(keys) == 1 && keys[0].Phase == PhaseVerifying {
				seen[i] = true
				if core.Status().Keys != 0 {
					t.Fatal("a key in verification is counted as usable")
				}
			}
			if (err == nil) != (fresh == 1) {
				t.Fatalf("member %d: ready %d times, NewAddress: %v", i, fresh, err)
			}
			if err != nil && !errors.Is(err, ErrKeyNotReady) && !errors.Is(err, ErrKeyUnknown) {
				t.Fatal(err)
			}
		}
	}
	w.mustBeVerified(0, 1, 2, 3)
	if slices.Contains(seen, false) {
		t.Errorf("verifying was seen by %v", seen)
	}
}

// f members fall silent when the key is there and before it is verified; one of
// them comes back after the signing machines have forgotten the signature.
func TestVerificationOutlivesSilence(t *testing.T) {
	w := newWorld(t, 7, nil)
	w.propose("main")
	w.until(5, PhaseVerifying)
	w.kill(5)
	w.kill(6)
	w.run()
	w.mustBeVerified(0, 1, 2, 3, 4)
	for i := range 5 {
		w.kill(i)
		for key := range w.disks[i] {
			if strings.HasPrefix(key, signPrefix+"/") {
				delete(w.disks[i], key)
			}
		}
		w.start(i)
	}
	w.run()
	w.start(5)
	w.run()
	w.mustBeVerified(0, 5)
	if fresh, _ := w.ready(5); fresh != 1 {
		t.Errorf("member 5 said %d times that the key is new", fresh)
	}
}

// Whenever members crash, all of them or one, the key is verified in the end, once,
// and stays so.
func TestVerificationAndCrashes(t *testing.T) {
	for after := range 10 {
		for _, victims := range [][]int{{0, 1, 2, 3}, {2}} {
			t.Run(fmt.Sprint(after, victims), func(t *testing.T) {
				w := newWorld(t, 4, func(_ int, cfg *Config) { cfg.Pool = 4 })
				w.propose("main")
				w.until(2, PhaseVerifying)
				for range after {
					w.step()
				}
				for _, i := range victims {
					w.kill(i)
				}
				w.queue = nil
				for _, i := range victims {
					w.start(i)
				}
				w.run()
				w.mustBeVerified(0, 1, 2, 3)
				for i := range 4 {
					before := w.cores[i].Keys()[0].Verification
					w.kill(i)
					w.out[i] = nil
					w.start(i)
					w.run()
					if fresh, again := w.ready(i); fresh != 0 || again != 1 || w.cores[i].Keys()[0].Verification != before {
						t.Errorf("member %d after another start: %d new, %d again", i, fresh, again)
					}
				}
			})
		}
	}
}

// A key of a record from before goes on as it was.
func TestKeysBeforeVerification(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	for i := range 4 {
		w.kill(i)
		for key, value := range w.disks[i] {
			if strings.HasPrefix(key, ownPrefix+"/a/") {
				value = slices.Clone(value[:len(value)-65])
				value[0] = 1
				w.disks[i][key] = value
			}
		}
		w.start(i)
	}
	w.run()
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	id := w.pay(0, list)
	if got := w.state(1, id); got != StateSigned {
		t.Errorf("the payout is %s", got)
	}
}

// What a peer says of a key counts only if it verifies.
func TestForgedVerification(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.propose("main")
	w.until(2, PhaseVerifying)
	k := w.cores[2].keys.sorted()[0]
	notice := append(append([]byte{noticeVerified}, k.id[:]...), make([]byte, 64)...)
	var out Effects
	w.cores[2].fromPeer(w.now, &out, w.configs[0].Self, notice)
	if len(out.Faults) != 1 || out.Faults[0].Kind != FaultBadNotice || k.verification.done {
		t.Fatalf("faults %v", out.Faults)
	}
	out = Effects{}
	if w.cores[2].fromPeer(w.now, &out, w.configs[0].Self, notice[:90]); len(out.Faults) != 1 {
		t.Error("a short notice is no fault")
	}
	w.run()
	w.mustBeVerified(0, 1, 2, 3)
}

// A member whose nonces run low at another one is seen there.
func TestNoncesLow(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	var out Effects
	w.cores[0].fromSign(w.now, &out, protocols.Effects[sign.Event]{Out: []sign.Event{sign.PoolLow{Member: w.configs[1].Self, Available: 3, Low: true}}})
	if len(out.Out) != 1 || out.Out[0] != (NoncesLow{Peer: w.configs[1].Self, Available: 3, Low: true}) {
		t.Fatalf("decisions %v", out.Out)
	}
	if m := w.cores[0].Members()[1]; m.NoncesLow || m.Nonces == 0 {
		t.Errorf("member %+v", m)
	}
}
