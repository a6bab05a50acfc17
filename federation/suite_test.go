package federation

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"frostfed/bitcoin"
	"frostfed/crypto/rfc9591"
	"frostfed/policy"
	"frostfed/protocols/frost/dkg"
)

func judgedByCommand(_ int, cfg *Config) { cfg.Policy.External = []string{"judge"} }

// answer lets the operators' commands judge what they were asked since the last
// call; those of the members in no refuse.
func (w *world) answer(no ...int) {
	w.t.Helper()
	for i, core := range w.cores {
		var asked []RequestID
		for _, d := range w.out[i] {
			if ask, ok := d.(AskExternal); ok {
				asked = append(asked, ask.Request)
			}
		}
		w.out[i] = nil
		for _, id := range asked {
			v := policy.Verdict{Allow: true, Rule: policy.Allowed}
			if slices.Contains(no, i) {
				v = policy.Verdict{Rule: policy.ExternalRefused, Reason: "no"}
			}
			w.settle(i, core.ExternalVerdict(w.now, id, v))
		}
	}
	w.run()
}

func (w *world) newSuiteKey(label string, suite dkg.Suite) {
	w.t.Helper()
	w.do(0, func(core *Core) (Effects, error) {
		_, e, err := core.NewSuiteKey(w.now, label, suite)
		return e, err
	})
}

func (w *world) signs(i int, label, text string) RequestID {
	w.t.Helper()
	id, e, err := w.cores[i].SignMessage(w.now, label, []byte(text), false)
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle(i, e)
	w.run()
	return id
}

// wantMessage asserts that a member holds a signature of the message that any
// stranger verifies, and returns the public key.
func (w *world) wantMessage(i int, id RequestID, suite dkg.Suite, text string) []byte {
	w.t.Helper()
	v, err := w.cores[i].Request(id.String())
	if err != nil || v.State != StateSigned || len(v.Signatures) != 1 || v.Suite != suite {
		w.t.Fatalf("member %d: %s, %d signatures, %v", i, v.State, len(v.Signatures), err)
	}
	if !rfc9591.Verify(suite, v.PublicKey, []byte(text), v.Signatures[0]) {
		w.t.Fatalf("member %d: signature does not verify", i)
	}
	return v.PublicKey
}

// Keys of all suites, made and used, over restarts, beside a Bitcoin key.
func TestSuiteKeys(t *testing.T) {
	w := newWorld(t, 4, judgedByCommand)
	w.newKey("main")
	for _, suite := range rfc9591.Suites() {
		w.newSuiteKey(suite.String(), suite)
	}
	keys := w.cores[0].Keys()
	if len(keys) != 5 || w.cores[0].Status().Keys != 5 {
		t.Fatalf("%d keys", len(keys))
	}
	for _, k := range keys {
		if k.ID == (KeyID{}) || (k.Suite == dkg.Bitcoin) != (k.Label == "main") || (k.Descriptor != "") != (k.Label == "main") ||
			len(k.PublicKey) == 0 || k.Phase != "complete" {
			t.Errorf("key %+v", k)
		}
	}
	for _, suite := range rfc9591.Suites() {
		id := w.signs(1, suite.String(), "hello")
		w.answer(3)
		public := w.wantMessage(0, id, suite, "hello")
		for i := range 3 {
			w.wantMessage(i, id, suite, "hello")
		}
		if view := w.cores[0].Keys()[slices.IndexFunc(w.cores[0].Keys(), func(k KeyView) bool { return k.Label == suite.String() })]; !bytes.Equal(view.PublicKey, public) {
			t.Errorf("%v: key list shows %x", suite, view.PublicKey)
		}
		if suite == rfc9591.Ed25519 {
			v, _ := w.cores[2].Request(id.String())
			if !ed25519.Verify(public, []byte("frostfed/v1/message\nhello"), v.Signatures[0]) {
				t.Error("crypto/ed25519 refuses")
			}
		}
	}
	// One signature is under way while all members restart.
	id := w.signs(2, "ed25519", "again")
	for i := range w.cores {
		w.kill(i)
	}
	for i := range w.cores {
		w.out[i] = nil
		w.start(i)
	}
	w.run()
	for i := range w.cores {
		for _, d := range w.out[i] {
			if ready, ok := d.(KeyReady); ok && ready.Fresh {
				t.Errorf("member %d: %s is new again", i, ready.Label)
			}
		}
	}
	w.mine(nil, 0) // validates again what was not decided: commands are asked anew
	w.answer()
	w.wantMessage(2, id, rfc9591.Ed25519, "again")
}

