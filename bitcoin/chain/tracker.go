package chain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// DefaultDepth is how many recent blocks a Tracker remembers: two days of
// blocks, several times the deepest reorg a public network has had.
const DefaultDepth = 288

// What a Tracker refuses.
var (
	// ErrFork means the block does not extend the tracked tip.
	ErrFork = errors.New("block does not extend the tip")

	// ErrTooDeep means a reorg reaches below the remembered blocks. What was built
	// on them cannot be undone step by step; a person must decide.
	ErrTooDeep = errors.New("reorg is deeper than the remembered blocks")
)

// Tracker is where a consumer of the chain stands: its tip and, so that forks
// can be walked back, the blocks just below. It is pure; Follow drives one, and
// a consumer may keep its own to have the list to store.
type Tracker struct {
	recent []BlockID // consecutive heights, oldest first, each block the parent of the next
	depth  int
}

// NewTracker starts after the blocks of from: consecutive heights, oldest first,
// the last being the tip. Empty means that not even the genesis block has been
// seen. At most depth blocks are remembered (0 means DefaultDepth).
func NewTracker(from []BlockID, depth int) (*Tracker, error) {
	if depth == 0 {
		depth = DefaultDepth
	}
	if depth < 1 {
		return nil, fmt.Errorf("tracker depth %d is not positive", depth)
	}
	for i, id := range from {
		if id.Height < 0 || id.Height != from[0].Height+int32(i) {
			return nil, fmt.Errorf("recent block %d has height %d: heights must be consecutive", i, id.Height)
		}
	}
	t := &Tracker{depth: depth, recent: slices.Clone(from)}
	t.trim()
	return t, nil
}

// Tip returns the last connected block; ok is false before the genesis block.
func (t *Tracker) Tip() (tip BlockID, ok bool) {
	if len(t.recent) == 0 {
		return BlockID{}, false
	}
	return t.recent[len(t.recent)-1], true
}

// Next is the height of the block that Connect expects.
func (t *Tracker) Next() int32 {
	tip, ok := t.Tip()
	if !ok {
		return 0
	}
	return tip.Height + 1
}

// Connect adds the block with this hash and parent above the tip. It returns
// ErrFork, and changes nothing, if the tip is not its parent.
func (t *Tracker) Connect(hash, parent chainhash.Hash) (BlockID, error) {
	// Before the genesis block the tip is the zero BlockID, whose hash is also
	// what a genesis block names as its parent.
	if tip, _ := t.Tip(); tip.Hash != parent {
		return BlockID{}, fmt.Errorf("block %v on %v: %w", hash, parent, ErrFork)
	}
	id := BlockID{Height: t.Next(), Hash: hash}
	t.recent = append(t.recent, id)
	t.trim()
	return id, nil
}

// Disconnect takes the tip off. It returns ErrTooDeep, and changes nothing, if
// the block below is not remembered.
func (t *Tracker) Disconnect() (BlockID, error) {
	last := len(t.recent) - 1
	if last < 1 {
		return BlockID{}, ErrTooDeep
	}
	id := t.recent[last]
	t.recent = t.recent[:last]
	return id, nil
}

// Recent returns the remembered blocks, oldest first: what to store and to give
// to NewTracker after a restart.
func (t *Tracker) Recent() []BlockID { return slices.Clone(t.recent) }

// trim forgets the oldest blocks beyond depth.
func (t *Tracker) trim() {
	if extra := len(t.recent) - t.depth; extra > 0 {
		t.recent = slices.Delete(t.recent, 0, extra)
	}
}
