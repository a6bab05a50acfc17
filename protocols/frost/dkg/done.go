package dkg

import (
	"bytes"
	"strings"

	"frostfed/protocols"
)

// The jobs of a session. At most one of the first three is out at a time.
const (
	jobPrepare = "prepare/" // make the own first message
	jobCheck   = "check/"   // judge all first messages, compute, sign
	jobFinish  = "finish/"  // judge the certificate, compute the key
	jobWitness = "witness/" // judge another member's certificate and acknowledgement
)

// advance starts what the session is ready for.
func (m *Machine) advance(now protocols.Time, s *session, e *effects) {
	own := s.m1[m.self]
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
	case phase == PhaseChecking:
		m.startCheck(now, s, e)
	case phase == PhaseCertifying && count(s.certs) == s.n():
		data := append(bytes.Clone(s.choice.eqInput), bytes.Join(s.certs, nil)...)
		m.startFinish(now, s, data, m.self, e)
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
	switch {
	case s.phase() != PhaseChecking:
	case r.reason != 0:
		kind, detail := FaultFirstMessage, "first message of a key generation is wrong"
		if r.reason == ReasonBadShare {
			kind, detail = FaultShare, "encrypted share does not fit its commitment"
		}
		for _, i := range r.culprits {
			e.Faults = append(e.Faults, m.fault(kind, i, detail))
		}
		m.fail(now, s, r.reason, r.culprits, e)
	default:
		s.choice = r.choice
		s.certs[m.self] = r.choice.sig[:]
		e.Persist = append(e.Persist,
			put(sessionKey(s.id, partChoice), s.choice.encode()),
			put(sessionKey(s.id, memberPart(partCert, m.self)), s.certs[m.self]))
		s.retry.restart(now)
		m.sendAll(s, e)
		m.advance(now, s, e)
	}
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
	case r.source != m.self:
		e.Faults = append(e.Faults, m.fault(FaultRecovery, r.source, "recovery data does not verify"))
	default:
		for _, i := range r.culprits {
			e.Faults = append(e.Faults, m.fault(FaultCertSig, i, "certificate signature does not verify"))
		}
		reason := ReasonBadSignature
		if len(r.culprits) == 0 {
			reason = ReasonLocal
		}
		m.fail(now, s, reason, r.culprits, e)
	}
}

// store makes the key durable and only then tells the others so. The parts it
// was made from are contained in the recovery data or no longer needed.
func (m *Machine) store(now protocols.Time, s *session, r finished, e *effects) {
	for _, key := range s.stored(partOwn, partM1, partChoice, partCert, partFailure) {
		e.Persist = append(e.Persist, del(key))
	}
	s.own, s.choice, s.failure = nil, nil, nil
	s.m1, s.certs = make([][]byte, s.n()), make([][]byte, s.n())
	s.setRecovery(r.recovery)
	s.key = r.key
	s.acks[m.self] = r.ack[:]
	e.Persist = append(e.Persist,
		put(sessionKey(s.id, partRecovery), s.recovery),
		put(sessionKey(s.id, memberPart(partAck, m.self)), s.acks[m.self]))
	s.retry.restart(now)
	for i := range m.cfg.Members {
		if i != m.self {
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

// fail ends a session. What is kept: the verdict, our choice, and the first
// messages of the culprits as evidence.
func (m *Machine) fail(now protocols.Time, s *session, reason Reason, culprits []int, e *effects) {
	s.failure = &failure{reason: reason, culprits: culprits}
	keep := make([][]byte, s.n())
	for _, i := range culprits {
		keep[i], s.m1[i] = s.m1[i], nil
	}
	for _, key := range s.stored(partOwn, partM1, partCert) {
		e.Persist = append(e.Persist, del(key))
	}
	s.own, s.m1, s.certs = nil, keep, make([][]byte, s.n())
	if reason == ReasonBadShare {
		s.choice = new(choice) // a complaint may follow, a signature never
		e.Persist = append(e.Persist, put(sessionKey(s.id, partChoice), s.choice.encode()))
	}
	e.Persist = append(e.Persist, put(sessionKey(s.id, partFailure), s.failure.encode()))
	e.Out = append(e.Out, m.failed(s, s.failure))
	s.look(now)
	m.prune(e)
}

// prune forgets the oldest failed session beyond maxFailed.
func (m *Machine) prune(e *effects) {
	var failed []*session
	for _, s := range m.sorted() {
		if s.failure != nil {
			failed = append(failed, s)
		}
	}
	if len(failed) <= maxFailed {
		return
	}
	s := failed[0]
	e.Persist = append(e.Persist, del(sessionKey(s.id, partCeremony)))
	for _, key := range s.stored(partM1, partChoice, partFailure) {
		e.Persist = append(e.Persist, del(key))
	}
	delete(m.sessions, s.id)
}

// look notes a change of phase.
func (s *session) look(now protocols.Time) {
	if phase := s.phase(); phase != s.seen {
		s.seen, s.since = phase, now
	}
}

// progress tells how far s is, unless it has failed, which was told.
func (m *Machine) progress(now protocols.Time, s *session, e *effects) {
	s.look(now)
	slots := s.collecting()
	if slots == nil {
		return
	}
	e.Out = append(e.Out, Progress{
		SessionID: s.id, CeremonyID: s.ceremony.ID, Phase: s.phase(),
		Have: count(slots), Need: s.n(), Waiting: m.ids(missing(slots)),
	})
}

func (m *Machine) generated(s *session) KeyGenerated {
	return KeyGenerated{
		SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.ceremony.Attempt,
		Label: s.ceremony.Label, T: s.ceremony.T, ThreshPK: s.key.ThreshPK,
	}
}

func (m *Machine) failed(s *session, f *failure) Failed {
	return Failed{
		SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.ceremony.Attempt,
		Reason: f.reason, Culprits: m.ids(f.culprits),
	}
}

func (m *Machine) ids(indices []int) (ids []protocols.NodeID) {
	for _, i := range indices {
		ids = append(ids, m.cfg.Members[i].ID)
	}
	return ids
}
