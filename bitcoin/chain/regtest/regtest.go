// Package regtest is a whole Bitcoin regtest chain inside the process: btcd's
// consensus code, mempool and block assembly, without ports, peers or polling.
// Tests and the demo run on it; everything but proof of work and the network is
// what a real node does, including Taproot, relative locks, replacement by fee
// and reorgs.
//
// A Chain is deterministic: the same calls on a fresh chain make the same blocks
// with the same hashes, because its clock is a counter (see clock.go).
//
// # Durability
//
// btcd's block database buffers writes for minutes and offers no flush, so it is
// treated as a cache: it is made anew at every Open from a log of our own that
// is synced before Mine returns (see log.go). The mempool is not kept, as in a
// node after a crash; whoever wants a transaction mined submits it again.
package regtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/database"
	_ "github.com/btcsuite/btcd/database/ffldb" // registers the only driver
	"github.com/btcsuite/btcd/mempool"
	"github.com/btcsuite/btcd/mining"
	"github.com/btcsuite/btcd/txscript/v2"

	"frostfed/bitcoin/chain"
)

const (
	logFile = "blocks.log" // the chain; everything else in the directory is derived
	cacheDB = "cache.db"

	// utxoCache bounds the memory for unspent outputs. A demo chain never fills it.
	utxoCache = 16 << 20
	// sigCacheEntries and hashCacheEntries only save verifying a transaction twice,
	// once in the pool and once in its block.
	sigCacheEntries, hashCacheEntries = 1000, 1000
)

var errClosed = fmt.Errorf("regtest chain is closed: %w", chain.ErrUnavailable)

// Chain is a running regtest chain. It implements chain.Backend and
// chain.Notifier, and is safe for concurrent use by any number of daemons.
type Chain struct {
	// mu is held for writing by whatever changes the chain or the pool, until the
	// change is on disk. So no reader ever sees a block that a crash could undo.
	mu     sync.RWMutex
	closed bool

	params *chaincfg.Params
	clock  clock
	dir    string
	temp   bool // dir is removed by Close
	db     database.DB
	chain  *blockchain.BlockChain
	pool   *mempool.TxPool
	sigs   *txscript.SigCache
	hashes *txscript.HashCache
	log    *blockLog // nil if temp
	mined  uint64    // blocks ever made here, also those invalidated since

	subs chain.Wakeups
}

var (
	_ chain.Backend  = (*Chain)(nil)
	_ chain.Notifier = (*Chain)(nil)
)

// Open opens the chain kept in dir, creating it at the genesis block if there is
// none. An empty dir means a temporary chain that Close removes. One process
// must not open the same directory twice.
func Open(dir string) (*Chain, error) {
	c := &Chain{params: regtestParams(), dir: dir, temp: dir == ""}
	if err := c.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open regtest chain: %w", err), c.release())
	}
	return c, nil
}

func (c *Chain) open() (err error) {
	if c.temp {
		c.dir, err = os.MkdirTemp("", "regtest-")
	} else {
		err = os.MkdirAll(c.dir, 0o700)
	}
	if err != nil {
		return err
	}
	cache := filepath.Join(c.dir, cacheDB)
	if err := os.RemoveAll(cache); err != nil {
		return err
	}
	if c.db, err = database.Create("ffldb", cache, c.params.Net); err != nil {
		return err
	}
	c.sigs = txscript.NewSigCache(sigCacheEntries)
	c.hashes = txscript.NewHashCache(hashCacheEntries)
	c.chain, err = blockchain.New(&blockchain.Config{
		DB:               c.db,
		UtxoCacheMaxSize: utxoCache,
		ChainParams:      c.params,
		TimeSource:       &c.clock,
		SigCache:         c.sigs,
		HashCache:        c.hashes,
	})
	if err != nil {
		return err
	}
	c.pool = newPool(c)
	c.chain.Subscribe(c.onBlock)
	if c.temp {
		return nil
	}
	c.log, err = openLog(filepath.Join(c.dir, logFile), c.replay)
	return err
}

