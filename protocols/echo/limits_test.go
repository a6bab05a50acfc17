package echo

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"frostfed/protocols"
)

// Nobody fills another member's share, and a sender only its own.
func TestInstanceLimits(t *testing.T) {
	c := newCluster(t, 4)
	m := c.machines[1]
	m.cfg.MaxInstances, m.cfg.MaxBytes = 2, 10
	for i := range 5 {
		topic := fmt.Sprint(i)
		forged := message{kind: kindReady, sender: "alice", topic: topic, hash: Hash{1}}.encode()
		c.step(1, "dave", forged)
		c.step(1, "dave", message{kind: kindPull, sender: "alice", topic: topic, hash: Hash{1}}.encode())
		c.step(1, "dave", message{kind: kindPayload, sender: "alice", topic: topic}.encode())
	}
	if len(m.instances) != 0 {
		t.Fatal("opened an instance without the sender's signature")
	}
	c.faults = nil
	for i := range 3 {
		c.step(1, "dave", sendOf("dave", fmt.Sprint(i), "xx"))
	}
	c.step(1, "alice", sendOf("alice", "large", "123456"))
	c.step(1, "alice", sendOf("alice", "larger", "123456"))
	if got := c.kinds(); !slices.Equal(got, []string{FaultInstanceLimit, FaultByteLimit}) {
		t.Fatalf("%v", got)
	}
	if s, _ := m.Status("alice", "larger"); len(s.Echoed) != 0 {
		t.Fatal("ECHO for a payload that is not stored")
	}
	checkUsage(t, m)
	c.absorb(1, m.Forget(0, "alice", "large"))
	c.step(1, "alice", sendOf("alice", "larger", "123456"))
	if s, _ := m.Status("alice", "larger"); len(s.Echoed) != 1 {
		t.Fatal("no room after Forget")
	}
	checkUsage(t, m)
}

func TestForget(t *testing.T) {
	c := newCluster(t, 4)
	over := false
	c.machines[1].cfg.Admit = func(protocols.NodeID, string) bool { return !over }
	c.broadcast(0, "topic", "payload")
	c.run()
	over = true
	c.absorb(1, c.machines[1].Forget(0, "alice", "topic"))
	if len(c.disks[1]) != 0 || len(c.machines[1].instances) != 0 {
		t.Fatalf("left on disk: %v", c.disks[1])
	}
	checkUsage(t, c.machines[1])
	c.sent = map[byte]int{}
	for _, m := range samples() {
		c.step(1, "alice", m.encode())
	}
	if len(c.sent) != 0 || len(c.disks[1]) != 0 || len(c.faults) != 0 {
		t.Fatal("a late message revived what is over")
	}
	if e := c.machines[1].Forget(0, "alice", "topic"); len(e.Persist) != 0 {
		t.Fatal("forgets twice")
	}
}

// A member that never saw the SEND asks one after the other: silent ones cost a
// wait each, a liar is blamed and not asked again.
func TestPull(t *testing.T) {
	c := newCluster(t, 4)
	c.mute["dave"] = true
	c.broadcast(0, "topic", "payload")
	c.run()
	c.wantDelivered("payload", 0, 1, 2)
	dave := c.machines[3]
	c.mute["dave"] = false
	c.sent, c.queue = map[byte]int{}, nil
	for _, from := range []protocols.NodeID{"bob", "carol", "alice"} {
		c.step(3, from, voteOf(kindReady, "alice", "topic", "payload"))
	}
	if c.sent[kindPull] != 0 || dave.Deadline() != protocols.Never {
		t.Fatal("asks before anyone said it holds the payload")
	}
	pulled := func(from protocols.NodeID) {
		t.Helper()
		q := c.queue[len(c.queue)-1]
		if q.to != from || q.body[0] != kindPull {
			t.Fatalf("asked %s (kind %d), want PULL to %s", q.to, q.body[0], from)
		}
	}
	c.step(3, "carol", voteOf(kindEcho, "alice", "topic", "payload"))
	pulled("carol")
	c.step(3, "bob", voteOf(kindEcho, "alice", "topic", "payload"))
	c.step(3, "alice", voteOf(kindEcho, "alice", "topic", "payload"))
	pulled("carol") // still

	c.now = dave.Deadline()
	c.absorb(3, dave.Tick(c.now)) // carol was silent; after her comes alice
	pulled("alice")
	lie := message{kind: kindPayload, sender: "alice", topic: "topic", payload: []byte("lie")}.encode()
	c.step(3, "alice", lie)
	pulled("bob")
	c.step(3, "alice", lie) // not looked at
	if got := c.kinds(); !slices.Equal(got, []string{FaultBadPayload}) || c.faults[0].Culprit != "alice" {
		t.Fatalf("%+v", c.faults)
	}
	c.now = dave.Deadline()
	c.absorb(3, dave.Tick(c.now))
	pulled("carol") // alice is left out
	c.run()
	c.wantDelivered("payload", 3)
	if dave.Deadline() != protocols.Never || len(dave.pulling) != 0 {
		t.Fatal("still pulling")
	}
}

