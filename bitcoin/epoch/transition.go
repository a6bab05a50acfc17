package epoch

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// What can be wrong with a proposal besides its descriptor.
var (
	ErrDeposit = errors.New("bad deposit")
	ErrSweep   = errors.New("bad coin to sweep")
	ErrPot     = errors.New("the pot does not pay for the transition")
)

// Transition is the transaction that ends one epoch and begins the next.
type Transition struct {
	// Spend is the unsigned transaction with what signers need for each input; its
	// Key is not set, since most of its inputs are no plain children of one.
	Spend *bitcoin.Spend
	Next  *Epoch
	topUp bitcoin.Sat
}

// Build makes the one transaction that p describes:
//
//	inputs                              outputs
//	thread of the old epoch             thread of the new epoch: the pot
//	bonds still unspent, by member      bonds, by member
//	deposits of who joins, by member    refunds of who left or was removed, by old member
//	swept coins, by outpoint            swept coins together less TopUp, to SweepPath
//
// Inputs are the old key's; the founding has no old epoch (prev is nil) and spends
// deposits under its own key. Bonds, refunds and the swept sum are exact; the fee
// comes out of the pot alone, and penalties and entry fees go there. So variants
// that differ in FeeRate differ in the pot and nothing else. Version 2, sequences
// 0xfffffffd, lock time 0.
//
// Errors are ErrSuccession, ErrDeposit, ErrSweep, ErrPot, bitcoin.ErrFeeRate and
// bitcoin.ErrTooHeavy. What Build does not know: whether the inputs exist and are
// unspent, which each member asks its own node.
func Build(prev *State, p Proposal) (*Transition, error) {
	t, _, err := assemble(prev, p)
	if err != nil {
		return nil, err
	}
	return t.At(p.FeeRate)
}

// At is the variant of t that pays rate: what Build makes from the same proposal with
// that rate, without deriving everything again. Errors are bitcoin.ErrFeeRate and
// ErrPot.
func (t *Transition) At(rate bitcoin.SatPerKWU) (*Transition, error) {
	if limit := t.Next.Terms.MaxFeeRate; rate < bitcoin.MinFeeRate || rate > limit {
		return nil, fmt.Errorf("%w: %v is not within %v and %v", bitcoin.ErrFeeRate, rate, bitcoin.MinFeeRate, limit)
	}
	spend := *t.Spend
	spend.Tx = t.Spend.Tx.Copy()
	spend.Tx.TxOut[0].Value = 0 // then all that is left is pot and fee
	v := &Transition{&spend, t.Next, t.topUp}
	return v, v.setPot(spend.Fee() - rate.Fee(spend.Weight()))
}

// setPot decides the only value that variants of a transition differ in.
func (t *Transition) setPot(pot bitcoin.Sat) error {
	if dust := bitcoin.P2TR.Dust(); pot < dust {
		return fmt.Errorf("%w: %v would be left, need %v", ErrPot, pot, dust)
	}
	t.Spend.Tx.TxOut[0].Value = int64(pot)
	return nil
}

// State is the state that t leads to.
func (t *Transition) State() *State {
	return &State{Epoch: t.Next, TxID: t.Spend.TxID(), Pot: bitcoin.Sat(t.Spend.Tx.TxOut[0].Value)}
}

// Replaces checks that t may take the place of old, which spends the same thread:
// same inputs and outputs but for a smaller pot, and a fee that relay rules accept
// as a replacement (BIP 125 rule 4: higher by 1 sat/vB at least). Errors are
// ErrSuccession and bitcoin.ErrFeeRate.
func (t *Transition) Replaces(old *Transition) error {
	a, b := t.Spend.Tx.Copy(), old.Spend.Tx.Copy()
	extra := bitcoin.Sat(b.TxOut[0].Value - a.TxOut[0].Value)
	a.TxOut[0].Value = b.TxOut[0].Value
	if a.TxHash() != b.TxHash() {
		return follow("more than the pot differs")
	}
	if least := bitcoin.MinFeeRate.Fee(t.Spend.Weight()); extra < least {
		return fmt.Errorf("%w: a replacement pays %v more, not %v", bitcoin.ErrFeeRate, least, extra)
	}
	return nil
}

// assembly is a transition in the making.
type assembly struct {
	spend   *bitcoin.Spend
	in, out bitcoin.Sat
}

func (a *assembly) spends(op wire.OutPoint, amount bitcoin.Sat, d bitcoin.Derived) {
	a.spend.Tx.AddTxIn(&wire.TxIn{PreviousOutPoint: op, Sequence: bitcoin.Sequence})
	a.spend.Inputs = append(a.spend.Inputs, bitcoin.Input{
		Coin: bitcoin.Coin{OutPoint: op, Amount: amount, Path: d.Path}, Derived: d})
	a.in += amount
}

func (a *assembly) pays(amount bitcoin.Sat, script []byte, own *bitcoin.Derived) {
	a.spend.Tx.AddTxOut(wire.NewTxOut(int64(amount), script))
	a.spend.Own = append(a.spend.Own, own)
	a.out += amount
}

