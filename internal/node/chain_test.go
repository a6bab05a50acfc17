package node

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

func TestChainConfigAllows(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a light client on signet": func(c *Config) { c.Network, c.Chain.Backend = "signet", "neutrino" },
		"a risk taken knowingly":   func(c *Config) { c.Network, c.Chain.Backend, c.Chain.LightSigner = "mainnet", "neutrino", true },
		"a second opinion":         func(c *Config) { c.Network, c.Chain.Second = "mainnet", "neutrino" },
		"the other way round":      func(c *Config) { c.Network, c.Chain.Backend, c.Chain.Second = "mainnet", "neutrino", "rpc" },
		"peers of all forms": func(c *Config) {
			c.Chain.Backend, c.Chain.Peers = "neutrino", []string{"node.example.org", "192.0.2.1:18444", "2001:db8::1", "[2001:db8::1]:18444"}
		},
	} {
		cfg := testConfig("alice")
		change(&cfg)
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLightClient: a member with a light client starts without any peer, keeps its
// headers in the data folder, and says why it cannot sign.
func TestLightClient(t *testing.T) {
	alice, bob := initDir(t, "alice"), initDir(t, "bob")
	charter := charterOf(t, "regtest", alice, bob)
	for name, want := range map[string]struct {
		second, reason string
		warns          bool
	}{
		"alone":               {"", "0 peers, 1 needed", true},
		"with a node besides": {"rpc", "0 peers, 1 needed", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, alice, charter)
			var log bytes.Buffer
			o.Chain, o.Log = nil, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			o.Config.Chain.Backend, o.Config.Chain.Second, o.Config.Chain.Peers = "neutrino", want.second, []string{"127.0.0.1:1"}
			n, err := Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			deadline := time.After(10 * time.Second)
			for n.Daemon.ChainTrouble() == nil {
				select {
				case <-time.After(10 * time.Millisecond):
				case <-deadline:
					t.Fatal("no reason is given")
				}
			}
			if got := n.Daemon.ChainTrouble().Error(); !strings.Contains(got, want.reason) {
				t.Errorf("the reason is %q, want %q", got, want.reason)
			}
			if info, err := os.Stat(alice.neutrino()); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("folder of the headers: %v, %v", info, err)
			}
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			if warned := strings.Contains(log.String(), "no Bitcoin node of its own"); warned != want.warns {
				t.Errorf("warned: %v; log:\n%s", warned, &log)
			}
		})
	}
}
