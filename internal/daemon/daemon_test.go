package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
	"frostfed/crypto/memberkey"
	"frostfed/federation"
	"frostfed/p2p"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

// memStore is a disk. commit, if set, is asked before each write.
type memStore struct {
	mu      sync.Mutex
	records map[string][]byte
	commit  func([]protocols.Record) error
}

func (s *memStore) Commit(records []protocols.Record) error {
	s.mu.Lock()
	commit := s.commit
	s.mu.Unlock()
	if commit != nil {
		if err := commit(records); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		if s.records[r.Key] = r.Value; r.Value == nil {
			delete(s.records, r.Key)
		}
	}
	return nil
}

func (s *memStore) onCommit(f func([]protocols.Record) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commit = f
}

func (s *memStore) Load() ([]protocols.Record, error) {
	var out []protocols.Record
	for key, value := range s.records {
		out = append(out, protocols.Record{Key: key, Value: value})
	}
	slices.SortFunc(out, func(a, b protocols.Record) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	return out, nil
}

func (s *memStore) has(prefix string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.records {
		if bytes.HasPrefix([]byte(key), []byte(prefix)) {
			return true
		}
	}
	return false
}

// memNet takes frames and gives events.
type memNet struct {
	mu     sync.Mutex
	sent   int
	events chan p2p.Event
}

func (n *memNet) Send(protocols.NodeID, protocols.Protocol, []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent++
	return true
}

func (n *memNet) Events() <-chan p2p.Event { return n.events }

func (n *memNet) frames() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// memChain is a chain backend whose blocks the test writes. Methods that the
// daemon does not call are missing.
type memChain struct {
	chain.Backend
	mu        sync.Mutex
	blocks    []*wire.MsgBlock
	forks     int32 // makes the blocks of each branch others
	ready     error
	refuse    error
	submitted []chainhash.Hash
}

func (c *memChain) mine(txs ...*wire.MsgTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parent chainhash.Hash
	if len(c.blocks) > 0 {
		parent = c.blocks[len(c.blocks)-1].BlockHash()
	}
	c.blocks = append(c.blocks, chaintest.NextBlock(parent, c.forks+int32(len(c.blocks)), txs...))
}

func (c *memChain) reorg(depth, instead int) {
	c.mu.Lock()
	c.blocks = c.blocks[:len(c.blocks)-depth]
	c.forks += 1000
	c.mu.Unlock()
	for range instead {
		c.mine()
	}
}

func (c *memChain) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *memChain) Ready(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

func (c *memChain) Tip(context.Context) (chain.BlockID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := len(c.blocks) - 1
	return chain.BlockID{Height: int32(h), Hash: c.blocks[h].BlockHash()}, nil
}

func (c *memChain) BlockHashAt(_ context.Context, h int32) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int(h) >= len(c.blocks) {
		return chainhash.Hash{}, chain.ErrNotFound
	}
	return c.blocks[h].BlockHash(), nil
}

func (c *memChain) Header(ctx context.Context, hash chainhash.Hash) (wire.BlockHeader, error) {
	block, err := c.Block(ctx, hash)
	if err != nil {
		return wire.BlockHeader{}, err
	}
	return block.Header, nil
}

func (c *memChain) Block(_ context.Context, hash chainhash.Hash) (*wire.MsgBlock, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		if b.BlockHash() == hash {
			return b, nil
		}
	}
	return nil, chain.ErrNotFound
}

func (c *memChain) Submit(_ context.Context, tx *wire.MsgTx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.submitted = append(c.submitted, tx.TxHash())
	return c.refuse
}

func (c *memChain) Capabilities(context.Context) (chain.Capabilities, error) {
	return chain.Capabilities{Verdict: true}, nil
}

func (c *memChain) submissions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.submitted)
}

// rig is a daemon in a bubble: time passes only while nothing happens.
type rig struct {
	*Daemon
	t       *testing.T
	cfg     Config
	store   *memStore
	net     *memNet
	chain   *memChain
	members []protocols.NodeID
}

