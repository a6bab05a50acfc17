//go:build !toygroup && !exponents

package secp

import (
	"errors"

	voi "gitlab.com/yawning/secp256k1-voi"
)

// ErrPoint reports bytes that do not encode a point of the curve in the one
// accepted form.
var ErrPoint = errors.New("invalid point")

// PointSize is the length of a compressed point.
const PointSize = 33

const (
	evenY = 0x02
	oddY  = 0x03
)

// Point is a point of secp256k1. The zero value is the point at infinity.
type Point struct {
	v   voi.Point
	set bool // v holds a point; a zero voi.Point would panic
}

var (
	identity  = voi.NewIdentityPoint()
	generator = Point{v: *voi.NewGeneratorPoint(), set: true}
)

// ref is the operand form of p; the result must not be written to.
func (p *Point) ref() *voi.Point {
	if p.set {
		return &p.v
	}
	return identity
}

// Infinity returns the neutral element, written O below.
func Infinity() Point { return Point{} }

// Generator returns the base point G.
func Generator() Point { return generator }

// ParsePoint decodes a compressed point: exactly 33 bytes, first byte 02 or 03,
// x below the field prime and on the curve. It never returns O.
func ParsePoint(b []byte) (Point, error) {
	var p Point
	if len(b) != PointSize {
		return p, ErrPoint
	}
	if _, err := p.v.SetCompressedBytes(b); err != nil {
		return Point{}, ErrPoint
	}
	p.set = true
	return p, nil
}

// ParsePointOrInfinity is ParsePoint that reads 33 zero bytes as O. No other
// encoding that starts with 00 is accepted.
func ParsePointOrInfinity(b []byte) (Point, error) {
	if len(b) == PointSize && [PointSize]byte(b) == [PointSize]byte{} {
		return Point{}, nil
	}
	return ParsePoint(b)
}

// ParsePointWithY is ParsePoint for a sender that also supplies the 32-byte y
// coordinate: the square root, which dominates decoding, becomes a check. It
// accepts exactly the points ParsePoint accepts, if y is right.
func ParsePointWithY(b, y []byte) (Point, error) {
	if len(b) != PointSize || len(y) != 32 || (b[0] != evenY && b[0] != oddY) || b[0]&1 != y[31]&1 {
		return Point{}, ErrPoint
	}
	v, err := voi.NewPointFromCoords((*[32]byte)(b[1:]), (*[32]byte)(y))
	if err != nil {
		return Point{}, ErrPoint
	}
	return Point{v: *v, set: true}, nil
}

// LiftX returns the point with the given 32-byte x coordinate and even y. It
// fails if there is none. Source: BIP 340, lift_x.
func LiftX(x []byte) (Point, error) {
	if len(x) != 32 {
		return Point{}, ErrPoint
	}
	var b [PointSize]byte
	b[0] = evenY
	copy(b[1:], x)
	return ParsePoint(b[:])
}

// Add returns p + q, for all inputs.
func (p Point) Add(q Point) Point {
	p.v.Add(p.ref(), q.ref())
	p.set = true
	return p
}

// Sub returns p - q.
func (p Point) Sub(q Point) Point { return p.Add(q.Neg()) }

// Neg returns -p.
func (p Point) Neg() Point { return p.NegIf(true) }

// NegIf returns -p if cond, else p.
func (p Point) NegIf(cond bool) Point {
	p.v.ConditionalNegate(p.ref(), bit(cond))
	p.set = true
	return p
}

// IsInfinity reports p == O.
func (p Point) IsInfinity() bool { return p.ref().IsIdentity() == 1 }

// Equal reports p == q.
func (p Point) Equal(q Point) bool { return p.ref().Equal(q.ref()) == 1 }

// HasOddY reports whether the y coordinate is odd; false for O.
func (p Point) HasOddY() bool { return p.BytesOrInfinity()[0] == oddY }

// Bytes returns the compressed encoding. It panics for O, which has none: a
// caller that can meet O checks IsInfinity or uses BytesOrInfinity.
func (p Point) Bytes() [33]byte {
	if p.IsInfinity() {
		panic("secp: encoding of the point at infinity")
	}
	return [33]byte(p.v.CompressedBytes())
}

// BytesOrInfinity is Bytes with O encoded as 33 zero bytes.
func (p Point) BytesOrInfinity() [33]byte {
	if p.IsInfinity() {
		return [33]byte{}
	}
	return p.Bytes()
}

// X returns the x coordinate, 32 bytes big-endian. It panics for O.
func (p Point) X() [32]byte {
	b := p.Bytes()
	return [32]byte(b[1:])
}

// Y returns the y coordinate, 32 bytes big-endian, for use with
// ParsePointWithY. It panics for O.
func (p Point) Y() [32]byte {
	if p.IsInfinity() {
		panic("secp: coordinate of the point at infinity")
	}
	return [32]byte(p.v.UncompressedBytes()[33:])
}
