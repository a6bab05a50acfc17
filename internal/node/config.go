package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiformats/go-multiaddr"
	"github.com/pelletier/go-toml/v2"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

// Config is the configuration file of a member.
type Config struct {
	Name     string        `toml:"name" comment:"Name of this member, shown to the others."`
	Network  string        `toml:"network" comment:"Bitcoin network: mainnet, testnet4, signet or regtest."`
	Listen   []string      `toml:"listen" comment:"Multiaddrs to listen on."`
	Announce []string      `toml:"announce" comment:"Multiaddrs to publish besides, e.g. of a forwarded port."`
	Seeds    []string      `toml:"seeds" comment:"Multiaddrs, ending in /p2p/ID, of any nodes of the federation: one that answers is enough."`
	Metrics  string        `toml:"metrics" comment:"Loopback address for /metrics, /livez and /readyz, e.g. 127.0.0.1:9471. Empty: off."`
	LogLevel string        `toml:"log_level" comment:"debug, info, warn or error."`
	Chain    ChainConfig   `toml:"chain" comment:"Where this member sees Bitcoin: its own node. It is trusted; nobody else's is."`
	Keys     KeysConfig    `toml:"keys" comment:"How key generation goes on without members that lie or stay away."`
	Policy   policy.Config `toml:"policy" comment:"What this member signs. Amounts in satoshi, fee rates in sat/vB."`
}

// KeysConfig says what this member does when a key generation is held up. Lies are
// proven; silence is a matter of patience.
type KeysConfig struct {
	Exclusion      bool `toml:"exclusion" comment:"Whether keys that this member proposes may be made without such members."`
	MinSpare       int  `toml:"min_spare" comment:"How many members more than the threshold must share such a key."`
	SilenceMinutes int  `toml:"silence_minutes" comment:"Minutes of silence after which this member votes to go on without a member."`
}

// ChainConfig says which node this member asks.
type ChainConfig struct {
	Backend      string   `toml:"backend" comment:"rpc: btcd or Bitcoin Core, the member's own. neutrino: a light client, for those who do not sign, or not for much."`
	Second       string   `toml:"second" comment:"A second opinion, e.g. neutrino beside rpc: the member signs only while both agree. Empty: none."`
	Peers        []string `toml:"peers" comment:"For neutrino: HOST:PORT of nodes that serve compact filters. Only these are asked. Empty: found through DNS."`
	LightSigner  bool     `toml:"light_signer" comment:"Sign on mainnet by neutrino alone. Its peers can deceive this member."`
	URL          string   `toml:"url" comment:"JSON-RPC of btcd or Bitcoin Core, e.g. http://127.0.0.1:8332."`
	CookieFile   string   `toml:"cookie_file" comment:"Bitcoin Core's cookie file; or user and password_file."`
	User         string   `toml:"user"`
	PasswordFile string   `toml:"password_file"`
	CertFile     string   `toml:"cert_file" comment:"TLS certificate of btcd."`
	PollSeconds  int      `toml:"poll_seconds" comment:"Seconds between two looks at the chain."`
	ScanFrom     uint32   `toml:"scan_from" comment:"Only after the database was lost: height from which to look for coins. 0: from when each key was made."`
	SettledTo    uint32   `toml:"settled_to" comment:"Only after an older database was put back: height up to which nothing that this member approved is still under way."`
}

// DefaultPort is where members listen unless told otherwise.
const DefaultPort = 9470

const maxConfigFile = 1 << 20

// ErrConfig is the class of errors about the configuration file.
var ErrConfig = errors.New("invalid configuration")

