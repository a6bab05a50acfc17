package sign

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// mustProve reads a proof as a stranger would.
func (w *world) mustProve(f protocols.Fault, id requestID, items []Item) {
	w.tb.Helper()
	c, err := VerifyProof([32]byte{1}, f.Proof, verifyHost)
	if err != nil {
		w.tb.Fatalf("proof against %q: %v", f.Culprit, err)
	}
	if c.Culprit != f.Culprit || c.Request != id || c.Thresh != [33]byte(w.threshPK()) || c.Item >= len(items) || c.Message != items[c.Item].Message {
		w.tb.Errorf("the proof shows %v", c)
	}
}

// oneProof lets a member lie and returns the fault.
func oneProof(tb testing.TB) (*world, protocols.Fault) {
	w := newWorld(tb, 6, 2, 3, nil)
	id, items := reqID(1), w.items(2)
	liar := (w.ranked(id)[0] + 1) % 3
	w.nodes[liar].tamper = w.liar(liar, func(_ int, m *psigMsg) bool { m.psigs[1][9] ^= 1; return true })
	w.approveAll(id, items)
	w.run(30000)
	for _, nd := range w.nodes {
		for _, f := range nd.faults {
			w.mustProve(f, id, items)
			return w, f
		}
	}
	tb.Fatal("no fault")
	return nil, protocols.Fault{}
}

