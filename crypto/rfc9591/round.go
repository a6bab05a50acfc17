package rfc9591

import (
	"bytes"
	"errors"

	"github.com/bytemare/ecc"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/secp"
)

// Dealing is a decoded dealing.
type Dealing struct {
	params  *Params
	session chilldkg.SessionID
	id      int
	bytes   []byte
	coms    []*ecc.Element
	pop     []byte
	nonce   [33]byte
	point   secp.Point // nonce
	shares  []*ecc.Scalar
}

// decodeDealing decodes all fields. Proofs are not verified. A dealing of another
// length, in another suite, or with a field that is not canonical convicts.
func decodeDealing(p *Params, session chilldkg.SessionID, id int, b []byte) (*Dealing, *chilldkg.FaultyParticipantError) {
	faulty := func(reason string) (*Dealing, *chilldkg.FaultyParticipantError) {
		return nil, &chilldkg.FaultyParticipantError{Participant: id, Reason: reason}
	}
	if len(b) != p.DealingSize() || b[0] != byte(p.suite) {
		return faulty("dealing is not of this suite or has a wrong length")
	}
	d := &Dealing{params: p, session: session, id: id, bytes: bytes.Clone(b)}
	r := reader{suite: p.suite, rest: d.bytes[1:]}
	d.coms = r.elements(p.T(), p.suite.element)
	d.pop = r.bytes(p.suite.PublicKeySize() + scalarSize)
	d.nonce = [33]byte(r.bytes(33))
	d.shares = r.scalars(p.N())
	if r.err != nil {
		return faulty(r.err.Error())
	}
	var err error
	if d.point, err = secp.ParsePoint(d.nonce[:]); err != nil {
		return faulty("invalid public nonce")
	}
	return d, nil
}

// knowledge is the proof about the nonce.
func (d *Dealing) knowledge() secp.BatchItem {
	size := d.params.bodySize()
	return secp.BatchItem{Pubkey: d.point, Msg: noncePoKMessage(d.session, d.id, d.bytes[:size]), Sig: d.bytes[size:]}
}

func (d *Dealing) knowsNonce() bool {
	k := d.knowledge()
	return noncePoK.VerifyPoint(k.Pubkey, k.Msg, k.Sig)
}

func (d *Dealing) verify() *chilldkg.FaultyParticipantError {
	if !d.params.possesses(d.coms[0], d.session, d.id, d.pop) {
		return &chilldkg.FaultyParticipantError{Participant: d.id, Reason: "invalid proof of possession"}
	}
	if !d.knowsNonce() {
		return &chilldkg.FaultyParticipantError{Participant: d.id, Reason: "invalid proof of knowledge of the nonce"}
	}
	return nil
}

// OpenDealing is OpenDealings for the dealing of one participant. It returns
// *chilldkg.FaultyParticipantError.
func OpenDealing(p *Params, session chilldkg.SessionID, id int, b []byte) (*Dealing, error) {
	d, fault := decodeDealing(p, session, id, b)
	if fault == nil {
		fault = d.verify()
	}
	if fault != nil {
		return nil, fault
	}
	return d, nil
}

// OpenDealings decodes the dealings of all participants, by id, and checks all
// that can be checked without secrets. It returns
// *chilldkg.FaultyParticipantsError with everybody whose dealing is wrong, which
// every honest participant that delivers the same dealings returns as well, or
// chilldkg.ErrMalformed for another number than n.
func OpenDealings(p *Params, session chilldkg.SessionID, dealings [][]byte) ([]*Dealing, error) {
	if len(dealings) != p.N() {
		return nil, malformed("%d dealings, want %d", len(dealings), p.N())
	}
	faults := &chilldkg.FaultyParticipantsError{}
	opened := make([]*Dealing, 0, len(dealings))
	for id, b := range dealings {
		d, fault := decodeDealing(p, session, id, b)
		if fault == nil {
			fault = d.verify()
		}
		if fault != nil {
			faults.Faults = append(faults.Faults, fault)
			continue
		}
		opened = append(opened, d)
	}
	if len(faults.Faults) > 0 {
		return nil, faults
	}
	return opened, nil
}

// Round1 is a session whose dealings have all been opened. It is public.
type Round1 struct {
	dealings  []*Dealing
	aggregate *aggregate
	keys      *publicKeys
}

