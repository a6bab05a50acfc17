package dkg

import (
	"bytes"
	"slices"
	"testing"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

var infinity = make([]byte, 33)

// Every way to spoil a first message convicts its sender, at every honest
// member alike, and no one else.
func TestBadFirstMessage(t *testing.T) {
	const n, threshold, mallory = 4, 3, 2
	at := 33 * threshold // of the proof of possession
	replace := func(from int, with ...byte) func([]byte, []byte) []byte {
		return func(p, _ []byte) []byte { return append(append(bytes.Clone(p[:from]), with...), p[from+len(with):]...) }
	}
	flip := func(k int) func([]byte, []byte) []byte {
		return func(p, _ []byte) []byte { q := bytes.Clone(p); q[k] ^= 1; return q }
	}
	for name, spoil := range map[string]func(own, other []byte) []byte{
		"empty":               func([]byte, []byte) []byte { return nil },
		"short":               func(p, _ []byte) []byte { return p[:len(p)-1] },
		"long":                func(p, _ []byte) []byte { return append(bytes.Clone(p), 0) },
		"huge":                func([]byte, []byte) []byte { return make([]byte, 1<<20) },
		"zeros":               func(p, _ []byte) []byte { return make([]byte, len(p)) },
		"commitment to zero":  replace(0, infinity...),
		"hybrid point":        replace(33, 6),
		"x not below p":       replace(34, bytes.Repeat([]byte{0xff}, 32)...),
		"other commitment":    flip(0),
		"proof of possession": flip(at + 5),
		"nonce at infinity":   replace(at+64, infinity...),
		"other nonce":         flip(at + 64),
		"share not a scalar":  replace(at+64+33, bytes.Repeat([]byte{0xff}, 32)...),
		"share changed":       flip(at + 64 + 33 + 31),
		"nonce proof":         flip(33*threshold + 32*n + 97),
		"copy of another's":   func(_, other []byte) []byte { return other },
		"nonce proof of another": func(p, other []byte) []byte {
			return append(bytes.Clone(p[:len(p)-64]), other[len(other)-64:]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newNetwork(t, n, 30)
			c := testCeremony("main", threshold)
			var others []byte
			w.tamperM1 = func(from int, payload []byte) []byte {
				if from == mallory {
					return spoil(payload, others)
				}
				others = payload
				return payload
			}
			for _, i := range []int{0, 1, 3, mallory} { // others is set when mallory speaks
				w.queue = append(w.queue, input{kind: inStart, to: i, ceremony: c})
				w.settle()
			}
			requireConvicted(t, w, c, mallory, ReasonBadFirstMessage, FaultFirstMessage)
		})
	}
}

// A first message of another session of the same sender proves nothing here.
func TestFirstMessageOfAnotherSession(t *testing.T) {
	w := newNetwork(t, 4, 31)
	c := testCeremony("main", 3)
	next := testCeremony("next", 3)
	var old []byte
	w.tamperM1 = func(from int, payload []byte) []byte {
		if from != 2 {
			return payload
		}
		if old == nil {
			old = payload
		}
		return old
	}
	w.start(c)
	w.settle()
	w.requireKey(c)
	w.start(next)
	w.settle()
	requireConvicted(t, w, next, 2, ReasonBadFirstMessage, FaultFirstMessage)
}

// Several culprits are all named, in order.
func TestSeveralCulprits(t *testing.T) {
	w := newNetwork(t, 7, 32)
	c := testCeremony("main", 5)
	w.tamperM1 = func(from int, payload []byte) []byte {
		if from == 5 || from == 1 {
			return payload[1:]
		}
		return payload
	}
	w.start(c)
	w.settle()
	for _, i := range []int{0, 2, 3, 4, 6} {
		if v := w.view(i, c); !slices.Equal(v.Culprits, []protocols.NodeID{nodeID(1), nodeID(5)}) {
			t.Fatalf("node %d: %+v", i, v)
		}
	}
}

func requireConvicted(t *testing.T, w *network, c Ceremony, culprit int, reason Reason, kind string) {
	t.Helper()
	want := []protocols.NodeID{nodeID(culprit)}
	for i, nd := range w.nodes {
		v := w.view(i, c)
		if v.Phase != PhaseFailed {
			t.Fatalf("node %d: %+v", i, v)
		}
		if i == culprit {
			continue
		}
		failures := all[Failed](nd)
		if len(failures) != 1 || failures[0].Reason != reason || !slices.Equal(failures[0].Culprits, want) || v.Reason != reason {
			t.Fatalf("node %d: %+v", i, failures)
		}
		if len(nd.faults) != 1 || nd.faults[0].Culprit != want[0] || nd.faults[0].Kind != kind {
			t.Fatalf("node %d: %+v", i, nd.faults)
		}
		if v.Signed {
			t.Fatalf("node %d signed a session it failed", i)
		}
	}
}

// A dealer that encrypts to other keys than the members' passes all public
// checks; its shares are wrong for everybody.
func badDealing(t *testing.T, w *network, c Ceremony, from int) []byte {
	t.Helper()
	keys := slices.Clone(w.nodes[0].m.hostKeys)
	secret := hostSecret(99)
	foreign, err := chilldkg.HostPubkeyGen(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	victim := (from + 1) % len(keys)
	keys[victim] = foreign[:]
	params, err := newScheme(c.Suite, keys, c.T)
	if err != nil {
		t.Fatal(err)
	}
	host := hostSecret(from)
	m1, err := params.deal(host[:], chilldkg.SessionID(w.sessionID(c)), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return m1
}

// A bad share is proved by the complaint of its receiver, who never signs, not
// even after a restart. The others go on without the dealer.
func TestBadShare(t *testing.T) {
	w := newNetwork(t, 4, 33)
	c := testCeremony("main", 3)
	w.tamperM1 = func(from int, payload []byte) []byte {
		if from == 1 {
			return badDealing(t, w, c, 1)
		}
		return payload
	}
	w.start(c)
	w.settle()
	requireConvicted(t, w, c, 1, ReasonComplaint, FaultShare)
	nd := w.nodes[0]
	id := w.sessionID(c)
	victim := w.nodes[2]
	if got := victim.disk[sessionKey(id, partChoice)]; len(got) != 2+pointSize+accusationSize || got[1] != choiceComplain {
		t.Fatalf("choice on disk: %x", got)
	}
	if nd.disk[sessionKey(id, memberPart(partM1, 1))] == nil || nd.disk[sessionKey(id, memberPart(partM1, 2))] != nil {
		t.Fatal("the culprit's first message, and only that, is evidence")
	}
	w.restart(2)
	w.start(c)
	w.settle()
	w.pass(5)
	if victim.signed[id] || !victim.accused[id] || w.view(2, c).Phase != PhaseFailed {
		t.Fatal("signed after a complaint")
	}
	w.requireKeyOf(c, []int{0, 2, 3})
}

// One member gets a wrong certificate signature. It blames the sender and waits;
// the others complete the session, and their recovery data proves the key to it.
func TestBadCertSig(t *testing.T) {
	w := newNetwork(t, 4, 34)
	c := testCeremony("main", 3)
	w.tamperSend = func(from, to int, body []byte) []byte {
		if from == 1 && to == 3 && body[0] == kindCertSig {
			body = bytes.Clone(body)
			body[len(body)-1] ^= 1
		}
		return body
	}
	w.start(c)
	w.settle()
	nd := w.nodes[3]
	v := w.view(3, c)
	if v.Phase != PhaseCertifying || !v.Signed || !slices.Equal(v.Waiting, []protocols.NodeID{nodeID(1)}) {
		t.Fatalf("%+v", v)
	}
	if len(nd.faults) != 1 || nd.faults[0].Kind != FaultCertSig || nd.faults[0].Culprit != nodeID(1) {
		t.Fatalf("%+v", nd.faults)
	}
	if v := w.view(0, c); v.Phase != PhaseActive { // n-f = 3 of 4
		t.Fatalf("%+v", v)
	}
	w.pass(5)
	w.requireKey(c)
	if v := w.view(3, c); v.Phase != PhaseComplete || v.Reason != 0 {
		t.Fatalf("%+v", v)
	}
}

// A certificate signature of another session is a wrong one.
func TestCertSigOfAnotherSession(t *testing.T) {
	w := newNetwork(t, 4, 35)
	a, b := testCeremony("a", 3), testCeremony("b", 3)
	w.start(a)
	w.settle()
	idB := w.sessionID(b)
	var sigA [sigSize]byte
	copy(sigA[:], w.nodes[1].m.sessions[w.sessionID(a)].recovery[len(w.nodes[1].m.sessions[w.sessionID(a)].recovery)-3*sigSize:])
	w.tamperSend = func(from, to int, body []byte) []byte {
		m, err := decode(body)
		if err == nil && from == 1 && m.kind == kindCertSig && m.session == idB {
			m.sig = sigA
			return m.encode()
		}
		return body
	}
	w.start(b)
	w.settle()
	for _, i := range []int{0, 2, 3} {
		f := w.nodes[i].faults
		if v := w.view(i, b); v.Signed && v.Phase == PhaseAcknowledging || len(f) != 1 || f[0].Kind != FaultCertSig || f[0].Culprit != nodeID(1) {
			t.Fatalf("node %d: %+v %+v", i, v, f)
		}
	}
}

// Messages that name a session not known here change nothing and blame nobody.
func TestUnknownSession(t *testing.T) {
	w := newNetwork(t, 3, 36)
	for _, m := range []message{
		{kind: kindCertSig}, {kind: kindAck}, {kind: kindWant, want: wantCertificate}, {kind: kindRecovery, data: []byte{1}},
	} {
		if e := w.nodes[0].m.Step(0, nodeID(1), m.encode()); len(e.Persist)+len(e.Send)+len(e.Work)+len(e.Out)+len(e.Faults) != 0 {
			t.Fatalf("kind %d: %+v", m.kind, e)
		}
	}
}

// The own first message comes back changed: somebody else uses our keys. That is
// noticed at once, whoever else is still missing, and we blame nobody.
func TestReplacedOwnMessage(t *testing.T) {
	for name, replace := range map[string]func(w *network, c Ceremony, own []byte) []byte{
		"malformed": func(_ *network, _ Ceremony, own []byte) []byte { return own[1:] },
		"valid": func(w *network, c Ceremony, _ []byte) []byte {
			id := w.sessionID(c)
			host := hostSecret(0)
			twin, err := w.nodes[0].m.sessions[id].params.deal(host[:], chilldkg.SessionID(id), bytes.Repeat([]byte{8}, 32))
			if err != nil {
				t.Fatal(err)
			}
			return twin
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newNetwork(t, 4, 44)
			w.nodes[3].down = true
			c := testCeremony("main", 3)
			w.tamperM1 = func(from int, payload []byte) []byte {
				if from == 0 {
					return replace(w, c, payload)
				}
				return payload
			}
			w.start(c)
			w.settle()
			if v := w.view(0, c); v.Phase != PhaseFailed || v.Reason != ReasonLocal || v.Culprits != nil || v.Signed {
				t.Fatalf("%+v", v)
			}
			for i, nd := range w.nodes {
				// The others hold a wrong message that our key signed, whoever did it.
				if got := len(w.proofs(i)); got != len(nd.faults) || got != 0 && (i == 0 || name == "valid") {
					t.Fatalf("node %d: %+v", i, nd.faults)
				}
			}
		})
	}
}

func TestStrangers(t *testing.T) {
	w := newNetwork(t, 3, 45)
	m := w.nodes[0].m
	id := w.sessionID(testCeremony("main", 2))
	for name, c := range map[string]struct {
		e    effects
		kind string
	}{
		"broadcast by a stranger": {m.Delivered(0, "mallory", M1Topic(id), nil, [64]byte{}), FaultStranger},
		"message by a stranger":   {m.Step(0, "mallory", message{kind: kindAck}.encode()), FaultStranger},
		"message by myself":       {m.Step(0, nodeID(0), message{kind: kindAck}.encode()), FaultStranger},
		"no message":              {m.Step(0, nodeID(1), nil), FaultMalformed},
		"unknown topic":           {m.Delivered(0, nodeID(1), "dkg/x/m1", nil, [64]byte{}), FaultMalformed},
	} {
		if len(c.e.Faults) != 1 || c.e.Faults[0].Kind != c.kind || len(c.e.Persist)+len(c.e.Send)+len(c.e.Out) != 0 {
			t.Errorf("%s: %+v", name, c.e)
		}
	}
}

// steered is a scheme in which the public share of participant 1 is infinite, though
// everybody's own shares are right: its own work, then.
type steered struct{ scheme }

type steeredRound struct{ round }

func (s steered) open(id chilldkg.SessionID, m1 [][]byte) (round, error) {
	r, err := s.scheme.open(id, m1)
	return steeredRound{r}, err
}

func (steeredRound) certify(_, _, _ []byte) ([sigSize]byte, error) {
	return [sigSize]byte{}, &chilldkg.InfiniteShareError{Participant: 1}
}

// Nobody signs a session with an infinite public share, and nobody is convicted for
// it. If its owner does not complain, it is left behind.
func TestInfiniteShare(t *testing.T) {
	w := byzantineNetwork(t, 4, 94, map[int]byzantine{1: {name: "steers its own share"}})
	c := testCeremony("main", 3)
	id := w.sessionID(c)
	for i, nd := range w.nodes {
		w.apply(i, nd.m.Start(0, c))
		nd.m.sessions[id].params = steered{nd.m.sessions[id].params}
	}
	w.settle()
	for i := range w.nodes {
		if v := w.view(i, c); v.Phase != PhaseChecking || v.Signed {
			t.Fatalf("node %d: %+v", i, v)
		}
	}
	w.finish(c, []int{0, 2, 3})
	w.requireHonest(c, []int{0, 2, 3})
	for i, nd := range w.nodes {
		if nd.signed[id] || len(nd.faults) > 0 {
			t.Errorf("node %d signed: %v; blames %+v", i, nd.signed[id], nd.faults)
		}
	}
	if k := w.key(0, c); k.Attempt != 1 || len(k.Participants) != 3 {
		t.Fatalf("%+v", k)
	}
}
