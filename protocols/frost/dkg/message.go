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

// Ceremony says which key to make. All members of Config take part in the first
// attempt. ID must commit to all that people agreed on, everything below and the
// federation included: a session ID binds ID, T, the host keys of the
// participants and their number, nothing else.
type Ceremony struct {
	ID    [32]byte
	T     int    // signers needed, 1 <= T <= n; the same in every attempt
	Label string // for people, at most MaxLabel bytes
	Suite Suite  // Bitcoin, or outside

	// MinMembers and MinSpare say how far exclusion may go by itself: no attempt
	// has fewer than MinMembers participants (0: n-f), nor fewer than T+MinSpare.
	MinMembers, MinSpare int
	// NoExclusion leaves it to people to go on without a culprit.
	NoExclusion bool
}

// M1Topic is the topic under which each participant broadcasts its first message.
func M1Topic(id SessionID) string { return topicPrefix + id.String() + topicM1 }

// ComplaintTopic is the topic under which a participant broadcasts its complaint.
func ComplaintTopic(id SessionID) string { return topicPrefix + id.String() + topicComplaint }

const (
	topicPrefix    = "dkg/"
	topicM1        = "/m1"
	topicComplaint = "/complaint"
)

// ParseTopic is the inverse of M1Topic and ComplaintTopic. Only the one spelling
// is accepted, so that nothing can be broadcast twice under two topics.
func ParseTopic(topic string) (id SessionID, complaint, ok bool) {
	inner, ok := strings.CutPrefix(topic, topicPrefix)
	if !ok {
		return id, false, false
	}
	inner, kind, _ := strings.Cut(inner, "/")
	complaint = "/"+kind == topicComplaint
	if !complaint && "/"+kind != topicM1 {
		return id, false, false
	}
	id, ok = parseID(inner)
	return id, complaint, ok
}

// The kinds of point-to-point messages.
const (
	kindCertSig  byte = 1
	kindAck      byte = 2
	kindWant     byte = 3
	kindRecovery byte = 4
	kindExclude  byte = 5
	kindRelay    byte = 6
)

// message is what members send each other point to point:
//
//	CERTSIG   kind 1 | session id (32) | signature (64)
//	ACK       kind 2 | session id (32) | SHA-256 of the recovery data | signature (64)
//	WANT      kind 3 | session id (32) | what (1)
//	RECOVERY  kind 4 | session id (32) | u32 length | recovery data
//	EXCLUDE   kind 5 | session id (32) | culprit (1) | count (1) | count * (voter (1) | reason (1) | signature (64))
//	RELAY     kind 6 | session id (32) | count (1) | count * (participant (1) | signature (64))
//
// EXCLUDE, and WANT of exclusions, name the first session of the ceremony;
// culprit and voter are members, ascending voters. RELAY ascends too.
type message struct {
	kind    byte
	session SessionID
	digest  [32]byte // ACK
	sig     [64]byte // CERTSIG, ACK
	want    want     // WANT
	data    []byte   // RECOVERY
	culprit byte     // EXCLUDE
	votes   []ballot // EXCLUDE
	certs   []relayed
}

// ballot is a vote and whose it is.
type ballot struct {
	voter byte
	vote
}

// relayed is another participant's certificate signature.
type relayed struct {
	participant byte
	sig         [sigSize]byte
}

// want says what a WANT asks for.
type want byte

const (
	wantCertificate want = 1 // recovery data, or else the CERTSIGs the receiver has
	wantAck         want = 2 // the receiver's ACK
	wantExclusions  want = 3 // the certificates of exclusion the receiver has
)
