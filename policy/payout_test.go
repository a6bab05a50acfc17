package policy

import (
	"bytes"
	"math/rand"
	"testing"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// refusal is a case that must be refused by one rule.
type refusal struct {
	name string
	rule Rule
	edit func(testing.TB, *world)
}

var payoutRefusals = []refusal{
	{"another key", KeyUnknown, func(_ testing.TB, w *world) { w.proposal.Key[5] ^= 1 }},
	{"earlier epoch", KeyUnknown, func(_ testing.TB, w *world) { w.proposal.Epoch-- }},
	{"another network", WrongNetwork, func(_ testing.TB, w *world) { w.proposal.Network = bitcoin.Signet }},
	{"list of another network", WrongNetwork, func(t testing.TB, w *world) {
		list := w.lists[w.proposal.List]
		list.Network = bitcoin.Signet
		w.lists[w.proposal.List] = list
	}},
	{"no node", TipUnknown, func(_ testing.TB, w *world) { w.noTip = true }},
	{"node not synced", TipStale, func(_ testing.TB, w *world) { w.tip.Synced = false }},
	{"proposal ahead", TipBehind, func(_ testing.TB, w *world) { w.tip.Height-- }},
	{"another branch", BlockUnknown, func(_ testing.TB, w *world) { w.proposal.Block[0] ^= 1 }},
	{"old proposal", ProposalExpired, func(_ testing.TB, w *world) { w.tip.Height += maxProposalAge + 1 }},
	{"unknown list", PayoutUnknown, func(_ testing.TB, w *world) { w.proposal.List[0] ^= 1 }},
	{"list paid by another transaction", PayoutPaid, func(_ testing.TB, w *world) { w.paid[w.proposal.List] = chainhash.Hash{1} }},
	{"list pays our receive address", PayeeOurs, func(t testing.TB, w *world) {
		d := w.derive(t, bitcoin.Path{Branch: bitcoin.Receive, Index: 1})
		w.proposal.List = w.addList(t, []bitcoin.Payee{{Script: d.Script, Amount: 1000}})
	}},
	{"list pays the change address, which our table missed", PayeeOurs, func(t testing.TB, w *world) {
		d := w.derive(t, bitcoin.Path{Branch: bitcoin.Change, Index: 2})
		delete(w.own, string(d.Script))
		w.proposal.List = w.addList(t, []bitcoin.Payee{{Script: d.Script, Amount: 1000}})
	}},
	{"list altered in memory", PayoutInvalid, func(_ testing.TB, w *world) {
		w.lists[w.proposal.List].Payees[0].Script = []byte{0x6a}
	}},
	{"list with dust", Dust, func(_ testing.TB, w *world) { w.lists[w.proposal.List].Payees[0].Amount = 293 }},
	{"unknown coin", CoinUnknown, func(_ testing.TB, w *world) { w.proposal.Coins[0].Index++ }},
	{"spent coin", CoinSpent, func(_ testing.TB, w *world) { w.editCoin(func(c *Coin) { c.Spent = true }) }},
	{"coin in the pool", CoinUnconfirmed, func(_ testing.TB, w *world) { w.editCoin(func(c *Coin) { c.Confirmed = false }) }},
	{"coin one block short", CoinUnconfirmed, func(_ testing.TB, w *world) {
		w.editCoin(func(c *Coin) { c.Height = testHeight - 4 })
	}},
	{"coin above the tip", CoinUnconfirmed, func(_ testing.TB, w *world) {
		w.editCoin(func(c *Coin) { c.Height = testHeight + 1 })
	}},
	{"coinbase one block short", CoinImmature, func(_ testing.TB, w *world) {
		w.editCoin(func(c *Coin) { c.Coinbase, c.Height = true, testHeight-98 })
	}},
	{"coin on another script", CoinNotOurs, func(_ testing.TB, w *world) {
		w.editCoin(func(c *Coin) { c.Script = payeeScript(1) })
	}},
	{"bond", CoinNotOurs, func(t testing.TB, w *world) {
		d := w.derive(t, bitcoin.Path{Branch: bitcoin.Bond})
		w.editCoin(func(c *Coin) { c.Path, c.Script = d.Path, d.Script })
	}},
	{"coin promised elsewhere", CoinLocked, func(_ testing.TB, w *world) {
		w.editCoin(func(c *Coin) { c.Promised = chainhash.Hash{9} })
	}},
	{"coin named twice", DuplicateCoin, func(_ testing.TB, w *world) {
		w.proposal.Coins = append(w.proposal.Coins, w.proposal.Coins[1])
	}},
	{"more than the balance", FundsMissing, func(t testing.TB, w *world) {
		w.proposal.List = w.addList(t, payees(4, 75_000))
	}},
	{"fee below our minimum", FeeTooLow, func(_ testing.TB, w *world) { w.cfg.FeeMin = 6 }},
	{"fee above our maximum", FeeTooHigh, func(_ testing.TB, w *world) { w.cfg.FeeMax = 4 }},
	{"change out of reach", ChangeTooFar, func(_ testing.TB, w *world) { w.proposal.Change = w.next + maxChangeGap }},
	{"change index at the limit of integers", ChangeTooFar, func(_ testing.TB, w *world) {
		w.next, w.proposal.Change = 0, 1<<32-1
	}},
	{"hardened change", ChangeNotOurs, func(_ testing.TB, w *world) { w.next, w.proposal.Change = 1<<31, 1<<31 }},
	{"change to a stranger", ChangeNotOurs, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[w.changeOutput(t)].PkScript = payeeScript(99) })
	}},
	{"change to another index of ours", ChangeNotOurs, func(t testing.TB, w *world) {
		d := w.derive(t, bitcoin.Path{Branch: bitcoin.Change, Index: 1})
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[w.changeOutput(t)].PkScript = d.Script })
	}},
	{"no coins", CoinsDiffer, func(_ testing.TB, w *world) { w.proposal.Coins = nil }},
	{"too many coins", CoinsDiffer, func(_ testing.TB, w *world) { w.proposal.Coins = make([]wire.OutPoint, MaxCoins+1) }},
	{"another coin", CoinsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxIn[0].PreviousOutPoint.Index++ })
	}},
	{"one coin fewer", CoinsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxIn = tx.TxIn[1:] })
	}},
	{"inputs in another order", CoinsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxIn[0], tx.TxIn[1] = tx.TxIn[1], tx.TxIn[0] })
	}},
	{"one satoshi more", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[0].Value++ })
	}},
	{"one satoshi less", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[0].Value-- })
	}},
	{"another payee", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[0].PkScript = payeeScript(99) })
	}},
	{"payee missing", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut = tx.TxOut[1:] })
	}},
	{"payee twice", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[1] = tx.TxOut[0] })
	}},
	{"change a satoshi short", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[w.changeOutput(t)].Value-- })
	}},
	{"change left to the miner", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) {
			i := w.changeOutput(t)
			tx.TxOut = append(tx.TxOut[:i], tx.TxOut[i+1:]...)
		})
	}},
	{"outputs in another order", OutputsDiffer, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[0], tx.TxOut[1] = tx.TxOut[1], tx.TxOut[0] })
	}},
	{"no transaction", TxMalformed, func(_ testing.TB, w *world) { w.proposal.Tx = nil }},
	{"transaction cut short", TxMalformed, func(_ testing.TB, w *world) { w.proposal.Tx = w.proposal.Tx[:50] }},
	{"byte after the transaction", TxMalformed, func(_ testing.TB, w *world) { w.proposal.Tx = append(w.proposal.Tx, 0) }},
	{"script in an input", TxMalformed, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxIn[0].SignatureScript = []byte{0x51} })
	}},
	{"version 1", BadVersion, func(t testing.TB, w *world) { w.editTx(t, func(tx *wire.MsgTx) { tx.Version = 1 }) }},
	{"no lock time", BadLockTime, func(t testing.TB, w *world) { w.editTx(t, func(tx *wire.MsgTx) { tx.LockTime = 0 }) }},
	{"final sequence", BadSequence, func(t testing.TB, w *world) {
		w.editTx(t, func(tx *wire.MsgTx) { tx.TxIn[2].Sequence = wire.MaxTxInSequenceNum })
	}},
	{"over our weight limit", TooHeavy, func(t testing.TB, w *world) { w.cfg.MaxWeight = int64(w.build(t).Weight()) - 1 }},
}

