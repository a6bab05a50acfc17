package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"frostfed/protocols"
)

// PeerInfo is the state of the way to one member.
type PeerInfo struct {
	ID        protocols.NodeID
	Up        bool   // connected, and it accepts us as a member
	Connected bool   // connected at least
	Direct    bool   // not through a relay
	Inbound   bool   // it dialed us
	Addr      string // its end of the connection, a multiaddr
	Agent     string // software name and version, by its own account
	RTT       time.Duration
	LastSeen  time.Time // last frame or heartbeat; zero if never
	LastError string    // why the last dial, stream or heartbeat failed; empty after one that did not
	Cloned    bool      // two processes use its identity
}

// SeedInfo is the state of the way to one seed.
type SeedInfo struct {
	ID        protocols.NodeID
	Addrs     []string
	Connected bool
	LastError string
}

// Peers returns the state of every member but ourselves, sorted by ID.
func (h *Host) Peers() []PeerInfo {
	out := make([]PeerInfo, len(h.order))
	for i, l := range h.order {
		out[i] = h.peerInfo(l)
	}
	return out
}

func (h *Host) peerInfo(l *link) PeerInfo {
	l.mu.Lock()
	info := PeerInfo{
		ID:        l.node,
		Up:        l.up,
		RTT:       l.rtt,
		LastSeen:  l.lastSeen,
		LastError: l.lastError,
		Cloned:    l.instances.cloned(),
	}
	l.mu.Unlock()
	for _, c := range h.host.Network().ConnsToPeer(l.id) {
		if info.Direct {
			break
		}
		info.Connected = true
		info.Direct = !c.Stat().Limited
		info.Inbound = c.Stat().Direction == network.DirInbound
		info.Addr = c.RemoteMultiaddr().String()
	}
	if agent, err := h.host.Peerstore().Get(l.id, "AgentVersion"); err == nil {
		info.Agent, _ = agent.(string)
	}
	return info
}

// Seeds returns the state of every configured seed but ourselves, in order.
func (h *Host) Seeds() []SeedInfo {
	out := make([]SeedInfo, len(h.find.seeds))
	for i, s := range h.find.seeds {
		out[i] = SeedInfo{
			ID:        protocols.NodeID(s.info.ID),
			Connected: h.connected(s.info.ID),
			LastError: s.lastError(),
		}
		for _, a := range s.info.Addrs {
			out[i].Addrs = append(out[i].Addrs, a.String())
		}
		if l := h.links[peer.ID(s.info.ID)]; l != nil {
			out[i].LastError = h.peerInfo(l).LastError
		}
	}
	return out
}