// found makes a federation of n members, their keys by host key, and rules that are
// content with one confirmation.
func found(t *testing.T, n int) (*membership.Charter, map[[33]byte]*memberkey.Keys, policy.Config) {
	t.Helper()
	var cards []*membership.Card
	keys := make(map[[33]byte]*memberkey.Keys)
	for i := range n {
		k, err := memberkey.Derive(bytes.Repeat([]byte{byte(i + 1)}, 32), 0)
		if err != nil {
			t.Fatal(err)
		}
		card, err := membership.NewCard(k, fmt.Sprintf("member%d", i), 1, nil, func() [32]byte { return [32]byte{} })
		if err != nil {
			t.Fatal(err)
		}
		cards, keys[card.Host] = append(cards, card), k
	}
	charter, err := membership.NewCharter("test", "regtest", 0, cards)
	if err != nil {
		t.Fatal(err)
	}
	rules := policy.DefaultConfig()
	rules.MinConfirmations = 1
	return charter, keys, rules
}

func inBubble(t *testing.T, members int, test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: &memStore{records: make(map[string][]byte)}, net: &memNet{events: make(chan p2p.Event)}, chain: new(memChain)}
		for range 3 {
			r.chain.mine()
		}
		charter, keys, rules := found(t, members)
		r.members = charter.Members()
		r.cfg = Config{
			Core: federation.Config{Charter: charter, Self: r.members[0], Host: &keys[charter.Cards[0].Host].Host,
				Policy: rules, Rand: rand.Reader},
			Store: r.store, Network: r.net, Chain: r.chain, Poll: time.Second, Log: slog.New(slog.DiscardHandler),
		}
		r.run()
		test(t, r)
		// The bubble ends only when no goroutine is left.
		if err := r.Stop(); err != nil && !errors.Is(err, errDisk) && !errors.Is(err, ErrCloned) {
			t.Error(err)
		}
	})
}

func (r *rig) run() {
	r.t.Helper()
	d, err := Start(context.Background(), r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Daemon = d
	r.pass(0)
}

// pass lets time pass and everything that follows happen.
func (r *rig) pass(d time.Duration) { advance(d) }

// advance moves the clock of the bubble on, and waits until all that follows has
// happened.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (r *rig) status() (s federation.Status) {
	r.t.Helper()
	if err := r.View(r.t.Context(), func(_ protocols.Time, core *federation.Core) { s = core.Status() }); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) newKey(label string) error {
	return r.Do(context.Background(), func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		_, e, err := core.NewKey(now, label)
		return e, err
	})
}

var errDisk = errors.New("the disk is full")

// When the disk fails, nothing of the batch leaves and the daemon stops.
func TestFailedCommitStopsTheDaemon(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, r *rig) {
		r.pass(time.Minute)
		r.store.onCommit(func(records []protocols.Record) error {
			if len(records) > 0 {
				return errDisk
			}
			return nil
		})
		before := r.net.frames()
		events := r.Subscribe()
		err := r.Do(context.Background(), func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
			e := core.PeerUp(now, r.members[1]) // there is a greeting to send
			_, more, err := core.NewKey(now, "main")
			e.Append(more)
			return e, err
		})
		if !errors.Is(err, ErrStopped) {
			t.Errorf("the command was answered %v", err)
		}
		if err := r.Wait(); !errors.Is(err, errDisk) {
			t.Errorf("stopped because of %v", err)
		}
		if got := r.net.frames(); got != before {
			t.Errorf("%d frames left", got-before)
		}
		if len(events.C) != 0 {
			t.Errorf("%d events were published", len(events.C))
		}
		if err := r.newKey("other"); !errors.Is(err, ErrStopped) {
			t.Errorf("a stopped daemon answers %v", err)
		}
	})
}

