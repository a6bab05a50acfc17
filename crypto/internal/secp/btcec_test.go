//go:build !toygroup

package secp

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"pgregory.net/rapid"
)

// The reference for everything both libraries can do.

func btcecPoint(p Point) btcec.JacobianPoint {
	var out btcec.JacobianPoint
	if !p.IsInfinity() {
		enc := p.Bytes()
		k, err := btcec.ParsePubKey(enc[:])
		if err != nil {
			panic(err)
		}
		k.AsJacobian(&out)
	}
	return out
}

func btcecScalar(s Scalar) *btcec.ModNScalar {
	b := s.Bytes()
	var out btcec.ModNScalar
	out.SetBytes(&b)
	return &out
}

// same compares across libraries, including infinity.
func same(p Point, q *btcec.JacobianPoint) bool {
	q.ToAffine()
	if q.X.IsZero() && q.Y.IsZero() {
		return p.IsInfinity()
	}
	enc := p.BytesOrInfinity()
	return bytes.Equal(enc[:], btcec.NewPublicKey(&q.X, &q.Y).SerializeCompressed())
}

// compare checks all arithmetic on two scalars and the points they give.
func compare(t interface{ Fatal(...any) }, a, b Scalar) {
	ba, bb := btcecScalar(a), btcecScalar(b)
	p, q := SecretBaseMul(a), SecretMul(b, SecretBaseMul(a))
	bp, bq := btcecPoint(p), btcecPoint(q)
	var r btcec.JacobianPoint
	if btcec.ScalarBaseMultNonConst(ba, &r); !same(p, &r) {
		t.Fatal("aG differs")
	}
	if btcec.ScalarMultNonConst(bb, &bp, &r); !same(q, &r) || !same(MulVartime(b, p), &r) {
		t.Fatal("bP differs")
	}
	if btcec.AddNonConst(&bp, &bq, &r); !same(p.Add(q), &r) {
		t.Fatal("P+Q differs")
	}
	var aG, bQ btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(ba, &aG)
	btcec.ScalarMultNonConst(bb, &bq, &bQ)
	if btcec.AddNonConst(&aG, &bQ, &r); !same(DoubleMulVartime(a, b, q), &r) {
		t.Fatal("aG+bQ differs")
	}
	var sum, product, neg btcec.ModNScalar
	sum.Add2(ba, bb)
	product.Mul2(ba, bb)
	neg.NegateVal(ba)
	if a.Add(b).Bytes() != sum.Bytes() || a.Mul(b).Bytes() != product.Bytes() || a.Neg().Bytes() != neg.Bytes() {
		t.Fatal("scalar arithmetic differs")
	}
	if !a.Sub(b).Equal(a.Add(b.Neg())) || !a.NegIf(true).Equal(a.Neg()) || !a.NegIf(false).Equal(a) {
		t.Fatal("scalar identities fail")
	}
	var inverse btcec.ModNScalar
	if inverse.InverseValNonConst(ba); a.InverseVartime().Bytes() != inverse.Bytes() {
		t.Fatal("scalar inverse differs")
	}
}

func TestArithmeticAgainstBtcec(t *testing.T) {
	edge := []Scalar{{}, ScalarFromUint(1), ScalarFromUint(2), ScalarFromUint(1).Neg(), ScalarFromUint(2).Neg(), ReduceScalar([32]byte{0x80})}
	for _, a := range edge {
		for _, b := range edge {
			compare(t, a, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) { compare(t, drawScalar(t, "a"), drawScalar(t, "b")) })
}

func FuzzArithmetic(f *testing.F) {
	f.Add(make([]byte, 32), bytes.Repeat([]byte{0xff}, 32))
	f.Add([]byte{1}, []byte{2})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var x, y [32]byte
		copy(x[:], a)
		copy(y[:], b)
		compare(t, ReduceScalar(x), ReduceScalar(y))
	})
}

