package regtest

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/database"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
)

// Ready returns nil until Close.
func (c *Chain) Ready(ctx context.Context) error {
	err := c.view(ctx, func() error { return nil })
	if err != nil {
		return &chain.NotReadyError{Kind: chain.Unreachable, Detail: err.Error(), Err: err}
	}
	return nil
}

// Capabilities: all of them.
func (c *Chain) Capabilities(ctx context.Context) (chain.Capabilities, error) {
	return chain.Capabilities{Verdict: true, Outputs: true, Mempool: true, Fees: true, TestAccept: true, BlocksByHash: true}, ctx.Err()
}

// Tip implements chain.Backend.
func (c *Chain) Tip(ctx context.Context) (tip chain.BlockID, err error) {
	err = c.view(ctx, func() error {
		best := c.chain.BestSnapshot()
		tip = chain.BlockID{Height: best.Height, Hash: best.Hash}
		return nil
	})
	return tip, err
}

// BlockHashAt implements chain.Backend.
func (c *Chain) BlockHashAt(ctx context.Context, height int32) (hash chainhash.Hash, err error) {
	err = c.view(ctx, func() error {
		h, err := c.chain.BlockHashByHeight(height)
		if err != nil {
			return fmt.Errorf("block at height %d: %w", height, chain.ErrNotFound)
		}
		hash = *h
		return nil
	})
	return hash, err
}

// Header implements chain.Backend.
func (c *Chain) Header(ctx context.Context, hash chainhash.Hash) (header wire.BlockHeader, err error) {
	err = c.view(ctx, func() error {
		header, err = c.chain.HeaderByHash(&hash)
		if err != nil {
			return fmt.Errorf("header %v: %w", hash, chain.ErrNotFound)
		}
		return nil
	})
	return header, err
}

// Block implements chain.Backend, also for blocks off the best chain.
func (c *Chain) Block(ctx context.Context, hash chainhash.Hash) (block *wire.MsgBlock, err error) {
	err = c.view(ctx, func() error {
		return c.db.View(func(tx database.Tx) error {
			raw, err := tx.FetchBlock(&hash)
			if err != nil {
				return fmt.Errorf("block %v: %w", hash, chain.ErrNotFound)
			}
			b, err := btcutil.NewBlockFromBytes(append([]byte(nil), raw...)) // raw dies with tx
			if err != nil {
				return fmt.Errorf("parse block %v: %w", hash, err)
			}
			block = b.MsgBlock()
			return nil
		})
	})
	return block, err
}

// Output implements chain.Backend.
func (c *Chain) Output(ctx context.Context, op wire.OutPoint) (out chain.Output, err error) {
	err = c.view(ctx, func() error {
		entry, err := c.chain.FetchUtxoEntry(op)
		if err != nil {
			return fmt.Errorf("look up output %v: %w", op, err)
		}
		if entry == nil || entry.IsSpent() {
			return fmt.Errorf("unspent output %v: %w", op, chain.ErrNotFound)
		}
		best := c.chain.BestSnapshot()
		out = chain.Output{
			Value:         entry.Amount(),
			PkScript:      append([]byte(nil), entry.PkScript()...),
			Confirmations: best.Height - entry.BlockHeight() + 1,
			Coinbase:      entry.IsCoinBase(),
			AsOf:          best.Hash,
		}
		if spender := c.pool.CheckSpend(op); spender != nil {
			hash := *spender.Hash()
			out.Spender = &hash
		}
		return nil
	})
	return out, err
}

// Submit implements chain.Backend.
func (c *Chain) Submit(ctx context.Context, tx *wire.MsgTx) error {
	return c.change(ctx, func() error {
		// The pool keeps the transaction, so it gets a copy.
		_, err := c.pool.ProcessTransaction(btcutil.NewTx(tx.Copy()), false, true, 0)
		if err != nil {
			return chain.Rejection(err.Error())
		}
		return nil
	})
}

// Test implements chain.Backend. It takes the write lock because btcd's check
// counts low-fee transactions.
func (c *Chain) Test(ctx context.Context, tx *wire.MsgTx) error {
	return c.change(ctx, func() error {
		result, err := c.pool.CheckMempoolAcceptance(btcutil.NewTx(tx.Copy()))
		if err != nil {
			return chain.Rejection(err.Error())
		}
		if len(result.MissingParents) > 0 {
			return chain.Rejection("missing-inputs")
		}
		return nil
	})
}

// FeeRate is the relay minimum: blocks here are never full.
func (c *Chain) FeeRate(ctx context.Context, target int) (bitcoin.SatPerKWU, error) {
	return bitcoin.MinFeeRate, c.view(ctx, func() error { return nil })
}

// Subscribe implements chain.Notifier.
func (c *Chain) Subscribe() (changed <-chan struct{}, stop func()) { return c.subs.Subscribe() }
