package chain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// remember notes the work of a block just connected, as long as the tracker
// remembers the block.
func (f *follower) remember(bits uint32) {
	f.work = append(f.work, blockchain.CalcWork(bits))
	if extra := len(f.work) - f.tracker.depth; extra > 0 {
		f.work = f.work[extra:]
	}
}

// weigh checks that the backend's branch has at least the work of the last lost
// blocks of ours. A block connected before this run, whose header nobody kept,
// counts as much as the one that the backend has in its place.
func (f *follower) weigh(ctx context.Context, lost int) error {
	tip, _ := f.tracker.Tip()
	ours, theirs := new(big.Int), new(big.Int)
	known := f.work[max(0, len(f.work)-lost):]
	for _, w := range known {
		ours.Add(ours, w)
	}
	for height := tip.Height - int32(lost) + 1; ; height++ {
		hash, err := f.backend.BlockHashAt(ctx, height)
		if errors.Is(err, ErrNotFound) {
			return &backendError{fmt.Errorf("block %d, to replace %d blocks up to %d, is its last: %w", height-1, lost, tip.Height, ErrLessWork)}
		}
		if err != nil {
			return &backendError{err}
		}
		header, err := f.backend.Header(ctx, hash)
		if err == nil {
			if bad := checkHeader(hash, &header); bad != nil {
				err = fmt.Errorf("header %v: %w: %w", hash, ErrCorrupt, bad)
			}
		}
		if err != nil {
			return &backendError{err}
		}
		work := blockchain.CalcWork(header.Bits)
		theirs.Add(theirs, work)
		if height <= tip.Height-int32(len(known)) {
			ours.Add(ours, work)
		}
		if height >= tip.Height-int32(len(known)) && theirs.Cmp(ours) >= 0 {
			return nil
		}
	}
}

// source is what Follow asks of a backend.
type source interface {
	BlockHashAt(ctx context.Context, height int32) (chainhash.Hash, error)
	Header(ctx context.Context, hash chainhash.Hash) (wire.BlockHeader, error)
	Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error)
}

// patient is a source that waits for no answer longer than its limit.
type patient struct {
	source
	limit time.Duration
}

func (p patient) BlockHashAt(ctx context.Context, height int32) (chainhash.Hash, error) {
	return within(ctx, p.limit, height, p.source.BlockHashAt)
}

func (p patient) Header(ctx context.Context, hash chainhash.Hash) (wire.BlockHeader, error) {
	return within(ctx, p.limit, hash, p.source.Header)
}

func (p patient) Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	return within(ctx, p.limit, hash, p.source.Block)
}

func within[Q, A any](ctx context.Context, limit time.Duration, question Q, ask func(context.Context, Q) (A, error)) (A, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := ask(limited, question)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("no answer within %v: %w", limit, ErrUnavailable)
	}
	return answer, err
}
