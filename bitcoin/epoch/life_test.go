package epoch

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/regtest"
)

func shortTerms() Terms {
	terms := testTerms()
	terms.Delay, terms.DepositDelay, terms.Depth = 20, 16, 6
	return terms
}

// TestLife is the life of a federation, each step on the state the one before left.
func TestLife(t *testing.T) {
	c, err := regtest.Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &life{chain: c, miner: newSecret("miner", 0), kept: map[string]*wire.MsgTx{}}
	for _, step := range []struct {
		name string
		do   func(*life)
	}{
		{"coins", (*life).fund},
		{"deposits, then the founding of five", (*life).found},
		{"a sixth joins and cannot take its deposit back", (*life).join},
		{"the old key is left with nothing", (*life).oldKey},
		{"a member leaves with its refund", (*life).leave},
		{"a member is removed and pays a penalty", (*life).remove},
		{"a stuck transition is replaced", (*life).bump},
		{"the transition is reorganized away, 1 and 6 deep", (*life).reorganize},
		{"no exit too early, by the wrong key, or with the wrong sequence", (*life).exitTooEarly},
		{"a member exits alone", (*life).exitAlone},
		{"the rest goes on without it", (*life).goOn},
		{"an applicant that is ignored gets its deposit back", (*life).ignored},
		{"a deposit is reorganized away and spent elsewhere", (*life).loseDeposit},
		{"all exit", (*life).disband},
	} {
		if !t.Run(step.name, func(t *testing.T) { l.T = t; step.do(l) }) {
			t.FailNow() // the next step has nothing to stand on
		}
	}
}

func (l *life) fund() {
	first := l.mine(101)[0]
	block, err := l.chain.Block(context.Background(), first)
	l.must(err)
	coinbase := block.Transactions[0]
	l.purse = bitcoin.Coin{OutPoint: wire.OutPoint{Hash: coinbase.TxHash()}, Amount: bitcoin.Sat(coinbase.TxOut[0].Value)}
}

func (l *life) found() {
	key := generate(l, 3, 5, "epoch 0")
	d := founding(key, 5)
	d.Threshold, d.Terms = 3, shortTerms()
	e := mustNew(l, d)
	l.born = e.Hash()
	l.enter(Proposal{Next: e, Deposits: l.deposit(e, e), FeeRate: bitcoin.PerVByte(2)}, key)
	if got := l.proofs[0].Descriptor.Threshold; got != 3 {
		l.Errorf("threshold %d", got)
	}
}

func (l *life) join() {
	next := generate(l, 4, 6, "epoch 1")
	d := successor(l.state, next, []Member{person(5, 1, 300_000)})
	e := mustNew(l, d)
	deposits := l.deposit(l.state.Epoch, e)

	// The joiner tries to have its deposit back before the transition confirms: the
	// attack that defeats an admission whose input the applicant still controls.
	joiner := bondKey(5)
	out, err := l.state.Deposit(joiner.xonly())
	l.must(err)
	x, err := NewExit(out, deposits[0].OutPoint, 350_000, p2trOf(joiner), bitcoin.PerVByte(100))
	l.must(err)
	refund, err := x.Sign(joiner, [32]byte{})
	l.must(err)
	l.refused(refund, chain.RejectNotFinal)

	tr, tx := l.build(Proposal{Next: e, Deposits: deposits, FeeRate: bitcoin.PerVByte(2)}, l.key)
	l.must(l.chain.Submit(context.Background(), tx))
	// It may not replace the transition either, at any fee.
	l.refused(refund, chain.RejectNotFinal)
	l.mine(6)
	old := l.key
	l.enterMined(tr, next)
	l.kept["old key"] = l.oldKeySpend(old)
}

// oldKeySpend is what members of epoch 0 could still sign: their founding bonds.
func (l *life) oldKeySpend(old *committee) *wire.MsgTx {
	l.Helper()
	e := mustNew(l, *l.proofs[0].Descriptor)
	tr, err := Build(nil, Proposal{Next: e, Deposits: func() []Deposit {
		var out []Deposit
		for i, j := range e.joiners() {
			out = append(out, Deposit{e.Members[j].Bond, l.proofs[0].Deposits[i]})
		}
		return out
	}(), FeeRate: bitcoin.PerVByte(50)})
	l.must(err)
	return signAll(l, tr, old)
}

