package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
	"frostfed/federation"
	"frostfed/protocols"
)

const (
	submitTimeout = 20 * time.Second
	readyPeriod   = 5 * time.Second
	readyTimeout  = 10 * time.Second
)

// chainState is what the daemon says of its chain backend.
type chainState struct {
	mu        sync.Mutex
	trouble   error // what Ready or, if that is content, the follower says
	following error // why the follower gets no further
}

// stuck notes why the follower gets no further, or that it does again.
func (c *chainState) stuck(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.following = err
}

func (c *chainState) followed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.following
}

func (c *chainState) set(err error) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = (err == nil) != (c.trouble == nil) || err != nil && err.Error() != c.trouble.Error()
	c.trouble = err
	return changed
}

// ChainTrouble says why the chain backend cannot be used now, or nil.
func (d *Daemon) ChainTrouble() error {
	d.chain.mu.Lock()
	defer d.chain.mu.Unlock()
	return d.chain.trouble
}

// watchReadiness tells the core whether its view of the chain can be relied on.
func (d *Daemon) watchReadiness() {
	ticker := time.NewTicker(readyPeriod)
	defer ticker.Stop()
	for first := true; ; first = false {
		ctx, cancel := context.WithTimeout(d.ctx, readyTimeout)
		err := d.cfg.Chain.Ready(ctx)
		cancel()
		if d.ctx.Err() != nil {
			return
		}
		if err == nil { // a backend that lies is content with itself
			err = d.chain.followed()
		}
		if d.chain.set(err) || first {
			if err != nil {
				d.cfg.Log.Warn("chain backend is not ready; nothing is approved until it is", "reason", err)
			} else {
				d.cfg.Log.Info("chain backend is ready")
			}
			ready := err == nil
			d.enqueue(input{apply: func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
				return core.ChainReady(now, ready), nil
			}})
		}
		select {
		case <-ticker.C:
		case <-d.ctx.Done():
			return
		}
	}
}

// followChain feeds blocks to the core, and begins again after a rescan.
func (d *Daemon) followChain() {
	for d.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(d.ctx)
		d.goRun(func() {
			select {
			case r := <-d.rescans:
				d.cfg.Log.Info("scanning the chain again for a new key", "from", r.From)
				cancel()
			case <-ctx.Done():
			}
		})
		err := d.follow(ctx)
		cancel()
		if errors.Is(err, chain.ErrTooDeep) {
			d.cfg.Log.Error("the chain was replaced below the blocks that this member remembers; reading it again", "reason", err)
			err = d.Do(d.ctx, func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
				return core.ForgetChain(now), nil
			})
		}
		if d.ctx.Err() == nil && err != nil && !errors.Is(err, context.Canceled) {
			d.cfg.Log.Warn("following the chain again", "reason", err)
			select {
			case <-time.After(readyPeriod):
			case <-d.ctx.Done():
			}
		}
	}
}

func (d *Daemon) follow(ctx context.Context) error {
	from, err := d.startBlocks(ctx)
	if err != nil {
		return err
	}
	return chain.Follow(ctx, chain.FollowConfig{Backend: d.cfg.Chain, From: from, Poll: d.cfg.Poll, Trouble: d.chain.stuck}, func(ev chain.Event) error {
		return d.Do(ctx, func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
			switch ev := ev.(type) {
			case chain.Connected:
				return core.BlockConnected(now, bitcoin.Height(ev.Height), ev.Block)
			case chain.Disconnected:
				return core.BlockDisconnected(now, bitcoin.Height(ev.Height), ev.Hash)
			}
			return federation.Effects{}, nil
		})
	})
}

// startBlocks says where the core stands: its remembered blocks, or a little
// below the tip if it has none.
func (d *Daemon) startBlocks(ctx context.Context) ([]chain.BlockID, error) {
	var from []chain.BlockID
	var oldest bitcoin.Height
	var keys bool
	err := d.View(ctx, func(_ protocols.Time, core *federation.Core) {
		for _, b := range core.Blocks() {
			from = append(from, chain.BlockID{Height: int32(b.Height), Hash: b.Hash})
		}
		oldest, keys = core.OldestBirth()
	})
	if err != nil || len(from) > 0 {
		return from, err
	}
	tip, err := d.cfg.Chain.Tip(ctx)
	if err != nil {
		return nil, err
	}
	height := max(0, tip.Height-startDepth)
	if keys {
		height = min(height, int32(oldest))
	}
	hash, err := d.cfg.Chain.BlockHashAt(ctx, height)
	if err != nil {
		return nil, err
	}
	return []chain.BlockID{{Height: height, Hash: hash}}, nil
}

// submitter hands signed transactions to the chain backend, one at a time.
func (d *Daemon) submitter() {
	for {
		select {
		case s := <-d.submits:
			ctx, cancel := context.WithTimeout(d.ctx, submitTimeout)
			err := d.cfg.Chain.Submit(ctx, s.Tx)
			caps, unsure := d.cfg.Chain.Capabilities(ctx)
			cancel()
			if d.ctx.Err() != nil {
				return
			}
			d.hub.publish(Event{At: time.Now(), Submitted: &Submitted{Request: s.Request, TxID: s.TxID, Err: err}})
			if err != nil {
				d.cfg.Log.Warn("the chain backend did not take a transaction; it is sent again with the next block",
					"request", short(s.Request), "txid", s.TxID, "reason", err)
			} else if unsure != nil || !caps.Verdict {
				d.cfg.Log.Info("transaction sent to peers, of whom none says what it made of it: a block will tell; it is sent again until then",
					"request", short(s.Request), "txid", s.TxID)
			} else {
				d.cfg.Log.Info("transaction sent", "request", short(s.Request), "txid", s.TxID)
			}
		case <-d.ctx.Done():
			return
		}
	}
}
