package bitcoin

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
)

// The form of every transaction the federation makes. Sequence 0xfffffffd signals
// replaceability (BIP 125) and enables the lock time.
const (
	TxVersion int32  = 2
	Sequence  uint32 = wire.MaxTxInSequenceNum - 2
)

// What can be wrong with a plan besides its payees.
var (
	ErrFeeRate       = errors.New("bad fee rate")
	ErrLockTime      = errors.New("bad lock time")
	ErrNoCoins       = errors.New("no coins")
	ErrDuplicateCoin = errors.New("coin named twice")
	ErrTooHeavy      = errors.New("transaction too heavy")
	ErrPaysItself    = errors.New("payee is our own change address")
)

// InsufficientError says by how much coins fall short of payouts and fee.
type InsufficientError struct {
	Have Sat // all coins together
	Need Sat // payouts and the fee of a transaction spending these coins
}

func (e *InsufficientError) Error() string {
	return fmt.Sprintf("insufficient funds: have %v, need %v", e.Have, e.Need)
}

// Coin is an unspent output of a Key. Its script is not stated but derived.
type Coin struct {
	OutPoint wire.OutPoint
	Amount   Sat
	Path     Path
	Height   Height // of the block that confirmed it
}

// Payout is everything a payout transaction is made from.
type Payout struct {
	Key      Key
	List     PayoutList
	Coins    []Coin // all of them are spent; order does not matter
	FeeRate  SatPerKWU
	Change   uint32 // index of the change address on branch /1
	LockTime Height // no earlier than the block after this one; against fee sniping
}

// BuildPayout makes the one transaction that p describes:
//
//   - version 2, sequences 0xfffffffd, the lock time given;
//   - every coin is an input, inputs and outputs in the order of BIP 69;
//   - one output per payee, and one of change to /1/Change;
//   - the fee is FeeRate times the exact signed size. Change that would be dust
//     is left out and goes to the fee.
//
// Errors are *InsufficientError, ErrFeeRate, ErrLockTime, ErrNoCoins,
// ErrDuplicateCoin, ErrTooHeavy, ErrPaysItself, ErrNetwork, ErrAmount, ErrPath,
// ErrIndex and those of a bad list.
func BuildPayout(p Payout) (*Spend, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	change, err := p.Key.Derive(Path{Change, p.Change})
	if err != nil {
		return nil, err
	}
	outputs := make([]output, 0, len(p.List.Payees)+1)
	for _, payee := range p.List.Payees {
		if bytes.Equal(payee.Script, change.Script) {
			return nil, ErrPaysItself
		}
		outputs = append(outputs, output{amount: payee.Amount, script: payee.Script})
	}
	amounts := make([]Sat, len(p.Coins))
	for i, c := range p.Coins {
		amounts[i] = c.Amount
	}
	have, err := sum(amounts...)
	if err != nil {
		return nil, err
	}
	bare := p.FeeRate.Fee(weigh(len(p.Coins), outputs))
	if need := p.List.Total() + bare; have < need {
		return nil, &InsufficientError{have, need}
	}
	with := append(outputs, output{script: change.Script, own: &change})
	rest := have - p.List.Total() - p.FeeRate.Fee(weigh(len(p.Coins), with))
	if rest >= P2TR.Dust() {
		with[len(with)-1].amount = rest
		outputs = with
	}
	if w := weigh(len(p.Coins), outputs); w > MaxStandardWeight {
		return nil, fmt.Errorf("%w: %d weight units, nodes relay at most %d", ErrTooHeavy, w, MaxStandardWeight)
	}
	return p.assemble(outputs)
}

// output is a planned output; own is set for change.
type output struct {
	amount Sat
	script []byte
	own    *Derived
}

func weigh(inputs int, outputs []output) Weight {
	var w Weight
	for _, o := range outputs {
		w += outputWeight(o.script)
	}
	return txWeight(inputs, len(outputs), w)
}

