//go:build exponents && !toygroup

package secp

import (
	"math/rand/v2"
	"testing"
)

// The group has the laws and the encodings of the curve's: what is decoded is
// encoded to the same bytes, -P differs from P in the parity byte alone, about half
// of all strings are x coordinates, and signatures verify, changed ones do not.
func TestExponents(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	scalar := func() Scalar {
		var b [32]byte
		rng.Read(b[:])
		return ReduceScalar(b)
	}
	coordinates := 0
	for range 1000 {
		a, b := scalar(), scalar()
		p, q := SecretBaseMul(a), SecretBaseMul(b)
		if !p.Add(q).Equal(SecretBaseMul(a.Add(b))) || !SecretMul(b, p).Equal(SecretMul(a, q)) || !p.Sub(p).IsInfinity() ||
			!MultiMulVartime([]Scalar{a, b}, []Point{q, p}).Equal(SecretMul(b.Add(b), p)) {
			t.Fatal("not a group")
		}
		enc, neg, secret := p.Bytes(), p.Neg().Bytes(), a.Bytes()
		if enc[0]^neg[0] != 1 || p.X() != p.Neg().X() || p.HasOddY() == p.Neg().HasOddY() || p.X() == secret {
			t.Fatalf("encodings %x and %x", enc, neg)
		}
		back, err := ParsePoint(enc[:])
		if err != nil || !back.Equal(p) {
			t.Fatalf("decoded %v, %v", back, err)
		}
		x := b.Bytes()
		if even, err := LiftX(x[:]); err == nil {
			coordinates++
			if even.HasOddY() || even.X() != x {
				t.Fatal("lifted to another x")
			}
		}
		sig, err := BIP340.Sign(a, enc[:], [32]byte{})
		x = p.X()
		if err != nil || !BIP340.Verify(x[:], enc[:], sig[:]) || BIP340.Verify(x[:], neg[:], sig[:]) {
			t.Fatal("signatures")
		}
	}
	if coordinates < 400 || coordinates > 600 {
		t.Errorf("%d of 1000 strings are x coordinates", coordinates)
	}
	if _, err := ParsePoint(make([]byte, PointSize)); err == nil {
		t.Error("O was decoded")
	}
}