// A proof proves exactly what it is: one bit changed, and it proves nothing.
func TestProofIsExact(t *testing.T) {
	_, f := oneProof(t)
	for i := range f.Proof {
		bad := bytes.Clone(f.Proof)
		bad[i] ^= 1
		if c, err := VerifyProof([32]byte{1}, bad, verifyHost); !errors.Is(err, ErrProof) {
			t.Errorf("byte %d changed: %v, %v", i, c, err)
		}
		if _, err := VerifyProof([32]byte{1}, f.Proof[:i], verifyHost); !errors.Is(err, ErrProof) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := VerifyProof([32]byte{2}, f.Proof, verifyHost); !errors.Is(err, ErrProof) {
		t.Errorf("in another federation: %v", err)
	}
	if _, err := VerifyProof([32]byte{1}, append(bytes.Clone(f.Proof), 0), verifyHost); !errors.Is(err, ErrProof) {
		t.Error("trailing byte accepted")
	}
}

// Who lies and does not vouch for it is dropped on suspicion; there is no proof.
func TestUnvouchedLieIsSuspicion(t *testing.T) {
	w := newWorld(t, 6, 3, 5, nil)
	id, items := reqID(1), w.items(2)
	liar := (w.ranked(id)[0] + 1) % 5
	w.nodes[liar].tamper = onPSig(func(_ int, m *psigMsg) bool { m.psigs[0][9] ^= 1; return true })
	w.approveAll(id, items)
	w.run(30000)
	w.mustSign(id, items)
	if got := w.blamed(FaultBadReply); !slices.Equal(got, []int{liar}) {
		t.Errorf("suspected %v, want %d", got, liar)
	}
	for _, nd := range w.nodes {
		for _, f := range nd.faults {
			if f.Proof != nil {
				t.Errorf("%s has a proof", f.Kind)
			}
		}
	}
}

// A signature on right partial signatures that does not verify is not even
// looked at.
func TestRightAnswerNeedsNoVouch(t *testing.T) {
	w := newWorld(t, 6, 3, 3, nil)
	id, items := reqID(1), w.items(2)
	for i := range w.nodes {
		w.nodes[i].tamper = onPSig(func(_ int, m *psigMsg) bool { m.vouch[3] ^= 1; return true })
	}
	w.approveAll(id, items)
	w.run(30000)
	w.mustSign(id, items)
	w.mustNotBlame()
}

// A proven liar is chosen last: the next requests do without it at once.
func TestProvenLiarIsChosenLast(t *testing.T) {
	for _, told := range []bool{false, true} {
		w := newWorld(t, 6, 3, 5, nil)
		liar, lies := -1, 0
		for k := range byte(6) {
			id, items := reqID(k), w.items(1)
			c := w.ranked(id)[0]
			if k == 0 {
				liar = (c + 1) % 5 // the coordinator's neighbour is in its first session
				w.nodes[liar].tamper = w.liar(liar, func(_ int, m *psigMsg) bool { lies++; m.psigs[0][9] ^= 1; return true })
			}
			if told {
				for _, nd := range w.nodes {
					nd.m.Distrust(name(liar))
				}
			}
			before := lies
			w.approveAll(id, items)
			w.run(1900) // one coordinator's turn
			w.mustSign(id, items)
			if told && lies != before {
				t.Errorf("request %d: a proven liar was asked", k)
			}
			if !told && k == 0 {
				if lies == 0 {
					t.Fatal("the liar was never asked")
				}
				for _, nd := range w.nodes { // as the evidence spreads
					nd.m.Distrust(name(liar))
				}
				told = true
			}
		}
	}
}

// lyingCoordinator is member 0 of 2-of-3: it sends member 1 any SIGN it likes, and
// then makes the most of the answers. Whatever it does, no stranger believes that
// member 1 lied.
func lyingCoordinator(t *testing.T, seed uint64) {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	rng := rand.New(rand.NewChaCha8(s))
	d := newDuel(t, 2)
	d.asked[d.id] = d.items
	d.approveSigner()
	info := d.signer.requests[d.id].key.info
	point := func() (p [66]byte) { // a random valid pair, or one with infinity
		_, pub, err := bip445.NonceGen(d.rng, bip445.NonceInput{})
		if err != nil {
			t.Fatal(err)
		}
		p = pub.Bytes()
		switch rng.IntN(5) {
		case 0:
			clear(p[:33])
		case 1:
			clear(p[33:])
		case 2:
			clear(p[:])
		}
		return p
	}
	var statements []*statement
	var sigs [][64]byte
	for sid := uint32(1); sid < 5; sid++ {
		msg := d.craft(0, sid)
		for j := range msg.slots {
			switch rng.IntN(4) {
			case 0: // negates the signer's own nonce: R is infinite, or only the liar's
				own := d.pubs[pubName(1, 0, msg.epoch, msg.slots[j].index)]
				own[0], own[33] = own[0]^1, own[33]^1
				msg.slots[j].aggnonce = own
			case 1, 2:
				msg.slots[j].aggnonce = point()
			}
		}
		if rng.IntN(2) == 0 {
			msg.signers = []int{1, 2}
		}
		if rng.IntN(4) == 0 {
			msg.first, msg.slots = 1, msg.slots[:1]
		}
		if rng.IntN(4) == 0 && len(msg.slots) == 2 {
			msg.slots[0].index, msg.slots[1].index = msg.slots[1].index, msg.slots[0].index
		}
		d.deliver(0, 1, msg.encode())
		answer, _ := d.ask(0, msg)
		p, ok := answer.(psigMsg)
		if !ok {
			continue
		}
		d.note(1, 0, p.refill)
		st := d.statement(1, 0, p)
		if !verifyHost(name(1), st.preimage(), p.vouch[:]) {
			t.Fatal("the signer vouched for something else")
		}
		statements, sigs = append(statements, st), append(sigs, p.vouch)
	}
	if len(statements) == 0 {
		t.Fatal("no answer")
	}
	innocent := func(st *statement, sig [64]byte) {
		if c, err := VerifyProof([32]byte{1}, encodeProof(info, st.encode(), sig), verifyHost); !errors.Is(err, ErrProof) {
			t.Fatalf("seed %d: an honest signer is convicted: %v, %v", seed, c, err)
		}
	}
	for i, st := range statements {
		innocent(st, sigs[i]) // what it did sign is right
		for range 30 {
			forged := *st
			forged.parts = slices.Clone(st.parts)
			p := &forged.parts[rng.IntN(len(forged.parts))]
			other := statements[rng.IntN(len(statements))]
			q := other.parts[rng.IntN(len(other.parts))]
			switch rng.IntN(9) {
			case 0:
				p.aggnonce = point()
			case 1:
				p.pubnonce = q.pubnonce
			case 2:
				p.psig = q.psig
			case 3:
				p.item = q.item
				p.item.Message[0] ^= 1
			case 4:
				forged.places = []int{0, 1, 2}
			case 5:
				forged.signer = name(rng.IntN(3))
			case 6:
				forged.first++
			case 7:
				forged.session.sid++
			case 8:
				forged.parts = append(forged.parts, q)
			}
			innocent(&forged, sigs[rng.IntN(len(sigs))])
		}
		// Another key under its name.
		k, err := parseGroupInfo(info)
		if err != nil {
			t.Fatal(err)
		}
		k.PubShares[0], k.PubShares[1] = k.PubShares[1], k.PubShares[0]
		if _, err := VerifyProof([32]byte{1}, encodeProof(k.groupInfo(k.Participants), st.encode(), sigs[i]), verifyHost); !errors.Is(err, ErrProof) {
			t.Fatal("convicted under another key")
		}
	}
}

// TestM9 is about signing; key generation has its own.
func TestM9LyingCoordinatorConvictsNobody(t *testing.T) {
	for seed := range uint64(25) {
		lyingCoordinator(t, seed)
	}
}

func FuzzLyingCoordinator(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(lyingCoordinator)
}

// FuzzVerifyProof: no input convicts anybody but the one proof there is.
func FuzzVerifyProof(f *testing.F) {
	_, fault := oneProof(f)
	f.Add(fault.Proof)
	f.Add(fault.Proof[:100])
	f.Fuzz(func(t *testing.T, proof []byte) {
		if _, err := VerifyProof([32]byte{1}, proof, verifyHost); err == nil {
			if !bytes.Equal(proof, fault.Proof) {
				t.Fatal("a second proof")
			}
		} else if !errors.Is(err, ErrProof) {
			t.Fatal(err)
		}
	})
}
