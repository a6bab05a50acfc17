package epoch

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// history is a federation on a ledger.
type history struct {
	t      testing.TB
	chain  ledger
	state  *State
	key    secret
	born   [32]byte // hash of the founding descriptor
	proofs []*Proof
	people int // persons numbered so far
	exits  map[[32]byte]*ExitProof
}

func newHistory(t testing.TB, n, filler int) *history {
	t.Helper()
	h := &history{t: t, key: newSecret("K", 0), people: n, exits: map[[32]byte]*ExitProof{}}
	h.chain.add(3, 0)
	e := mustNew(t, founding(h.key, n))
	h.born = e.Hash()
	h.transition(Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.PerVByte(2)}, h.key, filler)
	return h
}

func (h *history) transition(p Proposal, next secret, filler int) {
	h.t.Helper()
	tr := mustBuild(h.t, h.state, p)
	height := h.chain.add(int(p.Next.Terms.Depth), filler, signAll(h.t, tr, h.key))
	var exits []*ExitProof
	for _, c := range p.Next.Changes {
		if c.Kind == Exited {
			exits = append(exits, h.exits[c.Bond])
		}
	}
	proof, err := NewProof(tr, h.chain[height], height, exits)
	if err != nil {
		h.t.Fatal(err)
	}
	h.proofs = append(h.proofs, proof)
	h.state, h.key = tr.State(), next
}

// exit lets member i take its bond, with whatever inputs and sighash type.
func (h *history) exit(i int, sighash txscript.SigHashType, others, filler int, annex []byte) {
	h.t.Helper()
	m := h.state.Members[i]
	x, err := h.state.Exit(i, m.Refund, bitcoin.PerVByte(3))
	if err != nil {
		h.t.Fatal(err)
	}
	bond, err := h.state.Bond(i)
	if err != nil {
		h.t.Fatal(err)
	}
	tx := x.Tx
	prevouts := map[wire.OutPoint]*wire.TxOut{x.Tx.TxIn[0].PreviousOutPoint: wire.NewTxOut(int64(m.Value), bond.Script)}
	for j := range others {
		op := outPoint("wallet", uint64(i*100+j))
		in := &wire.TxIn{PreviousOutPoint: op, SignatureScript: bytes.Repeat([]byte{1}, j*90)}
		prevouts[op] = wire.NewTxOut(int64(1000+j), []byte{txscript.OP_TRUE})
		if j%2 == 0 {
			tx.TxIn = append([]*wire.TxIn{in}, tx.TxIn...)
		} else {
			tx.TxIn = append(tx.TxIn, in)
		}
	}
	own := spender(tx, h.state.BondOutPoint(i))
	// SIGHASH_SINGLE needs an output beside the input.
	for len(tx.TxOut) <= own {
		tx.AddTxOut(wire.NewTxOut(500, m.Refund))
	}
	fetcher := txscript.NewMultiPrevOutFetcher(prevouts)
	var options []txscript.TaprootSigHashOption
	if annex != nil {
		options = append(options, txscript.WithAnnex(annex))
	}
	msg, err := txscript.CalcTapscriptSignaturehash(txscript.NewTxSigHashes(tx, fetcher), sighash, tx, own, fetcher,
		txscript.NewBaseTapLeaf(bond.Leaf), options...)
	if err != nil {
		h.t.Fatal(err)
	}
	sig, err := h.owner(m.Bond).Sign(msg, [32]byte{})
	if err != nil {
		h.t.Fatal(err)
	}
	witness := sig[:]
	if sighash != txscript.SigHashDefault {
		witness = append(witness, byte(sighash))
	}
	tx.TxIn[own].Witness = wire.TxWitness{witness, bond.Leaf, bond.Control}
	if annex != nil {
		tx.TxIn[own].Witness = append(tx.TxIn[own].Witness, annex)
	}
	height := h.chain.add(int(h.state.Terms.Depth), filler, tx)
	p, err := NewExitProof(h.chain[height], height, h.state.BondOutPoint(i), func(op wire.OutPoint) (*wire.TxOut, error) { return prevouts[op], nil })
	if err != nil {
		h.t.Fatal(err)
	}
	h.exits[m.Bond] = p
}

// owner finds the secret of a bond key.
func (h *history) owner(bond [32]byte) secret {
	for id := range h.people {
		if k := bondKey(id); k.xonly() == bond {
			return k
		}
	}
	h.t.Fatal("nobody's bond")
	return secret{}
}

func (h *history) newcomer(value bitcoin.Sat) Member {
	h.people++
	return person(h.people-1, h.state.Number+1, value)
}

func (h *history) verify() ([]Confirmed, error) { return Verify(h.born, h.proofs, h.chain.header) }

// rich makes a history with every kind of change, exit and coin.
func rich(t testing.TB) *history {
	h := newHistory(t, 4, 3)
	next := newSecret("K", 1)
	d := successor(h.state, next, []Member{h.newcomer(250_000)}, Change{Bond: h.state.Members[1].Bond, Kind: Removed, Class: Fault, Evidence: digest("proof")})
	e := mustNew(t, d)
	h.transition(Proposal{Next: e, Deposits: depositsOf(e), TopUp: 500, FeeRate: bitcoin.PerVByte(7), Sweep: []bitcoin.Coin{
		{OutPoint: outPoint("coin", 3), Amount: 2_000, Path: bitcoin.Path{Branch: bitcoin.Receive, Index: 8}},
		{OutPoint: outPoint("coin", 4), Amount: 30_000, Path: bitcoin.Path{Branch: bitcoin.Change, Index: 1}},
	}}, next, 5)
	h.exit(0, txscript.SigHashDefault, 2, 4, nil)
	h.exit(2, txscript.SigHashAll|txscript.SigHashAnyOneCanPay, 1, 0, []byte{annexTag, 1, 2, 3})
	last := newSecret("K", 2)
	d = successor(h.state, last, nil, Change{Bond: h.state.Members[0].Bond, Kind: Exited},
		Change{Bond: h.state.Members[2].Bond, Kind: Exited}, Change{Bond: h.state.Members[3].Bond, Kind: Left})
	h.transition(Proposal{Next: mustNew(t, d), FeeRate: bitcoin.PerVByte(2)}, last, 0)
	return h
}
