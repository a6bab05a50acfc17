//go:build toygroup

package secp

import (
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

// affine returns the coordinates of kG as an independent library holds them. Its
// addition formulas, like all for curves y² = x³+b, do not contain b.
func affine(k uint8) (p btcec.JacobianPoint) {
	if k != 0 {
		x, y := Point{Scalar{k}}.X(), Point{Scalar{k}}.Y()
		p.X.SetBytes(&x)
		p.Y.SetBytes(&y)
		p.Z.SetInt(1)
	}
	return p
}

// TestToyGroupIsACurve proves by exhaustion that adding logarithms modulo 13 is
// adding points of y² = x³+2.
func TestToyGroupIsACurve(t *testing.T) {
	for i := range uint8(ToyOrder) {
		if i != 0 {
			p := affine(i)
			var rhs, y2 btcec.FieldVal
			rhs.SquareVal(&p.X).Mul(&p.X).AddInt(2).Normalize()
			if y2.SquareVal(&p.Y).Normalize(); !y2.Equals(&rhs) {
				t.Fatalf("%dG is not on the curve", i)
			}
		}
		for j := range uint8(ToyOrder) {
			p, q, want := affine(i), affine(j), affine(Point{Scalar{i}}.Add(Point{Scalar{j}}).log.v)
			var sum btcec.JacobianPoint
			btcec.AddNonConst(&p, &q, &sum)
			sum.ToAffine()
			if !sum.X.Equals(&want.X) || !sum.Y.Equals(&want.Y) {
				t.Errorf("%dG + %dG is not %dG", i, j, (i+j)%ToyOrder)
			}
		}
	}
}

func TestToyScalars(t *testing.T) {
	for i := range ToyOrder {
		a := ScalarFromUint(uint64(i))
		if inverse := a.InverseVartime(); i != 0 && a.Mul(inverse) != ScalarFromUint(1) {
			t.Errorf("1/%d is %d", i, inverse.v)
		}
		for j := range ToyOrder {
			b := ScalarFromUint(uint64(j))
			if int(a.Add(b).v) != (i+j)%13 || int(a.Mul(b).v) != i*j%13 || a.Sub(b).Add(b) != a || a.Neg().Add(a) != (Scalar{}) {
				t.Errorf("arithmetic of %d and %d", i, j)
			}
		}
	}
	var ones [32]byte
	for i := range ones {
		ones[i] = 0xff
	}
	// 2^12 = 1 modulo 13 and 256 = 12·21+4, so 2^256-1 = 2^4-1 = 2.
	if ReduceScalar(ones) != ScalarFromUint(2) {
		t.Errorf("2^256-1 is %d", ReduceScalar(ones).v)
	}
}

func TestToyCodecs(t *testing.T) {
	seen := make(map[[33]byte]bool)
	for i := range uint8(ToyOrder) {
		p := Point{Scalar{i}}
		enc := p.BytesOrInfinity()
		if q, err := ParsePointOrInfinity(enc[:]); err != nil || q != p || seen[enc] {
			t.Errorf("%dG does not survive encoding", i)
		}
		seen[enc] = true
		if _, err := ParsePoint(enc[:]); (err == nil) != (i != 0) {
			t.Errorf("decode %dG: %v", i, err)
		}
		if i == 0 {
			continue
		}
		x, y := p.X(), p.Y()
		if even, err := LiftX(x[:]); err != nil || even != p.NegIf(p.HasOddY()) {
			t.Errorf("lift x of %dG: %v", i, err)
		}
		if q, err := ParsePointWithY(enc[:], y[:]); err != nil || q != p {
			t.Errorf("decode %dG with y: %v", i, err)
		}
		if _, err := ParsePointWithY(enc[:], x[:]); err == nil {
			t.Errorf("%dG has two y", i)
		}
		if _, err := ParseScalar(x[:]); err == nil {
			t.Error("a scalar beyond the order is accepted")
		}
	}
}

// TestEverySignature checks that of all (R, s) exactly those on the line
// sG = R + eP are signatures, and that Sign returns one of them.
func TestEverySignature(t *testing.T) {
	msg := []byte("message")
	for d := uint8(1); d < ToyOrder; d++ {
		pub := Point{Scalar{d}}
		x := pub.X()
		even := pub.NegIf(pub.HasOddY())
		valid := 0
		for r := uint8(1); r < ToyOrder; r++ {
			rx := Point{Scalar{r}}.X()
			if (Point{Scalar{r}}).HasOddY() {
				continue
			}
			e := ReduceScalar(BIP340.challenge.Hash(rx[:], x[:], msg))
			for s := range uint8(ToyOrder) {
				z := Scalar{s}.Bytes()
				sig := append(rx[:], z[:]...)
				want := int(s) == (int(r)+int(e.v)*int(even.log.v))%ToyOrder
				if BIP340.VerifyPoint(pub, msg, sig) != want {
					t.Errorf("key %d, R %d, s %d: valid is %v", d, r, s, !want)
				}
				if want {
					valid++
				}
			}
		}
		if valid != 6 {
			t.Errorf("key %d has %d signatures, want one for each even R", d, valid)
		}
		for aux := range byte(50) {
			sig, err := BIP340.Sign(Scalar{d}, msg, [32]byte{aux})
			if err == nil && !BIP340.VerifyPoint(pub, msg, sig[:]) {
				t.Errorf("key %d: own signature is invalid", d)
			}
		}
	}
}

// TestEveryDLEQProof tries every response and every challenge for all triples
// A, B, C. True statements have a valid response for each challenge. False ones
// have it for at most one challenge per commitment: an author of a false proof
// must hit it with the hash, and that chance is one in the order of the group.
func TestEveryDLEQProof(t *testing.T) {
	accepted, hits := 0, 0
	for a := uint8(1); a < ToyOrder; a++ {
		for b := uint8(1); b < ToyOrder; b++ {
			for c := uint8(1); c < ToyOrder; c++ {
				A, B, C := Point{Scalar{a}}, Point{Scalar{b}}, Point{Scalar{c}}
				challenges := make(map[[2]Point]int)
				for s := range uint8(ToyOrder) {
					for e := range uint8(ToyOrder) {
						r1, r2 := toyScalar(int(s)-int(e)*int(a)%ToyOrder), Scalar{s}.Mul(Scalar{b}).Sub(Scalar{e}.Mul(Scalar{c}))
						if r1.IsZero() || r2.IsZero() {
							continue
						}
						R1, R2 := Point{r1}, Point{r2}
						challenges[[2]Point{R1, R2}]++
						hash := dleqHash(A, B, C, generator, R1, R2, nil)
						z := Scalar{s}.Bytes()
						want := ReduceScalar(hash) == Scalar{e}
						if DLEQVerify(A, B, C, append(hash[:], z[:]...), nil) != want {
							t.Fatalf("a=%d b=%d c=%d s=%d e=%d: accepted is %v", a, b, c, s, e, !want)
						}
						if want && c != uint8(int(a)*int(b)%ToyOrder) {
							hits++
						}
						if want {
							accepted++
						}
					}
				}
				most := 1
				if int(c) == int(a)*int(b)%ToyOrder {
					most = ToyOrder
				}
				for r, n := range challenges {
					if n != most {
						t.Fatalf("a=%d b=%d c=%d: %v answers %d challenges, want %d", a, b, c, r, n, most)
					}
				}
			}
		}
	}
	t.Logf("%d proofs are accepted, %d of them false: the hash hit", accepted, hits)
}
