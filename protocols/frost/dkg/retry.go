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
	case s.recovery == nil && m.fits(s) && (s.signed() || s.acknowledged()):
		// An acknowledgement means that a certificate exists, so that we have
		// signed, even if our disk forgot. Anybody may hold it by now.
		var others []int
		for i := range m.cfg.Members {
			if i != m.self {
				others = append(others, i)
			}
		}
		if len(others) > 0 {
			return wantCertificate, others
		}
	}
	return 0, nil
}

// Tick asks again for what is overdue.
func (m *Machine) Tick(now protocols.Time) protocols.Effects[Event] {
	var e effects
	for _, s := range m.sorted() {
		what, who := m.wanted(s)
		if what == 0 || now < s.retry.at {
			continue
		}
		for k := range min(wantFanout, len(who)) {
			i := who[(s.retry.next+k)%len(who)]
			ask := what
			if s.pending[i] != nil {
				ask = wantCertificate // it has acknowledged recovery data that we lack
			}
			s.retry.asked[i] = ask == wantCertificate
			m.send(i, message{kind: kindWant, session: s.id, want: ask}, &e)
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
		if what, _ := m.wanted(s); what != 0 {
			at = min(at, s.retry.at)
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
		m.send(i, message{kind: kindRecovery, session: s.id, data: s.recovery}, &e)
	}
	m.resend(s, i, &e)
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
	case len(data) != recoverySize(s.ceremony.T, s.n()):
		return fault(FaultRecovery, m.cfg.Members[i].ID, "recovery data of a wrong size")
	case s.recovery != nil:
		m.stepWitness(s, i, data, &e)
	case !m.matches(s, data):
		return fault(FaultRecovery, m.cfg.Members[i].ID, "recovery data of another session")
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
	n, t := s.n(), s.ceremony.T
	if s.signed() {
		eqInput, _ := splitRecovery(data, n)
		return bytes.Equal(eqInput, s.choice.eqInput)
	}
	return bytes.Equal(nonceOfRecovery(data, t, n, m.self), nonceOfM1(s.own, t))
}

// acknowledged says whether somebody claims to hold recovery data we lack.
func (s *session) acknowledged() bool {
	return slices.ContainsFunc(s.pending, func(a *ack) bool { return a != nil })
}