// decode holds the codecs against btcec and against themselves. btcec accepts
// more: it is asked only about the form that is accepted here.
func decode(t *testing.T, b []byte) {
	p, err := ParsePoint(b)
	ref, refErr := btcec.ParsePubKey(b)
	if want := refErr == nil && len(b) == 33; (err == nil) != want {
		t.Fatalf("ParsePoint(%x): error %v, want accepted = %v", b, err, want)
	}
	if err == nil {
		enc, y := p.Bytes(), p.Y()
		if !bytes.Equal(enc[:], b) || !bytes.Equal(enc[:], ref.SerializeCompressed()) {
			t.Fatalf("point %x re-encodes as %x", b, enc)
		}
		if ry := ref.SerializeUncompressed()[33:]; !bytes.Equal(y[:], ry) {
			t.Fatalf("y of %x is %x, want %x", b, y, ry)
		}
		if q, err := ParsePointWithY(b, y[:]); err != nil || !q.Equal(p) {
			t.Fatalf("point with its y is refused or differs: %v", err)
		}
		y[31] ^= 1
		if _, err := ParsePointWithY(b, y[:]); err == nil {
			t.Fatal("point with a wrong y is accepted")
		}
		negated := p.Neg().Y() // on the curve, but of the other prefix
		if _, err := ParsePointWithY(b, negated[:]); err == nil {
			t.Fatal("point with the y of its negative is accepted")
		}
	}
	q, err := ParsePointOrInfinity(b)
	zero := len(b) == 33 && bytes.Equal(b, make([]byte, 33))
	if want := zero || (refErr == nil && len(b) == 33); (err == nil) != want {
		t.Fatalf("ParsePointOrInfinity(%x): error %v, want accepted = %v", b, err, want)
	}
	if err == nil {
		if enc := q.BytesOrInfinity(); !bytes.Equal(enc[:], b) || q.IsInfinity() != zero {
			t.Fatalf("point %x re-encodes as %x", b, enc)
		}
	}
	s, err := ParseScalar(b)
	var rs btcec.ModNScalar
	if want := len(b) == 32 && !rs.SetByteSlice(b); (err == nil) != want {
		t.Fatalf("ParseScalar(%x): error %v, want accepted = %v", b, err, want)
	}
	if err == nil {
		if enc := s.Bytes(); !bytes.Equal(enc[:], b) {
			t.Fatalf("scalar %x re-encodes as %x", b, enc)
		}
		if _, err := ParseScalarNonZero(b); (err == nil) != !rs.IsZero() {
			t.Fatalf("ParseScalarNonZero(%x): %v", b, err)
		}
	}
	_, err = LiftX(b)
	if _, refErr := schnorr.ParsePubKey(b); (err == nil) != (refErr == nil) {
		t.Fatalf("LiftX(%x): %v, btcec: %v", b, err, refErr)
	}
}

var (
	fieldPrime = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"
	order      = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	genX       = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	genY       = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)

// codecCases are the encodings that libraries are known to accept by mistake.
var codecCases = map[string]string{
	"G":                             "02" + genX,
	"-G":                            "03" + genX,
	"hybrid 06":                     "06" + genX + genY,
	"hybrid 07":                     "07" + genX + genY,
	"uncompressed":                  "04" + genX + genY,
	"33 bytes tagged 04":            "04" + genX,
	"33 bytes tagged 06":            "06" + genX,
	"x only":                        genX,
	"one byte of infinity":          "00",
	"infinity":                      "000000000000000000000000000000000000000000000000000000000000000000",
	"infinity with garbage":         "00" + genX,
	"infinity with last bit":        "000000000000000000000000000000000000000000000000000000000000000001",
	"x = p":                         "02" + fieldPrime,
	"x = p+1":                       "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
	"x not on the curve":            "020000000000000000000000000000000000000000000000000000000000000007",
	"scalar = order":                order,
	"scalar = order-1":              "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
	"scalar 0":                      "0000000000000000000000000000000000000000000000000000000000000000",
	"scalar, all ones":              "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"scalar of 33 bytes":            "000000000000000000000000000000000000000000000000000000000000000000",
	"scalar of 31 bytes":            "01000000000000000000000000000000000000000000000000000000000000",
	"empty":                         "",
	"G with a byte too many":        "02" + genX + "00",
	"G with a byte too few":         "02" + genX[:62],
	"y of the generator as x of it": "02" + genY,
}

func TestCodecsAgainstBtcec(t *testing.T) {
	for name, c := range codecCases {
		t.Run(name, func(t *testing.T) { decode(t, unhex(t, c)) })
	}
	for _, accepted := range []string{"02" + genX, "03" + genX} {
		if _, err := ParsePoint(unhex(t, accepted)); err != nil {
			t.Errorf("%s is refused", accepted)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range codecCases {
		b := make([]byte, len(c)/2)
		for i := range b {
			b[i] = unhexDigit(c[2*i])<<4 | unhexDigit(c[2*i+1])
		}
		f.Add(b)
	}
	f.Fuzz(decode)
}

func unhexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// TestSchnorrAgainstBtcec crosses the implementations on 32-byte messages, the
// only ones btcec handles.
func TestSchnorrAgainstBtcec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawScalar(t, "d")
		if d.IsZero() {
			return
		}
		var msg, aux [32]byte
		copy(msg[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "msg"))
		copy(aux[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "aux"))
		db := d.Bytes()
		priv, pub := btcec.PrivKeyFromBytes(db[:])
		ours, err := BIP340.Sign(d, msg[:], aux)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := schnorr.Sign(priv, msg[:], schnorr.CustomNonce(aux))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours[:], theirs.Serialize()) {
			t.Fatal("signatures differ")
		}
		x := schnorr.SerializePubKey(pub)
		if !BIP340.Verify(x, msg[:], theirs.Serialize()) {
			t.Fatal("btcec's signature is refused")
		}
		msg[0] ^= 1
		if BIP340.Verify(x, msg[:], ours[:]) || theirs.Verify(msg[:], pub) {
			t.Fatal("signature of another message is accepted")
		}
	})
}
