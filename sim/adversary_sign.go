package sim

import (
	"bytes"
	"encoding/binary"
	"slices"

	"frostfed/protocols"
)

// What faulty members do when something is signed.

// Kinds of and offsets in messages of protocols/frost/sign, from their documents.
const (
	signNonces, signSign, signPSig = 1, 2, 3
	signNo, signNeed, signReady    = 4, 5, 6
	signDone                       = 7

	signHeader = 1 + 32 + 16 + 4 // kind, request, run, sid: of SIGN, PSIG and NO
)

// badpsig answers with partial signatures that are wrong.
type badpsig struct{ honest }

func (badpsig) out(p *puppet, l letter) []letter {
	if signKind(l) == signPSig && p.m.w.rng.IntN(3) != 0 {
		l.body = bytes.Clone(l.body)
		l.body[signHeader+2+31] ^= 1
	}
	return []letter{l}
}

// coordinator lies about the session to its signers: another aggregate nonce,
// other signers or other items to each, the same handles again for another
// session, and sessions that it never finishes.
type coordinator struct {
	points [][66]byte // public nonces it has seen
	greedy [][32]byte // requests for which it wants a second answer, and so takes no first one
}

func (c *coordinator) in(_ *puppet, l letter) *letter {
	if id, ok := requestOf(l); ok && signKind(l) == signPSig && slices.Contains(c.greedy, id) {
		return nil
	}
	if signKind(l) == signNonces && len(c.points) < 64 && len(l.body) >= 1+26+8+66 {
		c.points = append(c.points, [66]byte(l.body[1+26+8:]))
	}
	return &l
}

func (c *coordinator) out(p *puppet, l letter) []letter {
	if signKind(l) == signDone && p.m.w.rng.IntN(2) == 0 {
		return nil
	}
	if signKind(l) != signSign {
		return []letter{l}
	}
	w := p.m.w
	u := int(l.body[signHeader+32+4])
	ids := signHeader + 32 + 4 + 1
	slots := ids + u + 16 + 2
	lie := l
	lie.body = bytes.Clone(l.body)
	switch w.rng.IntN(6) {
	case 0: // another aggregate nonce
		if len(c.points) == 0 || len(lie.body) < slots+66 {
			return []letter{l}
		}
		copy(lie.body[slots:], c.points[w.rng.IntN(len(c.points))][:])
	case 1: // another signer in place of one
		lie.body[ids+w.rng.IntN(u)] = byte(w.rng.IntN(w.knobs.N))
	case 2: // other items
		lie.body[signHeader] ^= 1
	case 3: // the same handles in another session, with another aggregate nonce
		sid := lie.body[1+32+16:]
		binary.BigEndian.PutUint32(sid, binary.BigEndian.Uint32(sid)+1)
		if len(c.points) > 0 && len(lie.body) >= slots+66 {
			copy(lie.body[slots:], c.points[w.rng.IntN(len(c.points))][:])
		}
		lie.delay = 1 + w.rng.Int64N(1_000)
		c.greedy = append(c.greedy, [32]byte(l.body[1:]))
		return []letter{l, lie}
	case 4: // the same session, said twice and differently
		lie.body[len(lie.body)-1-8] ^= 1
		return []letter{l, lie}
	case 5: // to somebody that is not among its signers
		lie.to = w.rng.IntN(w.knobs.N)
		return []letter{l, lie}
	}
	return []letter{lie}
}

// drainer uses up the nonces that others make for it, and asks for more.
type drainer struct{ honest }

func (drainer) in(p *puppet, l letter) *letter {
	w := p.m.w
	if signKind(l) != signNonces || len(l.body) < 1+26 {
		return &l
	}
	epoch := l.body[1:17]
	count := int(binary.BigEndian.Uint16(l.body[25:]))
	if count == 0 || len(l.body) != 27+count*74 {
		return &l
	}
	count = min(count, 64)
	// SIGN for a request that nobody knows, with every handle.
	sign := []byte{signSign}
	for range 32 + 16 + 4 + 32 {
		sign = append(sign, byte(w.rng.Uint32()))
	}
	sign = append(sign, 0, 0, 0, 0, byte(w.knobs.T))
	for i := range w.knobs.T {
		sign = append(sign, byte(i))
	}
	sign = append(sign, epoch...)
	sign = binary.BigEndian.AppendUint16(sign, uint16(count))
	for i := range count {
		pair := l.body[27+i*74:]
		sign = append(sign, pair[8:74]...)
		sign = append(sign, pair[:8]...)
	}
	p.say(letter{from: p.m.index, to: l.from, protocol: protocols.Sign, body: sign, delay: 1 + w.rng.Int64N(500)})
	p.say(letter{from: p.m.index, to: l.from, protocol: protocols.Sign, body: []byte{signNeed, 0, byte(1 + w.rng.IntN(16))}, delay: 2_000 + w.rng.Int64N(8_000)})
	return &l
}

// lastmover waits for what the others do. It gives what only it can give last,
// and to one half; it lies to coordinators, and is honest to the rest.
type lastmover struct {
	plan *plan
	held map[[32]byte][]letter // CERTSIGs and ACKs, by session
	seen map[[32]byte]int      // how many others have sent theirs
}

func newLastmover(aim *plan) *lastmover {
	return &lastmover{plan: aim, held: make(map[[32]byte][]letter), seen: make(map[[32]byte]int)}
}

func (a *lastmover) in(p *puppet, l letter) *letter {
	if id, ok := sessionOf(l); ok && l.body[0] == dkgCertSig {
		if a.seen[id]++; a.seen[id] == p.m.w.knobs.N-1 {
			for _, held := range a.held[id] {
				p.say(held)
			}
		}
	}
	return &l
}

func (a *lastmover) out(p *puppet, l letter) []letter {
	w := p.m.w
	switch id, ok := sessionOf(l); {
	case ok && (l.body[0] == dkgCertSig || l.body[0] == dkgAck):
		if !a.plan.other(l.to) {
			return nil
		}
		if a.seen[id] < w.knobs.N-1 && len(a.held[id]) < 64 {
			a.held[id] = append(a.held[id], l)
			return nil
		}
	case ok && l.body[0] != dkgExclude: // no help to others either
		return nil
	}
	switch signKind(l) {
	case signPSig:
		if a.plan.other(l.to) {
			l.body = bytes.Clone(l.body)
			l.body[signHeader+2] ^= 0x80
		} else {
			l.delay = 2_000 + w.rng.Int64N(10_000)
		}
	case signDone:
		if a.plan.other(l.to) {
			return nil
		}
	}
	if m, ok := parseEcho(l); ok && m.kind == echoReady && !a.plan.other(l.to) {
		return nil
	}
	return []letter{l}
}
