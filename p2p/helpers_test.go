package p2p

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"go.uber.org/goleak"

	"frostfed/protocols"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; nothing waits that long unless broken.
const patience = 20 * time.Second

// fast is defaultTiming for impatient machines on loopback.
var fast = timing{
	heartbeat: 200 * time.Millisecond,
	answer:    2 * time.Second,
	write:     2 * time.Second,
	body:      300 * time.Millisecond,
	dial:      2 * time.Second,
	lookup:    2 * time.Second,
	yield:     20 * time.Millisecond,
	minRedial: 20 * time.Millisecond,
	maxRedial: 200 * time.Millisecond,
}

// key derives a fixed identity, so that failures repeat.
func key(tb testing.TB, name string) (crypto.PrivKey, peer.ID) {
	tb.Helper()
	seed := sha256.Sum256([]byte(name))
	k, _, err := crypto.GenerateEd25519Key(bytes.NewReader(seed[:]))
	if err != nil {
		tb.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return k, id
}

// roster returns the names and IDs of n members.
func roster(tb testing.TB, n int) (names []string, ids []peer.ID) {
	for i := range n {
		name := []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace"}[i]
		_, id := key(tb, name)
		names, ids = append(names, name), append(ids, id)
	}
	return names, ids
}

// A node is a Host with everything it reported so far.
type node struct {
	*Host
	tb      testing.TB
	mu      sync.Mutex
	seen    []Event
	changed chan struct{} // closed and replaced at each event
	done    chan struct{} // the event channel is closed
}

// config is that of a member on loopback, silent and in a hurry.
func config(tb testing.TB, name string, members []peer.ID, seeds ...string) Config {
	k, _ := key(tb, name)
	return Config{
		Identity:      k,
		Agent:         "frostfed-test/" + name,
		Listen:        []string{"/ip4/127.0.0.1/tcp/0"},
		Members:       members,
		Seeds:         seeds,
		AllowLoopback: true,
		timing:        fast,
	}
}

// start runs a host until the test ends.
func start(tb testing.TB, cfg Config) *node {
	tb.Helper()
	h, err := New(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("new: %v", err)
	}
	n := &node{Host: h, tb: tb, changed: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for e := range h.Events() {
			n.mu.Lock()
			n.seen = append(n.seen, e)
			close(n.changed)
			n.changed = make(chan struct{})
			n.mu.Unlock()
		}
	}()
	tb.Cleanup(n.stop)
	return n
}

func (n *node) stop() {
	if err := n.Close(); err != nil {
		n.tb.Errorf("close: %v", err)
	}
	<-n.done
}

// await waits until the events so far satisfy ok.
func (n *node) await(what string, ok func([]Event) bool) {
	n.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		n.mu.Lock()
		fine, changed := ok(n.seen), n.changed
		seen := len(n.seen)
		n.mu.Unlock()
		if fine {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			n.tb.Fatalf("no %s after %d events; peers: %s", what, seen, describe(n.Peers()))
		}
	}
}

// awaitUp waits until each of ids is up and not down since.
func (n *node) awaitUp(ids ...peer.ID) {
	n.tb.Helper()
	n.await("peer up", func(events []Event) bool {
		up := map[protocols.NodeID]bool{n.ID(): true}
		for _, e := range events {
			switch e := e.(type) {
			case PeerUp:
				up[e.ID] = true
			case PeerDown:
				up[e.ID] = false
			}
		}
		return !slices.ContainsFunc(ids, func(id peer.ID) bool { return !up[protocols.NodeID(id)] })
	})
}

func (n *node) awaitEvent(want Event) {
	n.tb.Helper()
	n.awaitCount(want, 1)
}

func (n *node) awaitCount(want Event, count int) {
	n.tb.Helper()
	n.await(fmt.Sprintf("%dx %T", count, want), func(events []Event) bool {
		got := 0
		for _, e := range events {
			if same(e, want) {
				got++
			}
		}
		return got >= count
	})
}

func same(a, b Event) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

func describe(peers []PeerInfo) string {
	var b strings.Builder
	for _, p := range peers {
		fmt.Fprintf(&b, "\n%s up=%v connected=%v addr=%s error=%q", peer.ID(p.ID), p.Up, p.Connected, p.Addr, p.LastError)
	}
	return b.String()
}

// eventually waits for a condition that no event announces, for example one in
// the other host.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Fatalf("never: %s", what)
		}
	}
}

// stranger is a bare libp2p host, under the identity of name.
func stranger(tb testing.TB, name string, opts ...libp2p.Option) host.Host {
	tb.Helper()
	k, _ := key(tb, name)
	if len(opts) == 0 {
		opts = []libp2p.Option{libp2p.Security(noise.ID, noise.New)}
	}
	opts = append(opts,
		libp2p.Identity(k),
		libp2p.NoTransports,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.NoListenAddrs,
		libp2p.DisableMetrics())
	h, err := libp2p.New(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

func info(tb testing.TB, n *node) peer.AddrInfo {
	tb.Helper()
	i, err := peer.AddrInfoFromString(n.Addrs()[0])
	if err != nil {
		tb.Fatal(err)
	}
	return *i
}

// deadline is a context for one step of a test.
func deadline(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}
