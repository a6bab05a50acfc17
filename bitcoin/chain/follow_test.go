package chain

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"
)

// fakeChain is a backend with a list of blocks and scripted failures. Only the
// three methods that Follow uses exist; any other is a nil dereference.
type fakeChain struct {
	Backend
	mu     sync.Mutex
	best   []chainhash.Hash
	blocks map[chainhash.Hash]*wire.MsgBlock
	extra  uint32 // makes each block another
	easy   bool   // new blocks have half the work
	asked  int    // calls of Block
	before func() // runs before each answer, e.g. to reorganize between two
	fail   error
}

func newFake(n int) *fakeChain {
	f := &fakeChain{blocks: map[chainhash.Hash]*wire.MsgBlock{}}
	f.mine(n)
	return f
}

func (f *fakeChain) mine(n int) {
	for range n {
		f.extra++
		coinbase := wire.NewMsgTx(2)
		coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, Sequence: f.extra})
		block := &wire.MsgBlock{Transactions: []*wire.MsgTx{coinbase}}
		block.Header = wire.BlockHeader{MerkleRoot: coinbase.TxHash(), Bits: 0x203fffff}
		if f.easy {
			block.Header.Bits = 0x207fffff
		}
		if len(f.best) > 0 {
			block.Header.PrevBlock = f.best[len(f.best)-1]
		}
		for checkHeader(block.BlockHash(), &block.Header) != nil {
			block.Header.Nonce++
		}
		hash := block.BlockHash()
		f.blocks[hash] = block
		f.best = append(f.best, hash)
	}
}

func (f *fakeChain) cut(n int) { f.best = f.best[:len(f.best)-n] }

func (f *fakeChain) answer() error {
	if f.before != nil {
		f.before()
	}
	return f.fail
}

func (f *fakeChain) BlockHashAt(_ context.Context, height int32) (chainhash.Hash, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.answer(); err != nil {
		return chainhash.Hash{}, err
	}
	if int(height) >= len(f.best) {
		return chainhash.Hash{}, ErrNotFound
	}
	return f.best[height], nil
}

func (f *fakeChain) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.blocks[hash], f.answer()
}

func (f *fakeChain) Header(_ context.Context, hash chainhash.Hash) (wire.BlockHeader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.answer(); err != nil {
		return wire.BlockHeader{}, err
	}
	return f.blocks[hash].Header, nil
}

// recorder rebuilds the chain from events and objects to any that does not fit.
type recorder struct {
	chain []chainhash.Hash
}

func (r *recorder) deliver(e Event) error {
	switch e := e.(type) {
	case Connected:
		var tip chainhash.Hash
		if len(r.chain) > 0 {
			tip = r.chain[len(r.chain)-1]
		}
		if int(e.Height) != len(r.chain) || e.Block.Header.PrevBlock != tip || e.Block.BlockHash() != e.Hash {
			return errors.New("connected block does not fit")
		}
		r.chain = append(r.chain, e.Hash)
	case Disconnected:
		if int(e.Height) != len(r.chain)-1 || r.chain[e.Height] != e.Hash {
			return errors.New("disconnected block is not the tip")
		}
		r.chain = r.chain[:e.Height]
	}
	return nil
}

