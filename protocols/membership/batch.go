package membership

import (
	"bytes"
	"slices"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

const (
	// heightSlack is how far apart the heights of correct members may be.
	heightSlack = 6
	// patience is for how many blocks a leader may not know of an approval. After that
	// it may not leave a change out: a signed wish to leave cannot be held back.
	patience = heightSlack
)

// plan is a batch with what follows from it.
type plan struct {
	batch    *batch
	members  []epoch.Member // of the next epoch, ascending by host key
	changes  []epoch.Change
	joins    []*Proposal
	departs  int
	renewing bool // somebody's wish, and approved
}

// pick makes the batch of those approved proposals that allow lets through, in order,
// as far as limits and the proposals before let them.
func (m *Machine) pick(r *era, height bitcoin.Height, allow func(*entry) bool) *plan {
	var exited [][32]byte
	for i := range r.state.Members {
		if m.exited(r, i) {
			exited = append(exited, r.state.Members[i].Bond)
		}
	}
	sortKeys(exited)
	hosts := r.nextHosts()
	departs, joins := r.terms.departures(r.n(), r.state.Threshold), min(int(r.terms.Joins), protocols.MaxMembers-r.n())
	return r.plan(height, exited, hosts, func(p *plan, en *entry) bool {
		q := en.proposal
		if !r.approved(en) || height > q.Expires || !r.alive(q) || !allow(en) {
			return false
		}
		switch q.Kind {
		case Remove, Leave:
			return p.departs < departs
		case Join:
			return len(p.joins) < joins && m.funded(r, q.Application) && !r.inUse(q.Application.Card, hosts) &&
				!slices.ContainsFunc(p.joins, func(o *Proposal) bool { return clash(o.Application.Card, q.Application.Card) })
		}
		return true
	})
}

// plan takes the proposals that fits lets through, and works out who is in the next
// epoch. Members whose fault stopped a key generation, by an earlier decision, go.
func (r *era) plan(height bitcoin.Height, exited [][32]byte, hosts [][33]byte, fits func(*plan, *entry) bool) *plan {
	p := &plan{batch: &batch{height: height, exited: exited}}
	gone := make(map[[32]byte]bool)
	for _, bond := range exited {
		gone[bond] = true
		p.changes = append(p.changes, epoch.Change{Bond: bond, Kind: epoch.Exited})
	}
	for _, bond := range r.stopped {
		if r.member(bond) >= 0 && !gone[bond] {
			gone[bond] = true
			p.changes = append(p.changes, epoch.Change{Bond: bond, Kind: epoch.Removed, Class: epoch.Silence, Evidence: r.stoppedBy})
		}
	}
	for _, en := range r.sorted() {
		q := en.proposal
		if !fits(p, en) {
			continue
		}
		switch q.Kind {
		case Remove, Leave:
			if r.member(q.Bond) < 0 || gone[q.Bond] {
				continue
			}
			kind := epoch.Left
			if q.Kind == Remove {
				kind = epoch.Removed
			}
			gone[q.Bond] = true
			p.departs++
			p.changes = append(p.changes, epoch.Change{Bond: q.Bond, Kind: kind, Class: q.Class, Evidence: q.evidence()})
		case Join:
			p.joins = append(p.joins, q)
			p.changes = append(p.changes, epoch.Change{Bond: q.Bond, Kind: epoch.Joined, Evidence: q.evidence()})
		case Refresh:
			p.renewing = true
		}
		p.batch.proposals = append(p.batch.proposals, q.id)
	}
	slices.SortFunc(p.batch.proposals, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	for i := range r.state.Members {
		if member := r.state.Members[i]; !gone[member.Bond] {
			member.Host = hosts[i]
			p.batch.hosts = append(p.batch.hosts, hosts[i])
			p.members = append(p.members, member)
		}
	}
	for _, q := range p.joins {
		a := q.Application
		p.members = append(p.members, epoch.Member{Host: a.Card.Host, Peer: string(a.Card.NodeID()), Bond: a.Card.Bond, Refund: a.Refund, Value: a.Value})
	}
	p.sort()
	return p
}

func (p *plan) sort() {
	slices.SortFunc(p.members, func(a, b epoch.Member) int { return bytes.Compare(a.Host[:], b.Host[:]) })
}

// inUse says whether a key of card is one of the epoch's: who joins is new in every way.
func (r *era) inUse(card *Card, hosts [][33]byte) bool {
	for i := range r.state.Members {
		o := &r.state.Members[i]
		if o.Bond == card.Bond || o.Peer == string(card.NodeID()) || sameX(o.Host, card.Host) || sameX(hosts[i], card.Host) {
			return true
		}
	}
	return false
}

func clash(a, b *Card) bool {
	return a.Bond == b.Bond || a.Identity == b.Identity || sameX(a.Host, b.Host) || a.Overlay == b.Overlay
}

// ready says whether the epoch is old enough to be followed by another one: then it is
// final too, by Terms.check.
func (m *Machine) ready(r *era) bool {
	born := m.born(r)
	return born != 0 && m.chain.Height >= born+bitcoin.Height(r.terms.MinEpoch)
}

// due says whether the epoch is to be renewed without anybody's wish.
func (m *Machine) due(r *era) bool {
	return m.chain.Height >= m.born(r)+bitcoin.Height(r.terms.Refresh)
}

// chooseBatch is the batch that this member offers, or nil.
func (m *Machine) chooseBatch(r *era) *batch {
	if !m.ready(r) {
		return nil
	}
	p := m.pick(r, m.chain.Height, func(*entry) bool { return true })
	if !m.worthwhile(r, p) {
		return nil
	}
	return p.batch
}

func (m *Machine) worthwhile(r *era, p *plan) bool {
	return len(p.members) > 0 && (len(p.changes) > 0 || p.renewing || m.due(r))
}

// replan is what follows from a batch that somebody else made, or nil if it is not
// one that pick makes from the same proposals.
func (m *Machine) replan(r *era, b *batch) *plan {
	allow := make(map[ID]bool, len(b.proposals))
	for _, id := range b.proposals {
		allow[id] = true
	}
	p := m.pick(r, b.height, func(en *entry) bool { return allow[en.proposal.id] })
	if !slices.Equal(p.batch.proposals, b.proposals) || !slices.Equal(p.batch.exited, b.exited) || !p.take(r, b.hosts) {
		return nil
	}
	return p
}

// settled is what follows from a batch that was decided. It asks nothing that may have
// changed since; nil: a proposal has not been delivered yet.
func (m *Machine) settled(r *era, b *begun) *plan {
	allow := make(map[ID]bool, len(b.batch.proposals))
	for _, id := range b.batch.proposals {
		if en := r.entries[id]; en == nil || en.proposal == nil {
			return nil
		}
		allow[id] = true
	}
	p := r.plan(b.batch.height, b.batch.exited, r.nextHosts(), func(_ *plan, en *entry) bool { return allow[en.proposal.id] })
	if len(b.batch.hosts) != len(p.batch.hosts) {
		return nil
	}
	p.put(r, b.batch.hosts)
	return p
}

// take puts the host keys of a batch into the plan: what a member announced, or what
// it has.
func (p *plan) take(r *era, hosts [][33]byte) bool {
	if len(hosts) != len(p.batch.hosts) {
		return false
	}
	p.put(r, hosts)
	for i := range p.members {
		old := r.member(p.members[i].Bond)
		if host := p.members[i].Host; old >= 0 && host != r.state.Members[old].Host && (r.hosts[old] == nil || host != *r.hosts[old]) {
			return false
		}
		for j := range i {
			if sameX(p.members[i].Host, p.members[j].Host) {
				return false
			}
		}
	}
	return true
}

// put gives those who stay their next host keys, in the order of the old epoch.
func (p *plan) put(r *era, hosts [][33]byte) {
	k := 0
	for i := range r.state.Members {
		bond := r.state.Members[i].Bond
		if at := slices.IndexFunc(p.members, func(o epoch.Member) bool { return o.Bond == bond }); at >= 0 {
			p.members[at].Host = hosts[k]
			k++
		}
	}
	p.batch.hosts = hosts
	p.sort()
}

// validBatch says whether this member agrees that b is to be the next change.
func (m *Machine) validBatch(r *era, b *batch) bool {
	if !m.ready(r) || b.height > m.chain.Height+heightSlack || b.height+heightSlack < m.chain.Height {
		return false
	}
	p := m.replan(r, b)
	if p == nil || !m.worthwhile(r, p) {
		return false
	}
	owed := m.pick(r, b.height, func(en *entry) bool { return en.since != 0 && en.since+patience <= m.chain.Height })
	for _, id := range owed.batch.proposals {
		if slices.Contains(b.proposals, id) {
			continue
		}
		switch q := r.entries[id].proposal; {
		case q.Kind == Join && len(p.joins) >= int(r.terms.Joins):
		case q.Kind != Join && p.departs >= r.terms.departures(r.n(), r.state.Threshold):
		default:
			return false
		}
	}
	return true
}
