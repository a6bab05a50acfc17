package chilldkg

import (
	"bytes"
	"fmt"

	"frostfed/crypto/internal/secp"
)

var (
	tagSeed     = secp.NewTag("BIP DKG/encpedpop seed")
	tagSecnonce = secp.NewTag("BIP DKG/encpedpop secnonce")
	tagCoeffs   = secp.NewTag("BIP DKG/vss coeffs")
	tagPopAux   = secp.NewTag("BIP DKG/simplpedpop aux")

	// pop is the proof of possession of a_0: a signature of b4(id). It is x-only,
	// hence valid for C_i0 and -C_i0, and binds only the id; therefore the
	// randomness of step 1 must be fresh in every session.
	pop = secp.NewSchnorr("BIP DKG/pop message")
)

// dealt is the result of step 1 with the secrets that the nonce proof needs.
type dealt struct {
	pmsg1    []byte
	secnonce secp.Scalar
	seed     [32]byte
}

func (d *dealt) wipe() {
	d.secnonce.Wipe()
	clear(d.seed[:])
}

// deal draws the polynomial f_id of degree t-1 from the host secret key and the
// randomness, and encrypts f_id(x_j) to every participant j.
func deal(h secp.Scalar, id int, params *SessionParams, random []byte) (*dealt, error) {
	if len(random) != 32 {
		return nil, malformed("randomness has %d bytes, want 32", len(random))
	}
	if [32]byte(random) == [32]byte{} {
		return nil, ErrRandomness
	}
	key := h.Bytes()
	defer clear(key[:])
	d := &dealt{seed: tagSeed.Hash(key[:], random, params.context)}

	// The chances that one of these hashes is not a scalar are below 2^-127.
	secnonce := tagSecnonce.Hash(d.seed[:])
	defer clear(secnonce[:])
	var err error
	if d.secnonce, err = secp.ScalarFromHash(secnonce); err != nil || d.secnonce.IsZero() {
		return nil, fmt.Errorf("derive nonce: %w", secp.ErrScalar)
	}
	coeffs := make([]secp.Scalar, params.t)
	defer wipe(coeffs)
	d.pmsg1 = make([]byte, 0, params.pmsg1Size())
	for k := range coeffs {
		a := tagCoeffs.Hash(d.seed[:], b4(k))
		coeffs[k], err = secp.ScalarFromHash(a)
		clear(a[:])
		if err != nil {
			return nil, fmt.Errorf("derive polynomial: %w", err)
		}
		com := secp.SecretBaseMul(coeffs[k]).BytesOrInfinity()
		d.pmsg1 = append(d.pmsg1, com[:]...)
	}
	proof, err := pop.Sign(coeffs[0], b4(id), tagPopAux.Hash(d.seed[:]))
	if err != nil {
		return nil, fmt.Errorf("prove possession: %w", err)
	}
	d.pmsg1 = append(d.pmsg1, proof[:]...)
	nonce := secp.SecretBaseMul(d.secnonce).Bytes()
	d.pmsg1 = append(d.pmsg1, nonce[:]...)
	for j := range params.pubkeys {
		var pad secp.Scalar
		if j == id {
			pad = params.selfPad(h, nonce, id)
		} else {
			pad = params.ecdhPad(secp.SecretMul(d.secnonce, params.points[j]), nonce, j)
		}
		share := evalSecret(coeffs, j)
		c := share.Add(pad).Bytes()
		share.Wipe()
		pad.Wipe()
		d.pmsg1 = append(d.pmsg1, c[:]...)
	}
	return d, nil
}

// ParticipantState1 is what a participant remembers of its first message. It is
// public: everything step 2 needs besides is derived from the host secret key.
type ParticipantState1 struct {
	params *SessionParams
	id     int
	com0   []byte
	nonce  [33]byte
}

