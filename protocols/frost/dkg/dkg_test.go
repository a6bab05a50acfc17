package dkg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"frostfed/protocols"
)

func TestWholeSessions(t *testing.T) {
	for n := 1; n <= 7; n++ {
		for _, threshold := range slices.Compact([]int{1, protocols.DefaultThreshold(n), n}) {
			t.Run(fmt.Sprintf("%dof%d", threshold, n), func(t *testing.T) {
				w := newNetwork(t, n, uint64(n))
				c := testCeremony("main", threshold)
				w.start(c)
				w.settle()
				w.requireKey(c)
				w.requireNoFaults()
				for i, nd := range w.nodes {
					if v := w.view(i, c); v.Phase != PhaseComplete || v.Waiting != nil {
						t.Fatalf("node %d: %+v", i, v)
					}
					if nd.m.Deadline() != protocols.Never {
						t.Fatalf("node %d still waits for something", i)
					}
					if got := len(all[KeyActive](nd)); got != 1 {
						t.Fatalf("node %d: %d KeyActive", i, got)
					}
					// n-f acknowledgements, no fewer, make the key usable.
					if acks := all[KeyActive](nd)[0].Acks; acks < n-protocols.MaxFaulty(n) {
						t.Fatalf("node %d: active after %d acknowledgements", i, acks)
					}
				}
			})
		}
	}
}

func TestStartIsIdempotent(t *testing.T) {
	w := newNetwork(t, 3, 1)
	c := testCeremony("main", 2)
	w.start(c)
	w.start(c)
	w.settle()
	w.start(c)
	w.settle()
	w.requireKey(c)
	for i, nd := range w.nodes {
		if len(nd.m.Sessions()) != 1 || len(all[Broadcast](nd)) != 1 {
			t.Fatalf("node %d started twice", i)
		}
	}
}

func TestTwoSessionsInParallel(t *testing.T) {
	w := newNetwork(t, 4, 2)
	a, b := testCeremony("a", 3), testCeremony("b", 2)
	w.start(a)
	w.start(b)
	w.settle()
	w.requireKey(a)
	w.requireKey(b)
	w.requireNoFaults()
	if w.key(0, a).ThreshPK == w.key(0, b).ThreshPK {
		t.Fatal("two sessions made one key")
	}
}

// A second key generation must not trip over what is left of the first, nor a
// third over a failed attempt.
func TestNextSession(t *testing.T) {
	w := newNetwork(t, 4, 3)
	first := testCeremony("first", 3)
	w.start(first)
	w.settle()

	failing := testCeremony("second", 3)
	w.tamperM1 = func(from int, payload []byte) []byte {
		if from == 2 {
			return payload[1:]
		}
		return payload
	}
	w.start(failing)
	w.settle()
	w.tamperM1 = nil
	if v := w.view(0, failing); v.Phase != PhaseFailed {
		t.Fatalf("%+v", v)
	}

	retry := testCeremony("third", 3)
	w.start(retry)
	w.settle()
	w.requireKey(retry)
	if w.key(1, first).ThreshPK == w.key(1, retry).ThreshPK {
		t.Fatal("the second key is the first")
	}
	w.requireKeyOf(failing, []int{0, 1, 3}) // without the culprit
	if got := len(w.nodes[1].m.Keys()); got != 3 {
		t.Fatalf("%d keys, want 3", got)
	}
}

func TestEarlyFirstMessages(t *testing.T) {
	w := newNetwork(t, 4, 4)
	c := testCeremony("main", 3)
	// Node 3 learns of the ceremony when everybody else has broadcast.
	for i := range 3 {
		w.queue = append(w.queue, input{kind: inStart, to: i, ceremony: c})
	}
	w.settle()
	if v := w.view(0, c); v.Phase != PhaseSharing || !slices.Equal(v.Waiting, []protocols.NodeID{nodeID(3)}) {
		t.Fatalf("%+v", v)
	}
	w.restart(3) // early messages survive
	w.queue = append(w.queue, input{kind: inStart, to: 3, ceremony: c})
	w.settle()
	w.requireKey(c)
	w.requireNoFaults()
	for key := range w.nodes[3].disk {
		if key[0] == 'e' {
			t.Fatalf("record %s is left over", key)
		}
	}
}

func TestEarlyFirstMessagesAreBounded(t *testing.T) {
	w := newNetwork(t, 3, 5)
	nd := w.nodes[0]
	var last SessionID
	for k := range 3 * maxEarly {
		last = w.sessionID(testCeremony(fmt.Sprint(k), 2))
		w.apply(0, w.delivered(0, 1, M1Topic(last), make([]byte, maxEarlySize+1)))
		w.apply(0, w.delivered(0, 1, M1Topic(last), []byte("again")))
	}
	if len(nd.m.early[1]) != maxEarly || len(nd.disk) != maxEarly {
		t.Fatalf("%d early messages, %d records", len(nd.m.early[1]), len(nd.disk))
	}
	for _, h := range nd.m.early[1] {
		if len(h.payload) != 0 {
			t.Fatalf("kept %d bytes of an oversized message", len(h.payload))
		}
	}
	if nd.m.early[1][maxEarly-1].session != last {
		t.Fatal("the newest message was dropped")
	}
	if len(nd.m.early[2]) != 0 {
		t.Fatal("one sender took another's place")
	}
}

