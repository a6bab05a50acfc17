package p2p

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"frostfed/protocols"
)

// memBook is an AddrBook that outlives hosts, but not the test.
type memBook struct {
	mu    sync.Mutex
	saved map[protocols.NodeID][]string
}

func (b *memBook) Load() (map[protocols.NodeID][]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[protocols.NodeID][]string)
	for id, addrs := range b.saved {
		out[id] = addrs
	}
	return out, nil
}

func (b *memBook) Save(id protocols.NodeID, addrs []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved[id] = addrs
	return nil
}

func (b *memBook) len(id peer.ID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.saved[protocols.NodeID(id)])
}

// A restarted member, on another port and without any seed, finds the others by
// the addresses it saved, and they notice.
func TestRestartReconnects(t *testing.T) {
	_, ids := roster(t, 3)
	alice := start(t, config(t, "alice", ids))
	carol := start(t, config(t, "carol", ids, alice.Addrs()[0]))
	cfg := config(t, "bob", ids, alice.Addrs()[0])
	saved := &memBook{saved: make(map[protocols.NodeID][]string)}
	cfg.AddrBook = saved
	bob := start(t, cfg)
	for _, n := range []*node{alice, bob, carol} {
		n.awaitUp(ids...)
	}
	eventually(t, "addresses are saved", func() bool { return saved.len(ids[0]) > 0 && saved.len(ids[2]) > 0 })
	bob.stop()
	alice.awaitEvent(PeerDown{bob.ID()})
	carol.awaitEvent(PeerDown{bob.ID()})
	if alice.Send(bob.ID(), protocols.Echo, []byte("x")) {
		t.Error("sent to a member that is down")
	}

	cfg.Seeds = nil
	again := start(t, cfg)
	again.awaitUp(ids...)
	alice.awaitCount(PeerUp{bob.ID()}, 2)
	carol.awaitCount(PeerUp{bob.ID()}, 2)
	if !carol.Send(again.ID(), protocols.Sign, []byte("welcome back")) {
		t.Error("cannot send to a member that came back")
	}
	again.awaitEvent(Frame{From: carol.ID(), Protocol: protocols.Sign, Body: []byte("welcome back")})
	for _, p := range carol.Peers() {
		if p.Cloned {
			t.Error("a restart is taken for a clone")
		}
	}
}

// deadAddr is an address of loopback at which nobody listens.
func deadAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "/ip4/127.0.0.1/tcp/" + port
}

func TestDeadSeedIsReportedAndHarmless(t *testing.T) {
	_, ids := roster(t, 2)
	_, seed := key(t, "seed")
	dead := deadAddr(t)
	alice := start(t, config(t, "alice", ids, dead+"/p2p/"+seed.String()))
	cfg := config(t, "bob", ids, dead+"/p2p/"+seed.String())
	for _, a := range alice.host.Addrs() {
		cfg.MemberAddrs = map[peer.ID][]string{alice.self: {deadAddr(t), a.String()}}
	}
	bob := start(t, cfg)
	alice.awaitUp(ids...)
	bob.awaitUp(ids...)
	eventually(t, "the dead seed is reported", func() bool {
		s := bob.Seeds()
		return len(s) == 1 && !s[0].Connected && strings.Contains(s[0].LastError, dead)
	})
}

func TestUnreachableMemberIsReported(t *testing.T) {
	_, ids := roster(t, 2)
	dead := deadAddr(t)
	cfg := config(t, "alice", ids)
	cfg.MemberAddrs = map[peer.ID][]string{ids[1]: {dead}}
	alice := start(t, cfg)
	eventually(t, "the error names the address", func() bool {
		p := alice.Peers()
		return len(p) == 1 && !p[0].Up && strings.Contains(p[0].LastError, dead)
	})
}

func TestOwnAddressAsSeed(t *testing.T) {
	_, ids := roster(t, 2)
	_, self := key(t, "alice")
	alice := start(t, config(t, "alice", ids, deadAddr(t)+"/p2p/"+self.String()))
	if len(alice.Seeds()) != 0 {
		t.Errorf("seeds: %+v", alice.Seeds())
	}
}

