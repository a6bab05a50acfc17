// Package neutrino is the chain backend without a node of one's own: a light
// client (BIP 157, BIP 158) that asks peers for headers, compact filters and
// blocks.
//
// What it trusts: that the heaviest chain of headers its peers show is Bitcoin's.
// Headers are checked for work and difficulty, filters against a chain of filter
// headers that all peers must agree on, blocks against their headers; scripts and
// amounts are not. Whoever controls all its peers can hide blocks, and with enough
// work show others; on signet, where nobody here checks the block signatures, that
// is not much work. Hence: for those outside a federation, for tests with coins
// worth nothing, and as a second opinion beside a full node (chain.CrossCheck). Not
// as the only source of a member that signs on mainnet.
//
// In a reorg it is not ready for some seconds: neutrino drops a peer whose new branch
// is not yet the heaviest, and connects again.
//
// What it cannot do: it has no mempool, so it sees a double spend only in a block,
// estimates no fee, and gets no verdict about a transaction. Output needs the
// script and the height at which the output was made: chain.FindOutput.
package neutrino

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcwallet/walletdb"
	_ "github.com/btcsuite/btcwallet/walletdb/bdb" // the driver of walletdb
	"github.com/lightninglabs/neutrino"

	"frostfed/bitcoin/chain"
)

// Config says whom to ask.
type Config struct {
	// Dir is where headers are kept, made if need be. It holds nothing that cannot
	// be downloaded again: if it is damaged, delete it.
	Dir string

	// Params is the network.
	Params *chaincfg.Params

	// Peers are addresses, HOST or HOST:PORT, of nodes that serve compact filters
	// (Bitcoin Core: -blockfilterindex -peerblockfilters; btcd: always). With any,
	// only these are asked. Without, peers are found through DNS seeds, except on
	// regtest.
	Peers []string

	// MinPeers is how many peers must be connected to be ready; 0 means 1. One peer
	// can hide blocks unnoticed, two must conspire.
	MinPeers int

	// MaxTipAge makes Ready report a chain whose tip is older as stalled. 0 means
	// any age; public networks want 2 h or so.
	MaxTipAge time.Duration

	// Now is the clock for MaxTipAge; nil means time.Now.
	Now func() time.Time

	// Log takes what neutrino logs, or nil. neutrino's logger belongs to the
	// process: the first instance's is used.
	Log *slog.Logger
}

// Client is a chain.Backend, chain.Notifier and chain.Filterer.
type Client struct {
	cfg     Config
	service *neutrino.ChainService
	db      walletdb.DB
	work    chan struct{} // a token for each query in flight
	subs    chain.Wakeups

	// asking is held to ask the service for its peers: one that stops while it is
	// asked never answers.
	asking sync.RWMutex

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	closeErr  error
	done      sync.WaitGroup
}

var (
	_ chain.Backend  = (*Client)(nil)
	_ chain.Notifier = (*Client)(nil)
	_ chain.Filterer = (*Client)(nil)
)

// maxQueries bounds the questions to peers in flight. neutrino cannot cancel one:
// a caller that gives up leaves it behind until it times out.
const maxQueries = 8

// lockTimeout is how long to wait for another process that has the database open.
const lockTimeout = time.Second

// Open starts a light client. It needs no peer to do so; Ready says when it is of
// use.
func Open(cfg Config) (*Client, error) {
	if cfg.Params == nil {
		return nil, errors.New("light client has no network")
	}
	if len(cfg.Peers) == 0 && cfg.Params.Net == chaincfg.RegressionNetParams.Net {
		return nil, errors.New("light client: a private network has no peers to be found; name some")
	}
	cfg.MinPeers = max(1, cfg.MinPeers)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log != nil {
		useLogger(cfg.Log)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open light client: %w", err)
	}
	db, err := openDB(filepath.Join(cfg.Dir, "neutrino.db"))
	if err != nil {
		return nil, fmt.Errorf("open light client: %w", err)
	}
	params := *cfg.Params
	if len(cfg.Peers) > 0 {
		params.DNSSeeds = nil // or it would ask them without a use for the answer
	}
	service, err := neutrino.NewChainService(neutrino.Config{
		DataDir: cfg.Dir, Database: db, ChainParams: params, ConnectPeers: cfg.Peers,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open light client in %s: %w", cfg.Dir, err), db.Close())
	}
	c := &Client{cfg: cfg, service: service, db: db, work: make(chan struct{}, maxQueries), closing: make(chan struct{})}
	if err := service.Start(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("start light client: %w", err), service.Stop(), db.Close())
	}
	news, err := (&neutrino.RescanChainSource{ChainService: service}).Subscribe(0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start light client: %w", err), service.Stop(), db.Close())
	}
	c.done.Go(func() {
		defer news.Cancel()
		for {
			select {
			case _, ok := <-news.Notifications:
				if !ok {
					return
				}
				c.subs.Wake()
			case <-c.closing:
				return
			}
		}
	})
	return c, nil
}

func openDB(path string) (walletdb.DB, error) {
	// The arguments of the driver: path, no freelist sync, lock timeout, read only.
	db, err := walletdb.Open("bdb", path, true, lockTimeout, false)
	if errors.Is(err, walletdb.ErrDbDoesNotExist) {
		return walletdb.Create("bdb", path, true, lockTimeout, false)
	}
	return db, err
}

// Close disconnects from all peers and closes the database. Calls under way and
// later ones fail with chain.ErrUnavailable.
func (c *Client) Close() error {
	c.closeOnce.Do(func() {
		c.asking.Lock()
		close(c.closing)
		c.asking.Unlock()
		err := c.service.Stop()
		c.done.Wait()
		for range maxQueries { // until no query is left that might use the database
			c.work <- struct{}{}
		}
		c.closeErr = errors.Join(err, c.db.Close())
	})
	return c.closeErr
}

// peers returns the connected peers.
func (c *Client) peers() ([]*neutrino.ServerPeer, error) {
	c.asking.RLock()
	defer c.asking.RUnlock()
	select {
	case <-c.closing:
		return nil, errClosed
	default:
		return c.service.Peers(), nil
	}
}

// query runs ask, which may block for long and cannot be told to stop, until it
// ends or the caller or Close gives up.
func query[T any](ctx context.Context, c *Client, ask func() (T, error)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, ctx.Err()
	}
	select {
	case <-c.closing: // first, because Close takes the tokens
		return zero, errClosed
	default:
	}
	select {
	case c.work <- struct{}{}:
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-c.closing:
		return zero, errClosed
	}
	type result struct {
		value T
		err   error
	}
	answer := make(chan result, 1) // so that a late answer is dropped, not waited for
	go func() {
		defer func() { <-c.work }()
		value, err := ask()
		answer <- result{value, err}
	}()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-c.closing:
		return zero, errClosed
	}
}

var errClosed = fmt.Errorf("light client is closed: %w", chain.ErrUnavailable)
