package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"frostfed/protocols"
)

// Prefix starts the libp2p protocol ID of everything this package speaks.
const Prefix = "/frostfed/"

// Errors of New that callers tell apart.
var (
	// ErrIdentity says that a key or peer ID is not Ed25519. Other key types are
	// refused everywhere: large RSA keys are a denial of service (CVE-2023-39533).
	ErrIdentity = errors.New("identity is not an Ed25519 key")
	// ErrAddress says that an address of the configuration is not usable.
	ErrAddress = errors.New("unusable address")
)

// AddrBook remembers across restarts where members were last reached. Save is
// called only on change, from one goroutine at a time.
type AddrBook interface {
	Load() (map[protocols.NodeID][]string, error)
	Save(id protocols.NodeID, addrs []string) error
}

// Config says who we are and whom to find. Only Identity and Members are needed.
type Config struct {
	Identity crypto.PrivKey // Ed25519
	Agent    string         // name and version shown to peers, e.g. "frostfed/0.1.0"

	Listen   []string // multiaddrs; every one must bind
	Announce []string // multiaddrs published in addition to those listened on
	Seeds    []string // multiaddrs ending in /p2p/ID; any node of the federation, member or not

	Members     []peer.ID             // the roster; our own ID in it is ignored
	MemberAddrs map[peer.ID][]string  // from member cards
	Protocols   []protocols.Protocol  // nil means all channels of package protocols
	AddrBook    AddrBook              // nil: nothing outlives the process
	Logger      *slog.Logger          // nil: silent
	Registerer  prometheus.Registerer // nil: no metrics

	// AllowLoopback lets the DHT carry loopback and link-local addresses. It is
	// for federations on one machine; elsewhere such addresses are noise that
	// makes members dial themselves.
	AllowLoopback bool

	timing timing // zero means defaultTiming; tests shorten it
}

// A Host is a running node. Its methods are safe for concurrent use.
type Host struct {
	host    host.Host
	log     *slog.Logger
	metrics *metrics
	book    *book
	find    *discovery

	self      peer.ID
	instance  [instanceSize]byte // random per process, see heartbeat.go
	protocols []protocols.Protocol
	links     map[peer.ID]*link // fixed at New: read without lock
	order     []*link           // the same, sorted by ID

	events chan Event
	wake   chan struct{} // an inbox is no longer empty

	timing  timing
	closing atomic.Bool // Send refuses from now on
	cancel  context.CancelFunc
	stopped <-chan struct{} // our goroutines are told to end

	closeOnce sync.Once
	closeErr  error

	mu     sync.Mutex // orders enter and Close
	closed bool
	wg     sync.WaitGroup // every goroutine of ours, stream handlers included
}

// New starts a node and returns once every listen address is bound. An
// unreachable seed or member is no error: it is dialed until Close. Canceling ctx
// stops the node's goroutines; Close must still be called.
func New(ctx context.Context, cfg Config) (*Host, error) {
	if err := checkIdentity(cfg); err != nil {
		return nil, err
	}
	addrs, err := parseAddrs(cfg)
	if err != nil {
		return nil, err
	}
	self, err := peer.IDFromPrivateKey(cfg.Identity)
	if err != nil {
		return nil, fmt.Errorf("derive peer id: %w", err)
	}

	h := &Host{
		log:       cfg.Logger,
		self:      self,
		protocols: cfg.Protocols,
		links:     make(map[peer.ID]*link),
		events:    make(chan Event),
		wake:      make(chan struct{}, 1),
		timing:    cfg.timing,
	}
	if h.timing == (timing{}) {
		h.timing = defaultTiming
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.protocols == nil {
		h.protocols = []protocols.Protocol{protocols.Echo, protocols.DKG, protocols.Sign, protocols.Roast, protocols.Federation}
	}
	rand.Read(h.instance[:])
	for _, id := range cfg.Members {
		if id != self && h.links[id] == nil {
			h.links[id] = newLink(id, h.protocols)
			h.order = append(h.order, h.links[id])
		}
	}
	slices.SortFunc(h.order, func(a, b *link) int { return compareID(a.id, b.id) })

	if h.host, err = newLibp2p(cfg, addrs, h.protocols); err != nil {
		return nil, err
	}
	if h.metrics, err = newMetrics(cfg.Registerer, h); err != nil {
		return nil, errors.Join(err, h.host.Close())
	}
	if err := h.start(ctx, cfg, addrs); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// start puts everything that peers may call in place before the first socket is
// opened, then listens, then starts the goroutines.
func (h *Host) start(ctx context.Context, cfg Config, addrs addresses) error {
	ctx, h.cancel = context.WithCancel(ctx)
	h.stopped = ctx.Done()

	var err error
	if h.book, err = openBook(ctx, h, cfg.AddrBook, addrs.known); err != nil {
		return err
	}
	for _, l := range h.order {
		h.host.ConnManager().Protect(l.id, "frostfed/member")
	}

	h.host.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { h.connChanged(c.RemotePeer()) },
		DisconnectedF: func(_ network.Network, c network.Conn) { h.connChanged(c.RemotePeer()) },
	})
	for _, p := range h.protocols {
		h.host.SetStreamHandler(wireID(p), func(s network.Stream) { h.handle(ctx, p, s) })
	}
	h.host.SetStreamHandler(heartbeatID, func(s network.Stream) { h.answerHeartbeat(ctx, s) })
	if h.find, err = newDiscovery(ctx, h, cfg, addrs); err != nil {
		return err
	}

	// One call per address: libp2p reports an error only when all of them fail.
	for _, a := range addrs.listen {
		if err := h.host.Network().Listen(a); err != nil {
			return fmt.Errorf("listen on %s: %w", a, err)
		}
	}

	h.wg.Go(func() { h.dispatch(ctx) })
	for _, l := range h.order {
		h.wg.Go(func() { h.keep(ctx, l) })
		for _, p := range h.protocols {
			h.wg.Go(func() { h.write(ctx, l, p) })
		}
	}
	h.find.start(ctx, h)
	return nil
}

