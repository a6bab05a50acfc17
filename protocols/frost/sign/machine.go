package sign

import (
	"cmp"
	"slices"
	"strconv"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

type effects = protocols.Effects[Event]

// Machine is signer and coordinator for one member, over any number of keys.
type Machine struct {
	cfg   Config
	self  int
	index map[protocols.NodeID]int
	now   protocols.Time

	keys  map[[32]byte]*key
	hedge *key // the first key: its share is mixed into all nonces

	issued []*issued // by coordinator: secret nonces
	held   []*held   // by signer: public nonces
	peers  []*peer

	requests map[requestID]*request
	order    []*request // the same, oldest first
	refusals *fifo[string]
	history  history
	turns    uint64 // sessions opened, by any run

	local []message  // to this member itself, handled before an input ends
	dirty []*request // runs to advance before an input ends

	jobs    map[string]func(*effects, any)
	lastJob uint64
}

// peer is what is known about a member beside its nonces.
type peer struct {
	down        bool
	proven      bool // it lied, and that can be proved
	outstanding int  // sessions of ours that it has not answered: the measure of responsiveness
	parked      []parked
	notes       *fifo[note] // what it said of requests not approved here yet
	gauge       gauge
	busy        bool // it was told NO(limit): announce later approvals to it
}

type parked struct {
	msg signMsg
	raw [32]byte
}

type note struct{ ready, done bool }

// Bounds per peer. Each is what one hostile member can make us hold or do.
const (
	maxParked = 16 // SIGN for requests not validated yet: 80 KiB
	maxNotes  = 64 // READY and DONE for requests not validated yet
	maxServed = 4  // DONE sent in answer to one member for one request: 513 KiB each
	// maxStrikes is how many sessions of one run a signer may spoil with a NO
	// that is no fault (a restart, a full buffer) before it counts as silent.
	maxStrikes = 3
)

// New returns a machine without keys or requests. Errors wrap ErrConfig.
func New(cfg Config) (*Machine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Members = slices.Clone(cfg.Members)
	m := &Machine{
		cfg:      cfg,
		index:    make(map[protocols.NodeID]int),
		keys:     make(map[[32]byte]*key),
		requests: make(map[requestID]*request),
		refusals: newFIFO[string](cfg.Requests),
		history:  newHistory(cfg.History),
		jobs:     make(map[string]func(*effects, any)),
	}
	for i, id := range cfg.Members {
		m.index[id] = i
		m.issued = append(m.issued, &issued{next: 1, secrets: make(map[uint64]*bip445.SecNonce), budget: 2 * max(cfg.Pool, maxLot)})
		m.held = append(m.held, new(held))
		m.peers = append(m.peers, &peer{notes: newFIFO[note](maxNotes), gauge: gauge{since: protocols.Never}})
	}
	m.self = m.index[cfg.Self]
	return m, nil
}

func (m *Machine) n() int { return len(m.cfg.Members) }

// input runs one input to its end: what a message to oneself causes, and what a
// run can do now, happens before it returns.
func (m *Machine) input(now protocols.Time, f func(*effects)) effects {
	var fx effects
	m.now = max(m.now, now)
	f(&fx)
	for {
		switch {
		case len(m.local) > 0:
			msg := m.local[0]
			m.local = m.local[1:]
			m.handle(&fx, m.self, msg, msg.encode())
		case len(m.dirty) > 0:
			r := m.dirty[0]
			m.dirty = m.dirty[1:]
			r.dirty = false
			m.advance(&fx, r)
		default:
			m.measure(&fx)
			return fx
		}
	}
}

// Step handles a message from a peer.
func (m *Machine) Step(now protocols.Time, from protocols.NodeID, msg []byte) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		i, member := m.index[from]
		if !member || i == m.self {
			fx.Faults = append(fx.Faults, protocols.Fault{Culprit: from, Kind: FaultStranger, Detail: "sender is no other member"})
			return
		}
		decoded, err := decode(msg)
		if err != nil {
			m.fault(fx, i, FaultMalformed, err.Error(), nil)
			return
		}
		m.handle(fx, i, decoded, msg)
	})
}

func (m *Machine) handle(fx *effects, from int, msg message, raw []byte) {
	switch msg := msg.(type) {
	case nonces:
		m.absorb(fx, from, msg)
		m.markStarved()
	case signMsg:
		m.onSign(fx, from, msg, sha(raw))
	case psigMsg:
		m.onPSig(fx, from, msg, raw)
	case noMsg:
		m.onNo(fx, from, msg)
	case needMsg:
		m.onNeed(fx, from, msg)
	case readyMsg:
		m.onReady(fx, from, msg)
	case doneMsg:
		m.onDone(fx, from, msg)
	}
}

