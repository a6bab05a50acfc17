package neutrino

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/btcutil/v2/gcs"
	"github.com/btcsuite/btcd/btcutil/v2/gcs/builder"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/lightninglabs/neutrino"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
)

// Tip implements chain.Backend: the last block whose filter header is known too.
func (c *Client) Tip(ctx context.Context) (chain.BlockID, error) {
	s, err := c.connected(ctx)
	if err != nil {
		return chain.BlockID{}, err
	}
	return chain.BlockID{Height: s.best.Height, Hash: s.best.Hash}, nil
}

// BlockHashAt implements chain.Backend.
func (c *Client) BlockHashAt(ctx context.Context, height int32) (chainhash.Hash, error) {
	tip, err := c.Tip(ctx)
	if err != nil {
		return chainhash.Hash{}, err
	}
	if height < 0 || height > tip.Height {
		return chainhash.Hash{}, fmt.Errorf("block at height %d: %w", height, chain.ErrNotFound)
	}
	header, err := query(ctx, c, func() (*wire.BlockHeader, error) { return c.header(height) })
	if err != nil {
		return chainhash.Hash{}, err
	}
	return header.BlockHash(), nil
}

// Header implements chain.Backend, for blocks of the best chain.
func (c *Client) Header(ctx context.Context, hash chainhash.Hash) (wire.BlockHeader, error) {
	if _, err := c.connected(ctx); err != nil {
		return wire.BlockHeader{}, err
	}
	header, err := query(ctx, c, func() (*wire.BlockHeader, error) {
		header, err := c.service.GetBlockHeader(&hash)
		// After a reorg the index still leads from the old hash to the new header.
		if err != nil || header.BlockHash() != hash {
			return nil, fmt.Errorf("header %v: %w", hash, chain.ErrNotFound)
		}
		return header, nil
	})
	if err != nil {
		return wire.BlockHeader{}, err
	}
	return *header, nil
}

// Block implements chain.Backend, for blocks of the best chain.
func (c *Client) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	if _, err := c.Header(ctx, hash); err != nil {
		return nil, err
	}
	if hash == *c.cfg.Params.GenesisHash {
		return c.cfg.Params.GenesisBlock.Copy(), nil // part of the rules; peers need not serve it
	}
	block, err := query(ctx, c, func() (*btcutil.Block, error) { return c.service.GetBlock(hash) })
	if err != nil {
		return nil, unavailable(ctx, err, "block %v", hash)
	}
	return block.MsgBlock(), nil
}

// MayConcern implements chain.Filterer. The filters of the blocks after this one
// are fetched with it, as a scan wants them next.
func (c *Client) MayConcern(ctx context.Context, hash chainhash.Hash, scripts [][]byte) (bool, error) {
	if _, err := c.Header(ctx, hash); err != nil {
		return false, err
	}
	filter, err := query(ctx, c, func() (*gcs.Filter, error) {
		return c.service.GetCFilter(hash, wire.GCSFilterRegular, neutrino.OptimisticBatch())
	})
	if err != nil {
		return false, unavailable(ctx, err, "filter of block %v", hash)
	}
	if filter.N() == 0 || len(scripts) == 0 {
		return false, nil
	}
	found, err := filter.MatchAny(builder.DeriveKey(&hash), scripts)
	if err != nil {
		return false, unavailable(ctx, err, "filter of block %v", hash)
	}
	return found, nil
}

// unavailable is a failure to get something from peers, unless the caller gave up.
func unavailable(ctx context.Context, err error, format string, args ...any) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf(format+": %w: %w", append(args, chain.ErrUnavailable, err)...)
}

// Output implements chain.Backend: a light client has no set of unspent outputs.
func (c *Client) Output(ctx context.Context, op wire.OutPoint) (chain.Output, error) {
	return chain.Output{}, c.cannot(ctx, "look up output %v without its script and height", op)
}

// Test implements chain.Backend: peers cannot be asked.
func (c *Client) Test(ctx context.Context, _ *wire.MsgTx) error {
	return c.cannot(ctx, "test a transaction")
}

// FeeRate implements chain.Backend: peers cannot be asked.
func (c *Client) FeeRate(ctx context.Context, _ int) (bitcoin.SatPerKWU, error) {
	return 0, c.cannot(ctx, "estimate fees")
}

// cannot is the answer of methods without their capability; being out of order
// comes first.
func (c *Client) cannot(ctx context.Context, format string, args ...any) error {
	if _, err := c.connected(ctx); err != nil {
		return err
	}
	return fmt.Errorf("light client cannot "+format+": %w", append(args, chain.ErrUnsupported)...)
}

// Submit implements chain.Backend: nil means that the transaction was written to
// at least one peer, nothing more.
//
// neutrino's own SendTransaction is not used. It answers nil too when no peer wants
// the transaction, so it tells no more; and it keeps each transaction and announces
// it again with every block until a peer says by a reject message that it is
// confirmed, which nodes have not sent since Bitcoin Core 0.20 (BIP 61). Callers
// here send again themselves, and know when to stop.
func (c *Client) Submit(ctx context.Context, tx *wire.MsgTx) error {
	if _, err := c.connected(ctx); err != nil {
		return err
	}
	tx = tx.Copy() // it is encoded when its turn comes
	sent, err := query(ctx, c, func() (chan struct{}, error) {
		peers, err := c.peers()
		if err != nil {
			return nil, err
		}
		sent := make(chan struct{}, len(peers))
		for _, peer := range peers {
			peer.QueueMessageWithEncoding(tx, sent, wire.WitnessEncoding)
		}
		return sent, nil
	})
	if err != nil {
		return err
	}
	if cap(sent) == 0 {
		return fmt.Errorf("no peer is connected: %w", chain.ErrUnavailable)
	}
	select {
	case <-sent:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closing:
		return errClosed
	}
}

// Subscribe implements chain.Notifier.
func (c *Client) Subscribe() (changed <-chan struct{}, stop func()) { return c.subs.Subscribe() }
