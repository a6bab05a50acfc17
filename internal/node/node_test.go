package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"frostfed/bitcoin/chain"
	"frostfed/crypto/memberkey"
	"frostfed/internal/keystore"
	"frostfed/internal/store"
	"frostfed/policy"
	"frostfed/protocols/membership"
)

var phrase = []byte("correct horse battery")

func initDir(t *testing.T, name string) Dir {
	t.Helper()
	dir := Dir(filepath.Join(t.TempDir(), name))
	if err := Init(dir, testConfig(name), phrase, keystore.WorkFast); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testConfig(name string) Config {
	cfg := DefaultConfig(name, "regtest")
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	return cfg
}

func openKeys(t *testing.T, dir Dir) *memberkey.Keys {
	t.Helper()
	keys, err := dir.OpenKeys(phrase)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func charterOf(t *testing.T, network string, dirs ...Dir) *membership.Charter {
	t.Helper()
	var cards []*membership.Card
	for i, dir := range dirs {
		card, err := Card(openKeys(t, dir), testConfig(fmt.Sprintf("member%d", i)), time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		cards = append(cards, card)
	}
	charter, err := membership.NewCharter("test", network, 0, cards)
	if err != nil {
		t.Fatal(err)
	}
	return charter
}

func TestInitModes(t *testing.T) {
	dir := initDir(t, "alice")
	err := filepath.WalkDir(string(dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s was left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(string(dir))
	if err != nil || cfg.Name != "alice" || cfg.Network != "regtest" {
		t.Fatalf("%+v, %v", cfg, err)
	}
}

func TestInitChangesNothing(t *testing.T) {
	for name, spoil := range map[string]func(Dir) error{
		"a member":      func(Dir) error { return nil },
		"only a seed":   func(d Dir) error { return os.Remove(d.ConfigPath()) },
		"only a config": func(d Dir) error { return os.RemoveAll(d.keys()) },
		"a dangling config": func(d Dir) error {
			return errors.Join(os.Remove(d.ConfigPath()), os.RemoveAll(d.keys()), os.Symlink("nowhere", d.ConfigPath()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := initDir(t, "alice")
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, dir)
			if err := Init(dir, testConfig("bob"), phrase, keystore.WorkFast); !errors.Is(err, ErrInitialized) {
				t.Fatalf("got %v", err)
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("was\n%s\nis\n%s", before, after)
			}
		})
	}
}

func snapshot(t *testing.T, dir Dir) string {
	t.Helper()
	var out strings.Builder
	filepath.WalkDir(string(dir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			body, err := os.ReadFile(path)
			fmt.Fprintf(&out, "%s %v %x\n", path, err, body)
		}
		return nil
	})
	return out.String()
}

// An init that fails leaves nothing that stops the next one.
func TestInitFailsWhole(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "alice"))
	if err := Init(dir, testConfig("alice"), []byte("short"), keystore.WorkFast); err == nil {
		t.Fatal("a short passphrase is accepted")
	}
	if err := Init(dir, testConfig("no spaces"), phrase, keystore.WorkFast); !errors.Is(err, ErrConfig) {
		t.Fatalf("got %v", err)
	}
	if err := Init(dir, testConfig("alice"), phrase, keystore.WorkFast); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.OpenKeys([]byte("another phrase")); !errors.Is(err, keystore.ErrPassphrase) {
		t.Fatalf("got %v", err)
	}
	if _, err := Dir(t.TempDir()).OpenKeys(phrase); !errors.Is(err, keystore.ErrMissing) || !strings.Contains(err.Error(), "frostfed init") {
		t.Fatalf("got %v", err)
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, r := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no name":          {func(c *Config) { c.Name = "" }, "name:"},
		"name":             {func(c *Config) { c.Name = "al ice" }, "name:"},
		"no network":       {func(c *Config) { c.Network = "" }, "network:"},
		"network":          {func(c *Config) { c.Network = "moonnet" }, "moonnet"},
		"no listen":        {func(c *Config) { c.Listen = nil }, "listen:"},
		"listen":           {func(c *Config) { c.Listen = []string{"127.0.0.1:9470"} }, "listen:"},
		"announce":         {func(c *Config) { c.Announce = []string{"example.org"} }, "announce:"},
		"seed":             {func(c *Config) { c.Seeds = []string{"nonsense"} }, "seeds:"},
		"seed without ID":  {func(c *Config) { c.Seeds = []string{"/ip4/127.0.0.1/tcp/1"} }, "/p2p/"},
		"metrics":          {func(c *Config) { c.Metrics = "9471" }, "metrics:"},
		"open metrics":     {func(c *Config) { c.Metrics = "0.0.0.0:9471" }, "loopback"},
		"log level":        {func(c *Config) { c.LogLevel = "loud" }, "log_level:"},
		"poll":             {func(c *Config) { c.Chain.PollSeconds = 0 }, "chain.poll_seconds:"},
		"backend":          {func(c *Config) { c.Chain.Backend = "oracle" }, "chain.backend:"},
		"second":           {func(c *Config) { c.Chain.Second = "oracle" }, "chain.second:"},
		"second is first":  {func(c *Config) { c.Chain.Second = "rpc" }, "chain.second:"},
		"no peers":         {func(c *Config) { c.Chain.Second = "neutrino" }, "chain.peers:"},
		"peers of rpc":     {func(c *Config) { c.Chain.Peers = []string{"192.0.2.1"} }, "chain.peers:"},
		"peer":             {func(c *Config) { c.Chain.Backend, c.Chain.Peers = "neutrino", []string{"http://x"} }, "chain.peers:"},
		"light on mainnet": {func(c *Config) { c.Network, c.Chain.Backend = "mainnet", "neutrino" }, "chain.light_signer"},
		"fee":              {func(c *Config) { c.Policy.FeeMax = 0 }, "policy.fee_max:"},
		"allow list":       {func(c *Config) { c.Policy.AllowList = []string{"1abc"} }, "policy.allow_list:"},
		"external":         {func(c *Config) { c.Policy.External = []string{""} }, "policy.external:"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig("alice")
			r.change(&cfg)
			err := cfg.Validate()
			if err == nil || !strings.Contains(err.Error(), r.says) {
				t.Fatalf("got %v, want it to say %q", err, r.says)
			}
			dir := Dir(filepath.Join(t.TempDir(), "new"))
			if err := Init(dir, cfg, phrase, keystore.WorkFast); !errors.Is(err, ErrConfig) {
				t.Errorf("init: %v", err)
			}
			if _, err := os.Lstat(string(dir)); !errors.Is(err, fs.ErrNotExist) {
				t.Error("init made the folder all the same")
			}
		})
	}
	var key *policy.ConfigError
	cfg := testConfig("alice")
	cfg.Policy.MinConfirmations = 0
	if err := cfg.Validate(); !errors.As(err, &key) || key.Key != "min_confirmations" {
		t.Errorf("got %v", err)
	}
}

func TestConfigFile(t *testing.T) {
	good, err := testConfig("alice").Text()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]struct {
		text []byte
		says string
	}{
		"unknown key":       {append([]byte("nmae = 'alice'\n"), good...), `line 1: unknown key "nmae"`},
		"unknown table key": {append(good, "\ncolour = 'red'\n"...), "colour"},
		"syntax":            {append([]byte("name = \n"), good...), "line 1"},
		"type":              {[]byte("name = 'alice'\nnetwork = 'regtest'\nlisten = 'x'\n"), "line 3"},
		"huge":              {make([]byte, maxConfigFile+1), "at most"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, configFile), r.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(dir); err == nil || !strings.Contains(err.Error(), r.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, r.says)
		}
	}
	if _, err := LoadConfig(t.TempDir()); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "frostfed init") {
		t.Errorf("missing: %v", err)
	}
}

