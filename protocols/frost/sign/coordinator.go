package sign

import (
	"cmp"
	"slices"

	"frostfed/protocols"
)

// run is this member's work as coordinator of one request: ROAST, over the
// request's items lot by lot.
type run struct {
	lot      int // first item not signed yet
	sigs     [][sigSize]byte
	sessions int        // opened so far
	seats    []seat     // by member
	live     []*session // of the current lot, that may still complete
	closing  int        // sessions whose aggregate is being computed
	clock    uint64
	starved  bool   // waits for nonces
	turn     uint64 // when its last session was opened, see Machine.turns
	failed   bool
}

// seat is a member's place in a run. ROAST's Ready set is the idle seats whose
// member has enough nonces in the pool.
type seat struct {
	state     state
	session   *session // pending: the one to answer; idle: the last one answered
	reply     [32]byte // hash of the last PSIG
	unproved  bool     // idle: its last partial signatures are not verified yet
	announced bool     // has answered, or said READY: it has approved the request
	since     uint64   // order in which seats became idle
	strikes   int
	code      string // gone: why it refuses
}

type state byte

const (
	idle    state = iota
	pending       // in exactly one session
	proving       // its partial signatures are being verified
	silent        // spoilt too many sessions without a fault; not asked again
	gone          // its own validation refuses the request
	bad           // provably misbehaved
	outside       // has no share of the key
)

// coordinate begins this member's run.
func (m *Machine) coordinate(r *request) {
	run := &run{seats: make([]seat, m.n()), clock: uint64(m.n())}
	for i, p := range m.peers {
		// To begin with, this member itself first and the others in its circle.
		run.seats[i].since = uint64((i - m.self + m.n()) % m.n())
		n, _ := p.notes.get(r.id)
		run.seats[i].announced = n.ready || i == m.self
		if !r.key.has(i) {
			run.seats[i].state = outside
		}
	}
	r.run = run
	m.mark(r)
}

// advance starts sessions while t signers are ready: ROAST's loop.
func (m *Machine) advance(fx *effects, r *request) {
	run := r.run
	if run == nil || run.failed {
		return
	}
	if m.overdrawn(fx, r) {
		return
	}
	run.starved = false
	for run.closing == 0 && m.impatientAt(r) <= m.now {
		k := m.share(r)
		ready := m.ready(r, k)
		if len(ready) < r.key.t {
			run.starved = true
			m.need(fx, run, k)
			return
		}
		signers := slices.Clone(ready[:r.key.t])
		slices.Sort(signers)
		// Who answered is proved honest before it is asked again: otherwise one
		// liar spoils any number of sessions. Later, the work is mostly saved.
		if unproved := slices.DeleteFunc(slices.Clone(signers), func(i int) bool { return !run.seats[i].unproved }); len(unproved) > 0 {
			m.prove(fx, r, unproved)
			if slices.ContainsFunc(unproved, func(i int) bool { return run.seats[i].state == proving }) {
				return // the job's result marks the run again
			}
			if m.requests[r.id] != r || run.failed {
				return
			}
			continue
		}
		if !m.open(fx, r, signers, k) {
			return
		}
	}
}

// share is how many items the next session of a run takes: a lot, or while others
// run beside it half a pool, so that a request of thousands leaves pairs for one of
// a few; and less, down to a quarter of that, if t members have no more.
func (m *Machine) share(r *request) int {
	k := min(maxLot, m.cfg.Pool)
	if slices.ContainsFunc(m.order, func(o *request) bool { return o != r && o.run != nil && !o.run.failed }) {
		k = (k + 1) / 2
	}
	k = min(k, len(r.items)-r.run.lot)
	var there []int
	for i := range r.run.seats {
		if r.run.seats[i].state == idle {
			there = append(there, len(m.held[i].pairs))
		}
	}
	if len(there) < r.key.t {
		return k
	}
	slices.Sort(there)
	if most := there[len(there)-r.key.t]; most < k && 4*most >= k {
		return most
	}
	return k
}