// Tick starts the runs and sessions that are due, and refills pools.
func (m *Machine) Tick(now protocols.Time) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		m.reportLow(fx)
		for to, p := range m.issued {
			if m.now >= p.grantedAt() {
				m.offer(fx, to, m.missing(to))
			}
		}
		for _, r := range m.order {
			if r.run == nil && m.startAt(r) <= m.now {
				m.coordinate(r)
			}
			if r.run != nil && m.impatientAt(r) <= m.now {
				m.mark(r)
			}
		}
	})
}

// Deadline is when Tick wants to be called.
func (m *Machine) Deadline() protocols.Time {
	at := protocols.Never
	for i := range m.peers {
		at = min(at, m.issued[i].grantedAt(), m.peers[i].gauge.reportAt())
	}
	for _, r := range m.order {
		if r.run == nil {
			at = min(at, m.startAt(r))
		} else if d := m.impatientAt(r); d > m.now {
			at = min(at, d) // one that is past has done what it could
		}
	}
	return at
}

// Done brings the result of a Job.
func (m *Machine) Done(now protocols.Time, jobID string, result any) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		if then := m.jobs[jobID]; then != nil {
			delete(m.jobs, jobID)
			then(fx, result)
		}
	})
}

// PeerUp hints that a member is reachable: it is chosen first.
func (m *Machine) PeerUp(now protocols.Time, peer protocols.NodeID) protocols.Effects[Event] {
	return m.hint(now, peer, false)
}

// PeerDown hints that a member is not reachable: it is chosen last, sessions
// that wait for it are not waited for, and no turn to coordinate is kept for it.
func (m *Machine) PeerDown(now protocols.Time, peer protocols.NodeID) protocols.Effects[Event] {
	return m.hint(now, peer, true)
}

// Distrust says that a member was proved to have lied, in this process or an
// earlier one: it is chosen last. It is not excluded: t members may need it, and
// lying costs them no more than its silence would.
func (m *Machine) Distrust(peer protocols.NodeID) {
	if i, member := m.index[peer]; member {
		m.peers[i].proven = true
	}
}

func (m *Machine) hint(now protocols.Time, peer protocols.NodeID, down bool) effects {
	return m.input(now, func(*effects) {
		i, member := m.index[peer]
		if !member || i == m.self || m.peers[i].down == down {
			return
		}
		m.peers[i].down = down
		for _, r := range m.order {
			m.mark(r)
		}
	})
}

// work runs a pure function: here if cost, in units of about 0.1 ms, is small,
// else as a Job of the driver. then gets the result as part of an input.
func (m *Machine) work(fx *effects, cost int, run func() any, then func(*effects, any)) {
	const inline = 64
	if cost <= inline {
		then(fx, run())
		return
	}
	m.lastJob++
	id := strconv.FormatUint(m.lastJob, 10)
	m.jobs[id] = then
	fx.Work = append(fx.Work, protocols.Job{ID: id, Run: run})
}

func (m *Machine) send(fx *effects, to int, msg message) {
	if to == m.self {
		m.local = append(m.local, msg)
		return
	}
	m.sendRaw(fx, to, msg.encode())
}

func (m *Machine) sendRaw(fx *effects, to int, body []byte) {
	fx.Send = append(fx.Send, protocols.Envelope{To: m.cfg.Members[to], Protocol: protocols.Sign, Body: body})
}

func (m *Machine) fault(fx *effects, culprit int, kind, detail string, proof []byte) {
	fx.Faults = append(fx.Faults, protocols.Fault{Culprit: m.cfg.Members[culprit], Kind: kind, Detail: detail, Proof: proof})
}

// mark queues a run to be advanced.
func (m *Machine) mark(r *request) {
	if !r.dirty {
		r.dirty = true
		m.dirty = append(m.dirty, r)
	}
}

// markStarved queues the runs that wait for nonces: who had its last session
// longest ago comes first, so that all get their turn.
func (m *Machine) markStarved() {
	var waiting []*request
	for _, r := range m.order {
		if r.run != nil && r.run.starved {
			waiting = append(waiting, r)
		}
	}
	slices.SortStableFunc(waiting, func(a, b *request) int { return cmp.Compare(a.run.turn, b.run.turn) })
	for _, r := range waiting {
		m.mark(r)
	}
}

func (m *Machine) names(indices []int) []protocols.NodeID {
	out := make([]protocols.NodeID, len(indices))
	for i, j := range indices {
		out[i] = m.cfg.Members[j]
	}
	return out
}
