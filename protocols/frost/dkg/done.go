package dkg

import (
	"bytes"
	"slices"
	"strings"

	"frostfed/protocols"
)

// The jobs of a session. At most one of the first four is out at a time.
const (
	jobPrepare = "prepare/" // make the own first message
	jobCheck   = "check/"   // judge all first messages, compute, sign
	jobOpen    = "open/"    // judge all first messages of a failed session
	jobFinish  = "finish/"  // judge the certificate, compute the key
	jobJudge   = "judge/"   // judge a complaint
	jobWitness = "witness/" // judge another member's certificate and acknowledgement
)

// advance starts what the session is ready for.
func (m *Machine) advance(now protocols.Time, s *session, e *effects) {
	own := s.m1[s.self]
	switch phase := s.phase(); {
	case s.open() && len(own) > 0 && s.own == nil:
		// Sent by an earlier life that this disk does not remember. It is as good
		// as any, and a second one would be equivocation.
		s.own = own
		e.Persist = append(e.Persist, put(sessionKey(s.id, partOwn), own))
		m.advance(now, s, e)
	case s.open() && own != nil && !bytes.Equal(own, s.own):
		// Two processes share our keys, or broadcast is broken.
		m.fail(now, s, ReasonLocal, nil, e)
	case s.working:
	case phase == PhaseSharing && s.own == nil:
		m.startPrepare(s, e)
	case phase == PhaseChecking && s.choice == nil && s.suspect == nil:
		m.startCheck(now, s, e)
	case phase == PhaseCertifying && count(s.certs) == s.n():
		data := append(bytes.Clone(s.choice.eqInput), bytes.Join(s.certs, nil)...)
		m.startFinish(now, s, data, s.self, e)
	case s.convicting() && !s.opened && s.choice == nil && count(s.m1) == s.n():
		m.startOpen(s, e)
	}
}

// Done takes the result of a job.
func (m *Machine) Done(now protocols.Time, jobID string, result any) protocols.Effects[Event] {
	var e effects
	_, rest, _ := strings.Cut(jobID, "/")
	hexID, _, _ := strings.Cut(rest, "/")
	id, ok := parseID(hexID)
	s := m.sessions[id]
	if !ok || s == nil {
		return e // a job of a session that was forgotten meanwhile
	}
	switch r := result.(type) {
	case prepared:
		s.working = false
		m.donePrepare(now, s, r, &e)
	case checked:
		s.working = false
		m.doneCheck(now, s, r, &e)
	case finished:
		s.working = false
		m.doneFinish(now, s, r, &e)
	case witnessed:
		m.doneWitness(now, s, r, &e)
	case judged:
		m.doneJudge(now, s, r, &e)
	}
	m.progress(now, s, &e)
	return e
}

func (m *Machine) donePrepare(now protocols.Time, s *session, r prepared, e *effects) {
	switch {
	case !s.open():
	case r.err != nil:
		m.fail(now, s, ReasonLocal, nil, e)
	case s.own == nil:
		s.own = r.m1
		e.Persist = append(e.Persist, put(sessionKey(s.id, partOwn), s.own))
		e.Out = append(e.Out, m.broadcast(s))
	}
	m.advance(now, s, e)
}

func (m *Machine) broadcast(s *session) Broadcast {
	return Broadcast{Topic: M1Topic(s.id), Payload: bytes.Clone(s.own)}
}

func (m *Machine) doneCheck(now protocols.Time, s *session, r checked, e *effects) {
	s.opened = true
	switch {
	case s.choice != nil || !s.convicting() && s.phase() != PhaseChecking:
	case r.reason == ReasonBadFirstMessage:
		m.convict(now, s, r.culprits, e)
	case s.failure != nil:
	case r.reason != 0:
		m.fail(now, s, r.reason, nil, e)
	case r.suspect != nil:
		// A public share is infinite and our own shares are right. Its owner either
		// got a bad one, from who brought this about, and complains; or brought it
		// about itself, and is silent. Nobody signs meanwhile.
		s.suspect = r.suspect
	case !r.choice.sign:
		// Judged when broadcast brings it back, by us as by everybody.
		s.choice = r.choice
		e.Persist = append(e.Persist, put(sessionKey(s.id, partChoice), s.choice.encode()))
		e.Out = append(e.Out, m.broadcastComplaint(s))
	default:
		s.choice = r.choice
		s.certs[s.self] = r.choice.sig[:]
		e.Persist = append(e.Persist,
			put(sessionKey(s.id, partChoice), s.choice.encode()),
			put(sessionKey(s.id, memberPart(partCert, s.self)), s.certs[s.self]))
		s.retry.restart(now)
		m.sendAll(s, e)
		m.advance(now, s, e)
	}
}

// convict ends the session for the wrong first messages of the culprits.
func (m *Machine) convict(now protocols.Time, s *session, culprits []int, e *effects) {
	for _, i := range culprits {
		if len(s.m1[i]) > 0 { // else it was reported when it came
			e.Faults = append(e.Faults, m.proved(FaultFirstMessage, s.members[i], "first message of a key generation is wrong",
				m.hearing(s).proof(formFirst, i, s.m1Sigs[i], s.m1[i])))
		}
	}
	m.fail(now, s, ReasonBadFirstMessage, culprits, e)
	m.accuse(now, s, VoteFirstMessage, culprits, e)
}

