package epoch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/regtest"
)

func newReader(seed [32]byte) io.Reader { return bytes.NewReader(seed[:]) }

// life is a federation on a chain with consensus and relay rules.
type life struct {
	*testing.T
	chain  *regtest.Chain
	miner  secret
	purse  bitcoin.Coin // the miner's next coin
	state  *State
	key    *committee
	born   [32]byte
	proofs []*Proof
	kept   map[string]*wire.MsgTx // by step, for later ones
}

func (l *life) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// minerKey derives the miner's only address.
func (l *life) minerKey() bitcoin.Derived {
	key, err := bitcoin.NewKey(bitcoin.Regtest, l.miner.plain(), [32]byte{})
	l.must(err)
	d, err := key.Derive(bitcoin.Path{})
	l.must(err)
	return d
}

func (l *life) mine(n int) []chainhash.Hash {
	l.Helper()
	hashes, err := l.chain.Mine(n, l.minerKey().Script)
	l.must(err)
	return hashes
}

func (l *life) tip() bitcoin.Height {
	tip, err := l.chain.Tip(context.Background())
	l.must(err)
	return bitcoin.Height(tip.Height)
}

func (l *life) header(h bitcoin.Height) (wire.BlockHeader, bool) {
	hash, err := l.chain.BlockHashAt(context.Background(), int32(h))
	if errors.Is(err, chain.ErrNotFound) {
		return wire.BlockHeader{}, false
	}
	l.must(err)
	header, err := l.chain.Header(context.Background(), hash)
	l.must(err)
	return header, true
}

// find returns the block of the best chain that holds a transaction.
func (l *life) find(txid chainhash.Hash) (*wire.MsgBlock, bitcoin.Height) {
	l.Helper()
	for h := l.tip(); h > 0; h-- {
		hash, err := l.chain.BlockHashAt(context.Background(), int32(h))
		l.must(err)
		block, err := l.chain.Block(context.Background(), hash)
		l.must(err)
		for _, tx := range block.Transactions {
			if tx.TxHash() == txid {
				return block, h
			}
		}
	}
	l.Fatalf("%v is not in the chain", txid)
	return nil, 0
}

// submit mines a transaction that the pool must take, and n blocks on top.
func (l *life) submit(tx *wire.MsgTx, n int) {
	l.Helper()
	l.must(l.chain.Submit(context.Background(), tx))
	l.mine(1 + n)
	l.find(tx.TxHash())
}

// refused wants pool and consensus to refuse a transaction.
func (l *life) refused(tx *wire.MsgTx, pool chain.RejectKind) {
	l.Helper()
	var rejected *chain.RejectedError
	if err := l.chain.Submit(context.Background(), tx); !errors.As(err, &rejected) || rejected.Kind != pool {
		l.Errorf("pool: %v, want %v", err, pool)
	}
	if _, err := l.chain.MineTxs(l.minerKey().Script, tx); !errors.As(err, &rejected) {
		l.Errorf("a block with it: %v", err)
	}
}

// pay sends from the miner, who has one coin and keeps the rest as another. The
// outputs come first.
func (l *life) pay(outs ...*wire.TxOut) *wire.MsgTx {
	l.Helper()
	own := l.minerKey()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: l.purse.OutPoint, Sequence: bitcoin.Sequence})
	rest := l.purse.Amount - 10_000
	for _, out := range outs {
		tx.AddTxOut(out)
		rest -= bitcoin.Sat(out.Value)
	}
	tx.AddTxOut(wire.NewTxOut(int64(rest), own.Script))
	spend := &bitcoin.Spend{Tx: tx, Inputs: []bitcoin.Input{{Coin: l.purse, Derived: own}}}
	hashes, err := spend.Sighashes()
	l.must(err)
	signed, err := spend.Finish([][64]byte{l.miner.sign(l, own, hashes[0])})
	l.must(err)
	l.purse = bitcoin.Coin{OutPoint: wire.OutPoint{Hash: signed.TxHash(), Index: uint32(len(outs))}, Amount: rest}
	return signed
}

