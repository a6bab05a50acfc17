//go:build !toygroup

package secp

import (
	"testing"

	"pgregory.net/rapid"
)

// drawScalar draws scalars of all lengths, so that small and extreme ones occur.
func drawScalar(t *rapid.T, name string) Scalar {
	var b [32]byte
	n := rapid.IntRange(0, 32).Draw(t, name+" length")
	copy(b[32-n:], rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name))
	s := ReduceScalar(b)
	return s.NegIf(rapid.Bool().Draw(t, name+" negated"))
}

func drawPoint(t *rapid.T, name string) Point { return SecretBaseMul(drawScalar(t, name)) }

// TestMultiplicationsAgree computes the same multiple on every path.
func TestMultiplicationsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, p := drawScalar(t, "a"), drawScalar(t, "b"), drawPoint(t, "p")
		aG, bP := SecretBaseMul(a), SecretMul(b, p)
		if !aG.Equal(SecretMul(a, Generator())) || !aG.Equal(BaseMulVartime(a)) || !aG.Equal(MulVartime(a, Generator())) {
			t.Fatal("aG differs between the paths")
		}
		if !bP.Equal(MulVartime(b, p)) {
			t.Fatal("bP differs between the paths")
		}
		want := aG.Add(bP)
		if !want.Equal(DoubleMulVartime(a, b, p)) || !want.Equal(MultiMulVartime([]Scalar{a, b}, []Point{Generator(), p})) {
			t.Fatal("aG+bP differs between the paths")
		}
		if !want.Add(bP).Equal(TripleMulVartime(a, b, p, b, p)) || !aG.Equal(TripleMulVartime(a, b, p, b.Neg(), p)) {
			t.Fatal("aG+bP+cQ differs between the paths")
		}
		k := rapid.Uint32Range(0, 300).Draw(t, "k")
		if !MulSmallVartime(k, p).Equal(MulVartime(ScalarFromUint(uint64(k)), p)) {
			t.Fatal("kP differs for small k")
		}
	})
}

func TestZeroValuesAreNeutral(t *testing.T) {
	var o Point
	g := Generator()
	for name, ok := range map[string]bool{
		"O is O":      o.IsInfinity() && Infinity().IsInfinity(),
		"O+O":         o.Add(o).IsInfinity(),
		"G+O":         g.Add(o).Equal(g) && o.Add(g).Equal(g),
		"G-G":         g.Sub(g).IsInfinity(),
		"-O":          o.Neg().IsInfinity(),
		"kO":          SecretMul(ScalarFromUint(7), o).IsInfinity() && MulVartime(ScalarFromUint(7), o).IsInfinity() && MulSmallVartime(7, o).IsInfinity(),
		"0G":          SecretBaseMul(Scalar{}).IsInfinity(),
		"empty sum":   MultiMulVartime(nil, nil).IsInfinity(),
		"encoding":    o.BytesOrInfinity() == [33]byte{},
		"O is not G":  !o.Equal(g),
		"y of O":      !o.HasOddY(),
		"1/0":         Scalar{}.InverseVartime().IsZero(),
		"scalar zero": Scalar{}.Equal(ScalarFromUint(0)),
	} {
		if !ok {
			t.Error(name)
		}
	}
}

func TestSignVerify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawScalar(t, "d")
		msg := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "msg")
		sig, err := BIP340.Sign(d, msg, [32]byte{1})
		if d.IsZero() {
			if err == nil {
				t.Fatal("signed with key 0")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		pub := SecretBaseMul(d)
		x := pub.X()
		if !BIP340.Verify(x[:], msg, sig[:]) || !BIP340.VerifyPoint(pub, msg, sig[:]) || !BIP340.VerifyPoint(pub.Neg(), msg, sig[:]) {
			t.Fatal("own signature is invalid")
		}
		if NewSchnorr("other").Verify(x[:], msg, sig[:]) {
			t.Fatal("signature is valid under another tag")
		}
		bad := sig
		bad[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if BIP340.Verify(x[:], msg, bad[:]) {
			t.Fatal("altered signature is valid")
		}
	})
}
