package membership

import (
	"testing"

	"frostfed/bitcoin/epoch"
)

func TestLife(t *testing.T) {
	w := newWorld(t, 4, 1)
	eve := w.applicant(10)
	w.until(1, 60)
	if !has(w.state(), eve) || len(w.state().Members) != 5 || eve.m == nil {
		t.Fatalf("members: %d", len(w.state().Members))
	}
	w.mine(12)
	w.leave(w.order[0])
	w.until(2, 60)
	if has(w.state(), w.order[0]) || len(w.state().Members) != 4 {
		t.Fatal("still a member")
	}
	w.mine(12)
	// Put out with proof.
	liar := w.order[1]
	e, err := w.order[2].m.Expel(0, liar.card.Bond, epoch.Equivocation, []byte{'p', liar.id})
	w.must(err)
	w.apply(w.order[2], e)
	w.settle()
	w.until(3, 60)
	if has(w.state(), liar) {
		t.Fatal("the liar is still a member")
	}
	for _, c := range w.state().Changes {
		if c.Kind != epoch.Removed || c.Class != epoch.Equivocation || c.Bond != liar.card.Bond {
			t.Errorf("change %+v", c)
		}
	}
	// Renewed by age alone.
	w.until(4, 200)
	for _, nd := range w.order {
		if len(nd.faults) > 0 {
			t.Errorf("node %d blames %+v", nd.id, nd.faults[0])
		}
	}
}
