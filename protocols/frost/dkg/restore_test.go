package dkg

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// A member is killed once at every point of a session: before each commit and
// between each commit and what follows from it. Whatever the point, all members
// end with the key, nobody is blamed, and no first message ever changes.
func TestCrashAnywhere(t *testing.T) {
	for _, before := range []bool{true, false} {
		for point := 0; ; point++ {
			w := newNetwork(t, 3, 20)
			c := testCeremony("main", 2)
			seen, crashed := 0, false
			w.crash = func(to int, b bool) bool {
				if to != 1 || b != before || crashed {
					return false
				}
				seen++
				crashed = seen > point
				return crashed
			}
			w.start(c)
			w.settle()
			w.pass(4)
			w.requireKey(c)
			w.requireNoFaults()
			for i, nd := range w.nodes {
				if v := w.view(i, c); v.Phase != PhaseComplete {
					t.Fatalf("before=%v point %d: node %d: %+v", before, point, i, v)
				}
				requireSameM1(t, nd)
			}
			if !crashed {
				if point < 10 {
					t.Fatalf("only %d points: the test does not cover a session", point)
				}
				break
			}
		}
	}
}

// All members crash again and again at random.
func TestCrashOften(t *testing.T) {
	for seed := range uint64(30) {
		w := newNetwork(t, 4, seed)
		a, b := testCeremony("a", 3), testCeremony("b", 2)
		crashes := 0
		w.crash = func(int, bool) bool {
			if crashes < 40 && w.rng.IntN(6) == 0 {
				crashes++
				return true
			}
			return false
		}
		w.start(a)
		w.start(b)
		w.settle()
		w.crash = nil
		w.pass(20)
		w.requireKey(a)
		w.requireKey(b)
		w.requireNoFaults()
		for _, nd := range w.nodes {
			requireSameM1(t, nd)
		}
	}
}

func requireSameM1(t *testing.T, nd *node) {
	t.Helper()
	for topic, payloads := range nd.m1 {
		for _, p := range payloads {
			if !bytes.Equal(p, payloads[0]) {
				t.Fatalf("%s broadcast two first messages under %s", nd.cfg.Self, topic)
			}
		}
	}
}

// After a restart in the middle the same bytes are broadcast, although the
// machine's randomness is another one.
func TestRestartRepeatsM1(t *testing.T) {
	w := newNetwork(t, 3, 21)
	c := testCeremony("main", 2)
	w.nodes[2].down = true
	w.start(c)
	w.settle()
	w.restart(0)
	w.settle()
	w.nodes[2].down = false
	w.settle()
	if got := len(w.nodes[0].m1[M1Topic(w.sessionID(c))]); got != 2 {
		t.Fatalf("broadcast %d times, want 2", got)
	}
	requireSameM1(t, w.nodes[0])
	w.pass(4)
	w.requireKey(c)
}

// An old disk that forgot its own first message takes up the one that broadcast
// still knows, rather than to equivocate.
func TestForgottenM1IsAdopted(t *testing.T) {
	for _, started := range []bool{false, true} {
		t.Run(fmt.Sprintf("started=%v", started), func(t *testing.T) {
			w := newNetwork(t, 3, 22)
			c := testCeremony("main", 2)
			id := w.sessionID(c)
			params, err := chilldkg.NewSessionParams(w.nodes[0].m.hostKeys, c.T)
			if err != nil {
				t.Fatal(err)
			}
			host := hostSecret(0)
			old, err := chilldkg.Deal(host[:], params, chilldkg.SessionID(id), bytes.Repeat([]byte{9}, 32))
			if err != nil {
				t.Fatal(err)
			}
			if started {
				w.apply(0, w.nodes[0].m.Start(0, c)) // its own first message is in the making
			}
			w.apply(0, w.delivered(0, 0, M1Topic(id), old))
			for i := range 2 {
				w.apply(i+1, w.delivered(i+1, 0, M1Topic(id), old))
			}
			w.start(c)
			w.settle()
			w.requireKey(c)
			w.requireNoFaults()
			if got := len(all[Broadcast](w.nodes[0])); got != 0 {
				t.Fatal("broadcast a second first message")
			}
		})
	}
}

