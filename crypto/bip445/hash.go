package bip445

import (
	"encoding/binary"
	"slices"

	"frostfed/crypto/internal/secp"
)

// Every input to a hash is put together in this file. Drafts of the BIP differ
// in these inputs more than in anything else.

var (
	tagAux       = secp.NewTag("BIP0445/aux")
	tagNonce     = secp.NewTag("BIP0445/nonce")
	tagNonceCoef = secp.NewTag("BIP0445/noncecoef")
	tagChallenge = secp.NewTag("BIP0340/challenge")
	// tagShareCheck is not of the BIP: see checkPolynomial.
	tagShareCheck = secp.NewTag("frostfed/v1/bip445 share check")
)

// appendIDs appends b4(u) and the sorted ids, b4 each: the encoding of the set
// of signers.
func appendIDs(dst []byte, ids []int) []byte {
	sorted := slices.Sorted(slices.Values(ids))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(sorted)))
	for _, id := range sorted {
		dst = binary.BigEndian.AppendUint32(dst, uint32(id))
	}
	return dst
}

// nonceCoef is b = H(b4(u)‖ids‖aggnonce‖xb(Q)‖m); encodedIDs is appendIDs'.
func nonceCoef(encodedIDs []byte, aggnonce *[66]byte, xonlyPK *[32]byte, msg []byte) secp.Scalar {
	return secp.ReduceScalar(tagNonceCoef.Hash(encodedIDs, aggnonce[:], xonlyPK[:], msg))
}

// challenge is e = H(xb(R)‖xb(Q)‖m), as in BIP 340.
func challenge(r, xonlyPK *[32]byte, msg []byte) secp.Scalar {
	return secp.ReduceScalar(tagChallenge.Hash(r[:], xonlyPK[:], msg))
}

// maskSecret is secret XOR H[aux](rand).
func maskSecret(secret, rand *[32]byte) [32]byte {
	out := tagAux.Hash(rand[:])
	for i := range out {
		out[i] ^= secret[i]
	}
	return out
}

// nonceInput is the input of NonceGen's hash without its last byte, which
// counts the two nonces:
//
//	r ‖ b1‖signer_id ‖ b1‖pubshare ‖ b1‖xonly_pk ‖ 00 or 01‖b8‖m ‖ b4‖extra_in
//
// where b1, b4 and b8 are the length of what follows.
func nonceInput(r *[32]byte, in *NonceInput) []byte {
	buf := make([]byte, 0, 32+5+34+33+9+len(in.Msg)+4+len(in.Extra)+1)
	buf = append(buf, r[:]...)
	if in.SignerID == nil {
		buf = append(buf, 0)
	} else {
		buf = append(buf, 4)
		buf = binary.BigEndian.AppendUint32(buf, uint32(*in.SignerID))
	}
	buf = append(buf, byte(len(in.PubShare)))
	buf = append(buf, in.PubShare...)
	buf = append(buf, byte(len(in.XonlyPK)))
	buf = append(buf, in.XonlyPK...)
	if in.Msg == nil {
		buf = append(buf, 0)
	} else {
		buf = append(buf, 1)
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(in.Msg)))
		buf = append(buf, in.Msg...)
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(in.Extra)))
	return append(buf, in.Extra...)
}

// nonceScalar is k_{c+1} for c = 0 and 1. It appends to input within the room
// nonceInput left, so the input with the secret in it is never copied.
func nonceScalar(input []byte, c byte) secp.Scalar {
	return secp.ReduceScalar(tagNonce.Hash(append(input, c)))
}

// shareCheckSeed commits to everything checkPolynomial checks.
func shareCheckSeed(t int, threshPK []byte, pubshares [][]byte) [32]byte {
	buf := make([]byte, 0, 8+ThreshPKSize+len(pubshares)*(1+PubShareSize))
	buf = binary.BigEndian.AppendUint32(buf, uint32(t))
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(pubshares)))
	buf = append(buf, threshPK...)
	for _, p := range pubshares {
		buf = append(buf, byte(len(p))) // 33, or 0 for an absent one
		buf = append(buf, p...)
	}
	return tagShareCheck.Hash(buf)
}

// shareCheckCoefficient is the k-th coefficient of the random polynomial.
func shareCheckCoefficient(seed *[32]byte, k int) secp.Scalar {
	return secp.ReduceScalar(tagShareCheck.Hash(seed[:], binary.BigEndian.AppendUint32(nil, uint32(k))))
}
