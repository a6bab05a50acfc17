package dkg

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"frostfed/protocols"
)

// proved names the faults of the ladder that are proved, and what they prove.
var proved = map[string]string{
	"bad share to one": FaultShare, "bad share to t-1": FaultShare, "bad share to all": FaultShare,
	"short M1": FaultFirstMessage, "bad nonce proof": FaultFirstMessage,
	"complaint without proof": FaultComplaint, "complaint in another's name": FaultComplaint,
	"complaint about itself": FaultComplaint, "short complaint": FaultComplaint, "complaint twice": FaultComplaint,
	"complaint about no message": FaultComplaint, "complaint with another nonce": FaultComplaint,
}

// convicted runs a ceremony in which member 1 is faulty.
func convicted(t testing.TB, b byzantine) *network {
	w := byzantineNetwork(t, 4, 90, map[int]byzantine{1: b})
	c := testCeremony("main", 3)
	w.start(c)
	w.finish(c, []int{0, 2, 3})
	w.requireHonest(c, []int{0, 2, 3})
	return w
}

// proofs returns the faults with a proof that a node saw.
func (w *network) proofs(node int) []protocols.Fault {
	return slices.DeleteFunc(slices.Clone(w.nodes[node].faults), func(f protocols.Fault) bool { return f.Proof == nil })
}

// Every lie that all members convict is proved to strangers, by every member, and
// no other.
func TestVerdictsAreProved(t *testing.T) {
	found := 0
	for _, b := range faults {
		w, want := convicted(t, b), proved[b.name]
		if want != "" {
			found++
		}
		for _, node := range []int{0, 2, 3} {
			got := w.proofs(node)
			if (want != "") != (len(got) > 0) {
				t.Errorf("%s: node %d holds %d proofs", b.name, node, len(got))
			}
			for _, f := range got {
				if f.Kind != want || f.Culprit != nodeID(1) {
					t.Errorf("%s: %+v", b.name, f)
				}
			}
		}
	}
	if found != len(proved) {
		t.Errorf("only %d of %d were run", found, len(proved))
	}
}

// An accused that signed two first messages cannot make the complaint about one of
// them look false by showing the other.
func TestEquivocatingDealerCannotFrame(t *testing.T) {
	w := convicted(t, faults[2])
	got := w.proofs(0)
	proof := bytes.Clone(got[0].Proof)
	if got[0].Kind != FaultShare {
		t.Fatalf("%+v", got[0])
	}
	s := w.nodes[0].m.sessions[w.sessionID(testCeremony("main", 3))]
	honest := honestM1(w, s, 1)
	copy(proof[len(proof)-len(honest):], honest)
	if c, err := VerifyProof(w.nodes[0].cfg.Members, testNotary, proof); !errors.Is(err, ErrProof) {
		t.Fatalf("%+v %v", c, err)
	}
}

// A dealer and an author who are both faulty: the complaint names a message that
// the dealer signed and nobody delivered. The author is convicted by all. Strangers
// see the dealer's two signatures, which package echo proves.
func TestComplaintAboutAnotherMessage(t *testing.T) {
	speak := complains(func(w *network, s *session, self, _ int) []byte {
		c := forge(w, s, self, 2)
		hash := testNotary.Hash([]byte("other"))
		sig := signBroadcast(nodeID(s.members[2]), M1Topic(s.id), []byte("other"))
		return slices.Concat(c[:len(c)-96], hash[:], sig[:])
	})
	faulty := map[int]byzantine{1: {name: "author", speak: speak}, 2: {name: "dealer"}}
	w := byzantineNetwork(t, 7, 91, faulty)
	c := testCeremony("main", 5)
	w.start(c)
	w.finish(c, without(7, faulty))
	for _, i := range without(7, faulty) {
		f := w.nodes[i].faults
		if len(f) != 1 || f[0].Kind != FaultComplaint || f[0].Culprit != nodeID(1) || f[0].Proof != nil {
			t.Errorf("%+v", f)
		}
	}
}

// What comes too early and is too long for any session is proved at once.
func TestOversizeIsProved(t *testing.T) {
	w := newNetwork(t, 4, 92)
	for _, topic := range []string{M1Topic(SessionID{1}), ComplaintTopic(SessionID{1})} {
		e := w.delivered(0, 1, topic, make([]byte, maxEarlySize+1))
		if len(e.Faults) != 1 || e.Faults[0].Proof == nil {
			t.Fatalf("%+v", e.Faults)
		}
		w.apply(0, e) // verifies it
		if e := w.delivered(0, 2, topic, make([]byte, maxEarlySize)); len(e.Faults) != 0 {
			t.Fatalf("%+v", e.Faults)
		}
	}
}

// Neither a changed byte nor a shorter or longer proof is taken for one: all of it
// is signed, or hashed into what is.
func TestChangedProofs(t *testing.T) {
	seen := make(map[byte]bool)
	check := func(members []Member, proof []byte) {
		if seen[proof[1]] {
			return
		}
		seen[proof[1]] = true
		refused := func(what string, at int, bad []byte) {
			if c, err := VerifyProof(members, testNotary, bad); !errors.Is(err, ErrProof) {
				t.Errorf("form %d, %s %d: %+v %v", proof[1], what, at, c, err)
			}
		}
		for at := range proof {
			bad := bytes.Clone(proof)
			bad[at] ^= 1 << (at % 8)
			refused("byte", at, bad)
		}
		for at := 0; at < len(proof); at += 1 + at/16 {
			refused("cut", at, proof[:at])
		}
		refused("long", 1, append(bytes.Clone(proof), 0))
		other := slices.Clone(members)
		other[1], other[2] = other[2], other[1]
		if _, err := VerifyProof(other, testNotary, proof); err == nil {
			t.Errorf("form %d: holds among other members", proof[1])
		}
	}
	for _, b := range faults {
		if proved[b.name] == "" {
			continue
		}
		w := convicted(t, b)
		for _, f := range w.proofs(0) {
			check(w.nodes[0].cfg.Members, f.Proof)
		}
	}
	w := newNetwork(t, 4, 93)
	c := testCeremony("main", 3)
	check(w.nodes[0].cfg.Members, w.delivered(0, 1, M1Topic(SessionID{1}), make([]byte, maxEarlySize+1)).Faults[0].Proof)
	w.start(c)
	w.settle()
	id := w.sessionID(c)
	check(w.nodes[0].cfg.Members, w.delivered(0, 2, ComplaintTopic(id), forge(w, w.nodes[0].m.sessions[id], 2, 0)).Faults[0].Proof)
	if len(seen) != 6 {
		t.Errorf("forms %v", seen)
	}
}

func FuzzVerifyProof(f *testing.F) {
	var members []Member
	for _, b := range faults {
		if proved[b.name] == "" {
			continue
		}
		w := convicted(f, b)
		members = w.nodes[0].cfg.Members
		for _, fault := range w.proofs(0) {
			f.Add(fault.Proof)
		}
	}
	f.Fuzz(func(t *testing.T, proof []byte) {
		c, err := VerifyProof(members, testNotary, proof)
		if err != nil && !errors.Is(err, ErrProof) {
			t.Fatal(err)
		}
		// Member 1 is the liar of all seeds; the signatures of the others are known
		// to nobody but this test.
		if err == nil && c.Culprit != nodeID(1) {
			t.Errorf("%+v", c)
		}
	})
}