// TestFollowRandomReorgs changes the chain between any two answers and sometimes
// restarts the follower; whatever happens, the events describe a chain, and when
// the backend is calm they describe its chain.
func TestFollowRandomReorgs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fake := newFake(rapid.IntRange(1, 10).Draw(t, "blocks"))
		busy := true
		fake.before = func() {
			if !busy {
				return
			}
			// Blocks 0 and 1 stay, so that no reorg is too deep.
			if cut := rapid.IntRange(0, 4).Draw(t, "cut"); cut > 0 && cut <= len(fake.best)-2 {
				fake.cut(cut)
			}
			fake.mine(rapid.IntRange(0, 2).Draw(t, "mine"))
			fake.fail = nil
			if rapid.IntRange(0, 9).Draw(t, "fail") == 0 {
				fake.fail = ErrUnavailable
			}
		}
		var rec recorder
		tracker, err := NewTracker(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 20 {
			busy = round < 19
			if !busy {
				fake.fail = nil
				fake.mine(20) // heavier than whatever was followed
			}
			f := &follower{backend: fake, tracker: tracker, deliver: rec.deliver}
			var heals *backendError
			// A busy chain may never be caught up with: stop it after some answers.
			answers, inner := 0, fake.before
			fake.before = func() {
				if answers++; answers < 50 {
					inner()
				} else {
					fake.fail = nil
				}
			}
			if err := f.catchUp(context.Background()); err != nil && !errors.As(err, &heals) {
				t.Fatal(err)
			}
			fake.before = inner
			if tracker, err = NewTracker(tracker.Recent(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if len(rec.chain) != len(fake.best) || rec.chain[len(rec.chain)-1] != fake.best[len(fake.best)-1] {
			t.Fatalf("followed to %d blocks, the chain has %d", len(rec.chain), len(fake.best))
		}
	})
}

// follow runs Follow on fake with a timer that the test fires.
func follow(t *testing.T, cfg FollowConfig, deliver func(Event) error) (look func(), ended <-chan error) {
	looks, done := make(chan time.Time), make(chan error, 1)
	cfg.Poll = time.Second
	cfg.After = func(time.Duration) <-chan time.Time { return looks }
	go func() { done <- Follow(t.Context(), cfg, deliver) }()
	return func() { looks <- time.Time{} }, done
}

// TestFollowBackpressure: while one event is being handled, no further block is
// fetched.
func TestFollowBackpressure(t *testing.T) {
	fake := newFake(100)
	events := make(chan Event)
	follow(t, FollowConfig{Backend: fake}, func(e Event) error {
		select {
		case events <- e:
			return nil
		case <-t.Context().Done():
			return t.Context().Err()
		}
	})
	for taken := 1; taken <= 50; taken++ {
		<-events
		fake.mu.Lock()
		asked := fake.asked
		fake.mu.Unlock()
		if asked > taken+1 {
			t.Fatalf("%d blocks fetched with %d events taken", asked, taken)
		}
	}
}

func TestFollowTrouble(t *testing.T) {
	fake := newFake(3)
	fake.fail = ErrUnavailable
	// Room for more than may come, so that a report too many is seen, not waited for.
	troubles, events := make(chan error, 10), make(chan Event, 10)
	look, ended := follow(t, FollowConfig{
		Backend: fake,
		Trouble: func(err error) { troubles <- err },
	}, func(e Event) error { events <- e; return nil })

	// A look is taken only when the attempt before it has ended.
	look()
	look()
	fake.mu.Lock()
	fake.fail = nil
	fake.mu.Unlock()
	look()
	look()
	if len(troubles) != 2 || !errors.Is(<-troubles, ErrUnavailable) || <-troubles != nil {
		t.Error("want one report of trouble and one of its end")
	}
	if len(events) != 3 {
		t.Errorf("%d events, want 3", len(events))
	}
	select {
	case err := <-ended:
		t.Errorf("follow ended: %v", err)
	default:
	}
}

func TestFollowEnds(t *testing.T) {
	stop := errors.New("stop")
	id := func(f *fakeChain, h int32) BlockID { return BlockID{h, f.best[h]} }
	for _, test := range []struct {
		name string
		cfg  func(*fakeChain) FollowConfig
		want error
	}{
		{"the consumer's error", func(f *fakeChain) FollowConfig { return FollowConfig{} }, stop},
		{"a reorg below all that is known", func(f *fakeChain) FollowConfig {
			from := []BlockID{id(f, 3), id(f, 4)}
			f.cut(3)
			f.mine(4)
			return FollowConfig{From: from}
		}, ErrTooDeep},
		{"a reorg deeper than Depth", func(f *fakeChain) FollowConfig {
			from := []BlockID{id(f, 0), id(f, 1), id(f, 2), id(f, 3), id(f, 4)}
			f.cut(2)
			f.mine(2)
			return FollowConfig{From: from, Depth: 2}
		}, ErrTooDeep},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := newFake(5)
			cfg := test.cfg(fake)
			cfg.Backend = fake
			_, ended := follow(t, cfg, func(e Event) error {
				if _, ok := e.(Connected); ok {
					return stop
				}
				return nil
			})
			if err := <-ended; !errors.Is(err, test.want) {
				t.Errorf("follow ended with %v, want %v", err, test.want)
			}
		})
	}
	if err := Follow(t.Context(), FollowConfig{Backend: newFake(1)}, nil); err == nil {
		t.Error("a backend that must be polled was accepted without an interval")
	}
}

