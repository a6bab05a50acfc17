package roast

import (
	"slices"

	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

// maxStrikes is how many sessions of one run a signer may spoil by restarting
// before it counts as silent.
const maxStrikes = 3

// run is this member's work as coordinator of one request.
type run struct {
	seats []seat // by member
	ready []int  // members, in the order in which they became so
	done  bool   // the signature is being aggregated
	over  bool   // too few members are left
}

// seat is a member's place in a run.
type seat struct {
	state      state
	commitment []byte // ready: to its next nonces
	session    *session
	reply      [32]byte // hash of the last SHARE
	strikes    int
}

type state byte

const (
	away    state = iota // has not offered itself, or spoilt too many sessions
	ready                // its commitment is unused
	pending              // in exactly one session
	proving              // its share is being verified
	gone                 // its own validation refuses the request
	bad                  // misbehaved
)

// session is one attempt by exactly t signers.
type session struct {
	id      sessionID
	signers []int // members, ascending
	all     [][]byte
	value   *rfc9591.Session
	shares  [][]byte // by place in signers; valid ones
}

func newRun(n int) *run { return &run{seats: make([]seat, n)} }

func (s *session) message(r *request) message {
	return message{kind: kindSign, request: r.id, session: s.id, digest: r.digest, signers: s.signers, all: s.all}
}

// onReady takes a signer's offer.
func (m *Machine) onReady(fx *effects, from int, msg message) {
	r := m.requests[msg.request]
	if r == nil {
		if code, refused := m.refusals[msg.request]; refused {
			m.send(fx, from, message{kind: kindNo, request: msg.request, code: code})
			return
		}
		m.takeEarly(from, msg.request)
		if len(m.early[from]) == maxEarly {
			m.early[from] = m.early[from][1:]
		}
		msg.commitment = slices.Clone(msg.commitment)
		m.early[from] = append(m.early[from], offer{msg.request, msg})
		return
	}
	run, seat := r.run, &r.run.seats[from]
	if _, can := r.key.participant(from); !can || seat.state == bad || seat.state == proving {
		return
	}
	if msg.digest != r.digest {
		m.away(fx, r, from)
		return
	}
	switch seat.state {
	case pending:
		// It has restarted, or has lost its nonce otherwise: its session is dead.
		if slices.Equal(seat.session.commitmentOf(from), msg.commitment) {
			return // the offer that we took
		}
		if seat.strikes++; seat.strikes > maxStrikes {
			seat.state = away
			return
		}
	case ready:
		seat.commitment = slices.Clone(msg.commitment)
		return
	case away:
		if seat.strikes > maxStrikes {
			return
		}
	case gone:
		if seat.strikes++; seat.strikes > maxStrikes {
			return // changing one's mind spoils sessions too
		}
		run.over = false
	}
	m.makeReady(fx, r, from, msg.commitment)
}

func (s *session) commitmentOf(member int) []byte {
	pos, _ := slices.BinarySearch(s.signers, member)
	return s.all[pos]
}

// away notes that a member signs another message than ours, or none.
func (m *Machine) away(fx *effects, r *request, member int) {
	seat := &r.run.seats[member]
	if seat.state == bad {
		return
	}
	m.leave(r, member, gone)
	m.checkOver(fx, r)
}

// leave takes a member out of the run.
func (m *Machine) leave(r *request, member int, to state) {
	r.run.seats[member].state = to
	r.run.seats[member].session = nil
	r.run.ready = slices.DeleteFunc(r.run.ready, func(i int) bool { return i == member })
}

func (m *Machine) makeReady(fx *effects, r *request, member int, commitment []byte) {
	run, seat := r.run, &r.run.seats[member]
	seat.state, seat.session, seat.commitment = ready, nil, slices.Clone(commitment)
	run.ready = append(run.ready, member)
	for len(run.ready) >= r.key.public.T() && !run.done && m.open(fx, r) {
	}
}

// open starts a session with the t members that have been ready longest. It
// returns false after having convicted somebody for its commitments.
func (m *Machine) open(fx *effects, r *request) bool {
	run, t := r.run, r.key.public.T()
	s := &session{signers: slices.Clone(run.ready[:t]), shares: make([][]byte, t)}
	slices.Sort(s.signers)
	for _, i := range s.signers {
		if !r.key.public.CheckCommitment(run.seats[i].commitment) {
			m.convict(fx, r, i, FaultBadNonce, "commitments are not of this key's group")
			return len(run.ready) >= t
		}
		s.all = append(s.all, run.seats[i].commitment)
	}
	ids, _ := r.key.ids(s.signers) // who cannot sign has no seat but away
	var err error
	if s.value, err = r.key.public.NewSession(ids, s.all, r.message); err != nil {
		panic("roast: session of checked members: " + err.Error())
	}
	m.sid++
	s.id = sessionID{m.cfg.Epoch, m.sid}
	run.ready = run.ready[t:]
	for _, i := range s.signers {
		seat := &run.seats[i]
		seat.state, seat.session, seat.commitment = pending, s, nil
		m.send(fx, i, s.message(r))
	}
	m.progress(fx, r, s)
	return true
}

// onShare takes a signer's answer and verifies it before the signer is asked
// again.
func (m *Machine) onShare(fx *effects, from int, msg message, hash [32]byte) {
	r := m.requests[msg.request]
	if r == nil {
		return
	}
	seat := &r.run.seats[from]
	if seat.state == bad || seat.reply == hash {
		return
	}
	if seat.state != pending || seat.session.id != msg.session {
		// Of an earlier life of ours, or overtaken by a READY: it changes nothing.
		if msg.session.run == m.cfg.Epoch && msg.session.sid > m.sid {
			m.convict(fx, r, from, FaultUnsolicited, "share of a session that never was")
		}
		return
	}
	s := seat.session
	seat.state, seat.reply = proving, hash
	share, commitment := slices.Clone(msg.share), slices.Clone(msg.commitment)
	id, _ := r.key.participant(from)
	m.work(fx, func() any { return s.value.Verify(id, share) }, func(fx *effects, result any) {
		if m.requests[r.id] != r || seat.state != proving {
			return
		}
		if !result.(bool) {
			m.convict(fx, r, from, FaultBadShare, "signature share does not verify")
			return
		}
		pos, _ := slices.BinarySearch(s.signers, from)
		s.shares[pos] = share
		m.progress(fx, r, s)
		if !slices.ContainsFunc(s.shares, func(b []byte) bool { return b == nil }) {
			m.aggregate(fx, r, s)
			return
		}
		m.makeReady(fx, r, from, commitment)
	})
}

// aggregate adds up valid shares.
func (m *Machine) aggregate(fx *effects, r *request, s *session) {
	if r.run.done {
		return
	}
	r.run.done = true
	m.work(fx, func() any {
		sig, err := s.value.Aggregate(s.shares)
		if err != nil {
			return err
		}
		return sig
	}, func(fx *effects, result any) {
		if m.requests[r.id] != r {
			return
		}
		sig, ok := result.([]byte)
		if !ok {
			panic("roast: valid shares do not add up") // a fault of this machine
		}
		m.finish(fx, r, sig, true)
	})
}

// onNo takes a member's refusal.
func (m *Machine) onNo(fx *effects, from int, msg message) {
	if r := m.requests[msg.request]; r != nil {
		m.away(fx, r, from)
		return
	}
	m.takeEarly(from, msg.request)
}

// convict removes a member from a run for a fault.
func (m *Machine) convict(fx *effects, r *request, i int, kind, detail string) {
	m.fault(fx, i, kind, detail)
	m.leave(r, i, bad)
	m.checkOver(fx, r)
}

// checkOver ends a run that cannot complete.
func (m *Machine) checkOver(fx *effects, r *request) {
	left := 0
	for _, member := range r.key.members {
		if seat := &r.run.seats[member]; seat.state != gone && seat.state != bad {
			left++
		}
	}
	if left < r.key.public.T() && !r.run.over {
		r.run.over = true
		fx.Out = append(fx.Out, Failed{r.id, ReasonRefused})
	}
}

func (m *Machine) progress(fx *effects, r *request, s *session) {
	var waiting []int
	for pos, i := range s.signers {
		if s.shares[pos] == nil {
			waiting = append(waiting, i)
		}
	}
	fx.Out = append(fx.Out, Progress{
		Request: r.id, Session: int(s.id.sid), Have: len(s.signers) - len(waiting), Need: len(s.signers), Waiting: m.names(waiting),
	})
}

func timeOf(n int) protocols.Time { return protocols.Time(n) }
