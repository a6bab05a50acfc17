package dkg

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"frostfed/protocols"
)

// A signature that is none on our recovery data convicts, whether it comes before
// or after the data.
func TestForgedAck(t *testing.T) {
	c := testCeremony("main", 3)
	twin := newNetwork(t, 4, 37) // tells the digest in advance
	twin.start(c)
	twin.settle()
	forged := message{kind: kindAck, session: twin.sessionID(c), digest: twin.nodes[0].m.sessions[twin.sessionID(c)].digest}
	forged.sig[0] = 1
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprintf("early=%v", early), func(t *testing.T) {
			w := newNetwork(t, 4, 37)
			w.tamperSend = func(from, to int, body []byte) []byte {
				if from == 1 && to == 0 && body[0] == kindAck {
					return nil // replaced below
				}
				return body
			}
			if early {
				w.apply(0, w.nodes[0].m.Start(0, c))
				w.apply(0, w.nodes[0].m.Step(0, nodeID(1), forged.encode()))
			}
			w.start(c)
			w.settle()
			if !early {
				w.apply(0, w.nodes[0].m.Step(0, nodeID(1), forged.encode()))
			}
			nd := w.nodes[0]
			if len(nd.faults) != 1 || nd.faults[0].Kind != FaultAck || nd.faults[0].Culprit != nodeID(1) {
				t.Fatalf("%+v", nd.faults)
			}
			if v := w.view(0, c); v.Phase != PhaseActive || v.Have != 3 || !slices.Equal(v.Waiting, []protocols.NodeID{nodeID(1)}) {
				t.Fatalf("%+v", v)
			}
			w.tamperSend = nil
			w.pass(3)
			if v := w.view(0, c); v.Phase != PhaseComplete {
				t.Fatalf("%+v", v)
			}
		})
	}
}

// resign makes another valid certificate signature of member i for c.
func resign(t *testing.T, w *network, c Ceremony, i int, aux byte) (sig [sigSize]byte) {
	t.Helper()
	id := w.sessionID(c)
	h := w.nodes[i].m.hearing(w.nodes[i].m.sessions[id])
	m1 := make([][]byte, len(w.nodes))
	for k := range m1 {
		m1[k] = w.sent[fmt.Sprint(k, M1Topic(id))]
	}
	host := hostSecret(i)
	r := h.check(host[:], i, m1, nil, m1[i], bytes.Repeat([]byte{aux}, 32))
	if r.choice == nil {
		t.Fatalf("%+v", r)
	}
	return r.choice.sig
}

// A two-faced member sends everybody another valid certificate signature, so
// that all hold different recovery data. The key is the same; all acknowledge
// it and no honest member is blamed.
func TestTwoFacedSigner(t *testing.T) {
	w := newNetwork(t, 4, 46)
	c := testCeremony("main", 3)
	id := w.sessionID(c)
	w.tamperSend = func(from, to int, body []byte) []byte {
		m, err := decode(body)
		if err == nil && from == 1 && m.kind == kindCertSig {
			m.sig = resign(t, w, c, 1, byte(to))
			return m.encode()
		}
		return body
	}
	w.start(c)
	w.settle()
	if v := w.view(0, c); v.Phase != PhaseAcknowledging || v.Have != 1 {
		t.Fatalf("%+v", v)
	}
	if w.nodes[0].m.sessions[id].digest == w.nodes[2].m.sessions[id].digest {
		t.Fatal("recovery data is the same")
	}
	w.pass(6)
	w.requireKey(c)
	w.requireNoFaults()
	for i := range w.nodes {
		if v := w.view(i, c); v.Phase != PhaseComplete {
			t.Fatalf("node %d: %+v", i, v)
		}
	}
}

