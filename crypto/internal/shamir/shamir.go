// Package shamir holds the arithmetic of polynomial secret sharing that BIP 445
// and ChillDKG have in common: where a participant's share lies, and the public
// coefficients that put shares together again.
package shamir

import (
	"math/bits"

	"frostfed/crypto/internal/secp"
)

// X is the coordinate of a participant: shares are f(id+1), and f(0) is the
// secret.
func X(id int) int { return id + 1 }

// Lagrange returns the coefficients that interpolate the secret, f(0), from the
// shares of ids: λ_i = Π_{k≠i} x_k/(x_k-x_i). The ids must be distinct and not
// negative. Source: BIP 445, derive_interpolating_value.
func Lagrange(ids []int) []secp.Scalar {
	all := newProduct()
	for _, id := range ids {
		all.mul(X(id))
	}
	num := all.value()
	out := make([]secp.Scalar, len(ids))
	for i, id := range ids {
		den := newProduct()
		den.mul(X(id)) // takes x_i out of the common numerator
		for _, other := range ids {
			if other != id {
				den.mul(X(other) - X(id))
			}
		}
		out[i] = den.value()
	}
	invertAll(out)
	for i := range out {
		out[i] = out[i].Mul(num)
	}
	return out
}

// DualWeights returns v_j = Π_{k≠j} 1/(xs_j-xs_k) for distinct coordinates. For
// every polynomial p of degree below len(xs)-1 the sum of v_j*p(xs_j) is zero,
// which is what turns "these values lie on one polynomial" into a single sum.
// Source: Cascudo and David, SCRAPE (2017), section 2.1.
func DualWeights(xs []int) []secp.Scalar {
	out := make([]secp.Scalar, len(xs))
	for j, x := range xs {
		p := newProduct()
		for _, other := range xs {
			if other != x {
				p.mul(x - other)
			}
		}
		out[j] = p.value()
	}
	invertAll(out)
	return out
}

// product multiplies small integers. They are collected in one machine word and
// multiplied into the scalar only when the word is full: coordinates have eight
// bits, so that is every eighth or ninth factor.
type product struct {
	scalar secp.Scalar
	word   uint64
	neg    bool
}

func newProduct() product { return product{scalar: secp.ScalarFromUint(1), word: 1} }

func (p *product) mul(f int) {
	if f < 0 {
		f, p.neg = -f, !p.neg
	}
	hi, lo := bits.Mul64(p.word, uint64(f))
	if hi != 0 {
		p.scalar = p.scalar.Mul(secp.ScalarFromUint(p.word))
		lo = uint64(f)
	}
	p.word = lo
}

func (p *product) value() secp.Scalar {
	return p.scalar.Mul(secp.ScalarFromUint(p.word)).NegIf(p.neg)
}

// invertAll replaces each nonzero public scalar by its inverse with one
// inversion (Montgomery's trick).
func invertAll(s []secp.Scalar) {
	if len(s) == 0 {
		return
	}
	prefix := make([]secp.Scalar, len(s))
	acc := secp.ScalarFromUint(1)
	for i := range s {
		prefix[i] = acc
		acc = acc.Mul(s[i])
	}
	acc = acc.InverseVartime()
	for i := len(s) - 1; i >= 0; i-- {
		s[i], acc = acc.Mul(prefix[i]), acc.Mul(s[i])
	}
}
