package daemon

import (
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"frostfed/federation"
	"frostfed/protocols"
)

// Event is news for the operator: exactly one of its pointers or Decision is set.
type Event struct {
	At        time.Time
	Decision  federation.Decision
	Fault     *protocols.Fault
	Submitted *Submitted
}

// Submitted says what the chain backend answered to a transaction.
type Submitted struct {
	Request federation.RequestID
	TxID    chainhash.Hash
	Err     error
}

// subscriberBuffer is how many events a slow subscriber may lag behind before it
// loses some; it is told how many.
const subscriberBuffer = 1024

// Subscription receives events until it is closed.
type Subscription struct {
	C    <-chan Event
	hub  *hub
	c    chan Event
	lost int
}

// hub hands events to all subscribers without ever waiting for one.
type hub struct {
	mu   sync.Mutex
	subs map[*Subscription]struct{}
}

// Subscribe begins to receive events. Call Close when done.
func (d *Daemon) Subscribe() *Subscription {
	c := make(chan Event, subscriberBuffer)
	s := &Subscription{C: c, c: c, hub: &d.hub}
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	if d.hub.subs == nil {
		d.hub.subs = make(map[*Subscription]struct{})
	}
	d.hub.subs[s] = struct{}{}
	return s
}

// Lost returns how many events did not fit, and resets the count.
func (s *Subscription) Lost() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	n := s.lost
	s.lost = 0
	return n
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
}

func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		select {
		case s.c <- e:
		default:
			s.lost++
		}
	}
}

// maxFaultKinds bounds what is remembered of faults: (member, kind) pairs.
const maxFaultKinds = 1024

// faultLog logs the first fault of each kind from each member, and counts the
// rest: a peer must not be able to fill the log.
type faultLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	seen map[faultKey]int
}

type faultKey struct {
	culprit protocols.NodeID
	kind    string
}

func newFaultLog(log *slog.Logger) faultLog { return faultLog{log: log, seen: make(map[faultKey]int)} }

// note says whether the fault is of a new kind for its culprit.
func (l *faultLog) note(f protocols.Fault) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := faultKey{f.Culprit, f.Kind}
	if _, known := l.seen[key]; !known && len(l.seen) >= maxFaultKinds {
		return false
	}
	l.seen[key]++
	if l.seen[key] > 1 {
		return false
	}
	l.log.Warn("a peer broke the protocol; further faults of this kind are only counted",
		"peer", peer.ID(f.Culprit).String(), "kind", f.Kind, "detail", f.Detail, "proof", len(f.Proof) > 0)
	return true
}

// FaultCount is how often a member committed a kind of fault since the start.
type FaultCount struct {
	Culprit protocols.NodeID
	Kind    string
	Count   int
}

// Faults lists the faults seen since the start, in no particular order.
func (d *Daemon) Faults() []FaultCount {
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	var out []FaultCount
	for key, n := range d.faults.seen {
		out = append(out, FaultCount{key.culprit, key.kind, n})
	}
	return out
}

type metrics struct {
	faults *prometheus.CounterVec

	evidence *prometheus.CounterVec
	unsent   prometheus.Counter
	commit   prometheus.Histogram
	low      prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "frostfed_faults_total", Help: "Faults of peers, by kind."}, []string{"kind"}),
		evidence: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "frostfed_evidence_total",
			Help: "Proofs against members that this one came to hold, by kind."}, []string{"kind"}),
		unsent: prometheus.NewCounter(prometheus.CounterOpts{Name: "frostfed_frames_unsent_total", Help: "Frames dropped because the member is away or its queue is full; they are sent again."}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "frostfed_commit_seconds", Help: "Time of one durable write.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8)}),
		low: prometheus.NewGauge(prometheus.GaugeOpts{Name: "frostfed_nonces_low_members", Help: "Members of which few nonces have been here for some seconds."}),
	}
	if r != nil {
		r.MustRegister(m.faults, m.evidence, m.unsent, m.commit, m.low)
	}
	return m
}