// Several payloads are asked for in a fixed order, whatever order the map has.
func TestPullsAreOrdered(t *testing.T) {
	c := newCluster(t, 4)
	for i := range 9 {
		topic := fmt.Sprint(8 - i)
		c.step(3, "bob", voteOf(kindEcho, "alice", topic, "x"))
		for _, from := range c.members[:3] {
			c.step(3, from, voteOf(kindReady, "alice", topic, "x"))
		}
	}
	c.queue, c.now = nil, DefaultPullAfter
	c.absorb(3, c.machines[3].Tick(c.now))
	for i, q := range c.queue {
		if m, err := decode(q.body); err != nil || m.kind != kindPull || m.topic != fmt.Sprint(i) || q.to != "bob" {
			t.Fatalf("%d: %+v %v", i, m, err)
		}
	}
	if len(c.queue) != 9 {
		t.Fatalf("%d pulls", len(c.queue))
	}
}

func TestDecodeErrors(t *testing.T) {
	long := message{kind: kindPull, sender: protocols.NodeID(make([]byte, MaxNodeID+1)), topic: "t"}
	wide := message{kind: kindPull, sender: "alice", topic: string(make([]byte, MaxTopic+1))}
	rows := map[string][]byte{
		"empty": nil, "kind 0": {0}, "kind 6": {6},
		"no sender": message{kind: kindPull, topic: "t"}.encode(), "long sender": long.encode(),
		"no topic": message{kind: kindPull, sender: "alice"}.encode(), "long topic": wide.encode(),
	}
	for _, m := range samples() {
		b := m.encode()
		rows[fmt.Sprintf("kind %d long", m.kind)] = append(bytes.Clone(b), 0)
		for cut := range len(b) {
			rows[fmt.Sprintf("kind %d cut to %d", m.kind, cut)] = b[:cut]
		}
	}
	for name, b := range rows {
		if _, err := decode(b); !errors.Is(err, errMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A PULL is small, its answer large: one answer per member and half of PullAfter.
func TestPullIsNoAmplifier(t *testing.T) {
	c := newCluster(t, 4)
	c.step(1, "alice", sendOf("alice", "topic", "payload"))
	pull := samples()[3]
	for _, at := range []protocols.Time{0, 1, DefaultPullAfter/2 - 1, DefaultPullAfter / 2, DefaultPullAfter} {
		pull.hash = HashPayload([]byte("payload"))
		c.now = at
		c.step(1, "dave", pull.encode())
		c.step(1, "dave", pull.encode())
	}
	if c.sent[kindPayload] != 3 {
		t.Fatalf("%d answers", c.sent[kindPayload])
	}
	c.step(1, "carol", pull.encode())
	pull.hash[0]++
	c.step(1, "erin", pull.encode())
	if c.sent[kindPayload] != 4 {
		t.Fatalf("%d answers", c.sent[kindPayload])
	}
}

// Resync of many instances is paced, complete, and goes to one peer only.
func TestResyncIsPaced(t *testing.T) {
	c := newCluster(t, 4)
	const total = 3*replayInstances + 5
	for i := range total {
		c.step(1, "alice", sendOf("alice", fmt.Sprintf("%03d", i), "x"))
	}
	c.queue, c.sent = nil, map[byte]int{}
	c.absorb(1, c.machines[1].Resync(0, "dave"))
	rounds := 1
	for ; c.machines[1].Deadline() != protocols.Never; rounds++ {
		if len(c.queue) > rounds*replayInstances {
			t.Fatalf("%d messages in %d rounds", len(c.queue), rounds)
		}
		c.now = c.machines[1].Deadline()
		c.absorb(1, c.machines[1].Tick(c.now))
	}
	seen := map[string]bool{}
	for _, q := range c.queue {
		m, err := decode(q.body)
		if err != nil || q.to != "dave" || m.kind != kindEcho || seen[m.topic] {
			t.Fatalf("%+v %v", m, err)
		}
		seen[m.topic] = true
	}
	if len(seen) != total || rounds != 4 {
		t.Fatalf("%d of %d votes in %d rounds", len(seen), total, rounds)
	}
	for _, who := range []protocols.NodeID{"bob", "mallory"} {
		if e := c.machines[1].Resync(0, who); len(e.Send) != 0 {
			t.Fatalf("Resync with %s", who)
		}
	}
}
