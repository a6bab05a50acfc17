// Package daemon runs one member: it drives a federation.Core with a network, a
// database, a chain backend and a clock, all from one event loop.
//
// The loop drains what waits, lets the core tick, commits the records of the
// whole batch in one transaction, and only then sends, answers and publishes. So
// one disk write serves many messages, and nothing leaves that could be forgotten.
//
// Start order: database (its lock keeps a second process out), core, loop, then
// the goroutines that feed it: network, chain, readiness. Stop order is the
// reverse. A failed commit stops the daemon, because its memory is then ahead of
// its disk; it is started again from the disk.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"frostfed/bitcoin/chain"
	"frostfed/federation"
	"frostfed/p2p"
	"frostfed/protocols"
)

const (
	// maxBatch bounds how many inputs one commit waits for.
	maxBatch = 256
	// maxWorkers is how many slow computations run beside the loop.
	maxWorkers = 2
	// startDepth is how many blocks below the tip a new member begins to follow
	// the chain, so that a usual reorg in the first hours is no surprise.
	startDepth = 12
)

// ErrStopped is returned by calls to a daemon that is stopping.
var ErrStopped = errors.New("the daemon is stopping")

// ErrCloned ends a daemon when more members than can lie say that another running
// process uses its identity. Two copies of one data folder promise coins without
// knowing of each other, so neither may go on.
var ErrCloned = errors.New("another running process uses this member's identity; find the copy of the data folder and remove it before you start again")

// ErrDisk ends a daemon whose disk did not take a write. Nobody knows then what
// the disk holds, so nothing may be said any more.
var ErrDisk = errors.New("the disk did not take a write, so memory is ahead of it")

// Store is where records become durable.
type Store interface {
	Commit([]protocols.Record) error
	Load() ([]protocols.Record, error)
}

// Network carries frames to and from members.
type Network interface {
	Send(to protocols.NodeID, p protocols.Protocol, body []byte) bool
	Events() <-chan p2p.Event
}

// Config of a Daemon. All fields are required but Registerer.
type Config struct {
	Core       federation.Config
	Store      Store
	Network    Network
	Chain      chain.Backend
	Poll       time.Duration // between two looks at the chain; may be 0 if it notifies
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Daemon is a running member. Its methods may be called from any goroutine.
type Daemon struct {
	cfg   Config
	core  *federation.Core
	start time.Time

	ctx     context.Context
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup
	inputs  chan input
	work    chan protocols.Job
	submits chan federation.Submit
	rescans chan federation.Rescan
	// commands holds a token for each external command that runs.
	commands chan struct{}

	witnesses map[protocols.NodeID]struct{} // members that see a second process with our identity

	hub     hub
	faults  faultLog
	metrics *metrics
	chain   chainState
}

// input is something that happened, for the loop to apply.
type input struct {
	apply func(now protocols.Time, core *federation.Core) (federation.Effects, error)
	done  chan<- error // receives the result once the batch is durable; may be nil
}

// Start restores the member from its store and begins to run it. The daemon
// stops when ctx ends, or by itself after a failed commit; Wait tells why.
func Start(ctx context.Context, cfg Config) (*Daemon, error) {
	records, err := cfg.Store.Load()
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		cfg: cfg, start: time.Now(), inputs: make(chan input, maxBatch), work: make(chan protocols.Job, maxBatch),
		submits: make(chan federation.Submit, maxBatch), rescans: make(chan federation.Rescan, 1), commands: make(chan struct{}, maxCommands),
		witnesses: make(map[protocols.NodeID]struct{}),
		metrics:   newMetrics(cfg.Registerer), faults: newFaultLog(cfg.Log),
	}
	core, effects, err := federation.Restore(d.now(), cfg.Core, records)
	if err != nil {
		return nil, err
	}
	d.core = core
	d.ctx, d.cancel = context.WithCancelCause(ctx)
	d.goRun(func() { d.loop(effects) })
	for range maxWorkers {
		d.goRun(d.worker)
	}
	d.goRun(d.submitter)
	d.goRun(d.followChain)
	d.goRun(d.watchReadiness)
	return d, nil
}

