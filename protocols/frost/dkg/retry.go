package dkg

import (
	"bytes"
	"slices"

	"frostfed/protocols"
)

// Pace of WANT, which asks again for what a member did not send by itself:
// transport below resends what is lost on the way, so this is for members that
// lost it for good, or that have it from others.
const (
	firstWant   protocols.Time = 5_000   // after the last change of phase
	slowestWant protocols.Time = 300_000 // the wait doubles up to here
	wantFanout                 = 4       // members asked at a time; a RECOVERY can take 25 kB
	// answerPause is the least time between two answers to one member about one
	// session: a WANT of 34 bytes must not buy a stream of recovery data. No
	// correct member asks faster.
	answerPause = firstWant
)

// retry paces questions and answers of one session. It is volatile.
type retry struct {
	at, wait protocols.Time
	next     int              // whose turn it is to be asked
	asked    []bool           // by member: a RECOVERY is expected
	answerAt []protocols.Time // by member: not answered before
}

func newRetry(n int) retry {
	return retry{asked: make([]bool, n), answerAt: make([]protocols.Time, n)}
}

// start begins to wait, if it has not begun yet.
func (r *retry) start(now protocols.Time) {
	if r.wait == 0 {
		r.wait = firstWant
		r.at = now + r.wait
	}
}

// restart begins to wait anew: what is wanted has changed.
func (r *retry) restart(now protocols.Time) {
	r.wait = 0
	r.start(now)
}

func (r *retry) again(now protocols.Time) {
	r.wait = min(max(2*r.wait, firstWant), slowestWant)
	r.at = now + r.wait
}

// wanted says what the session lacks that a WANT can bring, and who may have
// it; zero if nothing. First messages come by reliable broadcast and are never
// asked for here.
func (m *Machine) wanted(s *session) (want, []int) {
	switch {
	case s.recovery != nil && s.key != nil:
		if waiting := missing(s.acks); len(waiting) > 0 {
			return wantAck, waiting
		}
	case s.recovery == nil && m.fits(s) && (s.signed() && !s.run.generated() || s.acknowledged()):
		// An acknowledgement means that a certificate exists, so that we have
		// signed, even if our disk forgot. Anybody may hold it by now.
		return wantCertificate, s.others()
	case s == s.run.current() && s.run.live():
		return wantExclusions, s.others() // the others may have gone on without somebody
	}
	return 0, nil
}

// others lists the participants but this member.
func (s *session) others() (others []int) {
	for i := range s.members {
		if i != s.self {
			others = append(others, i)
		}
	}
	return others
}

// Tick asks again for what is overdue, and votes against those who stay silent.
func (m *Machine) Tick(now protocols.Time) protocols.Effects[Event] {
	var e effects
	for _, s := range m.sorted() {
		if s.patient() && s.accuse == 0 {
			s.accuse = now + m.cfg.Silence // after a restart
		} else if s.patient() && now >= s.accuse {
			s.accuse = now + m.cfg.Silence
			m.accuseSilent(now, s, &e)
		}
		what, who := m.wanted(s)
		if what == 0 || len(who) == 0 || now < s.retry.at {
			continue
		}
		for k := range min(wantFanout, len(who)) {
			i := who[(s.retry.next+k)%len(who)]
			ask := what
			if s.pending[i] != nil {
				ask = wantCertificate // it has acknowledged recovery data that we lack
			}
			s.retry.asked[i] = ask == wantCertificate
			if ask != wantExclusions {
				m.send(s.members[i], message{kind: kindWant, session: s.id, want: ask}, &e)
			}
			if s == s.run.current() && s.run.live() {
				m.send(s.members[i], message{kind: kindWant, session: s.run.root, want: wantExclusions}, &e)
			}
		}
		s.retry.next += wantFanout
		s.retry.again(now)
	}
	return e
}

// Deadline is when Tick has something to do: at once after a restart,
// protocols.Never when nothing is missing.
func (m *Machine) Deadline() protocols.Time {
	at := protocols.Never
	for _, s := range m.sessions {
		if what, who := m.wanted(s); what != 0 && len(who) > 0 {
			at = min(at, s.retry.at)
		}
		if s.patient() {
			at = min(at, s.accuse)
		}
	}
	return at
}

