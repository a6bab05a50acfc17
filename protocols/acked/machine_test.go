package acked

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"frostfed/protocols"
)

func TestConfig(t *testing.T) {
	good := Config{Self: "alice", Peers: []protocols.NodeID{"bob"}, Boot: 1}
	rows := []struct {
		name string
		bend func(*Config)
	}{
		{"no boot", func(c *Config) { c.Boot = 0 }},
		{"self among peers", func(c *Config) { c.Peers = append(c.Peers, "alice") }},
		{"peer twice", func(c *Config) { c.Peers = []protocols.NodeID{"bob", "bob"} }},
		{"no protocols", func(c *Config) { c.Protocols = []protocols.Protocol{} }},
		{"protocol twice", func(c *Config) { c.Protocols = []protocols.Protocol{"a", "a"} }},
		{"too many protocols", func(c *Config) { c.Protocols = make([]protocols.Protocol, MaxProtocols+1) }},
		{"back-off shrinks", func(c *Config) { c.ResendMin, c.ResendMax = 10, 5 }},
		{"negative time", func(c *Config) { c.StallAfter = -1 }},
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		c := good
		r.bend(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

func TestSendErrors(t *testing.T) {
	m := mustNew(t, "alice", 1, "bob")
	rows := []struct {
		name     string
		to       protocols.NodeID
		protocol protocols.Protocol
		size     int
		want     error
	}{
		{"empty", "bob", protocols.Echo, 0, ErrMessageSize},
		{"too large", "bob", protocols.Echo, MaxMessage + 1, ErrMessageSize},
		{"stranger", "mallory", protocols.Echo, 1, ErrUnknownPeer},
		{"self", "alice", protocols.Echo, 1, ErrUnknownPeer},
		{"protocol", "bob", "chat/1", 1, ErrUnknownProtocol},
		{"largest", "bob", protocols.Echo, MaxMessage, nil},
	}
	for _, r := range rows {
		if err := m.Send(0, r.to, r.protocol, make([]byte, r.size)); !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", r.name, err, r.want)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, size := range []int{1, maxSegments - segmentHeader - 1, maxSegments - segmentHeader, maxSegments - segmentHeader + 1, MaxFrame, 3 * MaxFrame, MaxMessage} {
		p := newPair(t)
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		p.send(p.alice, "bob", bytes.Clone(want))
		p.send(p.alice, "bob", []byte("after"))
		p.settle()
		if got := bodies(p.events["bob"]); len(got) != 2 || !bytes.Equal(got[0], want) || string(got[1]) != "after" {
			t.Errorf("size %d: got %d messages", size, len(got))
		}
		if s, _ := p.alice.Stats("bob"); s.OutboxBytes != 0 || s.OutboxMessages != 0 || s.FramesInFlight != 0 {
			t.Errorf("size %d: outbox not empty: %+v", size, s)
		}
		if len(p.faults) > 0 {
			t.Errorf("size %d: %+v", size, p.faults)
		}
		if d := min(p.alice.Deadline(), p.bob.Deadline()); d != protocols.Never {
			t.Errorf("size %d: deadline %d after all was acknowledged", size, d)
		}
	}
}

// Messages queued together share a frame, and share its acknowledgement.
func TestPacking(t *testing.T) {
	p := newPair(t)
	for i := range 200 {
		p.send(p.alice, "bob", []byte{byte(i), 1, 2, 3})
	}
	p.settle()
	if got := bodies(p.events["bob"]); len(got) != 200 {
		t.Fatalf("%d messages", len(got))
	}
	if p.frames != 2 {
		t.Fatalf("%d frames, want one with data and one acknowledgement", p.frames)
	}
}

// One frame is lost; only that one is sent again.
func TestSelectiveResend(t *testing.T) {
	p := newPair(t)
	lost := false
	p.drop = func(from protocols.NodeID, f frame) bool {
		hit := f.kind == kindData && f.seq == 2 && !lost
		lost = lost || hit
		return hit
	}
	p.send(p.alice, "bob", bytes.Repeat([]byte{1}, 200<<10)) // four frames
	p.settle()
	if len(bodies(p.events["bob"])) != 0 {
		t.Fatal("complete with a frame missing")
	}
	p.advance(DefaultResendMin)
	if len(bodies(p.events["bob"])) != 1 {
		t.Fatal("not complete after the resend")
	}
	if s, _ := p.alice.Stats("bob"); s.Resent != 1 || s.Attempts != 0 {
		t.Fatalf("%+v", s)
	}
}

// The back-off doubles up to its cap and starts again with PeerUp.
func TestBackOff(t *testing.T) {
	m := mustNew(t, "alice", 1, "bob")
	m.PeerUp(0, "bob")
	m.Tick(0)
	greet(m, "bob", 2)
	if err := m.Send(0, "bob", protocols.Sign, []byte("x")); err != nil {
		t.Fatal(err)
	}
	var at []protocols.Time
	for now := m.now; now < 130_000; now = m.Deadline() {
		for range m.Tick(now).Send {
			at = append(at, now)
		}
	}
	want := []protocols.Time{0, 1_000, 3_000, 7_000, 15_000, 31_000, 61_000, 91_000, 121_000}
	if !reflect.DeepEqual(at, want) {
		t.Fatalf("sent at %v, want %v", at, want)
	}
	m.PeerDown(121_500, "bob")
	if e := m.Tick(200_000); len(e.Send) != 0 || m.Deadline() != protocols.Never {
		t.Fatal("speaks to a peer that is down")
	}
	m.PeerUp(200_000, "bob")
	if e := m.Tick(200_000); len(e.Send) != 1 || m.Deadline() != 201_000 {
		t.Fatalf("%d envelopes after PeerUp, next at %d", len(e.Send), m.Deadline())
	}
}

// Without timer and resend one stalled member freezes all others. Here carol stays mute: bob is served at once, carol is reported, and
// everything reaches her when she is back.
func TestStalledPeerDelaysNobody(t *testing.T) {
	p := pairWith(t, mustNew(t, "alice", 3, "bob", "carol"))
	p.alice.PeerUp(0, "carol")
	p.alice.Tick(0)
	greet(p.alice, "carol", 9)
	for i := range 10 {
		for _, to := range []protocols.NodeID{"carol", "bob"} {
			if err := p.alice.Send(0, to, protocols.Echo, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		e := p.alice.Tick(0)
		for _, env := range e.Send {
			if env.To == "bob" {
				p.events["bob"] = append(p.events["bob"], p.bob.Step(0, "alice", env.Protocol, env.Body).Out...)
			}
		}
	}
	if got := len(bodies(p.events["bob"])); got != 10 {
		t.Fatalf("bob has %d of 10 messages while carol is mute", got)
	}
	var events []Event
	for now := p.alice.Deadline(); now < carolDown; now = p.alice.Deadline() {
		events = append(events, p.alice.Tick(now).Out...)
	}
	if count[Stalled](events) != 2 { // bob's acknowledgements are not carried back here, either
		t.Fatalf("events %v", events)
	}
	if s, _ := p.alice.Stats("carol"); !s.Stalled || s.Attempts == 0 || s.OutboxMessages != 10 {
		t.Fatalf("%+v", s)
	}
	e := p.alice.Step(carolDown, "carol", protocols.Echo, frame{kind: kindAck, from: 9, to: 3, ack: 10}.encode())
	if !reflect.DeepEqual(e.Out, []Event{Recovered{"carol"}}) {
		t.Fatalf("after carol's acknowledgement: %v", e.Out)
	}
	if s, _ := p.alice.Stats("carol"); s.Stalled || s.OutboxMessages != 0 || s.OutboxBytes != 0 {
		t.Fatalf("%+v", s)
	}
}

// What does not fit the outbox of an absent peer is dropped; once it has caught up
// Resumed says so, and messages flow again.
func TestOverflow(t *testing.T) {
	rows := []struct {
		name        string
		size, sent  int
		wantArrived int
	}{
		{"messages", 1, MaxOutbox + 10, MaxOutbox},
		{"bytes", 100 << 10, 50, MaxOutboxBytes / (100 << 10)},
		{"exactly full", 1, MaxOutbox, MaxOutbox},
	}
	for _, r := range rows {
		p := newPair(t)
		p.alice.PeerDown(0, "bob")
		for range r.sent {
			p.send(p.alice, "bob", make([]byte, r.size))
		}
		s, _ := p.alice.Stats("bob")
		if over := r.sent > r.wantArrived; s.Lost != over || s.Dropped != uint64(r.sent-r.wantArrived) {
			t.Errorf("%s: %+v", r.name, s)
		}
		p.alice.PeerUp(0, "bob")
		p.settle()
		want := min(1, r.sent-r.wantArrived)
		if n := count[Resumed](p.events["alice"]); n != want {
			t.Errorf("%s: Resumed %d times", r.name, n)
		}
		if n := len(bodies(p.events["bob"])); n != r.wantArrived {
			t.Errorf("%s: %d arrived", r.name, n)
		}
		p.send(p.alice, "bob", []byte("again"))
		p.settle()
		if got := bodies(p.events["bob"]); string(got[len(got)-1]) != "again" {
			t.Errorf("%s: silent after Resumed", r.name)
		}
	}
}

// A restart is noticed by the first frame, even if the connection never broke:
// alice hears Resumed, her queue is dropped, both speak again from zero.
func TestRestart(t *testing.T) {
	p := newPair(t)
	p.send(p.alice, "bob", []byte("old"))
	p.settle()
	p.now = 10_000
	p.bob = mustNew(t, "bob", 3, "alice")
	p.bob.PeerUp(p.now, "alice")
	p.events = map[protocols.NodeID][]Event{}
	p.send(p.alice, "bob", []byte("lost"))
	p.settle()
	if !reflect.DeepEqual(p.events["alice"], []Event{Resumed{"bob"}}) {
		t.Fatalf("alice: %v", p.events["alice"])
	}
	if len(p.events["bob"]) != 0 {
		t.Fatalf("bob got %v", p.events["bob"])
	}
	p.send(p.alice, "bob", []byte("new"))
	p.send(p.bob, "alice", []byte("hi"))
	p.settle()
	if got := bodies(p.events["bob"]); len(got) != 1 || string(got[0]) != "new" {
		t.Fatalf("bob: %q", got)
	}
	if got := bodies(p.events["alice"]); len(got) != 1 || string(got[0]) != "hi" {
		t.Fatalf("alice: %q", got)
	}
}

// Frames of a dead boot, replayed later, change nothing: neither who we think bob
// is nor what is handed up.
func TestOldBootCannotReturn(t *testing.T) {
	p := newPair(t)
	var old [][]byte
	for i := range uint64(40) {
		old = append(old,
			frame{kind: kindData, from: 2, to: 1, seq: i, segments: []segment{{false, []byte("old")}}}.encode(),
			frame{kind: kindHello, from: 2, to: 1, ping: i + 1, pong: i + 1}.encode())
	}
	p.now = 10_000
	p.bob = mustNew(t, "bob", 3, "alice")
	p.bob.PeerUp(p.now, "alice")
	p.settle()
	if p.alice.peers["bob"].boot != 3 {
		t.Fatal("new boot not met")
	}
	asked := p.alice.peers["bob"].asked
	p.events = map[protocols.NodeID][]Event{}
	for _, raw := range old[:2*asked] { // every answer bob's old boot can have given
		if e := p.alice.Step(p.now, "bob", protocols.Echo, raw); len(e.Out) != 0 {
			t.Fatalf("old frame had effect: %v", e.Out)
		}
	}
	p.settle()
	if b := p.alice.peers["bob"].boot; b != 3 {
		t.Fatalf("alice believes in boot %d", b)
	}
	p.send(p.bob, "alice", []byte("still here"))
	p.settle()
	if got := bodies(p.events["alice"]); len(got) != 1 || len(p.events["alice"]) != 1 {
		t.Fatalf("alice: %v", p.events["alice"])
	}
}

// A peer that claims a new boot all the time gets one Resumed a second, not one for
// each frame: Resumed is answered with far more than it cost to cause.
func TestBootStorm(t *testing.T) {
	m := mustNew(t, "alice", 1, "mallory")
	m.PeerUp(0, "mallory")
	m.Tick(0)
	greet(m, "mallory", 2)
	resumed := 0
	const seconds = 10
	for now := protocols.Time(0); now < seconds*1000; now += 10 {
		boot := uint64(3 + now)
		m.Step(now, "mallory", protocols.Echo, frame{kind: kindHello, from: boot, ping: 1}.encode())
		m.Tick(now)
		resumed += count[Resumed](greet(m, "mallory", boot))
	}
	if resumed != seconds-1 {
		t.Fatalf("%d times in %d seconds", resumed, seconds)
	}
}

func TestFaults(t *testing.T) {
	one := []segment{{false, []byte("x")}}
	data := func(seq uint64, segs []segment) []byte {
		return frame{kind: kindData, from: 7, to: 9, seq: seq, segments: segs}.encode()
	}
	half := []segment{{true, make([]byte, maxSegments-segmentHeader)}}
	var oversized [][]byte
	for i := range uint64(18) {
		oversized = append(oversized, data(i, half))
	}
	rows := []struct {
		name     string
		from     protocols.NodeID
		protocol protocols.Protocol
		frames   [][]byte
		want     string
	}{
		{"stranger", "eve", protocols.Echo, [][]byte{data(0, one)}, FaultNotPeer},
		{"protocol", "mallory", "chat/1", [][]byte{data(0, one)}, FaultUnknownProtocol},
		{"garbage", "mallory", protocols.Echo, [][]byte{{1, 2, 3}}, FaultMalformed},
		{"too long", "mallory", protocols.Echo, [][]byte{make([]byte, MaxFrame+1)}, FaultMalformed},
		{"acks the future", "mallory", protocols.Echo, [][]byte{frame{kind: kindAck, from: 7, to: 9, ack: 1}.encode()}, FaultBadAck},
		{"holds the future", "mallory", protocols.Echo, [][]byte{frame{kind: kindAck, from: 7, to: 9, held: 1}.encode()}, FaultBadAck},
		{"beyond the window", "mallory", protocols.Echo, [][]byte{data(window, one)}, FaultWindow},
		{"oversized", "mallory", protocols.Echo, oversized, FaultOversized},
	}
	for _, r := range rows {
		m := mustNew(t, "alice", 9, "mallory")
		m.PeerUp(0, "mallory")
		m.Tick(0)
		greet(m, "mallory", 7)
		var faults []protocols.Fault
		for _, f := range r.frames {
			e := m.Step(0, r.from, r.protocol, f)
			faults = append(faults, e.Faults...)
			if len(e.Out) != 0 {
				t.Errorf("%s: handed up %v", r.name, e.Out)
			}
		}
		if len(faults) != 1 || faults[0].Kind != r.want || faults[0].Culprit != r.from {
			t.Errorf("%s: %+v", r.name, faults)
		}
	}
}

// An oversized message is skipped to its end; the lane goes on behind it.
func TestOversizedMessageIsSkipped(t *testing.T) {
	m := mustNew(t, "alice", 9, "mallory")
	m.PeerUp(0, "mallory")
	m.Tick(0)
	greet(m, "mallory", 7)
	var got []Event
	for i := range uint64(20) {
		s := []segment{{i < 18, make([]byte, maxSegments-segmentHeader)}}
		if i == 19 {
			s = []segment{{false, []byte("next")}}
		}
		got = append(got, m.Step(0, "mallory", protocols.Echo, frame{kind: kindData, from: 7, to: 9, seq: i, segments: s}.encode()).Out...)
	}
	if b := bodies(got); len(b) != 1 || string(b[0]) != "next" {
		t.Fatalf("%d messages", len(b))
	}
}

// Frames out of order are held up to a bound that counts their true cost; the rest
// is not acknowledged, so it comes again.
func TestEarlyFramesAreBounded(t *testing.T) {
	m := mustNew(t, "alice", 9, "mallory")
	m.PeerUp(0, "mallory")
	m.Tick(0)
	greet(m, "mallory", 7)
	tiny := make([]segment, maxSegments/(segmentHeader+1))
	for i := range tiny {
		tiny[i].data = []byte{1}
	}
	for _, proto := range m.cfg.Protocols {
		for i := range uint64(window - 1) {
			m.Step(0, "mallory", proto, frame{kind: kindData, from: 7, to: 9, seq: i + 1, segments: tiny}.encode())
		}
	}
	p := m.peers["mallory"]
	if p.early > earlyBytes || p.early == 0 {
		t.Fatalf("%d bytes held", p.early)
	}
	var bits uint32
	for _, l := range p.lanes {
		bits |= l.heldBits()
	}
	if bits != 1 {
		t.Fatalf("held %b: a frame of that many messages costs over half the bound", bits)
	}
}
