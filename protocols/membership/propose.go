package membership

import (
	"slices"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

type outPoint = wire.OutPoint

// spare is how many proposals of an epoch stay for the operator.
const spare = 2

// open returns the acting epoch, if this member belongs to it.
func (m *Machine) open() (*era, error) {
	if m.acting == nil || !m.alive || m.acting.self < 0 || m.acting.erased {
		return nil, ErrOutside
	}
	return m.acting, nil
}

// number is the first that no own proposal has, and how many have one.
func (r *era) nextProposal() int {
	for k := range maxProposals {
		if !r.said(topicProposal, k, 0) {
			return k
		}
	}
	return maxProposals
}

func (m *Machine) propose(r *era, p *Proposal, e *effects) {
	p.Expires = m.chain.Height + bitcoin.Height(r.terms.Window)
	m.say(r, topicProposal, r.nextProposal(), 0, p.encode(), e)
}

func (m *Machine) ask(p *Proposal) (effects, error) {
	var e effects
	r, err := m.open()
	if err != nil {
		return e, err
	}
	if r.nextProposal() == maxProposals {
		return e, ErrTooMany
	}
	m.propose(r, p, &e)
	m.react(&e)
	return e, nil
}

// Leave asks to leave with the next transition. The others need no consent of theirs:
// every correct member approves, and none accepts a batch without it for long.
func (m *Machine) Leave(now protocols.Time) (protocols.Effects[Event], error) {
	return m.ask(&Proposal{Kind: Leave})
}

// Renew asks for a new epoch with the same members before its time.
func (m *Machine) Renew(now protocols.Time) (protocols.Effects[Event], error) {
	return m.ask(&Proposal{Kind: Refresh})
}

// Expel asks to remove the member with that bond key. Proof is for Config.Evidence of
// the others; it is empty if and only if class is epoch.Silence.
func (m *Machine) Expel(now protocols.Time, bond [32]byte, class epoch.Class, proof []byte) (protocols.Effects[Event], error) {
	r, err := m.open()
	if err != nil {
		return effects{}, err
	}
	p := &Proposal{Kind: Remove, Bond: bond, Class: class, Evidence: proof}
	if r.member(bond) < 0 {
		return effects{}, ErrUnknown
	}
	if len(proof) > MaxEvidence || class < epoch.Silence || class > epoch.Equivocation || (class == epoch.Silence) != (len(proof) == 0) {
		return effects{}, ErrProposal
	}
	return m.ask(p)
}

// Vote approves or rejects a proposal by hand.
func (m *Machine) Vote(now protocols.Time, id ID, approve bool) (protocols.Effects[Event], error) {
	var e effects
	r, err := m.open()
	if err != nil {
		return e, err
	}
	if en := r.entries[id]; en == nil || en.proposal == nil || m.chain.Height > en.proposal.Expires {
		return e, ErrUnknown
	}
	if m.voted(r, id) {
		return e, ErrVoted
	}
	m.cast(r, id, approve, &e)
	m.react(&e)
	return e, nil
}

// Apply takes the application of a stranger. It is kept, in memory, until its deposit
// is good for a proposal; applicants send it again now and then. Errors are
// ErrApplication, those of cards, ErrOutside, and ErrTooMany.
func (m *Machine) Apply(now protocols.Time, raw []byte) (protocols.Effects[Event], error) {
	var e effects
	r, err := m.open()
	if err != nil {
		return e, err
	}
	a, err := DecodeApplication(r.state.Hash(), raw)
	if err != nil {
		return e, err
	}
	if a.Value < r.terms.MinBond || r.inUse(a.Card, r.nextHosts()) {
		return e, ErrApplication
	}
	if slices.ContainsFunc(m.waiting, func(w waiting) bool { return w.application.Card.Bond == a.Card.Bond }) ||
		r.proposed(a.Card.Bond, m.chain.Height) {
		return e, nil
	}
	if len(m.waiting) == maxWaiting {
		i := slices.IndexFunc(m.waiting, func(w waiting) bool {
			o := m.outs[w.application.Deposit]
			return o == nil || o.Height == 0
		})
		if i < 0 {
			return e, ErrTooMany
		}
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
	m.waiting = append(m.waiting, waiting{a, m.chain.Height})
	m.react(&e)
	return e, nil
}

// proposed says whether somebody speaks for that applicant already, or against that
// member.
func (r *era) proposed(bond [32]byte, height bitcoin.Height) bool {
	for _, en := range r.entries {
		if p := en.proposal; p != nil && p.Bond == bond && height <= p.Expires {
			return true
		}
	}
	return false
}

// turn says whether it is this member's turn to speak for somebody. Turns go round, so
// that one member is enough and a dead one is waited out.
func (m *Machine) turn(r *era, bond [32]byte) bool {
	at := int(bond[0]) + int(m.chain.Height)/int(r.terms.Round)
	return at%r.n() == r.self && r.nextProposal() < maxProposals-spare
}

// sponsor proposes what strangers and rules ask for.
func (m *Machine) sponsor(r *era, e *effects) {
	var keep []waiting
	for _, w := range m.waiting {
		bond := w.application.Card.Bond
		switch {
		case r.proposed(bond, m.chain.Height), m.chain.Height > w.since+bitcoin.Height(r.terms.DepositDelay):
		case m.funded(r, w.application) && m.turn(r, bond):
			m.propose(r, &Proposal{Kind: Join, Application: w.application}, e)
		default:
			keep = append(keep, w)
		}
	}
	m.waiting = keep
	for _, peer := range m.chain.Silent {
		i := slices.Index(r.ids, peer)
		if i < 0 || i == r.self {
			continue
		}
		if bond := r.state.Members[i].Bond; m.turn(r, bond) && !r.proposed(bond, m.chain.Height) && !r.asked(bond, m.chain.Height) {
			m.propose(r, &Proposal{Kind: Remove, Bond: bond, Class: epoch.Silence}, e)
		}
	}
}

// asked says whether an own proposal about that member is on its way.
func (r *era) asked(bond [32]byte, height bitcoin.Height) bool {
	for k := range maxProposals {
		raw, ok := r.own[r.topic(topicProposal, k, 0)]
		if !ok {
			return false
		}
		p, err := decodeProposal(r.state.Hash(), r.state.Members[r.self].Bond, raw)
		if err == nil && p.Bond == bond && height <= p.Expires {
			return true
		}
	}
	return false
}
