package policy

import (
	"bytes"
	"encoding/binary"
	"testing"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// world is a member's view that tests edit, with a proposal that fits it.
type world struct {
	cfg      Config
	key      bitcoin.Key
	epoch    uint64
	tip      Tip
	noTip    bool
	lists    map[bitcoin.PayoutID]bitcoin.PayoutList
	paid     map[bitcoin.PayoutID]chainhash.Hash
	coins    map[wire.OutPoint]Coin
	own      map[string]bitcoin.Path
	next     uint32
	proposal Proposal
}

func (w *world) Key(pub [33]byte, epoch uint64) (bitcoin.Key, bool) {
	return w.key, pub == w.key.PublicKey() && epoch == w.epoch
}
func (w *world) Tip() (Tip, bool) { return w.tip, !w.noTip }
func (w *world) BlockHash(h bitcoin.Height) (chainhash.Hash, bool) {
	return blockHash(h), h <= w.tip.Height
}
func (w *world) List(id bitcoin.PayoutID) (bitcoin.PayoutList, bool) {
	l, ok := w.lists[id]
	return l, ok
}
func (w *world) Paid(id bitcoin.PayoutID) (chainhash.Hash, bool) { h, ok := w.paid[id]; return h, ok }
func (w *world) Coin(op wire.OutPoint) (Coin, bool)              { c, ok := w.coins[op]; return c, ok }
func (w *world) Own(script []byte) (bitcoin.Path, bool)          { p, ok := w.own[string(script)]; return p, ok }
func (w *world) NextChange() uint32                              { return w.next }

func blockHash(h bitcoin.Height) chainhash.Hash {
	return chainhash.HashH(binary.BigEndian.AppendUint32(nil, uint32(h)))
}

// payeeScript is the n-th payee's P2WPKH script.
func payeeScript(n int) []byte {
	return append([]byte{0, 20}, chainhash.HashB(binary.BigEndian.AppendUint32([]byte("payee"), uint32(n)))[:20]...)
}

func payees(n int, amount bitcoin.Sat) []bitcoin.Payee {
	var out []bitcoin.Payee
	for i := range n {
		out = append(out, bitcoin.Payee{Script: payeeScript(i), Amount: amount + bitcoin.Sat(i)})
	}
	return out
}

const testHeight = 500

// newWorld has three coins of 100,000 sat and a list of four payees, and proposes
// to pay them.
func newWorld(t testing.TB) *world {
	t.Helper()
	secret, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	pub := [33]byte(secret.PubKey().SerializeCompressed())
	key, err := bitcoin.NewKey(bitcoin.Regtest, pub, bitcoin.ChainCode([32]byte{1}, pub))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		cfg:   DefaultConfig(),
		key:   key,
		epoch: 3,
		tip:   Tip{blockHash(testHeight), testHeight, true},
		lists: map[bitcoin.PayoutID]bitcoin.PayoutList{},
		paid:  map[bitcoin.PayoutID]chainhash.Hash{},
		coins: map[wire.OutPoint]Coin{},
		own:   map[string]bitcoin.Path{},
		next:  2,
	}
	for i := range uint32(3) {
		w.derive(t, bitcoin.Path{Branch: bitcoin.Change, Index: i})
		w.addCoin(t, int(i), bitcoin.Path{Branch: bitcoin.Receive, Index: i}, 100_000)
	}
	w.proposal = Proposal{
		Network: bitcoin.Regtest,
		Key:     pub,
		Epoch:   3,
		List:    w.addList(t, payees(4, 20_000)),
		FeeRate: bitcoin.PerVByte(5),
		Change:  2,
		Block:   w.tip.Hash,
		Height:  testHeight,
	}
	for op := range w.coins {
		w.proposal.Coins = append(w.proposal.Coins, op)
	}
	w.rebuild(t)
	return w
}

func (w *world) derive(t testing.TB, p bitcoin.Path) bitcoin.Derived {
	t.Helper()
	d, err := w.key.Derive(p)
	if err != nil {
		t.Fatal(err)
	}
	w.own[string(d.Script)] = p
	return d
}

func (w *world) addCoin(t testing.TB, n int, p bitcoin.Path, amount bitcoin.Sat) wire.OutPoint {
	op := wire.OutPoint{Hash: blockHash(bitcoin.Height(1_000_000 + n)), Index: uint32(n)}
	coin := bitcoin.Coin{OutPoint: op, Amount: amount, Path: p, Height: 300}
	w.coins[op] = Coin{Coin: coin, Script: w.derive(t, p).Script, Confirmed: true}
	return op
}

func (w *world) addList(t testing.TB, payees []bitcoin.Payee) bitcoin.PayoutID {
	t.Helper()
	list, err := bitcoin.NewPayoutList(bitcoin.Regtest, "", payees)
	if err != nil {
		t.Fatal(err)
	}
	w.lists[list.ID()] = list
	return list.ID()
}

// editCoin changes what the member knows of one of the proposal's coins.
func (w *world) editCoin(edit func(*Coin)) {
	op := w.proposal.Coins[1]
	c := w.coins[op]
	edit(&c)
	w.coins[op] = c
}

// build makes the proposal's transaction as an honest proposer would.
func (w *world) build(t testing.TB) *bitcoin.Spend {
	t.Helper()
	p := bitcoin.Payout{Key: w.key, List: w.lists[w.proposal.List], FeeRate: w.proposal.FeeRate, Change: w.proposal.Change, LockTime: w.proposal.Height}
	for _, op := range w.proposal.Coins {
		p.Coins = append(p.Coins, w.coins[op].Coin)
	}
	s, err := bitcoin.BuildPayout(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) rebuild(t testing.TB) { w.proposal.Tx = w.build(t).Bytes() }

// editTx changes the proposed transaction and leaves the terms as they are.
func (w *world) editTx(t testing.TB, edit func(*wire.MsgTx)) {
	t.Helper()
	tx := w.build(t).Tx
	edit(tx)
	w.proposal.Tx = encode(t, tx)
}

func encode(t testing.TB, tx *wire.MsgTx) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tx.SerializeNoWitness(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// changeOutput is the place of the change in the built transaction.
func (w *world) changeOutput(t testing.TB) int {
	for i, own := range w.build(t).Own {
		if own != nil {
			return i
		}
	}
	t.Fatal("no change")
	return -1
}