func (l *life) oldKey() {
	l.refused(l.kept["old key"], chain.RejectMissingInputs)
}

func (l *life) leave() {
	next := generate(l, 3, 5, "epoch 2")
	leaver := l.state.Members[2]
	d := successor(l.state, next, nil, Change{Bond: leaver.Bond, Kind: Left, Evidence: digest("request")})
	l.enter(Proposal{Next: mustNew(l, d), FeeRate: bitcoin.PerVByte(2)}, next)
	l.refunded(leaver, leaver.Value)
}

// refunded looks for the output that pays a member who is gone.
func (l *life) refunded(m Member, want bitcoin.Sat) {
	l.Helper()
	block, _ := l.find(l.state.TxID)
	for _, tx := range block.Transactions {
		for _, out := range tx.TxOut {
			if bytes.Equal(out.PkScript, m.Refund) {
				if bitcoin.Sat(out.Value) != want {
					l.Errorf("refund of %d sat, want %v", out.Value, want)
				}
				return
			}
		}
	}
	l.Error("no refund")
}

func (l *life) remove() {
	next := generate(l, 3, 4, "epoch 3")
	liar := l.state.Members[1]
	d := successor(l.state, next, nil, Change{Bond: liar.Bond, Kind: Removed, Class: Fault, Evidence: digest("bad share")})
	pot := l.state.Pot
	l.enter(Proposal{Next: mustNew(l, d), FeeRate: bitcoin.PerVByte(2)}, next)
	l.refunded(liar, liar.Value-liar.Value/5)
	if l.state.Pot <= pot {
		l.Error("the penalty is not in the pot")
	}
}

func (l *life) bump() {
	next := generate(l, 3, 4, "epoch 4")
	e := mustNew(l, successor(l.state, next, nil))
	cheap, tx := l.build(Proposal{Next: e, FeeRate: bitcoin.PerVByte(1)}, l.key)
	l.must(l.chain.Submit(context.Background(), tx))
	dear, tx := l.build(Proposal{Next: e, FeeRate: bitcoin.PerVByte(9)}, l.key)
	l.must(dear.Replaces(cheap))
	l.submit(tx, 5)
	l.enterMined(dear, next)
}

func (l *life) reorganize() {
	next := generate(l, 3, 4, "epoch 5")
	e := mustNew(l, successor(l.state, next, nil))
	tr, tx := l.build(Proposal{Next: e, FeeRate: bitcoin.PerVByte(2)}, l.key)
	l.submit(tx, 0)
	l.reorg(1)
	if _, height := l.find(tx.TxHash()); height != l.tip()-1 {
		l.Errorf("mined again at %d, tip %d", height, l.tip())
	}
	l.mine(4)
	l.enterMined(tr, next)
	before := *l.proofs[len(l.proofs)-1]
	l.reorg(6)
	// The same bytes are in another block now: the old proof is void, a new one is
	// good, and the epoch is the same.
	if _, err := Verify(l.born, l.proofs, l.header); !errors.Is(err, ErrInclusion) {
		l.Errorf("a proof of a block that is gone: %v", err)
	}
	l.reproof(tr)
	if l.proofs[len(l.proofs)-1].Descriptor.Hash() != before.Descriptor.Hash() {
		l.Error("another epoch after the reorg")
	}
}

