package p2p

import (
	"context"
	"fmt"
	"sync"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// maxFound addresses of one look-up are tried: a DHT answer is written by
// strangers, and each address in it is a connection they make us open.
const maxFound = 8

// discovery finds addresses of members through a DHT of our own, apart from the
// public one, that starts from the seeds.
type discovery struct {
	dht   *dht.IpfsDHT
	seeds []*seed
	slots chan struct{} // bounds look-ups at once
}

// A seed is where a node enters the DHT. A seed that is also a member is dialed
// by its keeper, not here.
type seed struct {
	info    peer.AddrInfo
	mu      sync.Mutex
	failure string // of the last dial, one line; empty while connected
}

func newDiscovery(ctx context.Context, h *Host, cfg Config, addrs addresses) (*discovery, error) {
	// The DHT's own constructor is deprecated with a context; it is called here
	// only, with the node's.
	kad, err := dht.New(ctx, h.host,
		dht.ProtocolPrefix(protocol.ID("/frostfed")),
		dht.Mode(dht.ModeServer),
		dht.DisableValues(),    // only peer look-ups are used; the rest
		dht.DisableProviders(), // would be storage that strangers can fill
		dht.AddressFilter(addrFilter(cfg.AllowLoopback)),
		dht.BootstrapPeers(addrs.seeds...),
	)
	if err != nil {
		return nil, fmt.Errorf("start dht: %w", err)
	}
	d := &discovery{dht: kad, slots: make(chan struct{}, maxDials)}
	for _, s := range addrs.seeds {
		if s.ID != h.self {
			d.seeds = append(d.seeds, &seed{info: s})
			h.host.ConnManager().Protect(s.ID, "frostfed/seed")
		}
	}
	return d, nil
}

// addrFilter drops addresses that mean another machine on each machine.
func addrFilter(allowLoopback bool) func([]ma.Multiaddr) []ma.Multiaddr {
	return func(in []ma.Multiaddr) []ma.Multiaddr {
		if allowLoopback {
			return in
		}
		return ma.FilterAddrs(in, func(a ma.Multiaddr) bool {
			return !manet.IsIPLoopback(a) && !manet.IsIP6LinkLocal(a) && !manet.IsIPUnspecified(a)
		})
	}
}

func (d *discovery) start(ctx context.Context, h *Host) {
	h.wg.Go(func() { d.dht.Bootstrap(ctx) })
	for _, s := range d.seeds {
		if h.links[s.info.ID] == nil {
			h.wg.Go(func() { d.keepSeed(ctx, h, s) })
		}
	}
}

// keepSeed stays connected to a seed. The DHT tries seeds only while it knows
// nobody, and only every 2 minutes.
func (d *discovery) keepSeed(ctx context.Context, h *Host, s *seed) {
	for failures := 0; ; {
		if !h.connected(s.info.ID) {
			if err := h.dial(ctx, s.info); err != nil {
				s.note(oneLine(err))
				if failures++; failures == warnAfter {
					h.log.Warn("seed is unreachable", "seed", s.info.ID, "err", oneLine(err))
				}
			}
		}
		if h.connected(s.info.ID) {
			failures = 0
			s.note("")
		}
		// Connected or not, look again later: seeds need not be back at once.
		timer := time.NewTimer(h.redialDelay(failures))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (s *seed) note(err string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

func (s *seed) lastError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// lookup asks the DHT for addresses of a member. They are hints by strangers: at
// most maxFound, never stored as known, worth one dial.
func (d *discovery) lookup(ctx context.Context, h *Host, id peer.ID) ([]ma.Multiaddr, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, h.timing.lookup)
	defer cancel()
	info, err := d.dht.FindPeer(ctx, id)
	if err != nil {
		return nil, err
	}
	return info.Addrs[:min(len(info.Addrs), maxFound)], nil
}

func (d *discovery) close() error { return d.dht.Close() }
