//go:build !toygroup

package secp

import (
	"errors"

	voi "gitlab.com/yawning/secp256k1-voi"
)

// ErrScalar reports bytes that are not a scalar of the required range.
var ErrScalar = errors.New("invalid scalar")

// ScalarSize is the length of an encoded scalar: 32 bytes, big-endian.
const ScalarSize = 32

// Scalar is an integer modulo the order of the curve. The zero value is 0. It
// has no String method: scalars are mostly secrets.
type Scalar struct{ v voi.Scalar }

// ParseScalar decodes exactly 32 bytes, big-endian, below the order; 0 is
// allowed. Larger values are refused, never reduced: a second encoding of the
// same scalar would make signatures and messages malleable.
func ParseScalar(b []byte) (Scalar, error) {
	var s Scalar
	if len(b) != ScalarSize {
		return s, ErrScalar
	}
	if _, err := s.v.SetCanonicalBytes((*[ScalarSize]byte)(b)); err != nil {
		return Scalar{}, ErrScalar
	}
	return s, nil
}

// ParseScalarNonZero is ParseScalar that refuses 0: secret keys and nonces.
func ParseScalarNonZero(b []byte) (Scalar, error) {
	s, err := ParseScalar(b)
	if err == nil && s.IsZero() {
		return Scalar{}, ErrScalar
	}
	return s, err
}

// ReduceScalar returns b modulo the order, for hash outputs.
func ReduceScalar(b [32]byte) Scalar {
	var s Scalar
	s.v.SetBytes(&b)
	return s
}

// ScalarFromHash returns the scalar that a hash encodes, for derivations that
// are specified to fail rather than to reduce: with probability 2^-127, if the
// hash is not below the order.
func ScalarFromHash(h [32]byte) (Scalar, error) { return ParseScalar(h[:]) }

// ScalarFromUint returns v as a scalar.
func ScalarFromUint(v uint64) Scalar {
	var b [ScalarSize]byte
	for i := range 8 {
		b[31-i] = byte(v >> (8 * i))
	}
	return ReduceScalar(b)
}

// Add returns s + o.
func (s Scalar) Add(o Scalar) Scalar {
	s.v.Add(&s.v, &o.v)
	return s
}

// Sub returns s - o.
func (s Scalar) Sub(o Scalar) Scalar {
	s.v.Subtract(&s.v, &o.v)
	return s
}

// Mul returns s * o.
func (s Scalar) Mul(o Scalar) Scalar {
	s.v.Multiply(&s.v, &o.v)
	return s
}

// Neg returns -s.
func (s Scalar) Neg() Scalar {
	s.v.Negate(&s.v)
	return s
}

// NegIf returns -s if cond, else s, without a branch on either.
func (s Scalar) NegIf(cond bool) Scalar {
	s.v.ConditionalNegate(&s.v, bit(cond))
	return s
}

// InverseVartime returns 1/s, and 0 for 0. Public values only.
func (s Scalar) InverseVartime() Scalar {
	s.v.Invert(&s.v)
	return s
}

// IsZero reports s == 0 in constant time.
func (s Scalar) IsZero() bool { return s.v.IsZero() == 1 }

// Equal reports s == o in constant time.
func (s Scalar) Equal(o Scalar) bool { return s.v.Equal(&o.v) == 1 }

// Bytes returns the encoding: 32 bytes, big-endian, below the order.
func (s Scalar) Bytes() [32]byte { return [32]byte(s.v.Bytes()) }

// Wipe overwrites s with 0. Copies made by the compiler are out of reach; Wipe
// bounds how long the named one lives.
func (s *Scalar) Wipe() { s.v.Zero() }

// bit is 1 for true. The compiler turns it into a flag move, not a branch.
func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