func (l *life) exitTooEarly() {
	// An epoch that begins now, so that the age of its bonds is known exactly.
	next := generate(l, 3, 4, "epoch 6")
	e := mustNew(l, successor(l.state, next, nil))
	tr, tx := l.build(Proposal{Next: e, FeeRate: bitcoin.PerVByte(2)}, l.key)
	l.submit(tx, 0)
	l.state = tr.State()
	_, began := l.find(l.state.TxID)
	delay := bitcoin.Height(l.state.Terms.Delay)

	exit := l.exit(0, 3)
	l.refused(exit, chain.RejectNotFinal) // in block began+1
	l.mine(5)
	l.enterMined(tr, next)
	for l.tip() < began+delay-2 {
		l.mine(1)
	}
	// The next block is the last in which the exit is not allowed.
	l.refused(exit, chain.RejectNotFinal)

	// Without the sequence the script itself refuses, at any age.
	x, err := l.state.Exit(0, l.state.Members[0].Refund, bitcoin.PerVByte(3))
	l.must(err)
	for _, sequence := range []uint32{uint32(delay) - 1, 0, wire.MaxTxInSequenceNum, 1<<22 | uint32(delay)} {
		x.Tx.TxIn[0].Sequence = sequence
		if _, err := x.Sign(owner(l, l.state.Members[0]), [32]byte{}); !errors.Is(err, bitcoin.ErrSignature) {
			l.Errorf("sequence %#x: %v", sequence, err)
		}
	}
	x.Tx.TxIn[0].Sequence = uint32(delay)
	if _, err := x.Sign(owner(l, l.state.Members[1]), [32]byte{}); !errors.Is(err, bitcoin.ErrSignature) {
		l.Errorf("another member's key: %v", err)
	}
	l.mine(1)
	// Nor may another member take it when the time has come.
	stolen := exit.Copy()
	h, err := x.Sighash()
	l.must(err)
	sig, err := bondKey(19).Sign(h[:], [32]byte{})
	l.must(err)
	stolen.TxIn[0].Witness[0] = sig[:]
	l.refused(stolen, chain.RejectInvalid)
	l.kept["exit"] = exit
}

func (l *life) exitAlone() {
	_, began := l.find(l.state.TxID)
	// Both are allowed now. A transition that pays more replaces an exit that waits;
	// so may the exit a transition.
	l.must(l.chain.Submit(context.Background(), l.exit(1, 2)))
	_, race := l.build(Proposal{Next: mustNew(l, successor(l.state, newSecret("race", 0), nil)), FeeRate: bitcoin.PerVByte(9)}, l.key)
	l.must(l.chain.Submit(context.Background(), race))
	x, err := l.state.Exit(0, l.state.Members[0].Refund, bitcoin.PerVByte(60))
	l.must(err)
	exit, err := x.Sign(owner(l, l.state.Members[0]), [32]byte{})
	l.must(err)
	l.kept["exit"] = exit
	l.submit(exit, 0)
	if _, height := l.find(exit.TxHash()); height != began+bitcoin.Height(l.state.Terms.Delay) {
		l.Errorf("exit in block %d, want %d", height, began+bitcoin.Height(l.state.Terms.Delay))
	}
	// The exit itself may be reorganized: the pool keeps it.
	l.reorg(1)
	l.find(exit.TxHash())
}

func (l *life) goOn() {
	next := generate(l, 2, 3, "epoch 7")
	gone := l.state.Members[0]
	// A transition that still counts on the bond.
	all := mustNew(l, successor(l.state, next, nil))
	_, tx := l.build(Proposal{Next: all, FeeRate: bitcoin.PerVByte(2)}, l.key)
	l.refused(tx, chain.RejectMissingInputs)

	exit := l.kept["exit"]
	l.mine(5)
	block, height := l.find(exit.TxHash())
	proof, err := NewExitProof(block, height, l.state.BondOutPoint(0), nil)
	l.must(err)
	e := mustNew(l, successor(l.state, next, nil, Change{Bond: gone.Bond, Kind: Exited, Evidence: exit.TxHash()}))
	l.enter(Proposal{Next: e, FeeRate: bitcoin.PerVByte(2)}, next, proof)
}

