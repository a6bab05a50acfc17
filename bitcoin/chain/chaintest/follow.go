package chaintest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin/chain"
)

// watcher follows the chain under test. Its poll timer fires when look is called,
// so nothing depends on time.
type watcher struct {
	t       *testing.T
	events  chan chain.Event // unbuffered: the follower waits for the test
	looks   chan time.Time
	ended   chan error
	cancel  context.CancelFunc
	tracker *chain.Tracker // what a consumer would store
}

func (s *suite) watch(t *testing.T, from []chain.BlockID) *watcher {
	t.Helper()
	tracker, err := chain.NewTracker(from, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{
		t: t, events: make(chan chain.Event), looks: make(chan time.Time, 1),
		ended: make(chan error, 1), cancel: cancel, tracker: tracker,
	}
	go func() {
		w.ended <- chain.Follow(ctx, chain.FollowConfig{
			Backend: s.Backend,
			From:    from,
			Poll:    time.Second,
			After:   func(time.Duration) <-chan time.Time { return w.looks },
		}, func(e chain.Event) error {
			select {
			case w.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(w.stop)
	return w
}

// stop ends the following, as a restart would. It may be called again.
func (w *watcher) stop() {
	w.cancel()
	if err, ok := <-w.ended; ok {
		close(w.ended)
		if !errors.Is(err, context.Canceled) {
			w.t.Errorf("follow ended with %v", err)
		}
	}
}

// look makes the follower ask the node again.
func (w *watcher) look() {
	select {
	case w.looks <- time.Time{}:
	default: // one is pending
	}
}

func (w *watcher) next() chain.Event {
	w.t.Helper()
	select {
	case e := <-w.events:
		return e
	case err := <-w.ended:
		w.t.Fatalf("follow ended with %v", err)
	case <-time.After(patience):
		w.t.Fatal("no event")
	}
	return nil
}

// connected checks that the next events connect hashes in order.
func (w *watcher) connected(hashes ...chainhash.Hash) {
	w.t.Helper()
	for _, hash := range hashes {
		e, ok := w.next().(chain.Connected)
		if !ok || e.Hash != hash || e.Block.BlockHash() != hash || e.Height != w.tracker.Next() {
			w.t.Fatalf("got %T %+v, want block %v connected at %d", e, e.BlockID, hash, w.tracker.Next())
		}
		if _, err := w.tracker.Connect(e.Hash, e.Block.Header.PrevBlock); err != nil {
			w.t.Fatal(err)
		}
	}
}

// disconnected checks that the next events disconnect ids in order.
func (w *watcher) disconnected(ids ...chain.BlockID) {
	w.t.Helper()
	for _, id := range ids {
		e, ok := w.next().(chain.Disconnected)
		if !ok || e.BlockID != id {
			w.t.Fatalf("got %T %+v, want %v disconnected", e, e.BlockID, id)
		}
		if _, err := w.tracker.Disconnect(); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (s *suite) testFollow(t *testing.T) {
	ctx := testContext(t)
	w := s.watch(t, nil) // from the genesis block
	for h := range s.tip(t).Height + 1 {
		w.connected(must(s.Backend.BlockHashAt(ctx, h))(t))
	}
	for range 3 {
		mined := s.mine(t, 2)
		w.look()
		w.connected(mined...)
	}
}

func (s *suite) testReorg(t *testing.T, depth int32) {
	s.mine(t, int(depth)) // blocks to lose
	w := s.watch(t, s.back(t, depth+1))
	mined := s.mine(t, 1)
	w.look()
	w.connected(mined...)

	old, fresh := s.reorg(t, depth)
	w.look()
	w.disconnected(old...)
	w.connected(fresh...)
}

// testResume stops following, reorganizes, and goes on from the stored list.
func (s *suite) testResume(t *testing.T) {
	w := s.watch(t, s.back(t, 1))
	mined := s.mine(t, 4)
	w.look()
	w.connected(mined...)
	w.stop()

	old, fresh := s.reorg(t, 3)
	w = s.watch(t, w.tracker.Recent())
	w.disconnected(old...)
	w.connected(fresh...)
	w.stop()

	// Nothing happened meanwhile: the first event is the next block.
	w = s.watch(t, w.tracker.Recent())
	mined = s.mine(t, 1)
	w.look()
	w.connected(mined...)
}

// testReorgMempool: a transaction whose block is gone can be mined again, and
// is, after another submission at the latest.
func (s *suite) testReorgMempool(t *testing.T) {
	c := s.mature(t)
	tx := spend(t, c, minFee)
	s.submit(t, tx)
	change := coin{outpoint(tx, 0), *tx.TxOut[0], s.tip(t).Height}
	lost := s.mine(t, 1)[0]
	if err := s.Invalidate(lost); err != nil {
		t.Fatal(err)
	}
	if s.Relayed == nil {
		_, err := s.output(t, change)
		wantErr(t, "output of a lost block", err, chain.ErrNotFound)
	}
	s.submit(t, tx)
	s.mine(t, 2)
	if got := must(s.output(t, change))(t); got.Confirmations != 2 {
		t.Errorf("%d confirmations, want 2", got.Confirmations)
	}
}

// back returns the last n blocks, oldest first.
func (s *suite) back(t *testing.T, n int32) []chain.BlockID {
	t.Helper()
	tip := s.tip(t)
	var ids []chain.BlockID
	for h := tip.Height - n + 1; h <= tip.Height; h++ {
		ids = append(ids, chain.BlockID{Height: h, Hash: must(s.Backend.BlockHashAt(testContext(t), h))(t)})
	}
	return ids
}
