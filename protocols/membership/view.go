package membership

import (
	"frostfed/bitcoin"
	"frostfed/protocols"
)

// Stage is how far the next transition is.
type Stage uint8

// The stages, in order. A reorganisation leads back.
const (
	Waiting    Stage = iota // nothing is decided; or no block was seen yet
	Generating              // a batch is decided, its key is being made
	Sealed                  // the transition is decided; members promise and sign
	Signed                  // signed, in no block that this member knows
	Mined                   // in a block, not deep enough to act
)

func (s Stage) String() string {
	return [...]string{"waiting", "generating", "sealed", "signed", "mined"}[s]
}

// View is what an operator wants to see.
type View struct {
	Epoch     uint32 // that acts, or acted last
	Alive     bool   // it does
	Member    bool   // this member belongs to it
	Height    bitcoin.Height
	Since     bitcoin.Height // of its transition
	Stage     Stage
	Confirmed int // confirmations of the transition that follows
	Proposals []ProposalView
	Waiting   int // applications without a deposit that counts
}

// ProposalView is a proposal and who said what to it.
type ProposalView struct {
	Proposal           *Proposal
	By                 protocols.NodeID
	Approved, Rejected []protocols.NodeID
	Enough             bool // approved by t members
	Open               bool // may still be voted on
}

// View shows the acting epoch.
func (m *Machine) View() View {
	r := m.acting
	if r == nil {
		r = m.eras[len(m.eras)-1]
	}
	v := View{Epoch: r.number(), Alive: m.alive, Member: r.self >= 0, Height: m.chain.Height, Since: m.born(r),
		Confirmed: int(m.confirmations(r)), Waiting: len(m.waiting)}
	switch r.phase {
	case generating:
		v.Stage = Generating
	case sealed:
		v.Stage = Sealed
		if s := r.seals[len(r.seals)-1]; len(s.signed) > 0 {
			v.Stage = Signed
		}
	}
	if r.next != nil {
		v.Stage = Mined
	}
	for _, en := range r.sorted() {
		p := ProposalView{Proposal: en.proposal, By: r.ids[en.by], Enough: r.approved(en), Open: m.chain.Height <= en.proposal.Expires}
		for i, id := range r.ids {
			if en.yes[i] {
				p.Approved = append(p.Approved, id)
			}
			if en.no[i] {
				p.Rejected = append(p.Rejected, id)
			}
		}
		v.Proposals = append(v.Proposals, p)
	}
	return v
}
