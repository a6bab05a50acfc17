package policy

import (
	"bytes"
	"testing"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// foreign is a world with a PSBT that somebody composed: all coins to one address
// of the allow-list, the rest to a change address.
type foreign struct {
	*world
	packet *psbt.Packet
	fee    int64
}

func newForeign(t testing.TB) *foreign {
	t.Helper()
	w := newWorld(t)
	addr, err := bitcoin.EncodeAddress(bitcoin.Regtest, payeeScript(50))
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.AllowList = []string{addr}
	tx := wire.NewMsgTx(2)
	for _, op := range w.proposal.Coins {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: op, Sequence: bitcoin.Sequence})
	}
	change := w.derive(t, bitcoin.Path{Branch: bitcoin.Change, Index: 1})
	tx.AddTxOut(wire.NewTxOut(200_000, payeeScript(50)))
	tx.AddTxOut(wire.NewTxOut(98_000, change.Script))
	packet, err := psbt.NewFromUnsignedTx(tx)
	if err != nil {
		t.Fatal(err)
	}
	return &foreign{w, packet, 2_000}
}

func (f *foreign) decide(t testing.TB) (Verdict, *bitcoin.Spend) {
	t.Helper()
	var b bytes.Buffer
	if err := f.packet.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	p, err := bitcoin.DecodePSBT(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return Transaction(f.cfg, f.world, f.proposal.Key, f.proposal.Epoch, p)
}

var transactionRefusals = []struct {
	name string
	rule Rule
	edit func(testing.TB, *foreign)
}{
	{"another epoch", KeyUnknown, func(_ testing.TB, f *foreign) { f.epoch++ }},
	{"no node", TipUnknown, func(_ testing.TB, f *foreign) { f.noTip = true }},
	{"unknown coin", CoinUnknown, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxIn[0].PreviousOutPoint.Index = 77 }},
	{"spent coin", CoinSpent, func(_ testing.TB, f *foreign) { f.editCoin(func(c *Coin) { c.Spent = true }) }},
	{"coin promised elsewhere", CoinLocked, func(_ testing.TB, f *foreign) {
		f.editCoin(func(c *Coin) { c.Promised = chainhash.Hash{9} })
	}},
	{"SIGHASH_SINGLE", BadSighashType, func(_ testing.TB, f *foreign) { f.packet.Inputs[1].SighashType = txscript.SigHashSingle }},
	{"SIGHASH_ALL with ANYONECANPAY", BadSighashType, func(_ testing.TB, f *foreign) {
		f.packet.Inputs[1].SighashType = txscript.SigHashAll | txscript.SigHashAnyOneCanPay
	}},
	{"wrong amount claimed", TxMalformed, func(_ testing.TB, f *foreign) {
		f.packet.Inputs[0].WitnessUtxo = wire.NewTxOut(1, payeeScript(1))
	}},
	{"version 3", BadVersion, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.Version = 3 }},
	{"final sequence", BadSequence, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxIn[0].Sequence = wire.MaxTxInSequenceNum }},
	{"lock time ahead", BadLockTime, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.LockTime = testHeight + 1 }},
	{"lock time is a time", BadLockTime, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.LockTime = 1_700_000_000 }},
	{"over our weight limit", TooHeavy, func(_ testing.TB, f *foreign) { f.cfg.MaxWeight = 500 }},
	{"more inputs than fit", TooHeavy, func(_ testing.TB, f *foreign) {
		for i := range uint32(MaxCoins) {
			f.packet.UnsignedTx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: i}})
			f.packet.Inputs = append(f.packet.Inputs, psbt.PInput{})
		}
	}},
	{"fee below our minimum", FeeTooLow, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxOut[1].Value += f.fee - 100 }},
	{"fee above our maximum", FeeTooHigh, func(_ testing.TB, f *foreign) { f.cfg.FeeMax = 5 }},
	{"value left to the miner", FeeTooHigh, func(_ testing.TB, f *foreign) {
		f.cfg.FeeMax = 50
		f.packet.UnsignedTx.TxOut = f.packet.UnsignedTx.TxOut[:1]
		f.packet.Outputs = f.packet.Outputs[:1]
	}},
	{"creates money", TxMalformed, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxOut[1].Value = 100_001 }},
	{"output to a stranger", NotAllowListed, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxOut[0].PkScript = payeeScript(51) }},
	{"empty allow-list", NotAllowListed, func(_ testing.TB, f *foreign) { f.cfg.AllowList = nil }},
	{"data output", NotAllowListed, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxOut[0].PkScript = []byte{0x6a, 1, 2} }},
	{"change out of reach", ChangeTooFar, func(t testing.TB, f *foreign) {
		d := f.derive(t, bitcoin.Path{Branch: bitcoin.Change, Index: f.next + maxChangeGap})
		f.packet.UnsignedTx.TxOut[1].PkScript = d.Script
	}},
	{"value into a bond", ChangeNotOurs, func(t testing.TB, f *foreign) {
		f.packet.UnsignedTx.TxOut[1].PkScript = f.derive(t, bitcoin.Path{Branch: bitcoin.Bond}).Script
	}},
	{"dust", Dust, func(_ testing.TB, f *foreign) { f.packet.UnsignedTx.TxOut[1].Value = 329; f.cfg.FeeMax = 10_000 }},
}

func TestTransactionRefusals(t *testing.T) {
	for _, r := range transactionRefusals {
		t.Run(r.name, func(t *testing.T) {
			f := newForeign(t)
			r.edit(t, f)
			verdict, spend := f.decide(t)
			if verdict.Allow || verdict.Rule != r.rule || verdict.Reason == "" || spend != nil {
				t.Errorf("got %v, want %s", verdict, r.rule)
			}
		})
	}
}

func TestTransactionAllows(t *testing.T) {
	f := newForeign(t)
	verdict, spend := f.decide(t)
	if !verdict.Allow || spend == nil {
		t.Fatal(verdict)
	}
	if got, want := spend.Leaving(), bitcoin.Sat(200_000+f.fee); got != want {
		t.Errorf("%v leaves, want %v", got, want)
	}
	// Again, now that its coins are promised to it.
	f.editCoin(func(c *Coin) { c.Promised = spend.TxID() })
	if verdict, _ := f.decide(t); !verdict.Allow {
		t.Errorf("retry: %v", verdict)
	}
	// To a receive address of ours no allow-list is needed.
	f.cfg.AllowList = nil
	f.editCoin(func(c *Coin) { c.Promised = chainhash.Hash{} })
	f.packet.UnsignedTx.TxOut[0].PkScript = f.derive(t, bitcoin.Path{Branch: bitcoin.Receive, Index: 9}).Script
	if verdict, spend := f.decide(t); !verdict.Allow || spend.Leaving() != bitcoin.Sat(f.fee) {
		t.Errorf("to ourselves: %v", verdict)
	}
}
