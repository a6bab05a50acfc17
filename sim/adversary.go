package sim

import (
	"bytes"
	"slices"

	"frostfed/protocols"
)

// adversaries are the kinds of faulty members that a seed draws from.
var adversaries = []string{
	"crash", "mute", "slow", "garbage", // without understanding anything
	"liar", "replayer", "unsolicited", // with well-formed messages
	"badm1", "badshare", "equivocator", "withholder", "complainer", "voter", // when a key is made
	"badpsig", "coordinator", "drainer", // when something is signed
	"lastmover", // after it has seen what the others do
}

// plan is what an adversary aims at. Faulty members that conspire share one.
type plan struct {
	victim int    // an honest member
	half   uint64 // members, as bits: told something else than the rest
}

func (p *plan) other(i int) bool { return p.half>>i&1 == 1 }

func (w *world) newPlan() *plan {
	p := &plan{half: w.rng.Uint64()}
	for p.victim = w.rng.IntN(w.knobs.N); w.members[p.victim].faulty; {
		p.victim = w.rng.IntN(w.knobs.N)
	}
	return p
}

// behaviour of a new process of a faulty member.
func (w *world) behaviour(m *member) behaviour {
	var aim *plan
	if w.knobs.Conspire {
		if w.plan == nil {
			w.plan = w.newPlan()
		}
		aim = w.plan
	} else {
		aim = w.newPlan()
	}
	switch m.kind {
	case "mute":
		return mute{}
	case "slow":
		return slow{}
	case "garbage":
		return garbage{}
	case "liar":
		return liar{}
	case "replayer":
		return &replayer{}
	case "unsolicited":
		return &unsolicited{}
	case "badm1", "badshare", "equivocator":
		return newForger(m.kind, aim)
	case "withholder":
		return withholder{}
	case "complainer":
		return newComplainer(aim)
	case "voter":
		return &voter{plan: aim}
	case "badpsig":
		return badpsig{}
	case "coordinator":
		return &coordinator{}
	case "drainer":
		return &drainer{}
	case "lastmover":
		return newLastmover(aim)
	}
	panic("sim: unknown adversary " + m.kind)
}

// honest passes everything on. Behaviours embed it.
type honest struct{}

func (honest) out(_ *puppet, l letter) []letter { return []letter{l} }
func (honest) in(_ *puppet, l letter) *letter   { return &l }

// mute hears everything and says nothing.
type mute struct{ honest }

func (mute) out(*puppet, letter) []letter { return nil }

// slow answers after seconds.
type slow struct{ honest }

func (slow) out(p *puppet, l letter) []letter {
	l.delay = 1_000 + p.m.w.rng.Int64N(8_000)
	return []letter{l}
}

// garbage spoils frames on the wire, beneath all meaning, and sends old ones.
type garbage struct{ honest }

// frames are what is sent in place of one.
func (garbage) frames(p *puppet, env protocols.Envelope) []protocols.Envelope {
	w := p.m.w
	bad := env
	switch w.rng.IntN(8) {
	case 0:
		bad.Body = spoil(w, env.Body)
		return []protocols.Envelope{bad} // the truth comes again when it is missed
	case 1:
		bad.Body = spoil(w, env.Body)
		return []protocols.Envelope{env, bad}
	case 2: // of another conversation
		if to := w.rng.IntN(w.knobs.N); to != p.m.index {
			bad.To = w.charter.Members()[to]
			return []protocols.Envelope{env, bad}
		}
	}
	return []protocols.Envelope{env}
}

// spoil changes a few bytes: one bit, the end, or the whole.
func spoil(w *world, body []byte) []byte {
	bad := slices.Clone(body)
	switch w.rng.IntN(4) {
	case 0:
		bad = make([]byte, 1+w.rng.IntN(200))
		for i := range bad {
			bad[i] = byte(w.rng.Uint32())
		}
	case 1, 2:
		bit := w.rng.IntN(8 * len(bad))
		bad[bit/8] ^= 1 << (bit % 8)
	case 3:
		bad = bad[:1+w.rng.IntN(len(bad))]
	}
	return bad
}

