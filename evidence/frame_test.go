package evidence

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
)

// pool is all that a framer can have: what was ever broadcast and signed, by the
// honest and by the liar, in every world and ceremony, and the keys they made.
type pool struct {
	world      *world
	broadcasts []echo.Delivered
	complaints []echo.Delivered // of the honest
	ceremonies []string
	sessions   []dkg.SessionView
	recoveries [][]byte
	blobs      [][]byte // any bytes that somebody signed or sent
}

// newPool runs every lie in a ceremony of its own: an honest member says one thing in
// one session. The liar says more, to whom it wants.
func newPool(t testing.TB) *pool {
	p := &pool{}
	for _, kind := range append([]string{"", "none"}, slices.Sorted(maps.Keys(lies))...) {
		w := newWorld(t, lies[kind])
		p.world, p.ceremonies = w, append(p.ceremonies, "main "+kind)
		w.ceremony("main " + kind)
		for _, key := range slices.Sorted(maps.Keys(w.broadcasts)) {
			p.add(w.broadcasts[key])
		}
		for _, d := range slices.Clone(p.broadcasts) {
			if id, complaint, _ := dkg.ParseTopic(d.Topic); !complaint && d.Sender != w.members[liar] {
				p.add(w.solo(d.Topic, w.badDealing(d.Topic)))
				p.add(w.solo(d.Topic, d.Payload))
				p.add(w.solo(dkg.ComplaintTopic(id), w.forge(d)))
				invented := w.solo(d.Topic, []byte("nonsense")) // which the accused never signed
				p.add(invented)
				invented.Sender = d.Sender
				p.add(w.solo(dkg.ComplaintTopic(id), w.forge(invented)))
			}
		}
		p.sessions = append(p.sessions, w.dkg[0].Sessions()...)
		for _, k := range w.dkg[0].Keys() {
			p.recoveries = append(p.recoveries, k.Recovery)
			p.blobs = append(p.blobs, k.Recovery)
		}
		for _, f := range w.faults {
			p.blobs = append(p.blobs, f.Proof)
		}
		p.blobs = append(append(p.blobs, w.dkgFrames...), w.echoFrames...)
	}
	return p
}

func (p *pool) add(d echo.Delivered) {
	p.broadcasts = append(p.broadcasts, d)
	if _, complaint, _ := dkg.ParseTopic(d.Topic); complaint && d.Sender != p.world.members[liar] {
		p.complaints = append(p.complaints, d)
	}
	p.blobs = append(p.blobs, d.Payload, d.Signature[:], d.Hash[:])
}

// solo is a broadcast of the liar that it signs for itself alone.
func (w *world) solo(topic string, payload []byte) echo.Delivered {
	m, err := echo.New(echo.Config{Federation: w.charter.ID(), Self: w.members[liar], Members: w.members[liar : liar+1],
		Sign: func(p []byte) ([]byte, error) { return w.sign(liar, p) }, Verify: verifier(w.charter)})
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := m.Broadcast(0, topic, payload)
	if err != nil || len(e.Out) != 1 {
		w.t.Fatalf("%+v %v", e, err)
	}
	return e.Out[0]
}

// forge is a complaint of the liar about a first message, with a proof of nothing.
func (w *world) forge(about echo.Delivered) []byte {
	own := w.badDealing(about.Topic)
	c := make([]byte, chilldkg.ComplaintSize)
	c[3], c[7] = liar, byte(w.charter.Index(about.Sender))
	copy(c[8:], w.charter.Cards[0].Host[:])
	const nonceAt = 33*3 + 64
	return slices.Concat(own[nonceAt:nonceAt+33], c, about.Hash[:], about.Signature[:])
}

// No use of what honest members said proves anything against one of them: not of
// any message, signature or key in any place of any proof, nor with bytes changed.
// The framer is the liar; it has its own key, and all that it ever saw.
func TestHonestAreNeverProvenGuilty(t *testing.T) {
	p := newPool(t)
	if len(p.broadcasts) < 30 || len(p.recoveries) == 0 || len(p.complaints) == 0 {
		t.Fatalf("%d broadcasts, %d keys: the transcripts are too small", len(p.broadcasts), len(p.recoveries))
	}
	guilty := make(map[string]int)
	framer := func(t *rapid.T) {
		source, proof, assembled := p.draw(t)
		f, err := find(p.world.charter, source, proof)
		if err != nil {
			return
		}
		if p.world.charter.Index(f.culprit) != liar {
			t.Fatalf("member %d is framed: %s, %s", p.world.charter.Index(f.culprit), f.kind, f.words)
		}
		if assembled {
			guilty[f.kind]++
		}
	}
	for range 10 { // a draw is cheap, the transcripts are not
		rapid.Check(t, framer)
	}
	if guilty[echo.FaultEquivocation] == 0 || len(guilty) < 2 {
		t.Errorf("the framer assembles no proof but %v: it draws nonsense", guilty)
	}
}

// draw makes a proof: assembled from what there is, or a sound one against the liar,
// and changes it from time to time.
func (p *pool) draw(t *rapid.T) (source Source, proof []byte, assembled bool) {
	assembled = true
	switch rapid.IntRange(0, 4).Draw(t, "source") {
	case 0:
		source, proof = Echo, p.drawEcho(t)
	case 1:
		e := specimens()[rapid.SampledFrom(slices.Sorted(maps.Keys(specimens()))).Draw(t, "specimen")]
		source, proof, assembled = e.Source, bytes.Clone(e.Proof), false
	default:
		source, proof = DKG, p.drawDKG(t)
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "changes") {
		if len(proof) == 0 {
			break
		}
		at := rapid.IntRange(0, len(proof)-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "splice") {
			blob := rapid.SampledFrom(p.blobs).Draw(t, "blob")
			copy(proof[at:], blob)
		} else {
			proof[at] ^= rapid.Byte().Draw(t, "xor")
		}
	}
	return source, proof, assembled
}