// Wait blocks until the daemon has stopped. It returns nil if the context given
// to Start ended or Stop was called.
func (d *Daemon) Wait() error {
	d.wg.Wait()
	if err := context.Cause(d.ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopped) {
		return err
	}
	return nil
}

// Stop ends the daemon and waits for it.
func (d *Daemon) Stop() error {
	d.cancel(ErrStopped)
	return d.Wait()
}

// Do applies a command to the core and returns once its effects are durable.
func (d *Daemon) Do(ctx context.Context, apply func(now protocols.Time, core *federation.Core) (federation.Effects, error)) error {
	done := make(chan error, 1)
	select {
	case d.inputs <- input{apply: apply, done: done}:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return ErrStopped
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return ErrStopped
	}
}

// View lets read look at the core. It must not change it or keep it.
func (d *Daemon) View(ctx context.Context, read func(now protocols.Time, core *federation.Core)) error {
	return d.Do(ctx, func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		read(now, core)
		return federation.Effects{}, nil
	})
}

func (d *Daemon) goRun(f func()) {
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		f()
	}()
}

// now is the clock of the core: milliseconds since the start, from 1.
func (d *Daemon) now() protocols.Time { return protocols.Time(time.Since(d.start).Milliseconds()) + 1 }

// enqueue hands an input to the loop; it gives up when the daemon stops.
func (d *Daemon) enqueue(in input) bool {
	select {
	case d.inputs <- in:
		return true
	case <-d.ctx.Done():
		return false
	}
}

// loop is the only goroutine that touches the core.
func (d *Daemon) loop(initial federation.Effects) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	batch := &batch{effects: initial}
	events := d.cfg.Network.Events()
	for {
		d.drain(batch, events)
		if d.ctx.Err() != nil {
			return // nothing more leaves, least of all from one of two copies
		}
		batch.effects.Append(d.core.Tick(d.now()))
		if err := d.settle(batch); err != nil {
			d.cfg.Log.Error("stopping: memory is ahead of the disk; check the disk and start again", "error", err)
			d.cancel(fmt.Errorf("%w: %w", ErrDisk, err))
			return
		}
		*batch = newBatch()
		timer.Reset(d.untilDeadline())
		select {
		case in := <-d.inputs:
			batch.apply(d, in)
		case ev, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			d.fromNetwork(batch, ev)
		case <-timer.C:
		case <-d.ctx.Done():
			return
		}
	}
}

// untilDeadline is how long the core can be left alone.
func (d *Daemon) untilDeadline() time.Duration {
	deadline := d.core.Deadline()
	if deadline == protocols.Never {
		return time.Hour
	}
	return max(0, time.Duration(deadline-d.now())*time.Millisecond)
}

// batch collects the effects of inputs that share one commit.
type batch struct {
	effects federation.Effects
	inputs  int
	answers []answer
}

type answer struct {
	to  chan<- error
	err error
}

func newBatch() batch { return batch{} }

func (b *batch) apply(d *Daemon, in input) {
	effects, err := in.apply(d.now(), d.core)
	b.effects.Append(effects)
	b.inputs++
	if in.done != nil {
		b.answers = append(b.answers, answer{in.done, err})
	} else if err != nil {
		d.cfg.Log.Warn("input was refused", "error", err)
	}
}

// drain takes what waits already, so that it shares the commit.
func (d *Daemon) drain(b *batch, events <-chan p2p.Event) {
	for b.inputs < maxBatch {
		select {
		case in := <-d.inputs:
			b.apply(d, in)
		case ev, ok := <-events:
			if !ok {
				return
			}
			d.fromNetwork(b, ev)
		default:
			return
		}
	}
}

