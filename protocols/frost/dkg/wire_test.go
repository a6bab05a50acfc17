package dkg

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message{kind: rapid.SampledFrom([]byte{kindCertSig, kindAck, kindWant, kindRecovery, kindExclude, kindRelay}).Draw(t, "kind")}
		copy(m.session[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "session"))
		switch m.kind {
		case kindCertSig, kindAck:
			if m.kind == kindAck {
				copy(m.digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
			}
			copy(m.sig[:], rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "sig"))
		case kindWant:
			m.want = rapid.SampledFrom([]want{wantCertificate, wantAck, wantExclusions}).Draw(t, "want")
		case kindRecovery:
			m.data = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		case kindExclude, kindRelay:
			if m.kind == kindExclude {
				m.culprit = 1
			}
			for k := range rapid.IntRange(1, 100).Draw(t, "count") {
				sig := [64]byte{byte(k)}
				if m.kind == kindExclude {
					m.votes = append(m.votes, ballot{byte(k + 2), vote{VoteReason(k%5 + 1), sig}})
				} else {
					m.certs = append(m.certs, relayed{byte(k), sig})
				}
			}
		}
		got, err := decode(m.encode())
		if err != nil || got.kind != m.kind || got.session != m.session || got.sig != m.sig || got.digest != m.digest || got.want != m.want || !bytes.Equal(got.data, m.data) ||
			got.culprit != m.culprit || !slices.Equal(got.votes, m.votes) || !slices.Equal(got.certs, m.certs) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}

func TestDecodeRejects(t *testing.T) {
	ack := message{kind: kindAck}.encode()
	want := message{kind: kindWant, want: wantAck}.encode()
	recovery := message{kind: kindRecovery, data: []byte{1, 2, 3}}.encode()
	exclude := func(voters ...byte) []byte {
		m := message{kind: kindExclude, culprit: 9}
		for _, v := range voters {
			m.votes = append(m.votes, ballot{voter: v, vote: vote{reason: VoteSilent}})
		}
		return m.encode()
	}
	relay := func(participants ...byte) []byte {
		m := message{kind: kindRelay}
		for _, p := range participants {
			m.certs = append(m.certs, relayed{participant: p})
		}
		return m.encode()
	}
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"kind only":          {kindAck},
		"kind 0":             append([]byte{0}, ack[1:]...),
		"kind 7":             append([]byte{7}, ack[1:]...),
		"short":              ack[:len(ack)-1],
		"trailing byte":      append(bytes.Clone(ack), 0),
		"want 0":             append(bytes.Clone(want[:33]), 0),
		"want 4":             append(bytes.Clone(want[:33]), 4),
		"no votes":           append(bytes.Clone(exclude(1)[:34]), 0),
		"vote cut":           exclude(1)[:99],
		"one vote too many":  append(exclude(1), make([]byte, 66)...),
		"votes descend":      exclude(2, 1),
		"vote twice":         exclude(2, 2),
		"votes for itself":   exclude(9),
		"no reason":          append(append(bytes.Clone(exclude(1)[:36]), 0), exclude(1)[37:]...),
		"reason 6":           append(append(bytes.Clone(exclude(1)[:36]), 6), exclude(1)[37:]...),
		"relay of nothing":   append(bytes.Clone(relay(1)[:33]), 0),
		"relay cut":          relay(1)[:98],
		"relay descends":     relay(2, 1),
		"length too long":    append(bytes.Clone(recovery[:33]), 0, 0, 0, 4, 1, 2, 3),
		"length too short":   append(bytes.Clone(recovery[:33]), 0, 0, 0, 2, 1, 2, 3),
		"length over limit":  append(append(bytes.Clone(recovery[:33]), 0, 0, 0x7f, 0xff), make([]byte, 0x7fff)...),
		"length of 4 GB":     append(bytes.Clone(recovery[:33]), 0xff, 0xff, 0xff, 0xff),
		"recovery no length": recovery[:33],
	} {
		if _, err := decode(b); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTopics(t *testing.T) {
	id := SessionID{0xab, 31: 0xcd}
	topic := M1Topic(id)
	if got, complaint, ok := ParseTopic(topic); !ok || complaint || got != id {
		t.Fatalf("%s: %v %v", topic, got, ok)
	}
	if got, complaint, ok := ParseTopic(ComplaintTopic(id)); !ok || !complaint || got != id {
		t.Fatalf("%s: %v %v", ComplaintTopic(id), got, ok)
	}
	if len(topic) > 128 {
		t.Fatalf("topic of %d bytes", len(topic))
	}
	for _, bad := range []string{
		"", "dkg/", "dkg//m1", topic[1:], topic + "/", topic + "x", strings.ToUpper(topic),
		"dkg/" + strings.ToUpper(id.String()) + "/m1", "dkg/" + id.String() + "/m2",
		"dkg/" + id.String()[1:] + "/m1", ComplaintTopic(id) + "/m1", "dkg/" + id.String(), "dkg/" + id.String() + "00/m1", "dkg/" + strings.Repeat("zz", 32) + "/m1",
	} {
		if _, _, ok := ParseTopic(bad); ok {
			t.Errorf("accepted %q", bad)
		}
	}
}

// The byte positions this package reads itself must be those of crypto/chilldkg.
func TestLayout(t *testing.T) {
	for _, c := range []struct{ t, n int }{{1, 1}, {1, 3}, {2, 3}, {5, 7}, {7, 7}} {
		w := newNetwork(t, c.n, 50)
		cer := testCeremony("main", c.t)
		nonces := make([][]byte, c.n)
		w.tamperM1 = func(from int, payload []byte) []byte {
			nonces[from] = nonceOfM1(payload, c.t)
			return payload
		}
		w.start(cer)
		w.settle()
		s := w.nodes[0].m.sessions[w.sessionID(cer)]
		if len(s.recovery) != recoverySize(c.t, c.n) {
			t.Fatalf("%d of %d: recovery data has %d bytes", c.t, c.n, len(s.recovery))
		}
		for i, nonce := range nonces {
			if !bytes.Equal(nonce, nonceOfRecovery(s.recovery, c.t, c.n, i)) {
				t.Fatalf("%d of %d: nonce %d is elsewhere", c.t, c.n, i)
			}
		}
	}
	if got := recoverySize(67, 100); got != 18_415 { // CRYPTO: 4 + 33*67 + 162*100
		t.Fatalf("recovery data at 67 of 100 has %d bytes", got)
	}
	var keys [][]byte
	for i := range protocols.MaxMembers {
		secret := hostSecret(i)
		public, err := chilldkg.HostPubkeyGen(secret[:])
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, public[:])
	}
	dealing, recovery := 0, 0
	for _, suite := range append(rfc9591.Suites(), Bitcoin) {
		p, err := newScheme(suite, keys, protocols.MaxMembers)
		if err != nil {
			t.Fatal(err)
		}
		dealing, recovery = max(dealing, p.DealingSize()), max(recovery, p.recoverySize())
	}
	if dealing != maxM1 || recovery != maxRecovery {
		t.Fatalf("the largest are %d and %d, limits %d and %d", dealing, recovery, maxM1, maxRecovery)
	}
}

func TestRecordCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Ceremony{
			T:           rapid.IntRange(1, protocols.MaxMembers).Draw(t, "t"),
			Label:       string(rapid.SliceOfN(rapid.Byte(), 0, MaxLabel).Draw(t, "label")),
			MinMembers:  rapid.IntRange(0, protocols.MaxMembers).Draw(t, "least"),
			MinSpare:    rapid.IntRange(0, protocols.MaxMembers).Draw(t, "spare"),
			NoExclusion: rapid.Bool().Draw(t, "manual"),
			Suite:       Suite(rapid.IntRange(0, 4).Draw(t, "suite")),
		}
		out := rapid.SampledFrom([][]int{nil, {0}, {1, 5, 127}}).Draw(t, "out")
		copy(c.ID[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
		order := rapid.Uint64().Draw(t, "order")
		if got, o, gone, ok := decodeCeremony(encodeCeremony(c, order, out), 128); !ok || got != c || o != order || !slices.Equal(gone, out) {
			t.Fatalf("%+v became %+v", c, got)
		}
		f := &failure{reason: ReasonComplaint, culprits: []int{0, 3, 127}}
		if got, ok := decodeFailure(f.encode(), 128); !ok || len(got.culprits) != 3 || got.reason != f.reason {
			t.Fatalf("%+v became %+v", f, got)
		}
	})
	for _, bad := range [][]byte{nil, {1, 5}, {1, 2, 1}, {1, 1, 1}} {
		if _, ok := decodeFailure(bad, 5); ok {
			t.Errorf("accepted failure %x", bad)
		}
	}
}
