package p2p

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"frostfed/protocols"
)

// Why Send or a writer dropped a frame.
const (
	dropUnknown = "unknown" // no such member or protocol
	dropSize    = "size"    // empty or above MaxFrame
	dropDown    = "down"    // the member is not up
	dropFull    = "full"    // it reads slower than we send
	dropStream  = "stream"  // the stream broke
	dropClosing = "closing"
)

// metrics count what happens. Every label has a fixed set of values; the members
// are as many as the roster has.
type metrics struct {
	reg     prometheus.Registerer
	all     []prometheus.Collector
	frames  *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	drops   *prometheus.CounterVec
	faults  *prometheus.CounterVec
	refused prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *Host) (*metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "frostfed", Subsystem: "p2p", Name: name, Help: help}
	}
	m := &metrics{
		reg:     reg,
		frames:  prometheus.NewCounterVec(opts("frames_total", "Frames handed to or read from libp2p."), []string{"direction", "protocol"}),
		bytes:   prometheus.NewCounterVec(opts("bytes_total", "Bytes in the bodies of those frames."), []string{"direction", "protocol"}),
		drops:   prometheus.NewCounterVec(opts("drops_total", "Outgoing frames dropped, by reason."), []string{"reason"}),
		faults:  prometheus.NewCounterVec(opts("faults_total", "Bytes from members that no correct member sends, by kind."), []string{"kind"}),
		refused: prometheus.NewCounter(opts("refused_streams_total", "Streams of member protocols opened by strangers.")),
	}
	m.all = []prometheus.Collector{m.frames, m.bytes, m.drops, m.faults, m.refused, links{h}}
	if reg == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := reg.Register(c); err != nil {
			m.all = m.all[:i]
			m.close()
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// close takes the metrics out of the registry, so that a host can be started
// again in the same process.
func (m *metrics) close() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

func (m *metrics) sent(p protocols.Protocol, frames, bytes int) {
	m.frames.WithLabelValues("out", string(p)).Add(float64(frames))
	m.bytes.WithLabelValues("out", string(p)).Add(float64(bytes))
}

func (m *metrics) received(p protocols.Protocol, bytes int) {
	m.frames.WithLabelValues("in", string(p)).Inc()
	m.bytes.WithLabelValues("in", string(p)).Add(float64(bytes))
}

// links shows the members at the moment of a scrape.
type links struct{ h *Host }

var (
	upDesc = prometheus.NewDesc("frostfed_p2p_member_up",
		"1 if the member is connected and accepts us.", []string{"member"}, nil)
	rttDesc = prometheus.NewDesc("frostfed_p2p_member_rtt_seconds",
		"Round trip of the last heartbeat.", []string{"member"}, nil)
	membersDesc = prometheus.NewDesc("frostfed_p2p_members_up",
		"Members that are up, ourselves excluded.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c links) Describe(ch chan<- *prometheus.Desc) {
	ch <- upDesc
	ch <- rttDesc
	ch <- membersDesc
}

// Collect implements prometheus.Collector.
func (c links) Collect(ch chan<- prometheus.Metric) {
	members := 0.0
	for _, l := range c.h.order {
		l.mu.Lock()
		up, rtt := 0.0, l.rtt.Seconds()
		if l.up {
			up = 1
		}
		l.mu.Unlock()
		members += up
		ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up, l.id.String())
		if up == 1 {
			ch <- prometheus.MustNewConstMetric(rttDesc, prometheus.GaugeValue, rtt, l.id.String())
		}
	}
	ch <- prometheus.MustNewConstMetric(membersDesc, prometheus.GaugeValue, members)
}
