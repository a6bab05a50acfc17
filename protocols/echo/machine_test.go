package echo

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"reflect"
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
	h := hashPayload([]byte(payload))
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

func TestConfig(t *testing.T) {
	rows := []struct {
		name string
		bend func(*Config)
	}{
		{"no members", func(c *Config) { c.Members = nil }},
		{"too many members", func(c *Config) { c.Members = make([]protocols.NodeID, protocols.MaxMembers+1) }},
		{"member twice", func(c *Config) { c.Members = []protocols.NodeID{"alice", "alice"} }},
		{"empty member", func(c *Config) { c.Members = []protocols.NodeID{"alice", ""} }},
		{"long member", func(c *Config) { c.Members = []protocols.NodeID{"alice", protocols.NodeID(make([]byte, MaxNodeID+1))} }},
		{"self missing", func(c *Config) { c.Self = "mallory" }},
		{"no sign", func(c *Config) { c.Sign = nil }},
		{"no verify", func(c *Config) { c.Verify = nil }},
		{"negative", func(c *Config) { c.MaxBytes = -1 }},
	}
	for _, r := range rows {
		c := config(4, "alice")
		r.bend(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

func TestBroadcast(t *testing.T) {
	for n := 1; n <= 7; n++ {
		for _, payload := range []string{"", "payload"} {
			c := newCluster(t, n)
			c.broadcast(0, "topic", payload)
			c.run()
			for i := range n {
				c.wantDelivered(payload, i)
			}
			if len(c.faults) > 0 {
				t.Errorf("n=%d: %+v", n, c.faults)
			}
			// The payload travels once to each, votes once from each to each.
			want := map[byte]int{kindSend: n - 1, kindEcho: n * (n - 1), kindReady: n * (n - 1)}
			for k, v := range want {
				if c.sent[k] != v || len(c.sent) > len(want) {
					t.Errorf("n=%d: sent %v, want %v", n, c.sent, want)
				}
			}
		}
	}
}

func TestBroadcastErrors(t *testing.T) {
	refuse := errors.New("key locked")
	rows := []struct {
		name           string
		topic, payload string
		bend           func(*Config)
		want           error
	}{
		{"no topic", "", "x", nil, ErrTopic},
		{"long topic", string(make([]byte, MaxTopic+1)), "x", nil, ErrTopic},
		{"over", "old", "x", func(c *Config) { c.Admit = func(protocols.NodeID, string) bool { return false } }, ErrTopic},
		{"large", "t", string(make([]byte, MaxPayload+1)), nil, ErrPayload},
		{"other payload", "used", "x", nil, ErrConflict},
		{"same payload", "used", "first", nil, nil},
		{"too many", "t", "x", func(c *Config) { c.MaxInstances = 1 }, ErrLimit},
		{"too many bytes", "t", "x", func(c *Config) { c.MaxBytes = len("first") }, ErrLimit},
		{"signer refuses", "t", "x", func(c *Config) { c.Sign = func([]byte) ([]byte, error) { return nil, refuse } }, refuse},
		{"signature length", "t", "x", func(c *Config) { c.Sign = func([]byte) ([]byte, error) { return make([]byte, 63), nil } }, ErrConfig},
	}
	for _, r := range rows {
		c := newCluster(t, 4)
		m := c.machines[0]
		c.broadcast(0, "used", "first")
		if r.bend != nil {
			r.bend(&m.cfg)
		}
		before := len(m.instances)
		e, err := m.Broadcast(0, r.topic, []byte(r.payload))
		if !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", r.name, err, r.want)
		}
		if !reflect.DeepEqual(e, Effects{}) || len(m.instances) != before {
			t.Errorf("%s: has effects", r.name)
		}
	}
}

// After restoring an old backup others show us a signature of ours that we do not
// know: we must not sign another payload for that topic, but may repeat the same.
func TestForgottenOwnBroadcast(t *testing.T) {
	c := newCluster(t, 4)
	c.step(0, "bob", voteOf(kindEcho, "alice", "topic", "before"))
	if _, err := c.machines[0].Broadcast(0, "topic", []byte("after")); !errors.Is(err, ErrConflict) {
		t.Fatalf("signed a second payload: %v", err)
	}
	c.broadcast(0, "topic", "before")
	c.run()
	c.wantDelivered("before", 0, 1, 2, 3)
}

func TestFaults(t *testing.T) {
	type in struct {
		from protocols.NodeID
		body []byte
	}
	other := message{kind: kindEcho, sender: "alice", topic: "t", hash: hashPayload([]byte("z")), sig: signedBy("alice", "t", "a").sig}.encode()
	stolen := message{kind: kindSend, topic: "u", sig: signedBy("alice", "t", "a").sig, payload: []byte("a")}.encode()
	rows := []struct {
		name    string
		inputs  []in
		culprit protocols.NodeID
		want    []string
	}{
		{"garbage", []in{{"alice", []byte{9}}}, "alice", []string{FaultMalformed}},
		{"stranger", []in{{"mallory", sendOf("mallory", "t", "a")}}, "mallory", []string{FaultNotMember}},
		{"vote for a stranger", []in{{"carol", voteOf(kindEcho, "mallory", "t", "a")}}, "carol", []string{FaultNotMember}},
		{"vote without signature", []in{{"carol", other}}, "carol", []string{FaultBadSignature}},
		{"SEND signed by another", []in{{"carol", sendOf("alice", "t", "a")}}, "carol", []string{FaultBadSignature}},
		{"signature of another topic", []in{{"alice", stolen}}, "alice", []string{FaultBadSignature}},
		{"bad signature, live instance, repeated", []in{{"alice", sendOf("alice", "t", "a")}, {"carol", other}, {"carol", other}}, "carol", []string{FaultBadSignature}},
		{"votes twice the same", []in{{"carol", voteOf(kindEcho, "alice", "t", "a")}, {"carol", voteOf(kindEcho, "alice", "t", "a")}}, "", nil},
		{"two SENDs", []in{{"alice", sendOf("alice", "t", "a")}, {"alice", sendOf("alice", "t", "b")}, {"alice", sendOf("alice", "t", "c")}}, "alice", []string{FaultEquivocation}},
		{"SEND against an ECHO", []in{{"carol", voteOf(kindEcho, "alice", "t", "b")}, {"alice", sendOf("alice", "t", "a")}}, "alice", []string{FaultEquivocation}},
		{"two ECHOs of two members", []in{{"carol", voteOf(kindEcho, "alice", "t", "a")}, {"dave", voteOf(kindEcho, "alice", "t", "b")}}, "alice", []string{FaultEquivocation}},
		{"READYs tell, too", []in{{"carol", voteOf(kindReady, "alice", "t", "a")}, {"dave", voteOf(kindReady, "alice", "t", "b")}}, "alice", []string{FaultEquivocation}},
	}
	for _, r := range rows {
		c := newCluster(t, 4)
		for _, x := range r.inputs {
			c.step(1, x.from, x.body)
		}
		if got := c.kinds(); !slices.Equal(got, r.want) {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
			continue
		}
		for _, f := range c.faults {
			if f.Culprit != r.culprit {
				t.Errorf("%s: blames %s", r.name, f.Culprit)
			}
			if _, err := VerifyEquivocation(federation, f.Proof, verify); (err == nil) != (f.Kind == FaultEquivocation) {
				t.Errorf("%s: proof: %v", r.name, err)
			}
		}
		checkUsage(t, c.machines[1])
	}
}

// A member that votes twice is blamed once, and its vote counts once. If the sender
// signed both values, that is proved as well.
func TestConflictingVotes(t *testing.T) {
	for _, kind := range []byte{kindEcho, kindReady} {
		c := newCluster(t, 4)
		for _, p := range []string{"a", "b", "c", "b"} {
			c.step(1, "carol", voteOf(kind, "alice", "t", p))
		}
		if got := c.kinds(); !slices.Equal(got, []string{FaultConflict, FaultEquivocation}) {
			t.Fatalf("%v", got)
		}
		if c.faults[0].Culprit != "carol" || c.faults[0].Proof != nil || c.faults[1].Culprit != "alice" {
			t.Fatalf("%+v", c.faults)
		}
		in := c.machines[1].instances[key{"alice", "t"}]
		if len(in.values) != 1 || in.values[0].echoes+in.values[0].readies != 1 {
			t.Fatalf("%+v", in.values)
		}
	}
}

func TestVerifyEquivocation(t *testing.T) {
	good := proofOf("alice", "t", "a", "b")
	eq, err := VerifyEquivocation(federation, good, verify)
	if err != nil || eq.Sender != "alice" || eq.Topic != "t" || eq.Hashes[0] == eq.Hashes[1] {
		t.Fatalf("%+v %v", eq, err)
	}
	if !bytes.Equal(good, proofOf("alice", "t", "b", "a")) {
		t.Error("the proof depends on the order of discovery")
	}
	half := len(good) - 2*(32+SignatureSize)
	swapped := slices.Concat(good[:half], good[half+96:], good[half:half+96])
	same := slices.Concat(good[:half+96], good[half:half+96])
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := VerifyEquivocation(federation, bad, verify); !errors.Is(err, ErrProof) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for name, bad := range map[string][]byte{"empty": nil, "short": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "unsorted": swapped, "one value": same} {
		if _, err := VerifyEquivocation(federation, bad, verify); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyEquivocation([32]byte{9}, good, verify); !errors.Is(err, ErrProof) {
		t.Errorf("in another federation: %v", err)
	}
}

// THREATS T7, T10: nobody fills another member's share, and a sender only its own.
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

// A PULL is small, its answer large: one answer per member and half of PullAfter.
func TestPullIsNoAmplifier(t *testing.T) {
	c := newCluster(t, 4)
	c.step(1, "alice", sendOf("alice", "topic", "payload"))
	pull := samples()[3]
	for _, at := range []protocols.Time{0, 1, DefaultPullAfter/2 - 1, DefaultPullAfter / 2, DefaultPullAfter} {
		pull.hash = hashPayload([]byte("payload"))
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