func TestAdopt(t *testing.T) {
	alice, bob := initDir(t, "alice"), initDir(t, "bob")
	if _, err := alice.Charter(); !errors.Is(err, ErrNoCharter) {
		t.Fatalf("got %v", err)
	}
	one, other := charterOf(t, "regtest", alice, bob), charterOf(t, "signet", alice, bob)
	if err := alice.Adopt(one); err != nil {
		t.Fatal(err)
	}
	if err := alice.Adopt(one); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := alice.Adopt(other); !errors.Is(err, ErrCharterUsed) {
		t.Errorf("another: %v", err)
	}
	if got, err := alice.Charter(); err != nil || got.ID() != one.ID() {
		t.Errorf("got %v, %v", got, err)
	}
	if err := os.WriteFile(alice.charterPath(), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := alice.Adopt(other); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a damaged one: %v", err)
	}
}

func TestCardLeavesOutWhatCannotBeDialled(t *testing.T) {
	cfg := testConfig("alice")
	cfg.Announce = []string{"/dns4/example.org/tcp/9470"}
	cfg.Listen = []string{"/ip4/0.0.0.0/tcp/9470", "/ip6/::/tcp/9470", "/ip4/127.0.0.1/tcp/0", "/ip4/192.0.2.1/tcp/9470"}
	card, err := Card(openKeys(t, initDir(t, "alice")), cfg, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(card.Addrs, " "); got != "/dns4/example.org/tcp/9470 /ip4/192.0.2.1/tcp/9470" {
		t.Errorf("addresses %s", got)
	}
}

// deadChain is a backend that answers nothing.
type deadChain struct{ chain.Backend }

func (deadChain) Ready(context.Context) error { return chain.ErrUnavailable }
func (deadChain) Tip(context.Context) (chain.BlockID, error) {
	return chain.BlockID{}, chain.ErrUnavailable
}

func options(t *testing.T, dir Dir, charter *membership.Charter) Options {
	t.Helper()
	cfg, err := LoadConfig(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Dir: dir, Config: cfg, Charter: charter, Keys: openKeys(t, dir), Chain: deadChain{}, Log: slog.New(slog.DiscardHandler), Version: "test"}
}

func TestStart(t *testing.T) {
	alice, bob := initDir(t, "alice"), initDir(t, "bob")
	charter := charterOf(t, "regtest", alice, bob)
	n, err := Start(t.Context(), options(t, alice, charter))
	if err != nil {
		t.Fatal(err)
	}
	if id := n.Host.ID(); id != membership.NodeIDOf([32]byte(openKeys(t, alice).Identity[32:])) {
		t.Errorf("runs as %x", id)
	}
	if _, err := Start(t.Context(), options(t, alice, charter)); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n, err = Start(t.Context(), options(t, alice, charter))
	if err != nil {
		t.Fatalf("after a stop: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), options(t, alice, charterOf(t, "regtest", alice))); !errors.Is(err, store.ErrOwner) {
		t.Errorf("the database of another federation: %v", err)
	}
}

func TestStartRefusals(t *testing.T) {
	alice, bob, carol := initDir(t, "alice"), initDir(t, "bob"), initDir(t, "carol")
	for name, r := range map[string]struct {
		charter *membership.Charter
		change  func(*Options)
		want    error
	}{
		"stranger":      {charterOf(t, "regtest", bob, carol), func(*Options) {}, ErrStranger},
		"wrong network": {charterOf(t, "signet", alice, bob), func(*Options) {}, ErrConfig},
		"chain":         {charterOf(t, "regtest", alice, bob), func(o *Options) { o.Chain, o.Config.Chain.URL = nil, "ftp://x" }, ErrConfig},
	} {
		o := options(t, alice, r.charter)
		r.change(&o)
		n, err := Start(t.Context(), o)
		if !errors.Is(err, r.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			n.Close()
		}
		if _, err := os.Lstat(alice.state()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a database was made", name)
		}
	}
}

// A port in use ends the start, and gives the database back.
func TestStartGivesBack(t *testing.T) {
	alice, bob := initDir(t, "alice"), initDir(t, "bob")
	o := options(t, alice, charterOf(t, "regtest", alice, bob))
	o.Config.Listen = []string{"/ip4/203.0.113.1/tcp/9470"} // not an address of this host
	if n, err := Start(t.Context(), o); err == nil {
		n.Close()
		t.Skip("this host listens on any address")
	}
	o.Config.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	n, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
