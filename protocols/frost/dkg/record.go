package dkg

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Records, relative to the machine (hex session ID, three-digit member):
//
//	s/<id>/ceremony   what was started, and in which order
//	s/<id>/own        own first message, before it is broadcast
//	s/<id>/m1/<iii>   a delivered first message, after its sender's signature
//	s/<id>/complaint/<iii> a delivered complaint, likewise
//	s/<id>/choice     sign or complain, before either is sent
//	s/<id>/cert/<iii> a certificate signature, unchecked until all are here
//	s/<id>/recovery   recovery data, before it is acknowledged
//	s/<id>/ack/<iii>  an acknowledgement, checked
//	s/<id>/failure    why the session failed
//	e/<iii>/<id>      a first message delivered before its session was started
//	e/<iii>/<id>/c    a complaint, likewise
//	v/<id>/<ccc>/<iii> member i's vote to exclude member c from a ceremony
//
// Members are numbered among the participants of the session below s/, among all
// elsewhere. v/ names the ceremony by its first session.
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

	partComplaint  = "complaint/"
	earlyComplaint = "/c"
)

// ErrRecords reports records that this package did not write.
var ErrRecords = errors.New("corrupt dkg records")

func sessionKey(id SessionID, part string) string { return "s/" + id.String() + "/" + part }

func memberPart(prefix string, i int) string { return fmt.Sprintf("%s%03d", prefix, i) }

func earlyKey(i int, id SessionID, complaint bool) string {
	key := fmt.Sprintf("e/%03d/%s", i, id)
	if complaint {
		key += earlyComplaint
	}
	return key
}

func voteKey(root SessionID, culprit, voter int) string {
	return fmt.Sprintf("v/%s/%03d/%03d", root, culprit, voter)
}

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

// encodeCeremony is the record of an attempt at c without the members out.
func encodeCeremony(c Ceremony, order uint64, out []int) []byte {
	var b cryptobyte.Builder
	b.AddBytes(c.ID[:])
	b.AddUint8(uint8(c.T))
	b.AddUint8(uint8(c.MinMembers))
	b.AddUint8(uint8(c.MinSpare))
	if c.NoExclusion {
		b.AddUint8(1)
	} else {
		b.AddUint8(0)
	}
	b.AddUint8(uint8(c.Suite))
	b.AddUint64(order)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.Label)) })
	for _, member := range out {
		b.AddUint8(uint8(member))
	}
	return b.BytesOrPanic() // the label is at most MaxLabel
}

func decodeCeremony(v []byte, n int) (c Ceremony, order uint64, out []int, ok bool) {
	s := cryptobyte.String(v)
	var t, least, spare, manual, suite uint8
	var label cryptobyte.String
	ok = s.CopyBytes(c.ID[:]) && s.ReadUint8(&t) && s.ReadUint8(&least) && s.ReadUint8(&spare) && s.ReadUint8(&manual) &&
		manual <= 1 && s.ReadUint8(&suite) && s.ReadUint64(&order) && s.ReadUint8LengthPrefixed(&label)
	c.T, c.MinMembers, c.MinSpare, c.NoExclusion, c.Label = int(t), int(least), int(spare), manual == 1, string(label)
	c.Suite = Suite(suite)
	if !ok {
		return c, order, nil, false
	}
	out, ok = decodeIndices(s, n)
	return c, order, out, ok
}

// decodeIndices reads ascending indices below n, of one byte each.
func decodeIndices(v []byte, n int) (indices []int, ok bool) {
	for k, i := range v {
		if int(i) >= n || k > 0 && v[k-1] >= i {
			return nil, false
		}
		indices = append(indices, int(i))
	}
	return indices, true
}

func (v *vote) encode() []byte { return append([]byte{byte(v.reason)}, v.sig[:]...) }

func decodeVote(v []byte) (*vote, bool) {
	if len(v) != 1+sigSize || !VoteReason(v[0]).valid() {
		return nil, false
	}
	return &vote{reason: VoteReason(v[0]), sig: [sigSize]byte(v[1:])}, true
}

// choice is the one thing a member does with a checked session: sign for it or
// complain about it. It is durable before either leaves this member and never
// changes, so a session with an honest complaint can never complete. A complaint
// is kept as broadcast, since its proofs would be others the next time.
type choice struct {
	sign      bool
	eqInput   []byte // what was signed
	sig       [sigSize]byte
	complaint []byte
}

const (
	choiceSign     byte = 's'
	choiceComplain byte = 'c'
)

func (c *choice) encode() []byte {
	if !c.sign {
		return append([]byte{choiceComplain}, c.complaint...)
	}
	return append(append([]byte{choiceSign}, c.sig[:]...), c.eqInput...)
}

func decodeChoice(v []byte) (*choice, bool) {
	switch {
	case len(v) > 1 && v[0] == choiceComplain:
		return &choice{complaint: v[1:]}, true
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

// add adds culprits, in order.
func (f *failure) add(culprits []int) {
	f.culprits = append(slices.Clone(f.culprits), culprits...)
	slices.Sort(f.culprits)
	f.culprits = slices.Compact(f.culprits)
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
	culprits, ok := decodeIndices(v[1:], n)
	return &failure{reason: Reason(v[0]), culprits: culprits}, ok
}
