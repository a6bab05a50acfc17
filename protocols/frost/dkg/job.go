package dkg

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

// The slow parts, as jobs. All cryptography of the package is in this file.
// Each job closes over what it needs: public bytes, the function that fetches
// the host secret, and randomness drawn when the job was made, so that the
// machine stays deterministic.

// prepared is the result of a jobPrepare.
type prepared struct {
	m1  []byte
	err error
}

// checked is the result of a jobCheck: a choice to sign, or a reason not to. That
// of a jobOpen has a reason or nothing.
type checked struct {
	choice   *choice
	reason   Reason
	culprits []int // by ReasonBadFirstMessage
	suspect  []int // of whom a complaint is due, if it is honest
}

// finished is the result of a jobFinish.
type finished struct {
	recovery []byte
	source   int // member whose word the recovery data was; self if our own
	key      *output
	ack      [sigSize]byte // zero if the key was stored before
	culprits []int         // members whose certificate signature is wrong
	err      error
}

func (m *Machine) start(s *session, kind string, run func() any, e *effects) {
	s.working = true
	e.Work = append(e.Work, protocols.Job{ID: kind + s.id.String(), Run: run})
}

// random draws 32 bytes. A broken source is as bad as any other local trouble:
// the session fails here.
func (m *Machine) random() (r [32]byte, err error) {
	_, err = io.ReadFull(m.cfg.Rand, r[:])
	return r, err
}

// dealTag derives the randomness of a dealing.
const dealTag = "frostfed/v1/dkg randomness"

// startPrepare makes the own first message. Its randomness follows from host
// secret and session, so that a member that lost its database deals the same
// message again instead of a second one, which would look like equivocation. No
// other session has the same randomness: the proof of possession does not bind
// the session.
func (m *Machine) startPrepare(s *session, e *effects) {
	secret, params, id, lie := m.cfg.HostSecret, s.params, chilldkg.SessionID(s.id), m.cfg.Lie
	m.start(s, jobPrepare, func() any {
		host := secret()
		defer clear(host[:])
		seed := memberkey.Hash(dealTag, host[:], id[:])
		defer clear(seed[:])
		m1, err := params.deal(host[:], id, seed[:])
		if lie != nil && err == nil {
			m1 = lie(params.hosts(), id, m1)
		}
		return prepared{m1: m1, err: err}
	}, e)
}

func (m *Machine) startCheck(now protocols.Time, s *session, e *effects) {
	aux, err := m.random()
	if err != nil {
		m.fail(now, s, ReasonLocal, nil, e)
		return
	}
	secret, h, self := m.cfg.HostSecret, m.hearing(s), s.self
	m1, sigs, own := slices.Clone(s.m1), slices.Clone(s.m1Sigs), s.own
	m.start(s, jobCheck, func() any {
		host := secret()
		defer clear(host[:])
		return h.check(host[:], self, m1, sigs, own, aux[:])
	}, e)
}

// check judges the first messages of all participants. All honest members call
// it with the same messages and convict the same culprits, all of them at once;
// only a bad share is seen by its receiver alone, who complains. aux is used up
// by the one signature, or by the complaints: each is about another accused, so
// their nonces differ.
func (h *hearing) check(host []byte, self int, m1 [][]byte, sigs [][sigSize]byte, own, aux []byte) checked {
	round, err := h.params.open(chilldkg.SessionID(h.session), m1)
	if err != nil {
		return refused(err)
	}
	sig, err := round.certify(host, own, aux)
	var bad *chilldkg.BadSharesError
	if errors.As(err, &bad) {
		complaint, err := h.complain(host, round, self, bad.Dealers, m1, sigs, aux)
		if err != nil {
			return refused(err)
		}
		return checked{choice: &choice{complaint: complaint}}
	}
	if infinite, ok := errors.AsType[*chilldkg.InfiniteShareError](err); ok {
		return checked{suspect: []int{infinite.Participant}}
	}
	if err != nil {
		return refused(err)
	}
	return checked{choice: &choice{sign: true, eqInput: round.EqInput(), sig: sig}}
}

// startOpen judges the first messages of a session that something else stopped
// before all of them were here.
func (m *Machine) startOpen(s *session, e *effects) {
	params, id, m1 := s.params, chilldkg.SessionID(s.id), slices.Clone(s.m1)
	m.start(s, jobOpen, func() any {
		if _, err := params.open(id, m1); err != nil {
			return refused(err)
		}
		return checked{}
	}, e)
}

func refused(err error) checked {
	var faulty *chilldkg.FaultyParticipantError
	var several *chilldkg.FaultyParticipantsError
	switch {
	case errors.As(err, &several): // before faulty, which it wraps
		r := checked{reason: ReasonBadFirstMessage}
		for _, f := range several.Faults {
			r.culprits = append(r.culprits, f.Participant)
		}
		return r
	case errors.As(err, &faulty):
		return checked{reason: ReasonBadFirstMessage, culprits: []int{faulty.Participant}}
	}
	return checked{reason: ReasonLocal}
}

// startFinish judges recovery data and derives the key from it. The data comes
// from our own certificate or disk, or from member source.
func (m *Machine) startFinish(now protocols.Time, s *session, data []byte, source int, e *effects) {
	var aux [32]byte
	sign := s.recovery == nil
	if sign {
		var err error
		if aux, err = m.random(); err != nil {
			m.fail(now, s, ReasonLocal, nil, e)
			return
		}
	}
	secret, params := m.cfg.HostSecret, s.params
	m.start(s, jobFinish, func() any {
		host := secret()
		defer clear(host[:])
		r := finish(host[:], params, data)
		r.recovery, r.source = data, source
		if sign && r.err == nil {
			r.ack, r.err = params.signAck(host[:], data, aux[:])
		}
		return r
	}, e)
}

// finish derives the key. If the certificate is wrong it finds out whose
// signatures are.
func finish(host []byte, params scheme, data []byte) finished {
	key, err := params.recover(host, data)
	if err == nil {
		return finished{key: key}
	}
	r := finished{err: err}
	eqInput, cert := splitRecovery(data, params.N())
	for i := range params.N() {
		if params.verifyCertSig(i, eqInput, cert[sigSize*i:sigSize*(i+1)]) != nil {
			r.culprits = append(r.culprits, i)
		}
	}
	return r
}

// witnessed is the result of a jobWitness.
type witnessed struct {
	member    int
	ack       ack
	certified bool // the certificate verifies
	valid     bool // so does the acknowledgement
}

// startWitness judges the recovery data that member i acknowledged, which is of
// this session but has another certificate than ours. One such job per member
// can be out, since one answer is taken per question.
func (m *Machine) startWitness(s *session, i int, data []byte, a ack, e *effects) {
	params := s.params
	e.Work = append(e.Work, protocols.Job{
		ID: fmt.Sprintf("%s%s/%03d", jobWitness, s.id, i),
		Run: func() any {
			_, err := params.recover(nil, data)
			return witnessed{
				member: i, ack: a, certified: err == nil,
				valid: err == nil && params.verifyAck(i, data, a.sig[:]) == nil,
			}
		},
	})
}
