package chilldkg

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"frostfed/crypto/internal/secp"
)

// ChillDKG without a coordinator: every participant broadcasts its first message
// reliably, so that all work on the same n messages and each computes the
// coordinator's part itself. No message of the draft changes by a byte. What
// changes is blame: between participants there is only the broadcast, so every
// suspicion of "participant or coordinator" is a conviction, and the same one at
// every honest participant.

var (
	// noncePoK proves knowledge of the discrete logarithm of the public nonce.
	noncePoK    = secp.NewSchnorr("frostfed/v1/nonce pok")
	tagNonceAux = secp.NewTag("frostfed/v1/nonce pok aux")
)

// noncePoKMessage returns session || b4(id) || SHA256(pmsg1).
func noncePoKMessage(session SessionID, id int, pmsg1 []byte) []byte {
	hash := sha256.Sum256(pmsg1)
	return append(append(session[:], b4(id)...), hash[:]...)
}

// DealingSize is the length of a dealing in bytes: pmsg1 and the 64-byte proof
// of knowledge of its nonce.
func (p *SessionParams) DealingSize() int { return p.pmsg1Size() + sigSize }

// Deal is ParticipantStep1 for a session without coordinator. The message to be
// broadcast is pmsg1 followed by a proof of knowledge of the discrete logarithm
// of its public nonce, bound to the session: without it, a complaint would let
// its accused multiply the complainant's host secret key by points of its choice
// and so decrypt shares of older sessions.
//
// The same arguments give the same message. random is 32 FRESH bytes for each
// session; store them, or the message, before sending, so that a restart does
// not deal twice. Errors are those of ParticipantStep1.
func Deal(hostseckey []byte, params *SessionParams, session SessionID, random []byte) ([]byte, error) {
	h, id, err := params.member(hostseckey)
	if err != nil {
		return nil, err
	}
	defer h.Wipe()
	d, err := deal(h, id, params, random)
	if err != nil {
		return nil, err
	}
	defer d.wipe()
	return d.proved(session, id)
}

// proved appends the proof of knowledge of the nonce to pmsg1.
func (d *dealt) proved(session SessionID, id int) ([]byte, error) {
	proof, err := noncePoK.Sign(d.secnonce, noncePoKMessage(session, id, d.pmsg1), tagNonceAux.Hash(d.seed[:]))
	if err != nil {
		return nil, fmt.Errorf("prove knowledge of nonce: %w", err)
	}
	return append(d.pmsg1, proof[:]...), nil
}

// Dealing is a participant's decoded and verified dealing.
type Dealing struct {
	params  *SessionParams
	session SessionID
	id      int
	bytes   []byte
	msg     *pmsg1
	nonce   secp.Point
}

// OpenDealing decodes the dealing that participant id has broadcast and checks
// all that can be checked without secrets: length, points and scalars, that the
// commitment to the secret is not O, proof of possession, public nonce, proof of
// knowledge. It returns *FaultyParticipantError, which every honest participant
// that delivers the same message returns as well.
func OpenDealing(params *SessionParams, session SessionID, id int, dealing []byte) (*Dealing, error) {
	d, err := decodeDealing(params, session, id, dealing)
	if err != nil {
		return nil, err
	}
	if err := d.verify(); err != nil {
		return nil, err
	}
	return d, nil
}

// OpenDealings opens the dealings of all participants, by id, and verifies their
// proofs in batches. It returns *FaultyParticipantsError with every participant
// that OpenDealing convicts, or ErrMalformed for another number than n.
func OpenDealings(params *SessionParams, session SessionID, dealings [][]byte) ([]*Dealing, error) {
	if len(dealings) != params.N() {
		return nil, malformed("%d dealings, want %d", len(dealings), params.N())
	}
	faults := &FaultyParticipantsError{}
	opened := make([]*Dealing, 0, len(dealings))
	pops, poks := make([]secp.BatchItem, 0, len(dealings)), make([]secp.BatchItem, 0, len(dealings))
	for id, b := range dealings {
		d, err := decodeDealing(params, session, id, b)
		if err != nil {
			faults.Faults = append(faults.Faults, err)
			continue
		}
		opened = append(opened, d)
		pops = append(pops, d.possession())
		poks = append(poks, d.knowledge())
	}
	if !pop.VerifyBatch(pops) || !noncePoK.VerifyBatch(poks) {
		for _, d := range opened {
			if err := d.verify(); err != nil {
				faults.Faults = append(faults.Faults, err)
			}
		}
	}
	if len(faults.Faults) > 0 {
		slices.SortFunc(faults.Faults, func(a, b *FaultyParticipantError) int { return a.Participant - b.Participant })
		return nil, faults
	}
	return opened, nil
}

// decodeDealing decodes all fields of a dealing. Its proofs are not verified.
func decodeDealing(params *SessionParams, session SessionID, id int, dealing []byte) (*Dealing, *FaultyParticipantError) {
	if len(dealing) != params.DealingSize() {
		return nil, &FaultyParticipantError{
			Participant: id,
			Reason:      fmt.Sprintf("dealing has %d bytes, want %d", len(dealing), params.DealingSize()),
		}
	}
	d := &Dealing{params: params, session: session, id: id, bytes: bytes.Clone(dealing)}
	var err error
	if d.msg, err = params.parsePmsg1(d.bytes[:params.pmsg1Size()]); err != nil {
		return nil, &FaultyParticipantError{Participant: id, Reason: err.Error()}
	}
	if d.nonce, err = secp.ParsePoint(d.msg.nonce[:]); err != nil {
		return nil, &FaultyParticipantError{Participant: id, Reason: "invalid public nonce"}
	}
	return d, nil
}

