package regtest

import (
	"sync"
	"time"

	"github.com/btcsuite/btcd/blockchain"
)

// BlockSpacing is the time between two mined blocks on the chain's own clock.
// Time-based relative locks can so be tested by mining.
const BlockSpacing = 10 * time.Minute

// epoch is where the clock starts. It must lie after 2012-04-01: regtest's
// genesis is of 2011 and BIP 16, hence every witness spend, is switched on by
// block time.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is the time source of the consensus code. It moves only when a block is
// mined, so nothing depends on when a test runs.
type clock struct {
	mu    sync.Mutex
	moved time.Duration
}

var _ blockchain.MedianTimeSource = (*clock)(nil)

// AdjustedTime returns the current chain time.
func (c *clock) AdjustedTime() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return epoch.Add(c.moved)
}

// advance moves the clock by d.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}

// advanceTo moves the clock forward to t; it never goes back.
func (c *clock) advanceTo(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved = max(c.moved, t.Sub(epoch))
}

// AddTimeSample ignores the clocks of peers: there are none.
func (c *clock) AddTimeSample(string, time.Time) {}

// Offset is always zero, there being no peers to differ from.
func (c *clock) Offset() time.Duration { return 0 }