// An acknowledgement of unknown data is not believed before the data is seen.
func TestAckOfUnknownData(t *testing.T) {
	w := newNetwork(t, 4, 47)
	c := testCeremony("main", 3)
	id := w.sessionID(c)
	w.tamperSend = func(from, to int, body []byte) []byte {
		if from == 1 && to == 0 && (body[0] == kindAck || body[0] == kindRecovery) {
			return nil // member 1 shows node 0 only what is below
		}
		return body
	}
	w.start(c)
	w.settle()
	nd := w.nodes[0]
	ours := nd.m.sessions[id].recovery
	other := bytes.Clone(ours) // another valid certificate
	sig := resign(t, w, c, 1, 77)
	copy(other[len(other)-3*sigSize:], sig[:])
	broken := bytes.Clone(ours)
	broken[len(broken)-1] ^= 1

	// Repeating it does not put off what we ask the others.
	unknown := message{kind: kindAck, session: id, digest: [32]byte{1}}.encode()
	w.apply(0, nd.m.Step(w.now, nodeID(1), unknown))
	deadline := nd.m.Deadline()
	w.apply(0, nd.m.Step(w.now+1, nodeID(1), unknown))
	if nd.m.Deadline() != deadline {
		t.Fatal("a repeated acknowledgement moved the deadline")
	}

	ask := func(acked, shown []byte, sig [sigSize]byte) (faults []protocols.Fault) {
		t.Helper()
		before := len(nd.faults)
		w.apply(0, nd.m.Step(w.now, nodeID(1), message{kind: kindAck, session: id, digest: sha256.Sum256(acked), sig: sig}.encode()))
		w.now = nd.m.Deadline()
		w.apply(0, nd.m.Tick(w.now))
		w.apply(0, nd.m.Step(w.now, nodeID(1), message{kind: kindRecovery, session: id, data: shown}.encode()))
		w.settle()
		return nd.faults[before:]
	}
	if f := ask(other, ours, sig); len(f) != 0 {
		t.Fatalf("other data than acknowledged: %+v", f)
	}
	if f := ask(broken, broken, sig); len(f) != 1 || f[0].Kind != FaultRecovery {
		t.Fatalf("broken certificate: %+v", f)
	}
	if f := ask(other, other, sig); len(f) != 1 || f[0].Kind != FaultAck {
		t.Fatalf("a signature for something else: %+v", f)
	}
	if v := w.view(0, c); v.Have != 3 {
		t.Fatalf("%+v", v)
	}
	host := hostSecret(1)
	good, err := nd.m.sessions[id].params.signAck(host[:], other, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if f := ask(other, other, good); len(f) != 0 || w.view(0, c).Phase != PhaseComplete {
		t.Fatalf("%+v %+v", f, w.view(0, c))
	}
}

// Fewer than n-f acknowledgements do not make the key usable.
func TestTooFewAcks(t *testing.T) {
	w := newNetwork(t, 4, 38)
	c := testCeremony("main", 3)
	w.tamperSend = func(from, _ int, body []byte) []byte {
		if from != 0 && body[0] == kindAck {
			return nil
		}
		return body
	}
	w.start(c)
	w.settle()
	if v := w.view(0, c); v.Phase != PhaseAcknowledging || len(all[KeyActive](w.nodes[0])) != 0 || len(all[KeyGenerated](w.nodes[0])) != 1 {
		t.Fatalf("%+v", v)
	}
	if w.nodes[0].m.Keys()[0].Usable {
		t.Fatal("usable without acknowledgements")
	}
	w.tamperSend = nil
	w.pass(3)
	w.requireKey(c)
	w.requireNoFaults()
}

// A member that got none of the others' certificate signatures catches up from
// their recovery data.
func TestLateMember(t *testing.T) {
	w := newNetwork(t, 4, 39)
	c := testCeremony("main", 3)
	w.tamperSend = func(_, to int, body []byte) []byte {
		if to == 3 && (body[0] == kindCertSig || body[0] == kindAck) {
			return nil
		}
		return body
	}
	w.start(c)
	w.settle()
	if v := w.view(3, c); v.Phase != PhaseCertifying || len(v.Waiting) != 3 {
		t.Fatalf("%+v", v)
	}
	w.tamperSend = nil
	w.pass(5)
	w.requireKey(c)
	w.requireNoFaults()
	if v := w.view(3, c); v.Phase != PhaseComplete {
		t.Fatalf("%+v", v)
	}
}

// An old backup puts a member back before it signed. An acknowledgement tells it
// that the session went on without its memory of it.
func TestRolledBackMember(t *testing.T) {
	w := newNetwork(t, 4, 40)
	c := testCeremony("main", 3)
	var backup map[string][]byte
	w.crash = func(to int, before bool) bool {
		if nd := w.nodes[3]; to == 3 && !before && nd.m.sessions[w.sessionID(c)].own != nil && backup == nil {
			backup = make(map[string][]byte)
			for k, v := range nd.disk {
				backup[k] = bytes.Clone(v)
			}
		}
		return false
	}
	w.tamperSend = func(_, to int, body []byte) []byte { // keeps the others from complete
		if to != 3 && body[0] == kindAck {
			return nil
		}
		return body
	}
	w.start(c)
	w.settle()
	w.tamperSend = nil
	w.nodes[3].disk = backup
	w.restart(3)
	w.settle()
	w.pass(5)
	w.requireKey(c)
	w.requireNoFaults()
}

// Recovery data is taken only from whom it was asked, and only if it is that of
// the session.
func TestBadRecoveryData(t *testing.T) {
	prepare := func(t *testing.T) (*network, Ceremony, []byte) {
		w := newNetwork(t, 4, 41)
		other, c := testCeremony("other", 3), testCeremony("main", 3)
		w.start(other)
		w.settle()
		w.tamperSend = func(_, to int, body []byte) []byte {
			m, err := decode(body)
			if err == nil && m.session == w.sessionID(c) && to == 3 {
				return nil
			}
			return body
		}
		w.start(c)
		w.settle()
		return w, c, w.nodes[0].m.sessions[w.sessionID(c)].recovery
	}
	for name, spoil := range map[string]func(w *network, c Ceremony, good []byte) []byte{
		"empty": func(*network, Ceremony, []byte) []byte { return nil },
		"short": func(_ *network, _ Ceremony, good []byte) []byte { return good[:len(good)-1] },
		"bit":   func(_ *network, _ Ceremony, good []byte) []byte { b := bytes.Clone(good); b[9] ^= 1; return b },
		"certificate": func(_ *network, _ Ceremony, good []byte) []byte {
			b := bytes.Clone(good)
			b[len(b)-1] ^= 1
			return b
		},
		"other session": func(w *network, _ Ceremony, _ []byte) []byte {
			return w.nodes[0].m.sessions[w.sessionID(testCeremony("other", 3))].recovery
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, c, good := prepare(t)
			nd := w.nodes[3]
			msg := func(data []byte) []byte {
				return message{kind: kindRecovery, session: w.sessionID(c), data: data}.encode()
			}
			w.apply(3, nd.m.Step(w.now, nodeID(0), msg(good)))
			if w.view(3, c).Phase != PhaseCertifying || len(w.queue) != 0 {
				t.Fatal("took recovery data it had not asked for")
			}
			w.now = nd.m.Deadline()
			nd.m.Tick(w.now)
			w.apply(3, nd.m.Step(w.now, nodeID(0), msg(spoil(w, c, good))))
			w.settle()
			if len(nd.faults) != 1 || nd.faults[0].Kind != FaultRecovery || nd.faults[0].Culprit != nodeID(0) {
				t.Fatalf("%+v", nd.faults)
			}
			if w.view(3, c).Phase != PhaseCertifying {
				t.Fatalf("%+v", w.view(3, c))
			}
			w.apply(3, nd.m.Step(w.now, nodeID(1), msg(good)))
			w.settle()
			if w.view(3, c).Phase != PhaseAcknowledging {
				t.Fatalf("%+v", w.view(3, c))
			}
			w.tamperSend = nil
			w.pass(3)
			w.requireKey(c)
		})
	}
}

