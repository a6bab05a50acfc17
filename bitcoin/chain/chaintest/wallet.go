package chaintest

import (
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// miner owns every coinbase of the suite. Its key is public on purpose.
var miner, _ = btcec.PrivKeyFromBytes([]byte("regtest coins, worth nothing at "))

// Script is what Node.Generate must pay to: a key-path-only Taproot output.
func Script() []byte {
	script, err := txscript.PayToTaprootScript(txscript.ComputeTaprootKeyNoScript(miner.PubKey()))
	if err != nil {
		panic(err) // the key is a constant
	}
	return script
}

// Address is Script as an address.
func Address(params *chaincfg.Params) string {
	key := schnorr.SerializePubKey(txscript.ComputeTaprootKeyNoScript(miner.PubKey()))
	a, err := address.NewAddressTaproot(key, params)
	if err != nil {
		panic(err) // 32 bytes by construction
	}
	return a.EncodeAddress()
}

// coin is an output of Script.
type coin struct {
	wire.OutPoint
	wire.TxOut
	born int32 // not above the height of its block
}

// replaceable is the sequence number that allows replacement by fee (BIP 125)
// and no relative lock.
const replaceable = wire.MaxTxInSequenceNum - 2

// spend makes a transaction from one coin that pays fee satoshis, its change
// back to Script as the last output.
func spend(t *testing.T, c coin, fee int64, outs ...*wire.TxOut) *wire.MsgTx {
	t.Helper()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&c.OutPoint, nil, nil))
	tx.TxIn[0].Sequence = replaceable
	change := c.Value - fee
	for _, out := range outs {
		tx.AddTxOut(out)
		change -= out.Value
	}
	tx.AddTxOut(wire.NewTxOut(change, Script()))
	return sign(t, tx, c)
}

// sign signs the only input, which spends c. Call it again after a change.
func sign(t *testing.T, tx *wire.MsgTx, c coin) *wire.MsgTx {
	t.Helper()
	prevouts := txscript.NewCannedPrevOutputFetcher(c.PkScript, c.Value)
	sig, err := txscript.RawTxInTaprootSignature(tx, txscript.NewTxSigHashes(tx, prevouts), 0,
		c.Value, c.PkScript, nil, txscript.SigHashDefault, miner)
	if err != nil {
		t.Fatal(err)
	}
	tx.TxIn[0].Witness = wire.TxWitness{sig}
	return tx
}

// outpoint names an output of tx.
func outpoint(tx *wire.MsgTx, index uint32) wire.OutPoint {
	return wire.OutPoint{Hash: tx.TxHash(), Index: index}
}
