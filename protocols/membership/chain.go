package membership

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// Chain is the best chain as this member sees it: a snapshot, not a difference. What
// the machine thinks of confirmations is a function of the last one, so that it needs
// no rules for reorganisations, however deep.
type Chain struct {
	Height  bitcoin.Height
	Outputs []Output // of what Watch asked for; an outpoint that is not in it does not exist

	Coins   []bitcoin.Coin     // that the key of the acting epoch could sweep, in the order to take them
	FeeRate bitcoin.SatPerKWU  // estimate; 0: none
	Silent  []protocols.NodeID // members without a sign of life for Terms.Silent blocks
}

// Output is an output in the best chain.
type Output struct {
	OutPoint wire.OutPoint
	Value    bitcoin.Sat
	Script   []byte
	Height   bitcoin.Height // of the block that made it; 0: it is not there
	SpentAt  bitcoin.Height // of the block that spent it; 0: unspent
	SpentBy  chainhash.Hash
}

// watching are the outpoints that matter, sorted.
func (m *Machine) watching() []wire.OutPoint {
	set := make(map[wire.OutPoint]bool)
	for _, r := range m.eras {
		set[r.state.ThreadOutPoint()] = true
		for i := range r.state.Members {
			set[r.state.BondOutPoint(i)] = true
		}
		for _, en := range r.entries {
			if en.proposal != nil && en.proposal.Kind == Join {
				set[en.proposal.Application.Deposit] = true
			}
		}
		for _, s := range r.seals {
			for _, op := range inputs(r, s.proposal) {
				set[op] = true
			}
		}
	}
	for _, w := range m.waiting {
		set[w.application.Deposit] = true
	}
	out := make([]wire.OutPoint, 0, len(set))
	for op := range set {
		out = append(out, op)
	}
	slices.SortFunc(out, func(a, b wire.OutPoint) int {
		return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
	})
	return out
}

// born is the height of the transition that began r, 0 if it is in no block.
func (m *Machine) born(r *era) bitcoin.Height {
	if o := m.outs[r.state.ThreadOutPoint()]; o != nil {
		return o.Height
	}
	return 0
}

// confirmations of the transition that ends r.
func (m *Machine) confirmations(r *era) bitcoin.Height {
	if r.next == nil {
		return 0
	}
	return m.chain.Height - r.mined + 1
}

// final says whether what ended r is for good.
func (m *Machine) final(r *era) bool {
	return m.confirmations(r) >= bitcoin.Height(r.terms.Final)
}

// exited says whether member i took its bond by script.
func (m *Machine) exited(r *era, i int) bool {
	o := m.outs[r.state.BondOutPoint(i)]
	return o != nil && o.SpentAt != 0 && !r.made(o.SpentBy) && m.chain.Height-o.SpentAt+1 >= bitcoin.Height(r.terms.Depth)
}

func (r *era) made(txid chainhash.Hash) bool {
	return slices.ContainsFunc(r.seals, func(s *seal) bool { return s.made(r, txid) })
}

// funded says whether the deposit of an application is there: the right script and
// value, unspent, deep enough and young enough.
func (m *Machine) funded(r *era, a *Application) bool {
	o := m.outs[a.Deposit]
	if o == nil || o.Height == 0 || o.SpentAt != 0 || a.Value < r.terms.MinBond || o.Value != a.Value+r.terms.EntryFee ||
		!r.terms.Ripe(o.Height, m.chain.Height) {
		return false
	}
	d, err := r.state.Deposit(a.Card.Bond)
	return err == nil && bytes.Equal(o.Script, d.Script)
}

// walk follows the thread from the oldest epoch to the one that acts.
func (m *Machine) walk(e *effects) *era {
	i := 0
	for ; ; i++ {
		r := m.eras[i]
		m.follow(r, e)
		if r.next == nil || m.confirmations(r) < bitcoin.Height(r.terms.Depth) {
			break
		}
		state := r.variant.State()
		if i+1 == len(m.eras) {
			m.add(newEra(state, m.cfg.Charter, m.cfg.Self), e)
		} else if next := m.eras[i+1]; next.state.TxID != state.TxID {
			// Another variant is in the chain now: the same epoch, other outpoints.
			next.state = state
			e.Persist = append(e.Persist, stateRecord(state))
		}
	}
	m.tell(m.eras[i], e)
	for _, r := range m.eras[:i] {
		if m.final(r) && !r.erased && !r.told {
			r.told = true
			e.Out = append(e.Out, EraseShares{Epoch: r.number()})
		}
	}
	return m.eras[i]
}

// follow finds the transaction that spends the thread of r.
func (m *Machine) follow(r *era, e *effects) {
	r.next, r.variant = nil, nil
	o := m.outs[r.state.ThreadOutPoint()]
	if o == nil || o.SpentAt == 0 {
		return
	}
	for _, s := range r.seals {
		for _, t := range s.build(r) {
			if t.Spend.TxID() == o.SpentBy {
				r.next, r.variant, r.mined = s, t, o.SpentAt
				return
			}
		}
	}
	// Not at once: the decision may still be on its way here.
	if !r.lost && m.chain.Height-o.SpentAt+1 >= bitcoin.Height(r.terms.Depth) {
		r.lost = true
		e.Out = append(e.Out, Unknown{Epoch: r.number(), TxID: o.SpentBy})
	}
}

