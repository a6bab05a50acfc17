package dkg

import (
	"encoding/hex"
	"strings"
)

// MaxLabel is the longest label of a ceremony in bytes.
const MaxLabel = 64

// SessionID names one attempt at one ceremony: a hash of the parameters (t and
// every host key, in order), the ceremony and the attempt. It is what every
// message, topic and record carries.
type SessionID [32]byte

// String returns the session ID in lower-case hex.
func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

// Ceremony says which key to make. All members of Config take part. ID must
// commit to all that people agreed on, the federation and the label included:
// the session ID binds ID, Attempt, T and the host keys, but not Label.
type Ceremony struct {
	ID      [32]byte
	Attempt uint32 // from 0; a new attempt is a new session with a new polynomial
	T       int    // signers needed, 1 <= T <= n
	Label   string // for people, at most MaxLabel bytes
}

// M1Topic is the topic under which each member broadcasts its first message.
func M1Topic(id SessionID) string { return topicPrefix + id.String() + topicM1 }

const (
	topicPrefix = "dkg/"
	topicM1     = "/m1"
)

// parseTopic is the inverse of M1Topic. Only the one spelling is accepted, so
// that a session's first message cannot be broadcast under two topics.
func parseTopic(topic string) (SessionID, bool) {
	var id SessionID
	inner, ok := strings.CutPrefix(topic, topicPrefix)
	if !ok {
		return id, false
	}
	inner, ok = strings.CutSuffix(inner, topicM1)
	if !ok || len(inner) != hex.EncodedLen(len(id)) {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(inner)); err != nil {
		return id, false
	}
	return id, M1Topic(id) == topic
}

// The kinds of point-to-point messages.
const (
	kindCertSig  byte = 1
	kindAck      byte = 2
	kindWant     byte = 3
	kindRecovery byte = 4
)

// message is what members send each other point to point:
//
//	CERTSIG   kind 1 | session id (32) | signature (64)
//	ACK       kind 2 | session id (32) | SHA-256 of the recovery data | signature (64)
//	WANT      kind 3 | session id (32) | what (1)
//	RECOVERY  kind 4 | session id (32) | u32 length | recovery data
type message struct {
	kind    byte
	session SessionID
	digest  [32]byte // ACK
	sig     [64]byte // CERTSIG, ACK
	want    want     // WANT
	data    []byte   // RECOVERY
}

// want says what a WANT asks for.
type want byte

const (
	wantCertificate want = 1 // recovery data, or else the receiver's CERTSIG
	wantAck         want = 2 // the receiver's ACK
)
