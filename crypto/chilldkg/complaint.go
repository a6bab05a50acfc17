package chilldkg

import (
	"fmt"

	"frostfed/crypto/internal/complaint"
)

// A complaint lets everybody decide who is at fault when a share is bad: the
// complainant j reveals the Diffie-Hellman point S = h_j*N_i with a proof that
// it is that, so that all can decrypt the one share c_ij. It reveals nothing to
// the accused i that i cannot compute: i has proved to know the logarithm of N_i.

// ComplaintSize is the length of a complaint in bytes: complainant, accused, S,
// BIP 374 proof.
const ComplaintSize = complaint.Size

// Complain returns the complaint (105 bytes) of the owner of the host secret key
// about the share that participant accused has dealt to it. auxRand is 32 bytes
// of fresh randomness. A participant that complains must never sign the session
// afterwards, nor complain after having signed.
//
// It returns ErrMalformed, ErrHostSeckey, or ErrShareValid: it reveals nothing
// unless the complaint is justified.
func (r *Round1) Complain(hostseckey []byte, accused int, auxRand []byte) ([]byte, error) {
	params := r.aggregate.params
	if len(auxRand) != 32 {
		return nil, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := params.member(hostseckey)
	if err != nil {
		return nil, err
	}
	defer h.Wipe()
	if accused < 0 || accused >= params.N() || accused == id {
		return nil, malformed("participant %d accuses %d", id, accused)
	}
	d := r.dealings[accused]
	b, shared, err := complaint.Make(h, d.session, id, accused, d.nonce, [32]byte(auxRand))
	if err != nil {
		return nil, fmt.Errorf("prove complaint: %w", err)
	}
	if d.shareValid(id, params.ecdhPad(shared, d.msg.nonce, id)) {
		return nil, ErrShareValid
	}
	return b, nil
}

// ComplaintParties decodes who complains about whom, so that the caller can find
// the dealing of the accused. It returns ErrMalformed for a complaint of the
// wrong length, by or about nobody, or about oneself.
func ComplaintParties(params *SessionParams, b []byte) (complainant, accused int, err error) {
	complainant, accused, ok := complaint.Parties(params.N(), b)
	if !ok {
		return 0, 0, malformed("complaint of %d bytes, or not about another participant", len(b))
	}
	return complainant, accused, nil
}

// Judge returns the guilty participant of a complaint that sender has broadcast:
// its author or its accused, whose dealing the caller has delivered. Judge is
// deterministic, so all who deliver the same messages convict the same. It
// returns ErrMalformed for a complaint without verdict, which the caller drops:
// malformed, or made in the name of another than the sender.
func Judge(params *SessionParams, session SessionID, sender int, b, dealing []byte) (guilty int, err error) {
	complainant, accused, err := ComplaintParties(params, b)
	if err != nil {
		return 0, err
	}
	if complainant != sender {
		return 0, malformed("participant %d complains in the name of %d", sender, complainant)
	}
	d, fault := decodeDealing(params, session, accused, dealing)
	if fault != nil || d.verifyNonce() != nil {
		return accused, nil
	}
	shared, ok := complaint.Open(session, b, params.points[complainant], d.nonce)
	if !ok {
		return complainant, nil
	}
	if d.shareValid(complainant, params.ecdhPad(shared, d.msg.nonce, complainant)) {
		return complainant, nil
	}
	return accused, nil
}
