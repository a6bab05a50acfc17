package neutrino

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/lightninglabs/neutrino/headerfs"

	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
)

var regtest = &chaincfg.RegressionNetParams

// kindOf returns why a backend is not ready, 0 if it is.
func kindOf(t *testing.T, err error) (chain.ReadyKind, string) {
	t.Helper()
	if err == nil {
		return 0, ""
	}
	var notReady *chain.NotReadyError
	if !errors.As(err, &notReady) || !errors.Is(err, chain.ErrUnavailable) {
		t.Fatalf("not a reason: %v", err)
	}
	return notReady.Kind, notReady.Detail
}

func TestReadinessReasons(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	at := func(height int32, age time.Duration) headerfs.BlockStamp {
		return headerfs.BlockStamp{Height: height, Timestamp: now.Add(-age)}
	}
	for _, test := range []struct {
		name   string
		state  state
		kind   chain.ReadyKind
		detail string
	}{
		{"no peers", state{}, chain.Unreachable, "0 peers, 2 needed, that serve compact filters on regtest; 2 configured"},
		{"too few", state{heights: []int32{9}, banned: 1}, chain.Unreachable, "1 peers, 2 needed, that serve compact filters on regtest; 2 configured, 1 banned for what they sent or lack"},
		{"headers", state{heights: []int32{90, 91}, headers: 40, best: at(40, 0)}, chain.Syncing, "header 40 of 90"},
		{"one peer boasts", state{heights: []int32{9000, 40}, headers: 40, best: at(40, 0)}, 0, ""},
		{"filters", state{heights: []int32{40, 40}, headers: 40, best: at(12, 0)}, chain.Syncing, "filter header 12 of 40"},
		{"a block being announced", state{heights: []int32{41, 41}, headers: 40, best: at(39, 0)}, 0, ""},
		{"stalled", state{heights: []int32{40, 40}, headers: 40, best: at(40, 3*time.Hour)}, chain.Stalled, "last block 40 is 3h0m0s old, and 2 peers know none after it"},
		{"in step", state{heights: []int32{40, 40}, headers: 40, best: at(40, time.Hour)}, 0, ""},
	} {
		cfg := Config{Params: regtest, Peers: []string{"a", "b"}, MinPeers: 2, MaxTipAge: 2 * time.Hour, Now: func() time.Time { return now }}
		kind, detail := kindOf(t, test.state.judge(cfg))
		if kind != test.kind || detail != test.detail {
			t.Errorf("%s: %v %q, want %v %q", test.name, kind, detail, test.kind, test.detail)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if _, err := Open(Config{Dir: t.TempDir(), Peers: []string{"127.0.0.1"}}); err == nil {
		t.Error("no network: accepted")
	}
	if _, err := Open(Config{Dir: t.TempDir(), Params: regtest}); err == nil {
		t.Error("regtest without peers: accepted")
	}
	dir := t.TempDir()
	open(t, Config{Dir: dir, Params: regtest, Peers: []string{"127.0.0.1:1"}})
	if _, err := Open(Config{Dir: dir, Params: regtest, Peers: []string{"127.0.0.1:1"}}); err == nil {
		t.Error("a folder in use: accepted")
	}
}

// TestNobodyThere: without peers every question fails, and says so. It is not
// parallel, as it sets the logger of the process.
func TestNobodyThere(t *testing.T) {
	var log bytes.Buffer
	c := open(t, Config{Params: regtest, Peers: []string{"127.0.0.1:1"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	kind, detail := kindOf(t, c.Ready(t.Context()))
	if kind != chain.Unreachable || !strings.Contains(detail, "0 peers") {
		t.Errorf("ready: %v, %q", kind, detail)
	}
	for name, ask := range asks(c) {
		if err := ask(t.Context()); !errors.Is(err, chain.ErrUnavailable) || errors.Is(err, chain.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for name, ask := range asks(c) {
		if err := ask(t.Context()); !errors.Is(err, chain.ErrUnavailable) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

// asks are all questions to a client.
func asks(c *Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"tip":        func(ctx context.Context) error { _, err := c.Tip(ctx); return err },
		"block hash": func(ctx context.Context) error { _, err := c.BlockHashAt(ctx, 0); return err },
		"header":     func(ctx context.Context) error { _, err := c.Header(ctx, *regtest.GenesisHash); return err },
		"block":      func(ctx context.Context) error { _, err := c.Block(ctx, *regtest.GenesisHash); return err },
		"filter": func(ctx context.Context) error {
			_, err := c.MayConcern(ctx, *regtest.GenesisHash, [][]byte{{1}})
			return err
		},
		"output": func(ctx context.Context) error { _, err := c.Output(ctx, wire.OutPoint{}); return err },
		"submit": func(ctx context.Context) error { return c.Submit(ctx, wire.NewMsgTx(2)) },
		"test":   func(ctx context.Context) error { return c.Test(ctx, wire.NewMsgTx(2)) },
		"fees":   func(ctx context.Context) error { _, err := c.FeeRate(ctx, 6); return err },
	}
}

// TestPeerOfAnotherNetwork: such a peer is none.
func TestPeerOfAnotherNetwork(t *testing.T) {
	t.Parallel()
	node := startBtcd(t, chaintest.Btcd(t))
	node.mine(t, 3)
	params := chaincfg.SigNetParams
	c := open(t, Config{Params: &params, Peers: []string{node.peer}})
	good := open(t, Config{Params: regtest, Peers: []string{node.peer}})
	// As long as it takes a client of the right network to connect.
	if err := eventually(t.Context(), func() (bool, error) { return good.Ready(t.Context()) == nil, nil }); err != nil {
		t.Fatal(err)
	}
	if kind, detail := kindOf(t, c.Ready(t.Context())); kind != chain.Unreachable || !strings.Contains(detail, "on signet") {
		t.Errorf("ready: %v, %q", kind, detail)
	}
}

// TestSilentPeer: a peer that takes the connection and says nothing does not hold
// up the caller.
func TestSilentPeer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := open(t, Config{Params: regtest, Peers: []string{listener.Addr().String()}})
	conn, err := listener.Accept() // the peer is there, and that is all
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if kind, _ := kindOf(t, c.Ready(ctx)); kind != chain.Unreachable {
		t.Errorf("ready: %v", kind)
	}
	for name, ask := range asks(c) {
		if err := ask(ctx); !errors.Is(err, chain.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestart: headers are kept, and a chain that went on meanwhile is followed.
func TestRestart(t *testing.T) {
	t.Parallel()
	node := startBtcd(t, chaintest.Btcd(t))
	cfg := Config{Dir: t.TempDir(), Params: regtest, Peers: []string{node.peer}}
	c := open(t, cfg)
	hashes := node.mine(t, 20)
	if err := awaitTip(t, c, hashes[19]); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := node.call(t.Context(), new(any), "invalidateblock", hashes[15].String()); err != nil {
		t.Fatal(err)
	}
	fresh := node.mine(t, 8)
	c = open(t, cfg)
	if err := awaitTip(t, c, fresh[7]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Header(t.Context(), hashes[17]); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("header of a lost block: %v", err)
	}
	if _, err := c.Block(t.Context(), fresh[0]); err != nil {
		t.Errorf("block of the new branch: %v", err)
	}
}

// TestScanSkipsBlocks: filters spare blocks that concern nobody.
func TestScanSkipsBlocks(t *testing.T) {
	t.Parallel()
	node := startBtcd(t, chaintest.Btcd(t))
	c := open(t, Config{Params: regtest, Peers: []string{node.peer}})
	hashes := node.mine(t, 30)
	if err := awaitTip(t, c, hashes[29]); err != nil {
		t.Fatal(err)
	}
	visited := func(script []byte) (n int) {
		t.Helper()
		tip, err := chain.Scan(t.Context(), c, 1, [][]byte{script}, func(chain.BlockID, *wire.MsgBlock) error { n++; return nil })
		if err != nil || tip != (chain.BlockID{Height: 30, Hash: hashes[29]}) {
			t.Fatalf("scan ended at %v, %v", tip, err)
		}
		return n
	}
	if n := visited(chaintest.Script()); n != 30 {
		t.Errorf("the miner is paid in 30 blocks, %d visited", n)
	}
	stranger := append([]byte{0x51, 0x20}, bytes.Repeat([]byte{9}, 32)...)
	if n := visited(stranger); n > 2 { // one false positive in 784931 per script and block
		t.Errorf("%d blocks visited for a script that nobody pays", n)
	}
	if _, err := c.MayConcern(t.Context(), chainhash.Hash{1}, nil); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("filter of an unknown block: %v", err)
	}
}

// TestGivingUp: a question whose caller has gone is answered to nobody, and the
// next one is not held up.
func TestGivingUp(t *testing.T) {
	c := &Client{work: make(chan struct{}, 1), closing: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	asked := make(chan struct{})
	go func() { <-asked; cancel() }()
	if _, err := query(ctx, c, func() (int, error) { close(asked); <-release; return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	// The token is still taken: the next caller waits, for as long as it likes.
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := query(soon, c, func() (int, error) { return 2, nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("all tokens taken: %v", err)
	}
	close(release)
	if got, err := query(t.Context(), c, func() (int, error) { return 3, nil }); got != 3 || err != nil {
		t.Errorf("afterwards: %d, %v", got, err)
	}
}
