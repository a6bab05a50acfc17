package bip445

import "frostfed/crypto/internal/secp"

// Session is one message being signed by one set with one aggregate nonce: the
// values all partial signatures share. Source: BIP 445, GetSessionValues.
type Session struct {
	set  *SignerSet
	key  TweakCtx
	msg  []byte
	b, e secp.Scalar
	r    [32]byte // x(R)
	oddR bool
}

// NewSession computes the values of a session. key must have been made from the
// set's threshold key. msg, of any length, is not copied and must not change.
//
// An aggregate nonce at infinity is no error here: R becomes G, and the partial
// signature of whoever cancelled the others' nonces will not verify.
func NewSession(set *SignerSet, key TweakCtx, aggnonce AggNonce, msg []byte) (Session, error) {
	if key.base != set.threshPK {
		return Session{}, precondition("tweak context is of another threshold public key")
	}
	s := Session{set: set, key: key, msg: msg}
	xonly := key.XonlyPK()
	s.b = nonceCoef(set.encoded, &aggnonce.enc, &xonly, msg)
	// R = R1 + b·R2
	r := aggnonce.r[0].Add(secp.MulVartime(s.b, aggnonce.r[1]))
	if r.IsInfinity() {
		r = secp.Generator()
	}
	enc := r.Bytes()
	s.r, s.oddR = [32]byte(enc[1:]), enc[0]&1 == 1
	s.e = challenge(&s.r, &xonly, msg)
	if s.b.IsZero() || s.e.IsZero() {
		return Session{}, precondition("hash is zero") // probability 2^-255
	}
	return s, nil
}

// coefficient is e·λ_i·g·gacc: what multiplies signer i's share. g is -1 if y(Q)
// is odd.
func (s *Session) coefficient(i int) secp.Scalar {
	return s.e.Mul(s.set.lambda[i]).NegIf((s.key.Parity() == 1) != s.key.gacc)
}

// PartialSigVerify checks the partial signature (32 bytes) of the signer at a
// position of the set against its public nonce. It returns nil if it is valid
// and a *ContributionError if not.
//
// A valid partial signature proves nothing to third parties, and blame is sound
// only if this party aggregated the nonces of the session itself. Source:
// BIP 445, PartialSigVerify.
func (s *Session) PartialSigVerify(index int, nonce PubNonce, psig [PartialSigSize]byte) error {
	if index < 0 || index >= len(s.set.ids) {
		return precondition("no signer at index %d", index)
	}
	if s.set.shares == nil {
		return precondition("the set has no public shares")
	}
	z, err := secp.ParseScalar(psig[:])
	if err != nil || !s.verify(z, s.coefficient(index), s.set.shares[index].point, &nonce) {
		return &ContributionError{index, ContribPartial}
	}
	return nil
}

// verify reports whether z·G = ε(R1+b·R2) + c·P, with ε = -1 if y(R) is odd.
func (s *Session) verify(z, c secp.Scalar, share secp.Point, nonce *PubNonce) bool {
	rest := secp.TripleMulVartime(z, c.Neg(), share, s.b.NegIf(!s.oddR), nonce.r[1])
	return rest.Equal(nonce.r[0].NegIf(s.oddR))
}

// PartialSigAgg adds the partial signatures, one per signer in the order of the
// set, to a signature of 64 bytes and verifies it. It returns a
// *ContributionError for a partial signature out of range, and
// ErrInvalidSignature if the sum does not verify. Source: BIP 445,
// PartialSigAgg.
func (s *Session) PartialSigAgg(psigs [][PartialSigSize]byte) ([SignatureSize]byte, error) {
	var sig [SignatureSize]byte
	if len(psigs) != len(s.set.ids) {
		return sig, precondition("%d partial signatures for %d signers", len(psigs), len(s.set.ids))
	}
	// s = Σ s_i + e·g·tacc
	sum := s.e.Mul(s.key.tacc).NegIf(s.key.Parity() == 1)
	for i := range psigs {
		z, err := secp.ParseScalar(psigs[i][:])
		if err != nil {
			return sig, &ContributionError{i, ContribPartial}
		}
		sum = sum.Add(z)
	}
	enc := sum.Bytes()
	copy(sig[:32], s.r[:])
	copy(sig[32:], enc[:])
	if !s.key.Verify(s.msg, sig[:]) {
		return [SignatureSize]byte{}, ErrInvalidSignature
	}
	return sig, nil
}

// Culprits returns the positions of the signers whose partial signatures are
// invalid, ascending. Both lists have one entry per signer in the order of the
// set, and the session's aggregate nonce must be the sum of nonces. An empty
// result after ErrInvalidSignature means that it is not.
func (s *Session) Culprits(nonces []PubNonce, psigs [][PartialSigSize]byte) ([]int, error) {
	if len(nonces) != len(s.set.ids) || len(psigs) != len(s.set.ids) {
		return nil, precondition("need a nonce and a partial signature of each of %d signers", len(s.set.ids))
	}
	if s.set.shares == nil {
		return nil, precondition("the set has no public shares")
	}
	var culprits []int
	for i := range psigs {
		if s.PartialSigVerify(i, nonces[i], psigs[i]) != nil {
			culprits = append(culprits, i)
		}
	}
	return culprits, nil
}