// ParticipantStep1 draws a participant's contribution. hostseckey and random are
// 32 bytes each; random must be FRESH: reuse reveals shares, also across
// sessions. The message, pmsg1 of 33*t+32*n+97 bytes, goes to the coordinator.
//
// It returns ErrMalformed, ErrHostSeckey if the key is not one of params, or
// ErrRandomness. Source: ChillDKG, participant_step1.
func ParticipantStep1(hostseckey []byte, params *SessionParams, random []byte) (*ParticipantState1, []byte, error) {
	h, id, err := params.member(hostseckey)
	if err != nil {
		return nil, nil, err
	}
	defer h.Wipe()
	d, err := deal(h, id, params, random)
	if err != nil {
		return nil, nil, err
	}
	defer d.wipe()
	state, err := RestoreParticipantState1(params, id, d.pmsg1)
	return state, d.pmsg1, err
}

// RestoreParticipantState1 rebuilds the state between the steps from the
// participant's own pmsg1. No polynomial needs to be stored: step 2 sums the
// shares that all participants, oneself included, have encrypted to the host
// key. It returns ErrMalformed.
func RestoreParticipantState1(params *SessionParams, id int, pmsg1 []byte) (*ParticipantState1, error) {
	m, err := params.parsePmsg1(pmsg1)
	if err != nil {
		return nil, err
	}
	return &ParticipantState1{params: params, id: id, com0: bytes.Clone(m.com0), nonce: m.nonce}, nil
}

// ParticipantState2 holds the output of a session, whose success is not certain
// before the certificate is complete. It owns the secret share until then.
type ParticipantState2 struct {
	params  *SessionParams
	eqInput []byte
	out     *Output
	cert    [][]byte // nil where missing
}