func (d *Daemon) fromNetwork(b *batch, ev p2p.Event) {
	b.inputs++
	now := d.now()
	switch ev := ev.(type) {
	case p2p.Frame:
		b.effects.Append(d.core.Step(now, ev.From, ev.Protocol, ev.Body))
	case p2p.PeerUp:
		b.effects.Append(d.core.PeerUp(now, ev.ID))
	case p2p.PeerDown:
		b.effects.Append(d.core.PeerDown(now, ev.ID))
	case p2p.PeerFault:
		b.effects.Faults = append(b.effects.Faults, ev.Fault)
	case p2p.IdentityInUse:
		d.cfg.Log.Warn("a member says that another running process uses this member's identity", "peer", peer.ID(ev.Witness).String())
		d.witnesses[ev.Witness] = struct{}{}
		if n := d.cfg.Core.Charter.N(); len(d.witnesses) > protocols.MaxFaulty(n) {
			d.cfg.Log.Error("stopping", "error", ErrCloned)
			d.cancel(ErrCloned)
		}
	}
}

// settle makes a batch durable and then lets it take effect.
func (d *Daemon) settle(b *batch) error {
	begin := time.Now()
	if err := d.cfg.Store.Commit(b.effects.Persist); err != nil {
		return err
	}
	if len(b.effects.Persist) > 0 {
		d.metrics.commit.Observe(time.Since(begin).Seconds())
	}
	for _, e := range b.effects.Send {
		if !d.cfg.Network.Send(e.To, e.Protocol, e.Body) {
			d.metrics.unsent.Inc() // acknowledged messaging sends again
		}
	}
	for _, job := range b.effects.Work {
		select {
		case d.work <- job:
		default:
			d.goRun(func() { d.run(job) }) // the queue is full: rather a goroutine more than a stuck loop
		}
	}
	for _, f := range b.effects.Faults {
		d.metrics.faults.WithLabelValues(f.Kind).Inc()
		if d.faults.note(f) {
			d.hub.publish(Event{At: time.Now(), Fault: &f})
		}
	}
	for _, decision := range b.effects.Out {
		d.act(decision)
		d.hub.publish(Event{At: time.Now(), Decision: decision})
	}
	for _, a := range b.answers {
		a.to <- a.err
	}
	return nil
}

// act does what the core asks of its driver.
func (d *Daemon) act(decision federation.Decision) {
	switch decision := decision.(type) {
	case federation.NoncesLow:
		if decision.Low {
			d.metrics.low.Inc()
		} else {
			d.metrics.low.Dec()
		}
	case federation.RestoredOlder:
		d.cfg.Log.Error("the database of this member is older than its promises; nothing that spends is approved until the coins that may be bound are spent",
			"witness", peer.ID(decision.Witness).String(), "promises", decision.Made, "known", decision.Known, "fence", decision.Fence)
	case federation.EvidenceFound:
		d.metrics.evidence.WithLabelValues(decision.Kind).Inc()
		d.cfg.Log.Warn("a member is proved to have broken the protocol; 'frostfed evidence' shows it", "peer", peer.ID(decision.Culprit).String(),
			"kind", decision.Kind, "where", decision.Place, "evidence", decision.ID.String())
	case federation.Submit:
		select {
		case d.submits <- decision:
		default: // it comes again with the next block
		}
	case federation.AskExternal:
		d.goRun(func() { d.askExternal(decision) })
	case federation.Rescan:
		select {
		case d.rescans <- decision:
		default: // one is waiting already, and reads where the core stands
		}
	}
}

func (d *Daemon) worker() {
	for {
		select {
		case job := <-d.work:
			d.run(job)
		case <-d.ctx.Done():
			return
		}
	}
}

func (d *Daemon) run(job protocols.Job) {
	result := job.Run()
	d.enqueue(input{apply: func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		return core.Done(now, job.ID, result), nil
	}})
}

// short is how IDs stand in logs.
func short(id fmt.Stringer) string { return id.String()[:12] }