func TestOpenSessionsAreBounded(t *testing.T) {
	w := newNetwork(t, 3, 6)
	nd := w.nodes[0]
	var first SessionID
	for k := range MaxOpen {
		c := testCeremony(fmt.Sprint(k), 2)
		if k == 0 {
			first = w.sessionID(c)
		}
		w.apply(0, nd.m.Start(0, c))
	}
	more := testCeremony("more", 2)
	e := nd.m.Start(0, more)
	if len(e.Persist) != 0 || len(e.Out) != 1 || e.Out[0].(Failed).Reason != ReasonBusy {
		t.Fatalf("%+v", e)
	}
	e = nd.m.Abandon(0, first)
	if len(e.Out) != 1 || e.Out[0].(Failed).Reason != ReasonAbandoned {
		t.Fatalf("%+v", e)
	}
	w.apply(0, e)
	w.apply(0, nd.m.Start(0, more))
	if v := w.view(0, more); v.Phase != PhaseSharing {
		t.Fatalf("%+v", v)
	}
	if e := nd.m.Abandon(0, first); len(e.Out) != 0 {
		t.Fatal("abandoned twice")
	}
}

func TestFailedSessionsAreBounded(t *testing.T) {
	w := newNetwork(t, 3, 7)
	nd := w.nodes[0]
	for k := range 2 * maxFailed {
		c := testCeremony(fmt.Sprint(k), 2)
		w.apply(0, nd.m.Start(0, c))
		w.apply(0, nd.m.Abandon(0, w.sessionID(c)))
	}
	if got := len(nd.m.Sessions()); got != maxFailed {
		t.Fatalf("%d sessions kept, want %d", got, maxFailed)
	}
	if got := len(nd.disk); got != 2*maxFailed { // ceremony and failure each
		t.Fatalf("%d records left, want %d", got, 2*maxFailed)
	}
	w.restart(0)
	if got := len(w.nodes[0].m.Sessions()); got != maxFailed {
		t.Fatalf("%d sessions restored, want %d", got, maxFailed)
	}
}

func TestInvalidCeremonies(t *testing.T) {
	w := newNetwork(t, 3, 8)
	for _, c := range []Ceremony{{T: 0}, {T: -1}, {T: 4}, {T: 2, Label: string(make([]byte, MaxLabel+1))}} {
		e := w.nodes[0].m.Start(0, c)
		if len(e.Persist)+len(e.Work) != 0 || len(e.Out) != 1 || e.Out[0].(Failed).Reason != ReasonInvalid {
			t.Fatalf("%+v: %+v", c, e)
		}
	}
}

func TestNewRejects(t *testing.T) {
	good := configs(t, 3)[0]
	good.Rand = bytes.NewReader(nil)
	for name, spoil := range map[string]func(*Config){
		"no secret":    func(c *Config) { c.HostSecret = nil },
		"no rand":      func(c *Config) { c.Rand = nil },
		"stranger":     func(c *Config) { c.Self = "mallory" },
		"wrong secret": func(c *Config) { c.HostSecret = func() [32]byte { return hostSecret(1) } },
		"zero secret":  func(c *Config) { c.HostSecret = func() [32]byte { return [32]byte{} } },
		"no members":   func(c *Config) { c.Members = nil },
		"twice":        func(c *Config) { c.Members[2].ID = c.Members[1].ID },
		"same key":     func(c *Config) { c.Members[2].HostKey = c.Members[1].HostKey },
		"same x":       func(c *Config) { c.Members[2].HostKey = c.Members[1].HostKey; c.Members[2].HostKey[0] ^= 1 },
		"no point":     func(c *Config) { c.Members[2].HostKey = [33]byte{} },
		"too many": func(c *Config) {
			c.Members = append(c.Members, make([]Member, protocols.MaxMembers)...)
			for i := range c.Members {
				c.Members[i].ID = nodeID(i)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			cfg.Members = slices.Clone(good.Members)
			spoil(&cfg)
			if _, err := New(cfg); !errors.Is(err, ErrConfig) {
				t.Fatalf("got %v", err)
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
}

// The secret share must not reach a log by accident.
func TestSecretsDoNotPrint(t *testing.T) {
	w := newNetwork(t, 3, 9)
	c := testCeremony("main", 2)
	w.start(c)
	w.settle()
	k := w.key(0, c)
	share := k.SecShare.Bytes()
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		out := fmt.Sprintf(verb, k)
		if bytes.Contains([]byte(out), share) || bytes.Contains([]byte(out), fmt.Appendf(nil, "%x", share)) {
			t.Errorf("%s prints the share", verb)
		}
	}
}

func TestProgressNamesTheMissing(t *testing.T) {
	w := newNetwork(t, 4, 10)
	c := testCeremony("main", 3)
	w.nodes[2].down = true
	w.start(c)
	w.settle()
	p := all[Progress](w.nodes[0])
	last := p[len(p)-1]
	if last.Phase != PhaseSharing || last.Have != 3 || last.Need != 4 || !slices.Equal(last.Waiting, []protocols.NodeID{nodeID(2)}) {
		t.Fatalf("%+v", last)
	}
	w.nodes[2].down = false
	w.settle()
	w.requireKey(c)
}

// Without randomness no session may go on.
func TestBrokenRandomness(t *testing.T) {
	for _, draws := range []int{0, 1} {
		w := newNetwork(t, 3, 11)
		c := testCeremony("main", 2)
		w.nodes[0].m.cfg.Rand = io.LimitReader(w.nodes[0].cfg.Rand, int64(32*draws))
		w.start(c)
		w.settle()
		if v := w.view(0, c); v.Phase != PhaseFailed || v.Reason != ReasonLocal || v.Culprits != nil {
			t.Fatalf("after %d draws: %+v", draws, v)
		}
		w.requireNoFaults()
	}
}

func TestNames(t *testing.T) {
	if got := fmt.Sprint(PhaseSharing, PhaseFailed, Phase(0), Phase(9)); got != "sharing failed unknown (0) unknown (9)" {
		t.Error(got)
	}
	if got := fmt.Sprint(ReasonComplaint, "/", Reason(99)); got != "complaint/unknown (99)" {
		t.Error(got)
	}
}
