//go:build !toygroup && !exponents

package secp

import voi "gitlab.com/yawning/secp256k1-voi"

// SecretBaseMul returns kG in constant time.
func SecretBaseMul(k Scalar) Point {
	var r Point
	r.v.ScalarBaseMult(&k.v)
	r.set = true
	return r
}

// SecretMul returns kP in constant time, for every P including those chosen by
// an adversary.
func SecretMul(k Scalar, p Point) Point {
	var r Point
	r.v.ScalarMult(&k.v, p.ref())
	r.set = true
	return r
}

// BaseMulVartime returns kG for public k. The library's table walk for G is as
// fast in constant time as a variable time one would be with its interface.
func BaseMulVartime(k Scalar) Point { return SecretBaseMul(k) }

// MulVartime returns kP for public k and P.
func MulVartime(k Scalar, p Point) Point {
	var r Point
	r.v.MultiScalarMultVartime([]*voi.Scalar{&k.v}, []*voi.Point{p.ref()})
	r.set = true
	return r
}

// MulSmallVartime returns kP for a small public k in about log2(k) doublings:
// the step of Horner's rule at x = id+1, where a full multiplication would cost
// thirty times as much.
func MulSmallVartime(k uint32, p Point) Point {
	var r Point
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if r.set {
			r.v.Double(&r.v)
		}
		if k&bit != 0 {
			r = r.Add(p)
		}
	}
	return r
}

// DoubleMulVartime returns aG + bP for public a, b and P: signature
// verification.
func DoubleMulVartime(a, b Scalar, p Point) Point {
	var r Point
	r.v.DoubleScalarMultBasepointVartime(&a.v, &b.v, p.ref())
	r.set = true
	return r
}
