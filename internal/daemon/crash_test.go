package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/federation"
	"frostfed/p2p"
	"frostfed/protocols"
	"frostfed/test/wiretap"
)

var full = flag.Bool("full", false, "crash at every point, not at some")

var errKilled = errors.New("killed")

// moment is where a life can end.
type moment string

const (
	beforeCommit moment = "before commit" // also: with the result of a computation just arrived
	afterCommit  moment = "after commit"
	atSend       moment = "at send"
)

// life is a process of a member: a daemon with the disk and the wires that it has
// until it is killed. Then nothing of it reaches the outside any more.
type life struct {
	*Daemon
	c      *cluster
	index  int
	events chan p2p.Event

	mu     sync.Mutex
	seen   map[moment]int // how often each moment was passed
	at     moment
	after  int
	dead   chan struct{} // closed when killed
	failed bool          // a commit was refused: the daemon must know that it is over
}

func (l *life) pass(m moment) (alive bool) {
	select {
	case <-l.dead:
		return false
	default:
	}
	if l.seen[m]++; m == l.at && l.seen[m] == l.after {
		close(l.dead)
		return false
	}
	return true
}

func (l *life) Load() ([]protocols.Record, error) { return l.c.disks[l.index].Load() }

func (l *life) Commit(records []protocols.Record) error {
	if len(records) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.pass(beforeCommit) {
		l.failed = true
		return errKilled
	}
	if err := l.c.disks[l.index].Commit(records); err != nil {
		return err
	}
	if !l.pass(afterCommit) {
		l.failed = true
		return errKilled
	}
	return nil
}

func (l *life) Send(to protocols.NodeID, p protocols.Protocol, body []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed {
		l.c.t.Errorf("member %d sends on %s after its disk has failed", l.index, p)
	}
	if !l.pass(atSend) {
		return false
	}
	l.c.tap.Frame(l.c.members[l.index], to, p, body)
	return l.c.post(to, p2p.Frame{From: l.c.members[l.index], Protocol: p, Body: bytes.Clone(body)})
}

func (l *life) Events() <-chan p2p.Event { return l.events }

// cluster is a federation of daemons in one bubble.
type cluster struct {
	t       *testing.T
	members []protocols.NodeID
	configs []federation.Config
	disks   []*memStore
	chain   *memChain
	tap     *wiretap.Tap

	mu    sync.Mutex
	lives []*life
}

const clusterSize = 4

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, chain: new(memChain), tap: wiretap.New(), lives: make([]*life, clusterSize)}
	for range 3 {
		c.chain.mine()
	}
	charter, keys, rules := found(t, clusterSize)
	c.members = charter.Members()
	for i, card := range charter.Cards {
		c.configs = append(c.configs, federation.Config{Charter: charter, Self: c.members[i], Host: &keys[card.Host].Host, Policy: rules, Rand: rand.Reader, Gap: 2})
		c.disks = append(c.disks, &memStore{records: make(map[string][]byte)})
	}
	c.tap.Signs = func(signer protocols.NodeID, request [32]byte) {
		if i := charter.Index(signer); !c.disks[i].has("f/v/"+hex.EncodeToString(request[:])) && !c.disks[i].verifies(request) {
			t.Errorf("member %d signs before its promise is on disk", i)
		}
	}
	return c
}

// verifies says whether request is the first signature with a key on the disk: that
// needs no promise.
func (s *memStore) verifies(request federation.RequestID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.records {
		if name, found := strings.CutPrefix(key, "f/a/"); found {
			id, err := hex.DecodeString(name)
			if err == nil && federation.VerificationRequest(federation.KeyID(id)) == request {
				return true
			}
		}
	}
	return false
}

func (c *cluster) post(to protocols.NodeID, ev p2p.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, id := range c.members {
		if id == to && c.lives[i] != nil {
			select {
			case c.lives[i].events <- ev:
				return true
			default:
			}
		}
	}
	return false
}

