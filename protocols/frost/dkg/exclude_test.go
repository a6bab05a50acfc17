package dkg

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

var full = flag.Bool("full", false, "every fault in every place, not a sample")

// byzantine is what a faulty member does: it changes the broadcasts and messages
// of an otherwise correct one. nil leaves them alone.
type byzantine struct {
	name      string
	broadcast func(w *network, self int, topic string, payload []byte) []byte // nil result: nothing
	send      func(w *network, self, to int, body []byte) []byte              // likewise
	speak     func(w *network, self int, id SessionID) []byte                 // complaint to broadcast in each session
	wakes     protocols.Time                                                  // down until then
	crashes   int                                                             // killed so often, at random
	slow      bool                                                            // found out by the time-out alone
	unseen    bool                                                            // may do no harm
}

// spoilt is a first message with wrong shares for the given participants, which
// passes all public checks.
func spoilt(w *network, from int, id SessionID, victims func(participant, t int) bool) []byte {
	s := w.nodes[from].m.sessions[id]
	host := hostSecret(from)
	m1, err := chilldkg.DealBadShares(host[:], s.params.hosts(), chilldkg.SessionID(id), bytes.Repeat([]byte{7}, 32),
		func(i int) bool { return victims(i, s.params.T()) })
	if err != nil {
		w.t.Fatal(err)
	}
	return m1
}

func spoilShares(victims func(self int) func(participant, t int) bool) func(*network, int, string, []byte) []byte {
	return func(w *network, self int, topic string, payload []byte) []byte {
		if id, complaint, _ := ParseTopic(topic); !complaint {
			return spoilt(w, self, id, victims(self))
		}
		return payload
	}
}

// forge is a complaint of participant author that is right in all but the proof,
// as far as the members deal honestly.
func forge(w *network, s *session, author, accused int) []byte {
	nonce := s.params.nonceOfM1(honestM1(w, s, author))
	c := make([]byte, chilldkg.ComplaintSize)
	c[3], c[7] = byte(author), byte(accused)
	public, _ := chilldkg.HostPubkeyGen(bytes.Repeat([]byte{5}, 32))
	copy(c[8:], public[:])
	c[50] = 1
	dealing := honestM1(w, s, accused)
	hash, sig := testNotary.Hash(dealing), signBroadcast(nodeID(s.members[accused]), M1Topic(s.id), dealing)
	return slices.Concat(nonce, c, hash[:], sig[:])
}

// honestM1 is what participant i of s deals if it is honest.
func honestM1(w *network, s *session, i int) []byte {
	host := hostSecret(s.members[i])
	seed := memberkey.Hash(dealTag, host[:], s.id[:])
	m1, err := s.params.deal(host[:], chilldkg.SessionID(s.id), seed[:])
	if err != nil {
		w.t.Fatal(err)
	}
	return m1
}

// complains makes a complaint from the places of author and accused.
func complains(make func(w *network, s *session, self, other int) []byte) func(*network, int, SessionID) []byte {
	return func(w *network, self int, id SessionID) []byte {
		s := w.nodes[self].m.sessions[id]
		return make(w, s, s.self, (s.self+1)%s.n())
	}
}

func dropSends(drop func(self, to int, body []byte) bool) func(*network, int, int, []byte) []byte {
	return func(_ *network, self, to int, body []byte) []byte {
		if drop(self, to, body) {
			return nil
		}
		return body
	}
}

func flipCertSig(victim func(self, to int) bool) func(*network, int, int, []byte) []byte {
	return func(_ *network, self, to int, body []byte) []byte {
		if body[0] == kindCertSig && victim(self, to) {
			body = bytes.Clone(body)
			body[len(body)-1] ^= 1
		}
		return body
	}
}

