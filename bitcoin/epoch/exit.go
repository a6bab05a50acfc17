package epoch

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// ErrExit means an output that cannot be taken as asked.
var ErrExit = errors.New("no exit")

// Exit is a transaction in which the owner of an output takes it by script, alone,
// when it is Delay blocks old: a member its bond, an applicant its deposit, the
// recovery key the pot.
type Exit struct {
	Tx      *wire.MsgTx // unsigned
	output  Output
	prevout wire.TxOut
}

// NewExit spends the unspent output out, of that outpoint and value, to one
// scriptPubKey at a fee rate. All it needs is the descriptor, from which out comes,
// and where the output is on chain. Errors are ErrExit, bitcoin.ErrAddress and
// bitcoin.ErrFeeRate.
func NewExit(out Output, at wire.OutPoint, value bitcoin.Sat, to []byte, rate bitcoin.SatPerKWU) (*Exit, error) {
	if out.Leaf == nil {
		return nil, fmt.Errorf("%w: the output has no script", ErrExit)
	}
	kind, err := bitcoin.TypeOf(to)
	if err != nil {
		return nil, err
	}
	if rate < bitcoin.MinFeeRate || rate > bitcoin.MaxFeeRate {
		return nil, fmt.Errorf("%w: %v is not within %v and %v", bitcoin.ErrFeeRate, rate, bitcoin.MinFeeRate, bitcoin.MaxFeeRate)
	}
	tx := wire.NewMsgTx(bitcoin.TxVersion)
	// The sequence is the age that the output must have (BIP 68). It signals
	// replaceability too, so the same call at a higher rate makes a replacement.
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: at, Sequence: uint32(out.Delay)})
	tx.AddTxOut(wire.NewTxOut(0, to))
	x := &Exit{tx, out, *wire.NewTxOut(int64(value), out.Script)}
	rest := value - rate.Fee(x.Weight())
	if !value.Valid() || rest < kind.Dust() {
		return nil, fmt.Errorf("%w: %v does not pay for it at %v", ErrExit, value, rate)
	}
	tx.TxOut[0].Value = int64(rest)
	return x, nil
}

// Exit takes the bond of member i.
func (s *State) Exit(i int, to []byte, rate bitcoin.SatPerKWU) (*Exit, error) {
	out, err := s.Bond(i)
	if err != nil {
		return nil, err
	}
	return NewExit(out, s.BondOutPoint(i), s.Members[i].Value, to, rate)
}

// Weight is the exact weight of the signed transaction: marker and flag, the count
// of witness elements, and signature, script and control block with a length each.
func (x *Exit) Weight() bitcoin.Weight {
	witness := 2 + 1 + 1 + 64 + 1 + len(x.output.Leaf) + 1 + len(x.output.Control)
	return bitcoin.Weight(4*x.Tx.SerializeSizeStripped() + witness)
}

// Sighash is what the owner signs with BIP 340: the message of BIP 341 and 342 with
// SIGHASH_DEFAULT.
func (x *Exit) Sighash() ([32]byte, error) {
	prevouts := txscript.NewCannedPrevOutputFetcher(x.prevout.PkScript, x.prevout.Value)
	h, err := txscript.CalcTapscriptSignaturehash(txscript.NewTxSigHashes(x.Tx, prevouts), txscript.SigHashDefault,
		x.Tx, 0, prevouts, txscript.NewBaseTapLeaf(x.output.Leaf))
	if err != nil {
		return [32]byte{}, fmt.Errorf("sighash of exit: %w", err)
	}
	return [32]byte(h), nil
}

// Finish adds the owner's signature and runs the result through the script engine.
// It returns *bitcoin.SignatureError for one that does not verify.
func (x *Exit) Finish(sig [64]byte) (*wire.MsgTx, error) {
	tx := x.Tx.Copy()
	tx.TxIn[0].Witness = wire.TxWitness{sig[:], x.output.Leaf, x.output.Control}
	if err := bitcoin.Verify(tx, []*wire.TxOut{&x.prevout}); err != nil {
		return nil, err
	}
	return tx, nil
}

// Signer holds the owner's secret key, as memberkey.HostKey does.
type Signer interface {
	// Sign makes a BIP 340 signature; aux is 32 bytes of fresh randomness.
	Sign(msg []byte, aux [32]byte) ([64]byte, error)
}

// Sign is Sighash, signature and Finish.
func (x *Exit) Sign(owner Signer, aux [32]byte) (*wire.MsgTx, error) {
	h, err := x.Sighash()
	if err != nil {
		return nil, err
	}
	sig, err := owner.Sign(h[:], aux)
	if err != nil {
		return nil, fmt.Errorf("sign exit: %w", err)
	}
	return x.Finish(sig)
}
