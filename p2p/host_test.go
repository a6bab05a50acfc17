package p2p

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"frostfed/protocols"
)

func TestFiveMembersFindEachOtherFromOneSeed(t *testing.T) {
	names, ids := roster(t, 5)
	nodes := []*node{start(t, config(t, names[0], ids))}
	for _, name := range names[1:] {
		nodes = append(nodes, start(t, config(t, name, ids, nodes[0].Addrs()[0])))
	}
	for _, n := range nodes {
		n.awaitUp(ids...)
	}
	for i := range ids {
		eventually(t, "every member is described", func() bool {
			return !slices.ContainsFunc(nodes[i].Peers(), func(p PeerInfo) bool {
				return !p.Up || !p.Connected || !p.Direct || p.Addr == "" || p.RTT <= 0 ||
					p.LastSeen.IsZero() || !strings.HasPrefix(p.Agent, "frostfed-test/") || p.LastError != "" || p.Cloned
			})
		})
	}
	for _, a := range nodes {
		for _, b := range nodes {
			if a == b {
				continue
			}
			body := []byte("from " + a.ID())
			if !a.Send(b.ID(), protocols.Echo, body) {
				t.Fatalf("send refused")
			}
			b.awaitEvent(Frame{From: a.ID(), Protocol: protocols.Echo, Body: body})
		}
	}
}

func TestSeedNeedNotBeMember(t *testing.T) {
	_, ids := roster(t, 2)
	seed := start(t, config(t, "seed", nil))
	alice := start(t, config(t, "alice", ids, seed.Addrs()[0]))
	bob := start(t, config(t, "bob", ids, seed.Addrs()[0]))
	alice.awaitUp(ids...)
	bob.awaitUp(ids...)
	if s := alice.Seeds(); len(s) != 1 || !s[0].Connected || s[0].LastError != "" {
		t.Errorf("seeds: %+v", s)
	}
}

func TestFramesKeepOrderAndSize(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	bob := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	alice.awaitUp(ids...)
	bob.awaitUp(ids...)
	var want []string
	for i, size := range []int{1, 2, batchSize, MaxFrame - 1, MaxFrame, 7} {
		body := make([]byte, size)
		rand.Read(body)
		body[0] = byte(i)
		want = append(want, string(body))
		if !alice.Send(bob.ID(), protocols.Sign, body) {
			t.Fatalf("send %d bytes refused", size)
		}
	}
	bob.await("all frames", func(events []Event) bool {
		var got []string
		for _, e := range events {
			if f, ok := e.(Frame); ok {
				got = append(got, string(f.Body))
			}
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("frame %d is not what was sent", i)
			}
		}
		return len(got) == len(want)
	})
}

func TestNewRefuses(t *testing.T) {
	_, ids := roster(t, 2)
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaID, err := peer.IDFromPrivateKey(rsa)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*Config)
		want   error  // or
		text   string // what the message must name
	}{
		"no identity":     {change: func(c *Config) { c.Identity = nil }, want: ErrIdentity},
		"rsa identity":    {change: func(c *Config) { c.Identity = rsa }, want: ErrIdentity},
		"rsa member":      {change: func(c *Config) { c.Members = append(ids, rsaID) }, want: ErrIdentity},
		"bad listen":      {change: func(c *Config) { c.Listen = []string{"localhost:1"} }, want: ErrAddress},
		"bad announce":    {change: func(c *Config) { c.Announce = []string{"/ip4/x"} }, want: ErrAddress},
		"seed without id": {change: func(c *Config) { c.Seeds = []string{"/ip4/127.0.0.1/tcp/1"} }, want: ErrAddress},
		"bad card": {change: func(c *Config) {
			c.MemberAddrs = map[peer.ID][]string{ids[1]: {"nowhere"}}
		}, want: ErrAddress},
		"one of two listeners cannot bind": {change: func(c *Config) {
			c.Listen = append(c.Listen, "/ip4/192.0.2.1/tcp/7700")
		}, text: "/ip4/192.0.2.1/tcp/7700"},
		"quic without quic": {change: func(c *Config) {
			c.Listen = append(c.Listen, "/ip4/127.0.0.1/udp/0/quic-v1")
		}, text: "/ip4/127.0.0.1/udp/0/quic-v1"},
		"broken address book": {change: func(c *Config) { c.AddrBook = brokenBook{} }, want: errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "alice", ids)
			test.change(&cfg)
			h, err := New(t.Context(), cfg)
			if err == nil {
				h.Close()
				t.Fatal("started")
			}
			if test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("error: %v", err)
			}
		})
	}
}

var errBroken = errors.New("disk on fire")

type brokenBook struct{}

func (brokenBook) Load() (map[protocols.NodeID][]string, error) { return nil, errBroken }
func (brokenBook) Save(protocols.NodeID, []string) error        { return errBroken }

func TestAnnouncedAddressesAreAdded(t *testing.T) {
	cfg := config(t, "alice", nil)
	cfg.Announce = []string{"/dns4/alice.example/tcp/7700"}
	got := strings.Join(start(t, cfg).Addrs(), " ")
	if !strings.Contains(got, "/ip4/127.0.0.1/tcp/") || !strings.Contains(got, "/dns4/alice.example/tcp/7700/p2p/") {
		t.Fatalf("addresses: %s", got)
	}
}

func TestUseAfterClose(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	bob := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	alice.awaitUp(ids...)
	alice.stop()
	if alice.Send(bob.ID(), protocols.Echo, []byte("late")) {
		t.Error("a closed host accepts frames")
	}
	if err := alice.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	bob.awaitEvent(PeerDown{ID: alice.ID()})
}
