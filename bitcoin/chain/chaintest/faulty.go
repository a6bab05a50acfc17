package chaintest

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/mining"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin/chain"
)

// Fault is a way in which a backend fails or lies.
type Fault string

// The faults.
const (
	Healthy      Fault = ""
	Hang         Fault = "no answer until the caller gives up"
	StaleTip     Fault = "its chain ends where it was, however it grows"
	WrongNetwork Fault = "a node of another network"
	LessWork     Fault = "a branch of valid headers with less work"
	MissingBlock Fault = "headers without their blocks"
	OtherBlock   Fault = "another block than the one asked for"
	ForgedBlock  Fault = "the right header over other transactions"
	NoWitness    Fault = "the right transactions with another witness"
	NoWork       Fault = "a next block that nobody worked for"
)

// Faults are all but Healthy.
var Faults = []Fault{Hang, StaleTip, WrongNetwork, LessWork, MissingBlock, OtherBlock, ForgedBlock, NoWitness, NoWork}

// Faulty is a good backend that can be made to fail in one way at a time. What it
// lies about is what Follow asks; the rest is the good backend's.
type Faulty struct {
	chain.Backend
	now atomic.Pointer[failure]
}

// failure is what is wrong since Set.
type failure struct {
	Fault
	end    chain.BlockID  // where its chain ends; the zero value is where the good one does
	forged *wire.MsgBlock // the block at end, if it is its own
}

// NewFaulty wraps a regtest backend, healthy at first.
func NewFaulty(good chain.Backend) *Faulty {
	f := &Faulty{Backend: good}
	f.now.Store(&failure{})
	return f
}

// Set makes f fail in this way from now on.
func (f *Faulty) Set(ctx context.Context, fault Fault) error {
	next := &failure{Fault: fault}
	tip, err := f.Backend.Tip(ctx)
	if err != nil {
		return err
	}
	switch fault {
	case StaleTip:
		next.end = tip
	case LessWork, NoWork:
		parent := tip
		if fault == LessWork {
			parent.Height -= 3
			if parent.Hash, err = f.Backend.BlockHashAt(ctx, parent.Height); err != nil {
				return err
			}
		}
		next.forged = NextBlock(parent.Hash, parent.Height+1)
		for fault == NoWork && worked(next.forged.BlockHash()) {
			next.forged.Header.Nonce++
		}
		next.end = chain.BlockID{Height: parent.Height + 1, Hash: next.forged.BlockHash()}
	}
	f.now.Store(next)
	return nil
}

// state returns what is wrong, after waiting for the end of ctx if it is to hang.
func (f *Faulty) state(ctx context.Context) (*failure, error) {
	now := f.now.Load()
	switch now.Fault {
	case Hang:
		<-ctx.Done()
		return now, ctx.Err()
	case WrongNetwork:
		return now, &chain.NotReadyError{Kind: chain.WrongNetwork, Detail: "its first block is another"}
	}
	return now, nil
}

// Ready hangs and knows another network; any other fault goes unnoticed, as it
// does by a node that lies.
func (f *Faulty) Ready(ctx context.Context) error {
	if _, err := f.state(ctx); err != nil {
		return err
	}
	return f.Backend.Ready(ctx)
}

// Tip implements chain.Backend.
func (f *Faulty) Tip(ctx context.Context) (chain.BlockID, error) {
	now, err := f.state(ctx)
	if err != nil {
		return chain.BlockID{}, err
	}
	if now.end != (chain.BlockID{}) {
		return now.end, nil
	}
	return f.Backend.Tip(ctx)
}

// BlockHashAt implements chain.Backend.
func (f *Faulty) BlockHashAt(ctx context.Context, height int32) (chainhash.Hash, error) {
	tip, err := f.Tip(ctx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	switch {
	case height > tip.Height:
		return chainhash.Hash{}, fmt.Errorf("block at height %d: %w", height, chain.ErrNotFound)
	case height == tip.Height:
		return tip.Hash, nil
	}
	return f.Backend.BlockHashAt(ctx, height)
}

// Header implements chain.Backend.
func (f *Faulty) Header(ctx context.Context, hash chainhash.Hash) (wire.BlockHeader, error) {
	now, err := f.state(ctx)
	if err != nil {
		return wire.BlockHeader{}, err
	}
	if now.forged != nil && hash == now.end.Hash {
		return now.forged.Header, nil
	}
	return f.Backend.Header(ctx, hash)
}

// Block implements chain.Backend.
func (f *Faulty) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	now, err := f.state(ctx)
	if err != nil {
		return nil, err
	}
	if now.forged != nil && hash == now.end.Hash {
		return now.forged, nil
	}
	good, err := f.Backend.Block(ctx, hash)
	if err != nil {
		return nil, err
	}
	switch now.Fault {
	case MissingBlock:
		return nil, fmt.Errorf("block %v: %w", hash, chain.ErrNotFound)
	case OtherBlock:
		return f.Backend.Block(ctx, good.Header.PrevBlock)
	case ForgedBlock:
		forged := good.Copy()
		forged.Transactions[0].TxOut[0].PkScript = Script()
		forged.Transactions[0].TxOut[0].Value++
		return forged, nil
	case NoWitness:
		forged := good.Copy()
		for _, tx := range forged.Transactions {
			for _, in := range tx.TxIn {
				in.Witness = wire.TxWitness{{1}}
			}
		}
		return forged, nil
	}
	return good, nil
}

// Submit implements chain.Backend.
func (f *Faulty) Submit(ctx context.Context, tx *wire.MsgTx) error {
	if _, err := f.state(ctx); err != nil {
		return err
	}
	return f.Backend.Submit(ctx, tx)
}

// NextBlock makes a block that commits to a coinbase and transactions, and has
// the work of a regtest block. Nodes may refuse it: the coinbase pays nothing.
func NextBlock(parent chainhash.Hash, height int32, txs ...*wire.MsgTx) *wire.MsgBlock {
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, Sequence: uint32(height)})
	coinbase.AddTxOut(wire.NewTxOut(0, Script()))
	block := &wire.MsgBlock{Transactions: append([]*wire.MsgTx{coinbase}, txs...)}
	all := btcutil.NewBlock(block).Transactions()
	mining.AddWitnessCommitment(all[0], all) // appends to the coinbase
	block.Header = wire.BlockHeader{
		PrevBlock:  parent,
		MerkleRoot: blockchain.CalcMerkleRoot(btcutil.NewBlock(block).Transactions(), false),
		Bits:       chaincfg.RegressionNetParams.PowLimitBits,
	}
	for !worked(block.BlockHash()) {
		block.Header.Nonce++
	}
	return block
}

// worked reports whether a hash meets the target of regtest.
func worked(hash chainhash.Hash) bool {
	return blockchain.HashToBig(&hash).Cmp(chaincfg.RegressionNetParams.PowLimit) <= 0
}