// mostly draws what is right, and something else from time to time.
func mostly[V any](t *rapid.T, right V, others []V, what string) V {
	if len(others) == 0 || rapid.IntRange(0, 4).Draw(t, what+" is right") > 0 {
		return right
	}
	return rapid.SampledFrom(others).Draw(t, what)
}

func (p *pool) broadcast(t *rapid.T, what string) echo.Delivered {
	return rapid.SampledFrom(p.broadcasts).Draw(t, what)
}

func (p *pool) drawEcho(t *rapid.T) []byte {
	a := p.broadcast(t, "first")
	var same []echo.Delivered // of the sender and topic, in other worlds
	for _, d := range p.broadcasts {
		if d.Sender == a.Sender && d.Topic == a.Topic && d.Hash != a.Hash {
			same = append(same, d)
		}
	}
	b := p.broadcast(t, "second")
	if len(same) > 0 {
		b = mostly(t, same[0], p.broadcasts, "second")
	}
	if bytes.Compare(a.Hash[:], b.Hash[:]) > 0 {
		a, b = b, a
	}
	head := append([]byte{1, byte(len(a.Sender))}, a.Sender...)
	head = append(append(head, byte(len(a.Topic))), a.Topic...)
	return slices.Concat(head, a.Hash[:], a.Signature[:], b.Hash[:], b.Signature[:])
}

func long(v []byte) []byte {
	return append([]byte{byte(len(v) >> 16), byte(len(v) >> 8), byte(len(v))}, v...)
}

// drawDKG assembles a proof of any form from the parts that there are.
func (p *pool) drawDKG(t *rapid.T) []byte {
	d := p.broadcast(t, "broadcast")
	if rapid.Bool().Draw(t, "about an honest complaint") {
		d = rapid.SampledFrom(p.complaints).Draw(t, "complaint")
	}
	id, complaint, _ := dkg.ParseTopic(d.Topic)
	forms := []byte{1}
	if complaint {
		forms = []byte{2, 3, 4, 5}
	}
	form := mostly(t, rapid.SampledFrom(forms).Draw(t, "fitting form"), []byte{1, 2, 3, 4, 5, 6, 7}, "form")
	sender := byte(p.world.charter.Index(d.Sender))
	payload := mostly(t, d.Payload, p.blobs, "payload")
	sig := mostly(t, d.Signature, []([64]byte){p.broadcast(t, "signed").Signature}, "signature")
	if form == 6 {
		what := byte(0)
		if complaint {
			what = 1
		}
		return slices.Concat([]byte{1, 6}, id[:], []byte{what, sender}, sig[:], long(payload))
	}
	name := mostly(t, p.ceremony(d.Topic), p.ceremonies, "ceremony")
	ceremony := sha256.Sum256([]byte(name))
	proof := slices.Concat([]byte{1, form}, ceremony[:], []byte{mostly(t, 0, []byte{1, 2, 9}, "suite"), mostly(t, 3, []byte{0, 1, 2, 4, 5}, "t")})
	out := mostly(t, nil, [][]byte{{0}, {1}, {2}, {0, 1}, {1, 1}, {4}}, "out")
	proof = append(append(proof, byte(len(out))), out...)
	sender = mostly(t, sender, []byte{0, 1, 2, 3, 4}, "sender")
	proof = slices.Concat(proof, []byte{sender}, sig[:], long(payload))
	other := p.sibling(t, d.Topic)
	switch form {
	case 3:
		accused := byte(p.world.charter.Index(other.Sender))
		if len(payload) > 40 {
			accused = payload[40] // as the complaint has it
		}
		accused = mostly(t, accused, []byte{0, 1, 2, 3}, "accused")
		return slices.Concat(proof, []byte{accused}, long(other.Payload))
	case 4:
		return slices.Concat(proof, other.Signature[:], long(other.Payload))
	case 5:
		recovery := rapid.SampledFrom(p.recoveries).Draw(t, "key")
		n := p.world.charter.N()
		eq, cert := recovery[:len(recovery)-64*n], recovery[len(recovery)-64*n:]
		at := mostly(t, int(sender)%n, []int{0, 1, 2, 3}, "signer")
		return slices.Concat(proof, cert[64*at:64*at+64], eq)
	}
	return proof
}

// ceremony is the one whose first session a topic names.
func (p *pool) ceremony(topic string) string {
	for _, s := range p.sessions {
		if strings.Contains(topic, s.SessionID.String()) {
			return s.Label
		}
	}
	return p.ceremonies[0]
}

// sibling is a first message of another member in the session of a topic.
func (p *pool) sibling(t *rapid.T, topic string) echo.Delivered {
	id, _, _ := dkg.ParseTopic(topic)
	var of []echo.Delivered
	for _, d := range p.broadcasts {
		if d.Topic == dkg.M1Topic(id) {
			of = append(of, d)
		}
	}
	if len(of) == 0 {
		of = p.broadcasts
	}
	return mostly(t, rapid.SampledFrom(of).Draw(t, "sibling"), p.broadcasts, "other")
}