func newLibp2p(cfg Config, addrs addresses, protos []protocols.Protocol) (host.Host, error) {
	limits, err := newResourceManager(len(cfg.Members), protos, cfg.Registerer != nil)
	if err != nil {
		return nil, fmt.Errorf("set resource limits: %w", err)
	}
	conns, err := newConnManager(len(cfg.Members))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set connection limits: %w", err), limits.Close())
	}

	// A copy: the default transport is a global. A dead path is noticed after
	// KeepAliveInterval + ConnectionWriteTimeout instead of 40 s.
	mux := *yamux.DefaultTransport.Config()
	mux.KeepAliveInterval = 10 * time.Second
	mux.ConnectionWriteTimeout = 5 * time.Second

	opts := []libp2p.Option{
		libp2p.Identity(cfg.Identity),
		libp2p.UserAgent(cfg.Agent),
		libp2p.NoListenAddrs, // Host.start listens, when the handlers are in place
		libp2p.NoTransports,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, (*yamux.Transport)(&mux)),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(gater{}),
		libp2p.DisableRelay(),
		libp2p.Ping(false), // the heartbeat says more: that we are accepted as a member
		libp2p.AddrsFactory(func(listened []ma.Multiaddr) []ma.Multiaddr {
			return ma.Unique(slices.Concat(listened, addrs.announce))
		}),
	}
	if cfg.Registerer != nil {
		opts = append(opts, libp2p.PrometheusRegisterer(cfg.Registerer))
	} else {
		opts = append(opts, libp2p.DisableMetrics())
	}
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start libp2p: %w", err), conns.Close(), limits.Close())
	}
	return h, nil
}

// ID returns our peer ID in binary form.
func (h *Host) ID() protocols.NodeID { return protocols.NodeID(h.self) }

// Addrs returns the addresses under which others can reach us, each ending in
// /p2p/ and our ID: what another node takes as a seed.
func (h *Host) Addrs() []string {
	full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.self, Addrs: h.host.Addrs()})
	if err != nil { // unreachable: our own ID encodes
		return nil
	}
	out := make([]string, len(full))
	for i, a := range full {
		out[i] = a.String()
	}
	return out
}

// Events returns the channel of everything that members do. It must be drained:
// while it is not, members are held back. It is closed by Close.
func (h *Host) Events() <-chan Event { return h.events }

// drainTimeout bounds how long Close waits for frames already accepted by Send.
const drainTimeout = 2 * time.Second

// Close stops the node: it refuses new frames, gives queued ones drainTimeout to
// leave, stops its own goroutines, then the DHT, then libp2p. Frames of members
// arriving meanwhile are dropped. A second call returns the result of the first.
func (h *Host) Close() error {
	h.closeOnce.Do(func() {
		h.closing.Store(true)
		if h.cancel != nil {
			h.drain()
			h.cancel()
		}
		h.mu.Lock()
		h.closed = true
		h.mu.Unlock()
		var errs []error
		if h.find != nil {
			errs = append(errs, h.find.close())
		}
		errs = append(errs, h.host.Close())
		h.wg.Wait()
		h.metrics.close()
		close(h.events)
		h.closeErr = errors.Join(errs...)
	})
	return h.closeErr
}

// enter counts a stream handler, which libp2p starts, among our goroutines. It
// returns false once Close has begun to wait for them.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.wg.Add(1)
	}
	return !h.closed
}

func (h *Host) swarm() *swarm.Swarm { return h.host.Network().(*swarm.Swarm) }

func wireID(p protocols.Protocol) protocol.ID { return protocol.ID(Prefix + string(p)) }
