package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/membership"
)

// world is a federation of four that makes keys over real broadcast, signed with
// real host keys. One member may lie. It keeps what honest members sent and found.
type world struct {
	t       testing.TB
	charter *membership.Charter
	keys    []*memberkey.Keys // in order of the charter
	members []protocols.NodeID
	echo    []*echo.Machine
	dkg     []*dkg.Machine
	queue   []letter
	lie     func(w *world, topic string, payload []byte) [][]byte // of the liar; several are equivocation

	broadcasts map[string]echo.Delivered // by sender and topic
	dkgFrames  [][]byte                  // of honest members
	echoFrames [][]byte
	faults     []protocols.Fault // of honest members
}

type letter struct {
	to, from int
	protocol protocols.Protocol
	body     []byte
}

const liar = 1

func newCharter(t testing.TB, name string) (*membership.Charter, []*memberkey.Keys) {
	t.Helper()
	byHost := make(map[[33]byte]*memberkey.Keys)
	var cards []*membership.Card
	for i, who := range []string{"alice", "bob", "carol", "dave"} {
		seed := sha256.Sum256(fmt.Appendf(nil, "member %d", i))
		keys, err := memberkey.Derive(seed[:], 0)
		if err != nil {
			t.Fatal(err)
		}
		card, err := membership.NewCard(keys, who, 1, nil, func() [32]byte { return [32]byte{1} })
		if err != nil {
			t.Fatal(err)
		}
		byHost[card.Host] = keys
		cards = append(cards, card)
	}
	charter, err := membership.NewCharter(name, "regtest", 3, cards)
	if err != nil {
		t.Fatal(err)
	}
	var keys []*memberkey.Keys
	for _, card := range charter.Cards {
		keys = append(keys, byHost[card.Host])
	}
	return charter, keys
}

func newWorld(t testing.TB, lie func(w *world, topic string, payload []byte) [][]byte) *world {
	t.Helper()
	w := &world{t: t, lie: lie, broadcasts: make(map[string]echo.Delivered)}
	w.charter, w.keys = newCharter(t, "pool")
	w.members = w.charter.Members()
	for i := range w.members {
		w.echo = append(w.echo, w.newEcho(i))
		m, err := dkg.New(dkg.Config{Self: w.members[i], Members: KeyMembers(w.charter), HostSecret: w.keys[i].Host.Secret,
			Rand: w.rand(i), Notary: Notary(w.charter)})
		if err != nil {
			t.Fatal(err)
		}
		w.dkg = append(w.dkg, m)
	}
	return w
}

func (w *world) rand(i int) io.Reader { return rand.NewChaCha8([32]byte{byte(i)}) }

func (w *world) sign(i int, preimage []byte) ([]byte, error) {
	sig, err := w.keys[i].Host.Sign(preimage, sha256.Sum256(preimage))
	return sig[:], err
}

