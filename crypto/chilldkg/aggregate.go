package chilldkg

import (
	"errors"
	"fmt"

	"frostfed/crypto/internal/secp"
)

var tagTapTweak = secp.NewTag("TapTweak")

// aggregate is what the participants of a session must agree on; its encoding is
// the eq_input that all of them sign.
type aggregate struct {
	params *SessionParams
	coms   []secp.Point  // K_0..K_t-1: sums over the participants, untweaked
	raw    []byte        // their encodings, 33*t bytes
	nonces [][33]byte    // N_0..N_n-1
	points []secp.Point  // nonces decoded by decodeNonces
	shares []secp.Scalar // E_0..E_n-1: sums of encrypted shares
}

// eqInput returns b4(t) || K_0..K_t-1 || H_0..H_n-1 || N_0..N_n-1 || E_0..E_n-1.
func (a *aggregate) eqInput() []byte {
	b := b4(a.params.t)
	b = append(b, a.raw...)
	for _, key := range a.params.pubkeys {
		b = append(b, key[:]...)
	}
	for _, nonce := range a.nonces {
		b = append(b, nonce[:]...)
	}
	return appendScalars(b, a.shares)
}

// decodeNonces fills points. On error id is the first undecodable nonce.
func (a *aggregate) decodeNonces() (id int, err error) {
	a.points = make([]secp.Point, len(a.nonces))
	for j, nonce := range a.nonces {
		if a.points[j], err = secp.ParsePoint(nonce[:]); err != nil {
			return j, err
		}
	}
	return 0, nil
}

// publicKeys are the public results of a session.
type publicKeys struct {
	tweak     secp.Scalar // tau, added to every share
	threshPK  [33]byte
	points    []secp.Point
	pubshares [][33]byte
}

// errDegenerate reports commitments that no session with one honest participant
// reaches: nobody can have proved possession of what makes the sum vanish.
var errDegenerate = errors.New("threshold public key is infinite")

// publicKeys computes K_0 + tau*G with tau = H[TapTweak](x(K_0)), and the public
// shares. The tweak commits to an unspendable script path, so that no
// participant can have hidden a script in the key. K_0 is tweaked as it is,
// without the normalisation to even y that Taproot applies to internal keys.
//
// It returns *FaultyParticipantOrCoordinatorError for j if Y_j = O. Steering Y_j
// takes the shares that the honest participants encrypted to j, so if the
// commitments are authentic j itself is at fault.
func (a *aggregate) publicKeys() (*publicKeys, error) {
	if a.coms[0].IsInfinity() {
		return nil, errDegenerate
	}
	tweak, err := secp.ScalarFromHash(tagTapTweak.Hash(a.raw[1:pointSize]))
	if err != nil {
		return nil, fmt.Errorf("taproot tweak: %w", err)
	}
	coms := append([]secp.Point(nil), a.coms...)
	coms[0] = coms[0].Add(secp.BaseMulVartime(tweak))
	if coms[0].IsInfinity() {
		return nil, errDegenerate
	}
	k := &publicKeys{
		tweak:     tweak,
		threshPK:  coms[0].Bytes(),
		points:    evalPublicAll(coms, a.params.N()),
		pubshares: make([][33]byte, a.params.N()),
	}
	for j, y := range k.points {
		if y.IsInfinity() {
			return nil, &FaultyParticipantOrCoordinatorError{Participant: j, Reason: "public share is infinite"}
		}
		k.pubshares[j] = y.Bytes()
	}
	return k, nil
}

// decrypt returns E_id minus all pads, the untweaked share of id, and the pads.
// The caller wipes both.
func (a *aggregate) decrypt(id int, h secp.Scalar) (share secp.Scalar, pads []secp.Scalar) {
	pads = a.params.padsTo(id, h, a.nonces, a.points)
	share = a.shares[id]
	for _, pad := range pads {
		share = share.Sub(pad)
	}
	return share, pads
}

// Output is the result of a session: what BIP 445 calls ThresholdInfo, and the
// secret share of the participant that computed it.
type Output struct {
	T         int        // threshold: T shares sign, T-1 learn nothing
	ThreshPK  [33]byte   // compressed; the Taproot tweak is inside
	PubShares [][33]byte // compressed, by participant id
	SecShare  *SecShare  // nil for the coordinator
}

// output builds the Output from the untweaked share of a participant.
func (a *aggregate) output(k *publicKeys, share *secp.Scalar) *Output {
	out := &Output{T: a.params.t, ThreshPK: k.threshPK, PubShares: k.pubshares}
	if share != nil {
		tweaked := share.Add(k.tweak)
		out.SecShare = &SecShare{b: tweaked.Bytes()}
		tweaked.Wipe()
	}
	return out
}

// SecShare is a secret share. It has one owner, who wipes it.
type SecShare struct{ b [32]byte }

// Bytes returns the 32-byte scalar. The slice is the share itself, not a copy: it
// is zero after Wipe.
func (s *SecShare) Bytes() []byte { return s.b[:] }

// Wipe overwrites the share.
func (s *SecShare) Wipe() { clear(s.b[:]) }

// Format keeps the share out of logs and errors, whatever the verb.
func (s *SecShare) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(secret share)") }
