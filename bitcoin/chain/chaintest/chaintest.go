// Package chaintest is the contract of chain.Backend as a test suite. Each
// backend's own tests start a regtest node and hand it to Run.
package chaintest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin/chain"
)

// Node is a regtest node under test and the means to drive it.
type Node struct {
	Backend chain.Backend

	// Generate mines n blocks whose coinbases pay to Script: btcd can pay to one
	// address only, fixed at its start. The suite funds other scripts from these.
	Generate func(n int) ([]chainhash.Hash, error)

	// Invalidate takes a block and its descendants out of the best chain.
	Invalidate func(chainhash.Hash) error

	// Relayed, for a backend that is a client of the node and does not see its
	// mempool, waits until a transaction is there. Such a backend keeps its chain
	// until the node has a heavier one, and Generate returns when it has caught up.
	Relayed func(ctx context.Context, txid chainhash.Hash) error

	// Stop ends the node and leaves Backend without one, which Backend knows when
	// Stop returns.
	Stop func() error

	// AsNetwork returns a backend that asks this node but expects another network.
	// nil if the backend cannot meet a wrong one.
	AsNetwork func(*chaincfg.Params) (chain.Backend, error)
}

// patience is far more than any call to a node on this machine takes.
const patience = 20 * time.Second

// Run checks everything that chain.Backend promises. start makes a node at the
// genesis block and arranges for its end.
func Run(t *testing.T, start func(t *testing.T) *Node) {
	s := &suite{Node: start(t)}
	s.mine(t, 110) // 10 mature coinbases
	for _, c := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"ready", (*suite).testReady},
		{"tip and blocks", (*suite).testBlocks},
		{"funding is visible", (*suite).testFunding},
		{"submit, mine, confirm", (*suite).testSubmit},
		{"double spend", (*suite).testDoubleSpend},
		{"replacement", (*suite).testReplacement},
		{"rejections", (*suite).testRejections},
		{"fee rate", (*suite).testFeeRate},
		{"follow", (*suite).testFollow},
		{"follow a reorg of 1", func(s *suite, t *testing.T) { s.testReorg(t, 1) }},
		{"follow a reorg of 6", func(s *suite, t *testing.T) { s.testReorg(t, 6) }},
		{"resume", (*suite).testResume},
		{"reorg returns transactions", (*suite).testReorgMempool},
		{"cancelled context", (*suite).testCancelled},
		{"wrong network", (*suite).testWrongNetwork},
		{"dead node", (*suite).testDead}, // last
	} {
		if !t.Run(c.name, func(t *testing.T) { c.run(s, t) }) {
			return // later cases build on the chain of this one
		}
	}
}

type suite struct {
	*Node
	coins []coin // coinbases, oldest first; each used once
}

// testContext returns a context that outlives any healthy call.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// must returns the value of a call that may not fail.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func (s *suite) tip(t *testing.T) chain.BlockID {
	t.Helper()
	return must(s.Backend.Tip(testContext(t)))(t)
}

// mine adds n blocks and remembers their coinbases.
func (s *suite) mine(t *testing.T, n int) []chainhash.Hash {
	t.Helper()
	hashes := must(s.Generate(n))(t)
	if len(hashes) != n {
		t.Fatalf("mined %d blocks, want %d", len(hashes), n)
	}
	first := s.tip(t).Height - int32(n) + 1
	for i, hash := range hashes {
		coinbase := must(s.Backend.Block(testContext(t), hash))(t).Transactions[0]
		s.coins = append(s.coins, coin{
			OutPoint: wire.OutPoint{Hash: coinbase.TxHash()},
			TxOut:    *coinbase.TxOut[0],
			born:     first + int32(i),
		})
	}
	return hashes
}

// output looks a coin up, as far as the backend needs from the blocks.
func (s *suite) output(t *testing.T, c coin) (chain.Output, error) {
	t.Helper()
	ctx := testContext(t)
	if must(s.Backend.Capabilities(ctx))(t).Outputs {
		return s.Backend.Output(ctx, c.OutPoint)
	}
	_, err := s.Backend.Output(ctx, c.OutPoint)
	wantErr(t, "output without the capability", err, chain.ErrUnsupported)
	return chain.FindOutput(ctx, s.Backend, c.OutPoint, c.PkScript, c.born)
}

// submit hands in a transaction that the node takes.
func (s *suite) submit(t *testing.T, tx *wire.MsgTx) {
	t.Helper()
	if err := s.Backend.Submit(testContext(t), tx); err != nil {
		t.Fatalf("submit: %v", err)
	}
	if s.Relayed != nil {
		if err := s.Relayed(testContext(t), tx.TxHash()); err != nil {
			t.Fatalf("a submitted transaction did not reach the node: %v", err)
		}
	}
}

// mature returns a coin of Script that nobody has spent and that may be spent.
func (s *suite) mature(t *testing.T) coin {
	t.Helper()
	for range 1000 {
		c := s.coins[0]
		out, err := s.output(t, c)
		switch {
		case errors.Is(err, chain.ErrNotFound): // left the chain in a reorg
			s.coins = s.coins[1:]
		case err != nil:
			t.Fatal(err)
		case out.Confirmations < 100:
			s.mine(t, 1)
		default:
			s.coins = s.coins[1:]
			return c
		}
	}
	t.Fatal("no coin matures")
	return coin{}
}

// reorg replaces the last depth blocks by depth+1 others, and returns both.
func (s *suite) reorg(t *testing.T, depth int32) (old []chain.BlockID, fresh []chainhash.Hash) {
	t.Helper()
	tip := s.tip(t)
	for h := tip.Height; h > tip.Height-depth; h-- {
		old = append(old, chain.BlockID{Height: h, Hash: must(s.Backend.BlockHashAt(testContext(t), h))(t)})
	}
	if err := s.Invalidate(old[depth-1].Hash); err != nil {
		t.Fatal(err)
	}
	return old, s.mine(t, int(depth)+1)
}
