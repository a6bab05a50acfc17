package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Filterer is a Backend that can tell without the block itself whether the block
// concerns somebody (BIP 158).
type Filterer interface {
	// MayConcern says whether the block may pay to one of scripts or spend from
	// one. false is certain. Outputs that begin with OP_RETURN are not covered.
	MayConcern(ctx context.Context, block chainhash.Hash, scripts [][]byte) (bool, error)
}

// Scan visits, in order, the blocks of the best chain from height first on that
// may concern scripts, and returns the last block it looked at: the tip. It is for
// those who follow a few scripts only; where the backend has no filters every block
// is fetched. Each block is checked as Follow does. A reorg meanwhile ends the scan
// with ErrFork, an error of visit with that.
func Scan(ctx context.Context, b Backend, first int32, scripts [][]byte, visit func(BlockID, *wire.MsgBlock) error) (BlockID, error) {
	filters, _ := b.(Filterer)
	var tip BlockID
	for height := max(0, first); ; height++ {
		hash, err := b.BlockHashAt(ctx, height)
		if errors.Is(err, ErrNotFound) {
			return tip, nil
		}
		if err != nil {
			return tip, err
		}
		header, err := b.Header(ctx, hash)
		if err != nil {
			return tip, err
		}
		if bad := checkHeader(hash, &header); bad != nil {
			return tip, fmt.Errorf("header %v: %w: %w", hash, ErrCorrupt, bad)
		}
		if tip.Hash != (chainhash.Hash{}) && header.PrevBlock != tip.Hash {
			return tip, fmt.Errorf("block %d: %w", height, ErrFork)
		}
		tip = BlockID{Height: height, Hash: hash}
		if filters != nil {
			concerned, err := filters.MayConcern(ctx, hash, scripts)
			if err != nil {
				return tip, err
			}
			if !concerned {
				continue
			}
		}
		block, err := b.Block(ctx, hash)
		if err == nil {
			err = CheckBlock(hash, block)
		}
		if err == nil {
			err = visit(tip, block)
		}
		if err != nil {
			return tip, err
		}
	}
}

// FindOutput answers what Backend.Output does, from the blocks: the unspent output
// op, which pays to script, created at height first or later. It is for backends
// without the capability Outputs; Spender is always nil.
//
// first should be the height of the block that created the output: every block
// since is looked at, or its filter.
func FindOutput(ctx context.Context, b Backend, op wire.OutPoint, script []byte, first int32) (Output, error) {
	var born *BlockID
	var spent bool
	var out Output
	tip, err := Scan(ctx, b, first, [][]byte{script}, func(id BlockID, block *wire.MsgBlock) error {
		for i, tx := range block.Transactions {
			if tx.TxHash() == op.Hash && int(op.Index) < len(tx.TxOut) {
				created := tx.TxOut[op.Index]
				out = Output{Value: created.Value, PkScript: append([]byte(nil), created.PkScript...), Coinbase: i == 0}
				born = &id
			}
			for _, in := range tx.TxIn {
				spent = spent || in.PreviousOutPoint == op
			}
		}
		return nil
	})
	if err != nil {
		return Output{}, fmt.Errorf("find output %v: %w", op, err)
	}
	if born == nil || spent {
		return Output{}, fmt.Errorf("unspent output %v since block %d: %w", op, first, ErrNotFound)
	}
	out.Confirmations, out.AsOf = tip.Height-born.Height+1, tip.Hash
	return out, nil
}
