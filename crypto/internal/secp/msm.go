//go:build !toygroup && !exponents

package secp

import "encoding/binary"

// The multi-scalar multiplication is Straus's method: all terms share one chain
// of doublings. Scalars are recoded to signed odd digits of nafWidth bits, so that a
// term of b bits costs about b/6 additions and a table of 8 odd multiples.
const (
	nafWidth  = 5
	nafDigits = 257 // 256 bits and a carry
	oddTable  = 1 << (nafWidth - 2)
)

// MultiMulVartime returns the sum of ks[i]*ps[i] over public data; O for none.
// It panics if the lengths differ. Short scalars cost in proportion.
func MultiMulVartime(ks []Scalar, ps []Point) Point {
	if len(ks) != len(ps) {
		panic("secp: numbers of scalars and points differ")
	}
	if len(ks) == 1 { // nothing to share, and a single multiplication has the endomorphism
		return MulVartime(ks[0], ps[0])
	}
	terms := make([]strausTerm, len(ks))
	top := 0
	for i := range terms {
		top = max(top, terms[i].init(ks[i], ps[i]))
	}
	return straus(terms, top)
}

// TripleMulVartime returns aG + bP + cQ for public data: the verification of a
// partial signature. It does not allocate.
func TripleMulVartime(a, b Scalar, p Point, c Scalar, q Point) Point {
	var terms [2]strausTerm
	top := max(terms[0].init(b, p), terms[1].init(c, q))
	return straus(terms[:], top).Add(BaseMulVartime(a))
}

// straus adds up terms, the longest of which has top digits.
func straus(terms []strausTerm, top int) Point {
	acc := Point{v: *identity, set: true}
	for bit := top - 1; bit >= 0; bit-- {
		acc.v.Double(&acc.v)
		for i := range terms {
			switch d := terms[i].digits[bit]; {
			case d > 0:
				acc.v.Add(&acc.v, &terms[i].odd[d/2].v)
			case d < 0:
				acc.v.Subtract(&acc.v, &terms[i].odd[-d/2].v)
			}
		}
	}
	return acc
}

type strausTerm struct {
	digits [nafDigits]int8
	odd    [oddTable]Point // P, 3P, 5P, …
}

// init prepares a term and returns the number of its digits.
func (t *strausTerm) init(k Scalar, p Point) int {
	t.odd[0] = p.Add(Point{})
	double := p.Add(p)
	for i := 1; i < oddTable; i++ {
		t.odd[i] = t.odd[i-1].Add(double)
	}
	return recode(k.Bytes(), &t.digits)
}

// recode writes k as Σ digits[i]·2^i, where digits are zero or odd with absolute
// value below 2^(nafWidth-1), and at least nafWidth-1 zeros follow a nonzero
// one. It returns the number of digits in use.
func recode(k [32]byte, digits *[nafDigits]int8) int {
	var limbs [5]uint64 // little-endian; one more for reading past the end
	for i := range 4 {
		limbs[i] = binary.BigEndian.Uint64(k[24-8*i:])
	}
	window := func(pos, n int) uint64 {
		w := limbs[pos/64] >> (pos % 64)
		if pos%64 != 0 {
			w |= limbs[pos/64+1] << (64 - pos%64)
		}
		return w & (1<<n - 1)
	}
	carry, used := uint64(0), 0
	for pos := 0; pos < 256; {
		if window(pos, 1) == carry {
			pos++
			continue
		}
		n := min(nafWidth, 256-pos)
		word := window(pos, n) + carry
		carry = word >> (nafWidth - 1) & 1
		digits[pos] = int8(int(word) - int(carry)<<nafWidth)
		used = pos + 1
		pos += n
	}
	if carry == 1 {
		digits[256] = 1
		used = nafDigits
	}
	return used
}
