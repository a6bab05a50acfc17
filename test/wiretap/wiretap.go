// Package wiretap is for tests: it reads what members say to each other when they
// sign and finds a pair of nonces that is used twice. It has a decoder of its own,
// written from the wire forms in the documents of protocols/acked and
// protocols/frost/sign, so that it does not share their mistakes.
package wiretap

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// handle names a pair of nonces of a member.
type handle struct {
	signer, coordinator protocols.NodeID
	epoch               [16]byte
	index               uint64
}

// session names a session as one signer sees it.
type session struct {
	signer, coordinator protocols.NodeID
	request             [32]byte
	run                 [16]byte
	sid                 uint32
}

type pubnonce struct {
	signer protocols.NodeID
	nonces [66]byte
}

// answer is how a pair was used: in which session, and with which result.
type answer struct {
	session session
	psig    [32]byte
}

// Tap holds what was heard. Its methods may be called from any goroutine.
type Tap struct {
	// Signs, if set, is told of each request for which a member lets a partial
	// signature go. It must not call the Tap.
	Signs func(signer protocols.NodeID, request [32]byte)

	mu       sync.Mutex
	nonces   map[handle][66]byte
	handles  map[pubnonce]handle
	asked    map[session][]handle
	used     map[handle]answer
	answers  map[protocols.NodeID]int
	refusals map[protocols.NodeID]int
	epochs   map[protocols.NodeID]map[[16]byte]struct{}
	wrong    []error
}

// New returns a Tap that has heard nothing.
func New() *Tap {
	return &Tap{nonces: make(map[handle][66]byte), handles: make(map[pubnonce]handle), asked: make(map[session][]handle),
		used: make(map[handle]answer), answers: make(map[protocols.NodeID]int), refusals: make(map[protocols.NodeID]int),
		epochs: make(map[protocols.NodeID]map[[16]byte]struct{})}
}

// Err tells every use of a pair that must not be, or nil.
func (t *Tap) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.wrong...)
}

// Answers is how many pairs of a member were seen to sign, in any of its lives.
func (t *Tap) Answers(signer protocols.NodeID) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answers[signer]
}

// Stale is how many sessions a member refused because it had no such pairs.
func (t *Tap) Stale(signer protocols.NodeID) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refusals[signer]
}

// Epochs is how many processes of a member handed out nonces.
func (t *Tap) Epochs(signer protocols.NodeID) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.epochs[signer])
}

// Frame takes a frame as one member gives it to its network, or gets it. Frames
// may come more than once.
func (t *Tap) Frame(from, to protocols.NodeID, p protocols.Protocol, frame []byte) {
	if p != protocols.Sign {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, msg := range messages(frame) {
		s := cryptobyte.String(msg)
		var kind uint8
		s.ReadUint8(&kind)
		switch kind {
		case Nonces:
			t.pool(from, to, &s)
		case Sign:
			t.sign(from, to, &s)
		case PSig:
			t.psig(from, to, &s)
		case No:
			const stale = 2
			var reason uint8
			if s.Skip(32+16+4) && s.ReadUint8(&reason) && reason == stale {
				t.refusals[from]++
			}
		}
	}
}

// Kinds of messages of protocols/frost/sign, the first byte of each.
const (
	Nonces byte = 1 + iota
	Sign
	PSig
	No
	Need
	Ready
	Done
)

// Kinds returns the first byte of each message that a frame holds whole.
func Kinds(frame []byte) (out []byte) {
	for _, msg := range messages(frame) {
		if len(msg) > 0 {
			out = append(out, msg[0])
		}
	}
	return out
}

// messages cuts a data frame of protocols/acked into the messages it holds whole.
// SIGN and PSIG are never so large that they are cut.
func messages(frame []byte) (out [][]byte) {
	s := cryptobyte.String(frame)
	var kind uint8
	if !s.ReadUint8(&kind) || kind != 3 || !s.Skip(8+8+8+4+8) {
		return nil
	}
	for !s.Empty() {
		var more uint8
		var body cryptobyte.String
		if !s.ReadUint8(&more) || !s.ReadUint16LengthPrefixed(&body) {
			return nil
		}
		if more == 0 { // it may be the end of a long message: then nothing below fits
			out = append(out, body)
		}
	}
	return out
}

func (t *Tap) complain(format string, a ...any) { t.wrong = append(t.wrong, fmt.Errorf(format, a...)) }

func (t *Tap) pool(from, to protocols.NodeID, s *cryptobyte.String) {
	h := handle{signer: from, coordinator: to}
	var count uint16
	if !s.CopyBytes(h.epoch[:]) || !s.Skip(8) || !s.ReadUint16(&count) || len(*s) != int(count)*(8+66) {
		return
	}
	if t.epochs[from] == nil {
		t.epochs[from] = make(map[[16]byte]struct{})
	}
	t.epochs[from][h.epoch] = struct{}{}
	for range count {
		pub := pubnonce{signer: from}
		s.ReadUint64(&h.index)
		s.CopyBytes(pub.nonces[:])
		if other, known := t.handles[pub]; known && other != h {
			t.complain("%x hands out one public nonce as %x/%d and as %x/%d", from, other.epoch, other.index, h.epoch, h.index)
		}
		if other, known := t.nonces[h]; known && other != pub.nonces {
			t.complain("%x hands out two public nonces as %x/%d", from, h.epoch, h.index)
		}
		t.handles[pub], t.nonces[h] = h, pub.nonces
	}
}

func (t *Tap) sign(from, to protocols.NodeID, s *cryptobyte.String) {
	q := session{signer: to, coordinator: from}
	h := handle{signer: to, coordinator: from}
	var u uint8
	var k uint16
	if !s.CopyBytes(q.request[:]) || !s.CopyBytes(q.run[:]) || !s.ReadUint32(&q.sid) || !s.Skip(32+4) ||
		!s.ReadUint8(&u) || !s.Skip(int(u)) || !s.CopyBytes(h.epoch[:]) || !s.ReadUint16(&k) || len(*s) != int(k)*(66+8) {
		return
	}
	var asked []handle
	for range k {
		s.Skip(66)
		s.ReadUint64(&h.index)
		asked = append(asked, h)
	}
	t.asked[q] = asked
}

// psig checks that no pair answers in two sessions, or twice with different
// results: two equations in the same nonces give the share away.
func (t *Tap) psig(from, to protocols.NodeID, s *cryptobyte.String) {
	q := session{signer: from, coordinator: to}
	var k uint16
	if !s.CopyBytes(q.request[:]) || !s.CopyBytes(q.run[:]) || !s.ReadUint32(&q.sid) || !s.ReadUint16(&k) || len(*s) < 32*int(k)+64 {
		return
	}
	if t.Signs != nil {
		t.Signs(from, q.request)
	}
	asked := t.asked[q]
	for i := range int(k) {
		a := answer{session: q}
		s.CopyBytes(a.psig[:])
		if i >= len(asked) {
			t.complain("%x answers a session that nobody was heard to open", from)
			return
		}
		old, used := t.used[asked[i]]
		if used && old != a {
			t.complain("%x uses the pair %x/%d twice: in session %d of %x and in %d of %x", from, asked[i].epoch, asked[i].index,
				old.session.sid, old.session.request, q.sid, q.request)
		}
		if !used {
			t.answers[from]++
		}
		t.used[asked[i]] = a
	}
	s.Skip(64) // the sender's signature on them
	t.pool(from, to, s)
}
