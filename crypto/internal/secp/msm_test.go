//go:build !toygroup && !exponents

package secp

import (
	"testing"

	"pgregory.net/rapid"
)

// TestMultiMulMatchesSum includes repeated points, points at infinity, zero and
// extreme scalars, and pairs that cancel.
func TestMultiMulMatchesSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "n")
		var ks []Scalar
		var ps []Point
		var want Point
		for len(ks) < n {
			k, p := drawScalar(t, "k"), drawPoint(t, "p")
			ks, ps = append(ks, k), append(ps, p)
			want = want.Add(SecretMul(k, p))
			if rapid.Bool().Draw(t, "cancel") {
				ks, ps = append(ks, k.Neg()), append(ps, p)
				want = want.Sub(SecretMul(k, p))
			}
		}
		if !MultiMulVartime(ks, ps).Equal(want) {
			t.Fatalf("sum of %d terms differs", len(ks))
		}
	})
}

// TestRecodeIsTheScalar adds the digits up again and checks their form.
func TestRecodeIsTheScalar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawScalar(t, "k")
		var digits [nafDigits]int8
		used := recode(k.Bytes(), &digits)
		var sum Scalar
		last := nafDigits
		for i := nafDigits - 1; i >= 0; i-- {
			d := digits[i]
			sum = sum.Add(sum)
			if d == 0 {
				continue
			}
			if i >= used {
				t.Fatalf("digit %d is not zero, but only %d are in use", i, used)
			}
			if d%2 == 0 || d >= 1<<(nafWidth-1) || d <= -1<<(nafWidth-1) {
				t.Fatalf("digit %d is %d", i, d)
			}
			if last != nafDigits && last-i < nafWidth && last != 256 {
				t.Fatalf("digits %d and %d are both nonzero", i, last)
			}
			last = i
			if d > 0 {
				sum = sum.Add(ScalarFromUint(uint64(d)))
			} else {
				sum = sum.Sub(ScalarFromUint(uint64(-d)))
			}
		}
		if !sum.Equal(k) {
			t.Fatal("digits do not add up to the scalar")
		}
	})
}

// TestVerifyBatchMatchesSingle damages at most one signature of a batch.
func TestVerifyBatchMatchesSingle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "n")
		items := make([]BatchItem, n)
		for i := range items {
			d := ScalarFromUint(uint64(rapid.IntRange(1, 1000).Draw(t, "d")))
			msg := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "msg")
			sig, err := BIP340.Sign(d, msg, [32]byte{byte(i)})
			if err != nil {
				t.Fatal(err)
			}
			items[i] = BatchItem{SecretBaseMul(d), msg, sig[:]}
		}
		want := true
		if n > 0 && rapid.Bool().Draw(t, "damage") {
			it := &items[rapid.IntRange(0, n-1).Draw(t, "victim")]
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				it.Sig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1
			case 1:
				it.Msg = append(it.Msg, 0)
			case 2:
				it.Pubkey = Point{}
			case 3:
				it.Sig = it.Sig[:63]
			}
			want = false
		}
		if got := BIP340.VerifyBatch(items); got != want {
			t.Fatalf("batch of %d: valid = %v, want %v", n, got, want)
		}
	})
}

// TestVerifyBatchRejectsCancellingErrors shifts one s up and another down: the
// plain sum of the equations would still hold.
func TestVerifyBatchRejectsCancellingErrors(t *testing.T) {
	items := make([]BatchItem, 2*batchMin)
	for i := range items {
		d := ScalarFromUint(uint64(i) + 1)
		sig, err := BIP340.Sign(d, nil, [32]byte{})
		if err != nil {
			t.Fatal(err)
		}
		items[i] = BatchItem{SecretBaseMul(d), nil, sig[:]}
	}
	if !BIP340.VerifyBatch(items) {
		t.Fatal("valid batch is refused")
	}
	shift := func(i int, by Scalar) {
		s, err := ParseScalar(items[i].Sig[32:])
		if err != nil {
			t.Fatal(err)
		}
		b := s.Add(by).Bytes()
		copy(items[i].Sig[32:], b[:])
	}
	one := ScalarFromUint(1)
	shift(3, one)
	shift(4, one.Neg())
	if BIP340.VerifyBatch(items) {
		t.Fatal("errors that cancel are accepted")
	}
}