// start runs a member from its disk, to be killed at a moment, if after is not 0.
func (c *cluster) start(i int, at moment, after int) *life {
	c.t.Helper()
	l := &life{c: c, index: i, events: make(chan p2p.Event, 1<<14), seen: make(map[moment]int), at: at, after: after, dead: make(chan struct{})}
	d, err := Start(context.Background(), Config{Core: c.configs[i], Store: l, Network: l, Chain: c.chain, Poll: time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.t.Fatal(err)
	}
	l.Daemon = d
	c.mu.Lock()
	c.lives[i] = l
	c.mu.Unlock()
	for j, other := range c.members {
		if j != i {
			c.post(other, p2p.PeerUp{ID: c.members[i]})
			if c.lives[j] != nil {
				c.post(c.members[i], p2p.PeerUp{ID: other})
			}
		}
	}
	return l
}

func (c *cluster) startAll() {
	for i := range c.members {
		c.start(i, "", 0)
	}
	advance(10 * time.Second)
}

// stop takes a member away, in whatever state it is.
func (c *cluster) stop(i int) {
	c.t.Helper()
	l := c.lives[i]
	c.mu.Lock()
	c.lives[i] = nil
	c.mu.Unlock()
	if err := l.Stop(); err != nil && !errors.Is(err, errKilled) {
		c.t.Errorf("member %d ended with %v", i, err)
	}
	for _, f := range l.Faults() {
		c.t.Errorf("member %d blames an honest one: %s", i, f.Kind)
	}
	for j, other := range c.members {
		if j != i {
			c.post(other, p2p.PeerDown{ID: c.members[i]})
		}
	}
}

// halt stops all: a bubble ends only without goroutines, also after a failure.
func (c *cluster) halt() {
	c.t.Helper()
	for i := range c.members {
		if c.lives[i] != nil {
			c.stop(i)
		}
	}
}

func (c *cluster) stopAll() {
	c.t.Helper()
	c.halt()
	if err := c.tap.Err(); err != nil {
		c.t.Error(err)
	}
}

// until lets time pass until the condition holds or the victim is killed.
func (c *cluster) until(victim *life, what string, holds func() bool) (killed bool) {
	c.t.Helper()
	synctest.Wait()
	for range 600 {
		select {
		case <-victim.dead:
			return true
		default:
		}
		if holds() {
			return false
		}
		advance(100 * time.Millisecond)
	}
	c.t.Fatalf("not within a minute: %s", what)
	return false
}

// ready waits until a member can approve.
func (c *cluster) ready(l *life) {
	c.t.Helper()
	c.until(l, "it is ready", func() bool {
		var s federation.Status
		err := l.View(context.Background(), func(_ protocols.Time, core *federation.Core) { s = core.Status() })
		return err == nil && s.Heard && s.ChainReady
	})
}

func (l *life) requests() (n int) {
	l.c.t.Helper()
	if err := l.View(context.Background(), func(_ protocols.Time, core *federation.Core) { n = len(core.Requests()) }); err != nil {
		l.c.t.Fatal(err)
	}
	return n
}

// every says whether a condition holds at each member that runs. One that is
// being killed does not answer.
func (c *cluster) every(holds func(*federation.Core) bool) bool {
	for _, l := range c.lives {
		ok := false
		err := l.View(context.Background(), func(_ protocols.Time, core *federation.Core) { ok = holds(core) })
		if err != nil || !ok {
			return false
		}
	}
	return true
}

func do[T any](l *life, command func(protocols.Time, *federation.Core) (T, federation.Effects, error)) (out T, err error) {
	err = l.Do(context.Background(), func(now protocols.Time, core *federation.Core) (e federation.Effects, err error) {
		out, e, err = command(now, core)
		return e, err
	})
	return out, err
}

func (c *cluster) newKey(i int) error {
	_, err := do(c.lives[i], func(now protocols.Time, core *federation.Core) ([32]byte, federation.Effects, error) {
		return core.NewKey(now, "main")
	})
	return err
}

func complete(core *federation.Core) bool {
	keys := core.Keys()
	return len(keys) == 1 && keys[0].Phase == "complete"
}

// fund pays two coins to the key.
func (c *cluster) fund() {
	c.t.Helper()
	for range 2 {
		address, err := do(c.lives[0], func(now protocols.Time, core *federation.Core) (bitcoin.Derived, federation.Effects, error) {
			return core.NewAddress(now, "main")
		})
		if err != nil {
			c.t.Fatal(err)
		}
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{Sequence: uint32(len(c.chain.blocks))})
		tx.AddTxOut(wire.NewTxOut(1_000_000, address.Script))
		c.chain.mine(tx)
	}
	advance(5 * time.Second)
}