// TestFollowContradiction: a backend whose answers do not belong together is
// trouble, not an endless loop and not an event.
func TestFollowContradiction(t *testing.T) {
	for name, spoil := range map[string]func(*fakeChain){
		"another block":       func(f *fakeChain) { f.blocks[f.best[1]] = f.blocks[f.best[2]] },
		"another transaction": func(f *fakeChain) { f.blocks[f.best[1]].Transactions[0].TxIn[0].Sequence++ },
		"not a child":         func(f *fakeChain) { f.best[1] = f.best[2] },
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake(3)
			spoil(fake)
			troubles := make(chan error, 1)
			var rec recorder
			follow(t, FollowConfig{Backend: fake, Trouble: func(err error) { troubles <- err }}, rec.deliver)
			if err := <-troubles; !errors.Is(err, ErrUnavailable) {
				t.Errorf("trouble: %v", err)
			}
			if len(rec.chain) != 1 {
				t.Errorf("%d blocks connected, want the first only", len(rec.chain))
			}
		})
	}
}

// TestFollowWeighs: a chain is given up only for one with at least its work, and
// nothing is disconnected before that is known.
func TestFollowWeighs(t *testing.T) {
	for _, test := range []struct {
		name    string
		reorg   func(*fakeChain)
		restart bool // the follower does not know the work of its blocks
		refused bool
	}{
		{"shorter", func(f *fakeChain) { f.cut(3); f.mine(2) }, false, true},
		{"cut off", func(f *fakeChain) { f.cut(3) }, false, true},
		{"cut off, unknown work", func(f *fakeChain) { f.cut(3) }, true, true},
		{"longer and lighter", func(f *fakeChain) { f.cut(3); f.easy = true; f.mine(5) }, false, true},
		{"longer, as heavy", func(f *fakeChain) { f.cut(3); f.easy = true; f.mine(6) }, false, false},
		{"as long", func(f *fakeChain) { f.cut(3); f.mine(3) }, false, false},
		{"as long, unknown work", func(f *fakeChain) { f.cut(3); f.mine(3) }, true, false},
		{"shorter, unknown work", func(f *fakeChain) { f.cut(3); f.mine(2) }, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := newFake(10)
			tracker, err := NewTracker(nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			var rec recorder
			f := &follower{backend: fake, tracker: tracker, deliver: rec.deliver}
			if err := f.catchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if test.restart {
				f.work = nil
			}
			before := slices.Clone(rec.chain)
			test.reorg(fake)
			err = f.catchUp(t.Context())
			if got := errors.Is(err, ErrLessWork); got != test.refused {
				t.Fatalf("catch up: %v", err)
			}
			if test.refused && !slices.Equal(rec.chain, before) {
				t.Error("blocks were disconnected for a lighter chain")
			}
			if !test.refused && (err != nil || !slices.Equal(rec.chain, fake.best)) {
				t.Errorf("the chain was not followed: %v", err)
			}
			// The node finds its way: whatever it was, the heaviest chain is followed.
			if test.refused {
				fake.easy = false
				fake.mine(10)
				if err := f.catchUp(t.Context()); err != nil || !slices.Equal(rec.chain, fake.best) {
					t.Errorf("afterwards: %v", err)
				}
			}
		})
	}
}
