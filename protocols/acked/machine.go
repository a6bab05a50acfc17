package acked

import (
	"errors"
	"fmt"
	"slices"

	"frostfed/protocols"
)

// Bounds of what is held for one peer. Each stops the same attack: a peer that is
// away, mute or malicious making us hold memory without end. With the protocols of
// this version a peer at all its limits costs about 10 MiB, 127 such peers 1.3 GiB;
// honest ones cost next to nothing.
const (
	// MaxOutbox and MaxOutboxBytes bound the messages not yet acknowledged. What
	// exceeds them is dropped, and Resumed says so once the peer caught up.
	MaxOutbox      = 1024
	MaxOutboxBytes = 4 << 20

	// flightBytes bounds the bytes in flight on one lane, so that a time-out on a
	// slow line repeats no more than this.
	flightBytes = 256 << 10

	// earlyBytes bounds the frames held out of order, over all lanes of a peer.
	// One that does not fit is dropped unacknowledged and comes again.
	earlyBytes = 1 << 20

	// MaxProtocols bounds the lanes of a peer. Each may hold one unfinished
	// message of MaxMessage bytes.
	MaxProtocols = 8
)

// Defaults of Config, in milliseconds. A resend after a second is late for any
// line with a round trip below one; half a minute is short beside the minutes a
// restart takes, and PeerUp resends at once in any case.
const (
	DefaultResendMin  = 1_000
	DefaultResendMax  = 30_000
	DefaultStallAfter = 15_000
)

// Errors of New and Send: mistakes of the caller.
var (
	ErrConfig          = errors.New("invalid configuration")
	ErrMessageSize     = errors.New("message size out of range")
	ErrUnknownPeer     = errors.New("unknown peer")
	ErrUnknownProtocol = errors.New("unknown protocol")
)

// Faults a peer can commit.
const (
	FaultNotPeer         = "not_peer"          // a frame from someone who is not in Config.Peers
	FaultUnknownProtocol = "unknown_protocol"  // a frame on a protocol not in Config.Protocols
	FaultMalformed       = "malformed_frame"   // a frame that does not decode
	FaultBadAck          = "bad_ack"           // acknowledges frames never sent
	FaultWindow          = "beyond_window"     // more frames in flight than allowed
	FaultOversized       = "oversized_message" // fragments that add up to more than MaxMessage
)

// Config of a Machine. When the membership changes, make a new Machine with a new
// Boot: to the peers that stay it looks like a restart.
type Config struct {
	Self      protocols.NodeID
	Peers     []protocols.NodeID   // the others, without Self, without repetition
	Protocols []protocols.Protocol // at most MaxProtocols; nil: the four of package protocols

	// Boot names this run of the process: 64 random bits, not 0. It must be
	// fresh at each start, because memory, and with it all sequence numbers,
	// begins anew; it need not be secret or unpredictable.
	Boot uint64

	ResendMin, ResendMax protocols.Time // first and largest wait for an acknowledgement; 0: default
	StallAfter           protocols.Time // silence after which Stalled is reported; 0: default
}

// Event is what happened: Received, Resumed, Stalled or Recovered.
type Event interface{ event() }

// Received is the next message of a peer on one protocol. Body belongs to the
// receiver of the event.
type Received struct {
	From     protocols.NodeID
	Protocol protocols.Protocol
	Body     []byte
}

// Resumed says that messages to Peer were lost and that it can be spoken to again:
// it restarted, or its outbox had overflowed and is now empty. Messages sent before
// may or may not have arrived; say again what still matters.
type Resumed struct{ Peer protocols.NodeID }

// Stalled says that Peer has not acknowledged anything for Config.StallAfter
// although messages wait for it. Sending to it stays possible.
type Stalled struct{ Peer protocols.NodeID }

// Recovered ends Stalled.
type Recovered struct{ Peer protocols.NodeID }

func (Received) event()  {}
func (Resumed) event()   {}
func (Stalled) event()   {}
func (Recovered) event() {}

// Effects of this machine. Persist and Work are always empty.
type Effects = protocols.Effects[Event]

// Machine speaks with all peers. It is not safe for concurrent use.
type Machine struct {
	cfg   Config
	peers map[protocols.NodeID]*peer
	order []*peer // by NodeID: effects never follow the order of a map
	now   protocols.Time
}

// New makes a machine that knows its peers but takes all of them for unreachable
// until PeerUp. It returns ErrConfig if cfg contradicts itself.
func New(cfg Config) (*Machine, error) {
	if cfg.Protocols == nil {
		cfg.Protocols = []protocols.Protocol{protocols.Echo, protocols.DKG, protocols.Sign, protocols.Roast, protocols.Federation}
	}
	cfg.ResendMin = orDefault(cfg.ResendMin, DefaultResendMin)
	cfg.ResendMax = orDefault(cfg.ResendMax, max(cfg.ResendMin, DefaultResendMax))
	cfg.StallAfter = orDefault(cfg.StallAfter, DefaultStallAfter)
	switch {
	case cfg.Boot == 0:
		return nil, fmt.Errorf("acked: %w: boot is 0", ErrConfig)
	case len(cfg.Protocols) == 0 || len(cfg.Protocols) > MaxProtocols:
		return nil, fmt.Errorf("acked: %w: %d protocols", ErrConfig, len(cfg.Protocols))
	case cfg.ResendMin < 0 || cfg.ResendMax < cfg.ResendMin || cfg.StallAfter < 0:
		return nil, fmt.Errorf("acked: %w: times", ErrConfig)
	}
	for i, p := range cfg.Protocols {
		if slices.Contains(cfg.Protocols[:i], p) {
			return nil, fmt.Errorf("acked: %w: protocol %q twice", ErrConfig, p)
		}
	}
	m := &Machine{cfg: cfg, peers: make(map[protocols.NodeID]*peer, len(cfg.Peers))}
	for _, id := range slices.Sorted(slices.Values(cfg.Peers)) {
		if id == cfg.Self || m.peers[id] != nil {
			return nil, fmt.Errorf("acked: %w: peer is self or listed twice", ErrConfig)
		}
		p := newPeer(&m.cfg, id)
		m.peers[id] = p
		m.order = append(m.order, p)
	}
	return m, nil
}

