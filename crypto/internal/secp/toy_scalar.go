//go:build toygroup

package secp

import (
	"errors"
	"testing"
)

// ToyOrder is the order of the group. See toy_point.go.
const ToyOrder = 13

// Only a test may contain this backend: keys of 13 elements protect nothing. The
// daemon does not even compile with it (cmd/node), and any other program ends
// here.
func init() {
	if !testing.Testing() {
		panic("secp: built with the toy group, which is for tests")
	}
}

// ErrScalar reports bytes that are not a scalar of the required range.
var ErrScalar = errors.New("invalid scalar")

// ScalarSize is the length of an encoded scalar, as in the real group.
const ScalarSize = 32

// Scalar is an integer modulo 13. The zero value is 0.
type Scalar struct{ v uint8 }

// toyScalar returns v modulo the order; v is at least -13.
func toyScalar(v int) Scalar { return Scalar{uint8((v + ToyOrder) % ToyOrder)} }

// ParseScalar decodes exactly 32 bytes below the order; 0 is allowed.
func ParseScalar(b []byte) (Scalar, error) {
	if len(b) != ScalarSize || [31]byte(b[:31]) != [31]byte{} || b[31] >= ToyOrder {
		return Scalar{}, ErrScalar
	}
	return Scalar{b[31]}, nil
}

// ParseScalarNonZero is ParseScalar that refuses 0.
func ParseScalarNonZero(b []byte) (Scalar, error) {
	s, err := ParseScalar(b)
	if err == nil && s.IsZero() {
		return Scalar{}, ErrScalar
	}
	return s, err
}

// ReduceScalar returns b modulo the order.
func ReduceScalar(b [32]byte) Scalar {
	r := 0
	for _, digit := range b {
		r = (r<<8 + int(digit)) % ToyOrder
	}
	return toyScalar(r)
}

// ScalarFromHash never fails here. In the real group it fails for hashes not
// below the order, which in this one would be all.
func ScalarFromHash(h [32]byte) (Scalar, error) { return ReduceScalar(h), nil }

// ScalarFromUint returns v as a scalar.
func ScalarFromUint(v uint64) Scalar { return toyScalar(int(v % ToyOrder)) }

// Add returns s + o.
func (s Scalar) Add(o Scalar) Scalar { return toyScalar(int(s.v) + int(o.v)) }

// Sub returns s - o.
func (s Scalar) Sub(o Scalar) Scalar { return toyScalar(int(s.v) - int(o.v)) }

// Mul returns s * o.
func (s Scalar) Mul(o Scalar) Scalar { return toyScalar(int(s.v) * int(o.v)) }

// Neg returns -s.
func (s Scalar) Neg() Scalar { return toyScalar(-int(s.v)) }

// NegIf returns -s if cond, else s.
func (s Scalar) NegIf(cond bool) Scalar {
	if cond {
		return s.Neg()
	}
	return s
}

// InverseVartime returns 1/s, and 0 for 0: s to the power of the order less 2.
func (s Scalar) InverseVartime() Scalar {
	r := Scalar{1}
	for range ToyOrder - 2 {
		r = r.Mul(s)
	}
	return r
}

// IsZero reports s == 0.
func (s Scalar) IsZero() bool { return s.v == 0 }

// Equal reports s == o.
func (s Scalar) Equal(o Scalar) bool { return s == o }

// Bytes returns the encoding: 32 bytes, big-endian, below the order.
func (s Scalar) Bytes() [32]byte { return [32]byte{31: s.v} }

// Wipe overwrites s with 0.
func (s *Scalar) Wipe() { s.v = 0 }
