// Package rpc is the chain backend for a full node: btcd 0.26 or Bitcoin Core 28
// and later, over JSON-RPC.
//
// It uses only calls that both have (getblockchaininfo, getblockhash,
// getblockheader, getblock, gettxout, gettxspendingprevout, sendrawtransaction,
// testmempoolaccept), plus estimatesmartfee where it exists, and parses blocks
// and headers from their bytes. The node's JSON of inputs and outputs differs
// between the two and is never read, except gettxout, which has no other form.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin/chain"
)

// DefaultTimeout is how long one call may take. The slowest, a full block from a
// node that is itself busy validating, takes a second or two.
const DefaultTimeout = 15 * time.Second

// Config says which node to ask and what it must be.
type Config struct {
	// URL is the node's RPC address, e.g. http://127.0.0.1:8332. Credentials do
	// not belong in it: URLs end up in logs.
	URL string

	// Params is the network the node must be on.
	Params *chaincfg.Params

	// CookieFile is Bitcoin Core's .cookie. It is read for every call, because
	// each start of Core writes a new one. It takes precedence over User.
	CookieFile string

	// User and the file whose first line is the password. The password itself is
	// never part of a configuration: those get printed.
	User         string
	PasswordFile string

	// CertFile is the node's certificate in PEM, e.g. btcd's rpc.cert, for an
	// https URL. Only this certificate is trusted. Empty means the system's roots.
	CertFile string

	// Timeout bounds each call; 0 means DefaultTimeout.
	Timeout time.Duration

	// MaxTipAge makes Ready report a node whose tip is older as syncing: btcd
	// does not say that it is, and a node cut off from its peers does not know.
	// 0 means any age; public networks want 2 h or so.
	MaxTipAge time.Duration

	// Now is the clock for MaxTipAge; nil means time.Now.
	Now func() time.Time
}

// Client is a chain.Backend. It contacts the node only when asked something, so
// it can be made before the node is up.
type Client struct {
	cfg  Config
	http *http.Client

	mu sync.Mutex
	// node is what is known about the node at the URL: nil before the first
	// contact and again after each failure, since another node may come back.
	node *identity
}

var _ chain.Backend = (*Client)(nil)

// identity is what a node is found to be.
type identity struct{ smartFee bool }

// New checks the configuration and returns a client.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("node address must look like http://127.0.0.1:8332") // without echoing it
	}
	if u.User != nil {
		return nil, errors.New("node address contains credentials: give them as a cookie or password file")
	}
	if cfg.Params == nil {
		return nil, errors.New("node has no network")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client, err := newHTTP(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, http: client}, nil
}

// Close drops idle connections. The client remains usable.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// identify makes sure that the node is on our network, once per contact. Every
// other call goes through it.
func (c *Client) identify(ctx context.Context) (identity, error) {
	c.mu.Lock()
	known := c.node
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	var genesis hash
	if err := c.call(ctx, &genesis, "getblockhash", 0); err != nil {
		return identity{}, err
	}
	if want := *c.cfg.Params.GenesisHash; chainhash.Hash(genesis) != want {
		return identity{}, &chain.NotReadyError{
			Kind: chain.WrongNetwork,
			Detail: fmt.Sprintf("its first block is %v, but that of %s is %v",
				chainhash.Hash(genesis), c.cfg.Params.Name, want),
		}
	}
	// btcd does not have getnetworkinfo, Core has it since it has mempools.
	err := c.call(ctx, &struct{}{}, "getnetworkinfo")
	if err != nil && !isMissing(err) {
		return identity{}, err
	}
	found := identity{smartFee: err == nil}
	c.mu.Lock()
	c.node = &found
	c.mu.Unlock()
	return found, nil
}

// forget makes the next call identify the node again.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = nil
}

// ask identifies the node if need be, then calls it.
func (c *Client) ask(ctx context.Context, result any, method string, params ...any) error {
	if _, err := c.identify(ctx); err != nil {
		return err
	}
	return c.call(ctx, result, method, params...)
}

// Ready implements chain.Backend.
func (c *Client) Ready(ctx context.Context) error {
	var info struct {
		Blocks  int32 `json:"blocks"`
		Headers int32 `json:"headers"`
		Best    hash  `json:"bestblockhash"`
		Initial bool  `json:"initialblockdownload"` // Core only
	}
	err := c.ask(ctx, &info, "getblockchaininfo")
	var notReady *chain.NotReadyError
	var rpcErr *rpcError
	switch {
	case errors.As(err, &notReady):
		return notReady
	case errors.As(err, &rpcErr) && rpcErr.Code == codeWarmup:
		return &chain.NotReadyError{Kind: chain.Syncing, Detail: "starting: " + rpcErr.Message, Err: err}
	case err != nil:
		return &chain.NotReadyError{Kind: chain.Unreachable, Detail: err.Error(), Err: err}
	case info.Blocks < info.Headers-1: // one behind is a block being validated
		return syncing("block %d of %d", info.Blocks, info.Headers)
	case info.Initial:
		return syncing("initial block download, at block %d", info.Blocks)
	case c.cfg.MaxTipAge == 0:
		return nil
	}
	header, err := c.Header(ctx, chainhash.Hash(info.Best))
	if err != nil {
		return &chain.NotReadyError{Kind: chain.Unreachable, Detail: err.Error(), Err: err}
	}
	if age := c.cfg.Now().Sub(header.Timestamp); age > c.cfg.MaxTipAge {
		return syncing("last block %d is %v old", info.Blocks, age.Round(time.Minute))
	}
	return nil
}

func syncing(format string, args ...any) error {
	return &chain.NotReadyError{Kind: chain.Syncing, Detail: fmt.Sprintf(format, args...)}
}

// Capabilities implements chain.Backend.
func (c *Client) Capabilities(ctx context.Context) (chain.Capabilities, error) {
	node, err := c.identify(ctx)
	if err != nil {
		return chain.Capabilities{}, err
	}
	return chain.Capabilities{Verdict: true, Outputs: true, Mempool: true, Fees: node.smartFee, TestAccept: true, BlocksByHash: true}, nil
}
