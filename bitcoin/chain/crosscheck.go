package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
)

const (
	// agreeBelow is how many of the last common blocks two sources may differ in:
	// blocks found at the same moment reach them in different order.
	agreeBelow = 2

	// maxLag is how many blocks one source may be ahead. A light client learns of a
	// block within seconds; a source that is an hour behind has been cut off.
	maxLag = 6
)

// CrossCheck returns backend with a second opinion: it is ready only while second
// is ready too and both are on the same chain, at about the same height. All
// answers come from backend; second is asked only for its tip. The result must be
// polled.
//
// Whoever isolates a node, or is the node, can show it another chain. With a second
// source that has other peers this takes both. The price is that the member stops
// while either is out of order.
func CrossCheck(backend, second Backend) Backend { return crossChecked{backend, second} }

type crossChecked struct {
	Backend
	second Backend
}

// Ready implements Backend.
func (c crossChecked) Ready(ctx context.Context) error {
	if err := c.Backend.Ready(ctx); err != nil {
		return err
	}
	if err := c.second.Ready(ctx); err != nil {
		return secondOpinion(err)
	}
	first, err := c.Backend.Tip(ctx)
	if err != nil {
		return &NotReadyError{Kind: Unreachable, Detail: err.Error(), Err: err}
	}
	other, err := c.second.Tip(ctx)
	if err != nil {
		return secondOpinion(err)
	}
	if lag := first.Height - other.Height; lag > maxLag || lag < -maxLag {
		return disputed("its tip is block %d, that of the second opinion block %d", first.Height, other.Height)
	}
	height := max(0, min(first.Height, other.Height)-agreeBelow)
	one, err := c.Backend.BlockHashAt(ctx, height)
	if err != nil {
		return &NotReadyError{Kind: Unreachable, Detail: err.Error(), Err: err}
	}
	two, err := c.second.BlockHashAt(ctx, height)
	if err != nil {
		return secondOpinion(err)
	}
	if one != two {
		return disputed("block %d is %v, that of the second opinion %v", height, one, two)
	}
	return nil
}

// secondOpinion says of a reason that it is the second opinion's.
func secondOpinion(err error) error {
	kind, detail := Unreachable, err.Error()
	if notReady := new(NotReadyError); errors.As(err, &notReady) {
		kind, detail = notReady.Kind, notReady.Detail
	}
	return &NotReadyError{Kind: kind, Detail: "second opinion: " + detail, Err: err}
}

func disputed(format string, args ...any) error {
	return &NotReadyError{Kind: Disputed, Detail: fmt.Sprintf(format, args...)}
}

// MayConcern implements Filterer: without filters every block may.
func (c crossChecked) MayConcern(ctx context.Context, block chainhash.Hash, scripts [][]byte) (bool, error) {
	if f, ok := c.Backend.(Filterer); ok {
		return f.MayConcern(ctx, block, scripts)
	}
	return true, nil
}
