package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
)

const rpcUser, rpcPassword = "frostfed", "regtest, worth nothing"

// btcd is a Bitcoin node on regtest.
type btcd struct {
	binary       string
	dir          string
	addr         string
	peer         string // where it takes peers, if any
	passwordFile string
	process      *process
}

// newBtcd prepares a node: its address is known before it runs.
func newBtcd(t *testing.T, dir string) *btcd {
	t.Helper()
	out, err := exec.Command("go", "tool", "-n", "btcd").Output()
	if err != nil {
		t.Skipf("needs the go command and the btcd module to build it with (go tool -n btcd): %v", explain(err))
	}
	b := &btcd{binary: strings.TrimSpace(string(out)), dir: dir, addr: freeAddress(t), passwordFile: filepath.Join(dir, "password")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.passwordFile, []byte(rpcPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs the node; its blocks pay to address. btcd begins a new regtest chain
// with each start.
func (b *btcd) start(t *testing.T, address string) {
	t.Helper()
	path := func(name string) string { return filepath.Join(b.dir, name) }
	peers := "--nolisten"
	if b.peer != "" {
		peers = "--listen=" + b.peer
	}
	b.process = startProcess(t, path("log"), b.binary,
		"--regtest", "--rejectnonstd", "--limitfreerelay=0", "--utxocachemaxsize=16",
		peers, "--nodnsseed", "--notls", "--rpclisten="+b.addr, "--rpcuser="+rpcUser, "--rpcpass="+rpcPassword,
		"--miningaddr="+address, "--configfile="+path("none.conf"), "--datadir="+path("data"), "--logdir="+path("logs"))
	eventually(t, "btcd answers", func(ctx context.Context) error {
		var height int
		return b.call(ctx, &height, "getblockcount")
	})
}

// mine adds n blocks and returns their hashes.
func (b *btcd) mine(t *testing.T, n int) []string {
	t.Helper()
	var hashes []string
	if err := b.call(t.Context(), &hashes, "generate", n); err != nil {
		t.Fatalf("mine %d blocks: %v", n, err)
	}
	return hashes
}

// block returns a block of the best chain.
func (b *btcd) block(t *testing.T, hash string) *wire.MsgBlock {
	t.Helper()
	var text string
	if err := b.call(t.Context(), &text, "getblock", hash, 0); err != nil {
		t.Fatalf("get block: %v", err)
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	block := new(wire.MsgBlock)
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return block
}

// inMempool says whether a transaction waits for a block.
func (b *btcd) inMempool(ctx context.Context, txid string) error {
	var txids []string
	if err := b.call(ctx, &txids, "getrawmempool"); err != nil {
		return err
	}
	if strings.Contains(strings.Join(txids, " "), txid) {
		return nil
	}
	return fmt.Errorf("transaction %s is not among %q", txid, txids)
}

// call is one JSON-RPC request. The client of package rpc would do, but it cannot
// mine.
func (b *btcd) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.addr, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(rpcUser, rpcPassword)
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

// explain adds what the command printed.
func explain(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
