package dkg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Restore rebuilds a machine from its records and returns what it must do
// again: broadcast, send, compute. Secret shares come back as KeyActive events
// when the returned jobs are done. It returns an error wrapping ErrConfig, or
// ErrRecords for records that this package did not write for these members.
func Restore(cfg Config, records []protocols.Record) (*Machine, protocols.Effects[Event], error) {
	var e effects
	m, err := New(cfg)
	if err != nil {
		return nil, e, err
	}
	records = slices.Clone(records)
	// "s/<id>/ceremony" sorts after other parts of a session, so it goes first.
	slices.SortStableFunc(records, func(a, b protocols.Record) int {
		return strings.Compare(rank(a.Key), rank(b.Key))
	})
	for _, r := range records {
		if len(r.Value) == 0 || r.Value[0] != recordVersion || !m.load(r.Key, r.Value[1:]) {
			return nil, effects{}, fmt.Errorf("%w: %q", ErrRecords, r.Key)
		}
	}
	for i := range m.early {
		slices.SortFunc(m.early[i], func(a, b early) int { return cmp.Compare(a.order, b.order) })
	}
	for _, r := range m.runs {
		slices.SortFunc(r.sessions, func(a, b *session) int { return cmp.Compare(a.order, b.order) })
	}
	for _, s := range m.sorted() {
		if err := m.consistent(s); err != nil {
			return nil, effects{}, err
		}
		s.seen = s.phase()
		m.resume(s, &e)
	}
	return m, e, nil
}

func rank(key string) string {
	if strings.HasSuffix(key, "/"+partCeremony) {
		return "0" + key
	}
	return "1" + key
}

// load takes one record and says whether it makes sense.
func (m *Machine) load(key string, v []byte) bool {
	n := len(m.cfg.Members)
	if rest, ok := strings.CutPrefix(key, "e/"); ok {
		member, name, _ := strings.Cut(rest, "/")
		hexID, complaint := strings.CutSuffix(name, earlyComplaint)
		i, ok1 := parseIndex(member, n)
		id, ok2 := parseID(hexID)
		order, sig, payload, ok3 := decodeEarly(v)
		if !ok1 || !ok2 || !ok3 || len(m.early[i]) == maxEarly {
			return false
		}
		m.early[i] = append(m.early[i], early{session: id, complaint: complaint, order: order, sig: sig, payload: payload})
		m.order = max(m.order, order)
		return true
	}
	if rest, ok := strings.CutPrefix(key, "v/"); ok {
		return m.loadVote(rest, v)
	}
	rest, ok := strings.CutPrefix(key, "s/")
	hexID, part, ok2 := strings.Cut(rest, "/")
	id, ok3 := parseID(hexID)
	if !ok || !ok2 || !ok3 {
		return false
	}
	if part == partCeremony {
		return m.loadCeremony(id, v)
	}
	s := m.sessions[id]
	return s != nil && s.load(part, v)
}

func (m *Machine) loadCeremony(id SessionID, v []byte) bool {
	c, order, out, ok := decodeCeremony(v, m.n())
	if !ok || m.sessions[id] != nil {
		return false
	}
	params, err := newScheme(c.Suite, m.hostKeys, c.T)
	if err != nil {
		return false
	}
	r := m.newRun(c, params)
	if known := m.runs[r.root]; known != nil {
		r = known
	}
	s, err := m.newSession(r, out)
	if err != nil || s.id != id || c != r.ceremony || slices.Contains(out, m.self) {
		return false
	}
	s.order = order
	m.order = max(m.order, order)
	m.runs[r.root] = r
	m.add(s)
	return true
}

