package federation

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/evidence"
	"frostfed/protocols"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
)

const liar = 1

// liarWorld is four members, one of which lies.
func liarWorld(t testing.TB) *world {
	w := newWorld(t, 4, nil)
	w.faulty = map[protocols.NodeID]bool{w.configs[liar].Self: true}
	return w
}

// say is a SEND of the liar, signed as such.
func (w *world) say(topic string, payload []byte) []byte {
	w.t.Helper()
	core := w.cores[liar]
	m, err := echo.New(core.echoConfig())
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := m.Broadcast(w.now, topic, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.Send[0].Body
}

// hear gives a member a message of the liar.
func (w *world) hear(i int, frame []byte) {
	w.t.Helper()
	var out Effects
	w.cores[i].fromEcho(w.now, &out, w.cores[i].echo.Step(w.now, w.configs[liar].Self, frame))
	w.settle(i, out)
}

// equivocate shows one member two broadcasts under one topic.
func (w *world) equivocate(i, n int) {
	w.t.Helper()
	topic := topic(topicRequest, [32]byte{byte(n), 1})
	w.hear(i, w.say(topic, []byte("one")))
	w.hear(i, w.say(topic, []byte("two")))
}

func news(w *world, i int) (found []EvidenceFound) {
	for _, d := range w.out[i] {
		if f, ok := d.(EvidenceFound); ok {
			found = append(found, f)
		}
	}
	return found
}

// What one member was shown, all come to hold, also after a restart, and it
// convinces strangers.
func TestEquivocationIsKnownToAll(t *testing.T) {
	w := liarWorld(t)
	w.equivocate(0, 1)
	w.run()
	for range 2 {
		for _, i := range []int{0, 2, 3} {
			held := w.cores[i].Evidence()
			if len(held) != 1 || held[0].Kind != echo.FaultEquivocation || held[0].Culprit != w.configs[liar].Self || held[0].Own != (i == 0) {
				t.Fatalf("member %d holds %+v", i, held)
			}
			_, file, err := w.cores[i].EvidenceFile(held[0].ID.String()[:8])
			if err != nil {
				t.Fatal(err)
			}
			e, err := evidence.Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := e.Verify(); err != nil || v.ID != held[0].ID || v.Culprit != liar || v.Federation != w.cores[i].ID() {
				t.Fatalf("%+v %v", v, err)
			}
			if got := news(w, i); len(got) != 1 || got[0].ID != held[0].ID || got[0].Witness != w.configs[0].Self {
				t.Fatalf("member %d heard %+v", i, got)
			}
			w.kill(i)
			w.start(i)
			if !reflect.DeepEqual(w.cores[i].Evidence(), held) {
				t.Fatalf("restored %+v", w.cores[i].Evidence())
			}
		}
		w.run() // told again, taken once
	}
}

// A member that was away and lost its messages is told when it comes back.
func TestEvidenceReachesWhoWasAway(t *testing.T) {
	w := liarWorld(t)
	w.run()
	w.kill(3)
	w.equivocate(0, 1)
	w.run()
	w.start(3)
	w.run()
	if held := w.cores[3].Evidence(); len(held) != 1 {
		t.Fatalf("%+v", held)
	}
}

// A lie in a key generation convicts at every member alike.
func TestKeyGenerationConvicts(t *testing.T) {
	w := liarWorld(t)
	w.newKey("main")
	id := w.cores[0].dkg.Sessions()[0].SessionID
	var out Effects
	if err := w.cores[liar].broadcast(w.now, &out, dkg.ComplaintTopic(id), []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	w.settle(liar, out)
	w.run()
	first := w.cores[0].Evidence()
	for _, i := range []int{0, 2, 3} {
		held := w.cores[i].Evidence()
		if len(held) != 1 || held[0].ID != first[0].ID || held[0].Kind != dkg.FaultComplaint || !held[0].Own {
			t.Errorf("member %d holds %+v", i, held)
		}
	}
}

// A member that never stops does not fill the disk.
func TestEvidenceIsBounded(t *testing.T) {
	w := liarWorld(t)
	for n := range 3 * maxProofs {
		w.equivocate(0, n)
	}
	w.run()
	for _, i := range []int{0, 2, 3} {
		records := 0
		for key := range w.disks[i] {
			if strings.HasPrefix(key, "f/e/") {
				records++
			}
		}
		if held := w.cores[i].Evidence(); len(held) != maxProofs || records != maxProofs {
			t.Errorf("member %d holds %d proofs in %d records", i, len(held), records)
		}
	}
	big := make(proofBook)
	big[evidence.ID{1}] = &heldProof{proof: make([]byte, maxProofBytes-10)}
	if big.room(0, "x", 11) || !big.room(0, "x", 10) || !big.room(1, "x", 11) {
		t.Error("bytes are not bounded per member")
	}
}

// Who shows what proves nothing is blamed itself, and heard no more.
func TestWrongProofsAreRefused(t *testing.T) {
	w := liarWorld(t)
	w.equivocate(0, 1)
	good := w.cores[0].proofs.sorted()[0]
	tell := func(h *heldProof) error {
		s := cryptobyte.String(encodeProof(h)[1:])
		return w.cores[2].takeProof(new(Effects), w.configs[liar].Self, &s)
	}
	bend := func(change func(h *heldProof)) *heldProof {
		h := *good
		h.proof = bytes.Clone(h.proof)
		change(&h)
		return &h
	}
	for name, bad := range map[string]*heldProof{
		"changed": bend(func(h *heldProof) { h.proof[len(h.proof)-1] ^= 1 }),
		"source":  bend(func(h *heldProof) { h.source = evidence.DKG }),
		"id":      bend(func(h *heldProof) { h.ID[0] ^= 1 }),
		"long":    bend(func(h *heldProof) { h.proof = make([]byte, maxTold+1) }),
	} {
		w.cores[2].peers[w.configs[liar].Self].proofs = 0
		if err := tell(bad); err == nil || len(w.cores[2].proofs) != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if err := tell(good); name != "long" && (err != nil || len(w.cores[2].proofs) != 0) {
			t.Errorf("%s: heard again: %v", name, err)
		}
		delete(w.cores[2].proofs, good.ID)
	}
	w.cores[2].peers[w.configs[liar].Self].proofs = 0
	if err := tell(good); err != nil || len(w.cores[2].proofs) != 1 {
		t.Fatal("a good proof is refused")
	}
	if err := tell(good); err != nil || w.cores[2].peers[w.configs[liar].Self].proofs != 1 {
		t.Fatal("a known one costs another verification")
	}
}

func TestEvidenceFileByPrefix(t *testing.T) {
	w := liarWorld(t)
	w.equivocate(0, 1)
	id := w.cores[0].Evidence()[0].ID
	for prefix, want := range map[string]error{
		id.String(): nil, strings.ToUpper(id.String()[:6]): nil, id.String()[:3]: ErrEvidenceUnknown,
		"": ErrEvidenceUnknown, "zzzz": ErrEvidenceUnknown, id.String() + "0": ErrEvidenceUnknown,
	} {
		if _, _, err := w.cores[0].EvidenceFile(prefix); !errors.Is(err, want) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	twin := *w.cores[0].proofs[id]
	twin.ID[31] ^= 1
	w.cores[0].proofs[twin.ID] = &twin
	if _, _, err := w.cores[0].EvidenceFile(id.String()[:8]); !errors.Is(err, ErrEvidenceAmbig) {
		t.Errorf("%v", err)
	}
}

func FuzzProofRecord(f *testing.F) {
	w := liarWorld(f)
	w.equivocate(0, 1)
	f.Add(w.cores[0].proofs.sorted()[0].encode())
	f.Fuzz(func(t *testing.T, value []byte) {
		if err := w.cores[0].loadProof(evidence.ID{1}, value); err != nil {
			return
		}
		if got := w.cores[0].proofs[evidence.ID{1}].encode(); !bytes.Equal(got, value) {
			t.Fatalf("read %x, wrote %s", value, fmt.Sprint(hex.EncodeToString(got)))
		}
	})
}
