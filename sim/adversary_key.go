package sim

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
)

// What faulty members do when a key is made, and to broadcasts in general.

// Kinds of messages of protocols/frost/dkg, from its documents.
const (
	dkgCertSig, dkgAck, dkgWant         = 1, 2, 3
	dkgRecovery, dkgExclude, dkgRelayed = 4, 5, 6
)

// swap is a broadcast for which some members get another payload. Towards them
// the member stands by the lie in all its votes; towards its own core by the
// truth.
type swap struct {
	truth, lie       echo.Hash
	truthSig, lieSig [64]byte
	payload          []byte // of the lie
	original         []byte
}

// forger swaps payloads of its own broadcasts.
type forger struct {
	plan  *plan
	kind  string
	swaps map[string]*swap // by topic; nil: this one stays as it is
}

func newForger(kind string, aim *plan) *forger {
	return &forger{plan: aim, kind: kind, swaps: make(map[string]*swap)}
}

// told says whether a member gets the lie.
func (f *forger) told(i int) bool { return f.kind != "equivocator" || f.plan.other(i) }

func (f *forger) out(p *puppet, l letter) []letter {
	m, ok := parseEcho(l)
	if !ok {
		return []letter{l}
	}
	own := m.kind == echoSend || m.sender == string(p.m.cfg.Self)
	if !own || !f.told(l.to) {
		return []letter{l}
	}
	if m.kind == echoSend {
		m.sender = string(p.m.cfg.Self)
		if _, known := f.swaps[m.topic]; !known {
			f.swaps[m.topic] = f.newSwap(p, m)
		}
	}
	if s := f.swaps[m.topic]; s != nil {
		if m.hasHash() {
			m.hash = s.lie
		}
		m.sig = s.lieSig
		if m.hasPayload() {
			m.payload = s.payload
		}
		l.body = m.encode()
	}
	return []letter{l}
}

func (f *forger) in(_ *puppet, l letter) *letter {
	m, ok := parseEcho(l)
	if !ok || m.kind == echoSend {
		return &l
	}
	s := f.swaps[m.topic]
	switch {
	case s == nil:
		return &l
	case m.hasHash() && m.hash == s.lie:
		m.hash, m.sig = s.truth, s.truthSig
	case m.hasPayload() && bytes.Equal(m.payload, s.payload):
		m.payload = s.original
	default:
		return &l
	}
	l.body = m.encode()
	return &l
}

func (f *forger) newSwap(p *puppet, m echoMessage) *swap {
	lie := f.lie(p, m.topic, m.payload)
	if lie == nil {
		return nil
	}
	s := &swap{truth: echo.HashPayload(m.payload), truthSig: m.sig, lie: echo.HashPayload(lie), payload: lie, original: m.payload}
	s.lieSig = p.signBroadcast(m.topic, s.lie)
	return s
}

// lie makes the other payload, or nil.
func (f *forger) lie(p *puppet, topic string, payload []byte) []byte {
	w := p.m.w
	id, complaint, ok := dkg.ParseTopic(topic)
	if !ok || complaint {
		if f.kind == "equivocator" {
			return spoil(w, payload)
		}
		return nil
	}
	params := w.firstAttempt(payload)
	switch {
	case f.kind == "badm1" || params == nil:
		return spoil(w, payload)
	case f.kind == "equivocator":
		return deal(p, params, id) // as good as the other one
	}
	host := p.m.cfg.Host.Secret()
	m1, err := chilldkg.DealBadShares(host[:], params, chilldkg.SessionID(id), p.dealing(id),
		func(i int) bool { return i == f.plan.victim || f.plan.other(i) })
	if err != nil {
		panic(err) // the parameters name the member
	}
	return m1
}

// dealing is the randomness of a first message.
func (p *puppet) dealing(id dkg.SessionID) []byte {
	random := sha256.Sum256(append([]byte{byte(p.m.index)}, id[:]...))
	return random[:]
}

// deal makes a first message with the keys of the member.
func deal(p *puppet, params *chilldkg.SessionParams, id dkg.SessionID) []byte {
	host := p.m.cfg.Host.Secret()
	m1, err := chilldkg.Deal(host[:], params, chilldkg.SessionID(id), p.dealing(id))
	if err != nil {
		panic(err) // the parameters name the member
	}
	return m1
}

