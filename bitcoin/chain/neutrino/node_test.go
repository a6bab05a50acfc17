package neutrino

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/lightninglabs/neutrino"

	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
)

// neutrino drops a peer that announces the first blocks of a branch not yet the
// heaviest, as every node does in a reorg, and comes back after this time: 5 s
// outside of tests.
func init() { neutrino.ConnectionRetryInterval = 50 * time.Millisecond }

// TestConformance runs the suite on a light client of a btcd.
func TestConformance(t *testing.T) {
	t.Parallel()
	binary := chaintest.Btcd(t)
	chaintest.Run(t, func(t *testing.T) *chaintest.Node {
		node := startBtcd(t, binary)
		c := open(t, Config{Params: &chaincfg.RegressionNetParams, Peers: []string{node.peer}})
		return &chaintest.Node{
			Backend: c,
			Generate: func(n int) ([]chainhash.Hash, error) {
				var hashes []chainhash.Hash
				if err := node.call(t.Context(), &hashes, "generate", n); err != nil {
					return nil, err
				}
				return hashes, awaitTip(t, c, hashes[n-1])
			},
			Invalidate: func(h chainhash.Hash) error {
				return node.call(t.Context(), new(any), "invalidateblock", h.String())
			},
			Relayed: func(ctx context.Context, txid chainhash.Hash) error {
				return eventually(ctx, func() (bool, error) {
					var pool []chainhash.Hash
					err := node.call(ctx, &pool, "getrawmempool")
					return slices.Contains(pool, txid), err
				})
			},
			Stop: func() error {
				if err := node.stop(); err != nil {
					return err
				}
				return eventually(t.Context(), func() (bool, error) { return c.Ready(t.Context()) != nil, nil })
			},
		}
	})
}

// btcd is a running node and how to reach it.
type btcd struct {
	peer, rpc string // addresses
	stop      func() error
}

const user, password = "frostfed", "regtest"

func startBtcd(t *testing.T, binary string) *btcd {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	b := &btcd{peer: chaintest.FreeAddress(t), rpc: chaintest.FreeAddress(t)}
	b.stop = chaintest.StartNode(t, "RPC server listening on", binary,
		"--regtest", "--rejectnonstd", "--limitfreerelay=0", "--utxocachemaxsize=16",
		"--listen="+b.peer, "--nodnsseed", "--notls", "--rpclisten="+b.rpc, "--rpcuser="+user, "--rpcpass="+password,
		"--miningaddr="+chaintest.Address(&chaincfg.RegressionNetParams),
		"--configfile="+path("none.conf"), "--datadir="+path("data"), "--logdir="+path("logs"))
	return b
}

func (b *btcd) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.rpc, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %s: %w", method, resp.Status, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s", method, answer.Error.Message)
	}
	return json.Unmarshal(answer.Result, result)
}

func (b *btcd) mine(t *testing.T, n int) []chainhash.Hash {
	t.Helper()
	var hashes []chainhash.Hash
	if err := b.call(t.Context(), &hashes, "generate", n); err != nil {
		t.Fatal(err)
	}
	return hashes
}

func open(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// patience is far more than anything on this machine takes.
const patience = 30 * time.Second

// awaitTip waits until the client has caught up to a block.
func awaitTip(t *testing.T, c *Client, want chainhash.Hash) error {
	changed, stop := c.Subscribe()
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		tip, err := c.Tip(ctx)
		if err == nil && tip.Hash == want {
			return nil
		}
		if err != nil && !errors.Is(err, chain.ErrUnavailable) {
			return err
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond): // connecting is no change of the tip
		case <-ctx.Done():
			return fmt.Errorf("the light client is at %v, %v, and not at %v", tip, err, want)
		}
	}
}

// eventually asks until the answer is yes.
func eventually(ctx context.Context, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