// The faults of CRYPTO section 7, rows 36 to 40, and silence.
var faults = []byzantine{
	{name: "bad share to one", broadcast: spoilShares(func(self int) func(int, int) bool {
		return func(i, _ int) bool { return i == (self+1)%4 || i == (self+2)%4 && self > 3 }
	}), unseen: true},
	{name: "bad share to t-1", broadcast: spoilShares(func(int) func(int, int) bool {
		return func(i, t int) bool { return i < t-1 }
	})},
	{name: "bad share to all", broadcast: spoilShares(func(int) func(int, int) bool {
		return func(int, int) bool { return true }
	})},
	{name: "short M1", broadcast: func(_ *network, _ int, _ string, p []byte) []byte { return p[1:] }},
	{name: "bad nonce proof", broadcast: func(_ *network, _ int, _ string, p []byte) []byte {
		p = bytes.Clone(p)
		p[len(p)-1] ^= 1
		return p
	}},
	{name: "complaint without proof", speak: complains(forge)},
	{name: "complaint in another's name", speak: complains(func(w *network, s *session, self, other int) []byte {
		return forge(w, s, other, self)
	})},
	{name: "complaint about itself", speak: complains(func(w *network, s *session, self, _ int) []byte {
		return forge(w, s, self, self)
	})},
	{name: "short complaint", speak: complains(func(w *network, s *session, self, other int) []byte {
		return forge(w, s, self, other)[1:]
	})},
	{name: "complaint twice", speak: complains(func(w *network, s *session, self, other int) []byte {
		c := forge(w, s, self, other)
		return append(c, c[pointSize:]...)
	})},
	{name: "complaint about no message", speak: complains(func(w *network, s *session, self, other int) []byte {
		c := forge(w, s, self, other)
		c[len(c)-1] ^= 1
		return c
	})},
	{name: "complaint with another nonce", speak: complains(func(w *network, s *session, self, other int) []byte {
		return append(slices.Clone(s.params.nonceOfM1(honestM1(w, s, other))), forge(w, s, self, other)[pointSize:]...)
	})},
	{name: "silent from the start", slow: true,
		broadcast: func(*network, int, string, []byte) []byte { return nil },
		send:      dropSends(func(int, int, []byte) bool { return true })},
	{name: "silent after M1", slow: true, send: dropSends(func(int, int, []byte) bool { return true })},
	{name: "late", wakes: testSilence / 2, unseen: true},
	{name: "too late", wakes: 2 * testSilence, slow: true, unseen: true},
	{name: "crashes", crashes: 12, unseen: true},
	{name: "signs for one only", slow: true, unseen: true, send: dropSends(func(self, to int, body []byte) bool {
		return to != (self+1)%4 && (body[0] == kindCertSig || body[0] == kindAck || body[0] == kindRelay || body[0] == kindRecovery)
	})},
	{name: "bad signature for all", unseen: true, send: flipCertSig(func(int, int) bool { return true })},
	{name: "bad signature for one", unseen: true, send: flipCertSig(func(self, to int) bool { return to == (self+1)%4 })},
	{name: "bad signature, else silent", slow: true, send: func(w *network, self, to int, body []byte) []byte {
		if body[0] != kindCertSig || to > self {
			return nil
		}
		return flipCertSig(func(int, int) bool { return true })(w, self, to, body)
	}},
	{name: "garbage votes", unseen: true, send: func(w *network, self, to int, body []byte) []byte {
		if body[0] == kindCertSig {
			m := message{kind: kindExclude, session: SessionID(body[1:33]), culprit: byte((self + 1) % 4)}
			m.votes = []ballot{{byte(self), vote{reason: VoteSilent}}}
			return m.encode()
		}
		return body
	}, slow: true},
	{name: "votes out an honest one", unseen: true, send: func(w *network, self, to int, body []byte) []byte {
		r := w.nodes[self].m.runs[SessionID(body[1:33])]
		if body[0] != kindCertSig || r == nil {
			return body
		}
		culprit := (to + 1) % w.nodes[self].m.n()
		host := hostSecret(self)
		sig, err := chilldkg.SignExclusion(host[:], r.params.hosts(), chilldkg.SessionID(r.root), culprit, byte(VoteSilent), make([]byte, 32))
		if err != nil {
			return body
		}
		return message{kind: kindExclude, session: r.root, culprit: byte(culprit), votes: []ballot{{byte(self), vote{VoteSilent, sig}}}}.encode()
	}, slow: true},
}