// Restored state equals live state after every commit, but for what is volatile.
func TestRestoreEqualsLive(t *testing.T) {
	w := newNetwork(t, 4, 23)
	ok, failing, early := testCeremony("ok", 3), testCeremony("failing", 2), testCeremony("early", 2)
	bad := w.sessionID(failing)
	w.tamperM1 = func(from int, payload []byte) []byte {
		if from == 3 && len(payload) == w.nodes[0].m.sessions[bad].params.DealingSize() {
			return payload[:len(payload)-1]
		}
		return payload
	}
	compared := 0
	w.crash = func(to int, before bool) bool {
		nd := w.nodes[to]
		if before {
			return false
		}
		m, _, err := Restore(nd.cfg, nd.records())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := durable(m), durable(nd.m); !reflect.DeepEqual(got, want) {
			t.Fatalf("restored state differs\n got %v\nwant %v", got, want)
		}
		compared++
		return false
	}
	w.start(ok)
	w.start(failing)
	w.queue = append(w.queue, input{kind: inStart, to: 1, ceremony: early})
	w.settle()
	w.requireKey(ok)
	if w.view(0, failing).Phase != PhaseFailed || len(w.nodes[0].m.early[1]) != 1 || compared < 50 {
		t.Fatal("the test does not cover what it should")
	}
}

// durable is what of a machine must survive.
func durable(m *Machine) map[string]any {
	state := make(map[string]any)
	for id, s := range m.sessions {
		state[id.String()] = []any{
			s.ceremony, s.order, s.out, s.members, s.own, s.m1, s.m1Sigs, s.complaints, s.complaintSigs, s.choice, s.certs, s.recovery, s.acks, s.failure, s.phase(),
		}
	}
	for root, r := range m.runs {
		state["run "+root.String()] = []any{r.ceremony, r.votes, len(r.sessions), r.live(), m.out(r)}
	}
	for i, held := range m.early {
		for k, h := range held {
			state[fmt.Sprintf("early %d %d", i, k)] = h
		}
	}
	return state
}

// After a restart KeyActive comes again with the same share.
func TestShareComesBack(t *testing.T) {
	w := newNetwork(t, 4, 24)
	c := testCeremony("main", 3)
	w.start(c)
	w.settle()
	before := w.key(2, c)
	w.nodes[2].events = nil
	w.restart(2)
	w.settle()
	after := w.key(2, c)
	if !bytes.Equal(before.SecShare.Bytes(), after.SecShare.Bytes()) || before.ThreshPK != after.ThreshPK {
		t.Fatal("the key changed over a restart")
	}
	w.requireKey(c)
}

// The disk of no member ever holds a secret, in any encoding we use.
func TestNoSecretIsStored(t *testing.T) {
	w := newNetwork(t, 3, 25)
	c := testCeremony("main", 2)
	var committed [][]byte
	w.onCommit = func(_ int, r protocols.Record) { committed = append(committed, []byte(r.Key), r.Value) }
	w.start(c)
	w.settle()
	var secrets [][]byte
	for i := range w.nodes {
		host := hostSecret(i)
		secrets = append(secrets, host[:], w.key(i, c).SecShare.Bytes())
	}
	if len(committed) < 50 {
		t.Fatalf("only %d records seen", len(committed))
	}
	for _, b := range committed {
		for _, secret := range secrets {
			if bytes.Contains(b, secret) || bytes.Contains(b, fmt.Appendf(nil, "%x", secret)) {
				t.Fatal("a record holds a secret")
			}
		}
	}
	// What is left when all is done: ceremony, recovery data, acknowledgements.
	for key := range w.nodes[0].disk {
		if !strings.Contains(key, partAck) && !strings.HasSuffix(key, partCeremony) && !strings.HasSuffix(key, partRecovery) {
			t.Fatalf("record %s is left over", key)
		}
	}
}

