package federation

import (
	"maps"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
)

// restore gives a member the disk that it had once.
func (w *world) restore(i int, disk map[string][]byte) {
	w.t.Helper()
	w.older = true
	w.kill(i)
	w.disks[i] = maps.Clone(disk)
	w.start(i)
	w.run()
}

func decisionsOf[D Decision](w *world, i int) (out []D) {
	for _, d := range w.out[i] {
		if d, ok := d.(D); ok {
			out = append(out, d)
		}
	}
	return out
}

// A member with an older database learns from the others that it has forgotten a
// promise, spends nothing that may be bound, also after another restart, and goes
// on by itself when the chain has settled it.
func TestM5OlderDatabaseHoldsBack(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	older := maps.Clone(w.disks[2])
	first, second, third := payouts(t, "week 1", 3, 10_000), payouts(t, "week 2", 3, 10_000), payouts(t, "week 3", 3, 10_000)
	w.addList(first, 0, 1, 2, 3)
	forgotten := w.pay(0, first)
	w.wantState(forgotten, StateSigned)
	w.mine(nil, 0) // time passes; the payout is held back
	fence := w.cores[2].own.height

	w.restore(2, older)
	said := decisionsOf[RestoredOlder](w, 2)
	if len(said) != 1 || said[0].Known != 0 || said[0].Made != 1 || said[0].Fence != fence {
		t.Fatalf("member 2 says %+v", said)
	}
	w.addList(first, 2)
	if got := verdictOf(w.cores[2], forgotten).Rule; got != RestoredRule {
		t.Fatalf("the forgotten promise is judged anew: %q", got)
	}
	w.addList(second, 0, 1, 2, 3)
	other := w.pay(1, second)
	for restarts := range 2 {
		if got := verdictOf(w.cores[2], other).Rule; got != RestoredRule || w.cores[2].Status().Fence != fence {
			t.Fatalf("after %d restarts: verdict %q, status %+v", restarts, got, w.cores[2].Status())
		}
		w.kill(2)
		w.start(2)
		w.run()
	}
	if w.state(0, other) != StateSigned {
		t.Fatal("the others need the restored member")
	}
	for _, id := range []RequestID{forgotten, other} {
		v, _ := w.cores[0].Request(id.String())
		w.mine(nil, 0, v.Tx)
	}
	w.bury(forgetSpent + 1)
	if s := w.cores[2].Status(); s.Fence != 0 {
		t.Fatalf("every coin is settled, but %+v", s)
	}
	w.addList(third, 0, 1, 2, 3)
	w.wantState(w.pay(2, third), StateSigned)
	if got := verdictOf(w.cores[2], w.force(0, first)).Rule; got != policy.PayoutPaid {
		t.Errorf("the list of the forgotten promise is judged %q", got)
	}
	if w.cores[2].own.count != 2 {
		t.Errorf("member 2 counts %d promises", w.cores[2].own.count)
	}
}

