package secp

import "errors"

// ErrDLEQ reports that a proof cannot be made: the secret is 0 or the base is O.
var ErrDLEQ = errors.New("dleq: no proof for these inputs")

var (
	dleqAux       = NewTag("BIP0374/aux")
	dleqNonce     = NewTag("BIP0374/nonce")
	dleqChallenge = NewTag("BIP0374/challenge")
)

// DLEQProve proves that A = aG and C = aB share the logarithm a, without
// revealing it, bound to an optional message of 32 bytes; aux is fresh
// randomness. It returns the 64-byte proof, A and C. Source: BIP 374,
// GenerateProof.
func DLEQProve(a Scalar, B Point, aux [32]byte, m *[32]byte) (proof [64]byte, A, C Point, err error) {
	return dleqProve(a, B, aux, m, generator)
}

// DLEQVerify reports whether proof (64 bytes) shows that A and C are the same
// multiple of G and B. Source: BIP 374, VerifyProof.
func DLEQVerify(A, B, C Point, proof []byte, m *[32]byte) bool {
	return dleqVerify(A, B, C, proof, m, generator)
}

// The generator G is a parameter because the vectors of BIP 374 vary it.

func dleqProve(a Scalar, B Point, aux [32]byte, m *[32]byte, G Point) (proof [64]byte, A, C Point, err error) {
	if a.IsZero() || B.IsInfinity() {
		return proof, A, C, ErrDLEQ
	}
	A, C = SecretMul(a, G), SecretMul(a, B)
	masked := a.Bytes()
	defer clear(masked[:])
	mask := dleqAux.Hash(aux[:])
	for i := range masked {
		masked[i] ^= mask[i]
	}
	encA, encC := A.Bytes(), C.Bytes()
	k := ReduceScalar(dleqNonce.Hash(masked[:], encA[:], encC[:], optional(m)))
	defer k.Wipe()
	if k.IsZero() {
		return proof, Point{}, Point{}, ErrDLEQ
	}
	e := dleqHash(A, B, C, G, SecretMul(k, G), SecretMul(k, B), m)
	s := k.Add(ReduceScalar(e).Mul(a)).Bytes()
	copy(proof[:32], e[:])
	copy(proof[32:], s[:])
	if !dleqVerify(A, B, C, proof[:], m, G) {
		return [64]byte{}, Point{}, Point{}, ErrDLEQ
	}
	return proof, A, C, nil
}

func dleqVerify(A, B, C Point, proof []byte, m *[32]byte, G Point) bool {
	if len(proof) != 64 || A.IsInfinity() || B.IsInfinity() || C.IsInfinity() || G.IsInfinity() {
		return false
	}
	s, err := ParseScalar(proof[32:])
	if err != nil {
		return false
	}
	// e is compared as the bytes it was hashed to and reduced for multiplying
	// only, so that there is one encoding of each proof.
	minusE := ReduceScalar([32]byte(proof[:32])).Neg()
	r1 := MultiMulVartime([]Scalar{s, minusE}, []Point{G, A})
	r2 := MultiMulVartime([]Scalar{s, minusE}, []Point{B, C})
	if r1.IsInfinity() || r2.IsInfinity() {
		return false
	}
	return dleqHash(A, B, C, G, r1, r2, m) == [32]byte(proof[:32])
}

func dleqHash(A, B, C, G, R1, R2 Point, m *[32]byte) [32]byte {
	buf := make([]byte, 0, 6*PointSize+32)
	for _, p := range []Point{A, B, C, G, R1, R2} {
		enc := p.Bytes()
		buf = append(buf, enc[:]...)
	}
	return dleqChallenge.Hash(append(buf, optional(m)...))
}

func optional(m *[32]byte) []byte {
	if m == nil {
		return nil
	}
	return m[:]
}
