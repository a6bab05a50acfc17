package regtest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/mempool"
	"github.com/btcsuite/btcd/mining"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin/chain"
)

// wireBlock is a block in the making.
type wireBlock struct {
	*wire.MsgBlock
	height    int32
	generator *mining.BlkTmplGenerator
}

// Mine adds n blocks with the mempool's transactions, each coinbase paying to
// payTo, and returns their hashes when they are durable. A coinbase is spendable
// 100 blocks later; regtest halves the subsidy every 150 blocks, so fund early.
func (c *Chain) Mine(n int, payTo []byte) ([]chainhash.Hash, error) {
	hashes := make([]chainhash.Hash, 0, max(n, 0))
	err := c.change(context.Background(), func() error {
		for range n {
			b, err := c.template(c.pool)
			if err != nil {
				return err
			}
			hash, err := c.solve(b, payTo)
			if err != nil {
				return err
			}
			hashes = append(hashes, hash)
		}
		return nil
	})
	return hashes, err
}

// MineTxs adds one block that holds exactly txs, in this order, without asking
// the mempool. It shows what consensus, and not only relay policy, refuses: then
// the error is a *chain.RejectedError. The coinbase forgoes the fees.
func (c *Chain) MineTxs(payTo []byte, txs ...*wire.MsgTx) (hash chainhash.Hash, err error) {
	err = c.change(context.Background(), func() error {
		b, err := c.template(noTxs{})
		if err != nil {
			return err
		}
		all := []*btcutil.Tx{btcutil.NewTx(b.Transactions[0])}
		for _, tx := range txs {
			b.Transactions = append(b.Transactions, tx)
			all = append(all, btcutil.NewTx(tx))
		}
		mining.AddWitnessCommitment(all[0], all)
		hash, err = c.solve(b, payTo)
		return err
	})
	return hash, err
}

// solve finishes b, finds its nonce, and makes it the tip.
func (c *Chain) solve(b *wireBlock, payTo []byte) (chainhash.Hash, error) {
	// The witness commitment leaves the coinbase out, so its script may change.
	b.Transactions[0].TxOut[0].PkScript = payTo
	// An extra nonce that never repeats keeps a block mined after Invalidate from
	// being the very block that was invalidated.
	if err := b.generator.UpdateExtraNonce(b.MsgBlock, b.height, c.mined+1); err != nil {
		return chainhash.Hash{}, fmt.Errorf("finish coinbase: %w", err)
	}
	target := blockchain.CompactToBig(b.Header.Bits)
	for ; ; b.Header.Nonce++ {
		hash := b.Header.BlockHash()
		if blockchain.HashToBig(&hash).Cmp(target) <= 0 {
			break
		}
		if b.Header.Nonce == math.MaxUint32 {
			return chainhash.Hash{}, fmt.Errorf("no nonce solves the block at height %d", b.height)
		}
	}
	block := btcutil.NewBlock(b.MsgBlock)
	if err := c.process(block); err != nil {
		return chainhash.Hash{}, chain.Rejection(err.Error())
	}
	c.clock.advance(BlockSpacing)
	c.mined++
	if c.log != nil {
		var buf bytes.Buffer
		if err := b.Serialize(&buf); err != nil {
			return chainhash.Hash{}, fmt.Errorf("encode block: %w", err)
		}
		c.log.append(recordBlock, buf.Bytes())
	}
	return *block.Hash(), nil
}

// Invalidate takes a block and all above it out of the best chain, as an
// operator's invalidateblock does. Mining on then makes a reorg.
func (c *Chain) Invalidate(hash chainhash.Hash) error {
	return c.reorg(recordInvalidate, hash, c.chain.InvalidateBlock)
}

// Reconsider undoes Invalidate. The branch with more work becomes the best.
func (c *Chain) Reconsider(hash chainhash.Hash) error {
	return c.reorg(recordReconsider, hash, c.chain.ReconsiderBlock)
}

func (c *Chain) reorg(kind recordKind, hash chainhash.Hash, do func(*chainhash.Hash) error) error {
	return c.change(context.Background(), func() error {
		if err := do(&hash); err != nil {
			return err
		}
		if c.log != nil {
			c.log.append(kind, hash[:])
		}
		c.recheckPool()
		return nil
	})
}

// noTxs is an empty source of transactions.
type noTxs struct{}

var _ mining.TxSource = noTxs{}

func (noTxs) LastUpdated() time.Time               { return time.Time{} }
func (noTxs) MiningDescs() []*mining.TxDesc        { return nil }
func (noTxs) HaveTransaction(*chainhash.Hash) bool { return false }

var _ mining.TxSource = (*mempool.TxPool)(nil)
