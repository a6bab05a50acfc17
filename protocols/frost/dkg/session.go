package dkg

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// session is one attempt at one ceremony. Its phase is not stored: it follows
// from what has been collected, so that live and restored state cannot differ.
type session struct {
	id       SessionID
	ceremony Ceremony
	order    uint64 // of starting; names which failed session is the oldest
	params   *chilldkg.SessionParams

	own      []byte   // own first message, as broadcast
	m1       [][]byte // delivered first messages; nil: missing, empty: of a wrong size
	choice   *choice
	certs    [][]byte // certificate signatures, unchecked; nil: missing
	recovery []byte
	digest   [32]byte // of recovery
	acks     [][]byte // checked acknowledgements; nil: missing
	failure  *failure

	// What follows is volatile.
	key     *chilldkg.Output // derived from recovery by a job; the share leaves with KeyActive
	working bool             // a job of this session is out
	pending []*ack           // acknowledgements of recovery data not here; unchecked
	seen    Phase            // the phase when last looked at
	since   protocols.Time
	retry   retry
}

func newSession(id SessionID, c Ceremony, params *chilldkg.SessionParams) *session {
	n := params.N()
	return &session{
		id: id, ceremony: c, params: params,
		m1: make([][]byte, n), certs: make([][]byte, n), acks: make([][]byte, n), pending: make([]*ack, n),
		retry: newRetry(n),
	}
}

// setRecovery sets the recovery data and its digest.
func (s *session) setRecovery(data []byte) { s.recovery, s.digest = data, sha256.Sum256(data) }

func (s *session) n() int { return s.params.N() }

func (s *session) signed() bool { return s.choice != nil && s.choice.sign }

// open says whether the session still takes one of the MaxOpen places.
func (s *session) open() bool { return s.failure == nil && s.recovery == nil }

// quorum is the number of acknowledgements that make a key usable: n-f, the
// most one can wait for when f members may be silent for ever.
func (s *session) quorum() int { return s.n() - protocols.MaxFaulty(s.n()) }

func (s *session) phase() Phase {
	switch {
	case s.failure != nil:
		return PhaseFailed
	case s.recovery != nil && count(s.acks) == s.n():
		return PhaseComplete
	case s.recovery != nil && count(s.acks) >= s.quorum():
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
