package chilldkg

import "frostfed/crypto/internal/secp"

// A vote to exclude says, under a member's host key, that the federation should
// go on without another member. Enough of them, counted by the caller, are a
// certificate that convinces everybody who knows the session's parameters.

var tagExclude = secp.NewTag("frostfed/v1/dkg exclude")

// exclusionMessage returns H[frostfed/v1/dkg exclude](session || b4(culprit) || reason).
func exclusionMessage(session SessionID, culprit int, reason byte) []byte {
	h := tagExclude.Hash(session[:], b4(culprit), []byte{reason})
	return h[:]
}

// SignExclusion returns the 64-byte signature of the owner of the host secret
// key on the exclusion of participant culprit from all that follows session,
// the first attempt of a ceremony. auxRand is 32 bytes of fresh randomness. It
// returns ErrMalformed or ErrHostSeckey.
func SignExclusion(hostseckey []byte, params *SessionParams, session SessionID, culprit int, reason byte, auxRand []byte) ([64]byte, error) {
	if len(auxRand) != 32 {
		return [64]byte{}, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := params.member(hostseckey)
	if err != nil {
		return [64]byte{}, err
	}
	defer h.Wipe()
	if culprit < 0 || culprit >= params.N() || culprit == id {
		return [64]byte{}, malformed("participant %d excludes %d", id, culprit)
	}
	return secp.BIP340.Sign(h, exclusionMessage(session, culprit, reason), [32]byte(auxRand))
}

// VerifyExclusion reports whether sig is participant voter's signature on the
// exclusion of participant culprit for reason. Nobody excludes itself.
func VerifyExclusion(params *SessionParams, session SessionID, voter, culprit int, reason byte, sig []byte) bool {
	n := params.N()
	if voter < 0 || voter >= n || culprit < 0 || culprit >= n || voter == culprit {
		return false
	}
	return secp.BIP340.VerifyPoint(params.points[voter], exclusionMessage(session, culprit, reason), sig)
}