const testSilence = 60_000

// byzantineNetwork is a network in which some members are faulty.
func byzantineNetwork(t testing.TB, n int, seed uint64, faulty map[int]byzantine) *network {
	w := newNetwork(t, n, seed)
	for _, nd := range w.nodes {
		nd.cfg.Silence, nd.m.cfg.Silence = testSilence, testSilence
	}
	left := make(map[int]int)
	for i, b := range faulty {
		w.nodes[i].down, left[i] = b.wakes > 0, b.crashes
	}
	w.crash = func(to int, _ bool) bool {
		if left[to] == 0 || w.rng.IntN(4) > 0 {
			return false
		}
		left[to]--
		return true
	}
	w.passed = func() {
		for i := range w.nodes {
			if w.nodes[i].down && faulty[i].wakes > 0 && w.now >= faulty[i].wakes {
				w.restart(i)
			}
		}
	}
	w.tamper = func(from int, topic string, payload []byte) []byte {
		b, bad := faulty[from]
		id, complaint, _ := ParseTopic(topic)
		if bad && b.speak != nil && !complaint {
			w.broadcastAs(from, ComplaintTopic(id), b.speak(w, from, id))
		}
		if bad && b.broadcast != nil {
			return b.broadcast(w, from, topic, payload)
		}
		return payload
	}
	w.tamperSend = func(from, to int, body []byte) []byte {
		if b, bad := faulty[from]; bad && b.send != nil {
			return b.send(w, from, to, body)
		}
		return body
	}
	return w
}

// broadcastAs delivers a payload to all as reliable broadcast would.
func (w *network) broadcastAs(from int, topic string, payload []byte) {
	if _, again := w.sent[fmt.Sprint(from, topic)]; again {
		return
	}
	w.sent[fmt.Sprint(from, topic)] = payload
	for to := range w.nodes {
		w.queue = append(w.queue, input{kind: inDelivered, to: to, from: from, topic: topic, body: payload})
	}
}

// finish lets time pass until all the given nodes have a key of c, and the same.
func (w *network) finish(c Ceremony, nodes []int) {
	w.t.Helper()
	w.settle()
	for range 60 {
		first, _ := w.preferred(nodes[0], c)
		if !slices.ContainsFunc(nodes, func(i int) bool {
			k, ok := w.preferred(i, c)
			return !ok || k.SessionID != first.SessionID
		}) {
			return
		}
		w.pass(1)
	}
	for _, i := range nodes {
		w.t.Logf("node %d: %+v", i, w.nodes[i].m.Sessions())
	}
	w.t.Fatal("no key")
}

// requireHonest checks what must hold at all honest nodes, whatever the others
// do: one key, nobody honest blamed, nothing both signed and complained about,
// and nothing in memory that is not on disk.
func (w *network) requireHonest(c Ceremony, honest []int) {
	w.t.Helper()
	w.requireKeyOf(c, honest)
	blamed := func(id protocols.NodeID) bool {
		return slices.ContainsFunc(honest, func(i int) bool { return nodeID(i) == id })
	}
	for _, i := range honest {
		nd := w.nodes[i]
		for _, f := range nd.faults {
			if blamed(f.Culprit) {
				w.t.Fatalf("node %d blames %s: %s", i, f.Culprit, f.Kind)
			}
		}
		for _, v := range nd.m.Sessions() {
			if slices.ContainsFunc(v.Culprits, blamed) || slices.ContainsFunc(v.Excluded, blamed) {
				w.t.Fatalf("node %d: %+v", i, v)
			}
		}
		for id := range nd.accused {
			if nd.signed[id] {
				w.t.Fatalf("node %d signed and complained", i)
			}
		}
		m, _, err := Restore(nd.cfg, nd.records())
		if err != nil {
			w.t.Fatal(err)
		}
		if got, want := durable(m), durable(nd.m); !reflect.DeepEqual(got, want) {
			w.t.Fatalf("node %d: restored state differs\n got %v\nwant %v", i, got, want)
		}
	}
}

