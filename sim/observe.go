package sim

import (
	"golang.org/x/crypto/cryptobyte"

	"frostfed/federation"
)

// The observer reads what the members say to each other when they sign. It has
// its own decoder, written from the documents of protocols/acked and
// protocols/frost/sign, and looks at whole messages only: SIGN and PSIG are never
// so large that they are cut.

// unread is the complaint about a message of an honest member that does not fit the
// documents: then they, or this file, are out of date.
const unread = "a message that the observer cannot read"

const maxLot = 64

// psig is a partial signature.
type psig [32]byte

// handle names a pair of nonces of a member.
type handle struct {
	coordinator int
	epoch       [16]byte
	index       uint64
}

// sessionName names a session as one signer sees it.
type sessionName struct {
	coordinator, signer int
	request             federation.RequestID
	run                 [16]byte
	sid                 uint32
}

// question is a SIGN.
type question struct {
	handles []handle
	copies  int // different ones under this name: only a faulty coordinator makes two
	raw     string
}

type observer struct {
	pubnonces []map[handle][66]byte // by signer
	announced []map[[66]byte]handle // by signer: a public nonce has one handle, ever
	questions map[sessionName]*question
	answers   []map[handle]psig // by signer
}

func newObserver(n int) *observer {
	o := &observer{questions: make(map[sessionName]*question)}
	for range n {
		o.pubnonces = append(o.pubnonces, make(map[handle][66]byte))
		o.announced = append(o.announced, make(map[[66]byte]handle))
		o.answers = append(o.answers, make(map[handle]psig))
	}
	return o
}

// messages cuts a data frame of protocols/acked into the messages it holds whole.
func messages(frame []byte) [][]byte {
	s := cryptobyte.String(frame)
	var kind uint8
	var out [][]byte
	if !s.ReadUint8(&kind) || kind != 3 || !s.Skip(8+8+8+4+8) {
		return nil
	}
	for !s.Empty() {
		var more uint8
		var body cryptobyte.String
		if !s.ReadUint8(&more) || !s.ReadUint16LengthPrefixed(&body) {
			return nil
		}
		if more == 0 {
			out = append(out, body)
		}
	}
	return out
}

// see reads a frame of the sign channel. It returns a complaint, if the sender is
// honest and did what it must never do, the requests it signed, and whether it
// asks others to sign.
func (o *observer) see(from, to int, frame []byte, honest bool) (complaint string, signed []federation.RequestID, asks bool) {
	for _, msg := range messages(frame) {
		s := cryptobyte.String(msg)
		var kind uint8
		s.ReadUint8(&kind)
		switch kind {
		case 1:
			if honest {
				complaint = o.pool(from, to, &s)
			}
		case 2:
			o.sign(from, to, &s, string(msg))
			asks = true
		case 3:
			if honest {
				var request federation.RequestID
				var ok bool
				if request, complaint, ok = o.psig(from, to, &s); ok {
					signed = append(signed, request)
				}
			}
		}
		if complaint != "" {
			return complaint, signed, asks
		}
	}
	return "", signed, asks
}

// votes lists the members against whom a frame of key generation holds the vote of
// its sender.
func votes(from int, frame []byte) (culprits []int) {
	for _, msg := range messages(frame) {
		s := cryptobyte.String(msg)
		var kind, culprit, count uint8
		if !s.ReadUint8(&kind) || kind != dkgExclude || !s.Skip(32) || !s.ReadUint8(&culprit) || !s.ReadUint8(&count) {
			continue
		}
		for range count {
			var voter uint8
			if s.ReadUint8(&voter) && s.Skip(1+64) && int(voter) == from {
				culprits = append(culprits, int(culprit))
			}
		}
	}
	return culprits
}

func (o *observer) pool(from, to int, s *cryptobyte.String) string {
	var epoch [16]byte
	var gone uint64
	var count uint16
	if !s.CopyBytes(epoch[:]) || !s.ReadUint64(&gone) || !s.ReadUint16(&count) || len(*s) != int(count)*(8+66) {
		return unread
	}
	for range count {
		h := handle{coordinator: to, epoch: epoch}
		var pub [66]byte
		s.ReadUint64(&h.index)
		s.CopyBytes(pub[:])
		if other, known := o.announced[from][pub]; known && other != h {
			return "one public nonce under two handles"
		}
		if other, known := o.pubnonces[from][h]; known && other != pub {
			return "two public nonces under one handle"
		}
		o.announced[from][pub], o.pubnonces[from][h] = h, pub
	}
	return ""
}

func (o *observer) sign(from, to int, s *cryptobyte.String, raw string) {
	name := sessionName{coordinator: from, signer: to}
	var u uint8
	var epoch [16]byte
	var k uint16
	if !s.CopyBytes(name.request[:]) || !s.CopyBytes(name.run[:]) || !s.ReadUint32(&name.sid) || !s.Skip(32+4) ||
		!s.ReadUint8(&u) || !s.Skip(int(u)) || !s.CopyBytes(epoch[:]) || !s.ReadUint16(&k) || len(*s) != int(k)*(66+8) {
		return
	}
	q := &question{raw: raw, copies: 1}
	for range k {
		h := handle{coordinator: from, epoch: epoch}
		s.Skip(66)
		s.ReadUint64(&h.index)
		q.handles = append(q.handles, h)
	}
	if old := o.questions[name]; old == nil {
		o.questions[name] = q
	} else if old.raw != raw {
		old.copies++
	}
}

// psig checks that no pair of nonces answers twice with different values: two
// equations with the same nonces give the share away.
func (o *observer) psig(from, to int, s *cryptobyte.String) (federation.RequestID, string, bool) {
	name := sessionName{coordinator: to, signer: from}
	var k uint16
	if !s.CopyBytes(name.request[:]) || !s.CopyBytes(name.run[:]) || !s.ReadUint32(&name.sid) || !s.ReadUint16(&k) || k > maxLot {
		return name.request, unread, false
	}
	values := make([]psig, k)
	for i := range values {
		if !s.CopyBytes(values[i][:]) {
			return name.request, unread, false
		}
	}
	if !s.Skip(64) { // the signer's signature on its answer
		return name.request, unread, false
	}
	if complaint := o.pool(from, to, s); complaint != "" {
		return name.request, complaint, true
	}
	q := o.questions[name]
	if q == nil || q.copies != 1 || len(q.handles) != len(values) {
		return name.request, "", q != nil
	}
	for i, h := range q.handles {
		if old, used := o.answers[from][h]; used && old != values[i] {
			return name.request, "one pair of nonces answers two challenges", true
		}
		o.answers[from][h] = values[i]
	}
	return name.request, "", true
}