func TestNothingLeavesBeforeTheCommit(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, r *rig) {
		r.pass(time.Minute)
		written, goOn := make(chan struct{}), make(chan struct{})
		r.store.onCommit(func(records []protocols.Record) error {
			if len(records) > 0 {
				close(written)
				<-goOn
			}
			return nil
		})
		before := r.net.frames()
		answered := make(chan error, 1)
		go func() {
			answered <- r.Do(context.Background(), func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
				e := core.PeerUp(now, r.members[1])
				_, more, err := core.NewKey(now, "main")
				e.Append(more)
				return e, err
			})
		}()
		<-written
		synctest.Wait()
		if len(answered) != 0 || r.net.frames() != before || r.store.has("e/") {
			t.Error("something became visible before it was durable")
		}
		r.store.onCommit(nil)
		close(goOn)
		synctest.Wait()
		if len(answered) != 1 || <-answered != nil || r.net.frames() == before || !r.store.has("e/") {
			t.Error("nothing followed the commit")
		}
	})
}

func TestReadiness(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		if s := r.status(); !s.ChainReady || r.ChainTrouble() != nil {
			t.Fatalf("%+v, %v", s, r.ChainTrouble())
		}
		syncing := errors.New("still syncing")
		r.chain.set(func() { r.chain.ready = syncing })
		r.pass(readyPeriod)
		if s := r.status(); s.ChainReady || !errors.Is(r.ChainTrouble(), syncing) {
			t.Fatalf("%+v, %v", s, r.ChainTrouble())
		}
		r.chain.set(func() { r.chain.ready = nil })
		r.pass(readyPeriod)
		if s := r.status(); !s.ChainReady || r.ChainTrouble() != nil {
			t.Fatalf("%+v, %v", s, r.ChainTrouble())
		}
	})
}

func TestFollowsTheChainThroughReorgsAndRestarts(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		want := func(height int) {
			t.Helper()
			r.pass(3 * time.Second)
			if tip := r.status().Tip; int(tip.Height) != height || tip.Hash != r.chain.blocks[height].BlockHash() {
				t.Fatalf("at %d %v, want %d", tip.Height, tip.Hash, height)
			}
		}
		want(2)
		for range 20 {
			r.chain.mine()
		}
		want(22)
		r.chain.reorg(5, 6)
		want(23)
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		r.chain.reorg(2, 4)
		r.run()
		want(25)
	})
}

// The whole way of a payout in a federation of one: the transaction is submitted
// again with every block until one holds it.
func TestSubmitIsRepeated(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		if err := r.newKey("main"); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
		var address bitcoin.Derived
		if err := r.Do(t.Context(), func(now protocols.Time, core *federation.Core) (e federation.Effects, err error) {
			address, e, err = core.NewAddress(now, "main")
			return e, err
		}); err != nil {
			t.Fatal(err)
		}
		fund := wire.NewMsgTx(2)
		fund.AddTxIn(&wire.TxIn{})
		fund.AddTxOut(wire.NewTxOut(1_000_000, address.Script))
		r.chain.mine(fund)
		r.pass(2 * time.Second)
		payee := bitcoin.Payee{Script: append([]byte{0, 20}, bytes.Repeat([]byte{7}, 20)...), Amount: 5000}
		list, err := bitcoin.NewPayoutList(bitcoin.Regtest, "week 1", []bitcoin.Payee{payee})
		if err != nil {
			t.Fatal(err)
		}
		r.chain.set(func() { r.chain.refuse = errors.New("mempool is full") })
		events := r.Subscribe()
		defer events.Close()
		var id federation.RequestID
		if err := r.Do(t.Context(), func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
			e := core.AddPayoutList(now, list)
			var more federation.Effects
			var err error
			id, more, err = core.Pay(now, federation.PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
			e.Append(more)
			return e, err
		}); err != nil {
			t.Fatal(err)
		}
		r.pass(10 * time.Second)
		if got := r.chain.submissions(); got != 1 {
			t.Fatalf("submitted %d times", got)
		}
		r.chain.mine()
		r.pass(2 * time.Second)
		if got := r.chain.submissions(); got != 2 {
			t.Fatalf("after a block: submitted %d times", got)
		}
		var view federation.RequestView
		if err := r.View(t.Context(), func(_ protocols.Time, core *federation.Core) { view, err = core.Request(id.String()) }); err != nil {
			t.Fatal(err)
		}
		r.chain.mine(view.Tx)
		r.chain.mine()
		r.pass(2 * time.Second)
		if got := r.chain.submissions(); got != 2 {
			t.Errorf("confirmed, yet submitted %d times", got)
		}
		var submitted, confirmed int
		for len(events.C) > 0 {
			ev := <-events.C
			if ev.Submitted != nil && ev.Submitted.Err != nil {
				submitted++
			}
			if _, ok := ev.Decision.(federation.RequestConfirmed); ok {
				confirmed++
			}
		}
		if submitted != 2 || confirmed != 1 {
			t.Errorf("%d answers of the backend, %d confirmations published", submitted, confirmed)
		}
	})
}