// tell says who acts, if that changed.
func (m *Machine) tell(r *era, e *effects) {
	// The oldest epoch known here may have lost its own transition, or its shares: then
	// a reorganisation reached behind what was final.
	born := m.born(r)
	alive := born != 0 && m.chain.Height-born+1 >= bitcoin.Height(r.terms.Depth) && !r.erased
	if m.acting == r && m.alive == alive {
		return
	}
	if m.acting != nil && m.alive && (m.acting.number() > r.number() || m.acting == r) {
		e.Out = append(e.Out, EpochUndone{Epoch: m.acting.number()})
	}
	m.acting, m.alive = r, alive
	if alive {
		e.Out = append(e.Out, EpochActive{State: r.state, Height: born, Member: r.self >= 0})
	}
}

// transitions asks for signatures and hands over transactions.
func (m *Machine) transitions(e *effects) {
	for _, r := range m.eras {
		for _, s := range r.seals {
			if r.next != nil {
				continue
			}
			if r == m.acting && !r.erased && !s.abandoned {
				m.sign(r, s, e)
			}
			for v := maxVariants - 1; v >= 0; v-- {
				if tx := s.signed[v]; tx != nil && m.fresh {
					e.Out = append(e.Out, SendTx{Tx: tx})
					break
				}
			}
		}
	}
}

// sign asks for signatures of the variants that are due, once t members have promised
// to sign for this descriptor and no other.
func (m *Machine) sign(r *era, s *seal, e *effects) {
	if r.self < 0 || s.promised == 0 || !m.present(r, s.proposal) {
		return
	}
	hash := s.proposal.Next.Hash()
	if count(r.promises[s.slot], hash) < r.state.Threshold {
		return
	}
	for s.asked < len(s.build(r)) && m.chain.Height >= s.promised+bitcoin.Height(s.asked)*bitcoin.Height(r.terms.Bump) {
		if s.signed[s.asked] == nil {
			e.Out = append(e.Out, SignTransition{Epoch: r.number(), Slot: s.slot, Variant: s.asked, Transition: s.variants[s.asked]})
		}
		s.asked++
	}
}

// promise binds this member to the descriptor of the last seal. It is durable before
// anything is signed, and said under a topic that can be used once: two promises are
// equivocation. A second descriptor for a thread needs the decision that the first one
// is dead, and that this member sees it dead too.
func (m *Machine) promise(r *era, e *effects) {
	if r.phase != sealed {
		return
	}
	s := r.seals[len(r.seals)-1]
	if s.promised != 0 || len(s.build(r)) == 0 {
		return
	}
	for _, older := range r.seals[:len(r.seals)-1] {
		if older.promised != 0 && !m.dead(r, older) {
			return
		}
	}
	s.promised, s.signed = m.chain.Height, make(map[int]*wire.MsgTx)
	e.Persist = append(e.Persist, promiseRecord(r, s))
	hash := s.proposal.Next.Hash()
	m.say(r, topicPromise, s.slot, 0, hash[:], e)
}

// Moved takes another variant of the transition that began the oldest epoch known here,
// with the same descriptor: a reorganisation may put it in the place of the one that
// this machine began with, when it knew neither.
func (m *Machine) Moved(now protocols.Time, state *epoch.State) (protocols.Effects[Event], error) {
	var e effects
	r := m.eras[0]
	if r.state.Hash() != state.Hash() || r.state.TxID == state.TxID {
		return e, ErrEpoch
	}
	r.state = state
	e.Persist = append(e.Persist, stateRecord(state))
	m.react(&e)
	return e, nil
}

// Signed takes the signatures of all inputs of a variant.
func (m *Machine) Signed(now protocols.Time, number uint32, slot, variant int, signatures [][64]byte) (protocols.Effects[Event], error) {
	var e effects
	r := m.era(number)
	if r == nil {
		return e, ErrEpoch
	}
	i := slices.IndexFunc(r.seals, func(s *seal) bool { return s.slot == slot })
	if i < 0 || r.seals[i].promised == 0 || variant < 0 || variant >= len(r.seals[i].build(r)) {
		return e, ErrEpoch
	}
	s := r.seals[i]
	tx, err := s.variants[variant].Spend.Finish(signatures)
	if err != nil {
		return e, err
	}
	if s.signed[variant] == nil {
		s.signed[variant] = tx
		e.Persist = append(e.Persist, signedRecord(r, s, variant))
		e.Out = append(e.Out, SendTx{Tx: tx})
	}
	return e, nil
}

// Erased takes note that shares and host keys of an epoch are gone. What its members
// said is forgotten; its signed transition is kept until the next one is final, for a
// chain that goes back further than that.
func (m *Machine) Erased(now protocols.Time, number uint32) protocols.Effects[Event] {
	var e effects
	r := m.era(number)
	if r == nil || r.erased {
		return e
	}
	r.erased = true
	e.Persist = append(e.Persist, protocols.Record{Key: erasedKey(number), Value: []byte{recordVersion}})
	e.Persist = append(e.Persist, r.forget()...)
	for len(m.eras) > 1 && m.eras[0].number() < number {
		e.Persist = append(e.Persist, m.eras[0].remove()...)
		m.eras = m.eras[1:]
	}
	return e
}
