package echo

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Sizes in bytes.
const (
	// MaxPayload leaves room for the header in a message of 1 MiB.
	MaxPayload = 1<<20 - 1<<10
	// MaxTopic is the largest topic; the smallest has one byte.
	MaxTopic = 128
	// MaxNodeID is the largest NodeID: a peer ID has 34 to 42.
	MaxNodeID = 64
	// SignatureSize fits BIP 340 and Ed25519.
	SignatureSize = 64
)

// Message kinds. The values are part of the wire format.
const (
	kindSend    = 1
	kindEcho    = 2
	kindReady   = 3
	kindPull    = 4
	kindPayload = 5
)

// A message is one of five kinds; all integers are big-endian.
//
//	SEND:    kind u8=1 | topic u8+bytes | sig [64] | payload u32+bytes
//	ECHO:    kind u8=2 | sender u8+bytes | topic u8+bytes | hash [32] | sig [64]
//	READY:   kind u8=3 | sender u8+bytes | topic u8+bytes | hash [32] | sig [64]
//	PULL:    kind u8=4 | sender u8+bytes | topic u8+bytes | hash [32]
//	PAYLOAD: kind u8=5 | sender u8+bytes | topic u8+bytes | payload u32+bytes
//
// u8+bytes and u32+bytes are a length and that many bytes: 1 to 64 for sender, 1
// to 128 for topic, 0 to 1047552 for payload. The sender of a SEND is the peer it
// came from. sig is the sender's signature over
//
//	tag u8+bytes | federation [32] | sender u8+bytes | topic u8+bytes | hash [32]
//
// with tag "frostfed/v1/echo send", and hash is the tagged hash (BIP 340) of the
// payload with tag "frostfed/v1/echo payload".
type message struct {
	kind    byte
	sender  protocols.NodeID // not in SEND
	topic   string
	hash    Hash                // ECHO, READY, PULL
	sig     [SignatureSize]byte // SEND, ECHO, READY
	payload []byte              // SEND, PAYLOAD
}

// Hash is the tagged hash of a payload.
type Hash [32]byte

const (
	tagSend    = "frostfed/v1/echo send"
	tagPayload = "frostfed/v1/echo payload"
)

var payloadPrefix = func() []byte {
	tag := sha256.Sum256([]byte(tagPayload))
	return append(tag[:], tag[:]...)
}()

// HashPayload is what a sender signs for a payload.
func HashPayload(payload []byte) (h Hash) {
	d := sha256.New()
	d.Write(payloadPrefix)
	d.Write(payload)
	d.Sum(h[:0])
	return h
}

// preimage is what a sender signs. It binds the federation and the instance, so
// that a signature means nothing anywhere else.
func preimage(federation [32]byte, sender protocols.NodeID, topic string, hash Hash) []byte {
	var b cryptobyte.Builder
	addShort(&b, tagSend)
	b.AddBytes(federation[:])
	addShort(&b, string(sender))
	addShort(&b, topic)
	b.AddBytes(hash[:])
	return b.BytesOrPanic() // lengths were checked by New, Broadcast and decode
}

var errMessage = errors.New("malformed message")

// decode parses a message; payload aliases b. Whatever it accepts, encode turns
// into the same bytes again.
func decode(b []byte) (message, error) {
	var m message
	s := cryptobyte.String(b)
	if !s.ReadUint8(&m.kind) || m.kind < kindSend || m.kind > kindPayload {
		return m, fmt.Errorf("%w: kind", errMessage)
	}
	if m.kind != kindSend {
		sender, ok := readShort(&s, MaxNodeID)
		if !ok {
			return m, fmt.Errorf("%w: sender", errMessage)
		}
		m.sender = protocols.NodeID(sender)
	}
	var ok bool
	if m.topic, ok = readShort(&s, MaxTopic); !ok {
		return m, fmt.Errorf("%w: topic", errMessage)
	}
	if m.hasHash() && !s.CopyBytes(m.hash[:]) {
		return m, fmt.Errorf("%w: hash", errMessage)
	}
	if m.hasSig() && !s.CopyBytes(m.sig[:]) {
		return m, fmt.Errorf("%w: signature", errMessage)
	}
	if m.hasPayload() && !readPayload(&s, &m.payload) {
		return m, fmt.Errorf("%w: payload", errMessage)
	}
	if !s.Empty() {
		return m, fmt.Errorf("%w: trailing bytes", errMessage)
	}
	return m, nil
}

func (m message) encode() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 256+len(m.payload)))
	b.AddUint8(m.kind)
	if m.kind != kindSend {
		addShort(b, string(m.sender))
	}
	addShort(b, m.topic)
	if m.hasHash() {
		b.AddBytes(m.hash[:])
	}
	if m.hasSig() {
		b.AddBytes(m.sig[:])
	}
	if m.hasPayload() {
		addPayload(b, m.payload)
	}
	return b.BytesOrPanic() // lengths were checked by New, Broadcast and decode
}

func (m message) hasHash() bool {
	return m.kind == kindEcho || m.kind == kindReady || m.kind == kindPull
}
func (m message) hasSig() bool {
	return m.kind == kindSend || m.kind == kindEcho || m.kind == kindReady
}
func (m message) hasPayload() bool { return m.kind == kindSend || m.kind == kindPayload }

func addShort(b *cryptobyte.Builder, s string) {
	b.AddUint8LengthPrefixed(func(c *cryptobyte.Builder) { c.AddBytes([]byte(s)) })
}

func readShort(s *cryptobyte.String, limit int) (string, bool) {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) || v.Empty() || len(v) > limit {
		return "", false
	}
	return string(v), true
}

func addPayload(b *cryptobyte.Builder, p []byte) {
	b.AddUint32(uint32(len(p)))
	b.AddBytes(p)
}

func readPayload(s *cryptobyte.String, p *[]byte) bool {
	var n uint32
	return s.ReadUint32(&n) && n <= MaxPayload && s.ReadBytes(p, int(n))
}
