package sign

import (
	"fmt"
	"slices"
	"testing"
)

// A key that some members have no share of is signed with by the others, whoever
// is missing: those without a share neither sign nor coordinate, and their
// messages about it are faults or nothing.
func TestParticipants(t *testing.T) {
	for _, participants := range [][]int{{1, 2, 3, 4}, {0, 2, 3}, {0, 1, 4}, {0, 1, 2, 3}} {
		t.Run(fmt.Sprint(participants), func(t *testing.T) {
			w := newPartWorld(t, 1, 3, 5, nil, participants)
			items := w.items(7)
			for k := range byte(8) { // several orders of coordinators
				id := reqID(k)
				for _, i := range participants {
					w.approve(i, id, items)
				}
				w.run(60000)
				for _, i := range participants {
					sigs := w.nodes[i].signed[id]
					if len(sigs) != len(items) {
						t.Fatalf("member %d has %d signatures", i, len(sigs))
					}
					for j, sig := range sigs {
						if !w.valid(items[j], sig) {
							t.Fatalf("signature %d does not verify", j)
						}
					}
				}
				for i, nd := range w.nodes {
					if !slices.Contains(participants, i) && nd.sessions[id] != 0 {
						t.Fatalf("member %d coordinates a key it has no share of", i)
					}
				}
			}
			w.mustNotBlame()
		})
	}
}

// A participant that stops is replaced, within the participants.
func TestParticipantsLiveness(t *testing.T) {
	participants := []int{0, 2, 3, 4}
	w := newPartWorld(t, 2, 3, 5, nil, participants)
	w.kill(3)
	items := w.items(2)
	id := reqID(1)
	for _, i := range []int{0, 2, 4} {
		w.approve(i, id, items)
	}
	w.run(120000)
	for _, i := range []int{0, 2, 4} {
		if len(w.nodes[i].signed[id]) != len(items) {
			t.Fatalf("member %d has no signatures", i)
		}
	}
}

func TestAddKeyRejectsParticipants(t *testing.T) {
	w := newPartWorld(t, 3, 2, 4, nil, []int{0, 1, 3})
	m := w.nodes[0].m
	for what, change := range map[string]func(*Key){
		"not in order":    func(k *Key) { slices.Reverse(k.Participants) },
		"twice":           func(k *Key) { k.Participants[2] = k.Participants[1] },
		"stranger":        func(k *Key) { k.Participants[2] = "mallory" },
		"without me":      func(k *Key) { k.Participants[0] = name(2); slices.Sort(k.Participants) },
		"too few shares":  func(k *Key) { k.PubShares = k.PubShares[:2] },
		"all":             func(k *Key) { k.Participants = nil },
		"another's place": func(k *Key) { k.Participants[1] = name(2); k.SecShare = w.keys[1].SecShare },
	} {
		k := w.keys[0]
		k.ID[5]++
		k.Participants = slices.Clone(k.Participants)
		change(&k)
		e := m.AddKey(0, k)
		if len(e.Out) != 1 {
			t.Fatalf("%s: %+v", what, e.Out)
		}
		if _, ok := e.Out[0].(KeyRejected); !ok {
			t.Fatalf("%s: %+v", what, e.Out)
		}
	}
}

// A SIGN that names a member without a share is refused and blames its sender.
func TestSignWithOutsider(t *testing.T) {
	w := newPartWorld(t, 4, 3, 5, nil, []int{0, 1, 2, 4})
	items, id := w.items(1), reqID(1)
	w.nodes[2].tamper = func(to int, body []byte) [][]byte {
		msg, err := decode(body)
		s, ok := msg.(signMsg)
		if err != nil || !ok {
			return [][]byte{body}
		}
		s.signers = []int{0, 1, 3}
		return [][]byte{s.encode()}
	}
	for _, i := range []int{0, 1, 2, 4} {
		w.approve(i, id, items)
	}
	w.run(120000)
	for _, i := range []int{0, 1, 4} {
		if len(w.nodes[i].signed[id]) != 1 {
			t.Fatalf("member %d has no signature", i)
		}
		for _, f := range w.nodes[i].faults {
			if f.Culprit != name(2) {
				t.Fatalf("member %d blames %+v", i, f)
			}
		}
	}
}
