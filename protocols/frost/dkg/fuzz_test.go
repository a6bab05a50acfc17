package dkg

import (
	"bytes"
	"slices"
	"testing"

	"frostfed/test/alloc"
)

// FuzzDecode: what decodes encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	f.Add(message{kind: kindCertSig}.encode())
	f.Add(message{kind: kindAck}.encode())
	f.Add(message{kind: kindWant, want: wantCertificate}.encode())
	f.Add(message{kind: kindRecovery, data: []byte{1, 2, 3}}.encode())
	f.Add(message{kind: kindExclude, votes: []ballot{{1, vote{reason: VoteShare}}, {3, vote{reason: VoteSilent}}}}.encode())
	f.Add(message{kind: kindRelay, certs: []relayed{{participant: 1}, {participant: 2}}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		var err error
		alloc.Limit(t, len(b), 16, 0, func() { m, err = decode(b) })
		if err == nil && !bytes.Equal(m.encode(), b) {
			t.Fatalf("%x encodes to %x", b, m.encode())
		}
	})
}

// FuzzRecords: Restore takes or refuses any record, and never panics.
func FuzzRecords(f *testing.F) {
	w := newNetwork(f, 3, 60)
	c := testCeremony("main", 2)
	w.start(c)
	w.settle()
	nd := w.nodes[0]
	records := nd.records()
	for _, r := range records {
		f.Add(r.Key, r.Value)
	}
	id := w.sessionID(c)
	f.Add(earlyKey(1, id, false), make([]byte, 20))
	f.Add(sessionKey(id, partChoice), []byte{1, choiceComplain})
	f.Add(sessionKey(id, partFailure), []byte{1, 1, 0})
	f.Add(voteKey(id, 1, 2), append([]byte{1, byte(VoteSilent)}, make([]byte, sigSize)...))
	f.Add(sessionKey(id, memberPart(partComplaint, 1)), []byte{1})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		nd.disk = make(map[string][]byte)
		for _, r := range records {
			nd.disk[r.Key] = r.Value
		}
		nd.disk[key] = value
		m, _, err := Restore(nd.cfg, nd.records())
		if err == nil {
			m.Tick(0)
			m.Sessions()
			m.Keys()
		}
	})
}

// FuzzStep feeds a machine in the middle of a session with messages and
// deliveries, valid ones included. It must not panic, must not hold more than
// its bounds, and must stay restorable.
func FuzzStep(f *testing.F) {
	base := newNetwork(f, 4, 61)
	c := testCeremony("main", 3)
	id := base.sessionID(c)
	for _, m := range []message{
		{kind: kindCertSig, session: id}, {kind: kindAck, session: id}, {kind: kindWant, session: id, want: wantCertificate},
		{kind: kindWant, session: id, want: wantAck}, {kind: kindRecovery, session: id, data: make([]byte, recoverySize(3, 4))},
		{kind: kindExclude, session: id, culprit: 2, votes: []ballot{{1, vote{reason: VoteSilent}}}},
		{kind: kindRelay, session: id, certs: []relayed{{participant: 2}}}, {kind: kindWant, session: id, want: wantExclusions},
	} {
		f.Add(byte(1), "", m.encode())
		f.Add(byte(0x12), "", m.encode())
	}
	f.Add(byte(2), M1Topic(id), make([]byte, 33*3+32*4+97+64))
	f.Add(byte(2), M1Topic(SessionID{1}), []byte("early"))
	base.apply(0, base.nodes[0].m.Start(0, c))
	complaint := forge(base, base.nodes[0].m.sessions[id], 2, 1)
	f.Add(byte(2), ComplaintTopic(id), complaint)
	f.Add(byte(0x12), ComplaintTopic(id), complaint)
	f.Add(byte(1), ComplaintTopic(SessionID{1}), complaint)
	f.Fuzz(func(t *testing.T, who byte, topic string, body []byte) {
		w := newNetwork(t, 4, 61)
		w.tamperSend = func(_, to int, body []byte) []byte {
			if to == 0 {
				return nil // node 0 is stuck where the fuzzer finds it
			}
			return body
		}
		if who&0x10 != 0 { // node 0 has signed; else it collects first messages
			w.start(c)
			w.settle()
			w.now = w.nodes[0].m.Deadline()
			w.apply(0, w.nodes[0].m.Tick(w.now))
		} else {
			w.apply(0, w.nodes[0].m.Start(0, c))
		}
		nd := w.nodes[0]
		from := nodeID(int(who & 7))
		for range 2 {
			if topic == "" {
				w.apply(0, nd.m.Step(w.now, from, body))
			} else {
				w.apply(0, nd.m.Delivered(w.now, from, topic, body, signBroadcast(from, topic, body)))
			}
		}
		w.settle()
		for _, held := range nd.m.early {
			if len(held) > maxEarly {
				t.Fatal("too many early messages")
			}
		}
		m, _, err := Restore(nd.cfg, nd.records())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(m.Sessions(), nd.m.Sessions(), func(a, b SessionView) bool {
			return a.SessionID == b.SessionID && a.Phase == b.Phase && a.Have == b.Have
		}) {
			t.Fatalf("restored %+v, want %+v", m.Sessions(), nd.m.Sessions())
		}
	})
}
