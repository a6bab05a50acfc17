package p2p

import (
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"frostfed/protocols"
)

// A link is what we know and hold of one member, connected or not.
type link struct {
	id      peer.ID
	node    protocols.NodeID
	queues  map[protocols.Protocol]*queue // fixed: read without lock
	inbox   chan Event
	changed chan struct{} // wakes the keeper: a connection came or went, or the peer proved itself

	// inbound outlives connections: reconnecting must not refill the bucket.
	inbound *rate.Limiter

	mu        sync.Mutex
	up        bool   // connected, and the peer has shown that it accepts us
	epoch     uint64 // counts the times up became true
	reported  uint64 // epoch of the last PeerUp event not followed by PeerDown; 0 for none
	rtt       time.Duration
	lastSeen  time.Time
	lastError string
	instances instances
	cloned    bool // the peer says that our identity is in use twice
}

func newLink(id peer.ID, protos []protocols.Protocol) *link {
	l := &link{
		id:      id,
		node:    protocols.NodeID(id),
		queues:  make(map[protocols.Protocol]*queue, len(protos)),
		inbox:   make(chan Event, maxInbox),
		changed: make(chan struct{}, 1),
		inbound: rate.NewLimiter(inboundRate, inboundBurst),
	}
	for _, p := range protos {
		l.queues[p] = &queue{frames: make(chan []byte, maxQueueFrames)}
	}
	return l
}

func (l *link) wakeKeeper() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (h *Host) connected(id peer.ID) bool {
	return h.host.Network().Connectedness(id) == network.Connected
}

// connChanged is called after each connect and disconnect. It must not block:
// libp2p waits for it.
func (h *Host) connChanged(id peer.ID) {
	l := h.links[id]
	if l == nil {
		return
	}
	l.mu.Lock()
	// Asked under the lock, so that the last of two racing callers sees the
	// newest state.
	if !h.connected(id) {
		l.up = false
	}
	l.mu.Unlock()
	l.wakeKeeper()
}

// alive notes that the member sent something only given to members. A connection
// alone proves nothing: the dialer's handshake ends before the listener decides.
func (h *Host) alive(l *link) {
	l.mu.Lock()
	l.lastSeen = time.Now()
	became := !l.up && h.connected(l.id)
	if became {
		l.up = true
		l.epoch++
		l.lastError = ""
	}
	l.mu.Unlock()
	if became {
		l.wakeKeeper()
	}
}

// news returns which of PeerDown and PeerUp, in this order, is due.
func (l *link) news() (down, up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	down = l.reported != 0 && (!l.up || l.reported != l.epoch)
	up = l.up && l.reported != l.epoch
	if down {
		l.reported = 0
	}
	if up {
		l.reported = l.epoch
	}
	return down, up
}

func (l *link) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *link) noteError(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastError = oneLine(err)
}

// oneLine bounds an error text, which may hold an address or a line per attempt,
// partly chosen by the peer.
func oneLine(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	return s[:min(len(s), 300)]
}
