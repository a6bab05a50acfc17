package echo

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"frostfed/protocols"
)

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
	other := message{kind: kindEcho, sender: "alice", topic: "t", hash: HashPayload([]byte("z")), sig: signedBy("alice", "t", "a").sig}.encode()
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
		{"bad SEND after a vote", []in{{"carol", voteOf(kindEcho, "alice", "t", "b")}, {"alice", message{kind: kindSend, topic: "t", payload: []byte("a")}.encode()}}, "alice", []string{FaultBadSignature}},
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
