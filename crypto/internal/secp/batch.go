package secp

import "encoding/binary"

// BatchItem is one signature to verify in a batch. Of Pubkey only x counts.
type BatchItem struct {
	Pubkey   Point
	Msg, Sig []byte
}

// batchMin is the number of signatures from which a batch is faster than
// verifying one by one: the batch needs a square root for every R.
const batchMin = 8

var batchTag = NewTag("frostfed/v1/schnorr batch")

// VerifyBatch reports whether all signatures are valid, for about half the work
// of verifying them singly. After false, VerifyPoint finds the culprits. The
// result is the same as for single verification except with probability 2^-128:
//
//	Σ a_i·s_i·G = Σ a_i·R_i + Σ a_i·e_i·P_i
//
// with coefficients a_i of 128 bits from a hash of the whole batch, which no
// author of a signature can predict. Source: BIP 340, Batch Verification.
func (s Schnorr) VerifyBatch(items []BatchItem) bool {
	if len(items) < batchMin {
		for _, it := range items {
			if !s.VerifyPoint(it.Pubkey, it.Msg, it.Sig) {
				return false
			}
		}
		return true
	}
	ks, ps := make([]Scalar, 1, 2*len(items)+1), make([]Point, 1, 2*len(items)+1)
	es := make([]Scalar, len(items))
	transcript := make([]byte, 0, len(items)*(32+SignatureSize+32))
	for i, it := range items {
		if it.Pubkey.IsInfinity() || len(it.Sig) != SignatureSize {
			return false
		}
		x := it.Pubkey.X()
		e := s.challenge.Hash(it.Sig[:32], x[:], it.Msg) // stands for R, P and message
		es[i] = ReduceScalar(e)
		transcript = append(transcript, e[:]...)
		transcript = append(transcript, it.Sig...)
	}
	seed := batchTag.Hash(transcript)
	var sum Scalar
	for i, it := range items {
		z, err := ParseScalar(it.Sig[32:])
		if err != nil {
			return false
		}
		r, err := LiftX(it.Sig[:32])
		if err != nil {
			return false
		}
		a := batchCoefficient(&seed, i)
		sum = sum.Add(a.Mul(z))
		ks = append(ks, a, a.Mul(es[i]))
		ps = append(ps, r, it.Pubkey.NegIf(it.Pubkey.HasOddY()))
	}
	ks[0], ps[0] = sum.Neg(), generator
	return MultiMulVartime(ks, ps).IsInfinity()
}

// batchCoefficient returns a_i: 1 for the first, 128 bits for the others.
func batchCoefficient(seed *[32]byte, i int) Scalar {
	if i == 0 {
		return ScalarFromUint(1)
	}
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(i))
	h := batchTag.Hash(seed[:], n[:])
	clear(h[:16])
	return ReduceScalar(h)
}