// stepWant answers with what we have: recovery data proves the key to a member
// that missed the end; before that, our own signature is all we can add.
func (m *Machine) stepWant(now protocols.Time, s *session, i int, what want) effects {
	var e effects
	if now < s.retry.answerAt[i] || s.recovery == nil && !s.signed() || s.recovery != nil && s.key == nil {
		return e
	}
	s.retry.answerAt[i] = now + answerPause
	if s.recovery != nil && what == wantCertificate {
		m.send(s.members[i], message{kind: kindRecovery, session: s.id, data: s.recovery}, &e)
	}
	m.resend(s, i, &e)
	m.relay(now, s, i, &e)
	return e
}

// relay sends participant i the certificate signatures that are here: a faulty
// member that gives its own to some only must not make the others differ on who
// is missing. Each is verified first, once, so that we never pass on a bad one.
func (m *Machine) relay(now protocols.Time, s *session, i int, e *effects) {
	if s.phase() != PhaseCertifying || s.working {
		return // or all are here, and are being verified
	}
	msg := message{kind: kindRelay, session: s.id}
	var wrong []int
	for k, sig := range s.certs {
		if sig == nil || k == i || k == s.self {
			continue
		}
		if !s.proved[k] && s.params.verifyCertSig(k, s.choice.eqInput, sig) != nil {
			m.dropCertSig(s, k, e)
			wrong = append(wrong, k)
			continue
		}
		s.proved[k] = true
		msg.certs = append(msg.certs, relayed{participant: byte(k), sig: [sigSize]byte(sig)})
	}
	if len(msg.certs) > 0 {
		m.send(s.members[i], msg, e)
	}
	m.accuse(now, s, VoteSignature, wrong, e)
}

// stepRelay takes certificate signatures that were asked for from anybody who has
// them.
func (m *Machine) stepRelay(now protocols.Time, s *session, i int, certs []relayed) effects {
	var e effects
	if !s.retry.asked[i] || s.phase() != PhaseCertifying {
		return e
	}
	s.retry.asked[i] = false
	for _, c := range certs {
		k := int(c.participant)
		if k >= s.n() {
			return fault(FaultMalformed, m.cfg.Members[s.members[i]].ID, "relays a signature of nobody")
		}
		if s.certs[k] != nil {
			continue
		}
		if s.params.verifyCertSig(k, s.choice.eqInput, c.sig[:]) != nil {
			e.Faults = append(e.Faults, m.fault(FaultRelay, s.members[i], "relays a certificate signature that does not verify"))
			break
		}
		s.certs[k], s.proved[k] = bytes.Clone(c.sig[:]), true
		e.Persist = append(e.Persist, put(sessionKey(s.id, memberPart(partCert, k)), s.certs[k]))
	}
	m.advance(now, s, &e)
	m.progress(now, s, &e)
	return e
}

// stepRecovery takes recovery data from anybody who was asked for it: it is
// proved by the certificate, not by its sender. Checking it is a hundred
// signatures at n = 100, so what was not asked for is dropped.
func (m *Machine) stepRecovery(now protocols.Time, s *session, i int, data []byte) effects {
	var e effects
	if !s.retry.asked[i] || s.working {
		return e
	}
	s.retry.asked[i] = false
	switch {
	case s.recovery != nil && s.pending[i] == nil, s.recovery == nil && !m.fits(s):
	case len(data) != s.params.recoverySize():
		return fault(FaultRecovery, m.cfg.Members[s.members[i]].ID, "recovery data of a wrong size")
	case s.recovery != nil:
		m.stepWitness(s, i, data, &e)
	case !m.matches(s, data):
		return fault(FaultRecovery, m.cfg.Members[s.members[i]].ID, "recovery data of another session")
	default:
		m.startFinish(now, s, bytes.Clone(data), i, &e)
	}
	return e
}

// fits says whether recovery data could be matched to the session.
func (m *Machine) fits(s *session) bool { return s.signed() || s.failure == nil && s.own != nil }

// matches says whether recovery data is of session s. The certificate does not
// name the session: what ties the two is what we signed, or else our nonce,
// drawn for this session alone.
func (m *Machine) matches(s *session, data []byte) bool {
	if s.signed() {
		eqInput, _ := splitRecovery(data, s.n())
		return bytes.Equal(eqInput, s.choice.eqInput)
	}
	return bytes.Equal(s.params.nonceOfRecovery(data, s.self), s.params.nonceOfM1(s.own))
}

// acknowledged says whether somebody claims to hold recovery data we lack.
func (s *session) acknowledged() bool {
	return slices.ContainsFunc(s.pending, func(a *ack) bool { return a != nil })
}
