//go:build exponents

package bitcoin

import (
	"errors"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/crypto/bip445"
)

// point is a public key of the group of exponents.
type point struct{ bip445.TweakCtx }

func parsePoint(compressed [33]byte) (point, error) {
	c, err := bip445.NewTweakCtx(compressed[:])
	return point{c}, err
}

func onCurve(x []byte) bool {
	_, err := parsePoint([33]byte(append([]byte{2}, x...)))
	return err == nil
}

func (p point) bytes() [33]byte { return p.PlainPK() }

func (p point) x() [32]byte { return p.XonlyPK() }

func (p point) even() point {
	c, err := p.Apply(make([]byte, 32), true)
	if err != nil {
		panic(err) // the tweak is 0
	}
	return point{c}
}

func (p point) addBase(tweak [32]byte) (point, error) {
	c, err := p.Apply(tweak[:], false)
	if err != nil {
		return point{}, ErrIndex
	}
	return point{c}, nil
}

// execute verifies a spend by key, of which the script engine knows the curve only.
func execute(tx *wire.MsgTx, i int, prevout *wire.TxOut, shared *txscript.TxSigHashes, f txscript.PrevOutputFetcher) error {
	if !txscript.IsPayToTaproot(prevout.PkScript) || len(tx.TxIn[i].Witness) != 1 {
		return runScripts(tx, i, prevout, shared, f)
	}
	hash, err := txscript.CalcTaprootSignatureHash(shared, txscript.SigHashDefault, tx, i, f)
	if err != nil {
		return err
	}
	key, err := parsePoint([33]byte(append([]byte{2}, prevout.PkScript[2:]...)))
	if err != nil || !key.Verify(hash, tx.TxIn[i].Witness[0]) {
		return errors.New("signature does not verify")
	}
	return nil
}
