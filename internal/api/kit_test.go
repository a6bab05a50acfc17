package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain/regtest"
	"frostfed/crypto/memberkey"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/api/frostfed/v1/frostfedv1connect"
	"frostfed/internal/daemon"
	"frostfed/internal/store"
	"frostfed/p2p"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// alone is a network without peers.
type alone struct{ seed protocols.NodeID }

func (alone) Send(protocols.NodeID, protocols.Protocol, []byte) bool { return false }
func (alone) Events() <-chan p2p.Event                               { return nil }
func (alone) Peers() []p2p.PeerInfo                                  { return nil }
func (alone) Addrs() []string                                        { return []string{"/ip4/127.0.0.1/tcp/4001"} }
func (a alone) Seeds() []p2p.SeedInfo {
	return []p2p.SeedInfo{{ID: a.seed, Addrs: []string{"/ip4/192.0.2.1/tcp/4001"}, LastError: "no route"}}
}

// member is the daemon of a federation of one, served on a real socket.
type member struct {
	t       *testing.T
	chain   *regtest.Chain
	client  frostfedv1connect.MemberServiceClient
	socket  string
	deps    Deps
	stopped chan struct{} // closed by the RPC Stop
	served  chan error    // what Serve returned
}

func newMember(t *testing.T, change func(*policy.Config)) *member {
	t.Helper()
	return newMemberWith(t, change, nil)
}

// newMemberWith begins with records of an earlier life.
func newMemberWith(t *testing.T, change func(*policy.Config), earlier func(*memberkey.Keys, *membership.Charter) []protocols.Record) *member {
	t.Helper()
	keys, err := memberkey.Derive(bytes.Repeat([]byte{1}, memberkey.SeedSize), 0)
	if err != nil {
		t.Fatal(err)
	}
	card, err := membership.NewCard(keys, "alice", 1, nil, func() [32]byte { return [32]byte{1} })
	if err != nil {
		t.Fatal(err)
	}
	charter, err := membership.NewCharter("pool", "regtest", 1, []*membership.Card{card})
	if err != nil {
		t.Fatal(err)
	}
	cfg := policy.DefaultConfig()
	cfg.MinConfirmations = 1
	if change != nil {
		change(&cfg)
	}
	chain, err := regtest.Open("")
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.TempDir(), []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if earlier != nil {
		if err := db.Commit(earlier(keys, charter)); err != nil {
			t.Fatal(err)
		}
	}
	network := alone{seed: card.NodeID()}
	d, err := daemon.Start(t.Context(), daemon.Config{
		Core: federation.Config{Charter: charter, Self: card.NodeID(), Host: &keys.Host, Policy: cfg, Rand: rand.Reader,
			Gap: 3, Version: "test"},
		Store: db, Network: network, Chain: chain, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, chain: chain, socket: socketPath(t), stopped: make(chan struct{}), served: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	m.deps = Deps{Daemon: d, Host: network, Charter: charter, Network: bitcoin.Regtest, Version: "test", Started: time.Now(),
		Stop: func() { close(m.stopped); stop() }}
	l, err := listen(m.socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.served <- serve(ctx, l, NewHandler(m.deps))
	}()
	m.client = Dial(m.socket)
	t.Cleanup(func() {
		stop()
		<-done
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// socketPath is short: t.TempDir carries the name of the test.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// ok unwraps the reply of a call that must succeed.
func ok[R any](t *testing.T) func(*connect.Response[R], error) *R {
	return func(r *connect.Response[R], err error) *R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r.Msg
	}
}

func ask[M any](m *M) *connect.Request[M] { return connect.NewRequest(m) }

// watch opens the event stream; next returns the first event that match accepts.
func (m *member) watch() (next func(match func(*v1.StreamEventsResponse) bool) *v1.StreamEventsResponse) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	stream, err := m.client.StreamEvents(ctx, ask(&v1.StreamEventsRequest{}))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		cancel()
		_ = stream.Close() // reports the cancellation
	})
	if !stream.Receive() || stream.Msg().GetOpened() == nil {
		m.t.Fatalf("the stream opens with %v, %v", stream.Msg(), stream.Err())
	}
	return func(match func(*v1.StreamEventsResponse) bool) *v1.StreamEventsResponse {
		m.t.Helper()
		for stream.Receive() {
			if match(stream.Msg()) {
				return stream.Msg()
			}
		}
		m.t.Fatalf("the stream ended: %v", stream.Err())
		return nil
	}
}

// newKey generates a key and returns its ID.
func (m *member) newKey(label string) string {
	m.t.Helper()
	next := m.watch()
	ok[v1.NewKeyResponse](m.t)(m.client.NewKey(m.t.Context(), ask(&v1.NewKeyRequest{Label: label})))
	return next(func(e *v1.StreamEventsResponse) bool { return e.GetKeyReady().GetLabel() == label }).GetKeyReady().KeyId
}

// fund mines a coin to a new address of the key and lets it mature.
func (m *member) fund(key string) {
	m.t.Helper()
	address := ok[v1.NewAddressResponse](m.t)(m.client.NewAddress(m.t.Context(), ask(&v1.NewAddressRequest{Key: key}))).Address
	script, err := bitcoin.ParseAddress(bitcoin.Regtest, address)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.chain.Mine(1, script); err != nil {
		m.t.Fatal(err)
	}
	m.mine(100)
}

// mine mines blocks that pay nobody and waits until the member has seen them.
func (m *member) mine(blocks int) {
	m.t.Helper()
	next := m.watch()
	hashes, err := m.chain.Mine(blocks, []byte{0x51})
	if err != nil {
		m.t.Fatal(err)
	}
	last := hashes[len(hashes)-1].String()
	next(func(e *v1.StreamEventsResponse) bool { return e.GetTipChanged().GetBlock().GetHash() == last })
}

func payees(t *testing.T, reference string, count int) *v1.PayoutFile {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "reference,%s\naddress,sats\n", reference)
	for i := range count {
		script := append([]byte{0x00, 0x14}, bytes.Repeat([]byte{byte(i + 1)}, 20)...)
		address, err := bitcoin.EncodeAddress(bitcoin.Regtest, script)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s,%d\n", address, 10_000+i)
	}
	return &v1.PayoutFile{Name: "week.csv", Content: []byte(b.String())}
}

func wantCode(t *testing.T, err error, code connect.Code, exit int) {
	t.Helper()
	if connect.CodeOf(err) != code || ExitCode(err) != exit {
		t.Fatalf("got %v, exit code %d; want %v, %d", err, ExitCode(err), code, exit)
	}
}
