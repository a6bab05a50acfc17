package dkg

import (
	"bytes"
	"crypto/sha256"

	"frostfed/protocols"
)

// ack is an acknowledgement as received: a signature on recovery data, and which.
//
// Two members can hold different recovery data of one session, both complete:
// signatures are not unique, so a faulty member can send each of us another
// certificate signature, all of them valid. What they prove is the same key.
// Therefore an acknowledgement of data other than ours accuses nobody: its
// author is asked for its data, and the acknowledgement is checked on that.
type ack struct {
	digest [32]byte // SHA-256 of the recovery data
	sig    [sigSize]byte
}

func (m *Machine) sendAck(s *session, i int, e *effects) {
	m.send(s.members[i], message{kind: kindAck, session: s.id, digest: s.digest, sig: [sigSize]byte(s.acks[s.self])}, e)
}

// stepAck checks an acknowledgement, or keeps it until it can be checked. One is
// kept per member; a newer one replaces it.
func (m *Machine) stepAck(now protocols.Time, s *session, i int, a ack) effects {
	var e effects
	switch {
	case s.acks[i] != nil:
	case s.recovery == nil:
		s.pending[i] = &a
		s.retry.start(now)
	default:
		m.takeAck(now, s, i, a, &e)
		m.progress(now, s, &e)
	}
	return e
}

// takeAck checks an acknowledgement if it is of our recovery data.
func (m *Machine) takeAck(now protocols.Time, s *session, i int, a ack, e *effects) {
	if a.digest != s.digest {
		if s.pending[i] == nil {
			s.retry.restart(now) // there is something new to ask for, once per member
		}
		s.pending[i] = &a
		return
	}
	m.judgeAck(s, i, a, s.params.verifyAck(i, s.recovery, a.sig[:]) == nil, e)
}

func (m *Machine) judgeAck(s *session, i int, a ack, valid bool, e *effects) {
	if !valid {
		e.Faults = append(e.Faults, m.fault(FaultAck, s.members[i], "acknowledgement does not verify"))
		return
	}
	s.pending[i] = nil
	s.acks[i] = a.sig[:]
	e.Persist = append(e.Persist, put(sessionKey(s.id, memberPart(partAck, i)), s.acks[i]))
	m.activate(s, e)
}

// stepWitness takes the recovery data that member i has acknowledged and that is
// not ours.
func (m *Machine) stepWitness(s *session, i int, data []byte, e *effects) {
	ours, _ := splitRecovery(s.recovery, s.n())
	theirs, _ := splitRecovery(data, s.n())
	if !bytes.Equal(ours, theirs) {
		e.Faults = append(e.Faults, m.fault(FaultRecovery, s.members[i], "recovery data of another session"))
		return
	}
	if sha256.Sum256(data) != s.pending[i].digest {
		return // not what it acknowledged; a newer acknowledgement may be on its way
	}
	m.startWitness(s, i, bytes.Clone(data), *s.pending[i], e)
}

func (m *Machine) doneWitness(now protocols.Time, s *session, r witnessed, e *effects) {
	switch {
	case s.acks[r.member] != nil:
	case !r.certified:
		e.Faults = append(e.Faults, m.fault(FaultRecovery, s.members[r.member], "recovery data does not verify"))
	default:
		m.judgeAck(s, r.member, r.ack, r.valid, e)
		s.retry.restart(now) // the next one need not wait longer
	}
}

// activate hands the secret share over, once, when enough members hold the
// recovery data.
func (m *Machine) activate(s *session, e *effects) {
	if s.key == nil || count(s.acks) < s.quorum {
		return
	}
	share, other := s.key.takeShare()
	switch {
	case share != nil:
		e.Out = append(e.Out, KeyActive{
			SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.attempt(),
			Label: s.ceremony.Label, T: s.ceremony.T,
			ThreshPK:     s.key.bitcoin.ThreshPK,
			Participants: m.ids(s.members),
			PubShares:    append([][33]byte(nil), s.key.bitcoin.PubShares...),
			SecShare:     share,
			Acks:         count(s.acks),
		})
	case other != nil:
		e.Out = append(e.Out, SuiteKeyActive{
			SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.attempt(),
			Label: s.ceremony.Label, Key: s.key.other.Key, Share: other,
			Participants: m.ids(s.members), Acks: count(s.acks),
		})
	}
}
