package sim

import (
	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
	"frostfed/protocols/echo"
)

// The adversary's own codec for messages, written from the documents of
// protocols/echo, protocols/frost/dkg and protocols/frost/sign.

const (
	echoSend, echoEcho, echoReady = 1, 2, 3
	echoPull, echoPayload         = 4, 5
)

type echoMessage struct {
	kind          byte
	sender, topic string
	hash          echo.Hash
	sig           [64]byte
	payload       []byte
}

func (m *echoMessage) hasHash() bool {
	return m.kind == echoEcho || m.kind == echoReady || m.kind == echoPull
}
func (m *echoMessage) hasSig() bool     { return m.kind <= echoReady }
func (m *echoMessage) hasPayload() bool { return m.kind == echoSend || m.kind == echoPayload }

func parseEcho(l letter) (echoMessage, bool) {
	var m echoMessage
	if l.protocol != protocols.Echo {
		return m, false
	}
	s := cryptobyte.String(l.body)
	var sender, topic, payload cryptobyte.String
	if !s.ReadUint8(&m.kind) || m.kind != echoSend && !s.ReadUint8LengthPrefixed(&sender) || !s.ReadUint8LengthPrefixed(&topic) ||
		m.hasHash() && !s.CopyBytes(m.hash[:]) || m.hasSig() && !s.CopyBytes(m.sig[:]) || m.hasPayload() && !readLong(&s, &payload) || !s.Empty() {
		return m, false
	}
	m.sender, m.topic, m.payload = string(sender), string(topic), payload
	return m, true
}

func readLong(s, out *cryptobyte.String) bool {
	var n uint32
	return s.ReadUint32(&n) && uint64(n) <= uint64(len(*s)) && s.ReadBytes((*[]byte)(out), int(n))
}

func (m *echoMessage) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	short := func(text string) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
	}
	b.AddUint8(m.kind)
	if m.kind != echoSend {
		short(m.sender)
	}
	short(m.topic)
	if m.hasHash() {
		b.AddBytes(m.hash[:])
	}
	if m.hasSig() {
		b.AddBytes(m.sig[:])
	}
	if m.hasPayload() {
		b.AddUint32(uint32(len(m.payload)))
		b.AddBytes(m.payload)
	}
	return b.BytesOrPanic()
}

// echoPreimage is what the sender of a broadcast signs.
func echoPreimage(federation [32]byte, sender, topic string, hash echo.Hash) []byte {
	b := cryptobyte.NewBuilder(nil)
	short := func(text string) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
	}
	short("frostfed/v1/echo send")
	b.AddBytes(federation[:])
	short(sender)
	short(topic)
	b.AddBytes(hash[:])
	return b.BytesOrPanic()
}

// signKind is the kind of a message of signing, 0 of any other.
func signKind(l letter) byte {
	if l.protocol != protocols.Sign || len(l.body) == 0 {
		return 0
	}
	return l.body[0]
}

// sessionOf is the session of key generation that a message belongs to.
func sessionOf(l letter) (id [32]byte, ok bool) {
	if l.protocol != protocols.DKG || len(l.body) < 33 {
		return id, false
	}
	return [32]byte(l.body[1:]), true
}

// requestOf is the request that a message of signing belongs to.
func requestOf(l letter) (id [32]byte, ok bool) {
	if l.protocol != protocols.Sign || len(l.body) < 33 || l.body[0] == signNonces {
		return id, false
	}
	return [32]byte(l.body[1:]), true
}
