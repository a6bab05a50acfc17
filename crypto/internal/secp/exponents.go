//go:build exponents && !toygroup

package secp

import (
	"errors"
	"testing"
)

// Under the build tag exponents a point is its logarithm to the generator, and to
// multiply is to multiply numbers. The group has the order of secp256k1 and all its
// laws, so that protocols run in it step by step as on the curve, a hundred times
// faster and without any security. It is for simulations of many federations.
//
// A point is encoded as its logarithm or the negative of that, whichever is
// smaller, with the parity byte telling which: so half of all 32-byte strings are x
// coordinates here, as on the curve. The logarithm is to a base of which G is some
// multiple, so that the bytes of a public key are not those of the secret.

// Only a test may contain this backend. The daemon does not even compile with it
// (cmd/node), and any other program ends here.
func init() {
	if !testing.Testing() {
		panic("secp: built with the group of exponents, which is for tests")
	}
}

// ErrPoint reports bytes that do not encode a point of the group in the one
// accepted form.
var ErrPoint = errors.New("invalid point")

// PointSize is the length of an encoded point.
const PointSize = 33

const (
	evenY = 0x02
	oddY  = 0x03
)

// Point is its logarithm. The zero value is the point at infinity.
type Point struct{ k Scalar }

var generator = Point{ReduceScalar(NewTag("frostfed/v1/exponents").Hash())}

// Infinity returns the neutral element, written O below.
func Infinity() Point { return Point{} }

// Generator returns the base point G.
func Generator() Point { return generator }

// ParsePoint decodes a compressed point, never O.
func ParsePoint(b []byte) (Point, error) {
	if len(b) != PointSize || b[0] != evenY && b[0] != oddY {
		return Point{}, ErrPoint
	}
	k, err := ParseScalarNonZero(b[1:])
	if err != nil || upper(k) {
		return Point{}, ErrPoint
	}
	return Point{k.NegIf(b[0] == oddY)}, nil
}

// upper says whether the order less k is the smaller of the two.
func upper(k Scalar) bool {
	a, b := k.Bytes(), k.Neg().Bytes()
	return string(a[:]) > string(b[:])
}

// ParsePointOrInfinity is ParsePoint that reads 33 zero bytes as O.
func ParsePointOrInfinity(b []byte) (Point, error) {
	if len(b) == PointSize && [PointSize]byte(b) == [PointSize]byte{} {
		return Point{}, nil
	}
	return ParsePoint(b)
}

// ParsePointWithY is ParsePoint that holds y against the 32 bytes given.
func ParsePointWithY(b, y []byte) (Point, error) {
	p, err := ParsePoint(b)
	if err != nil || len(y) != 32 || p.Y() != [32]byte(y) {
		return Point{}, ErrPoint
	}
	return p, nil
}

// LiftX returns the point with the given 32-byte x coordinate and even y.
func LiftX(x []byte) (Point, error) {
	if len(x) != 32 {
		return Point{}, ErrPoint
	}
	return ParsePoint(append([]byte{evenY}, x...))
}

// Add returns p + q.
func (p Point) Add(q Point) Point { return Point{p.k.Add(q.k)} }

// Sub returns p - q.
func (p Point) Sub(q Point) Point { return Point{p.k.Sub(q.k)} }

// Neg returns -p.
func (p Point) Neg() Point { return Point{p.k.Neg()} }

// NegIf returns -p if cond, else p.
func (p Point) NegIf(cond bool) Point { return Point{p.k.NegIf(cond)} }

// IsInfinity reports p == O.
func (p Point) IsInfinity() bool { return p.k.IsZero() }

// Equal reports p == q.
func (p Point) Equal(q Point) bool { return p.k.Equal(q.k) }

// HasOddY reports the parity byte; false for O.
func (p Point) HasOddY() bool { return !p.IsInfinity() && upper(p.k) }

// Bytes returns the compressed encoding. It panics for O.
func (p Point) Bytes() [33]byte {
	if p.IsInfinity() {
		panic("secp: encoding of the point at infinity")
	}
	odd := upper(p.k)
	x, prefix := p.k.NegIf(odd).Bytes(), byte(evenY)
	if odd {
		prefix = oddY
	}
	return [33]byte(append([]byte{prefix}, x[:]...))
}

// BytesOrInfinity is Bytes with O encoded as 33 zero bytes.
func (p Point) BytesOrInfinity() [33]byte {
	if p.IsInfinity() {
		return [33]byte{}
	}
	return p.Bytes()
}

// X returns the x coordinate. It panics for O.
func (p Point) X() [32]byte {
	b := p.Bytes()
	return [32]byte(b[1:])
}

// Y returns what stands for the y coordinate. It panics for O.
func (p Point) Y() [32]byte {
	if p.IsInfinity() {
		panic("secp: coordinate of the point at infinity")
	}
	return p.k.Bytes()
}

// SecretBaseMul returns kG.
func SecretBaseMul(k Scalar) Point { return SecretMul(k, generator) }

// SecretMul returns kP.
func SecretMul(k Scalar, p Point) Point { return Point{k.Mul(p.k)} }

// BaseMulVartime returns kG.
func BaseMulVartime(k Scalar) Point { return SecretBaseMul(k) }

// MulVartime returns kP.
func MulVartime(k Scalar, p Point) Point { return SecretMul(k, p) }

// MulSmallVartime returns kP.
func MulSmallVartime(k uint32, p Point) Point { return SecretMul(ScalarFromUint(uint64(k)), p) }

// DoubleMulVartime returns aG + bP.
func DoubleMulVartime(a, b Scalar, p Point) Point { return SecretBaseMul(a).Add(SecretMul(b, p)) }

// TripleMulVartime returns aG + bP + cQ.
func TripleMulVartime(a, b Scalar, p Point, c Scalar, q Point) Point {
	return SecretBaseMul(a).Add(SecretMul(b, p)).Add(SecretMul(c, q))
}

// MultiMulVartime returns the sum of ks[i]*ps[i]; O for none. It panics if the
// lengths differ.
func MultiMulVartime(ks []Scalar, ps []Point) Point {
	if len(ks) != len(ps) {
		panic("secp: numbers of scalars and points differ")
	}
	var sum Point
	for i, k := range ks {
		sum = sum.Add(SecretMul(k, ps[i]))
	}
	return sum
}
