package dkg

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"frostfed/protocols"
)

// session is one attempt at one ceremony, by some of the members: its
// participants. All its lists are by participant, in the order of the members.
// Its phase is not stored: it follows from what has been collected, so that live
// and restored state cannot differ.
type session struct {
	id       SessionID
	run      *run
	ceremony Ceremony
	order    uint64 // of starting; names which failed session is the oldest
	out      []int  // members that were voted out before, ascending
	members  []int  // participants: all the others, ascending
	self     int    // this member as participant
	params   scheme
	quorum   int // acknowledgements that make the key usable

	own        []byte   // own first message, as broadcast
	m1         [][]byte // delivered first messages; nil: missing, empty: of a wrong size
	complaints [][]byte // delivered complaints; nil: none, empty: malformed
	choice     *choice
	certs      [][]byte // certificate signatures, unchecked; nil: missing
	recovery   []byte
	digest     [32]byte // of recovery
	acks       [][]byte // checked acknowledgements; nil: missing

	m1Sigs, complaintSigs [][sigSize]byte // what they were delivered with
	failure               *failure

	// What follows is volatile.
	key     *output // derived from recovery by a job; the share leaves with KeyActive
	working bool    // a job of this session is out
	judging []bool  // complaints whose judgement was started
	opened  bool    // first messages were judged
	suspect []int   // participants that must complain now, or are to blame; see doneCheck
	proved  []bool  // certificate signatures that were verified singly
	cheated []bool  // participants that gave us a wrong one
	pending []*ack  // acknowledgements of recovery data not here; unchecked
	seen    Phase   // the phase when last looked at
	since   protocols.Time
	accuse  protocols.Time // when silence counts against the silent; 0: the clock has not begun
	retry   retry
}

// newSession returns the attempt at r without the members out. It returns an
// error if too few are left for the threshold.
func (m *Machine) newSession(r *run, out []int) (*session, error) {
	s := &session{run: r, ceremony: r.ceremony, out: out}
	var keys [][]byte
	for i := range m.cfg.Members {
		if slices.Contains(out, i) {
			continue
		}
		if i == m.self {
			s.self = len(s.members)
		}
		s.members = append(s.members, i)
		keys = append(keys, m.hostKeys[i])
	}
	var err error
	if s.params, err = newScheme(r.ceremony.Suite, keys, r.ceremony.T); err != nil {
		return nil, err
	}
	s.id = SessionID(s.params.SessionID(r.ceremony.ID, s.attempt()))
	s.quorum = min(s.n(), m.quorum())
	n := s.n()
	s.m1, s.complaints, s.certs, s.acks = make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	s.m1Sigs, s.complaintSigs = make([][sigSize]byte, n), make([][sigSize]byte, n)
	s.pending, s.retry = make([]*ack, n), newRetry(n)
	s.judging, s.proved, s.cheated = make([]bool, n), make([]bool, n), make([]bool, n)
	return s, nil
}

// attempt numbers the attempts at one ceremony: each has fewer participants.
func (s *session) attempt() uint32 { return uint32(len(s.out)) }

// participant returns the place of a member among the participants.
func (s *session) participant(member int) (i int, ok bool) {
	return slices.BinarySearch(s.members, member)
}

// setRecovery sets the recovery data and its digest.
func (s *session) setRecovery(data []byte) { s.recovery, s.digest = data, sha256.Sum256(data) }

func (s *session) n() int { return s.params.N() }

func (s *session) signed() bool { return s.choice != nil && s.choice.sign }

// open says whether the session still takes one of the MaxOpen places.
func (s *session) open() bool { return s.failure == nil && s.recovery == nil }

// convicting says whether a failed session still convicts. What stopped it comes
// to members in different orders: only if each goes on to judge all that broadcast
// delivers do they vote against the same culprits, and their votes add up.
func (s *session) convicting() bool { return s.failure != nil && s.run.judging() }

func (s *session) phase() Phase {
	switch {
	case s.failure != nil:
		return PhaseFailed
	case s.recovery != nil && count(s.acks) == s.n():
		return PhaseComplete
	case s.recovery != nil && count(s.acks) >= s.quorum:
		return PhaseActive
	case s.recovery != nil:
		return PhaseAcknowledging
	case s.signed():
		return PhaseCertifying
	case count(s.m1) == s.n():
		return PhaseChecking
	}
	return PhaseSharing
}

// collecting returns the slots the current phase fills; nil if none.
func (s *session) collecting() [][]byte {
	switch s.phase() {
	case PhaseSharing, PhaseChecking:
		return s.m1
	case PhaseCertifying:
		return s.certs
	case PhaseAcknowledging, PhaseActive, PhaseComplete:
		return s.acks
	}
	return nil
}

// stored returns the keys of the session's records of the given parts.
func (s *session) stored(parts ...string) (keys []string) {
	slots := func(prefix string, values [][]byte) {
		for i, v := range values {
			if v != nil {
				keys = append(keys, sessionKey(s.id, memberPart(prefix, i)))
			}
		}
	}
	for _, part := range parts {
		have := true
		switch part {
		case partOwn:
			have = s.own != nil
		case partChoice:
			have = s.choice != nil
		case partRecovery:
			have = s.recovery != nil
		case partFailure:
			have = s.failure != nil
		case partM1:
			slots(partM1, s.m1)
			continue
		case partComplaint:
			slots(partComplaint, s.complaints)
			continue
		case partCert:
			slots(partCert, s.certs)
			continue
		case partAck:
			slots(partAck, s.acks)
			continue
		}
		if have {
			keys = append(keys, sessionKey(s.id, part))
		}
	}
	return keys
}

// count returns how many slots are filled.
func count(slots [][]byte) (have int) {
	for _, v := range slots {
		if v != nil {
			have++
		}
	}
	return have
}

// missing returns the indices of empty slots, ascending.
func missing(slots [][]byte) (indices []int) {
	for i, v := range slots {
		if v == nil {
			indices = append(indices, i)
		}
	}
	return indices
}

// sorted returns the sessions in the order in which they were started.
func (m *Machine) sorted() []*session {
	all := make([]*session, 0, len(m.sessions))
	for _, s := range m.sessions {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.order, b.order) })
	return all
}
