//go:build !toygroup

package shamir

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/internal/secp"
)

func drawIDs(t *rapid.T, least int) []int {
	return rapid.SliceOfNDistinct(rapid.IntRange(0, 127), least, 128, rapid.ID[int]).Draw(t, "ids")
}

// TestLagrangeMatchesDefinition computes each coefficient one factor at a time.
func TestLagrangeMatchesDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := drawIDs(t, 1)
		got := Lagrange(ids)
		for i, id := range ids {
			want := secp.ScalarFromUint(1)
			for _, k := range ids {
				if k == id {
					continue
				}
				num := secp.ScalarFromUint(uint64(k + 1))
				den := secp.ScalarFromUint(uint64(k + 1)).Sub(secp.ScalarFromUint(uint64(id + 1)))
				want = want.Mul(num).Mul(den.InverseVartime())
			}
			if !got[i].Equal(want) {
				t.Fatalf("coefficient of id %d in %v differs", id, ids)
			}
		}
	})
}

// TestDualWeightsAnnihilateLowDegree checks the property they are used for, and
// that it fails for the first degree it need not hold.
func TestDualWeightsAnnihilateLowDegree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := append(drawIDs(t, 2), 200)
		v := DualWeights(xs)
		sum := func(degree int) secp.Scalar {
			var s secp.Scalar
			for j, x := range xs {
				p := secp.ScalarFromUint(1)
				for range degree {
					p = p.Mul(secp.ScalarFromUint(uint64(x)))
				}
				s = s.Add(v[j].Mul(p))
			}
			return s
		}
		if d := rapid.IntRange(0, len(xs)-2).Draw(t, "degree"); !sum(d).IsZero() {
			t.Fatalf("sum for degree %d of %d nodes is not zero", d, len(xs))
		}
		if sum(len(xs) - 1).IsZero() {
			t.Fatal("sum is zero for a degree that is not annihilated")
		}
	})
}

func BenchmarkLagrange(b *testing.B) {
	for _, c := range [][2]int{{3, 5}, {7, 10}, {14, 20}, {34, 50}, {67, 100}} {
		b.Run(fmt.Sprintf("t=%d,n=%d", c[0], c[1]), func(b *testing.B) {
			ids := make([]int, c[0])
			for i := range ids {
				ids[i] = i * (c[1] - 1) / (c[0] - 1)
			}
			for b.Loop() {
				Lagrange(ids)
			}
		})
	}
}