func TestPayoutRefusals(t *testing.T) {
	for _, r := range payoutRefusals {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			r.edit(t, w)
			verdict, spend := Payout(w.cfg, w, w.proposal)
			if verdict.Allow || verdict.Rule != r.rule || verdict.Reason == "" || spend != nil {
				t.Errorf("got %v, want %s", verdict, r.rule)
			}
		})
	}
}

// The edges of the refusals above, on the side that is allowed.
func TestPayoutAllows(t *testing.T) {
	rows := []struct {
		name string
		edit func(*world)
	}{
		{"plain", func(*world) {}},
		{"member ahead of the proposer", func(w *world) { w.tip.Height += maxProposalAge }},
		{"retry: coins and list promised to the same transaction", func(w *world) {
			txid := w.build(t).TxID()
			w.paid[w.proposal.List] = txid
			w.editCoin(func(c *Coin) { c.Promised = txid })
		}},
		{"just enough confirmations", func(w *world) { w.editCoin(func(c *Coin) { c.Height = testHeight - 5 }) }},
		{"mature coinbase", func(w *world) { w.editCoin(func(c *Coin) { c.Coinbase, c.Height = true, testHeight-99 }) }},
		{"fee at our bounds", func(w *world) { w.cfg.FeeMin, w.cfg.FeeMax = 5, 5 }},
		{"weight at our limit", func(w *world) { w.cfg.MaxWeight = int64(w.build(t).Weight()) }},
		{"change at the end of the gap", func(w *world) { w.proposal.Change = w.next + maxChangeGap - 1; w.rebuild(t) }},
		{"coins in another order", func(w *world) {
			c := w.proposal.Coins
			c[0], c[2] = c[2], c[0]
		}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			r.edit(w)
			verdict, spend := Payout(w.cfg, w, w.proposal)
			if !verdict.Allow || spend == nil || !bytes.Equal(spend.Bytes(), w.proposal.Tx) {
				t.Fatalf("refused: %v", verdict)
			}
		})
	}
}