func (m *Machine) doneFinish(now protocols.Time, s *session, r finished, e *effects) {
	switch {
	case r.err == nil && s.recovery == nil:
		m.store(now, s, r, e)
	case r.err == nil:
		s.key = r.key
		e.Out = append(e.Out, m.generated(s))
		m.activate(s, e)
	case s.recovery != nil:
		// Our own disk or host key has changed; nothing is deleted.
		e.Out = append(e.Out, m.failed(s, &failure{reason: ReasonLocal}))
	case r.source != s.self:
		e.Faults = append(e.Faults, m.fault(FaultRecovery, s.members[r.source], "recovery data does not verify"))
	case s.failure != nil:
	default:
		if len(r.culprits) == 0 {
			m.fail(now, s, ReasonLocal, nil, e)
		}
		for _, i := range r.culprits {
			m.dropCertSig(s, i, e)
		}
		m.accuse(now, s, VoteSignature, r.culprits, e)
	}
}

// dropCertSig takes out a wrong certificate signature. Its author is faulty, but
// only to us: it may have given a right one to somebody, so the session goes on.
func (m *Machine) dropCertSig(s *session, i int, e *effects) {
	if !s.cheated[i] {
		e.Faults = append(e.Faults, m.fault(FaultCertSig, s.members[i], "certificate signature does not verify"))
	}
	s.certs[i], s.cheated[i] = nil, true
	e.Persist = append(e.Persist, del(sessionKey(s.id, memberPart(partCert, i))))
}

// store makes the key durable and only then tells the others so. The parts it
// was made from are contained in the recovery data or no longer needed.
func (m *Machine) store(now protocols.Time, s *session, r finished, e *effects) {
	for _, key := range s.stored(partOwn, partM1, partComplaint, partChoice, partCert, partFailure) {
		e.Persist = append(e.Persist, del(key))
	}
	n := s.n()
	s.setRecovery(r.recovery)
	for i := range s.complaints {
		m.perjury(s, i, e)
	}
	s.own, s.choice, s.failure = nil, nil, nil
	s.m1, s.complaints, s.certs = make([][]byte, n), make([][]byte, n), make([][]byte, n)
	s.m1Sigs, s.complaintSigs = make([][sigSize]byte, n), make([][sigSize]byte, n)
	s.key = r.key
	s.acks[s.self] = r.ack[:]
	e.Persist = append(e.Persist,
		put(sessionKey(s.id, partRecovery), s.recovery),
		put(sessionKey(s.id, memberPart(partAck, s.self)), s.acks[s.self]))
	s.retry.restart(now)
	for _, other := range slices.Clone(s.run.sessions) {
		if other.open() {
			m.fail(now, other, ReasonSuperseded, nil, e)
		}
	}
	m.settle(s.run, e)
	for i := range s.members {
		if i != s.self {
			m.sendAck(s, i, e)
		}
	}
	e.Out = append(e.Out, m.generated(s))
	for i, early := range s.pending {
		if early != nil {
			s.pending[i] = nil
			m.takeAck(now, s, i, *early, e)
		}
	}
	m.activate(s, e)
}

// fail ends a session, or adds to why it ended. What is kept: the verdict, our
// choice, and the first messages of the culprits as evidence; those of the others
// too, as long as a complaint may be judged on them.
func (m *Machine) fail(now protocols.Time, s *session, reason Reason, culprits []int, e *effects) {
	if s.failure == nil {
		for _, key := range s.stored(partOwn, partCert) {
			e.Persist = append(e.Persist, del(key))
		}
		s.own, s.certs = nil, make([][]byte, s.n())
		s.failure = &failure{reason: reason}
	} else if !reason.convicts() {
		s.failure.reason = reason
	}
	s.failure.add(culprits)
	e.Persist = append(e.Persist, put(sessionKey(s.id, partFailure), s.failure.encode()))
	m.settle(s.run, e)
	e.Out = append(e.Out, m.failed(s, s.failure))
	s.look(now, m.cfg.Silence)
	m.prune(e)
}

// prune forgets the oldest failed session beyond maxFailed that no ceremony under
// way needs.
func (m *Machine) prune(e *effects) {
	var failed []*session
	for _, s := range m.sorted() {
		if s.failure != nil && !s.run.live() {
			failed = append(failed, s)
		}
	}
	if len(failed) > maxFailed {
		m.forget(failed[0], e)
	}
}

// look notes a change of phase.
func (s *session) look(now, silence protocols.Time) {
	if phase := s.phase(); phase != s.seen {
		s.seen, s.since, s.accuse = phase, now, now+silence
	}
}

// progress tells how far s is, unless it has failed, which was told.
func (m *Machine) progress(now protocols.Time, s *session, e *effects) {
	s.look(now, m.cfg.Silence)
	slots := s.collecting()
	if slots == nil {
		return
	}
	e.Out = append(e.Out, Progress{
		SessionID: s.id, CeremonyID: s.ceremony.ID, Phase: s.phase(),
		Have: count(slots), Need: s.n(), Waiting: m.participants(s, missing(slots)),
	})
}

func (m *Machine) generated(s *session) KeyGenerated {
	return KeyGenerated{
		SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.attempt(),
		Label: s.ceremony.Label, T: s.ceremony.T, Suite: s.ceremony.Suite, PublicKey: s.key.publicKey(),
	}
}

func (m *Machine) failed(s *session, f *failure) Failed {
	return Failed{
		SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.attempt(),
		Reason: f.reason, Culprits: m.participants(s, f.culprits),
		Final: !s.run.live() && !s.run.generated(),
	}
}

// participants returns the IDs of participants of s.
func (m *Machine) participants(s *session, indices []int) (ids []protocols.NodeID) {
	for _, i := range indices {
		ids = append(ids, m.cfg.Members[s.members[i]].ID)
	}
	return ids
}
