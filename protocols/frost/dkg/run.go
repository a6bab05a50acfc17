package dkg

import (
	"slices"

	"frostfed/protocols"
)

// run is a ceremony: its attempts, and who was voted out of it. The first
// attempt is among all members; each further one is among those that are left,
// so that the set of excluded members says which attempt it is. The set only
// grows, and all honest members come to know the same set: whatever the order in
// which they learn of exclusions, they meet in the same attempt.
type run struct {
	root     SessionID // of the attempt among all members; names the run
	ceremony Ceremony
	params   scheme     // of all members
	manual   bool       // nobody is excluded: not wanted, or not possible
	sessions []*session // in the order in which they were started here
	votes    [][]*vote  // by culprit, by voter

	answerAt []protocols.Time // by member: not told of exclusions before; volatile
}

func (m *Machine) newRun(c Ceremony, params scheme) *run {
	n := m.n()
	r := &run{
		root: SessionID(params.SessionID(c.ID, 0)), ceremony: c, params: params,
		manual: c.NoExclusion || n-1 < m.floor(c) || n-1 < m.quorum(),
		votes:  make([][]*vote, n), answerAt: make([]protocols.Time, n),
	}
	for i := range r.votes {
		r.votes[i] = make([]*vote, n)
	}
	return r
}

func (m *Machine) n() int { return len(m.cfg.Members) }

// quorum is n-f of the federation: votes that exclude, acknowledgements that
// make a key usable. It is what one can wait for when f members are silent for
// ever, and any two such quorums share an honest member.
func (m *Machine) quorum() int { return m.n() - protocols.MaxFaulty(m.n()) }

// floor is the smallest number of participants of an attempt at c.
func (m *Machine) floor(c Ceremony) int {
	least := c.MinMembers
	if least == 0 {
		least = m.quorum()
	}
	return max(least, c.T+c.MinSpare)
}

// current is the newest attempt.
func (r *run) current() *session { return r.sessions[len(r.sessions)-1] }

// generated says whether an attempt made a key.
func (r *run) generated() bool {
	return slices.ContainsFunc(r.sessions, func(s *session) bool { return s.recovery != nil })
}

// judging says whether complaints still matter: an attempt is open, or was
// stopped by a verdict.
func (r *run) judging() bool {
	if len(r.sessions) == 0 || r.generated() {
		return false
	}
	f := r.current().failure
	return f == nil || f.reason.convicts()
}

// live says whether this member still works for a key: an attempt is open, or
// was stopped by somebody who is about to be excluded.
func (r *run) live() bool {
	return r.judging() && (r.current().failure == nil || !r.manual)
}

// open adds the attempt at r without the members out.
func (m *Machine) open(r *run, out []int, e *effects) *session {
	s, err := m.newSession(r, out)
	if err != nil {
		// The members were checked, and the floor keeps at least t of them.
		panic("dkg: parameters of an attempt: " + err.Error())
	}
	s.order = m.nextOrder()
	m.add(s)
	e.Persist = append(e.Persist, put(sessionKey(s.id, partCeremony), encodeCeremony(r.ceremony, s.order, out)))
	return s
}

// begin sets a new attempt going.
func (m *Machine) begin(now protocols.Time, s *session, e *effects) {
	s.look(now, m.cfg.Silence)
	s.retry.start(now)
	m.takeEarly(s, e)
	m.judge(s, e)
	m.advance(now, s, e)
	m.progress(now, s, e)
}

func (m *Machine) add(s *session) {
	m.sessions[s.id] = s
	s.run.sessions = append(s.run.sessions, s)
}

// next goes on without the members that were voted out meanwhile, if enough are
// left.
func (m *Machine) next(now protocols.Time, r *run, e *effects) {
	if !r.live() {
		return
	}
	s, out := r.current(), m.out(r)
	if slices.Equal(out, s.out) {
		return
	}
	var culprits []int
	for i, member := range s.members {
		if slices.Contains(out, member) {
			culprits = append(culprits, i)
		}
	}
	switch {
	case slices.Contains(out, m.self):
		m.fail(now, s, ReasonExcluded, nil, e)
	case m.n()-len(out) < m.floor(r.ceremony):
		m.fail(now, s, ReasonTooFew, culprits, e)
	default:
		next := m.open(r, out, e)
		if s.failure == nil {
			m.fail(now, s, ReasonSuperseded, culprits, e)
		}
		e.Out = append(e.Out, Excluded{
			SessionID: next.id, CeremonyID: r.ceremony.ID, Attempt: next.attempt(), Members: m.ids(out),
		})
		m.begin(now, next, e)
	}
}

// settle drops what only judgements need: the first messages of failed attempts,
// but for the culprits', which are evidence.
func (m *Machine) settle(r *run, e *effects) {
	if r.judging() {
		return
	}
	for _, s := range r.sessions {
		if s.failure == nil {
			continue
		}
		for i := range s.m1 {
			if s.m1[i] != nil && !slices.Contains(s.failure.culprits, i) {
				e.Persist = append(e.Persist, del(sessionKey(s.id, memberPart(partM1, i))))
				s.m1[i], s.m1Sigs[i] = nil, [sigSize]byte{}
			}
		}
	}
}

// forget removes a failed session, and its run with the last one.
func (m *Machine) forget(s *session, e *effects) {
	e.Persist = append(e.Persist, del(sessionKey(s.id, partCeremony)))
	for _, key := range s.stored(partM1, partComplaint, partChoice, partFailure) {
		e.Persist = append(e.Persist, del(key))
	}
	delete(m.sessions, s.id)
	r := s.run
	r.sessions = slices.DeleteFunc(r.sessions, func(o *session) bool { return o == s })
	if len(r.sessions) > 0 {
		return
	}
	delete(m.runs, r.root)
	for culprit := range r.votes {
		for voter, v := range r.votes[culprit] {
			if v != nil {
				e.Persist = append(e.Persist, del(voteKey(r.root, culprit, voter)))
			}
		}
	}
}