// DefaultConfig is what init writes.
func DefaultConfig(name, network string) Config {
	cfg := Config{
		Name: name, Network: network,
		Listen:   []string{fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", DefaultPort)},
		Announce: []string{}, Seeds: []string{}, LogLevel: "info",
		Keys:   KeysConfig{Exclusion: true, MinSpare: 1, SilenceMinutes: 10},
		Chain:  ChainConfig{Backend: backendRPC, Peers: []string{}, URL: defaultURL[network], PollSeconds: 10},
		Policy: policy.DefaultConfig(),
	}
	cfg.Policy.AllowList, cfg.Policy.External = []string{}, []string{}
	if network == "regtest" {
		cfg.Chain.PollSeconds, cfg.Policy.MinConfirmations = 1, 1
	}
	return cfg
}

var defaultURL = map[string]string{
	"mainnet": "http://127.0.0.1:8332", "testnet4": "http://127.0.0.1:48332",
	"signet": "http://127.0.0.1:38332", "regtest": "http://127.0.0.1:18443",
}

// LoadConfig reads dir/config.toml strictly.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, configFile)
	text, err := readLimited(path, maxConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%w: %s is missing; make a data folder with 'frostfed init --dir %s'", ErrConfig, path, dir)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	cfg := DefaultConfig("", "")
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&cfg); err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConfig, path, explainTOML(err))
	}
	if err := cfg.Validate(); err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	return cfg, nil
}

// Text returns the file form, with comments.
func (c Config) Text() ([]byte, error) {
	body, err := toml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return append([]byte("# Configuration of a frostfed member. Unknown keys are errors.\n\n"), body...), nil
}

// Validate names the key that is wrong and what would be right.
func (c Config) Validate() error {
	if err := membership.CheckName(c.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if !slices.Contains(membership.Networks, c.Network) {
		return fmt.Errorf("network: %q is unknown; use one of %s", c.Network, strings.Join(membership.Networks, ", "))
	}
	network, err := bitcoin.ParseNetwork(c.Network)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if len(c.Listen) == 0 {
		return errors.New("listen: at least one multiaddr is needed, e.g. /ip4/0.0.0.0/tcp/9470")
	}
	for _, list := range []struct {
		key   string
		addrs []string
		p2p   bool
	}{{"listen", c.Listen, false}, {"announce", c.Announce, false}, {"seeds", c.Seeds, true}} {
		for _, a := range list.addrs {
			m, err := multiaddr.NewMultiaddr(a)
			if err != nil {
				return fmt.Errorf("%s: %q is not a multiaddr, e.g. /ip4/192.0.2.1/tcp/9470", list.key, a)
			}
			if _, err := m.ValueForProtocol(multiaddr.P_P2P); list.p2p && err != nil {
				return fmt.Errorf("%s: %q must end in /p2p/ and the peer ID; 'frostfed status' of that node prints it", list.key, a)
			}
		}
	}
	if c.Metrics != "" {
		host, _, err := net.SplitHostPort(c.Metrics)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return fmt.Errorf("metrics: %q is not a loopback address and port, e.g. 127.0.0.1:9471", c.Metrics)
		}
	}
	if _, err := logLevel(c.LogLevel); err != nil {
		return err
	}
	if err := c.Chain.check(c.Network); err != nil {
		return err
	}
	if c.Keys.MinSpare < 0 || c.Keys.MinSpare > protocols.MaxMembers {
		return fmt.Errorf("keys.min_spare: %d is not within 0 and %d", c.Keys.MinSpare, protocols.MaxMembers)
	}
	if c.Keys.SilenceMinutes < 1 || c.Keys.SilenceMinutes > 10_000 {
		return fmt.Errorf("keys.silence_minutes: %d is not within 1 and 10000", c.Keys.SilenceMinutes)
	}
	return c.Policy.Validate(network)
}

// explainTOML says line and key, which the library keeps out of Error().
func explainTOML(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %q", row, strings.Join(strict.Errors[0].Key(), "."))
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		row, col := decode.Position()
		return fmt.Errorf("line %d, column %d: %w", row, col, err)
	}
	return err
}

func readLimited(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is not a plain file of at most %d bytes", path, limit)
	}
	return os.ReadFile(path)
}