func without(n int, faulty map[int]byzantine) (honest []int) {
	for i := range n {
		if _, bad := faulty[i]; !bad {
			honest = append(honest, i)
		}
	}
	return honest
}

// One faulty member, of every kind and, at n = 4 or with -full, in every place.
func TestM1OneFaulty(t *testing.T) {
	for n := 4; n <= 7; n++ {
		for _, b := range faults {
			t.Run(fmt.Sprintf("n=%d/%s", n, b.name), func(t *testing.T) {
				for place := range n {
					if n > 4 && !*full && place != len(b.name)%n {
						continue
					}
					faulty := map[int]byzantine{place: b}
					w := byzantineNetwork(t, n, uint64(100*n+place), faulty)
					c := testCeremony("main", protocols.DefaultThreshold(n))
					w.start(c)
					honest := without(n, faulty)
					w.finish(c, honest)
					if !b.slow && w.now >= testSilence {
						t.Fatalf("place %d: it took a time-out", place)
					}
					w.requireHonest(c, honest)
					if first := w.key(honest[0], c); !b.unseen && slices.Contains(first.Participants, nodeID(place)) {
						t.Fatalf("place %d: the culprit has a share", place)
					}
				}
			})
		}
	}
}

// Two faulty members of seven: every pair of places, and a sample of the pairs of
// faults; all of them with -full.
func TestM1TwoFaulty(t *testing.T) {
	const n = 7
	seed := uint64(0)
	for a := range n {
		for b := range a {
			for x := range faults {
				for y := range faults {
					seed++
					if !*full && (int(seed)*31+x+y)%197 != 0 {
						continue
					}
					t.Run(fmt.Sprintf("%d: %s, %d: %s", a, faults[x].name, b, faults[y].name), func(t *testing.T) {
						faulty := map[int]byzantine{a: faults[x], b: faults[y]}
						w := byzantineNetwork(t, n, seed, faulty)
						c := testCeremony("main", protocols.DefaultThreshold(n))
						w.start(c)
						honest := without(n, faulty)
						w.finish(c, honest)
						w.requireHonest(c, honest)
					})
				}
			}
		}
	}
}

// Larger federations with as many faulty members as they stand, drawn at random.
func TestM1ManyFaulty(t *testing.T) {
	seeds := uint64(2)
	if *full {
		seeds = 100
	}
	for n := 8; n <= 13; n++ {
		for seed := range seeds {
			t.Run(fmt.Sprintf("n=%d/%d", n, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(n)))
				faulty := make(map[int]byzantine)
				for _, i := range rng.Perm(n)[:protocols.MaxFaulty(n)] {
					faulty[i] = faults[rng.IntN(len(faults))]
					t.Logf("%d: %s", i, faulty[i].name)
				}
				w := byzantineNetwork(t, n, seed, faulty)
				c := testCeremony("main", protocols.DefaultThreshold(n))
				w.start(c)
				honest := without(n, faulty)
				w.finish(c, honest)
				w.requireHonest(c, honest)
			})
		}
	}
}

