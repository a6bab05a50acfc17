package sim

import (
	"errors"
	"testing"
)

// The tester is tested: each mutant must be noticed, and by an invariant that it
// can break. The seeds needed are a measure of how hard the worlds are.
func TestMutants(t *testing.T) {
	const most = 60
	for _, test := range []struct {
		name   string
		mutant Mutant
		by     []string
	}{
		{"speak before commit", SpeakFirst, []string{"I2", "I3", "I5", "I6"}},
		{"start with an empty disk", Amnesia, []string{"I1", "I3", "I5", "I6"}},
		{"draw the same randomness again", SameRandomness, []string{"I2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= most; seed++ {
				var v *Violation
				if !errors.As(Run(seed, Options{Mutant: test.mutant}).Err, &v) {
					continue
				}
				for _, name := range test.by {
					if v.Invariant == name {
						t.Logf("noticed with seed %d: %v", seed, v)
						return
					}
				}
				t.Logf("seed %d: %v", seed, v)
			}
			t.Errorf("not noticed within %d seeds", most)
		})
	}
}
