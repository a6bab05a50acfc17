package rfc9591

import (
	"fmt"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/complaint"
)

// Complain returns the complaint of the owner of the host secret key about the
// share that participant accused has dealt to it. Like
// chilldkg.Round1.Complain: who complains must never certify, and nothing is
// revealed unless the complaint is justified (chilldkg.ErrShareValid).
func (r *Round1) Complain(hostseckey []byte, accused int, auxRand []byte) ([]byte, error) {
	p := r.aggregate.params
	if len(auxRand) != 32 {
		return nil, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := p.member(hostseckey)
	if err != nil {
		return nil, err
	}
	defer h.Wipe()
	if accused < 0 || accused >= p.N() || accused == id {
		return nil, malformed("participant %d accuses %d", id, accused)
	}
	d := r.dealings[accused]
	b, shared, err := complaint.Make(h, d.session, id, accused, d.point, [32]byte(auxRand))
	if err != nil {
		return nil, fmt.Errorf("prove complaint: %w", err)
	}
	if d.shareValid(id, p.pad(shared, d.session, d.nonce, id)) {
		return nil, chilldkg.ErrShareValid
	}
	return b, nil
}

// Judge returns the guilty participant of a complaint that sender has broadcast:
// its author, or its accused, whose dealing the caller has delivered. It is
// deterministic. It returns chilldkg.ErrMalformed for a complaint without
// verdict, which the caller drops.
func Judge(p *Params, session chilldkg.SessionID, sender int, b, dealing []byte) (guilty int, err error) {
	complainant, accused, err := chilldkg.ComplaintParties(p.hosts, b)
	if err != nil {
		return 0, err
	}
	if complainant != sender {
		return 0, malformed("participant %d complains in the name of %d", sender, complainant)
	}
	d, fault := decodeDealing(p, session, accused, dealing)
	if fault != nil || !d.knowsNonce() {
		return accused, nil
	}
	shared, ok := complaint.Open(session, b, p.points[complainant], d.point)
	if !ok || d.shareValid(complainant, p.pad(shared, session, d.nonce, complainant)) {
		return complainant, nil
	}
	return accused, nil
}