// loadVote takes the record of a vote. Its signature was verified when it came.
func (m *Machine) loadVote(key string, v []byte) bool {
	hexID, members, _ := strings.Cut(key, "/")
	id, ok1 := parseID(hexID)
	c, i, _ := strings.Cut(members, "/")
	culprit, ok2 := parseIndex(c, m.n())
	voter, ok3 := parseIndex(i, m.n())
	decoded, ok4 := decodeVote(v)
	r := m.runs[id]
	if !ok1 || !ok2 || !ok3 || !ok4 || r == nil || culprit == voter {
		return false
	}
	r.votes[culprit][voter] = decoded
	return true
}

func (s *session) load(part string, v []byte) (ok bool) {
	n := s.n()
	v = append([]byte{}, v...) // empty, unlike nil, means present
	switch part {
	case partOwn:
		s.own = v
		return len(v) == s.params.DealingSize()
	case partChoice:
		s.choice, ok = decodeChoice(v)
		return ok
	case partRecovery:
		s.setRecovery(v)
		return len(v) == s.params.recoverySize()
	case partFailure:
		s.failure, ok = decodeFailure(v, n)
		return ok
	}
	prefix, i, ok := parseMemberPart(part, n)
	switch {
	case !ok:
		return false
	case prefix == partM1:
		s.m1Sigs[i], s.m1[i], ok = splitSigned(v)
		return ok && (len(s.m1[i]) == 0 || len(s.m1[i]) == s.params.DealingSize())
	case prefix == partComplaint:
		s.complaintSigs[i], s.complaints[i], ok = splitSigned(v)
		return ok && len(s.complaints[i]) <= maxComplaint(n)
	case prefix == partCert:
		s.certs[i] = v
		return len(v) == sigSize
	case prefix == partAck:
		s.acks[i] = v
		return len(v) == sigSize
	}
	return false
}

// consistent checks what the machine's writes guarantee across records.
func (m *Machine) consistent(s *session) error {
	stored := s.recovery != nil
	if stored != (s.acks[s.self] != nil) || stored && s.choice != nil || stored && s.failure != nil ||
		!stored && count(s.acks) > 0 ||
		s.signed() && len(s.choice.eqInput) != s.params.recoverySize()-sigSize*s.n() ||
		s.signed() && s.failure == nil && s.certs[s.self] == nil {
		return fmt.Errorf("%w: session %s contradicts itself", ErrRecords, s.id)
	}
	return nil
}

// resume does again what a crash may have undone. Sends are repeated to all
// members that may not have seen them: whether they did was never written down.
func (m *Machine) resume(s *session, e *effects) {
	if s.phase() != PhaseComplete {
		m.sendAll(s, e)
	}
	switch {
	case s.failure != nil:
		e.Out = append(e.Out, m.failed(s, s.failure))
	case s.recovery != nil:
		m.startFinish(0, s, s.recovery, s.self, e)
	case s.choice != nil && !s.choice.sign:
		e.Out = append(e.Out, m.broadcastComplaint(s))
	case s.phase() == PhaseSharing && s.own != nil:
		e.Out = append(e.Out, m.broadcast(s))
	}
	if s == s.run.current() && s.run.live() {
		for to := range m.cfg.Members {
			if to != m.self {
				m.resendVotes(s.run, to, e)
			}
		}
	}
	m.judge(s, e)
	m.advance(0, s, e)
	m.progress(0, s, e)
}

func encodeOrder(order uint64) []byte {
	var b cryptobyte.Builder
	b.AddUint64(order)
	return b.BytesOrPanic()
}

func decodeEarly(v []byte) (order uint64, sig [sigSize]byte, payload []byte, ok bool) {
	s := cryptobyte.String(v)
	ok = s.ReadUint64(&order) && s.CopyBytes(sig[:]) && len(s) <= maxEarlySize
	return order, sig, append([]byte{}, s...), ok
}

// splitSigned takes a stored broadcast apart.
func splitSigned(v []byte) (sig [sigSize]byte, payload []byte, ok bool) {
	if len(v) < sigSize {
		return sig, nil, false
	}
	return [sigSize]byte(v), append([]byte{}, v[sigSize:]...), true
}