// ready lists the seats that can join a session of k items, best first: members
// that were never proved to lie, are reachable, known to approve, and owe this member no other answer.
func (m *Machine) ready(r *request, k int) []int {
	var out []int
	for i := range r.run.seats {
		if r.run.seats[i].state == idle && len(m.held[i].pairs) >= k {
			out = append(out, i)
		}
	}
	first := func(a, b bool) int { // true before false
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	slices.SortFunc(out, func(a, b int) int {
		pa, pb, sa, sb := m.peers[a], m.peers[b], &r.run.seats[a], &r.run.seats[b]
		return cmp.Or(first(!pa.proven, !pb.proven), first(!pa.down, !pb.down), first(sa.announced, sb.announced),
			cmp.Compare(pa.outstanding, pb.outstanding), cmp.Compare(sa.since, sb.since))
	})
	return out
}

// need asks the idle members whose pools are too small for more pairs.
func (m *Machine) need(fx *effects, run *run, k int) {
	for i := range run.seats {
		if h := m.held[i]; run.seats[i].state == idle && len(h.pairs) < k && !h.asked {
			h.asked = true
			m.send(fx, i, needMsg{uint16(k)})
		}
	}
}

// impatientAt is when another session may start beside those that may still
// complete: now, if there is none. Starting early is ROAST's letter; waiting a
// moment saves the second session that would follow every first one whenever n-t
// others are idle. Nobody is timed out by it: a late answer is as good.
func (m *Machine) impatientAt(r *request) protocols.Time {
	at := m.now
	if r.run.failed {
		return protocols.Never
	}
	for _, s := range r.run.live {
		if !s.spoilt && !m.waitsForAbsent(s) && m.cfg.Patience > 0 {
			at = max(at, s.started+m.cfg.Patience)
		}
	}
	return at
}

func (m *Machine) waitsForAbsent(s *session) bool {
	for pos, i := range s.signers {
		if s.replies[pos] == nil && m.peers[i].down {
			return true
		}
	}
	return false
}

// onPSig takes a signer's answer.
func (m *Machine) onPSig(fx *effects, from int, msg psigMsg, raw []byte) {
	m.absorb(fx, from, msg.refill)
	m.markStarved()
	r := m.requests[msg.request]
	if r == nil || r.run == nil || msg.session.run != m.cfg.Epoch {
		return // finished, or of a process before this one
	}
	run, seat, hash := r.run, &r.run.seats[from], sha(raw)
	if seat.state == bad {
		return
	}
	if seat.state != pending || seat.session.sid != msg.session.sid || seat.session.values == nil {
		if seat.reply != hash { // else a repetition
			m.convict(fx, r, from, FaultUnsolicited, "PSIG answers no open session", nil)
		}
		return
	}
	s := seat.session
	seat.reply = hash
	if len(msg.psigs) != s.k {
		m.convict(fx, r, from, FaultBadReply, "wrong number of partial signatures", nil)
		return
	}
	s.replies[s.position(from)] = &reply{msg.psigs, msg.vouch, msg.refill.hash()}
	s.missing--
	m.peers[from].outstanding--
	seat.state, seat.unproved, seat.announced = idle, true, true
	run.clock++
	seat.since = run.clock
	m.progress(fx, r, s)
	if s.missing == 0 {
		run.live = slices.DeleteFunc(run.live, func(o *session) bool { return o == s })
		if s.first == run.lot {
			m.close(fx, r, s)
		}
	}
	m.mark(r)
}

// onNo takes a signer's refusal of a session.
func (m *Machine) onNo(fx *effects, from int, msg noMsg) {
	r := m.requests[msg.request]
	if r == nil || r.run == nil || msg.session.run != m.cfg.Epoch {
		return
	}
	seat := &r.run.seats[from]
	if seat.state != pending || seat.session.sid != msg.session.sid {
		return
	}
	s := seat.session
	s.spoilt = true
	m.peers[from].outstanding--
	seat.state, seat.session = idle, nil
	r.run.clock++
	seat.since = r.run.clock
	switch msg.reason {
	case noPolicy, noInconsistent:
		seat.state, seat.code, seat.announced = gone, msg.code, false
		if msg.reason == noInconsistent {
			seat.code = ReasonInconsistent
		}
		fx.Out = append(fx.Out, PeerRefused{r.id, m.cfg.Members[from], seat.code})
	case noStale:
		if h := m.held[from]; h.epoch != msg.epoch {
			h.pairs = nil // of a dead process; the new one's are to come
		}
		m.strike(seat)
	case noInvalid, noLimit:
		m.strike(seat)
		if msg.reason == noLimit && seat.state == idle {
			seat.state = silent // until it says READY
		}
	}
	m.mark(r)
}

func (m *Machine) strike(seat *seat) {
	if seat.strikes++; seat.strikes > maxStrikes {
		seat.state = silent
	}
}

// onReady notes an approval; of a request that is done, it asks for the result.
func (m *Machine) onReady(fx *effects, from int, msg readyMsg) {
	if m.history.get(msg.request) != nil {
		m.serve(fx, from, msg.request)
		return
	}
	r := m.requests[msg.request]
	if r == nil {
		fx.Out = append(fx.Out, Wanted{msg.request, m.cfg.Members[from]})
	}
	if r == nil || r.run == nil {
		p := m.peers[from]
		n, _ := p.notes.get(msg.request)
		n.ready = true
		p.notes.put(msg.request, n)
		return
	}
	seat := &r.run.seats[from]
	seat.announced = true
	if (seat.state == gone || seat.state == silent) && seat.strikes <= maxStrikes {
		seat.state, seat.code = idle, ""
		m.strike(seat) // changing one's mind spoils sessions too
		r.run.clock++
		seat.since = r.run.clock
		r.run.failed = false
		m.mark(r)
	}
}

// convict removes a member from a run for a fault.
func (m *Machine) convict(fx *effects, r *request, i int, kind, detail string, proof []byte) {
	m.fault(fx, i, kind, detail, proof)
	m.expel(r, i)
}

func (m *Machine) expel(r *request, i int) {
	seat := &r.run.seats[i]
	if seat.state == outside {
		return
	}
	if seat.state == pending {
		m.peers[i].outstanding--
		seat.session.spoilt = true
	}
	seat.state, seat.unproved = bad, false
	m.mark(r)
}

// condemn removes a member from all runs.
func (m *Machine) condemn(i int) {
	for _, r := range m.order {
		if r.run != nil {
			m.expel(r, i)
		}
	}
}

// overdrawn ends a run that cannot complete: more than n-t members refuse it or
// misbehaved.
func (m *Machine) overdrawn(fx *effects, r *request) bool {
	f := Failed{Request: r.id, Reason: ReasonRefused}
	for i := range r.run.seats {
		switch seat := &r.run.seats[i]; seat.state {
		case gone:
			f.Refused = append(f.Refused, PeerRefused{r.id, m.cfg.Members[i], seat.code})
			if seat.code == ReasonInconsistent {
				f.Reason = ReasonInconsistent
			}
		case bad:
			f.Bad = append(f.Bad, m.cfg.Members[i])
		}
	}
	if len(f.Refused)+len(f.Bad) <= len(r.key.signers)-r.key.t {
		return false
	}
	r.run.failed = true
	fx.Out = append(fx.Out, f)
	return true
}