// One node finds another through a third that both know.
func TestLookup(t *testing.T) {
	_, ids := roster(t, 2)
	seed := start(t, config(t, "seed", nil))
	alice := start(t, config(t, "alice", nil, seed.Addrs()[0]))
	bob := start(t, config(t, "bob", nil, seed.Addrs()[0]))
	eventually(t, "alice finds bob", func() bool {
		alice.host.Network().ClosePeer(ids[1]) // who is connected is not looked up
		alice.host.Peerstore().ClearAddrs(ids[1])
		addrs, _ := alice.find.lookup(t.Context(), alice.Host, ids[1])
		return ma.Contains(addrs, bob.host.Addrs()[0])
	})
}

func TestAddrFilter(t *testing.T) {
	var all, public []ma.Multiaddr
	for s, keep := range map[string]bool{
		"/ip4/127.0.0.1/tcp/1":      false,
		"/ip6/::1/tcp/1":            false,
		"/ip6/fe80::1/tcp/1":        false,
		"/ip4/192.168.1.2/tcp/1":    true, // a LAN is where some federations live
		"/ip4/203.0.113.5/tcp/1":    true,
		"/dns4/alice.example/tcp/1": true,
		"/ip6/2001:db8::1/tcp/1":    true,
	} {
		a := ma.StringCast(s)
		all = append(all, a)
		if keep {
			public = append(public, a)
		}
	}
	if got := addrFilter(false)(slices.Clone(all)); !slices.EqualFunc(got, public, ma.Multiaddr.Equal) {
		t.Errorf("kept %v", got)
	}
	if got := addrFilter(true)(slices.Clone(all)); len(got) != len(all) {
		t.Errorf("kept %v", got)
	}
}

func TestIdentityInUseTwice(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	one := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	one.awaitUp(ids...)
	two := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	alice.awaitEvent(PeerFault{protocols.Fault{Culprit: one.ID(), Kind: FaultCloned, Detail: "two instances take turns"}})
	one.awaitEvent(IdentityInUse{Witness: alice.ID()})
	two.awaitEvent(IdentityInUse{Witness: alice.ID()})
	if p := alice.Peers()[0]; !p.Cloned {
		t.Errorf("bob, as alice sees him: %+v", p)
	}
}

func TestMetrics(t *testing.T) {
	_, ids := roster(t, 2)
	reg := prometheus.NewRegistry()
	cfg := config(t, "alice", ids)
	cfg.Registerer = reg
	alice := start(t, cfg)
	bob := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	alice.awaitUp(ids...)
	bob.awaitUp(ids...)
	if !bob.Send(alice.ID(), protocols.Echo, []byte("12345")) {
		t.Fatal("send refused")
	}
	alice.awaitEvent(Frame{bob.ID(), protocols.Echo, []byte("12345")})

	eventually(t, "a round trip time", func() bool { return gather(t, reg)["frostfed_p2p_member_rtt_seconds"] > 0 })
	got := gather(t, reg)
	for name, want := range map[string]float64{
		"frostfed_p2p_members_up":   1,
		"frostfed_p2p_member_up":    1,
		"frostfed_p2p_frames_total": 1,
		"frostfed_p2p_bytes_total":  5,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	alice.stop()
	for name := range gather(t, reg) {
		if strings.HasPrefix(name, "frostfed_p2p_") {
			t.Errorf("%s is registered after close", name)
		}
	}
}

// gather sums the values of each family.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

// A frame is on its way when the host is told to stop; it arrives.
func TestCloseDrains(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	bob := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	alice.awaitUp(ids...)
	bob.awaitUp(ids...)
	const count = 16 // as many as fit in the inbox: those are sure to be read before the end
	for i := range count {
		if !bob.Send(alice.ID(), protocols.Echo, bytes.Repeat([]byte{byte(i)}, 32<<10)) {
			t.Fatal("send refused")
		}
	}
	bob.stop()
	alice.awaitEvent(PeerDown{bob.ID()})
	alice.await("all frames", func(events []Event) bool {
		got := 0
		for _, e := range events {
			if _, ok := e.(Frame); ok {
				got++
			}
		}
		return got == count
	})
}
