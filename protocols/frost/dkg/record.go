package dkg

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Records, relative to the machine (hex session ID, three-digit member):
//
//	s/<id>/ceremony   what was started, and in which order
//	s/<id>/own        own first message, before it is broadcast
//	s/<id>/m1/<iii>   a delivered first message
//	s/<id>/choice     sign or complain, before either is sent
//	s/<id>/cert/<iii> a certificate signature, unchecked until all are here
//	s/<id>/recovery   recovery data, before it is acknowledged
//	s/<id>/ack/<iii>  an acknowledgement, checked
//	s/<id>/failure    why the session failed
//	e/<iii>/<id>      a first message delivered before its session was started
//
// Every value starts with a version byte. None holds a secret: the first
// message is public, and its author decrypts the shares with the host key alone.
const recordVersion = 1

const (
	partCeremony = "ceremony"
	partOwn      = "own"
	partChoice   = "choice"
	partRecovery = "recovery"
	partFailure  = "failure"
	partM1       = "m1/"
	partCert     = "cert/"
	partAck      = "ack/"
)

// ErrRecords reports records that this package did not write.
var ErrRecords = errors.New("corrupt dkg records")

func sessionKey(id SessionID, part string) string { return "s/" + id.String() + "/" + part }

func memberPart(prefix string, i int) string { return fmt.Sprintf("%s%03d", prefix, i) }

func earlyKey(i int, id SessionID) string { return fmt.Sprintf("e/%03d/%s", i, id) }

// put is a record with the version byte in front.
func put(key string, parts ...[]byte) protocols.Record {
	v := []byte{recordVersion}
	for _, p := range parts {
		v = append(v, p...)
	}
	return protocols.Record{Key: key, Value: v}
}

func del(key string) protocols.Record { return protocols.Record{Key: key} }

func parseID(s string) (id SessionID, ok bool) {
	if len(s) != hex.EncodedLen(len(id)) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil && id.String() == s
}

// parseIndex reads the three digits of a member below n.
func parseIndex(s string, n int) (int, bool) {
	if len(s) != 3 {
		return 0, false
	}
	i := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = 10*i + int(c-'0')
	}
	return i, i < n
}

// parseMemberPart splits e.g. "m1/007" into "m1/" and 7.
func parseMemberPart(part string, n int) (prefix string, i int, ok bool) {
	at := strings.LastIndexByte(part, '/') + 1
	i, ok = parseIndex(part[at:], n)
	return part[:at], i, ok
}

func encodeCeremony(c Ceremony, order uint64) []byte {
	var b cryptobyte.Builder
	b.AddBytes(c.ID[:])
	b.AddUint32(c.Attempt)
	b.AddUint8(uint8(c.T))
	b.AddUint64(order)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.Label)) })
	return b.BytesOrPanic() // the label is at most MaxLabel
}

func decodeCeremony(v []byte) (c Ceremony, order uint64, ok bool) {
	s := cryptobyte.String(v)
	var t uint8
	var label cryptobyte.String
	ok = s.CopyBytes(c.ID[:]) && s.ReadUint32(&c.Attempt) && s.ReadUint8(&t) && s.ReadUint64(&order) &&
		s.ReadUint8LengthPrefixed(&label) && s.Empty()
	c.T, c.Label = int(t), string(label)
	return c, order, ok
}

// choice is the one thing a member does with a checked session: sign for it or
// hold a complaint against it. It is durable before either leaves this member
// and never changes, so a session with an honest complaint can never complete.
type choice struct {
	sign    bool
	eqInput []byte // what was signed; nil for a complaint
	sig     [sigSize]byte
}

const (
	choiceSign     byte = 's'
	choiceComplain byte = 'c'
)

func (c *choice) encode() []byte {
	if !c.sign {
		return []byte{choiceComplain}
	}
	return append(append([]byte{choiceSign}, c.sig[:]...), c.eqInput...)
}

func decodeChoice(v []byte) (*choice, bool) {
	switch {
	case len(v) == 1 && v[0] == choiceComplain:
		return new(choice), true
	case len(v) > 1+sigSize && v[0] == choiceSign:
		return &choice{sign: true, sig: [sigSize]byte(v[1:]), eqInput: v[1+sigSize:]}, true
	}
	return nil, false
}

// failure is why a session failed and who is to blame, by ascending index.
type failure struct {
	reason   Reason
	culprits []int
}

func (f *failure) encode() []byte {
	v := []byte{byte(f.reason)}
	for _, c := range f.culprits {
		v = append(v, byte(c))
	}
	return v
}

func decodeFailure(v []byte, n int) (*failure, bool) {
	if len(v) == 0 || len(v) > 1+n {
		return nil, false
	}
	f := &failure{reason: Reason(v[0])}
	for k, c := range v[1:] {
		if int(c) >= n || k > 0 && v[k] >= c {
			return nil, false
		}
		f.culprits = append(f.culprits, int(c))
	}
	return f, true
}