// ParticipantStep2 checks the coordinator's cmsg1 (162*n+33*(t-1) bytes),
// decrypts the secret share and signs what the session agrees on. auxRand is 32
// bytes of fresh randomness. The message, pmsg2, is the 64-byte signature.
//
// WARNING: once pmsg2 has been sent, the host secret key must never be erased,
// even if the session seems to fail: the others may have completed it, and
// recovery data can prove that at any later time.
//
// It returns ErrMalformed, ErrHostSeckey if the key is not the one of step 1,
// *FaultyCoordinatorError, *FaultyParticipantOrCoordinatorError, or
// *UnknownFaultyParticipantOrCoordinatorError, the input of
// ParticipantInvestigate. The order of the checks is the draft's.
// Source: ChillDKG, participant_step2.
func ParticipantStep2(hostseckey []byte, state *ParticipantState1, cmsg1, auxRand []byte) (*ParticipantState2, []byte, error) {
	params, id := state.params, state.id
	if len(auxRand) != 32 {
		return nil, nil, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, keyID, err := params.member(hostseckey)
	if err != nil {
		return nil, nil, err
	}
	defer h.Wipe()
	if keyID != id {
		return nil, nil, fmt.Errorf("%w: it is not the one of step 1", ErrHostSeckey)
	}
	m, err := params.parseCmsg1(cmsg1)
	if err != nil {
		return nil, nil, err
	}
	if m.nonces[id] != state.nonce {
		return nil, nil, &FaultyCoordinatorError{Reason: "wrong public nonce for the local participant"}
	}
	a := m.aggregate(params)
	if j, err := a.decodeNonces(); err != nil {
		return nil, nil, &FaultyParticipantOrCoordinatorError{Participant: j, Reason: "invalid public nonce"}
	}
	if !bytes.Equal(m.com0(id), state.com0) {
		return nil, nil, &FaultyCoordinatorError{Reason: "wrong commitment to the secret of the local participant"}
	}
	if j := m.impostor(id); j >= 0 {
		return nil, nil, &FaultyParticipantOrCoordinatorError{Participant: j, Reason: "commitment to zero or invalid proof of possession"}
	}
	keys, err := a.publicKeys()
	if err != nil {
		return nil, nil, err
	}
	state2, sig, inv, err := a.step2(keys, id, h, [32]byte(auxRand))
	if err != nil {
		return nil, nil, err
	}
	if inv != nil {
		return nil, nil, &UnknownFaultyParticipantOrCoordinatorError{inv: inv}
	}
	return state2, sig, nil
}

// impostor returns the first participant other than the local one that has not
// proved to possess its constant term, or -1. A commitment to zero counts as no
// proof: O is no public key.
func (m *cmsg1) impostor(local int) int {
	items, ids := make([]secp.BatchItem, 0, len(m.com0s)), make([]int, 0, len(m.com0s))
	for j, com0 := range m.com0s {
		if j != local {
			items = append(items, secp.BatchItem{Pubkey: com0, Msg: b4(j), Sig: m.pops[j]})
			ids = append(ids, j)
		}
	}
	if first := firstInvalid(pop, items); first >= 0 {
		return ids[first]
	}
	return -1
}

// aggregate sums the commitments to the secrets: what is left of cmsg1 once the
// proofs of possession are checked.
func (m *cmsg1) aggregate(params *SessionParams) *aggregate {
	a := &aggregate{params: params, nonces: m.nonces, shares: m.shares}
	k0 := secp.Infinity()
	for _, com0 := range m.com0s {
		k0 = k0.Add(com0)
	}
	a.coms = append([]secp.Point{k0}, m.sums...)
	a.raw = appendPoints(make([]byte, 0, pointSize*params.t), a.coms)
	return a
}

// step2 decrypts and checks the share of participant id and signs eq_input. If
// the share does not match its commitment, the result is an investigation.
func (a *aggregate) step2(k *publicKeys, id int, h secp.Scalar, auxRand [32]byte) (*ParticipantState2, []byte, *investigation, error) {
	share, pads := a.decrypt(id, h)
	defer share.Wipe()
	// Everything public carries the tweak, so it is taken off Y_id here.
	pubshare := k.points[id].Sub(secp.BaseMulVartime(k.tweak))
	if !secp.SecretBaseMul(share).Equal(pubshare) {
		return nil, nil, &investigation{id: id, n: a.params.N(), encShare: a.shares[id], pads: pads, pubshare: pubshare}, nil
	}
	wipe(pads)
	s := &ParticipantState2{
		params:  a.params,
		eqInput: a.eqInput(),
		cert:    make([][]byte, a.params.N()),
	}
	sig, err := certEq.sign(h, id, s.eqInput, auxRand)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	s.out = a.output(k, &share)
	s.cert[id] = sig[:]
	return s, sig[:], nil, nil
}

// AddCertSig verifies and keeps the CertEq signature of participant id. The first
// valid one stays; repetitions are harmless. It returns *FaultyParticipantError.
func (s *ParticipantState2) AddCertSig(id int, sig []byte) error {
	if err := VerifyCertSig(s.params, id, s.eqInput, sig); err != nil {
		return err
	}
	if s.cert[id] == nil {
		s.cert[id] = bytes.Clone(sig)
	}
	return nil
}

// Finish returns the output and the recovery data once the signatures of all
// participants have been added; ok is false before. The caller becomes the owner
// of the secret share.
func (s *ParticipantState2) Finish() (out *Output, recoveryData []byte, ok bool) {
	data := bytes.Clone(s.eqInput)
	for _, sig := range s.cert {
		if sig == nil {
			return nil, nil, false
		}
		data = append(data, sig...)
	}
	return s.out, data, true
}

// Wipe overwrites the secret share of a session that will not be finished here.
// Recover can compute it again.
func (s *ParticipantState2) Wipe() { s.out.SecShare.Wipe() }

// ParticipantFinalize checks the certificate cmsg2 (64*n bytes) and returns the
// output and the recovery data of a successful session. An error does not mean
// that the session failed for the others: see ParticipantStep2.
//
// It returns ErrMalformed or *FaultyCoordinatorError. Source: ChillDKG,
// participant_finalize.
func ParticipantFinalize(state *ParticipantState2, cmsg2 []byte) (*Output, []byte, error) {
	n := state.params.N()
	if len(cmsg2) != sigSize*n {
		return nil, nil, malformed("cmsg2 has %d bytes, want %d", len(cmsg2), sigSize*n)
	}
	r := reader{rest: cmsg2}
	cert := make([][]byte, n)
	for id := range cert {
		cert[id] = r.bytes(sigSize)
	}
	if certEq.culprit(state.params, state.eqInput, cert) >= 0 {
		return nil, nil, &FaultyCoordinatorError{Reason: "certificate with an invalid signature"}
	}
	return state.out, append(bytes.Clone(state.eqInput), cmsg2...), nil
}
