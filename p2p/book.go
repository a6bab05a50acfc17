package p2p

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"

	"frostfed/protocols"
)

// maxLearned addresses are remembered per member. A member that claims thousands
// would have us dial, and write to disk, as many.
const maxLearned = 8

// book knows where to dial members: what people configured, which never changes,
// and where each member was last reached, which is saved. libp2p forgets the
// addresses of a peer 15 minutes after it is gone.
type book struct {
	store   AddrBook // or nil
	given   map[peer.ID][]ma.Multiaddr
	mu      sync.Mutex
	learned map[peer.ID][]ma.Multiaddr // at most maxLearned each, best first
}

// openBook loads the store and starts to watch for addresses that proved good.
func openBook(ctx context.Context, h *Host, store AddrBook, given map[peer.ID][]ma.Multiaddr) (*book, error) {
	b := &book{store: store, given: given, learned: make(map[peer.ID][]ma.Multiaddr)}
	if store != nil {
		saved, err := store.Load()
		if err != nil {
			return nil, fmt.Errorf("load addresses: %w", err)
		}
		for id, list := range saved {
			if addrs, err := parseAll("saved", list); err != nil {
				h.log.Warn("ignore saved addresses", "member", peer.ID(id), "err", err)
			} else if h.links[peer.ID(id)] != nil {
				b.learned[peer.ID(id)] = addrs[:min(len(addrs), maxLearned)]
			}
		}
	}
	sub, err := h.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted), eventbus.BufSize(64))
	if err != nil {
		return nil, fmt.Errorf("watch addresses: %w", err)
	}
	h.wg.Go(func() {
		defer sub.Close()
		for {
			select {
			case e := <-sub.Out():
				b.identified(h, e.(event.EvtPeerIdentificationCompleted))
			case <-ctx.Done():
				return
			}
		}
	})
	return b, nil
}

// addrs returns where to dial a member.
func (b *book) addrs(id peer.ID) []ma.Multiaddr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ma.Unique(slices.Concat(b.learned[id], b.given[id]))
}

// identified remembers the address we dialed, which is known to work, and then
// those that the member says it listens on.
func (b *book) identified(h *Host, e event.EvtPeerIdentificationCompleted) {
	if h.links[e.Peer] == nil || e.Conn.Stat().Limited {
		return
	}
	addrs := ma.Unique(slices.Clone(e.ListenAddrs))
	if e.Conn.Stat().Direction == network.DirOutbound {
		dialed := e.Conn.RemoteMultiaddr()
		addrs = slices.DeleteFunc(addrs, dialed.Equal)
		addrs = slices.Insert(addrs, 0, dialed)
	}
	addrs = addrs[:min(len(addrs), maxLearned)]

	b.mu.Lock()
	same := slices.EqualFunc(addrs, b.learned[e.Peer], ma.Multiaddr.Equal)
	b.learned[e.Peer] = addrs
	b.mu.Unlock()
	if same || len(addrs) == 0 || b.store == nil {
		return
	}
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	if err := b.store.Save(protocols.NodeID(e.Peer), list); err != nil {
		h.log.Warn("save addresses", "member", e.Peer, "err", err)
	}
}
