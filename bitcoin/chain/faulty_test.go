package chain_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
	"frostfed/bitcoin/chain/regtest"
)

// noNotice hides that a backend is a chain.Notifier.
type noNotice struct{ chain.Backend }

func newChain(t *testing.T, blocks int) *regtest.Chain {
	t.Helper()
	c, err := regtest.Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	mine(t, c, blocks)
	return c
}

func mine(t *testing.T, c *regtest.Chain, n int) []chainhash.Hash {
	t.Helper()
	hashes, err := c.Mine(n, chaintest.Script())
	if err != nil {
		t.Fatal(err)
	}
	return hashes
}

func set(t *testing.T, f *chaintest.Faulty, fault chaintest.Fault) {
	t.Helper()
	if err := f.Set(t.Context(), fault); err != nil {
		t.Fatal(err)
	}
}

// TestFaultyBackend: whatever a backend does, the consumer sees no block that is
// not in the good chain, loses none, hears why nothing comes, and goes on when the
// backend is well again.
func TestFaultyBackend(t *testing.T) {
	reasons := map[chaintest.Fault]error{
		chaintest.Hang: chain.ErrUnavailable, chaintest.LessWork: chain.ErrLessWork,
		chaintest.MissingBlock: chain.ErrNotFound, chaintest.OtherBlock: chain.ErrCorrupt, chaintest.ForgedBlock: chain.ErrCorrupt,
		chaintest.NoWitness: chain.ErrCorrupt, chaintest.NoWork: chain.ErrCorrupt,
		chaintest.StaleTip: nil, // nothing tells it from a chain without blocks but time, or a second opinion
	}
	for _, fault := range chaintest.Faults {
		t.Run(string(fault), func(t *testing.T) {
			good := newChain(t, 10)
			faulty := chaintest.NewFaulty(noNotice{good})
			events, troubles, looks := make(chan chain.Event), make(chan error, 1), make(chan time.Time)
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				ended <- chain.Follow(ctx, chain.FollowConfig{
					Backend: faulty, Poll: time.Second, Timeout: 200 * time.Millisecond,
					After:   func(time.Duration) <-chan time.Time { return looks },
					Trouble: func(err error) { troubles <- err },
				}, func(e chain.Event) error {
					select {
					case events <- e:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
			}()
			defer func() {
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("follow ended with %v", err)
				}
			}()
			connected := func(hash chainhash.Hash) {
				t.Helper()
				if e, ok := (<-events).(chain.Connected); !ok || e.Hash != hash {
					t.Fatalf("got %+v, want block %v connected", e, hash)
				}
			}
			for h := range int32(11) {
				hash, err := good.BlockHashAt(ctx, h)
				if err != nil {
					t.Fatal(err)
				}
				connected(hash)
			}
			set(t, faulty, fault)
			fresh := mine(t, good, 2)
			looks <- time.Time{}
			if want, known := reasons[fault]; want != nil || !known {
				err := <-troubles
				var notReady *chain.NotReadyError
				switch {
				case fault == chaintest.WrongNetwork && errors.As(err, &notReady) && notReady.Kind == chain.WrongNetwork:
				case want == nil || !errors.Is(err, want):
					t.Errorf("trouble: %v, want %v", err, want)
				}
			} else {
				looks <- time.Time{} // taken only when the look before has ended
			}
			set(t, faulty, chaintest.Healthy)
			go func() { // the look before may be at work still, and see the good chain
				select {
				case looks <- time.Time{}:
				case <-ctx.Done():
				}
			}()
			for _, hash := range fresh {
				connected(hash)
			}
			if _, known := reasons[fault]; !known || reasons[fault] != nil {
				if err := <-troubles; err != nil {
					t.Errorf("still in trouble: %v", err)
				}
			}
		})
	}
}

// TestCrossCheck: what one source cannot know, two can.
func TestCrossCheck(t *testing.T) {
	good := newChain(t, 20)
	faulty := chaintest.NewFaulty(good)
	other := newChain(t, 0) // another chain of the same length
	if _, err := other.Mine(20, []byte{txscript.OP_TRUE}); err != nil {
		t.Fatal(err)
	}
	ready := func(first, second chain.Backend) (kind chain.ReadyKind) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := chain.CrossCheck(first, second).Ready(ctx)
		var notReady *chain.NotReadyError
		if errors.As(err, &notReady) {
			if notReady.Detail == "" {
				t.Error("no reason given")
			}
			return notReady.Kind
		}
		if err != nil {
			return chain.Unreachable
		}
		return 0
	}
	if kind := ready(good, faulty); kind != 0 {
		t.Errorf("in agreement: %v", kind)
	}
	if kind := ready(good, other); kind != chain.Disputed {
		t.Errorf("another chain: %v", kind)
	}
	set(t, faulty, chaintest.LessWork)
	if kind := ready(faulty, good); kind != 0 {
		t.Errorf("a fork of three blocks, one of them seen: %v", kind) // the next blocks decide
	}
	set(t, faulty, chaintest.StaleTip)
	mine(t, good, 6)
	if kind := ready(faulty, good); kind != 0 {
		t.Errorf("six blocks behind: %v", kind)
	}
	mine(t, good, 1)
	if kind := ready(faulty, good); kind != chain.Disputed {
		t.Errorf("seven blocks behind: %v", kind)
	}
	if kind := ready(good, faulty); kind != chain.Disputed {
		t.Errorf("seven blocks ahead: %v", kind)
	}
	set(t, faulty, chaintest.WrongNetwork)
	for _, pair := range [][2]chain.Backend{{good, faulty}, {faulty, good}} {
		if kind := ready(pair[0], pair[1]); kind != chain.WrongNetwork {
			t.Errorf("another network: %v", kind)
		}
	}
	set(t, faulty, chaintest.Hang)
	for _, pair := range [][2]chain.Backend{{good, faulty}, {faulty, good}} {
		if kind := ready(pair[0], pair[1]); kind != chain.Unreachable {
			t.Errorf("no answer: %v", kind)
		}
	}
}

func TestFindOutput(t *testing.T) {
	c := newChain(t, 5)
	ctx := t.Context()
	hash, err := c.BlockHashAt(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	block, err := c.Block(ctx, hash)
	if err != nil {
		t.Fatal(err)
	}
	op := wire.OutPoint{Hash: block.Transactions[0].TxHash()}
	want, err := c.Output(ctx, op)
	if err != nil {
		t.Fatal(err)
	}
	for first := range int32(4) {
		got, err := chain.FindOutput(ctx, c, op, chaintest.Script(), first)
		if err != nil || got.Value != want.Value || got.Confirmations != 3 || !got.Coinbase || got.AsOf != want.AsOf || string(got.PkScript) != string(want.PkScript) {
			t.Errorf("from %d: %+v, %v", first, got, err)
		}
	}
	if _, err := chain.FindOutput(ctx, c, op, chaintest.Script(), 4); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("from a block too late: %v", err)
	}
	op.Index = 9
	if _, err := chain.FindOutput(ctx, c, op, chaintest.Script(), 0); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("no such index: %v", err)
	}
	faulty := chaintest.NewFaulty(c)
	set(t, faulty, chaintest.ForgedBlock)
	op.Index = 0
	if _, err := chain.FindOutput(ctx, faulty, op, chaintest.Script(), 0); !errors.Is(err, chain.ErrCorrupt) {
		t.Errorf("forged block: %v", err)
	}
}