func TestRestoreRejects(t *testing.T) {
	w := newNetwork(t, 3, 26)
	c := testCeremony("main", 2)
	w.start(c)
	w.settle()
	id := w.sessionID(c)
	nd := w.nodes[0]
	for name, spoil := range map[string]func(map[string][]byte){
		"unknown key":         func(d map[string][]byte) { d["x"] = []byte{1} },
		"unknown part":        func(d map[string][]byte) { d[sessionKey(id, "x")] = []byte{1} },
		"no version":          func(d map[string][]byte) { d[sessionKey(id, partRecovery)] = nil },
		"version 2":           func(d map[string][]byte) { d[sessionKey(id, partRecovery)][0] = 2 },
		"no ceremony":         func(d map[string][]byte) { delete(d, sessionKey(id, partCeremony)) },
		"other ceremony":      func(d map[string][]byte) { d[sessionKey(id, partCeremony)][1] ^= 1 },
		"short recovery data": func(d map[string][]byte) { d[sessionKey(id, partRecovery)] = []byte{1, 2} },
		"no recovery data":    func(d map[string][]byte) { delete(d, sessionKey(id, partRecovery)) },
		"no own ack":          func(d map[string][]byte) { delete(d, sessionKey(id, memberPart(partAck, 0))) },
		"member out of range": func(d map[string][]byte) { d[sessionKey(id, memberPart(partAck, 3))] = make([]byte, 65) },
		"early of nobody":     func(d map[string][]byte) { d[earlyKey(3, id, false)] = make([]byte, 20) },
		"bad choice":          func(d map[string][]byte) { d[sessionKey(id, partChoice)] = []byte{1, 's'} },
		"bad failure":         func(d map[string][]byte) { d[sessionKey(id, partFailure)] = []byte{1, 1, 2, 1} },
	} {
		t.Run(name, func(t *testing.T) {
			disk := make(map[string][]byte)
			for k, v := range nd.disk {
				disk[k] = bytes.Clone(v)
			}
			spoil(disk)
			var records []protocols.Record
			for _, k := range slices.Sorted(maps.Keys(disk)) {
				records = append(records, protocols.Record{Key: k, Value: disk[k]})
			}
			if _, _, err := Restore(nd.cfg, records); !errors.Is(err, ErrRecords) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// Recovery data changed on disk is found out when the key is computed: the
// operator is told, and no key appears.
func TestCorruptRecoveryData(t *testing.T) {
	w := newNetwork(t, 3, 27)
	c := testCeremony("main", 2)
	w.start(c)
	w.settle()
	nd := w.nodes[0]
	data := nd.disk[sessionKey(w.sessionID(c), partRecovery)]
	data[len(data)-1] ^= 1
	nd.events = nil
	w.restart(0)
	w.settle()
	failures := all[Failed](nd)
	if len(failures) != 1 || failures[0].Reason != ReasonLocal || len(all[KeyActive](nd)) != 0 || len(nd.m.Keys()) != 0 {
		t.Fatalf("%+v", nd.events)
	}
	if nd.disk[sessionKey(w.sessionID(c), partRecovery)] == nil {
		t.Fatal("recovery data was deleted")
	}
}

// The recovery data shown to the operator restores the share with the host
// secret alone.
func TestBackupRestoresShare(t *testing.T) {
	w := newNetwork(t, 3, 28)
	c := testCeremony("main", 2)
	w.start(c)
	w.settle()
	host := hostSecret(1)
	out, _, err := chilldkg.Recover(host[:], w.nodes[0].m.Keys()[0].Recovery)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.SecShare.Bytes(), w.key(1, c).SecShare.Bytes()) {
		t.Fatal("another share")
	}
}

// What a peer lost comes again by Resync, without waiting for a deadline.
func TestResync(t *testing.T) {
	w := newNetwork(t, 4, 29)
	c := testCeremony("main", 3)
	w.tamperSend = func(from, to int, _ []byte) []byte { return nil }
	w.start(c)
	w.settle()
	w.tamperSend = nil
	resync := func() {
		for i, nd := range w.nodes {
			for p := range w.nodes {
				w.apply(i, nd.m.Resync(w.now, nodeID(p)))
			}
		}
	}
	if v := w.view(2, c); v.Phase != PhaseCertifying || v.Have != 1 {
		t.Fatalf("%+v", v)
	}
	resync()
	w.tamperSend = func(_, _ int, body []byte) []byte {
		if body[0] == kindAck {
			return nil
		}
		return body
	}
	w.settle()
	w.tamperSend = nil
	if v := w.view(2, c); v.Phase != PhaseAcknowledging || v.Have != 1 {
		t.Fatalf("%+v", v)
	}
	resync()
	w.settle()
	for i := range w.nodes {
		if v := w.view(i, c); v.Phase != PhaseComplete {
			t.Fatalf("node %d: %+v", i, v)
		}
	}
	// Nothing is left to say about a complete session.
	resync()
	if len(w.queue) != 0 {
		t.Fatalf("%d messages about a complete session", len(w.queue))
	}
}

// A crash between commit and send loses the messages; Restore sends them again,
// without waiting for a deadline.
func TestRestoreSendsAgain(t *testing.T) {
	for _, kind := range []byte{kindCertSig, kindAck} {
		w := newNetwork(t, 4, 30)
		c := testCeremony("main", 3)
		w.tamperSend = func(from, to int, body []byte) []byte {
			if (from == 0 || to == 0) && body[0] == kind {
				return nil
			}
			return body
		}
		w.start(c)
		w.settle()
		w.tamperSend = nil
		w.restart(0)
		w.settle()
		for i := range w.nodes {
			if v := w.view(i, c); v.Phase != PhaseComplete {
				t.Fatalf("kind %d: node %d: %+v", kind, i, v)
			}
		}
	}
}
