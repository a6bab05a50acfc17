package federation

import "testing"

// Two members approved one transaction for a list, then a reorg hid it from the
// others. A later one must be such that all can approve it.
func TestSplitMembersAgreeAgain(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1)
	w.mine(nil, 1)
	first := w.pay(0, list)
	w.unmine()
	w.mine(nil, 2)
	w.fund("main", 5_000_000) // what a member that knows of no earlier attempt would take
	w.addList(list, 2, 3)
	for i, want := range []State{StateApproved, StateApproved, StateWaiting, StateWaiting} {
		if got := w.state(i, first); got != want {
			t.Fatalf("member %d: the first request is %s, want %s", i, got, want)
		}
	}
	second := w.pay(2, list)
	w.wantState(second, StateSigned)
	a, _ := w.cores[0].Request(first.String())
	b, _ := w.cores[0].Request(second.String())
	if a.Tx != nil || len(b.Tx.TxIn) != 2 {
		t.Fatalf("the second spends %d coins", len(b.Tx.TxIn))
	}
	w.mine(nil, 0, b.Tx)
	w.wantState(second, StateConfirmed)
	for i := range 2 {
		if got := w.state(i, first); got != StateReplaced {
			t.Errorf("member %d: the first request is %s", i, got)
		}
	}
}
