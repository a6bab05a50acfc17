package bitcoin

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// ErrSignature means a signature that the script engine refuses.
var ErrSignature = errors.New("invalid signature")

// SignatureError names the input whose signature is invalid. It matches
// ErrSignature.
type SignatureError struct {
	Input int
	Err   error // of the script engine
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("input %d: %v: %v", e.Input, ErrSignature, e.Err)
}

// Unwrap makes errors.Is(err, ErrSignature) true.
func (e *SignatureError) Unwrap() error { return ErrSignature }

// Sighashes are the messages to sign, one per input: BIP 341, SIGHASH_DEFAULT.
// They commit to every amount and script being spent and to every output.
func (s *Spend) Sighashes() ([][32]byte, error) {
	return sighashes(s.Tx, s.Prevouts())
}

func sighashes(tx *wire.MsgTx, prevouts []*wire.TxOut) ([][32]byte, error) {
	f := fetcher(tx, prevouts)
	shared := txscript.NewTxSigHashes(tx, f) // hashes that all inputs have in common
	out := make([][32]byte, len(tx.TxIn))
	for i := range tx.TxIn {
		h, err := txscript.CalcTaprootSignatureHash(shared, txscript.SigHashDefault, tx, i, f)
		if err != nil {
			return nil, fmt.Errorf("sighash of input %d: %w", i, err)
		}
		out[i] = [32]byte(h)
	}
	return out, nil
}

// Finish puts one BIP 340 signature on each input and runs the result through
// the script engine. It returns ErrTx for a wrong number of signatures and
// *SignatureError for one that does not verify.
func (s *Spend) Finish(signatures [][64]byte) (*wire.MsgTx, error) {
	return finish(s.Tx, s.Prevouts(), signatures)
}

func finish(unsigned *wire.MsgTx, prevouts []*wire.TxOut, signatures [][64]byte) (*wire.MsgTx, error) {
	if len(signatures) != len(unsigned.TxIn) {
		return nil, fmt.Errorf("%w: %d signatures for %d inputs", ErrTx, len(signatures), len(unsigned.TxIn))
	}
	tx := unsigned.Copy()
	for i, sig := range signatures {
		tx.TxIn[i].Witness = wire.TxWitness{sig[:]}
	}
	if err := Verify(tx, prevouts); err != nil {
		return nil, err
	}
	return tx, nil
}

// Verify runs every input of tx through the script engine with the flags that
// nodes use for relay, against the outputs it spends (one per input). It returns
// ErrTx if tx makes money out of nothing or spends a coin twice, else
// *SignatureError for the first input that fails.
func Verify(tx *wire.MsgTx, prevouts []*wire.TxOut) error {
	if len(prevouts) != len(tx.TxIn) {
		return fmt.Errorf("%w: %d inputs, %d outputs to spend", ErrTx, len(tx.TxIn), len(prevouts))
	}
	bare := tx.Copy()
	for _, in := range bare.TxIn {
		in.Witness, in.SignatureScript = nil, nil
	}
	if err := checkUnsigned(bare); err != nil {
		return err
	}
	if err := checkValues(tx, prevouts); err != nil {
		return err
	}
	f := fetcher(tx, prevouts)
	shared := txscript.NewTxSigHashes(tx, f)
	for i, prevout := range prevouts {
		if err := execute(tx, i, prevout, shared, f); err != nil {
			return &SignatureError{i, err}
		}
	}
	return nil
}

// runScripts runs the scripts of input i.
func runScripts(tx *wire.MsgTx, i int, prevout *wire.TxOut, shared *txscript.TxSigHashes, f txscript.PrevOutputFetcher) error {
	engine, err := txscript.NewEngine(prevout.PkScript, tx, i, txscript.StandardVerifyFlags, nil, shared, prevout.Value, f)
	if err != nil {
		return err
	}
	return engine.Execute()
}
