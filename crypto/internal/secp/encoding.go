package secp

import "errors"

// What is the same in every group that may stand below: see doc.go.

// ErrPoint reports bytes that do not encode a point of the curve in the one
// accepted form.
var ErrPoint = errors.New("invalid point")

// PointSize is the length of a compressed point.
const PointSize = 33

const (
	evenY = 0x02
	oddY  = 0x03
)

// Infinity returns the neutral element, written O below.
func Infinity() Point { return Point{} }

// Generator returns the base point G.
func Generator() Point { return generator }

// ParsePointOrInfinity is ParsePoint that reads 33 zero bytes as O. No other
// encoding that starts with 00 is accepted.
func ParsePointOrInfinity(b []byte) (Point, error) {
	if len(b) == PointSize && [PointSize]byte(b) == [PointSize]byte{} {
		return Point{}, nil
	}
	return ParsePoint(b)
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

// Sub returns p - q.
func (p Point) Sub(q Point) Point { return p.Add(q.Neg()) }

// Neg returns -p.
func (p Point) Neg() Point { return p.NegIf(true) }

// HasOddY reports whether the y coordinate is odd; false for O.
func (p Point) HasOddY() bool { return p.BytesOrInfinity()[0] == oddY }

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
