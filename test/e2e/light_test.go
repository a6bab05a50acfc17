package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "frostfed/internal/api/frostfed/v1"
)

// TestLightMember: a member that sees the chain as a peer of a node, and not
// through the node's RPC, is funded, pays, and sees its payment confirmed.
func TestLightMember(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a daemon and a Bitcoin node; left out by -short")
	}
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	f := &federation{T: t, node: newBtcd(t, filepath.Join(dir, "btcd"))}
	f.node.peer = freeAddress(t)
	f.alice = &member{t: t, name: "alice", dir: filepath.Join(dir, "alice"), phrase: filepath.Join(dir, "alice.pass"), listen: freeAddress(t)}
	f.members = []*member{f.alice}
	card := f.alice.init(f.node)

	path := filepath.Join(f.alice.dir, "config.toml")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	light := strings.NewReplacer("backend = 'rpc'", "backend = 'neutrino'", "peers = []", "peers = ['"+f.node.peer+"']").Replace(string(config))
	f.alice.file("config.toml", light)
	file := filepath.Join(f.alice.dir, "federation.toml")
	f.alice.ok(new(struct{ FederationID string }), "charter", "new", "--name", "pool", "-o", file, card)
	f.alice.ok(new(struct{ FederationID string }), "charter", "adopt", file)
	f.alice.start()
	f.alice.await("it says that it has no peer", func(s *v1.GetStatusResponse) bool {
		return !s.ChainReady && strings.Contains(s.ChainReason, "0 peers, 1 needed")
	})
	f.alice.ok(new(v1.Key), "key", "new", label, "--wait")
	var address v1.NewAddressResponse
	f.alice.ok(&address, "address", "new", label)
	f.address = address.Address
	f.fund()
	f.pay(f.alice, 1)
	f.pay(f.alice, 2)
	f.stop()
}
