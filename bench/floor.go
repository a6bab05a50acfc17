package bench

import (
	"crypto/sha256"
	"math/bits"
	"strconv"

	voi "gitlab.com/yawning/secp256k1-voi"
)

// The floor of an operation is how often it needs each operation of the curve
// library, times what that costs on this machine. The operations are counted as
// the specifications write them: batched verification and cleverer evaluation can
// go below the floor, all else that an implementation does lies above it.

// Primitive is an operation of the curve library.
type Primitive int

// The primitives, and what they are called in output.
const (
	BaseMul   Primitive = iota // kG in constant time
	Mul                        // kP in constant time
	MulPublic                  // kP for public k
	DoubleMul                  // aG+bP for public a, b
	Add
	Double
	Decode // 33 bytes to a point: a square root
	Encode // a point to 33 bytes: an inversion
	ScalarMul
	HashBlock // one block of SHA-256
	primitives
)

var primitiveNames = [primitives]string{
	"kG", "kP", "kP public", "aG+bP", "add", "double", "decode", "encode", "scalar mul", "hash block",
}

// String names the primitive.
func (p Primitive) String() string {
	if p < 0 || p >= primitives {
		return "primitive " + strconv.Itoa(int(p))
	}
	return primitiveNames[p]
}

// Counts says how often each primitive is needed.
type Counts [primitives]int

func (c Counts) plus(d Counts) Counts {
	for i, n := range d {
		c[i] += n
	}
	return c
}

func (c Counts) times(n int) Counts {
	for i := range c {
		c[i] *= n
	}
	return c
}

// Costs says what each primitive costs, in microseconds.
type Costs [primitives]float64

// Cost is the sum of the counts times the costs.
func (c Counts) Cost(each Costs) float64 {
	var sum float64
	for i, n := range c {
		sum += float64(n) * each[i]
	}
	return sum
}

// Parts that several operations share.
var (
	// The coordinator needs R too: R1 + b·R2, its encoding, two hashes.
	sessionValues = Counts{MulPublic: 1, Add: 1, Encode: 1, ScalarMul: 3, HashBlock: 6}
	verification  = Counts{DoubleMul: 1, Encode: 1, HashBlock: 3}
	shareCheck    = Counts{DoubleMul: 1, MulPublic: 1, Add: 1} // nonce decoded
	schnorrSign   = Counts{BaseMul: 2, Encode: 2, ScalarMul: 1, HashBlock: 9}.plus(verification)
)

// Floor returns the counts of an operation, or false if it has none here.
func Floor(op string, size Size) (Counts, bool) {
	t, n := size.T, size.N
	nonces := Counts{Decode: 2 * t}
	coordinator := Counts{Add: 2 * t, Encode: 2}.plus(sessionValues).plus(verification)
	switch op {
	case OpNonce:
		return Counts{BaseMul: 2, Encode: 1, HashBlock: 9}, true // one inversion for both
	case OpSign:
		return Counts{Decode: 2}.plus(sessionValues).plus(shareCheck), true
	case OpCoordinator:
		return coordinator.plus(nonces), true
	case OpCoordinatorDecoded:
		return coordinator, true
	case OpCoordinatorChecked:
		return coordinator.plus(nonces).plus(shareCheck.times(t)), true
	case OpVerifyShare:
		return shareCheck, true
	case OpBlame:
		return shareCheck.times(t), true
	case OpDeal:
		return dealing(t, n), true
	case OpOpen:
		// Commitments, nonce; proof of possession, proof of knowledge.
		return Counts{Decode: t + 1}.plus(verification.times(2)).times(n), true
	case OpCombine:
		return combination(t, n), true
	case OpStep2:
		return secondStep(n), true
	case OpCertify:
		return verification.times(n), true
	case OpMember:
		opened, _ := Floor(OpOpen, size)
		return dealing(t, n).plus(opened).plus(combination(t, n)).plus(secondStep(n)).plus(verification.times(n)), true
	case OpRecover:
		// The keys of all, the sums and the nonces come as bytes.
		return Counts{Decode: 2*n + t}.plus(publicShares(t, n)).plus(verification.times(n)).plus(decryption(n)), true
	case OpPublicKey:
		return Counts{BaseMul: 1, Encode: 1}, true
	case OpSchnorr:
		return schnorrSign, true
	case OpVerify:
		return verification, true
	case OpDecode:
		return Counts{Decode: 1}, true
	}
	return Counts{}, false
}

// dealing is t commitments, the nonce, one key agreement for each of the others,
// n shares of t terms, and two proofs.
func dealing(t, n int) Counts {
	return Counts{BaseMul: t + 1, Mul: n - 1, Encode: t + n, ScalarMul: n * t}.plus(schnorrSign.times(2))
}

// combination is the sums of n·t commitments, the tweak, and the public shares.
func combination(t, n int) Counts {
	return Counts{Add: n * t, Encode: t, BaseMul: 1}.plus(publicShares(t, n))
}

// publicShares is n evaluations of a polynomial of t points by Horner's rule at
// coordinates 1..n, each step one multiplication by a small number and one
// addition.
func publicShares(t, n int) Counts {
	c := Counts{Encode: n}
	for x := 1; x <= n; x++ {
		c[Double] += (t - 1) * (bits.Len(uint(x)) - 1)
		c[Add] += (t - 1) * bits.OnesCount(uint(x)) // one of them for the coefficient
	}
	return c
}

// decryption is one key agreement for each of the others, and the check.
func decryption(n int) Counts { return Counts{Mul: n - 1, Encode: n - 1, BaseMul: 1} }

func secondStep(n int) Counts { return decryption(n).plus(schnorrSign) }

// Primitives returns the functions to measure, by Primitive.
func Primitives() ([primitives]func(), error) {
	l, err := newLibrary()
	if err != nil {
		return [primitives]func(){}, err
	}
	ks, ps := []*voi.Scalar{l.k}, []*voi.Point{l.p}
	var block [55]byte // with its padding one block
	return [primitives]func(){
		BaseMul:   func() { l.out.ScalarBaseMult(l.k) },
		Mul:       func() { l.out.ScalarMult(l.k, l.p) },
		MulPublic: func() { l.out.MultiScalarMultVartime(ks, ps) },
		DoubleMul: func() { l.out.DoubleScalarMultBasepointVartime(l.k, l.k2, l.p) },
		Add:       func() { l.out.Add(l.out, l.p) },
		Double:    func() { l.out.Double(l.p) },
		Decode: func() {
			if _, err := l.out.SetCompressedBytes(l.enc); err != nil {
				panic(err) // a constant of this package
			}
		},
		Encode:    func() { l.p.CompressedBytes() },
		ScalarMul: func() { l.s.Multiply(l.k, l.k2) },
		HashBlock: func() { sha256.Sum256(block[:]) },
	}, nil
}