// liar spoils some of its messages.
type liar struct{ honest }

func (liar) out(p *puppet, l letter) []letter {
	switch w := p.m.w; w.rng.IntN(8) {
	case 0:
		l.body = spoil(w, l.body)
	case 1:
		bad := l
		bad.body = spoil(w, l.body)
		return []letter{bad, l}
	}
	return []letter{l}
}

// replayer says again what it or others have said, to anybody.
type replayer struct {
	past []letter
}

const replayerMemory = 256

func (r *replayer) note(p *puppet, l letter) {
	if len(r.past) < replayerMemory {
		r.past = append(r.past, l)
	} else {
		r.past[p.m.w.rng.IntN(replayerMemory)] = l
	}
}

func (r *replayer) in(p *puppet, l letter) *letter {
	r.note(p, letter{protocol: l.protocol, body: bytes.Clone(l.body)})
	return &l
}

func (r *replayer) out(p *puppet, l letter) []letter {
	r.note(p, l)
	w := p.m.w
	if w.rng.IntN(4) != 0 {
		return []letter{l}
	}
	old := r.past[w.rng.IntN(len(r.past))]
	old.to, old.delay = w.rng.IntN(w.knobs.N), w.rng.Int64N(5_000)
	return []letter{l, old}
}

// unsolicited answers questions that nobody asked.
type unsolicited struct {
	requests [][32]byte
	sessions [][32]byte
}

func (u *unsolicited) in(p *puppet, l letter) *letter {
	if id, ok := requestOf(l); ok && len(u.requests) < 16 && !slices.Contains(u.requests, id) {
		u.requests = append(u.requests, id)
	}
	if id, ok := sessionOf(l); ok && len(u.sessions) < 16 && !slices.Contains(u.sessions, id) {
		u.sessions = append(u.sessions, id)
	}
	return &l
}

func (u *unsolicited) out(p *puppet, l letter) []letter {
	w := p.m.w
	out := []letter{l}
	if w.rng.IntN(8) != 0 {
		return out
	}
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(w.rng.Uint32())
		}
		return b
	}
	id := [32]byte(noise(32))
	say := func(protocol protocols.Protocol, parts ...[]byte) {
		out = append(out, letter{from: l.from, to: w.rng.IntN(w.knobs.N), protocol: protocol, body: bytes.Join(parts, nil)})
	}
	if len(u.requests) > 0 && w.rng.IntN(2) == 0 {
		id = u.requests[w.rng.IntN(len(u.requests))]
	}
	switch w.rng.IntN(4) {
	case 0: // PSIG of one, with an empty refill
		say(protocols.Sign, []byte{signPSig}, id[:], noise(16+4), []byte{0, 1}, noise(32), noise(64), noise(16), make([]byte, 8), []byte{0, 0})
	case 1: // NO: stale, of this member's epoch or another
		say(protocols.Sign, []byte{signNo}, id[:], noise(16+4), []byte{byte(1 + w.rng.IntN(6))}, noise(16), []byte{0})
	case 2: // DONE with a false signature
		say(protocols.Sign, []byte{signDone}, id[:], []byte{0, 1}, noise(64))
	case 3: // READY
		say(protocols.Sign, []byte{signReady}, id[:])
	}
	if len(u.sessions) > 0 {
		s := u.sessions[w.rng.IntN(len(u.sessions))]
		switch w.rng.IntN(4) {
		case 0: // CERTSIG
			say(protocols.DKG, []byte{dkgCertSig}, s[:], noise(64))
		case 1: // ACK
			say(protocols.DKG, []byte{dkgAck}, s[:], noise(32+64))
		case 2: // RECOVERY
			say(protocols.DKG, []byte{dkgRecovery}, s[:], []byte{0, 0, 0, 200}, noise(200))
		case 3: // RELAY of somebody's CERTSIG
			say(protocols.DKG, []byte{dkgRelayed}, s[:], []byte{1, byte(w.rng.IntN(w.knobs.N))}, noise(64))
		}
	}
	return out
}