// A coinbase is first spendable in the block 100 after it, and the transaction
// can be in block tip+1 at the earliest: heights as consensus counts them.
func TestCoinbaseMaturityIsConsensus(t *testing.T) {
	for age := bitcoin.Height(90); age < 110; age++ {
		w := newWorld(t)
		w.editCoin(func(c *Coin) { c.Coinbase, c.Height = true, testHeight-age })
		verdict, _ := Payout(w.cfg, w, w.proposal)
		spendHeight, height := testHeight+1, testHeight-int(age)
		if want := spendHeight-height >= 100; verdict.Allow != want {
			t.Errorf("age %d: %v, want allow %v", age, verdict, want)
		}
	}
}

// mutate changes a transaction in one of the ways a proposer might try.
func mutate(r *rand.Rand, good []byte, tx *wire.MsgTx, encode func(*wire.MsgTx) []byte) []byte {
	in, out := tx.TxIn[r.Intn(len(tx.TxIn))], tx.TxOut[r.Intn(len(tx.TxOut))]
	switch r.Intn(12) {
	case 0: // any bit
		b := bytes.Clone(good)
		b[r.Intn(len(b))] ^= 1 << r.Intn(8)
		return b
	case 1: // any byte
		b := bytes.Clone(good)
		b[r.Intn(len(b))] = byte(r.Int())
		return b
	case 2: // a byte less or more
		i := r.Intn(len(good))
		if r.Intn(2) == 0 {
			return append(bytes.Clone(good[:i]), good[i+1:]...)
		}
		return append(append(bytes.Clone(good[:i]), byte(r.Int())), good[i:]...)
	case 3:
		out.Value += int64(1+r.Intn(1000)) * int64(1-2*r.Intn(2))
	case 4:
		out.PkScript = payeeScript(100 + r.Intn(1000))
	case 5: // move value between outputs
		out.Value--
		tx.TxOut[r.Intn(len(tx.TxOut))].Value++
	case 6:
		tx.LockTime ^= 1 << r.Intn(32)
	case 7:
		in.Sequence ^= 1 << r.Intn(32)
	case 8:
		tx.Version ^= 1 << r.Intn(32)
	case 9:
		in.PreviousOutPoint.Hash[r.Intn(32)] ^= 1 << r.Intn(8)
	case 10:
		tx.AddTxOut(wire.NewTxOut(int64(r.Intn(1000)), payeeScript(r.Intn(5))))
	case 11:
		r.Shuffle(len(tx.TxOut), func(i, j int) { tx.TxOut[i], tx.TxOut[j] = tx.TxOut[j], tx.TxOut[i] })
	}
	return encode(tx)
}

