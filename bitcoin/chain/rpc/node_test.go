package rpc

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
)

// TestBtcd runs the conformance suite against a real btcd, over TLS.
func TestBtcd(t *testing.T) {
	binary := chaintest.Btcd(t)
	chaintest.Run(t, func(t *testing.T) *chaintest.Node { return startBtcd(t, binary) })
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
	dir, addr := t.TempDir(), chaintest.FreeAddress(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("password"), []byte("regtest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := chaintest.StartNode(t, "RPC server listening on", binary,
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
	dir, addr := t.TempDir(), chaintest.FreeAddress(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	stop := chaintest.StartNode(t, "Done loading", binary,
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