// Combine adds up the dealings of all participants, by id. It returns
// chilldkg.ErrMalformed if they are not that. It convicts nobody: what is wrong
// with a sum shows in somebody's share.
func Combine(dealings []*Dealing) (*Round1, error) {
	if len(dealings) == 0 || len(dealings) != dealings[0].params.N() {
		return nil, malformed("%d dealings", len(dealings))
	}
	p, session := dealings[0].params, dealings[0].session
	g := p.suite.group()
	a := &aggregate{params: p, session: session}
	for range p.T() {
		a.coms = append(a.coms, g.NewElement())
	}
	for range p.N() {
		a.shares = append(a.shares, g.NewScalar())
	}
	for i, d := range dealings {
		if d.id != i || d.session != session || d.params.suite != p.suite || d.params.hosts.Hash() != p.hosts.Hash() {
			return nil, malformed("dealing %d is of participant %d or of another session", i, d.id)
		}
		for k := range a.coms {
			a.coms[k].Add(d.coms[k])
		}
		for j := range a.shares {
			a.shares[j].Add(d.shares[j])
		}
		a.nonces, a.points = append(a.nonces, d.nonce), append(a.points, d.point)
	}
	keys, err := a.publicKeys()
	if err != nil {
		return nil, err
	}
	return &Round1{dealings: dealings, aggregate: a, keys: keys}, nil
}

// EqInput returns what all participants sign in their certificate signatures.
func (r *Round1) EqInput() []byte { return r.aggregate.eqInput() }

// Certify decrypts and checks the own share and returns the 64-byte signature to
// send to all: from then on the host secret key must never be erased. own is the
// dealing that the participant remembers having sent; auxRand is 32 bytes of
// fresh randomness. The share itself comes from Recover, with the certificate.
//
// It returns chilldkg.ErrMalformed, ErrHostSeckey, ErrOwnMessage, or
// *BadSharesError, on which the participant complains and must never sign.
func (r *Round1) Certify(hostseckey, own, auxRand []byte) (sig [64]byte, err error) {
	p := r.aggregate.params
	if len(auxRand) != 32 {
		return sig, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := p.member(hostseckey)
	if err != nil {
		return sig, err
	}
	defer h.Wipe()
	if !bytes.Equal(own, r.dealings[id].bytes) {
		return sig, chilldkg.ErrOwnMessage
	}
	share, pads := r.aggregate.decrypt(id, h)
	defer wipe(append(pads, share))
	if !r.keys.fits(id, share) {
		bad := &chilldkg.BadSharesError{}
		for j, d := range r.dealings {
			// The share to oneself is part of the own dealing and thus correct.
			if j != id && !d.shareValid(id, pads[j]) {
				bad.Dealers = append(bad.Dealers, j)
			}
		}
		if len(bad.Dealers) == 0 {
			return sig, errDegenerate
		}
		return sig, bad
	}
	return signCert(h, id, r.EqInput(), [32]byte(auxRand))
}

// shareValid reports whether the dealer's share for id, decrypted by pad, is the
// one it is committed to.
func (d *Dealing) shareValid(id int, pad *ecc.Scalar) bool {
	share := d.shares[id].Copy().Subtract(pad)
	defer share.Zero()
	return d.params.suite.group().Base().Multiply(share).Equal(evalPublic(d.coms, id))
}

// errDegenerate reports sums that no session with an honest participant reaches.
var errDegenerate = errors.New("degenerate key")

// publicKeys are the public results of a session.
type publicKeys struct {
	key    *ecc.Element
	shares []*ecc.Element // by participant
	usable []bool         // FROST can use the share
}

// publicKeys computes the key K_0 and the public shares.
//
// A public share that is the identity, the generator or the same as another one
// is of no use in signing. Commitments of a dealer that does not know what it
// commits to can make it so for an honest participant, who then finds its share
// from this dealer wrong and complains; with correct shares only those can bring
// it about for themselves who know what the honest ones have dealt them. So
// nobody is convicted here, and the key works without the share.
func (a *aggregate) publicKeys() (*publicKeys, error) {
	g := a.params.suite.group()
	k := &publicKeys{key: a.coms[0], usable: make([]bool, a.params.N())}
	if k.key.IsIdentity() || k.key.Equal(g.Base()) {
		return nil, errDegenerate // with proofs of possession nobody can steer it there
	}
	first := make(map[string]int)
	for id := range k.usable {
		y := evalPublic(a.coms, id)
		k.shares = append(k.shares, y)
		name := string(a.params.suite.encodeSum(y))
		other, seen := first[name]
		first[name] = id
		k.usable[id] = !seen && !y.IsIdentity() && !y.Equal(g.Base())
		if seen {
			k.usable[other] = false
		}
	}
	return k, nil
}

// fits reports whether share is the one of participant id, and of use.
func (k *publicKeys) fits(id int, share *ecc.Scalar) bool {
	return k.usable[id] && share.Group().Base().Multiply(share).Equal(k.shares[id])
}
