package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
	"frostfed/crypto/memberkey"
	"frostfed/federation"
	"frostfed/internal/daemon"
	"frostfed/internal/store"
	"frostfed/p2p"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

// Options of Start.
type Options struct {
	Dir     Dir
	Config  Config
	Charter *membership.Charter
	Keys    *memberkey.Keys
	Chain   chain.Backend // nil: as the configuration says; else the caller's to close
	Log     *slog.Logger
	Version string
	Lie     *federation.Lie // nil: a correct member
	// Seeds replaces the seeds of the configuration if not nil.
	Seeds []string
	// Network stands between the member and its host, if not nil: a test listens.
	Network func(*p2p.Host) daemon.Network
}

// Node is a running member.
type Node struct {
	Daemon   *daemon.Daemon
	Host     *p2p.Host
	Charter  *membership.Charter
	Network  bitcoin.Network
	Registry *prometheus.Registry
	Started  time.Time

	store  *store.Store
	chains []io.Closer
}

// ErrStranger says that the charter does not name this member.
var ErrStranger = errors.New("the charter does not name this member")

// Start runs a member until ctx ends or Close is called.
func Start(ctx context.Context, o Options) (*Node, error) {
	self := membership.NodeIDOf([32]byte(o.Keys.Identity.Public().(ed25519.PublicKey)))
	if o.Charter.Index(self) < 0 {
		return nil, fmt.Errorf("%w: %q; its card was made from another seed", ErrStranger, o.Charter.Name)
	}
	if o.Config.Network != o.Charter.Network {
		return nil, fmt.Errorf("%w: network is %q but the charter is for %q; mend %s", ErrConfig, o.Config.Network, o.Charter.Network, o.Dir.ConfigPath())
	}
	network, err := bitcoin.ParseNetwork(o.Charter.Network)
	if err != nil {
		return nil, err
	}
	var openers []opener
	if o.Chain == nil {
		if openers, err = sources(o.Dir, o.Config.Chain, network, o.Log); err != nil {
			return nil, err
		}
	}
	// The database lock comes before the network: libp2p would happily share its
	// port with a second process of the same identity.
	id := o.Charter.ID()
	db, err := store.Open(o.Dir.state(), append(id[:], self...))
	if err != nil {
		return nil, err
	}
	n := &Node{Charter: o.Charter, Network: network, Registry: prometheus.NewRegistry(), Started: time.Now(), store: db}
	if err := n.start(ctx, o, self, openers); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) start(ctx context.Context, o Options, self protocols.NodeID, openers []opener) error {
	backend := o.Chain
	if backend == nil {
		var err error
		if backend, err = n.openChain(openers); err != nil {
			return err
		}
	}
	identity, err := crypto.UnmarshalEd25519PrivateKey(o.Keys.Identity)
	if err != nil {
		return fmt.Errorf("load identity: %w", err)
	}
	cfg := p2p.Config{
		Identity: identity, Agent: "frostfed/" + o.Version, Listen: o.Config.Listen, Announce: o.Config.Announce, Seeds: o.Config.Seeds,
		MemberAddrs: make(map[peer.ID][]string), AddrBook: addrBook{n.store}, Logger: o.Log, Registerer: n.Registry,
	}
	if o.Seeds != nil {
		cfg.Seeds = o.Seeds
	}
	for _, card := range o.Charter.Cards {
		id := peer.ID(card.NodeID())
		cfg.Members = append(cfg.Members, id)
		cfg.MemberAddrs[id] = card.Addrs
	}
	for _, a := range o.Config.Listen {
		cfg.AllowLoopback = cfg.AllowLoopback || loopback(a)
	}
	if n.Host, err = p2p.New(ctx, cfg); err != nil {
		return err
	}
	var network daemon.Network = n.Host
	if o.Network != nil {
		network = o.Network(n.Host)
	}
	n.Daemon, err = daemon.Start(ctx, daemon.Config{
		Core: federation.Config{Charter: o.Charter, Self: self, Host: &o.Keys.Host, Policy: o.Config.Policy,
			Rand: rand.Reader, Lie: o.Lie, Version: o.Version, ScanFrom: bitcoin.Height(o.Config.Chain.ScanFrom), SettledTo: bitcoin.Height(o.Config.Chain.SettledTo),
			NoExclusion: !o.Config.Keys.Exclusion, MinSpare: o.Config.Keys.MinSpare,
			Silence: protocols.Time(time.Duration(o.Config.Keys.SilenceMinutes) * time.Minute / time.Millisecond)},
		Store: n.store, Network: network, Chain: backend, Poll: time.Duration(o.Config.Chain.PollSeconds) * time.Second,
		Log: o.Log, Registerer: n.Registry,
	})
	return err
}

// Close stops the member: the daemon, then the network, the chain backends, the
// database.
func (n *Node) Close() error {
	var errs []error
	if n.Daemon != nil {
		errs = append(errs, n.Daemon.Stop())
	}
	if n.Host != nil {
		errs = append(errs, n.Host.Close())
	}
	for _, c := range n.chains {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, n.store.Close())...)
}

// addrBook keeps last-good addresses in the database.
type addrBook struct{ db *store.Store }

func (a addrBook) Load() (map[protocols.NodeID][]string, error) {
	stored, err := a.db.LoadPeers()
	out := make(map[protocols.NodeID][]string, len(stored))
	for id, addrs := range stored {
		out[id] = strings.Fields(string(addrs))
	}
	return out, err
}

func (a addrBook) Save(id protocols.NodeID, addrs []string) error {
	return a.db.SavePeer(id, []byte(strings.Join(addrs, " ")))
}

func hostIP(addr string) (netip.Addr, bool) {
	m, err := multiaddr.NewMultiaddr(addr)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(m)
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(ip)
}

func unspecified(addr string) bool {
	ip, ok := hostIP(addr)
	return ok && ip.Unmap().IsUnspecified()
}

func loopback(addr string) bool {
	ip, ok := hostIP(addr)
	return ok && ip.Unmap().IsLoopback()
}

func logLevel(name string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return level, fmt.Errorf("log_level: %q is unknown; use debug, info, warn or error", name)
	}
	return level, nil
}

// Level is the configured log level.
func (c Config) Level() slog.Level {
	level, _ := logLevel(c.LogLevel) // Validate checked it
	return level
}
