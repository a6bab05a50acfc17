package membership

import (
	"slices"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// work says whether this member waits for a decision.
func (m *Machine) work(r *era) bool {
	switch r.phase {
	case collecting:
		return m.chooseBatch(r) != nil
	case generating:
		return m.fact(r) != nil || m.late(r)
	default:
		return m.dead(r, r.seals[len(r.seals)-1])
	}
}

// choose is the value that this member offers, or nil.
func (m *Machine) choose(r *era) *value {
	switch r.phase {
	case collecting:
		if b := m.chooseBatch(r); b != nil {
			return &value{kind: valueBatch, batch: b}
		}
	case generating:
		if prop := m.chooseSeal(r); prop != nil {
			return &value{kind: valueSeal, seal: prop}
		}
		if m.failed(r) || m.late(r) {
			return &value{kind: valueDrop, blamed: m.blame(r)}
		}
	default:
		if m.dead(r, r.seals[len(r.seals)-1]) {
			return &value{kind: valueAbandon}
		}
	}
	return nil
}

// valid says whether this member agrees to a value, for which so many have voted.
func (m *Machine) valid(r *era, v *value, votes int) bool {
	switch {
	case r.phase == collecting && v.kind == valueBatch:
		return m.validBatch(r, v.batch)
	case r.phase == generating && v.kind == valueSeal:
		return m.validSeal(r, v.seal, votes)
	case r.phase == generating && v.kind == valueDrop:
		return m.validDrop(r, v.blamed, votes)
	case r.phase == sealed && v.kind == valueAbandon:
		return m.dead(r, r.seals[len(r.seals)-1])
	}
	return false
}

// late says whether a key generation took too long. A seal that cannot be made, since
// a deposit vanished or a member left by script meanwhile, ends here too.
func (m *Machine) late(r *era) bool {
	return m.chain.Height >= r.begun.since+bitcoin.Height(r.terms.Keygen)
}

// failed: without a key, or with one that lacks a member.
func (m *Machine) failed(r *era) bool {
	fact := m.fact(r)
	return fact != nil && (fact.participants == nil || len(m.blame(r)) > 0)
}

// blame lists who stopped the key generation, by bond key: convicted, or members that
// the others went on without. An applicant whom they went on without stopped nothing.
func (m *Machine) blame(r *era) [][32]byte {
	fact, p := m.fact(r), m.settled(r, r.begun)
	if fact == nil || p == nil {
		return nil
	}
	var out [][32]byte
	for _, o := range p.members {
		applicant := slices.ContainsFunc(p.joins, func(q *Proposal) bool { return q.Bond == o.Bond })
		guilty := slices.Contains(fact.culprits, protocols.NodeID(o.Peer))
		if guilty || fact.participants != nil && !applicant && !slices.Contains(fact.participants, protocols.NodeID(o.Peer)) {
			out = append(out, o.Bond)
		}
	}
	sortKeys(out)
	return out
}

// validDrop wants nobody blamed whom this member does not blame too. Who takes no part
// in the key generation goes by others, as with a seal.
func (m *Machine) validDrop(r *era, blamed [][32]byte, votes int) bool {
	if p := m.settled(r, r.begun); p == nil || !slices.ContainsFunc(p.members, func(o epoch.Member) bool { return o.Peer == string(m.cfg.Self) }) {
		return p != nil && (votes >= protocols.ReadyAmplification(r.n()) || len(blamed) == 0 && m.late(r))
	}
	if !m.failed(r) && !m.late(r) {
		return false
	}
	own := m.blame(r)
	for _, bond := range blamed {
		if !slices.Contains(own, bond) {
			return false
		}
	}
	return true
}

// vote says what this member thinks of proposals, as far as it can without asking.
func (m *Machine) vote(r *era, e *effects) {
	for _, en := range r.sorted() {
		if r.approved(en) && en.since == 0 {
			en.since = m.chain.Height
		}
		if m.chain.Height > en.proposal.Expires || m.voted(r, en.proposal.id) {
			continue
		}
		if v := m.verdict(r, en); v != Ask {
			m.cast(r, en.proposal.id, v == Approve, e)
		}
	}
}

func (m *Machine) voted(r *era, id ID) bool {
	_, ok := r.own[topic{epoch: r.number(), kind: topicVote, id: id}.String()]
	return ok
}

func (m *Machine) cast(r *era, id ID, yes bool, e *effects) {
	payload := []byte{0}
	if yes {
		payload[0] = 1
	}
	m.sayUnder(r, topic{epoch: r.number(), kind: topicVote, id: id}.String(), payload, e)
}

func (m *Machine) verdict(r *era, en *entry) Verdict {
	q := en.proposal
	switch q.Kind {
	case Leave:
		return Approve
	case Remove:
		i := r.member(q.Bond)
		if i < 0 {
			return Reject
		}
		if q.Class == epoch.Silence {
			if slices.Contains(m.chain.Silent, r.ids[i]) {
				return Approve
			}
			return Ask
		}
		if !en.checked && m.cfg.Evidence != nil {
			culprit, class, err := m.cfg.Evidence(q.Evidence)
			en.checked, en.proved = true, err == nil && culprit == r.ids[i] && class == q.Class
		}
		if en.proved {
			return Approve
		}
		return Ask
	case Join:
		if !m.funded(r, q.Application) || r.inUse(q.Application.Card, r.nextHosts()) {
			return Ask
		}
	}
	if m.cfg.Policy == nil {
		return Ask
	}
	return m.cfg.Policy(q)
}