// The must-test of key generation: fifty members of which sixteen are faulty, drawn
// from all kinds and places. Without -full, five of sixteen.
func TestM2KeyGeneration(t *testing.T) {
	n := 16
	if *full {
		n = 50
	}
	rng := rand.New(rand.NewPCG(2, uint64(n)))
	faulty := make(map[int]byzantine)
	for k, i := range rng.Perm(n)[:protocols.MaxFaulty(n)] {
		faulty[i] = faults[(k*5+int(rng.Uint32()%2))%len(faults)]
		t.Logf("%d: %s", i, faulty[i].name)
	}
	w := byzantineNetwork(t, n, 2, faulty)
	c := testCeremony("main", protocols.DefaultThreshold(n))
	w.start(c)
	honest := without(n, faulty)
	w.finish(c, honest)
	w.requireHonest(c, honest)
	k := w.key(honest[0], c)
	t.Logf("%d of %d faulty, a key of %d members in attempt %d", len(faulty), n, len(k.Participants), k.Attempt)
}

// Two liars, either of whom stops the attempt alone. Which one does differs from
// member to member with the order of deliveries, yet the votes must add up.
func TestEitherStopsIt(t *testing.T) {
	fault := func(name string) byzantine {
		return faults[slices.IndexFunc(faults, func(b byzantine) bool { return b.name == name })]
	}
	for seed := uint64(6240); seed < 6260; seed++ {
		faulty := map[int]byzantine{4: fault("bad share to one"), 6: fault("complaint without proof")}
		w := byzantineNetwork(t, 7, seed, faulty)
		c := testCeremony("main", 5)
		w.start(c)
		honest := without(7, faulty)
		w.finish(c, honest)
		w.requireHonest(c, honest)
	}
}

// Honest members crash at random while one member is faulty.
func TestFaultyAndCrashes(t *testing.T) {
	for seed := range uint64(2 * len(faults)) {
		b := faults[int(seed)%len(faults)]
		place := int(seed) % 4
		faulty := map[int]byzantine{place: b}
		w := byzantineNetwork(t, 4, seed, faulty)
		crashes := 0
		w.crash = func(to int, _ bool) bool {
			if to != place && crashes < 12 && w.rng.IntN(8) == 0 {
				crashes++
				return true
			}
			return false
		}
		c := testCeremony("main", 3)
		w.start(c)
		w.settle()
		w.crash = nil
		honest := without(4, faulty)
		w.finish(c, honest)
		w.requireHonest(c, honest)
	}
}

// A member that deals a bad share is stopped at every point where the victim can
// be killed: it never signs what it complained about, and the complaint is made
// with the same bytes.
func TestVictimCrashesAnywhere(t *testing.T) {
	for _, before := range []bool{true, false} {
		for point := 0; ; point++ {
			faulty := map[int]byzantine{1: faults[2]}
			w := byzantineNetwork(t, 4, uint64(point), faulty)
			seen, crashed := 0, false
			w.crash = func(to int, b bool) bool {
				if to != 2 || b != before || crashed {
					return false
				}
				seen++
				crashed = seen > point
				return crashed
			}
			c := testCeremony("main", 3)
			w.start(c)
			w.finish(c, []int{0, 2, 3})
			w.requireHonest(c, []int{0, 2, 3})
			for topic, payloads := range w.nodes[2].m1 {
				for _, p := range payloads {
					if !bytes.Equal(p, payloads[0]) {
						t.Fatalf("two payloads under %s", topic)
					}
				}
			}
			if !crashed {
				if point < 20 {
					t.Fatalf("only %d points", point)
				}
				break
			}
		}
	}
}

// All honest members reach the same verdicts, in whatever order complaints come.
func TestSameVerdicts(t *testing.T) {
	for seed := range uint64(20) {
		faulty := map[int]byzantine{0: faults[1], 5: faults[2]}
		w := byzantineNetwork(t, 7, seed, faulty)
		c := testCeremony("main", 5)
		w.start(c)
		honest := without(7, faulty)
		w.finish(c, honest)
		w.requireHonest(c, honest)
		for _, i := range honest {
			if v := w.view(i, c); v.Final || !slices.Equal(v.Culprits, []protocols.NodeID{nodeID(0), nodeID(5)}) {
				t.Fatalf("seed %d: node %d: %+v", seed, i, v)
			}
			if w.view(i, c).Phase != PhaseFailed {
				t.Fatal("not failed")
			}
		}
	}
}

