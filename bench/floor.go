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

// shareCheck is the verification of a partial signature, its nonce decoded.
var shareCheck = Counts{DoubleMul: 1, MulPublic: 1, Add: 1}

// hash is a tagged hash of so many bytes. The block of the tag is precomputed;
// the padding takes at least 9 bytes.
func hash(bytes int) Counts { return Counts{HashBlock: (bytes + 9 + 63) / 64} }

// verify is the verification of a Schnorr signature of so many bytes, the key
// decoded: aG+bP, x of the result, the challenge.
func verify(bytes int) Counts { return Counts{DoubleMul: 1, Encode: 1}.plus(hash(64 + bytes)) }

// signature is a Schnorr signature of so many bytes: public key, auxiliary hash,
// nonce, R, challenge, and its verification before it is released.
func signature(bytes int) Counts {
	return Counts{BaseMul: 2, Encode: 2, ScalarMul: 1}.
		plus(hash(32)).plus(hash(64 + bytes).times(2)).plus(verify(bytes))
}

// sessionValues is R = R1 + b·R2, which signers and coordinator need: b hashes the
// ids, the aggregate nonce, the key and a message of 32 bytes.
func sessionValues(t int) Counts {
	return Counts{MulPublic: 1, Add: 1, Encode: 1, ScalarMul: 3}.plus(hash(4*t + 66 + 32 + 32)).plus(hash(96))
}

// Floor returns the counts of an operation, or false if it has none here.
func Floor(op string, size Size) (Counts, bool) {
	t := size.T
	nonces := Counts{Decode: 2 * t}
	coordinator := Counts{Add: 2 * t, Encode: 2}.plus(sessionValues(t)).plus(verify(32))
	c := messages(size)
	switch op {
	case OpNonce: // one inversion for both encodings; the hashes take all optional inputs
		return Counts{BaseMul: 2, Encode: 1}.plus(hash(32)).plus(hash(110).times(2)), true
	case OpSign:
		return Counts{Decode: 2}.plus(sessionValues(t)).plus(shareCheck), true
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
		return c.deal(), true
	case OpOpen:
		return c.open(), true
	case OpCombine:
		return c.combine(), true
	case OpStep2:
		return c.step2(), true
	case OpCertify:
		return c.certify(), true
	case OpMember:
		return c.deal().plus(c.open()).plus(c.combine()).plus(c.step2()).plus(c.certify()), true
	case OpRecover: // the keys of all, the sums and the nonces come as bytes
		return Counts{Decode: 2*c.n + t}.plus(c.certify()).plus(c.publicShares()).plus(c.decrypt()), true
	case OpPublicKey:
		return Counts{BaseMul: 1, Encode: 1}, true
	case OpSchnorr:
		return signature(32), true
	case OpVerify:
		return verify(32), true
	case OpDecode:
		return Counts{Decode: 1}, true
	}
	return Counts{}, false
}

// chill is a key generation with the lengths of its messages in bytes. From 14/20
// on, hashing them is worth counting.
type chill struct {
	t, n  int
	pmsg1 int // first message
	cert  int // what a certificate signature signs: purpose, id, eq_input
	pad   int // what the hash of a pad takes: key, nonce, recipient, all host keys
}

func messages(size Size) chill {
	t, n := size.T, size.N
	return chill{t: t, n: n, pmsg1: 33*t + 32*n + 97, cert: 33 + 4 + (4 + 33*t + 98*n), pad: 32 + 33 + 33 + 4 + (4 + 33*n)}
}

// possession and knowledge are what the two proofs of a first message sign: an id;
// session, id and a hash.
const (
	possession = 4
	knowledge  = 32 + 4 + 32
)

// deal is t commitments, the nonce, a pad for each of the others, n shares of t
// terms, and two proofs.
func (c chill) deal() Counts {
	return Counts{BaseMul: c.t + 1, Encode: c.t + 1, ScalarMul: c.n * c.t}.plus(hash(36).times(c.t)).
		plus(c.pads()).plus(signature(possession)).plus(signature(knowledge)).plus(hash(c.pmsg1))
}

// pads is a key agreement with each of the others.
func (c chill) pads() Counts {
	return Counts{Mul: 1, Encode: 1}.plus(hash(33)).plus(hash(c.pad)).times(c.n - 1)
}

// open is commitments, nonce and both proofs of every first message.
func (c chill) open() Counts {
	return Counts{Decode: c.t + 1}.plus(verify(possession)).plus(verify(knowledge)).plus(hash(c.pmsg1)).times(c.n)
}

// combine is the sums of n·t commitments, the tweak, and the public shares.
func (c chill) combine() Counts {
	return Counts{Add: c.n * c.t, Encode: c.t, BaseMul: 1}.plus(c.publicShares())
}

// publicShares is n evaluations of a polynomial of t points by Horner's rule at
// coordinates 1..n, each step one multiplication by a small number and one
// addition.
func (c chill) publicShares() Counts {
	sum := Counts{Encode: c.n}
	for x := 1; x <= c.n; x++ {
		sum[Double] += (c.t - 1) * (bits.Len(uint(x)) - 1)
		sum[Add] += (c.t - 1) * bits.OnesCount(uint(x)) // one of them for the coefficient
	}
	return sum
}

// decrypt is the pads of all, and the check of the share.
func (c chill) decrypt() Counts { return c.pads().plus(Counts{BaseMul: 1}) }

func (c chill) step2() Counts { return c.decrypt().plus(signature(c.cert)) }

func (c chill) certify() Counts { return verify(c.cert).times(c.n) }

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