// A peer that asks without end is answered at a bounded rate.
func TestAnswersArePaced(t *testing.T) {
	w := newNetwork(t, 4, 42)
	c := testCeremony("main", 3)
	w.start(c)
	w.settle()
	ask := message{kind: kindWant, session: w.sessionID(c), want: wantCertificate}.encode()
	answers := 0
	for now := protocols.Time(0); now < 10*answerPause; now += answerPause / 10 {
		for _, env := range w.nodes[0].m.Step(now, nodeID(1), ask).Send {
			if env.Body[0] == kindRecovery {
				answers++
			}
		}
	}
	if answers != 10 {
		t.Fatalf("%d answers in 10 pauses", answers)
	}
}

// The waits double up to a limit, and all members are asked in turn.
func TestWantBacksOff(t *testing.T) {
	w := newNetwork(t, 7, 43)
	c := testCeremony("main", 5)
	w.tamperSend = func(_, to int, body []byte) []byte {
		if to == 6 {
			return nil
		}
		return body
	}
	w.start(c)
	w.settle()
	nd := w.nodes[6]
	asked := make(map[protocols.NodeID]int)
	last := protocols.Time(0)
	for range 12 {
		now := nd.m.Deadline()
		if now-last < firstWant || now-last > slowestWant {
			t.Fatalf("waited %d", now-last)
		}
		if e := nd.m.Tick(now - 1); len(e.Send) != 0 {
			t.Fatal("spoke before the deadline")
		}
		e := nd.m.Tick(now)
		if len(e.Send) != 2*wantFanout { // for the certificate, and who is out
			t.Fatalf("asked %d members", len(e.Send)/2)
		}
		for _, env := range e.Send {
			if want(env.Body[33]) == wantCertificate {
				asked[env.To]++
			}
		}
		last = now
	}
	for i := range 6 {
		if asked[nodeID(i)] != 8 { // 12 rounds of 4 over 6 members
			t.Fatalf("asked %v", asked)
		}
	}
}