// With exclusion switched off a verdict ends the ceremony, and silence nothing.
func TestNoExclusion(t *testing.T) {
	for _, b := range []byzantine{faults[2], faults[3], faults[10], faults[11]} {
		w := byzantineNetwork(t, 4, 70, map[int]byzantine{3: b})
		c := testCeremony("main", 3)
		c.NoExclusion = true
		w.start(c)
		w.settle()
		w.pass(30)
		for i := range 3 {
			if len(w.nodes[i].m.Sessions()) != 1 || len(w.nodes[i].m.Keys()) != 0 {
				t.Fatalf("%s: %+v", b.name, w.nodes[i].m.Sessions())
			}
			v := w.view(i, c)
			if b.slow && v.Phase == PhaseFailed || b.unseen && v.Final || !b.slow && !b.unseen && (!v.Final || !slices.Equal(v.Culprits, []protocols.NodeID{nodeID(3)})) {
				t.Fatalf("%s: %+v", b.name, v)
			}
			for key := range w.nodes[i].disk {
				if strings.HasPrefix(key, "v/") {
					t.Fatal("a vote was cast")
				}
			}
		}
	}
}

// Exclusion stops at the floors that the ceremony names.
func TestFloors(t *testing.T) {
	for name, row := range map[string]struct {
		n      int
		c      Ceremony
		faulty []int
		reason Reason
	}{
		"members":      {4, Ceremony{T: 3, MinMembers: 4}, []int{3}, ReasonBadFirstMessage},
		"spare":        {4, Ceremony{T: 3, MinSpare: 1}, []int{3}, ReasonBadFirstMessage},
		"one may go":   {7, Ceremony{T: 5, MinMembers: 6}, []int{2, 3}, ReasonTooFew},
		"one spare":    {7, Ceremony{T: 5, MinSpare: 1}, []int{2, 3}, ReasonTooFew},
		"f is 0":       {3, Ceremony{T: 2}, []int{1}, ReasonBadFirstMessage},
		"f is 0, t is": {3, Ceremony{T: 2, MinMembers: 2}, []int{1}, ReasonBadFirstMessage},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := make(map[int]byzantine)
			var culprits []protocols.NodeID
			for _, i := range row.faulty {
				faulty[i] = faults[3]
				culprits = append(culprits, nodeID(i))
			}
			w := byzantineNetwork(t, row.n, 71, faulty)
			c := testCeremony("main", row.c.T)
			c.MinMembers, c.MinSpare = row.c.MinMembers, row.c.MinSpare
			w.start(c)
			w.settle()
			w.pass(10)
			for _, i := range without(row.n, faulty) {
				v := w.view(i, c)
				sessions := w.nodes[i].m.Sessions()
				last := sessions[len(sessions)-1]
				if v.Phase != PhaseFailed || !slices.Equal(v.Culprits, culprits) || last.Reason != row.reason || !last.Final || len(w.nodes[i].m.Keys()) != 0 {
					t.Fatalf("node %d: %+v", i, sessions)
				}
			}
		})
	}
}

// More members are silent than may go: nobody is voted out, since it may be we
// who are cut off. When one comes back the other one goes.
func TestTooManySilent(t *testing.T) {
	w := byzantineNetwork(t, 4, 72, nil)
	c := testCeremony("main", 3)
	w.nodes[2].down, w.nodes[3].down = true, true
	w.start(c)
	w.settle()
	w.pass(30)
	if v := w.view(0, c); v.Phase != PhaseSharing || len(v.Waiting) != 2 {
		t.Fatalf("%+v", v)
	}
	w.nodes[2].down = false
	w.finish(c, []int{0, 1, 2})
	w.requireHonest(c, []int{0, 1, 2})
	// The one that was voted out learns it.
	w.nodes[3].down = false
	w.settle()
	w.pass(10)
	if v := w.view(3, c); v.Reason != ReasonExcluded || !v.Final {
		t.Fatalf("%+v", v)
	}
}

