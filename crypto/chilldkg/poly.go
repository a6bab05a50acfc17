package chilldkg

import "frostfed/crypto/internal/secp"

// shamirX is the only place that maps a participant's id to the coordinate at
// which its share is evaluated.
func shamirX(id int) uint32 { return uint32(id) + 1 }

// evalSecret returns f_id = sum of coeffs[k]*x^k for the coordinate of id. All
// scalar operations are constant time.
func evalSecret(coeffs []secp.Scalar, id int) secp.Scalar {
	x := secp.ScalarFromUint(uint64(shamirX(id)))
	y := coeffs[len(coeffs)-1]
	for k := len(coeffs) - 2; k >= 0; k-- {
		y = y.Mul(x).Add(coeffs[k])
	}
	return y
}

// evalPublic evaluates the commitments sum of coms[k]*x^k for the coordinate of
// id. Multiplying by a coordinate of at most 8 bits takes a few doublings and
// additions, a tenth of a multiplication by a full scalar.
func evalPublic(coms []secp.Point, id int) secp.Point {
	x := shamirX(id)
	y := coms[len(coms)-1]
	for k := len(coms) - 2; k >= 0; k-- {
		y = secp.MulSmallVartime(x, y).Add(coms[k])
	}
	return y
}

// evalPublicAll evaluates the t commitments at the coordinates of ids 0..n-1,
// n >= t. t values determine the polynomial; each further one, being at the next
// consecutive coordinate, costs only t-1 additions by backward differences.
func evalPublicAll(coms []secp.Point, n int) []secp.Point {
	t := len(coms)
	ys := make([]secp.Point, n)
	for id := range t {
		ys[id] = evalPublic(coms, id)
	}
	if n == t {
		return ys
	}
	// last[t-1-m] is the m-th backward difference at the newest coordinate; the
	// (t-1)-th, last[0], is constant because the degree is t-1.
	last := append([]secp.Point(nil), ys[:t]...)
	for level := 1; level < t; level++ {
		for i := range t - level {
			last[i] = last[i+1].Sub(last[i])
		}
	}
	for id := t; id < n; id++ {
		for k := 1; k < t; k++ {
			last[k] = last[k].Add(last[k-1])
		}
		ys[id] = last[t-1]
	}
	return ys
}