// Close stops the chain. Every later call returns an error that matches
// chain.ErrUnavailable.
func (c *Chain) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.subs.Wake() // followers see the end now rather than at their next poll
	return c.release()
}

func (c *Chain) release() error {
	c.closed = true
	var errs []error
	if c.log != nil {
		errs = append(errs, c.log.close())
	}
	if c.db != nil {
		errs = append(errs, c.db.Close())
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(filepath.Join(c.dir, cacheDB)))
	}
	if c.temp && c.dir != "" {
		errs = append(errs, os.Remove(c.dir))
	}
	return errors.Join(errs...)
}

// view runs f under the read lock.
func (c *Chain) view(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return errClosed
	}
	return f()
}

// change runs f under the write lock, makes what it logged durable, and tells
// subscribers if the tip moved.
func (c *Chain) change(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	before := c.chain.BestSnapshot().Hash
	err := f()
	if c.log != nil {
		if syncErr := c.log.sync(); syncErr != nil {
			// Memory is ahead of the disk: stop, as a node would.
			return errors.Join(syncErr, c.release())
		}
	}
	if c.chain.BestSnapshot().Hash != before {
		c.subs.Wake()
	}
	return err
}

// replay applies one record of the log.
func (c *Chain) replay(kind recordKind, payload []byte) error {
	if kind == recordBlock {
		block, err := btcutil.NewBlockFromBytes(payload)
		if err != nil {
			return fmt.Errorf("parse logged block: %w", err)
		}
		c.clock.advanceTo(block.MsgBlock().Header.Timestamp)
		if err := c.process(block); err != nil {
			return err
		}
		c.clock.advance(BlockSpacing)
		c.mined++
		return nil
	}
	hash, err := chainhash.NewHash(payload)
	if err != nil {
		return fmt.Errorf("parse logged hash: %w", err)
	}
	if kind == recordInvalidate {
		return c.chain.InvalidateBlock(hash)
	}
	return c.chain.ReconsiderBlock(hash)
}

// process hands a block to the consensus code. A block that becomes neither tip
// nor side branch is an error.
func (c *Chain) process(block *btcutil.Block) error {
	_, orphan, err := c.chain.ProcessBlock(block, blockchain.BFNone)
	if err == nil && orphan {
		err = fmt.Errorf("block %v has no parent here", block.Hash())
	}
	return err
}

// template assembles a block from source on top of the best chain.
func (c *Chain) template(source mining.TxSource) (*wireBlock, error) {
	policy := mining.Policy{
		BlockMaxWeight: blockchain.MaxBlockWeight - 4000, // room for the coinbase, as nodes leave
		BlockMaxSize:   blockchain.MaxBlockBaseSize - 1000,
	}
	g := mining.NewBlkTmplGenerator(&policy, c.params, source, c.chain, &c.clock, c.sigs, c.hashes)
	t, err := g.NewBlockTemplate(nil)
	if err != nil {
		return nil, fmt.Errorf("assemble block: %w", err)
	}
	return &wireBlock{MsgBlock: t.Block, height: t.Height, generator: g}, nil
}

// regtestParams copies the parameters of regtest. The copy matters: opening a
// chain ties the deployment timers to that chain, and btcd's own are global.
func regtestParams() *chaincfg.Params {
	p := chaincfg.RegressionNetParams
	for i := range p.Deployments {
		d := &p.Deployments[i]
		if s, ok := d.DeploymentStarter.(*chaincfg.MedianTimeDeploymentStarter); ok {
			d.DeploymentStarter = chaincfg.NewMedianTimeDeploymentStarter(s.StartTime())
		}
		if e, ok := d.DeploymentEnder.(*chaincfg.MedianTimeDeploymentEnder); ok {
			d.DeploymentEnder = chaincfg.NewMedianTimeDeploymentEnder(e.EndTime())
		}
	}
	return &p
}

// Time returns the chain's own clock, which moves BlockSpacing with each block.
func (c *Chain) Time() time.Time { return c.clock.AdjustedTime() }