// assemble makes the transaction of p without a fee, with a pot of 0, and returns
// what the inputs leave for pot and fee together. It is what builder and verifier
// have in common.
func assemble(prev *State, p Proposal) (*Transition, bitcoin.Sat, error) {
	next := p.Next
	if (prev == nil) != (next.Number == 0) {
		return nil, 0, follow("epoch %d has a predecessor if and only if it is not the founding", next.Number)
	}
	if prev != nil {
		if err := prev.Follow(next); err != nil {
			return nil, 0, err
		}
	}
	a := assembly{spend: &bitcoin.Spend{Tx: wire.NewMsgTx(bitcoin.TxVersion)}}
	if err := a.inputs(prev, p); err != nil {
		return nil, 0, err
	}
	if err := a.outputs(prev, p); err != nil {
		return nil, 0, err
	}
	if w := a.spend.Weight(); w > bitcoin.MaxStandardWeight {
		return nil, 0, fmt.Errorf("%w: %d weight units, nodes relay at most %d", bitcoin.ErrTooHeavy, w, bitcoin.MaxStandardWeight)
	}
	return &Transition{a.spend, next, p.TopUp}, a.in - a.out, nil
}

func (a *assembly) inputs(prev *State, p Proposal) error {
	payer := p.Next
	if prev != nil {
		payer = prev.Epoch
		thread, err := prev.Thread()
		if err != nil {
			return err
		}
		a.spends(prev.ThreadOutPoint(), prev.Pot, thread.Derived)
		for i := range prev.Members {
			if c, changed := p.Next.change(prev.Members[i].Bond); changed && c.Kind == Exited {
				continue
			}
			bond, err := prev.Bond(i)
			if err != nil {
				return err
			}
			a.spends(prev.BondOutPoint(i), prev.Members[i].Value, bond.Derived)
		}
	}
	if err := a.deposits(payer, p); err != nil {
		return err
	}
	if err := a.sweep(payer, p.Sweep); err != nil {
		return err
	}
	// One outpoint twice is no transaction, and two deposits that are one would
	// make a bond of nothing.
	seen := make(map[wire.OutPoint]bool, len(a.spend.Inputs))
	for _, in := range a.spend.Inputs {
		if seen[in.Coin.OutPoint] {
			return fmt.Errorf("%w: %v is spent twice", bitcoin.ErrDuplicateCoin, in.Coin.OutPoint)
		}
		seen[in.Coin.OutPoint] = true
	}
	return nil
}

func (a *assembly) deposits(payer *Epoch, p Proposal) error {
	joiners := p.Next.joiners()
	if len(p.Deposits) != len(joiners) {
		return fmt.Errorf("%w: %d for %d who join", ErrDeposit, len(p.Deposits), len(joiners))
	}
	for _, j := range joiners {
		m := &p.Next.Members[j]
		i := slices.IndexFunc(p.Deposits, func(d Deposit) bool { return d.Bond == m.Bond })
		if i < 0 {
			return fmt.Errorf("%w: none of member %s", ErrDeposit, hashString(m.Bond))
		}
		out, err := payer.Deposit(m.Bond)
		if err != nil {
			return err
		}
		a.spends(p.Deposits[i].OutPoint, m.Value+p.Next.Terms.EntryFee, out.Derived)
	}
	return nil
}

// sweep adds coins by outpoint. Their number is checked before the slow derivations.
func (a *assembly) sweep(payer *Epoch, coins []bitcoin.Coin) error {
	if len(coins) > maxSweep {
		return fmt.Errorf("%w: %d coins to sweep", bitcoin.ErrTooHeavy, len(coins))
	}
	coins = slices.SortedFunc(slices.Values(coins), compareCoins)
	for _, c := range coins {
		if c.Path.Branch != bitcoin.Receive && c.Path.Branch != bitcoin.Change {
			return fmt.Errorf("%w: %v is no coin to pay with", ErrSweep, c.Path)
		}
		if !c.Amount.Valid() {
			return fmt.Errorf("%w: %v has %v", ErrSweep, c.OutPoint, c.Amount)
		}
		d, err := payer.key.Derive(c.Path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSweep, err)
		}
		a.spends(c.OutPoint, c.Amount, d)
	}
	return nil
}

func (a *assembly) outputs(prev *State, p Proposal) error {
	next := p.Next
	thread, err := next.Thread()
	if err != nil {
		return err
	}
	a.pays(0, thread.Script, &thread.Derived)
	for i := range next.Members {
		bond, err := next.Bond(i)
		if err != nil {
			return err
		}
		a.pays(next.Members[i].Value, bond.Script, &bond.Derived)
	}
	if prev != nil {
		a.refunds(prev, next)
	}
	var swept bitcoin.Sat
	for _, c := range p.Sweep {
		if swept += c.Amount; swept > bitcoin.MaxMoney {
			return fmt.Errorf("%w: more than there is", ErrSweep)
		}
	}
	rest := swept - p.TopUp
	if p.TopUp >= 0 && rest == 0 {
		return nil
	}
	if p.TopUp < 0 || rest < bitcoin.P2TR.Dust() {
		return fmt.Errorf("%w: %v less %v for the pot", ErrSweep, swept, p.TopUp)
	}
	d, err := next.key.Derive(SweepPath)
	if err != nil {
		return err
	}
	a.pays(rest, d.Script, &d)
	return nil
}

// refunds pays members that are gone what is theirs. A rest below the dust limit
// stays in the pot, as a penalty does.
func (a *assembly) refunds(prev *State, next *Epoch) {
	for i := range prev.Members {
		m := &prev.Members[i]
		c, changed := next.change(m.Bond)
		if !changed || c.Kind == Exited {
			continue
		}
		amount := m.Value - next.Terms.Penalty(c.Class, m.Value)
		if kind, err := bitcoin.TypeOf(m.Refund); err == nil && amount >= kind.Dust() {
			a.pays(amount, m.Refund, nil)
		}
	}
}
