//go:build !toygroup && !exponents

package secp

import voi "gitlab.com/yawning/secp256k1-voi"

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

// Add returns p + q, for all inputs.
func (p Point) Add(q Point) Point {
	p.v.Add(p.ref(), q.ref())
	p.set = true
	return p
}

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

// Bytes returns the compressed encoding. It panics for O, which has none: a
// caller that can meet O checks IsInfinity or uses BytesOrInfinity.
func (p Point) Bytes() [33]byte {
	if p.IsInfinity() {
		panic("secp: encoding of the point at infinity")
	}
	return [33]byte(p.v.CompressedBytes())
}

// Y returns the y coordinate, 32 bytes big-endian, for use with
// ParsePointWithY. It panics for O.
func (p Point) Y() [32]byte {
	if p.IsInfinity() {
		panic("secp: coordinate of the point at infinity")
	}
	return [32]byte(p.v.UncompressedBytes()[33:])
}