func TestSlowSubscriber(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		slow, quick := r.Subscribe(), r.Subscribe()
		for range subscriberBuffer + 5 {
			r.hub.publish(Event{})
			<-quick.C
		}
		if slow.Lost() != 5 || slow.Lost() != 0 || quick.Lost() != 0 || len(slow.C) != subscriberBuffer {
			t.Error("what was lost is counted wrong")
		}
		slow.Close()
		quick.Close()
		r.hub.publish(Event{})
		if len(quick.C) != 0 {
			t.Error("a closed subscription receives")
		}
	})
}

// A peer that goes on misbehaving is reported once, counted always, and the count
// is bounded.
func TestFaultsAreLoggedOnce(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, r *rig) {
		events := r.Subscribe()
		defer events.Close()
		for range 10 {
			r.net.events <- p2p.Frame{From: r.members[1], Protocol: protocols.Echo, Body: []byte("garbage")}
		}
		r.pass(0)
		if got := r.Faults(); len(got) != 1 || got[0].Count != 10 || got[0].Culprit != r.members[1] {
			t.Errorf("faults %+v", got)
		}
		reported := 0
		for len(events.C) > 0 {
			if ev := <-events.C; ev.Fault != nil {
				reported++
			}
		}
		if reported != 1 {
			t.Errorf("reported %d times", reported)
		}
		for i := range 2 * maxFaultKinds {
			r.faults.note(protocols.Fault{Culprit: protocols.NodeID(fmt.Sprint(i)), Kind: "x"})
		}
		if got := len(r.Faults()); got != maxFaultKinds {
			t.Errorf("%d pairs are remembered", got)
		}
	})
}

// Commands give up with their caller, and with the daemon.
func TestDoGivesUp(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		stuck, release := make(chan struct{}), make(chan struct{})
		go r.View(context.Background(), func(protocols.Time, *federation.Core) { close(stuck); <-release })
		<-stuck
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.View(ctx, func(protocols.Time, *federation.Core) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(release)
	})
}

// The network may end before the daemon does.
func TestNetworkEnds(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, r *rig) {
		close(r.net.events)
		r.pass(time.Minute)
		if s := r.status(); s.Connected != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestStartErrors(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		cfg := r.cfg
		cfg.Store = &memStore{records: map[string][]byte{"nothing": {1}}}
		if d, err := Start(context.Background(), cfg); err == nil {
			d.Stop()
			t.Error("a record of nobody is accepted")
		}
		cfg.Store, cfg.Core.Self = new(memStore), "a stranger"
		if d, err := Start(context.Background(), cfg); !errors.Is(err, federation.ErrConfig) {
			d.Stop()
			t.Errorf("got %v", err)
		}
	})
}

// f members may lie about a second process; one more makes it true.
func TestClonedIdentityStopsTheDaemon(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, r *rig) {
		for range 3 {
			r.net.events <- p2p.IdentityInUse{Witness: r.members[1]}
		}
		r.pass(time.Second)
		if err := r.ctx.Err(); err != nil {
			t.Fatalf("one member's word stops the daemon: %v", err)
		}
		r.net.events <- p2p.IdentityInUse{Witness: r.members[2]}
		if err := r.Wait(); !errors.Is(err, ErrCloned) {
			t.Errorf("stopped because of %v", err)
		}
	})
}