// Two members, for whom alone the time-out passes, vote against one that is gone and
// one that is only late. When that one is back they can still vote against another
// that goes silent: their votes are needed.
func TestVoteAgainstTheLateIsNoLoss(t *testing.T) {
	w := byzantineNetwork(t, 7, 76, nil)
	w.nodes[5].down, w.nodes[6].down = true, true
	c := testCeremony("main", 5)
	w.start(c)
	w.settle()
	w.now = testSilence + 1
	for _, i := range []int{2, 3} {
		w.apply(i, w.nodes[i].m.Tick(w.now))
	}
	w.settle()
	if r := w.nodes[0].m.runs[w.sessionID(c)]; countVotes(r.votes[5]) != 2 || r.castBy(2) != 2 {
		t.Fatal("they did not vote")
	}
	w.tamperSend = func(from, _ int, body []byte) []byte {
		if from == 1 && body[0] != kindExclude && body[0] != kindWant {
			return nil
		}
		return body
	}
	w.nodes[5].down = false
	w.settle() // the late one is heard before the others lose patience
	w.finish(c, []int{0, 2, 3, 4, 5})
	w.requireHonest(c, []int{0, 2, 3, 4, 5})
}

// A member that hears of the ceremony when the others have gone on without
// somebody catches up with them.
func TestStartsLate(t *testing.T) {
	w := byzantineNetwork(t, 4, 73, map[int]byzantine{1: faults[3]})
	c := testCeremony("main", 3)
	for i := range 3 {
		w.queue = append(w.queue, input{kind: inStart, to: i, ceremony: c})
	}
	w.settle()
	w.queue = append(w.queue, input{kind: inStart, to: 3, ceremony: c})
	w.finish(c, []int{0, 2, 3})
	w.requireHonest(c, []int{0, 2, 3})
}

// A certificate that turns up when the others were about to go on without its
// last signer makes the key of the first attempt; all keep that one, and nobody
// is worse off for a second key.
func TestLateCertificate(t *testing.T) {
	w := byzantineNetwork(t, 4, 74, nil)
	c := testCeremony("main", 3)
	held := make(map[int][]byte)
	w.tamperSend = func(from, to int, body []byte) []byte {
		if from == 3 && body[0] != kindExclude {
			if body[0] == kindCertSig {
				held[to] = bytes.Clone(body)
			}
			return nil
		}
		return body
	}
	w.start(c)
	w.finish(c, []int{0, 1, 2})
	second := w.key(0, c)
	if second.Attempt != 1 || len(held) != 3 {
		t.Fatalf("%+v", second)
	}
	w.tamperSend = nil
	w.apply(0, w.nodes[0].m.Step(w.now, nodeID(3), held[0]))
	w.settle()
	w.pass(30)
	w.requireNoFaults()
	if got := w.nodes[0].m.Keys(); len(got) == 0 || !bytes.Equal(got[len(got)-1].PublicKey, second.ThreshPK[:]) {
		t.Fatalf("%+v", got)
	}
	w.requireKeyOf(c, []int{0, 1, 2})
}

// A complaint about a session that completed convicts its author, who has signed.
func TestComplaintAfterSigning(t *testing.T) {
	w := byzantineNetwork(t, 4, 75, nil)
	c := testCeremony("main", 3)
	w.start(c)
	w.settle()
	id := w.sessionID(c)
	w.broadcastAs(2, ComplaintTopic(id), forge(w, w.nodes[0].m.sessions[id], 2, 0))
	w.settle()
	for _, i := range []int{0, 1, 3} {
		f := w.nodes[i].faults
		if len(f) != 1 || f[0].Kind != FaultSigned || f[0].Culprit != nodeID(2) || f[0].Proof == nil {
			t.Fatalf("%+v", f)
		}
	}
	w.requireKey(c)
}
