package membership

import (
	"bytes"
	"errors"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

const (
	// maxSwept bounds how many coins a transition takes along, so that a seal fits
	// maxValue whatever the number of members.
	maxSwept = 256
	// maxVariants is more doublings than lie between the lowest and the highest rate.
	maxVariants = 16
	// rateFactor is how far a leader's fee rate may be from a member's own estimate.
	rateFactor = 4
)

// seal is a transition that was decided. There may be several for one thread, but all
// but the last one were abandoned.
type seal struct {
	slot      int
	proposal  *epoch.Proposal
	abandoned bool

	promised bitcoin.Height      // when this member promised; 0: it has not
	signed   map[int]*wire.MsgTx // by variant

	variants []*epoch.Transition // volatile: from the lowest fee to the highest
	built    chainhash.Hash      // volatile: transaction of the state they continue
	asked    int                 // volatile: how many variants' signing was asked for
	missing  bitcoin.Height      // volatile: since when an input is not there
}

// keyFact is what key generation said.
type keyFact struct {
	key          [33]byte
	participants []protocols.NodeID // nil: it failed
	culprits     []protocols.NodeID
}

// descriptor is that of the next epoch, of those members of the plan that have a
// share. Only applicants may be missing: the bond of a member cannot be passed over.
func (p *plan) descriptor(r *era, key [33]byte, has func(epoch.Member) bool) (*epoch.Descriptor, []*Proposal, bool) {
	threshold := r.terms.Threshold(len(p.members))
	var members []epoch.Member
	changes := slices.Clone(p.changes)
	var joins []*Proposal
	for _, member := range p.members {
		join := slices.IndexFunc(p.joins, func(q *Proposal) bool { return q.Bond == member.Bond })
		switch in := has(member); {
		case in:
			members = append(members, member)
			if join >= 0 {
				joins = append(joins, p.joins[join])
			}
		case join < 0:
			return nil, nil, false
		default:
			changes = slices.DeleteFunc(changes, func(c epoch.Change) bool { return c.Bond == member.Bond })
		}
	}
	if len(members) < threshold {
		return nil, nil, false
	}
	d := r.state.Successor(key, threshold, members, changes)
	return &d, joins, true
}

// chooseSeal is the transition that this member offers, or nil.
func (m *Machine) chooseSeal(r *era) *epoch.Proposal {
	fact := m.fact(r)
	p := m.settled(r, r.begun)
	if fact == nil || fact.participants == nil || p == nil {
		return nil
	}
	d, joins, ok := p.descriptor(r, fact.key, func(o epoch.Member) bool {
		return slices.Contains(fact.participants, protocols.NodeID(o.Peer))
	})
	if !ok {
		return nil
	}
	next, err := epoch.New(*d)
	if err != nil {
		return nil
	}
	prop := &epoch.Proposal{Next: next, FeeRate: m.rate(r)}
	for _, q := range joins {
		prop.Deposits = append(prop.Deposits, epoch.Deposit{Bond: q.Bond, OutPoint: q.Application.Deposit})
	}
	if !m.present(r, prop) {
		return nil
	}
	prop.Sweep = m.chain.Coins[:min(len(m.chain.Coins), maxSwept)]
	if prop.TopUp, err = topUp(r, *prop); err != nil {
		return nil
	}
	return prop
}

// rate is the fee rate of a first variant.
func (m *Machine) rate(r *era) bitcoin.SatPerKWU {
	return min(max(m.chain.FeeRate, bitcoin.MinFeeRate), r.terms.MaxFeeRate)
}

// topUp is what swept coins give to the pot: up to the target, and all of it if what
// would be left is dust.
func topUp(r *era, p epoch.Proposal) (bitcoin.Sat, error) {
	var swept bitcoin.Sat
	for _, c := range p.Sweep {
		swept += c.Amount
	}
	p.TopUp = 0
	if swept == 0 {
		return 0, nil
	}
	var pot bitcoin.Sat
	t, err := epoch.Build(r.state, p)
	if err == nil {
		pot = bitcoin.Sat(t.Spend.Tx.TxOut[0].Value)
	} else if !errors.Is(err, epoch.ErrPot) {
		return 0, err
	}
	want := min(max(r.terms.PotTarget-pot, 0), swept)
	if swept-want < bitcoin.P2TR.Dust() {
		want = swept
	}
	return want, nil
}

// validSeal says whether this member agrees to the transition. It rebuilds what it can:
// all but the key and the choice of coins and fee, which it compares with its own. A
// member that leaves takes no part in the next key and cannot know it. It goes by
// others: f+1 votes hold that of an honest one that knows.
func (m *Machine) validSeal(r *era, prop *epoch.Proposal, votes int) bool {
	p := m.settled(r, r.begun)
	if p == nil || !m.present(r, prop) || len(prop.Sweep) > maxSwept {
		return false
	}
	var d *epoch.Descriptor
	var joins []*Proposal
	var ok bool
	if slices.ContainsFunc(p.members, func(o epoch.Member) bool { return o.Peer == string(m.cfg.Self) }) {
		fact := m.fact(r)
		if fact == nil || fact.participants == nil {
			return false
		}
		d, joins, ok = p.descriptor(r, fact.key, func(o epoch.Member) bool {
			return slices.Contains(fact.participants, protocols.NodeID(o.Peer))
		})
	} else if votes >= protocols.ReadyAmplification(r.n()) {
		d, joins, ok = p.descriptor(r, prop.Next.Key, func(o epoch.Member) bool { return prop.Next.Member(o.Bond) >= 0 })
	}
	if !ok || !bytes.Equal(d.Bytes(), prop.Next.Descriptor.Bytes()) || len(joins) != len(prop.Deposits) {
		return false
	}
	for _, q := range joins {
		if !slices.Contains(prop.Deposits, epoch.Deposit{Bond: q.Bond, OutPoint: q.Application.Deposit}) {
			return false
		}
	}
	for _, c := range prop.Sweep {
		if !slices.ContainsFunc(m.chain.Coins, func(o bitcoin.Coin) bool {
			return o.OutPoint == c.OutPoint && o.Amount == c.Amount && o.Path == c.Path
		}) {
			return false
		}
	}
	if own := m.rate(r); m.chain.FeeRate != 0 && (prop.FeeRate > own*rateFactor || prop.FeeRate*rateFactor < own) {
		return false
	}
	if want, err := topUp(r, *prop); err != nil || want != prop.TopUp {
		return false
	}
	_, err := epoch.Build(r.state, *prop)
	return err == nil
}

// present says whether all that the transition spends is there and unspent. Each
// deposit counts only when it is deep: an applicant could take back a younger one.
func (m *Machine) present(r *era, prop *epoch.Proposal) bool {
	for _, op := range locked(r, prop) {
		if o := m.outs[op]; o == nil || o.Height == 0 || o.SpentAt != 0 {
			return false
		}
	}
	for _, d := range prop.Deposits {
		if m.chain.Height+1 < m.outs[d.OutPoint].Height+bitcoin.Height(r.terms.Depth) {
			return false
		}
	}
	return true
}

// locked are the outpoints of thread, bonds and deposits that a transition spends.
func locked(r *era, prop *epoch.Proposal) []wire.OutPoint {
	out := []wire.OutPoint{r.state.ThreadOutPoint()}
	for i := range r.state.Members {
		if !slices.ContainsFunc(prop.Next.Changes, func(c epoch.Change) bool {
			return c.Kind == epoch.Exited && c.Bond == r.state.Members[i].Bond
		}) {
			out = append(out, r.state.BondOutPoint(i))
		}
	}
	for _, d := range prop.Deposits {
		out = append(out, d.OutPoint)
	}
	return out
}

// inputs are all outpoints that a transition spends.
func inputs(r *era, prop *epoch.Proposal) []wire.OutPoint {
	out := locked(r, prop)
	for _, c := range prop.Sweep {
		out = append(out, c.OutPoint)
	}
	return out
}

// build makes all variants of a seal: each with twice the fee rate of the one before,
// up to what terms and pot allow. They differ in the pot and nothing else, so whichever
// is mined begins the same epoch, and it takes no agreement which to sign.
func (s *seal) build(r *era) []*epoch.Transition {
	if s.variants != nil && s.built == r.state.TxID {
		return s.variants
	}
	s.variants, s.built = nil, r.state.TxID
	t, err := epoch.Build(r.state, *s.proposal)
	for rate := s.proposal.FeeRate; err == nil && len(s.variants) < maxVariants; {
		s.variants = append(s.variants, t)
		rate *= 2
		t, err = t.At(rate)
	}
	return s.variants
}

// dead says whether a sealed transition can never confirm, as far as one can say so:
// an input was spent elsewhere, or has been missing, for as long as it takes to be final.
func (m *Machine) dead(r *era, s *seal) bool {
	missing := false
	for _, op := range inputs(r, s.proposal) {
		o := m.outs[op]
		if o != nil && o.SpentAt != 0 && !s.made(r, o.SpentBy) && m.chain.Height-o.SpentAt+1 >= bitcoin.Height(r.terms.Final) {
			return true
		}
		missing = missing || o == nil || o.Height == 0
	}
	switch {
	case !missing:
		s.missing = 0
	case s.missing == 0 || s.missing > m.chain.Height:
		s.missing = m.chain.Height
	}
	return missing && m.chain.Height-s.missing+1 >= bitcoin.Height(r.terms.Final)
}

func (s *seal) made(r *era, txid chainhash.Hash) bool {
	return slices.ContainsFunc(s.build(r), func(t *epoch.Transition) bool { return t.Spend.TxID() == txid })
}