// firstAttempt returns the parameters of a session if all members deal in it, as
// the size of a first message tells.
func (w *world) firstAttempt(m1 []byte) *chilldkg.SessionParams {
	var keys [][]byte
	for _, card := range w.charter.Cards {
		keys = append(keys, card.Host[:])
	}
	params, err := chilldkg.NewSessionParams(keys, w.knobs.T)
	if err != nil || len(m1) != params.DealingSize() {
		return nil
	}
	return params
}

// signBroadcast signs a SEND.
func (p *puppet) signBroadcast(topic string, hash echo.Hash) [64]byte {
	sig, err := p.m.cfg.Host.Sign(echoPreimage(p.m.w.charter.ID(), string(p.m.cfg.Self), topic, hash), [32]byte{byte(p.m.index)})
	if err != nil {
		panic(err)
	}
	return sig
}

// withholder takes what broadcasts bring and helps none of them on.
type withholder struct{ honest }

func (withholder) out(_ *puppet, l letter) []letter {
	if m, ok := parseEcho(l); ok && (m.kind == echoEcho || m.kind == echoReady || m.kind == echoPayload) {
		return nil
	}
	return []letter{l}
}

// complainer accuses an honest dealer in every session: in due form, with a proof
// that proves nothing.
type complainer struct {
	plan  *plan
	nonce map[dkg.SessionID][]byte // of its own first messages
	done  map[dkg.SessionID]bool
}

func newComplainer(aim *plan) *complainer {
	return &complainer{aim, make(map[dkg.SessionID][]byte), make(map[dkg.SessionID]bool)}
}

func (c *complainer) out(p *puppet, l letter) []letter {
	m, ok := parseEcho(l)
	id, complaint, first := dkg.ParseTopic(m.topic)
	at := 33*p.m.w.knobs.T + 64 // after commitments and proof of possession
	if ok && m.kind == echoSend && first && !complaint && len(m.payload) > at+33 {
		c.nonce[id] = m.payload[at : at+33]
	}
	return []letter{l}
}

func (c *complainer) in(p *puppet, l letter) *letter {
	m, ok := parseEcho(l)
	victim := p.m.w.charter.Members()[c.plan.victim]
	if m.kind == echoSend && l.from == c.plan.victim {
		m.sender, m.hash = string(victim), echo.HashPayload(m.payload)
	}
	id, complaint, first := dkg.ParseTopic(m.topic)
	if !ok || !first || complaint || m.sender != string(victim) || !m.hasSig() || c.nonce[id] == nil || c.done[id] {
		return &l
	}
	c.done[id] = true
	forged := make([]byte, chilldkg.ComplaintSize)
	forged[3], forged[7] = byte(p.m.index), byte(c.plan.victim)
	point := p.m.w.charter.Cards[p.m.index].Host
	copy(forged[8:], point[:])
	forged[50] = 1
	payload := slices.Concat(c.nonce[id], forged, m.hash[:], m.sig[:])
	topic := dkg.ComplaintTopic(id)
	lie := echoMessage{kind: echoSend, topic: topic, payload: payload, sig: p.signBroadcast(topic, echo.HashPayload(payload))}
	for to := range p.m.w.knobs.N {
		p.say(letter{from: p.m.index, to: to, protocol: protocols.Echo, body: lie.encode(), delay: 1 + p.m.w.rng.Int64N(3_000)})
	}
	return &l
}

// voter votes against an honest member in every ceremony, and relays votes of
// others that it made up.
type voter struct {
	honest
	plan *plan
	done []dkg.SessionID
}

func (v *voter) out(p *puppet, l letter) []letter {
	out := []letter{l}
	m, ok := parseEcho(l)
	if !ok || m.kind != echoSend {
		return out
	}
	w := p.m.w
	id, complaint, ok := dkg.ParseTopic(m.topic)
	params := w.firstAttempt(m.payload)
	if !ok || complaint || params == nil || slices.Contains(v.done, id) || v.plan.victim == p.m.index {
		return out
	}
	v.done = append(v.done, id)
	host := p.m.cfg.Host.Secret()
	reason := byte(1 + w.rng.IntN(4))
	sig, err := chilldkg.SignExclusion(host[:], params, chilldkg.SessionID(id), v.plan.victim, reason, make([]byte, 32))
	if err != nil {
		panic(err)
	}
	vote := append([]byte{dkgExclude}, id[:]...)
	vote = append(vote, byte(v.plan.victim), 1, byte(p.m.index), reason)
	vote = append(vote, sig[:]...)
	for to := range w.knobs.N {
		out = append(out, letter{from: l.from, to: to, protocol: protocols.DKG, body: vote, delay: w.rng.Int64N(3_000)})
	}
	return out
}