func (w *world) newEcho(i int) *echo.Machine {
	m, err := echo.New(echo.Config{Federation: w.charter.ID(), Self: w.members[i], Members: w.members,
		Sign: func(p []byte) ([]byte, error) { return w.sign(i, p) }, Verify: verifier(w.charter)})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// ceremony makes a key among all, as far as the liar lets them.
func (w *world) ceremony(name string) {
	c := dkg.Ceremony{ID: sha256.Sum256([]byte(name)), T: 3, Label: name}
	for i, m := range w.dkg {
		w.fromDKG(i, m.Start(0, c))
	}
	for len(w.queue) > 0 {
		l := w.queue[0]
		w.queue = w.queue[1:]
		if l.protocol == protocols.Echo {
			w.fromEcho(l.to, w.echo[l.to].Step(0, w.members[l.from], l.body))
		} else {
			w.fromDKG(l.to, w.dkg[l.to].Step(0, w.members[l.from], l.body))
		}
	}
}

func (w *world) send(i int, out []protocols.Envelope) {
	for _, e := range out {
		w.queue = append(w.queue, letter{w.charter.Index(e.To), i, e.Protocol, e.Body})
		switch {
		case i == liar:
		case e.Protocol == protocols.Echo:
			w.echoFrames = append(w.echoFrames, e.Body)
		default:
			w.dkgFrames = append(w.dkgFrames, e.Body)
		}
	}
}

func (w *world) note(i int, source Source, faults []protocols.Fault) {
	for _, f := range faults {
		if i != liar && f.Proof != nil {
			f.Detail = string(source)
			w.faults = append(w.faults, f)
		}
	}
}

func (w *world) fromEcho(i int, e echo.Effects) {
	w.send(i, e.Send)
	w.note(i, Echo, e.Faults)
	for _, d := range e.Out {
		if i != liar {
			w.broadcasts[string(d.Sender)+d.Topic] = d
		}
		w.fromDKG(i, w.dkg[i].Delivered(0, d.Sender, d.Topic, d.Payload, d.Signature))
	}
}

func (w *world) fromDKG(i int, e protocols.Effects[dkg.Event]) {
	w.send(i, e.Send)
	w.note(i, DKG, e.Faults)
	for _, out := range e.Out {
		if b, ok := out.(dkg.Broadcast); ok {
			w.broadcast(i, b)
		}
	}
	for _, job := range e.Work {
		w.fromDKG(i, w.dkg[i].Done(0, job.ID, job.Run()))
	}
}

func (w *world) broadcast(i int, b dkg.Broadcast) {
	payloads := [][]byte{b.Payload}
	if i == liar && w.lie != nil {
		payloads = w.lie(w, b.Topic, b.Payload)
	}
	for k, p := range payloads {
		m := w.echo[i]
		if k > 0 { // another machine of the same member knows nothing of the first
			m = w.newEcho(i)
		}
		e, err := m.Broadcast(0, b.Topic, p)
		if err != nil {
			w.t.Fatal(err)
		}
		w.fromEcho(i, e)
	}
}

// found returns one proof of each kind that honest members found, as evidence.
func (w *world) found() (out []*Evidence) {
	seen := make(map[string]bool)
	for _, f := range w.faults {
		if !seen[f.Kind] {
			seen[f.Kind] = true
			out = append(out, &Evidence{w.charter, Source(f.Detail[0]), f.Proof})
		}
	}
	return out
}

// Lies of the liar, by what they prove.
var lies = map[string]func(w *world, topic string, payload []byte) [][]byte{
	echo.FaultEquivocation: func(_ *world, _ string, p []byte) [][]byte { return [][]byte{p, append(bytes.Clone(p), 0)} },
	dkg.FaultFirstMessage: func(_ *world, topic string, p []byte) [][]byte {
		p = bytes.Clone(p)
		p[len(p)-1] ^= 1
		return [][]byte{p}
	},
	dkg.FaultShare: func(w *world, topic string, p []byte) [][]byte {
		if !strings.HasSuffix(topic, "/m1") {
			return [][]byte{p}
		}
		return [][]byte{w.badDealing(topic)}
	},
	dkg.FaultComplaint: func(w *world, topic string, p []byte) [][]byte {
		id, _, _ := dkg.ParseTopic(topic)
		e, err := w.echo[liar].Broadcast(0, dkg.ComplaintTopic(id), []byte("nonsense"))
		if err != nil {
			w.t.Fatal(err)
		}
		w.fromEcho(liar, e)
		return [][]byte{p}
	},
}

// badDealing is a first message of the liar, right in all that is public, with
// shares for other keys than the members'.
func (w *world) badDealing(topic string) []byte {
	id, _, _ := dkg.ParseTopic(topic)
	var keys [][]byte
	for i, card := range w.charter.Cards {
		host := card.Host
		if i != liar {
			secret := sha256.Sum256([]byte{byte(i)})
			host, _ = chilldkg.HostPubkeyGen(secret[:])
		}
		keys = append(keys, host[:])
	}
	params, err := chilldkg.NewSessionParams(keys, 3)
	if err != nil {
		w.t.Fatal(err)
	}
	host := w.keys[liar].Host.Secret()
	m1, err := chilldkg.Deal(host[:], params, chilldkg.SessionID(id), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		w.t.Fatal(err)
	}
	return m1
}

// badPartial is a proof that a member vouched for nonsense: a key of its own, and a
// partial signature of zero.
func (w *world) badPartial(i int) *Evidence {
	point, _ := hex.DecodeString("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
	tagged := func(tag string, parts ...[]byte) []byte { h := memberkey.Hash(tag, parts...); return h[:] }
	var group, st, proof cryptobyte.Builder
	group.AddBytes(slices.Concat(make([]byte, 32), []byte{1}, point, []byte{1}, point, []byte{byte(len(w.members[i]))}, []byte(w.members[i])))
	id := w.charter.ID()
	st.AddBytes(id[:])
	st.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(w.members[i])) })
	st.AddBytes(tagged("frostfed/v1/sign/group", group.BytesOrPanic()))
	st.AddBytes(make([]byte, 32))                           // request
	st.AddBytes(bytes.Repeat([]byte{1}, 16+4))              // run, session
	st.AddBytes([]byte{1, 0})                               // signers
	st.AddBytes(make([]byte, 4+32))                         // first item, refill
	st.AddBytes([]byte{0, 1})                               // one item
	st.AddBytes(make([]byte, 32+1))                         // message, no tweaks
	st.AddBytes(slices.Concat(point, point))                // aggregate nonce
	st.AddBytes(slices.Concat(point, point))                // own nonce
	st.AddBytes(slices.Concat(make([]byte, 31), []byte{1})) // partial signature
	const vouch = "frostfed/v1/sign/psig"
	sig, err := w.sign(i, append([]byte(vouch), tagged(vouch, st.BytesOrPanic())...))
	if err != nil {
		w.t.Fatal(err)
	}
	proof.AddUint8(1)
	proof.AddBytes(sig)
	proof.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(group.BytesOrPanic()) })
	proof.AddBytes(st.BytesOrPanic())
	return &Evidence{w.charter, Sign, proof.BytesOrPanic()}
}

// specimens are one piece of evidence of each kind, all against the liar. The work
// is done once; nobody changes what it returns.
var specimens = sync.OnceValue(func() map[string]*Evidence {
	t := new(testing.T)
	out := make(map[string]*Evidence)
	for kind, lie := range lies {
		w := newWorld(t, lie)
		w.ceremony("main")
		for _, e := range w.found() {
			if v, err := e.Verify(); err == nil && v.Kind == kind {
				out[kind] = e
			}
		}
	}
	w := newWorld(t, nil)
	out["sign_bad_partial"] = w.badPartial(liar)
	return out
})
