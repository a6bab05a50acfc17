//go:build !toygroup

package chilldkg

import (
	"errors"
	"slices"
	"testing"
)

// The victims of bad shares complain about the dealer, and nobody else sees
// anything wrong.
func TestDealBadShares(t *testing.T) {
	const n, dealer = 4, 2
	f := newFixture(t, 3, n, 1)
	dealings := f.dealAll(t)
	victim := func(id int) bool { return id != 0 } // itself included, which has no effect
	bad, err := DealBadShares(f.keys[dealer], f.params, f.session, bytes32("random"), victim)
	must(t, err)
	dealings[dealer] = bad
	round, err := Combine(f.open(t, dealings))
	must(t, err)
	for id := range n {
		_, _, err := round.Step2(f.keys[id], dealings[id], bytes32("aux"))
		if id == 0 || id == dealer {
			must(t, err)
			continue
		}
		e, ok := errors.AsType[*BadSharesError](err)
		if !ok || !slices.Equal(e.Dealers, []int{dealer}) {
			t.Fatalf("participant %d: %v", id, err)
		}
	}
}