// possession is the proof of possession, which fails for a commitment to zero:
// O is no public key.
func (d *Dealing) possession() secp.BatchItem {
	return secp.BatchItem{Pubkey: d.msg.coms[0], Msg: b4(d.id), Sig: d.msg.pop}
}

// knowledge is the proof of knowledge of the nonce.
func (d *Dealing) knowledge() secp.BatchItem {
	size := d.params.pmsg1Size()
	return secp.BatchItem{
		Pubkey: d.nonce,
		Msg:    noncePoKMessage(d.session, d.id, d.bytes[:size]),
		Sig:    d.bytes[size:],
	}
}

func (d *Dealing) verify() *FaultyParticipantError {
	if p := d.possession(); !pop.VerifyPoint(p.Pubkey, p.Msg, p.Sig) {
		return &FaultyParticipantError{Participant: d.id, Reason: "commitment to zero or invalid proof of possession"}
	}
	return d.verifyNonce()
}

func (d *Dealing) verifyNonce() *FaultyParticipantError {
	if k := d.knowledge(); !noncePoK.VerifyPoint(k.Pubkey, k.Msg, k.Sig) {
		return &FaultyParticipantError{Participant: d.id, Reason: "invalid proof of knowledge of the nonce"}
	}
	return nil
}

// Round1 is a session whose n dealings have all been opened. It is public.
type Round1 struct {
	dealings  []*Dealing
	aggregate *aggregate
	keys      *publicKeys // nil if a public share is infinite
	infinite  int         // whose
}

// Combine does the coordinator's part with the dealings of all participants, by
// id. It returns ErrMalformed if they are not that. It convicts nobody: a public
// share at infinity may be the work of its owner, or of a dealer that saw the others'
// commitments and does not know what it commits to. Step2 tells them apart.
func Combine(dealings []*Dealing) (*Round1, error) {
	if len(dealings) == 0 || len(dealings) != dealings[0].params.N() {
		return nil, malformed("%d dealings", len(dealings))
	}
	first := dealings[0]
	ms := make([]*pmsg1, len(dealings))
	points := make([]secp.Point, len(dealings))
	for i, d := range dealings {
		if d.id != i || d.session != first.session || !bytes.Equal(d.params.context, first.params.context) {
			return nil, malformed("dealing %d is of participant %d or of another session", i, d.id)
		}
		ms[i], points[i] = d.msg, d.nonce
	}
	a := combine(first.params, ms).aggregate(first.params)
	a.points = points
	keys, err := a.publicKeys()
	if infinite, ok := errors.AsType[*FaultyParticipantOrCoordinatorError](err); ok {
		return &Round1{dealings: dealings, aggregate: a, infinite: infinite.Participant}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Round1{dealings: dealings, aggregate: a, keys: keys}, nil
}

// EqInput returns what all participants sign in their CertEq signatures, for
// VerifyCertSig (4+33*t+98*n bytes).
func (r *Round1) EqInput() []byte { return r.aggregate.eqInput() }

// Step2 is ParticipantStep2 for a session without coordinator: it decrypts the
// secret share and returns the 64-byte CertEq signature to send to all. own is
// the dealing the participant remembers having sent; auxRand is 32 bytes of
// fresh randomness. The warning of ParticipantStep2 applies.
//
// It returns ErrMalformed, ErrHostSeckey, ErrOwnMessage, or *BadSharesError, on
// which the participant complains (see Complain) and must never sign. With a public
// share at infinity nobody signs: *InfiniteShareError says that the own shares are
// right, so that either somebody else complains or the owner is to blame.
func (r *Round1) Step2(hostseckey, own, auxRand []byte) (*ParticipantState2, []byte, error) {
	params := r.aggregate.params
	if len(auxRand) != 32 {
		return nil, nil, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := params.member(hostseckey)
	if err != nil {
		return nil, nil, err
	}
	defer h.Wipe()
	if !bytes.Equal(own, r.dealings[id].bytes) {
		return nil, nil, ErrOwnMessage
	}
	if r.keys == nil {
		share, pads := r.aggregate.decrypt(id, h)
		share.Wipe()
		if bad := r.badShares(id, pads); len(bad) > 0 {
			return nil, nil, &BadSharesError{Dealers: bad}
		}
		return nil, nil, &InfiniteShareError{Participant: r.infinite}
	}
	state, sig, inv, err := r.aggregate.step2(r.keys, id, h, [32]byte(auxRand))
	if err != nil {
		return nil, nil, err
	}
	if inv == nil {
		return state, sig, nil
	}
	return nil, nil, &BadSharesError{Dealers: r.badShares(id, inv.pads)}
}

// badShares lists the dealers whose share for id does not fit, and wipes the pads.
func (r *Round1) badShares(id int, pads []secp.Scalar) (dealers []int) {
	defer wipe(pads)
	for j, d := range r.dealings {
		// The share to oneself is part of the own dealing and thus correct.
		if j != id && !d.shareValid(id, pads[j]) {
			dealers = append(dealers, j)
		}
	}
	return dealers
}

// shareValid reports whether the dealer's share for id, decrypted by pad, is the
// one it is committed to.
func (d *Dealing) shareValid(id int, pad secp.Scalar) bool {
	share := d.msg.shares[id].Sub(pad)
	defer share.Wipe()
	return secp.SecretBaseMul(share).Equal(evalPublic(d.msg.coms, id))
}