// No change to the transaction, however small, passes: 20,000 of them against the
// comparison, and some through the whole rule.
func TestMutatedTransactionIsRefused(t *testing.T) {
	w := newWorld(t)
	built := w.build(t)
	r := rand.New(rand.NewSource(14))
	rules := map[Rule]int{}
	for i := range 20_000 {
		bad := mutate(r, built.Bytes(), built.Tx.Copy(), func(tx *wire.MsgTx) []byte { return encode(t, tx) })
		if bytes.Equal(bad, built.Bytes()) {
			continue // a byte replaced by itself, or a shuffle that moved nothing
		}
		verdict := compare(built, bad)
		if i%100 == 0 {
			w.proposal.Tx = bad
			full, spend := Payout(w.cfg, w, w.proposal)
			if spend != nil || full.Rule != verdict.Rule {
				t.Fatalf("whole rule: %v, comparison: %v", full, verdict)
			}
		}
		if verdict.Allow || verdict.Reason == "" {
			t.Fatalf("allowed %x", bad)
		}
		rules[verdict.Rule]++
	}
	t.Log(rules)
	for _, rule := range []Rule{TxMalformed, BadVersion, BadLockTime, BadSequence, CoinsDiffer, OutputsDiffer, ChangeNotOurs} {
		if rules[rule] == 0 {
			t.Errorf("no mutant met %s", rule)
		}
	}
}

// The refusal names the output, what was expected and what came.
func TestOutputsDifferSaysWhich(t *testing.T) {
	w := newWorld(t)
	w.editTx(t, func(tx *wire.MsgTx) { tx.TxOut[2].Value++ })
	verdict, _ := Payout(w.cfg, w, w.proposal)
	addr, _ := bitcoin.EncodeAddress(bitcoin.Regtest, w.build(t).Tx.TxOut[2].PkScript)
	want := "output 2: expected 20002 sat to " + addr + ", got 20003 sat to " + addr
	if verdict.Reason != want {
		t.Errorf("%q, want %q", verdict.Reason, want)
	}
}

func TestProposalRoundTrip(t *testing.T) {
	w := newWorld(t)
	data := w.proposal.Encode()
	back, err := DecodeProposal(data)
	if err != nil || !bytes.Equal(back.Encode(), data) {
		t.Fatal(err)
	}
	if verdict, _ := Payout(w.cfg, w, back); !verdict.Allow {
		t.Errorf("decoded proposal: %v", verdict)
	}
	for i := range data {
		if _, err := DecodeProposal(data[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
	if _, err := DecodeProposal(append(data, 0)); err == nil {
		t.Error("trailing byte accepted")
	}
	w.proposal.Coins = append(w.proposal.Coins, w.proposal.Coins[0])
	if _, err := DecodeProposal(w.proposal.Encode()); err == nil {
		t.Error("coin named twice was accepted")
	}
}
