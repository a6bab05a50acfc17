package sign

import (
	"slices"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// session is one attempt at one lot, by exactly t signers.
type session struct {
	sid      uint32 // unique in this process
	number   int    // within the run
	first, k int    // the lot
	signers  []int
	pairs    [][]heldPair     // by position, then item: drawn from the pools, never put back
	epochs   []epochID        // by position: of the pairs
	values   []bip445.Session // by item; nil until computed
	aggs     []bip445.AggNonce
	replies  []*reply // by position
	missing  int
	spoilt   bool // it will not complete the lot
	blaming  bool // all answered, and it did not add up
	culprit  bool // somebody was convicted for it
	started  protocols.Time
}

type reply struct {
	psigs  [][psigSize]byte
	vouch  [sigSize]byte
	refill [32]byte // hash of the pool that came with them
}

func (s *session) position(i int) int {
	pos, _ := slices.BinarySearch(s.signers, i)
	return pos
}

func (s *session) handles(i int) []heldPair { return s.pairs[s.position(i)] }

// open starts a session. The signers' pairs leave the pools for good.
func (m *Machine) open(fx *effects, r *request, signers []int, k int) bool {
	run := r.run
	set, err := r.key.set(signers)
	if err != nil {
		m.fail(fx, r, ReasonInconsistent) // the key was validated, so no set of it fails
		return false
	}
	run.sessions++
	m.turns++
	run.turn = m.turns
	s := &session{
		sid: uint32(m.turns), number: run.sessions, first: run.lot, k: k, signers: signers,
		replies: make([]*reply, len(signers)), missing: len(signers), started: m.now,
	}
	for _, i := range signers {
		s.pairs = append(s.pairs, m.held[i].draw(k))
		s.epochs = append(s.epochs, m.held[i].epoch)
		run.seats[i].state, run.seats[i].session = pending, s
		m.peers[i].outstanding++
	}
	run.live = append(run.live, s)
	type values struct {
		aggs     []bip445.AggNonce
		sessions []bip445.Session
	}
	contexts, items := r.contexts[s.first:s.first+k], r.items[s.first:s.first+k]
	m.work(fx, k*(1+len(signers)/64), func() any {
		v := values{make([]bip445.AggNonce, k), make([]bip445.Session, k)}
		pubs := make([]bip445.PubNonce, len(signers))
		for j := range k {
			for pos := range signers {
				pubs[pos] = s.pairs[pos][j].pubnonce
			}
			v.aggs[j] = bip445.NonceAgg(pubs)
			var err error
			if v.sessions[j], err = bip445.NewSession(set, contexts[j], v.aggs[j], items[j].Message[:]); err != nil {
				return err
			}
		}
		return v
	}, func(fx *effects, result any) {
		if m.requests[r.id] != r {
			return
		}
		v, ok := result.(values)
		if !ok {
			m.fail(fx, r, ReasonInconsistent)
			return
		}
		s.aggs, s.values = v.aggs, v.sessions
		for _, i := range s.signers {
			m.send(fx, i, m.signMsg(r, s, i))
		}
		m.progress(fx, r, s)
	})
	return !run.failed
}

// signMsg is the SIGN of a session for one of its signers.
func (m *Machine) signMsg(r *request, s *session, to int) signMsg {
	msg := signMsg{
		request: r.id, session: sessionID{m.cfg.Epoch, s.sid}, digest: r.digest, first: uint32(s.first),
		signers: s.signers, epoch: s.epochs[s.position(to)], slots: make([]slot, s.k),
	}
	for j, p := range s.handles(to) {
		msg.slots[j] = slot{s.aggs[j].Bytes(), p.index}
	}
	return msg
}

// close aggregates a session all signers of which have answered. Nothing is
// verified but the result: if that is right, so is everything that matters.
func (m *Machine) close(fx *effects, r *request, s *session) {
	run := r.run
	run.closing++
	m.work(fx, s.k*(1+len(s.signers)/64), func() any {
		sigs := make([][sigSize]byte, s.k)
		psigs := make([][psigSize]byte, len(s.signers))
		for j := range s.k {
			for pos, rep := range s.replies {
				psigs[pos] = rep.psigs[j]
			}
			var err error
			if sigs[j], err = s.values[j].PartialSigAgg(psigs); err != nil {
				return err
			}
		}
		return sigs
	}, func(fx *effects, result any) {
		if m.requests[r.id] != r || r.run != run {
			return
		}
		run.closing--
		if s.first != run.lot {
			return // another session of this lot was faster
		}
		sigs, ok := result.([][sigSize]byte)
		if !ok {
			m.blame(fx, r, s)
			return
		}
		for _, i := range s.signers {
			if seat := &run.seats[i]; seat.session == s {
				seat.unproved = false
			}
		}
		run.sigs = append(run.sigs, sigs...)
		run.lot += s.k
		run.live = nil
		m.mark(r)
		if run.lot == len(r.items) {
			m.finish(fx, r, run.sigs, true)
		}
	})
}

// blame finds who spoilt a session that all answered and that did not add up:
// somebody not proved honest yet.
func (m *Machine) blame(fx *effects, r *request, s *session) {
	s.spoilt, s.blaming = true, true
	m.prove(fx, r, slices.DeleteFunc(slices.Clone(s.signers), func(i int) bool {
		seat := &r.run.seats[i]
		return seat.session != s || seat.state != idle || !seat.unproved
	}))
	m.explain(fx, r, s)
}

// explain ends the run if nobody is to blame for a session that did not add up:
// then this member's own key does not fit the public shares.
func (m *Machine) explain(fx *effects, r *request, s *session) {
	if !s.blaming || s.culprit || r.run.failed {
		return
	}
	for _, i := range s.signers {
		if seat := &r.run.seats[i]; seat.session == s && (seat.state == proving || seat.unproved) {
			return // the verdict on this one is to come
		}
	}
	m.fail(fx, r, ReasonInconsistent)
}

// prove verifies the last partial signatures of idle members one by one; who
// fails is convicted.
func (m *Machine) prove(fx *effects, r *request, members []int) {
	type task struct {
		member, pos int
		s           *session
	}
	if len(members) == 0 {
		return
	}
	tasks, cost := make([]task, len(members)), 0
	for n, i := range members {
		seat := &r.run.seats[i]
		seat.state = proving
		tasks[n] = task{i, seat.session.position(i), seat.session}
		cost += 2 * seat.session.k
	}
	m.work(fx, cost, func() any {
		valid := make([]bool, len(tasks))
		for n, t := range tasks {
			valid[n] = true
			for j := range t.s.k {
				if t.s.values[j].PartialSigVerify(t.pos, t.s.pairs[t.pos][j].pubnonce, t.s.replies[t.pos].psigs[j]) != nil {
					valid[n] = false
					break
				}
			}
		}
		return valid
	}, func(fx *effects, result any) {
		if m.requests[r.id] != r {
			return
		}
		valid := result.([]bool)
		for n, t := range tasks {
			seat := &r.run.seats[t.member]
			if seat.state != proving {
				continue // expelled meanwhile
			}
			seat.unproved = false
			if valid[n] {
				seat.state = idle
				continue
			}
			t.s.spoilt, t.s.culprit = true, true
			m.accuse(fx, r, t.s, t.pos)
		}
		for _, t := range tasks {
			m.explain(fx, r, t.s)
		}
		m.mark(r)
	})
}

// accuse removes a member whose partial signatures are wrong. Only now its
// signature on them is checked: while they are right nobody needs it, so it costs
// the coordinator nothing. Without it this member alone knows who sent them.
func (m *Machine) accuse(fx *effects, r *request, s *session, pos int) {
	member, st, vouch := s.signers[pos], m.statement(r, s, pos), s.replies[pos].vouch
	if member == m.self || !m.cfg.Verify(m.cfg.Members[member], st.preimage(), vouch[:]) {
		m.convict(fx, r, member, FaultBadReply, "partial signature neither verifies nor is vouched for", nil)
		return
	}
	m.peers[member].proven = true
	m.convict(fx, r, member, FaultBadPartial, "partial signature does not verify", encodeProof(r.key.info, st.encode(), vouch))
}

// fail ends a run for trouble of this member's own.
func (m *Machine) fail(fx *effects, r *request, reason string) {
	r.run.failed = true
	fx.Out = append(fx.Out, Failed{Request: r.id, Reason: reason})
}

func (m *Machine) progress(fx *effects, r *request, s *session) {
	var waiting []int
	for pos, i := range s.signers {
		if s.replies[pos] == nil {
			waiting = append(waiting, i)
		}
	}
	fx.Out = append(fx.Out, Progress{
		Request: r.id, Session: s.number, Coordinator: m.cfg.Self,
		Have: len(s.signers) - s.missing, Need: len(s.signers), Waiting: m.names(waiting),
	})
}
