package echo

import (
	"bytes"
	"crypto/sha512"
	"slices"
	"testing"

	"frostfed/protocols"
)

var federation = [32]byte{1, 2, 3}

// sign stands in for a signature scheme: 64 bytes that only tests compute.
func sign(member protocols.NodeID, pre []byte) []byte {
	h := sha512.Sum512(append([]byte("key of "+string(member)+"\x00"), pre...))
	return h[:]
}

func verify(member protocols.NodeID, pre, sig []byte) bool {
	return bytes.Equal(sig, sign(member, pre))
}

func signedBy(sender protocols.NodeID, topic, payload string) signed {
	h := HashPayload([]byte(payload))
	return signed{h, [SignatureSize]byte(sign(sender, preimage(federation, sender, topic, h)))}
}

func proofOf(sender protocols.NodeID, topic, a, b string) []byte {
	return encodeProof(sender, topic, signedBy(sender, topic, a), signedBy(sender, topic, b))
}

func sendOf(sender protocols.NodeID, topic, payload string) []byte {
	return message{kind: kindSend, topic: topic, sig: signedBy(sender, topic, payload).sig, payload: []byte(payload)}.encode()
}

func voteOf(kind byte, sender protocols.NodeID, topic, payload string) []byte {
	s := signedBy(sender, topic, payload)
	return message{kind: kind, sender: sender, topic: topic, hash: s.hash, sig: s.sig}.encode()
}

var names = []protocols.NodeID{"alice", "bob", "carol", "dave", "erin", "frank", "grace"}

// cluster is n machines and their messages, carried by hand in order.
type cluster struct {
	t         testing.TB
	members   []protocols.NodeID
	machines  []*Machine
	disks     []map[string][]byte
	now       protocols.Time
	delivered [][]Delivered
	faults    []protocols.Fault
	queue     []carried
	sent      map[byte]int
	mute      map[protocols.NodeID]bool
}

type carried struct {
	from, to protocols.NodeID
	body     []byte
}

func config(n int, self protocols.NodeID) Config {
	return Config{
		Federation: federation, Self: self, Members: names[:n],
		Sign:   func(p []byte) ([]byte, error) { return sign(self, p), nil },
		Verify: verify,
	}
}

func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, members: names[:n], delivered: make([][]Delivered, n), sent: map[byte]int{}, mute: map[protocols.NodeID]bool{}}
	for _, id := range c.members {
		m, err := New(config(n, id))
		if err != nil {
			t.Fatal(err)
		}
		c.machines = append(c.machines, m)
		c.disks = append(c.disks, map[string][]byte{})
	}
	return c
}

func (c *cluster) absorb(i int, e Effects) {
	for _, r := range e.Persist {
		if r.Value == nil {
			delete(c.disks[i], r.Key)
		} else {
			c.disks[i][r.Key] = bytes.Clone(r.Value)
		}
	}
	for _, env := range e.Send {
		if env.Protocol != protocols.Echo || env.To == c.members[i] {
			c.t.Fatalf("envelope %+v", env)
		}
		c.sent[env.Body[0]]++
		c.queue = append(c.queue, carried{c.members[i], env.To, env.Body})
	}
	c.delivered[i] = append(c.delivered[i], e.Out...)
	c.faults = append(c.faults, e.Faults...)
}

func (c *cluster) broadcast(i int, topic, payload string) {
	c.t.Helper()
	e, err := c.machines[i].Broadcast(c.now, topic, []byte(payload))
	if err != nil {
		c.t.Fatal(err)
	}
	c.absorb(i, e)
}

func (c *cluster) step(i int, from protocols.NodeID, body []byte) {
	c.absorb(i, c.machines[i].Step(c.now, from, bytes.Clone(body)))
}

// run carries messages until there are none, but none from or to mute members.
func (c *cluster) run() {
	for len(c.queue) > 0 {
		q := c.queue[0]
		c.queue = c.queue[1:]
		if !c.mute[q.from] && !c.mute[q.to] {
			c.step(slices.Index(c.members, q.to), q.from, q.body)
		}
	}
}

// settle is run with the clock going on until nobody waits for it.
func (c *cluster) settle() {
	for range 1000 {
		c.run()
		next := protocols.Never
		for _, m := range c.machines {
			next = min(next, m.Deadline())
		}
		if next == protocols.Never {
			return
		}
		c.now = max(c.now, next)
		for i, m := range c.machines {
			c.absorb(i, m.Tick(c.now))
		}
	}
	// Somebody pulls for ever: the caller's checks will miss its delivery.
	c.queue = nil
}

func (c *cluster) wantDelivered(payload string, who ...int) {
	c.t.Helper()
	for _, i := range who {
		if len(c.delivered[i]) != 1 || string(c.delivered[i][0].Payload) != payload {
			c.t.Errorf("%s delivered %q, want once %q", c.members[i], c.delivered[i], payload)
		}
	}
}

func (c *cluster) kinds() []string {
	var out []string
	for _, f := range c.faults {
		out = append(out, f.Kind)
	}
	return out
}

func (c *cluster) records(i int) []protocols.Record {
	var out []protocols.Record
	for k, v := range c.disks[i] {
		out = append(out, protocols.Record{Key: k, Value: v})
	}
	return out // in any order: Restore must not care
}
