package bitcoin

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// What can be wrong with a transaction from elsewhere.
var (
	ErrTx      = errors.New("bad transaction")
	ErrNotOurs = errors.New("not an output of our key")
)

// MaxTxSize bounds an unsigned transaction: without witnesses a byte weighs 4.
const MaxTxSize = int(MaxStandardWeight) / 4

// Spend is an unsigned transaction all of whose inputs are ours, with what it
// takes to sign it. Treat it as read-only.
type Spend struct {
	Tx     *wire.MsgTx
	Inputs []Input    // one per Tx.TxIn
	Own    []*Derived // one per Tx.TxOut: the path of an output to ourselves, nil for others
	key    Key
}

// Input is a coin and the output key it is locked to, whose Tweaks the signers use.
type Input struct {
	Coin    Coin
	Derived Derived
}

// NewSpend checks that every input of tx is a coin of key and marks the outputs
// that are ours. coin looks up the member's own view, own the addresses it has
// issued; neither is believed before the script was derived again. Errors are
// ErrTx and ErrNotOurs.
func NewSpend(key Key, tx *wire.MsgTx, coin func(wire.OutPoint) (Coin, bool), own func(script []byte) (Path, bool)) (*Spend, error) {
	if err := checkUnsigned(tx); err != nil {
		return nil, err
	}
	s := &Spend{Tx: tx.Copy(), key: key}
	var coins []Coin
	for i, in := range tx.TxIn {
		c, ok := coin(in.PreviousOutPoint)
		if !ok || c.OutPoint != in.PreviousOutPoint {
			return nil, fmt.Errorf("%w: input %d, %v", ErrNotOurs, i, in.PreviousOutPoint)
		}
		derived, err := key.Derive(c.Path)
		if err != nil {
			return nil, err
		}
		coins = append(coins, c)
		s.Inputs = append(s.Inputs, Input{c, derived})
	}
	if err := checkCoins(coins); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTx, err)
	}
	for i, out := range tx.TxOut {
		s.Own = append(s.Own, nil)
		path, ok := own(out.PkScript)
		if !ok {
			continue
		}
		derived, err := key.Derive(path)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(derived.Script, out.PkScript) {
			return nil, fmt.Errorf("%w: output %d is not %v", ErrNotOurs, i, path)
		}
		s.Own[i] = &derived
	}
	return s, checkValues(tx, s.Prevouts())
}

// Key is the key the inputs belong to.
func (s *Spend) Key() Key { return s.key }

// Bytes is the unsigned transaction as members compare it.
func (s *Spend) Bytes() []byte { return encodeTx(s.Tx) }

// TxID is final before any signature exists: Taproot inputs have no script.
func (s *Spend) TxID() chainhash.Hash { return s.Tx.TxHash() }

// Weight is the exact weight of the signed transaction.
func (s *Spend) Weight() Weight { return SignedWeight(s.Tx) }

// Fee is inputs minus outputs.
func (s *Spend) Fee() Sat {
	var fee Sat
	for _, in := range s.Inputs {
		fee += in.Coin.Amount
	}
	for _, out := range s.Tx.TxOut {
		fee -= Sat(out.Value)
	}
	return fee
}

// Leaving is what the transaction costs the federation: payments to others and
// the fee.
func (s *Spend) Leaving() Sat {
	leaving := s.Fee()
	for i, out := range s.Tx.TxOut {
		if s.Own[i] == nil {
			leaving += Sat(out.Value)
		}
	}
	return leaving
}

// Prevouts are the outputs being spent, one per input.
func (s *Spend) Prevouts() []*wire.TxOut {
	prevouts := make([]*wire.TxOut, len(s.Inputs))
	for i, in := range s.Inputs {
		prevouts[i] = wire.NewTxOut(int64(in.Coin.Amount), in.Derived.Script)
	}
	return prevouts
}

// encodeTx leaves witnesses out: members compare what is to be signed.
func encodeTx(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	b.Grow(tx.SerializeSizeStripped())
	_ = tx.SerializeNoWitness(&b) // a bytes.Buffer does not fail
	return b.Bytes()
}

// DecodeTx reads an unsigned transaction of at most MaxTxSize bytes: no witness,
// no scripts in inputs, nothing after it. Errors are ErrTx.
func DecodeTx(data []byte) (*wire.MsgTx, error) {
	if len(data) > MaxTxSize {
		return nil, fmt.Errorf("%w: %d bytes, nodes relay at most %d", ErrTx, len(data), MaxTxSize)
	}
	tx := new(wire.MsgTx)
	r := bytes.NewReader(data)
	if err := tx.DeserializeNoWitness(r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTx, err)
	}
	if r.Len() != 0 || !bytes.Equal(encodeTx(tx), data) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrTx)
	}
	return tx, checkUnsigned(tx)
}

func checkUnsigned(tx *wire.MsgTx) error {
	if len(tx.TxIn) == 0 || len(tx.TxOut) == 0 {
		return fmt.Errorf("%w: no inputs or no outputs", ErrTx)
	}
	seen := make(map[wire.OutPoint]bool, len(tx.TxIn))
	for i, in := range tx.TxIn {
		if len(in.SignatureScript) != 0 || len(in.Witness) != 0 {
			return fmt.Errorf("%w: input %d is signed already", ErrTx, i)
		}
		if seen[in.PreviousOutPoint] {
			return fmt.Errorf("%w: %w: %v", ErrTx, ErrDuplicateCoin, in.PreviousOutPoint)
		}
		seen[in.PreviousOutPoint] = true
	}
	return nil
}

// checkValues makes sure that the outputs create no money.
func checkValues(tx *wire.MsgTx, prevouts []*wire.TxOut) error {
	total := func(outs []*wire.TxOut) (Sat, error) {
		amounts := make([]Sat, len(outs))
		for i, o := range outs {
			amounts[i] = Sat(o.Value)
		}
		return sum(amounts...)
	}
	in, err1 := total(prevouts)
	out, err2 := total(tx.TxOut)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%w: %w", ErrTx, err)
	}
	if out > in {
		return fmt.Errorf("%w: it spends %v but has only %v", ErrTx, out, in)
	}
	return nil
}

// fetcher gives txscript the spent outputs by outpoint.
func fetcher(tx *wire.MsgTx, prevouts []*wire.TxOut) *txscript.MultiPrevOutFetcher {
	f := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range tx.TxIn {
		f.AddPrevOut(in.PreviousOutPoint, prevouts[i])
	}
	return f
}
