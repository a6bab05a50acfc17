package roast

import (
	"errors"
	"fmt"

	"frostfed/crypto/rfc9591"
	"frostfed/protocols"

	"golang.org/x/crypto/cryptobyte"
)

// Wire form, all integers big-endian. The first byte is the kind.
//
//	READY 1 | request 32 | digest 32 | commitments 1+len
//	SIGN  2 | request 32 | run 16 | sid 4 | digest 32 | u 1 | u * (member 1 | commitments 1+len)
//	SHARE 3 | request 32 | run 16 | sid 4 | share 32 | commitments 1+len
//	NO    4 | request 32 | code 1+len
//	DONE  5 | request 32 | signature 1+len
//
// Members of a SIGN ascend, commitments have one of the lengths of a suite,
// nothing trails. What commitments hold is checked when the key is known.
const (
	kindReady byte = 1 + iota
	kindSign
	kindShare
	kindNo
	kindDone
)

const (
	maxCommitment = 66 // bytes, of any suite
	maxSignature  = 65
	maxCode       = 64 // bytes of a refusal code, which reaches logs and screens
)

// requestID names a request.
type requestID = [32]byte

// sessionID names a session: run is the coordinator's epoch, so that answers to
// what it asked in an earlier life are known as such.
type sessionID struct {
	run [16]byte
	sid uint32
}

func (s *sessionID) read(from *cryptobyte.String) bool {
	return from.CopyBytes(s.run[:]) && from.ReadUint32(&s.sid)
}

// message is any message; which fields it has depends on its kind.
type message struct {
	kind       byte
	request    requestID
	session    sessionID
	digest     [32]byte
	commitment []byte   // READY, SHARE
	signers    []int    // SIGN: members, ascending
	all        [][]byte // SIGN: their commitments
	share      []byte
	code       string
	signature  []byte
}

var errMalformed = errors.New("malformed message")

func (m message) encode() []byte {
	var b cryptobyte.Builder
	b.AddUint8(m.kind)
	b.AddBytes(m.request[:])
	bytes := func(v []byte) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(v) })
	}
	switch m.kind {
	case kindReady:
		b.AddBytes(m.digest[:])
		bytes(m.commitment)
	case kindSign:
		b.AddBytes(m.session.run[:])
		b.AddUint32(m.session.sid)
		b.AddBytes(m.digest[:])
		b.AddUint8(uint8(len(m.signers)))
		for i, member := range m.signers {
			b.AddUint8(uint8(member))
			bytes(m.all[i])
		}
	case kindShare:
		b.AddBytes(m.session.run[:])
		b.AddUint32(m.session.sid)
		b.AddBytes(m.share)
		bytes(m.commitment)
	case kindNo:
		bytes([]byte(m.code))
	case kindDone:
		bytes(m.signature)
	}
	return b.BytesOrPanic() // lengths are those of a suite
}

// decode parses one message. It accepts exactly one encoding of each, and checks
// lengths before it allocates.
func decode(raw []byte) (message, error) {
	var m message
	s := cryptobyte.String(raw)
	if !s.ReadUint8(&m.kind) || !s.CopyBytes(m.request[:]) {
		return m, fmt.Errorf("%w: header", errMalformed)
	}
	ok := false
	switch m.kind {
	case kindReady:
		ok = s.CopyBytes(m.digest[:]) && readCommitment(&s, &m.commitment)
	case kindSign:
		ok = getSign(&s, &m)
	case kindShare:
		ok = m.session.read(&s) && s.ReadBytes(&m.share, rfc9591.ShareSize) && readCommitment(&s, &m.commitment)
	case kindNo:
		var code cryptobyte.String
		ok = s.ReadUint8LengthPrefixed(&code) && validCode(string(code))
		m.code = string(code)
	case kindDone:
		ok = readBytes(&s, &m.signature, 64, maxSignature)
	}
	if !ok || !s.Empty() {
		return message{}, fmt.Errorf("%w: kind %d", errMalformed, m.kind)
	}
	return m, nil
}

func getSign(s *cryptobyte.String, m *message) bool {
	var u uint8
	if !m.session.read(s) || !s.CopyBytes(m.digest[:]) || !s.ReadUint8(&u) || u == 0 || u > protocols.MaxMembers || len(*s) < int(u)*(2+64) {
		return false
	}
	m.signers, m.all = make([]int, u), make([][]byte, u)
	for i := range m.signers {
		var member uint8
		if !s.ReadUint8(&member) || !readCommitment(s, &m.all[i]) || i > 0 && int(member) <= m.signers[i-1] {
			return false
		}
		m.signers[i] = int(member)
	}
	return true
}

func readCommitment(s *cryptobyte.String, out *[]byte) bool {
	return readBytes(s, out, 64, maxCommitment)
}

func readBytes(s *cryptobyte.String, out *[]byte, least, most int) bool {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) || len(v) < least || len(v) > most {
		return false
	}
	*out = v
	return true
}

// validCode accepts snake_case of bounded length: a refusal code comes from a
// peer and ends up in logs and on screens.
func validCode(c string) bool {
	if len(c) == 0 || len(c) > maxCode {
		return false
	}
	for i := range len(c) {
		if b := c[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' {
			return false
		}
	}
	return true
}
