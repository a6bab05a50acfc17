package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	libp2pconnmgr "github.com/libp2p/go-libp2p/p2p/net/connmgr"

	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"

	"frostfed/protocols"
)

const (
	// MaxFrame is the largest body of a frame: 64 KiB of payload and 1 KiB for
	// the headers of the layers above.
	MaxFrame = 64<<10 + 1<<10

	headerSize = 4

	// maxQueueBytes bounds what waits for one member on one protocol: a 1 MiB
	// message in fragments, twice. A member that reads nothing costs at most this
	// times the protocols, and bodies are shared between the queues of a broadcast.
	maxQueueBytes  = 2 << 20
	maxQueueFrames = 1024

	// maxInbox frames of one member wait for the daemon: at most 16 * 65 KiB,
	// about 1 MiB per member. Beyond it nothing is read from that member, so that
	// yamux and TCP hold it back.
	maxInbox = 16

	// A member may send inboundRate bytes per second in the long run, a key
	// generation for 128 members (about 30 MB in all, PERFORMANCE 8.2) in seconds.
	// Each frame costs frameCost more, so that tiny frames are no way around it.
	inboundRate  = 8 << 20
	inboundBurst = 2 << 20
	frameCost    = 128

	maxDials = 8 // at once: a restart of a federation of 128 is no burst of 128 look-ups

	memoryLimit = 256 << 20 // of libp2p: yamux windows and the frames being read
)

// A burst below the largest frame would make the limiter refuse it for ever.
const _ = uint(inboundBurst - MaxFrame - frameCost)

// newResourceManager sets limits for a federation of n members.
//
// The default of 8 connections and 16 dials per IP address locks out a member
// after a few restarts, and most members once they share a relay or a NAT. Ours
// admit every member behind one address, twice. Loopback is an address like any
// other: a proxy in front of the node must not be a hole in the limits.
//
// One address may hold at most perIP connections, half-open or not, out of
// 2*perIP in all, so that a flood from one address leaves room for the others. A
// flood from many can fill what is inbound, but not our own dials, and every
// member dials every other.
func newResourceManager(n int, protos []protocols.Protocol, stats bool) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	perIP := 2*n + 32

	partial := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns:           rcmgr.LimitVal(4*perIP + 64),
			ConnsInbound:    rcmgr.LimitVal(2 * perIP),
			ConnsOutbound:   rcmgr.LimitVal(2 * perIP),
			FD:              rcmgr.LimitVal(4*perIP + 64),
			Streams:         rcmgr.LimitVal(64 * (n + 16)),
			StreamsInbound:  rcmgr.LimitVal(32 * (n + 16)),
			StreamsOutbound: rcmgr.LimitVal(32 * (n + 16)),
			Memory:          memoryLimit,
		},
		// Transient is where a connection is charged until its handshake ends.
		Transient: rcmgr.ResourceLimits{
			Conns:           rcmgr.LimitVal(4 * perIP),
			ConnsInbound:    rcmgr.LimitVal(2 * perIP),
			ConnsOutbound:   rcmgr.LimitVal(2 * perIP),
			FD:              rcmgr.LimitVal(4 * perIP),
			Streams:         rcmgr.LimitVal(16 * (n + 16)),
			StreamsInbound:  rcmgr.LimitVal(8 * (n + 16)),
			StreamsOutbound: rcmgr.LimitVal(8 * (n + 16)),
			Memory:          memoryLimit / 4,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns:           8,
			ConnsInbound:    4,
			ConnsOutbound:   4,
			FD:              8,
			Streams:         64,
			StreamsInbound:  32,
			StreamsOutbound: 32,
			Memory:          memoryLimit / 8,
		},
	}
	// One stream per direction is in use; the others are on their way out when a
	// member reconnects faster than we notice.
	own := rcmgr.BaseLimit{StreamsInbound: 4, StreamsOutbound: 4, Streams: 8, Memory: 8 << 20}
	all := rcmgr.BaseLimit{StreamsInbound: 4 * (n + 16), StreamsOutbound: 4 * (n + 16), Streams: 8 * (n + 16), Memory: memoryLimit}
	for _, p := range protos {
		scaling.AddProtocolPeerLimit(wireID(p), own, rcmgr.BaseLimitIncrease{})
		scaling.AddProtocolLimit(wireID(p), all, rcmgr.BaseLimitIncrease{})
	}
	scaling.AddProtocolPeerLimit(heartbeatID, own, rcmgr.BaseLimitIncrease{})
	scaling.AddProtocolLimit(heartbeatID, all, rcmgr.BaseLimitIncrease{})

	// New connections per address, ours and theirs: a restart of every member
	// several times at once, and in the long run more than it takes to dial each of
	// n dead members behind it every maxRedial/2.
	rps := rate.Limit{RPS: 2 + float64(n)/8, Burst: 8*n + 64}
	opts := []rcmgr.Option{
		rcmgr.WithNetworkPrefixLimit([]rcmgr.NetworkPrefixLimit{}, []rcmgr.NetworkPrefixLimit{}),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perIP}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perIP}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rps}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: rps}},
			GracePeriod:      time.Minute,
		}}),
	}
	if !stats {
		opts = append(opts, rcmgr.WithMetricsDisabled())
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(partial.Build(scaling.Scale(memoryLimit, 4*perIP+64))), opts...)
}

// newConnManager closes connections of strangers above 16 once there are more
// than 2n+48 in all. Those of members and seeds are protected.
func newConnManager(n int) (connmgr.ConnManager, error) {
	return libp2pconnmgr.NewConnManager(16, 2*n+48,
		libp2pconnmgr.WithGracePeriod(30*time.Second),
		libp2pconnmgr.WithSilencePeriod(10*time.Second))
}