// deposit pays the deposits of all who join next, which payer admits, in one
// transaction, and waits until they are ripe.
func (l *life) deposit(payer, next *Epoch) []Deposit {
	l.Helper()
	var outs []*wire.TxOut
	var deposits []Deposit
	for _, i := range next.joiners() {
		m := next.Members[i]
		out, err := payer.Deposit(m.Bond)
		l.must(err)
		outs = append(outs, wire.NewTxOut(int64(m.Value+next.Terms.EntryFee), out.Script))
		deposits = append(deposits, Deposit{Bond: m.Bond})
	}
	tx := l.pay(outs...)
	for i := range deposits {
		deposits[i].OutPoint = wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}
	}
	l.submit(tx, 0)
	_, confirmed := l.find(tx.TxHash())
	for !next.Terms.Ripe(confirmed, l.tip()) {
		l.mine(1)
	}
	return deposits
}

// build makes and signs a transition with t of n members of the old epoch.
func (l *life) build(p Proposal, key *committee) (*Transition, *wire.MsgTx) {
	l.Helper()
	tr := mustBuild(l, l.state, p)
	return tr, signAll(l, tr, key)
}

// enter makes the transition, mines it to the depth that counts, and moves on.
func (l *life) enter(p Proposal, next *committee, exits ...*ExitProof) {
	l.Helper()
	signer := l.key
	if signer == nil {
		signer = next // the founding spends deposits under its own key
	}
	tr, tx := l.build(p, signer)
	l.submit(tx, int(p.Next.Terms.Depth)-1)
	l.enterMined(tr, next, exits...)
}

func (l *life) enterMined(tr *Transition, next *committee, exits ...*ExitProof) {
	l.Helper()
	block, height := l.find(tr.Spend.TxID())
	proof, err := NewProof(tr, block, height, exits)
	l.must(err)
	l.proofs = append(l.proofs, proof)
	l.state, l.key = tr.State(), next
	l.verified()
}

// verified follows all epochs as an outsider does.
func (l *life) verified() {
	l.Helper()
	var proofs []*Proof
	for _, p := range l.proofs {
		q, err := DecodeProof(p.Bytes())
		l.must(err)
		proofs = append(proofs, q)
	}
	all, err := Verify(l.born, proofs, l.header)
	l.must(err)
	if last := all[len(all)-1]; last.TxID != l.state.TxID || last.Hash() != l.state.Hash() {
		l.Error("an outsider sees another epoch")
	}
}

// owner is the number of the person with that bond key.
func owner(t testing.TB, m Member) secret {
	for id := range 20 {
		if k := bondKey(id); k.xonly() == m.Bond {
			return k
		}
	}
	t.Fatal("nobody's bond")
	return secret{}
}

// exit signs the exit of member i.
func (l *life) exit(i int, rate int64) *wire.MsgTx {
	l.Helper()
	x, err := l.state.Exit(i, l.state.Members[i].Refund, bitcoin.PerVByte(rate))
	l.must(err)
	tx, err := x.Sign(owner(l, l.state.Members[i]), [32]byte{})
	l.must(err)
	return tx
}

// reorg takes the last n blocks away and mines n+1 others. What was in them is in
// the pool again and in the first new block.
func (l *life) reorg(n int) {
	l.Helper()
	hash, err := l.chain.BlockHashAt(context.Background(), int32(l.tip())-int32(n)+1)
	l.must(err)
	l.must(l.chain.Invalidate(hash))
	l.mine(n + 1)
}

// reproof makes the last proof again after a reorg has moved its block.
func (l *life) reproof(tr *Transition) {
	l.Helper()
	block, height := l.find(tr.Spend.TxID())
	last := len(l.proofs) - 1
	proof, err := NewProof(tr, block, height, l.proofs[last].Exits)
	l.must(err)
	l.proofs[last] = proof
	l.verified()
}