func (c *cluster) list() bitcoin.PayoutList {
	payee := bitcoin.Payee{Script: append([]byte{0, 20}, bytes.Repeat([]byte{7}, 20)...), Amount: 5000}
	list, err := bitcoin.NewPayoutList(bitcoin.Regtest, "week 1", []bitcoin.Payee{payee})
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

func (c *cluster) addList(i int, list bitcoin.PayoutList) error {
	_, err := do(c.lives[i], func(now protocols.Time, core *federation.Core) (struct{}, federation.Effects, error) {
		return struct{}{}, core.AddPayoutList(now, list), nil
	})
	return err
}

func (c *cluster) pay(i int, list bitcoin.PayoutList) error {
	_, err := do(c.lives[i], func(now protocols.Time, core *federation.Core) (federation.RequestID, federation.Effects, error) {
		return core.Pay(now, federation.PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
	})
	return err
}

// paid says that a payout is signed here, and that this member asks for no other
// that could confirm beside it.
func paid(t *testing.T) func(*federation.Core) bool {
	return func(core *federation.Core) bool {
		signed := 0
		var first *wire.MsgTx
		for _, r := range core.Requests() {
			if r.Tx == nil {
				continue
			}
			if signed++; first == nil {
				first = r.Tx
			} else if first.TxIn[0].PreviousOutPoint != r.Tx.TxIn[0].PreviousOutPoint {
				t.Errorf("two payouts that do not exclude each other: %v and %v", first.TxHash(), r.Tx.TxHash())
			}
		}
		return signed > 0
	}
}

// point is the time at which a life ends: when it passes a moment so many times.
type point struct {
	at    moment
	after int
}

// points counts what a victim passes while play runs undisturbed, and returns the
// places at which to kill it: all, or some spread evenly.
func points(victim *life, some int) (out []point) {
	for _, m := range []moment{beforeCommit, afterCommit, atSend} {
		n := victim.seen[m]
		step := max(1, n/some)
		if *full {
			step = 1
		}
		for k := 1; k <= n; k += step {
			out = append(out, point{m, k})
		}
	}
	return out
}

// TestM4CrashWhileSigning kills the proposer, or another signer, at each commit
// and each send of a payout. The payout is made once, no pair of nonces is used
// twice, nothing is signed before the promise is on disk, and no member blames
// another.
func TestM4CrashWhileSigning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		defer c.halt()
		c.startAll()
		if err := c.newKey(0); err != nil {
			t.Fatal(err)
		}
		c.until(c.lives[0], "the key is complete", func() bool { return c.every(complete) })
		c.fund()
		c.stopAll()
		var snapshot []map[string][]byte
		for _, d := range c.disks {
			snapshot = append(snapshot, maps.Clone(d.records))
		}
		kills := 0
		play := func(index int, at moment, after int) *life {
			for i := range c.disks {
				c.disks[i] = &memStore{records: maps.Clone(snapshot[i])}
			}
			c.startAll()
			c.stop(index)
			victim := c.start(index, at, after)
			c.ready(victim)
			list := c.list()
			for i := range c.members {
				if err := c.addList(i, list); err != nil && i != index {
					t.Fatal(err)
				}
			}
			if err := c.pay(0, list); err != nil && !(index == 0 && errors.Is(err, ErrStopped)) {
				t.Fatal(err)
			}
			killed := c.until(victim, "the payout is signed", func() bool { return c.every(paid(t)) })
			if killed {
				kills++
				c.stop(index)
				again := c.start(index, "", 0)
				if err := c.addList(index, list); err != nil { // as its operator would
					t.Fatal(err)
				}
				if c.ready(again); again.requests() == 0 { // nothing of the proposal was on disk, or nothing had left
					if err := c.pay(index, list); err != nil {
						t.Fatal(err)
					}
				}
				c.until(again, "the payout is signed after all", func() bool { return c.every(paid(t)) })
			}
			c.stopAll()
			return victim
		}
		before := c.tap.Answers(c.members[1])
		runs := 0
		for _, index := range []int{0, 1} {
			all := points(play(index, "", 0), 3)
			runs += len(all)
			for _, p := range all {
				play(index, p.at, p.after)
				if t.Failed() {
					t.Fatalf("member %d, killed %s %d", index, p.at, p.after)
				}
			}
		}
		// How inputs fall into batches differs a little, so the last points may not come.
		t.Logf("%d of %d points were reached; member 1 answered with %d pairs", kills, runs, c.tap.Answers(c.members[1])-before)
		if c.tap.Answers(c.members[1]) == before || kills < runs*3/4 {
			t.Error("too little happened")
		}
	})
}

// TestM4CrashInKeyGeneration does the same to a member while a key is made: the
// ceremony ends with the same key at all, and nobody is blamed for what a crash
// could make it say twice.
func TestM4CrashInKeyGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kills := 0
		play := func(at moment, after int) *life {
			c := newCluster(t)
			defer c.halt()
			c.startAll()
			c.stop(0)
			victim := c.start(0, at, after)
			advance(time.Second)
			err := c.newKey(0)
			killed := c.until(victim, "the key is complete", func() bool { return err == nil && c.every(complete) })
			if killed {
				kills++
				c.stop(0)
				again := c.start(0, "", 0)
				advance(5 * time.Second)
				if err := c.newKey(0); err != nil && !errors.Is(err, federation.ErrLabelUsed) {
					t.Fatal(err)
				}
				c.until(again, "the key is complete after all", func() bool { return c.every(complete) })
			}
			xpubs := make(map[string]bool)
			c.every(func(core *federation.Core) bool { xpubs[core.Keys()[0].Xpub] = true; return true })
			if len(xpubs) != 1 {
				t.Errorf("%d different keys", len(xpubs))
			}
			c.stopAll()
			return victim
		}
		all := points(play("", 0), 3)
		for _, p := range all {
			play(p.at, p.after)
			if t.Failed() {
				t.Fatalf("killed %s %d", p.at, p.after)
			}
		}
		t.Logf("%d of %d points were reached", kills, len(all))
		if kills < len(all)*3/4 {
			t.Error("too little happened")
		}
	})
}
