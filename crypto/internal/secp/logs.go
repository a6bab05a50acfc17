//go:build toygroup || exponents

package secp

// Point is a point of a group for tests, held as its logarithm. The zero value is
// the point at infinity.
type Point struct{ log Scalar }

// ParsePointWithY is ParsePoint that holds y against the 32 bytes given.
func ParsePointWithY(b, y []byte) (Point, error) {
	p, err := ParsePoint(b)
	if err != nil || len(y) != 32 || p.Y() != [32]byte(y) {
		return Point{}, ErrPoint
	}
	return p, nil
}

// Add returns p + q.
func (p Point) Add(q Point) Point { return Point{p.log.Add(q.log)} }

// NegIf returns -p if cond, else p.
func (p Point) NegIf(cond bool) Point { return Point{p.log.NegIf(cond)} }

// IsInfinity reports p == O.
func (p Point) IsInfinity() bool { return p.log.IsZero() }

// Equal reports p == q.
func (p Point) Equal(q Point) bool { return p.log.Equal(q.log) }

// SecretBaseMul returns kG.
func SecretBaseMul(k Scalar) Point { return SecretMul(k, generator) }

// SecretMul returns kP.
func SecretMul(k Scalar, p Point) Point { return Point{k.Mul(p.log)} }

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
