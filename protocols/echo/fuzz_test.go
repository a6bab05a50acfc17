package echo

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"frostfed/protocols"
	"frostfed/test/alloc"
)

// samples are one valid message of each kind, signed by alice for "topic".
func samples() []message {
	payload := []byte("payload")
	hash := HashPayload(payload)
	sig := [SignatureSize]byte(sign("alice", preimage(federation, "alice", "topic", hash)))
	return []message{
		{kind: kindSend, topic: "topic", sig: sig, payload: payload},
		{kind: kindEcho, sender: "alice", topic: "topic", hash: hash, sig: sig},
		{kind: kindReady, sender: "alice", topic: "topic", hash: hash, sig: sig},
		{kind: kindPull, sender: "alice", topic: "topic", hash: hash},
		{kind: kindPayload, sender: "alice", topic: "topic", payload: payload},
	}
}

// Whatever parses re-encodes to the same bytes: a message has one form.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.encode())
		f.Add(append(m.encode(), 0))
		f.Add(m.encode()[:len(m.encode())-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		var err error
		alloc.Limit(t, len(b), 8, 0, func() { m, err = decode(b) })
		if err != nil {
			if !errors.Is(err, errMessage) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again := m.encode(); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, but re-encodes to %x", b, again)
		}
	})
}

func FuzzVerifyEquivocation(f *testing.F) {
	f.Add(proofOf("alice", "topic", "a", "b"))
	f.Add([]byte{proofVersion, 1, 'a', 1, 't'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var eq Equivocation
		var err error
		alloc.Limit(t, len(b), 16, 0, func() { eq, err = VerifyEquivocation(federation, b, verify) })
		if err != nil {
			if !errors.Is(err, ErrProof) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if eq.Hashes[0] == eq.Hashes[1] || len(eq.Sender) == 0 || len(eq.Topic) == 0 {
			t.Fatalf("proves nothing: %+v", eq)
		}
	})
}

func FuzzDecodeVotes(f *testing.F) {
	c := newCluster(f, 4)
	e, err := c.machines[0].Broadcast(0, "topic", []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range e.Persist {
		f.Add(r.Value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var err error
		alloc.Limit(t, len(b), 16, 0, func() { _, _, err = decodeVotes(b) })
		if err != nil && !errors.Is(err, ErrRecord) {
			t.Fatalf("untyped error %v", err)
		}
		// A corrupt record is an error, never a panic.
		cfg := c.machines[0].cfg
		if _, _, err := Restore(cfg, []protocols.Record{{Key: recordVotes + "00", Value: b}}); !errors.Is(err, ErrRecord) {
			t.Fatalf("record under a foreign key: %v", err)
		}
	})
}

// Step survives any two messages in any state, and keeps its accounts.
func FuzzStep(f *testing.F) {
	for _, a := range samples() {
		for _, b := range samples() {
			f.Add(a.encode(), b.encode())
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := newCluster(t, 4)
		m := c.machines[1]
		for i, raw := range [][]byte{a, b, a} {
			for _, from := range c.members {
				m.Step(protocols.Time(i), from, bytes.Clone(raw))
			}
		}
		checkUsage(t, m)
	})
}

// checkUsage recounts what senders are charged for.
func checkUsage(t *testing.T, m *Machine) {
	t.Helper()
	want := make([]usage, len(m.cfg.Members))
	for _, in := range m.instances {
		want[in.sender].instances++
		want[in.sender].bytes += len(in.payload)
		if len(in.values) > 2*len(m.cfg.Members)+1 {
			t.Fatalf("%d values in one instance", len(in.values))
		}
	}
	for i := range want {
		if want[i] != m.usage[i] {
			t.Fatalf("member %d is charged %+v for %+v", i, m.usage[i], want[i])
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := samples()[rapid.IntRange(0, 4).Draw(t, "kind")]
		m.topic = string(rapid.SliceOfN(rapid.Byte(), 1, MaxTopic).Draw(t, "topic"))
		if m.kind != kindSend {
			m.sender = protocols.NodeID(rapid.SliceOfN(rapid.Byte(), 1, MaxNodeID).Draw(t, "sender"))
		}
		if m.hasPayload() {
			m.payload = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
		}
		got, err := decode(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if got.kind != m.kind || got.sender != m.sender || got.topic != m.topic || got.hash != m.hash || got.sig != m.sig || !bytes.Equal(got.payload, m.payload) {
			t.Fatalf("got %+v want %+v", got, m)
		}
	})
}

// The largest message fits what package acked carries.
func TestMaxPayloadFits(t *testing.T) {
	m := message{kind: kindPayload, sender: protocols.NodeID(make([]byte, MaxNodeID)), topic: string(make([]byte, MaxTopic)), payload: make([]byte, MaxPayload)}
	if n := len(m.encode()); n > 1<<20 {
		t.Fatalf("%d bytes", n)
	}
	if _, err := decode(m.encode()); err != nil {
		t.Fatal(err)
	}
	m.payload = append(m.payload, 0)
	if _, err := decode(m.encode()); !errors.Is(err, errMessage) {
		t.Fatalf("one byte too many: %v", err)
	}
}
