//go:build exponents && !toygroup

package secp

import "testing"

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

var generator = Point{ReduceScalar(NewTag("frostfed/v1/exponents").Hash())}

// upper says whether the order less k is the smaller of the two.
func upper(k Scalar) bool {
	a, b := k.Bytes(), k.Neg().Bytes()
	return string(a[:]) > string(b[:])
}

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

// Bytes returns the compressed encoding. It panics for O.
func (p Point) Bytes() [33]byte {
	if p.IsInfinity() {
		panic("secp: encoding of the point at infinity")
	}
	odd := upper(p.log)
	x, prefix := p.log.NegIf(odd).Bytes(), byte(evenY)
	if odd {
		prefix = oddY
	}
	return [33]byte(append([]byte{prefix}, x[:]...))
}

// Y returns what stands for the y coordinate. It panics for O.
func (p Point) Y() [32]byte {
	if p.IsInfinity() {
		panic("secp: coordinate of the point at infinity")
	}
	return p.log.Bytes()
}