// force proposes a payout of a list for which the proposer has forgotten every
// earlier attempt.
func (w *world) force(i int, list bitcoin.PayoutList) RequestID {
	w.t.Helper()
	core := w.cores[i]
	clear(core.requests.paid)
	kept := core.requests.all
	core.requests.all = map[RequestID]*request{}
	id, e, err := core.Pay(w.now, PayoutRequest{Key: "main", List: list.ID(), FeeRate: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	maps.Copy(core.requests.all, kept)
	w.settle(i, e)
	w.run()
	return id
}

// The operator's word that all is settled lifts the fence.
func TestSettledToLiftsTheFence(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	older := maps.Clone(w.disks[2])
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.pay(0, list)
	w.restore(2, older)
	fence := w.cores[2].Status().Fence
	if fence == 0 {
		t.Fatal("no fence")
	}
	for settled, want := range map[int]bool{-1: true, 0: false} {
		w.kill(2)
		w.configs[2].SettledTo = fence
		if settled < 0 {
			w.configs[2].SettledTo--
		}
		w.start(2)
		w.run()
		if got := w.cores[2].Status().Fence != 0; got != want {
			t.Errorf("settled to %d of %d: fenced %v", w.configs[2].SettledTo, fence, got)
		}
	}
}

// A database that is lost altogether is an older one, too, and its coins are not
// taken for settled before they are found.
func TestM5LostDatabaseHoldsBack(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.wantState(w.pay(0, list), StateSigned)
	w.configs[2].ScanFrom = 1
	w.restore(2, map[string][]byte{})
	next := payouts(t, "week 2", 3, 10_000)
	w.addList(next, 0, 1, 2, 3)
	if got := verdictOf(w.cores[2], w.pay(0, next)).Rule; got != RestoredRule {
		t.Fatalf("verdict %q", got)
	}
}

// After a start nothing is promised before t-1 others have spoken: they may know
// of promises that this disk does not.
func TestNoPromiseUnheard(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 1, 2, 3)
	id := w.pay(1, list)
	for i := range w.cores {
		w.kill(i)
	}
	w.start(0)
	w.addList(list, 0)
	if r := w.cores[0].requests.all[id]; r.verdict.Allow || w.cores[0].own.count != 0 || w.cores[0].Status().Heard {
		t.Fatal("a promise was made before anybody was heard")
	}
	w.start(1)
	w.run()
	if w.cores[0].Status().Heard {
		t.Fatal("one other member is enough")
	}
	w.start(2)
	w.run()
	if r := w.cores[0].requests.all[id]; !r.verdict.Allow || !w.cores[0].Status().Heard {
		t.Fatalf("verdict %v", r.verdict)
	}
}

// Nobody can put a member on hold: a mark counts only with its own signature, over
// all that it says, of this federation.
func TestForgedMarks(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.pay(0, list)
	c, victim := w.cores[0], w.configs[1].Self
	genuine := *c.peers[victim].mark
	if genuine.promises != 1 {
		t.Fatalf("%+v", genuine)
	}
	forgeries := map[string]func(*mark){
		"promises":   func(m *mark) { m.promises++ },
		"no promise": func(m *mark) { m.promises = 0 },
		"height":     func(m *mark) { m.height++ },
		"boot":       func(m *mark) { m.boot[3] ^= 1 },
		"signature":  func(m *mark) { m.sig[40] ^= 1 },
		"other member": func(m *mark) {
			var err error
			if m.sig, err = w.configs[0].Host.Sign(c.markHash(victim, m), [32]byte{}); err != nil {
				t.Fatal(err)
			}
		},
		"member's name": func(m *mark) {
			var err error
			if m.sig, err = w.configs[1].Host.Sign(c.markHash(w.configs[2].Self, m), [32]byte{}); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, forge := range forgeries {
		m := genuine
		forge(&m)
		heard, promised := cryptobyte.NewBuilder([]byte{noticeHeard, 1}), cryptobyte.NewBuilder([]byte{noticePromised})
		m.append(heard)
		m.append(promised)
		for _, r := range []struct {
			at, from int
			body     []byte
		}{{1, 0, heard.BytesOrPanic()}, {0, 1, promised.BytesOrPanic()}} {
			var out Effects
			w.cores[r.at].fromPeer(w.now, &out, w.configs[r.from].Self, r.body)
			if len(out.Faults) != 1 || out.Faults[0].Kind != FaultBadNotice || len(out.Out)+len(out.Persist) != 0 {
				t.Errorf("%s: %+v", name, out)
			}
		}
	}
	if w.cores[1].own.fence != 0 {
		t.Error("a forged mark raised the fence")
	}
}

// Marks survive at those who keep them, and only the highest does.
func TestMarksAreKept(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	for i, name := range []string{"week 1", "week 2"} {
		list := payouts(t, name, 3, 10_000)
		w.addList(list, 0, 1, 2, 3)
		w.wantState(w.pay(i, list), StateSigned)
	}
	for i := range w.cores {
		w.kill(i)
		w.start(i)
		w.run()
	}
	for i, core := range w.cores {
		for j, id := range core.members {
			if m := core.peers[id]; j != i && (m.mark == nil || m.mark.promises != 2) {
				t.Errorf("member %d knows %+v of %d", i, m.mark, j)
			}
		}
	}
}

func TestDamagedMarks(t *testing.T) {
	w := newWorld(t, 4, nil)
	for _, r := range []protocols.Record{
		{Key: "f/m", Value: []byte{recordVersion, 0}},
		{Key: "f/m", Value: append([]byte{recordVersion + 1}, make([]byte, 16)...)},
		{Key: "f/k/001", Value: []byte{recordVersion}},
		{Key: "f/k/000", Value: append([]byte{recordVersion}, make([]byte, 92)...)}, // its own
		{Key: "f/k/004", Value: append([]byte{recordVersion, 1}, make([]byte, 91)...)},
		{Key: "f/k/-01", Value: append([]byte{recordVersion, 1}, make([]byte, 91)...)},
		{Key: "f/k/x", Value: append([]byte{recordVersion, 1}, make([]byte, 91)...)},
	} {
		if _, _, err := Restore(w.now, w.configs[0], []protocols.Record{r}); err == nil {
			t.Errorf("%s = %x is accepted", r.Key, r.Value)
		}
	}
}

// Before the chain is read up to the fence, that no such coin is known says nothing.
func TestFenceAboveTheTip(t *testing.T) {
	w := newWorld(t, 4, nil)
	c := w.cores[0]
	for fence, want := range map[bitcoin.Height]bool{0: false, c.height(): false, c.height() + 1: true} {
		if c.own.fence = fence; c.fenced() != want {
			t.Errorf("tip %d, fence %d: fenced %v", c.height(), fence, !want)
		}
	}
}
