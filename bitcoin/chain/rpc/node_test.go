package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
)

// TestBtcd runs the conformance suite against a real btcd, over TLS.
func TestBtcd(t *testing.T) {
	out, err := exec.Command("go", "tool", "-n", "btcd").Output()
	if err != nil {
		t.Skipf("needs the go command and the btcd module to build it with (go tool -n btcd): %v", err)
	}
	chaintest.Run(t, func(t *testing.T) *chaintest.Node {
		return startBtcd(t, strings.TrimSpace(string(out)))
	})
}

// TestBitcoind runs it against Bitcoin Core.
func TestBitcoind(t *testing.T) {
	binary := os.Getenv("FROSTFED_BITCOIND")
	if binary == "" {
		t.Skip("needs FROSTFED_BITCOIND, the path of a bitcoind of version 28 or later")
	}
	chaintest.Run(t, func(t *testing.T) *chaintest.Node { return startBitcoind(t, binary) })
}

func startBtcd(t *testing.T, binary string) *chaintest.Node {
	dir, addr := t.TempDir(), freeAddress(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("password"), []byte("regtest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := startNode(t, "RPC server listening on", binary,
		"--regtest", "--rejectnonstd", "--limitfreerelay=0", "--utxocachemaxsize=16",
		"--nolisten", "--nodnsseed", "--rpclisten="+addr,
		"--rpcuser=frostfed", "--rpcpass=regtest", "--rpccert="+path("rpc.cert"), "--rpckey="+path("rpc.key"),
		"--miningaddr="+chaintest.Address(&chaincfg.RegressionNetParams),
		"--configfile="+path("none.conf"), "--datadir="+path("data"), "--logdir="+path("logs"))
	return newNode(t, Config{
		URL: "https://" + addr, User: "frostfed", PasswordFile: path("password"), CertFile: path("rpc.cert"),
	}, stop, "generate")
}

func startBitcoind(t *testing.T, binary string) *chaintest.Node {
	dir, addr := t.TempDir(), freeAddress(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	stop := startNode(t, "Done loading", binary,
		"-regtest", "-server", "-printtoconsole", "-listen=0", "-acceptnonstdtxn=0", "-disablewallet",
		"-datadir="+dir, "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcport="+port)
	return newNode(t, Config{
		URL: "http://" + addr, CookieFile: filepath.Join(dir, "regtest", ".cookie"),
	}, stop, "generatetoaddress", chaintest.Address(&chaincfg.RegressionNetParams))
}

// newNode drives a running node with its own RPC; generate is its way to mine,
// and takes the number of blocks before args.
func newNode(t *testing.T, cfg Config, stop func() error, generate string, args ...any) *chaintest.Node {
	t.Helper()
	open := func(params *chaincfg.Params) (chain.Backend, error) {
		cfg := cfg
		cfg.Params = params
		c, err := New(cfg)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() }) // never fails
		}
		return c, err
	}
	b, err := open(&chaincfg.RegressionNetParams)
	if err != nil {
		t.Fatal(err)
	}
	c := b.(*Client)
	return &chaintest.Node{
		Backend: c,
		Generate: func(n int) ([]chainhash.Hash, error) {
			var hashes []hash
			err := c.call(context.Background(), &hashes, generate, append([]any{n}, args...)...)
			mined := make([]chainhash.Hash, len(hashes))
			for i := range hashes {
				mined[i] = chainhash.Hash(hashes[i])
			}
			return mined, err
		},
		Invalidate: func(h chainhash.Hash) error {
			return c.call(context.Background(), new(any), "invalidateblock", h.String())
		},
		Stop:      stop,
		AsNetwork: open,
	}
}

// startNode runs a node until the test ends or stop is called, and returns when
// it has printed the line that says it serves RPC.
func startNode(t *testing.T, ready, binary string, args ...string) (stop func() error) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Skipf("needs a working %s: %v", binary, err)
	}
	started, ended := make(chan struct{}), make(chan []string, 1)
	go func() {
		var lines []string // until ready; a node that runs may print without end
		serving := false
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			if serving {
				continue
			}
			lines = append(lines, scan.Text())
			if strings.Contains(scan.Text(), ready) {
				serving = true
				close(started)
			}
		}
		_ = cmd.Wait() // killed by stop: the status says only that
		ended <- lines
		close(ended)
	}()
	stop = func() error {
		err := cmd.Process.Kill()
		if errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		<-ended
		return err
	}
	t.Cleanup(func() { _ = stop() })
	select {
	case <-started:
	case lines := <-ended:
		t.Fatalf("%s ended:\n%s", binary, strings.Join(lines, "\n"))
	}
	return stop
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