func (l *life) ignored() {
	applicant := bondKey(9)
	next := mustNew(l, successor(l.state, newSecret("never", 0), []Member{person(9, 8, 100_000)}))
	deposits := l.deposit(l.state.Epoch, next)
	terms := l.state.Terms
	_, confirmed := l.find(deposits[0].OutPoint.Hash)
	for l.tip()+1 < confirmed+bitcoin.Height(terms.DepositDelay) {
		l.mine(1)
	}
	out, err := l.state.Deposit(applicant.xonly())
	l.must(err)
	x, err := NewExit(out, deposits[0].OutPoint, 100_000+terms.EntryFee, p2trOf(applicant), bitcoin.PerVByte(2))
	l.must(err)
	tx, err := x.Sign(applicant, [32]byte{})
	l.must(err)
	l.submit(tx, 0)
	// Who admits it now is too late; the old epoch stands.
	_, late := l.build(Proposal{Next: next, Deposits: deposits, FeeRate: bitcoin.PerVByte(2)}, l.key)
	l.refused(late, chain.RejectMissingInputs)
	if _, err := l.chain.Output(context.Background(), l.state.ThreadOutPoint()); err != nil {
		l.Errorf("thread: %v", err)
	}
	l.verified()
}

func (l *life) loseDeposit() {
	joiner := person(10, 8, 100_000)
	next := mustNew(l, successor(l.state, newSecret("never", 1), []Member{joiner}))
	out, err := l.state.Deposit(joiner.Bond)
	l.must(err)
	purse := l.purse
	deposit := l.pay(wire.NewTxOut(int64(joiner.Value+next.Terms.EntryFee), out.Script))
	l.submit(deposit, 5)
	tr, tx := l.build(Proposal{Next: next, FeeRate: bitcoin.PerVByte(2),
		Deposits: []Deposit{{joiner.Bond, wire.OutPoint{Hash: deposit.TxHash()}}}}, l.key)
	if tr.Spend.Inputs[len(tr.Spend.Inputs)-1].Coin.OutPoint.Hash != deposit.TxHash() {
		l.Error("the deposit is not the last input")
	}
	l.must(l.chain.Submit(context.Background(), tx))

	// A miner helps the applicant: other blocks hold another spend of its coin.
	hash, err := l.chain.BlockHashAt(context.Background(), int32(l.tip())-5)
	l.must(err)
	l.must(l.chain.Invalidate(hash))
	l.purse = purse
	double := l.pay(wire.NewTxOut(50_000, joiner.Refund))
	_, err = l.chain.MineTxs(l.minerKey().Script, double)
	l.must(err)
	l.mine(6)
	l.refused(tx, chain.RejectMissingInputs)
	if _, err := l.chain.Output(context.Background(), l.state.ThreadOutPoint()); err != nil {
		l.Errorf("thread: %v", err)
	}
	l.verified()
}

func (l *life) disband() {
	for l.tip() < bitcoin.Height(l.proofs[len(l.proofs)-1].Inclusion.Height)+bitcoin.Height(l.state.Terms.Delay) {
		l.mine(1)
	}
	// The federation is off: a descriptor, a transaction id, a key.
	again, err := Decode(l.state.Bytes())
	l.must(err)
	alone := &State{Epoch: mustNew(l, *again), TxID: l.state.TxID}
	for i, m := range alone.Members {
		x, err := alone.Exit(i, p2trOf(newSecret("home", uint64(i))), bitcoin.PerVByte(1))
		l.must(err)
		tx, err := x.Sign(owner(l, m), [32]byte{})
		l.must(err)
		l.submit(tx, 0)
	}
}

// TestLargest takes the largest federation over the relay rules twice.
func TestLargest(t *testing.T) {
	c, err := regtest.Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &life{T: t, chain: c, miner: newSecret("miner", 0)}
	l.fund()
	key, next := newSecret("large", 0), newSecret("large", 1)
	d := founding(key, MaxMembers)
	d.Terms = shortTerms()
	e := mustNew(t, d)
	tr := mustBuild(t, nil, Proposal{Next: e, Deposits: l.deposit(e, e), FeeRate: bitcoin.PerVByte(1)})
	l.submit(signAll(t, tr, key), 0)
	l.state = tr.State()
	tr = mustBuild(t, l.state, Proposal{Next: mustNew(t, successor(l.state, next, nil)), FeeRate: bitcoin.PerVByte(1)})
	l.submit(signAll(t, tr, key), 0)
}