// A key outside Bitcoin has no coins and no addresses, and a Bitcoin key no
// signatures of another suite: what names the one never names the other.
func TestSuiteKeysHaveNoCoins(t *testing.T) {
	w := newWorld(t, 4, judgedByCommand)
	w.newSuiteKey("other", rfc9591.Secp256k1)
	core := w.cores[0]
	list := payouts(t, "week", 1, 10_000)
	w.addList(list, 0)
	for what, do := range map[string]func() error{
		"address":     func() error { _, _, err := core.NewAddress(w.now, "other"); return err },
		"transaction": func() error { _, _, err := core.SignTransaction(w.now, "other", nil, true); return err },
		"payout": func() error {
			_, _, err := core.Pay(w.now, PayoutRequest{Key: "other", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
			return err
		},
	} {
		if err := do(); !errors.Is(err, ErrOutsideBitcoin) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A proposer that names such a key for a transaction all the same.
	k := core.keys.sortedSuites()[0]
	for _, kind := range []Kind{KindPayout, KindTransaction} {
		r := &request{id: RequestID{byte(kind)}, payload: payload{kind: kind, key: k.name()}, verdict: policy.Verdict{Allow: true}}
		var out Effects
		core.startSigning(w.now, &out, r)
		if len(out.Work) != 0 || len(out.Persist) != 0 {
			t.Errorf("%v is signed", kind)
		}
	}
	if _, bitcoin := core.keyOf(k.name()); bitcoin {
		t.Error("a Bitcoin key has the name of another")
	}
	if _, other := core.suiteOf([33]byte{2}); other {
		t.Error("a key outside Bitcoin has the name of a Bitcoin key")
	}
	w.newKey("main")
	if _, _, err := core.NewSuiteKey(w.now, "main", rfc9591.Ed25519); !errors.Is(err, ErrLabelUsed) {
		t.Errorf("label of another kind of key: %v", err)
	}
	if got, err := core.SuiteOf("other"); err != nil || got != rfc9591.Secp256k1 {
		t.Errorf("suite of other: %v, %v", got, err)
	}
	if got, err := core.SuiteOf("main"); err != nil || got != dkg.Bitcoin {
		t.Errorf("suite of main: %v, %v", got, err)
	}
}

// Members refuse by their own policy; without enough of them nothing is signed,
// and the messages command is needed as for Bitcoin keys.
func TestSuiteMessageRefused(t *testing.T) {
	w := newWorld(t, 4, judgedByCommand)
	w.newSuiteKey("other", rfc9591.Ristretto255)
	id := w.signs(0, "other", "no")
	w.answer(2, 3)
	for i := range w.cores {
		if v, _ := w.cores[i].Request(id.String()); len(v.Signatures) != 0 {
			t.Errorf("member %d has a signature", i)
		}
	}
	w = newWorld(t, 4, nil)
	w.newSuiteKey("other", rfc9591.Ristretto255)
	_, _, err := w.cores[0].SignMessage(w.now, "other", []byte("x"), false)
	if refused := new(RefusedError); !errors.As(err, &refused) || refused.Verdict.Rule != MessagesOff {
		t.Errorf("without a command: %v", err)
	}
}

// A proposal of a suite that does not exist is its proposer's fault.
func TestBadSuiteProposal(t *testing.T) {
	w := newWorld(t, 4, nil)
	core := w.cores[1]
	p := &ceremony{Label: "x", Suite: 77, T: 3, MinMembers: 3, MinSpare: 1}
	raw := p.encode()
	var out Effects
	core.ceremonyProposed(w.now, &out, w.configs[0].Self, core.proposalID(ceremonyTag, w.configs[0].Self, raw), raw)
	if len(out.Faults) != 1 || out.Faults[0].Kind != FaultBadProposal || len(core.Keys()) != 0 {
		t.Errorf("%+v", out.Faults)
	}
	for _, name := range []string{"ed448", "Ed25519", "secp"} {
		if _, err := ParseSuite(name); !errors.Is(err, ErrSuite) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range append(rfc9591.Suites(), dkg.Bitcoin) {
		if got, err := ParseSuite(SuiteName(s)); err != nil || got != s {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
}
