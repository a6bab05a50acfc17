//go:build !toygroup

package bip445

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/internal/secp"
)

func TestSignerSetRules(t *testing.T) {
	d := deal(t, 2, 4, 1)
	absent := d.info
	absent.PubShares = slices.Clone(absent.PubShares)
	absent.PubShares[3] = nil
	sparse, err := NewGroup(absent)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		group *Group
		ids   []int
		ok    bool
	}{
		"threshold":             {d.group, []int{3, 1}, true},
		"all":                   {d.group, []int{0, 1, 2, 3}, true},
		"none":                  {d.group, nil, false},
		"too few":               {d.group, []int{0}, false},
		"too many":              {d.group, []int{0, 1, 2, 3, 3}, false},
		"twice":                 {d.group, []int{0, 0}, false},
		"twice among others":    {d.group, []int{0, 1, 1}, false},
		"id n":                  {d.group, []int{0, 4}, false},
		"negative":              {d.group, []int{-1, 0}, false},
		"huge":                  {d.group, []int{1 << 40, 0}, false},
		"absent public share":   {sparse, []int{0, 3}, false},
		"other share is absent": {sparse, []int{0, 2}, true},
	} {
		_, err := c.group.SignerSet(c.ids)
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrPrecondition)) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = NewSignerSet(2, 4, d.info.ThreshPK[:], c.ids, nil)
		if want := c.ok || c.group == sparse; (err == nil) != want {
			t.Errorf("%s, without public shares: %v", name, err)
		}
	}
}

func TestParameterLimits(t *testing.T) {
	d := deal(t, 1, 1, 1)
	for _, c := range []struct {
		t, n int
		ok   bool
	}{{1, 1, true}, {1, 128, true}, {128, 128, true}, {0, 1, false}, {2, 1, false}, {1, 0, false}, {0, 0, false}, {1, 129, false}, {-1, 3, false}} {
		if err := checkParameters(c.t, c.n); (err == nil) != c.ok {
			t.Errorf("t=%d n=%d: %v", c.t, c.n, err)
		}
		if c.n == 0 || c.ok {
			continue
		}
		ids := make([]int, max(c.t, 1))
		if _, err := NewSignerSet(c.t, c.n, d.info.ThreshPK[:], ids, nil); !errors.Is(err, ErrPrecondition) {
			t.Errorf("set of t=%d n=%d: %v", c.t, c.n, err)
		}
		shares := make([][]byte, c.n)
		for i := range shares {
			shares[i] = d.info.PubShares[0]
		}
		if err := (ThresholdInfo{T: c.t, ThreshPK: d.info.ThreshPK, PubShares: shares}).Validate(); !errors.Is(err, ErrPrecondition) {
			t.Errorf("group of t=%d n=%d: %v", c.t, c.n, err)
		}
	}
}

// interpolates is ValidateThresholdInfo's rule as the BIP words it: the t lowest
// present shares give every other one and the key.
func interpolates(ti ThresholdInfo) bool {
	var ids []int
	var points []secp.Point
	for id, b := range ti.PubShares {
		if b == nil {
			continue
		}
		p, err := secp.ParsePoint(b)
		if err != nil {
			return false
		}
		ids, points = append(ids, id), append(points, p)
	}
	if len(ids) < ti.T {
		return false
	}
	at := func(x int) secp.Point { // Σ Π (x-id_k)/(id_i-id_k)·P_i
		var sum secp.Point
		for i := range ti.T {
			c := secp.ScalarFromUint(1)
			for k := range ti.T {
				if k != i {
					c = c.Mul(signed(x - ids[k])).Mul(signed(ids[i] - ids[k]).InverseVartime())
				}
			}
			sum = sum.Add(secp.MulVartime(c, points[i]))
		}
		return sum
	}
	for i := ti.T; i < len(ids); i++ {
		if !at(ids[i]).Equal(points[i]) {
			return false
		}
	}
	key, err := secp.ParsePoint(ti.ThreshPK[:])
	return err == nil && at(-1).Equal(key)
}

func signed(v int) secp.Scalar {
	if v < 0 {
		return secp.ScalarFromUint(uint64(-v)).Neg()
	}
	return secp.ScalarFromUint(uint64(v))
}

// TestOneSumMatchesInterpolationRule damages groups in every way that the rule
// of the BIP must notice and compares the verdicts.
func TestOneSumMatchesInterpolationRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(rt, "n")
		threshold := rapid.IntRange(1, n).Draw(rt, "t")
		d := deal(t, threshold, n, rapid.Uint64().Draw(rt, "seed"))
		ti := d.info
		ti.PubShares = slices.Clone(ti.PubShares)
		pick := func(name string) int { return rapid.IntRange(0, n-1).Draw(rt, name) }
		shift := func(id int, by secp.Point) {
			p, err := secp.ParsePoint(ti.PubShares[id])
			if err != nil {
				rt.Fatal(err)
			}
			if p = p.Add(by); !p.IsInfinity() {
				enc := p.Bytes()
				ti.PubShares[id] = enc[:]
			}
		}
		switch rapid.IntRange(0, 7).Draw(rt, "damage") {
		case 0: // none
		case 1:
			ti.ThreshPK[0] ^= 1
		case 2:
			shift(pick("id"), secp.Generator())
		case 3: // errors that cancel in a plain sum
			i, j := pick("i"), pick("j")
			shift(i, secp.Generator())
			shift(j, secp.Generator().Neg())
		case 4:
			i, j := pick("i"), pick("j")
			ti.PubShares[i], ti.PubShares[j] = ti.PubShares[j], ti.PubShares[i]
		case 5:
			ti.PubShares[pick("id")] = nil
		case 6: // ids from 1 instead of 0
			ti.PubShares = append([][]byte{nil}, ti.PubShares...)
		case 7:
			ti.T = rapid.IntRange(1, n).Draw(rt, "other t")
		}
		err := ti.Validate()
		if want := interpolates(ti); (err == nil) != want {
			rt.Fatalf("verdict %v, rule of the BIP: %v", err, want)
		}
		if err != nil && !errors.Is(err, ErrPrecondition) {
			rt.Fatal(err)
		}
	})
}

// TestCancellingSharesAreRejected is the full set whose errors cancel: shares 0
// and 1 are wrong such that all n still interpolate the key.
func TestCancellingSharesAreRejected(t *testing.T) {
	d := deal(t, 2, 4, 3)
	set, err := d.group.SignerSet([]int{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	ti := d.info
	ti.PubShares = slices.Clone(ti.PubShares)
	wrong := func(id int, by secp.Scalar) {
		enc := set.shares[id].point.Add(secp.SecretBaseMul(by)).Bytes()
		ti.PubShares[id] = enc[:]
	}
	wrong(0, set.lambda[1])
	wrong(1, set.lambda[0].Neg())
	if _, err := NewSignerSet(2, 4, ti.ThreshPK[:], []int{0, 1, 2, 3}, ti.PubShares); err != nil {
		t.Fatalf("the errors do not cancel, the test is void: %v", err)
	}
	if err := ti.Validate(); !errors.Is(err, ErrPrecondition) {
		t.Fatalf("group with cancelling errors: %v", err)
	}
}