func orDefault(v, d protocols.Time) protocols.Time {
	if v == 0 {
		return d
	}
	return v
}

// Send queues body (1 to MaxMessage bytes) for to; the next Tick transmits it,
// together with whatever else was queued meanwhile. The machine reads body until it
// is acknowledged: do not change it. Several Sends may share one.
//
// If the peer's outbox is full the message is dropped, and Resumed follows when
// the peer has caught up; that is not an error. Errors (ErrMessageSize,
// ErrUnknownPeer, ErrUnknownProtocol) are mistakes of the caller.
func (m *Machine) Send(now protocols.Time, to protocols.NodeID, protocol protocols.Protocol, body []byte) error {
	m.now = now
	p := m.peers[to]
	if p == nil {
		return fmt.Errorf("acked: send: %w", ErrUnknownPeer)
	}
	l := p.lane(protocol)
	if l == nil {
		return fmt.Errorf("acked: send: %w: %q", ErrUnknownProtocol, protocol)
	}
	if len(body) == 0 || len(body) > MaxMessage {
		return fmt.Errorf("acked: send: %w: %d bytes", ErrMessageSize, len(body))
	}
	p.enqueue(now, l, body)
	return nil
}

// Step takes a frame that arrived from a peer and owns it from now on. Effects hold the messages it
// completes, in order. The acknowledgement leaves with the next Tick: as long as
// the driver commits the effects of Step no later than those of that Tick, an
// acknowledged message is a durable one.
func (m *Machine) Step(now protocols.Time, from protocols.NodeID, protocol protocols.Protocol, raw []byte) Effects {
	m.now = now
	var e Effects
	p := m.peers[from]
	if p == nil {
		e.Faults = append(e.Faults, protocols.Fault{Culprit: from, Kind: FaultNotPeer})
		return e
	}
	l := p.lane(protocol)
	if l == nil {
		p.fault(&e, FaultUnknownProtocol, "")
		return e
	}
	f, err := decode(raw)
	if err != nil {
		p.fault(&e, FaultMalformed, err.Error())
		return e
	}
	p.step(now, l, f, &e)
	return e
}

// Tick transmits what is due at now: queued messages, acknowledgements, resends.
// Call it after each batch of inputs and when the clock reaches Deadline.
func (m *Machine) Tick(now protocols.Time) Effects {
	m.now = now
	var e Effects
	for _, p := range m.order {
		p.tick(now, &e)
	}
	return e
}

// Deadline is when Tick must be called next: at once if anything waits to leave.
func (m *Machine) Deadline() protocols.Time {
	d := protocols.Never
	for _, p := range m.order {
		d = min(d, p.deadline(m.now))
	}
	return d
}

// PeerUp says that id can be reached. The next Tick resends whatever it has not
// acknowledged. Unknown peers are ignored.
func (m *Machine) PeerUp(now protocols.Time, id protocols.NodeID) {
	m.now = now
	if p := m.peers[id]; p != nil {
		p.setUp()
	}
}

// PeerDown says that id cannot be reached. Messages to it wait, within bounds, and
// nothing is sent. Unknown peers are ignored.
func (m *Machine) PeerDown(now protocols.Time, id protocols.NodeID) {
	m.now = now
	if p := m.peers[id]; p != nil {
		p.up = false
	}
}

// Stats describes the conversation with one peer, for humans.
type Stats struct {
	Up       bool // reachable, by PeerUp and PeerDown
	Greeted  bool // its boot is known
	Stalled  bool
	Lost     bool // its outbox overflowed; Resumed is to follow
	Attempts int  // time-outs since anything was last acknowledged

	OutboxMessages, OutboxBytes int // not acknowledged
	FramesInFlight              int

	Sent, Resent         uint64 // data frames
	Received, Duplicates uint64 // data frames; in order, again
	Stale                uint64 // frames of or for an earlier boot
	Dropped              uint64 // messages that found the outbox full
}

// Stats reports on one peer; false if it is unknown.
func (m *Machine) Stats(id protocols.NodeID) (Stats, bool) {
	p := m.peers[id]
	if p == nil {
		return Stats{}, false
	}
	s := p.counters
	s.Up, s.Greeted, s.Stalled, s.Lost, s.Attempts = p.up, p.boot != 0, p.stalled, p.lost, p.attempts
	s.OutboxMessages, s.OutboxBytes = p.messages, p.bytes
	for _, l := range p.lanes {
		s.FramesInFlight += len(l.flight)
	}
	return s, true
}
