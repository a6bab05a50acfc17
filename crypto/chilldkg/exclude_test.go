//go:build !toygroup

package chilldkg

import (
	"errors"
	"testing"
)

func TestExclusionVotes(t *testing.T) {
	f := newFixture(t, 3, 4, 1)
	sig, err := SignExclusion(f.keys[0], f.params, f.session, 2, 1, bytes32("aux"))
	must(t, err)
	if !VerifyExclusion(f.params, f.session, 0, 2, 1, sig[:]) {
		t.Fatal("own vote does not verify")
	}
	flipped := sig
	flipped[40] ^= 1
	for name, ok := range map[string]bool{
		"other voter":   VerifyExclusion(f.params, f.session, 1, 2, 1, sig[:]),
		"other culprit": VerifyExclusion(f.params, f.session, 0, 3, 1, sig[:]),
		"other reason":  VerifyExclusion(f.params, f.session, 0, 2, 2, sig[:]),
		"other session": VerifyExclusion(f.params, SessionID{1}, 0, 2, 1, sig[:]),
		"bit":           VerifyExclusion(f.params, f.session, 0, 2, 1, flipped[:]),
		"short":         VerifyExclusion(f.params, f.session, 0, 2, 1, sig[:63]),
		"oneself":       VerifyExclusion(f.params, f.session, 2, 2, 1, sig[:]),
		"voter < 0":     VerifyExclusion(f.params, f.session, -1, 2, 1, sig[:]),
		"culprit = n":   VerifyExclusion(f.params, f.session, 0, 4, 1, sig[:]),
	} {
		if ok {
			t.Errorf("accepted: %s", name)
		}
	}
	for _, culprit := range []int{-1, 0, 4} {
		if _, err := SignExclusion(f.keys[0], f.params, f.session, culprit, 1, bytes32("aux")); !errors.Is(err, ErrMalformed) {
			t.Errorf("culprit %d: %v", culprit, err)
		}
	}
	if _, err := SignExclusion(bytes32("stranger"), f.params, f.session, 1, 1, bytes32("aux")); !errors.Is(err, ErrHostSeckey) {
		t.Errorf("stranger: %v", err)
	}
}
