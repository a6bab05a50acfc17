package chilldkg

import (
	"frostfed/crypto/internal/secp"
)

// investigation is what a participant knows about a share that does not match.
type investigation struct {
	id, n    int
	encShare secp.Scalar   // E_id
	pads     []secp.Scalar // by sender
	pubshare secp.Point    // untweaked Y_id
}

// ParticipantInvestigate narrows down who is at fault after step 2 has failed
// with the given error, with the coordinator's investigation message for this
// participant (65*n bytes). It always returns an error: ErrMalformed,
// *FaultyCoordinatorError, or *FaultyParticipantOrCoordinatorError naming the
// first sender whose share contradicts its commitments. Source: ChillDKG,
// participant_investigate.
func ParticipantInvestigate(failure *UnknownFaultyParticipantOrCoordinatorError, cinv []byte) error {
	inv := failure.inv
	if len(cinv) != (scalarSize+pointSize)*inv.n {
		return malformed("investigation message has %d bytes, want %d", len(cinv), (scalarSize+pointSize)*inv.n)
	}
	r := reader{rest: cinv}
	shares := r.scalars(inv.n)
	pubshares := r.points(inv.n)
	if r.err != nil {
		return r.err
	}
	sum, pubsum := secp.Scalar{}, secp.Infinity()
	for j := range inv.n {
		sum = sum.Add(shares[j])
		pubsum = pubsum.Add(pubshares[j])
	}
	if !sum.Equal(inv.encShare) {
		return &FaultyCoordinatorError{Reason: "encrypted shares do not add up to their sum"}
	}
	if !pubsum.Equal(inv.pubshare) {
		return &FaultyCoordinatorError{Reason: "partial public shares do not add up to the public share"}
	}
	for j := range inv.n {
		share := shares[j].Sub(inv.pads[j])
		valid := secp.SecretBaseMul(share).Equal(pubshares[j])
		share.Wipe()
		switch {
		case valid:
		case j == inv.id:
			return &FaultyCoordinatorError{Reason: "changed the share of the local participant to itself"}
		default:
			return &FaultyParticipantOrCoordinatorError{Participant: j, Reason: "invalid partial secret share"}
		}
	}
	// Valid parts with these sums would have passed step 2.
	return &FaultyCoordinatorError{Reason: "investigation contradicts the failure"}
}

// CoordinatorInvestigate returns for every participant i the message from which
// it can find the sender of a bad share: the encrypted shares c_ji of all j and
// the partial public shares sum over k of (i+1)^k * C_jk. It returns
// ErrMalformed. Source: ChillDKG, coordinator_investigate.
func CoordinatorInvestigate(pmsgs1 [][]byte, params *SessionParams) ([][]byte, error) {
	ms, err := params.parsePmsgs1(pmsgs1)
	if err != nil {
		return nil, err
	}
	cinvs := make([][]byte, params.N())
	for i := range cinvs {
		cinvs[i] = make([]byte, 0, (scalarSize+pointSize)*params.N())
		for _, m := range ms {
			cinvs[i] = appendScalars(cinvs[i], m.shares[i:i+1])
		}
	}
	for _, m := range ms {
		for i, y := range evalPublicAll(m.coms, params.N()) {
			cinvs[i] = appendPoints(cinvs[i], []secp.Point{y})
		}
	}
	return cinvs, nil
}
