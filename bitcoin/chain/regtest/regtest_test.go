package regtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin/chain"
	"frostfed/test/alloc"
)

// anyone is a script that needs no signature.
var anyone = []byte{txscript.OP_TRUE}

func open(t testing.TB, dir string) *Chain {
	t.Helper()
	c, err := Open(dir)
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

func mine(t testing.TB, c *Chain, n int) []chainhash.Hash {
	t.Helper()
	hashes, err := c.Mine(n, anyone)
	if err != nil {
		t.Fatal(err)
	}
	if len(hashes) != n {
		t.Fatalf("mined %d blocks, want %d", len(hashes), n)
	}
	return hashes
}

func tip(t testing.TB, c *Chain) chain.BlockID {
	t.Helper()
	id, err := c.Tip(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSameCallsSameBlocks(t *testing.T) {
	a, b := open(t, ""), open(t, t.TempDir())
	if x, y := mine(t, a, 20), mine(t, b, 20); x[19] != y[19] {
		t.Errorf("two chains mined %v and %v", x[19], y[19])
	}
}

// TestReopen closes and crashes a chain with an invalidated branch; both times
// the same tip comes back, and the branch can still be reconsidered.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := mine(t, c, 10)
	if err := c.Invalidate(old[5]); err != nil {
		t.Fatal(err)
	}
	mine(t, c, 2)
	want, now := tip(t, c), c.Time()
	if want.Height != 7 {
		t.Fatalf("height %d, want 7", want.Height)
	}

	// A crash is a copy of the log while the chain is still open.
	crashed := t.TempDir()
	log, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(crashed, logFile), log, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, crashed} {
		c := open(t, dir)
		if got := tip(t, c); got != want {
			t.Errorf("reopened at %v, want %v", got, want)
		}
		if !c.Time().Equal(now) {
			t.Errorf("clock reopened at %v, want %v", c.Time(), now)
		}
		if err := c.Reconsider(old[5]); err != nil {
			t.Fatal(err)
		}
		if got := tip(t, c); got.Hash != old[9] {
			t.Errorf("after Reconsider the tip is %v, want %v", got, old[9])
		}
		mine(t, c, 1)
	}
}

func TestTornLogEnd(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	hashes := mine(t, c, 3)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, logFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	for name, content := range map[string][]byte{
		"cut in payload":    whole[:len(whole)-20],
		"cut in header":     append(bytes.Clone(whole), byte(recordBlock), 0),
		"last sum is wrong": flipped,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, logFile), content, 0o600); err != nil {
				t.Fatal(err)
			}
			c := open(t, dir)
			if got := tip(t, c).Hash; got != hashes[1] && got != hashes[2] {
				t.Errorf("tip %v is neither of the last two blocks", got)
			}
			mine(t, c, 1) // the log is usable again
			want := tip(t, c)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if got := tip(t, open(t, dir)); got != want {
				t.Errorf("second open at %v, want %v", got, want)
			}
		})
	}
	whole[recordHeader+10] ^= 1 // in the first of three records
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Open(dir); err == nil {
		t.Errorf("opened a log damaged in the middle, tip %v", tip(t, c))
	}
}

// TestMineTxs shows that MineTxs asks consensus only: a relative lock refuses a
// spend one block early, and a non-standard script passes.
func TestMineTxs(t *testing.T) {
	c := open(t, "")
	hashes := mine(t, c, 101)
	block, err := c.Block(context.Background(), hashes[0])
	if err != nil {
		t.Fatal(err)
	}
	coin := block.Transactions[0]
	parent := wire.NewMsgTx(2)
	parent.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: coin.TxHash()}, nil, nil))
	parent.AddTxOut(wire.NewTxOut(coin.TxOut[0].Value-1000, anyone))
	if _, err := c.MineTxs(anyone, parent); err != nil {
		t.Fatal(err)
	}

	child := wire.NewMsgTx(2)
	child.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: parent.TxHash()}, nil, nil))
	child.TxIn[0].Sequence = 3 // blocks, BIP 68
	child.AddTxOut(wire.NewTxOut(parent.TxOut[0].Value-1000, anyone))
	mine(t, c, 1)
	var rejected *chain.RejectedError
	if _, err := c.MineTxs(anyone, child); !errors.As(err, &rejected) || rejected.Kind != chain.RejectNotFinal {
		t.Errorf("one block early: %v, want %v", err, chain.RejectNotFinal)
	}
	mine(t, c, 1)
	if _, err := c.MineTxs(anyone, child); err != nil {
		t.Errorf("at the relative lock: %v", err)
	}
}

// TestManyUsers is for the race detector: five readers and a miner.
func TestManyUsers(t *testing.T) {
	c := open(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for range 5 {
		changed, stop := c.Subscribe()
		wg.Go(func() {
			defer stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
				id, err := c.Tip(ctx)
				if err != nil {
					return
				}
				if _, err := c.Block(ctx, id.Hash); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if id.Height == 30 {
					return
				}
			}
		})
	}
	for range 30 {
		mine(t, c, 1)
	}
	wg.Wait()
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		c, err := Open("")
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMine101(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c := open(b, "")
		b.StartTimer()
		mine(b, c, 101)
	}
}

func BenchmarkReopen1000(b *testing.B) {
	dir := b.TempDir()
	c, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	mine(b, c, 1000)
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzReadRecord: a record that reads is written back to the same bytes.
func FuzzReadRecord(f *testing.F) {
	var l blockLog
	l.append(recordInvalidate, bytes.Repeat([]byte{3}, 32))
	f.Add(l.pending)
	f.Add([]byte{byte(recordBlock), 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		var kind recordKind
		var payload []byte
		var err error
		alloc.Limit(t, len(data), 8, 0, func() { kind, payload, err = readRecord(bufio.NewReader(bytes.NewReader(data))) })
		if err != nil {
			return
		}
		var l blockLog
		l.append(kind, payload)
		if !bytes.HasPrefix(data, l.pending) {
			t.Errorf("%x reads but is written as %x", data, l.pending)
		}
	})
}