func (p Payout) check() error {
	if p.FeeRate < MinFeeRate || p.FeeRate > MaxFeeRate {
		return fmt.Errorf("%w: %v is not within %v and %v", ErrFeeRate, p.FeeRate, MinFeeRate, MaxFeeRate)
	}
	if p.LockTime > MaxLockHeight {
		return fmt.Errorf("%w: %d is not a height", ErrLockTime, p.LockTime)
	}
	if p.List.Network != p.Key.network {
		return fmt.Errorf("%w: list for %v, key on %v", ErrNetwork, p.List.Network, p.Key.network)
	}
	if err := p.List.check(); err != nil {
		return err
	}
	// Checked before derivation, which is by far the slowest part.
	if w := txWeight(len(p.Coins), 0, 0); w > MaxStandardWeight {
		return fmt.Errorf("%w: %d coins", ErrTooHeavy, len(p.Coins))
	}
	return checkCoins(p.Coins)
}

func checkCoins(coins []Coin) error {
	if len(coins) == 0 {
		return ErrNoCoins
	}
	seen := make(map[wire.OutPoint]bool, len(coins))
	for _, c := range coins {
		if seen[c.OutPoint] {
			return fmt.Errorf("%w: %v", ErrDuplicateCoin, c.OutPoint)
		}
		seen[c.OutPoint] = true
		if !c.Amount.Valid() {
			return fmt.Errorf("%w: coin %v has %v", ErrAmount, c.OutPoint, c.Amount)
		}
	}
	return nil
}

// assemble sorts inputs and outputs and makes the transaction of them.
func (p Payout) assemble(outputs []output) (*Spend, error) {
	slices.SortFunc(outputs, func(a, b output) int { return compareOutputs(a.amount, a.script, b.amount, b.script) })
	coins := slices.SortedFunc(slices.Values(p.Coins), func(a, b Coin) int { return compareOutPoints(a.OutPoint, b.OutPoint) })
	s := &Spend{Tx: wire.NewMsgTx(TxVersion)}
	s.Tx.LockTime = uint32(p.LockTime)
	for _, c := range coins {
		derived, err := p.Key.Derive(c.Path)
		if err != nil {
			return nil, err
		}
		s.Inputs = append(s.Inputs, Input{c, derived})
		s.Tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.OutPoint, Sequence: Sequence})
	}
	for _, o := range outputs {
		s.Tx.AddTxOut(wire.NewTxOut(int64(o.amount), o.script))
		s.Own = append(s.Own, o.own)
	}
	s.key = p.Key
	return s, nil
}

// compareOutPoints is the input order of BIP 69: by transaction id as printed,
// which is the reverse of its bytes, then output number.
func compareOutPoints(a, b wire.OutPoint) int {
	for i := len(a.Hash) - 1; i >= 0; i-- {
		if c := cmp.Compare(a.Hash[i], b.Hash[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Index, b.Index)
}

// SelectCoins picks coins for a payout: the largest first, until they pay for
// list and fee. That gives the fewest inputs, and each input costs one threshold
// signature. Among equals the oldest goes first, then BIP 69 order, so that the
// choice does not depend on the order of available.
//
// It returns *InsufficientError if all of them do not suffice; coins worth less
// than the fee of spending them do not count.
func SelectCoins(available []Coin, list PayoutList, rate SatPerKWU) ([]Coin, error) {
	if rate < MinFeeRate || rate > MaxFeeRate {
		return nil, fmt.Errorf("%w: %v is not within %v and %v", ErrFeeRate, rate, MinFeeRate, MaxFeeRate)
	}
	if err := checkCoins(available); err != nil && !errors.Is(err, ErrNoCoins) {
		return nil, err
	}
	coins := slices.SortedFunc(slices.Values(available), func(a, b Coin) int {
		return cmp.Or(cmp.Compare(b.Amount, a.Amount), cmp.Compare(a.Height, b.Height), compareOutPoints(a.OutPoint, b.OutPoint))
	})
	outputs := make([]output, len(list.Payees))
	for i, payee := range list.Payees {
		outputs[i] = output{amount: payee.Amount, script: payee.Script}
	}
	total := list.Total()
	var have, need Sat
	for i, c := range coins {
		if c.Amount <= rate.Fee(inputWeight) {
			break
		}
		w := weigh(i+1, outputs)
		if w > MaxStandardWeight {
			return nil, fmt.Errorf("%w: it takes more than %d coins", ErrTooHeavy, i)
		}
		have += c.Amount
		if need = total + rate.Fee(w); have >= need {
			return coins[:i+1], nil
		}
	}
	return nil, &InsufficientError{have, max(need, total+rate.Fee(weigh(1, outputs)))}
}
