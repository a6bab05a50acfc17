package chain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
)

// Event is a Connected or a Disconnected.
type Event interface{ isEvent() }

// Connected says that a block extended the chain. Heights rise by one.
type Connected struct {
	BlockID
	Block *wire.MsgBlock // shared: do not modify
}

// Disconnected says that the last connected block left the best chain.
type Disconnected struct {
	BlockID
}

func (Connected) isEvent()    {}
func (Disconnected) isEvent() {}

// FollowConfig says from where and how eagerly to follow a chain.
type FollowConfig struct {
	Backend Backend

	// From is where the consumer stands, as NewTracker takes it: the blocks it
	// stored, or one block sufficiently deep to start from, or nothing to start
	// with the genesis block.
	From []BlockID

	// Depth is the deepest reorg that can be followed, plus one. 0 means
	// DefaultDepth.
	Depth int

	// Poll is the time between two looks at the backend: 1 s for regtest, 10 s
	// elsewhere. It may be 0 if the backend is a Notifier.
	Poll time.Duration

	// Timeout bounds each question to the backend, so that one that hangs is
	// trouble and not silence. 0 means DefaultTimeout.
	Timeout time.Duration

	// After is the clock; nil means time.After.
	After func(time.Duration) <-chan time.Time

	// Trouble, if not nil, is called when the backend stops answering, with the
	// reason, and with nil when it answers again. Not once per failed attempt.
	Trouble func(error)
}

// backendError marks what may heal by itself, in contrast to the consumer's own
// errors and to ErrTooDeep.
type backendError struct{ err error }

func (e *backendError) Error() string { return e.err.Error() }
func (e *backendError) Unwrap() error { return e.err }

// DefaultTimeout is how long Follow waits for one answer. The slowest is a block
// that neutrino has to ask several peers for.
const DefaultTimeout = time.Minute

// ErrLessWork means that the backend now calls another chain the best one that
// has less work than the one it gave before. A node does that when it lost blocks,
// is made to by its operator, or lies; a chain is given up only for a heavier one.
var ErrLessWork = fmt.Errorf("the node's chain has less work than before: %w", ErrUnavailable)

// errContradiction is a backend whose answers do not belong together, such as a
// block in the best chain above another that is not its parent.
var errContradiction = fmt.Errorf("answers contradict each other: %w", ErrUnavailable)

// Follow tells deliver every change of the backend's best chain, in order: first
// what happened since From, then what happens, until ctx ends. After each event
// the blocks connected and not disconnected form a chain.
//
// It calls deliver from its own goroutine, the caller's, and asks the backend for
// the next block only when deliver has returned: a slow consumer slows the
// following and buffers nothing. A consumer that stores the event together with
// its new list of recent blocks, and starts from that list, misses no event and
// sees none twice.
//
// Follow outlives trouble with the backend. It returns the error of ctx, the
// first error of deliver, ErrTooDeep, or an error of the configuration.
func Follow(ctx context.Context, cfg FollowConfig, deliver func(Event) error) error {
	tracker, err := NewTracker(cfg.From, cfg.Depth)
	if err != nil {
		return fmt.Errorf("follow chain: %w", err)
	}
	var changed <-chan struct{}
	if n, ok := cfg.Backend.(Notifier); ok {
		// Subscribed before the first look, so no change falls between the two.
		var stop func()
		changed, stop = n.Subscribe()
		defer stop()
	} else if cfg.Poll <= 0 {
		return errors.New("follow chain: this backend needs a poll interval")
	}
	after := cfg.After
	if after == nil {
		after = time.After
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	f := &follower{backend: patient{cfg.Backend, timeout}, tracker: tracker, deliver: deliver}

	for troubled := false; ; {
		err := f.catchUp(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var backendErr *backendError
		if err != nil && !errors.As(err, &backendErr) {
			return fmt.Errorf("follow chain: %w", err)
		}
		if cfg.Trouble != nil && troubled != (err != nil) {
			cfg.Trouble(err)
		}
		troubled = err != nil

		var tick <-chan time.Time
		if cfg.Poll > 0 {
			tick = after(cfg.Poll)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-tick:
		}
	}
}

type follower struct {
	backend source
	tracker *Tracker
	deliver func(Event) error
	work    []*big.Int // of the last blocks connected in this run, oldest first
}

// catchUp brings the consumer to the tip. Each round walks back to the best
// chain and then up; it ends with a round that found nothing to connect, because
// the chain may have forked behind the walk up.
func (f *follower) catchUp(ctx context.Context) error {
	for {
		if err := f.rewind(ctx); err != nil {
			return err
		}
		connected, err := f.extend(ctx)
		if errors.Is(err, ErrFork) && connected {
			continue // a reorg came between two questions
		}
		if errors.Is(err, ErrFork) {
			// The tip was on the best chain a moment ago, yet its successor is not
			// its child. Asking on without pause could spin for ever.
			return &backendError{errContradiction}
		}
		if err != nil || !connected {
			return err
		}
	}
}

// rewind disconnects blocks until the tip is on the backend's best chain, if that
// chain is worth it. Nothing is delivered before that is known.
func (f *follower) rewind(ctx context.Context) error {
	lost, err := f.lost(ctx)
	if err != nil || lost == 0 {
		return err
	}
	if err := f.weigh(ctx, lost); err != nil {
		return err
	}
	for range lost {
		gone, err := f.tracker.Disconnect()
		if err != nil {
			return fmt.Errorf("block %v at height %d: %w", gone.Hash, gone.Height, err)
		}
		f.work = f.work[:max(0, len(f.work)-1)]
		if err := f.deliver(Disconnected{gone}); err != nil {
			return err
		}
	}
	return nil
}

// lost counts the tracked blocks, from the tip down, that are not on the backend's
// best chain.
func (f *follower) lost(ctx context.Context) (int, error) {
	recent := f.tracker.Recent()
	for i := range recent {
		id := recent[len(recent)-1-i]
		hash, err := f.backend.BlockHashAt(ctx, id.Height)
		switch {
		case errors.Is(err, ErrNotFound) && i == len(recent)-1:
			// Not one block to compare: a node that begins anew, not a reorg.
			return 0, &backendError{fmt.Errorf("it ends below block %d, our first: %w", id.Height, ErrLessWork)}
		case err != nil && !errors.Is(err, ErrNotFound): // not found: its chain is shorter now
			return 0, &backendError{err}
		case err == nil && hash == id.Hash:
			return i, nil
		}
	}
	if len(recent) > 0 {
		return 0, fmt.Errorf("block %v at height %d: %w", recent[0].Hash, recent[0].Height, ErrTooDeep)
	}
	return 0, nil
}

// extend connects blocks until the backend has no more. ErrFork means that the
// next one does not fit.
func (f *follower) extend(ctx context.Context) (connected bool, err error) {
	for {
		hash, err := f.backend.BlockHashAt(ctx, f.tracker.Next())
		if errors.Is(err, ErrNotFound) {
			return connected, nil
		}
		if err != nil {
			return connected, &backendError{err}
		}
		block, err := f.backend.Block(ctx, hash)
		if err != nil {
			return connected, &backendError{err}
		}
		if err := CheckBlock(hash, block); err != nil {
			return connected, &backendError{err}
		}
		id, err := f.tracker.Connect(hash, block.Header.PrevBlock)
		if err != nil {
			return connected, err
		}
		f.remember(block.Header.Bits)
		if err := f.deliver(Connected{BlockID: id, Block: block}); err != nil {
			return true, err
		}
		connected = true
	}
}
