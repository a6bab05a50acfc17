package dkg

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// Notary knows the signatures under which broadcasts are delivered. They are what
// makes a verdict provable to strangers, who have delivered nothing.
type Notary struct {
	// Hash is what the sender of a broadcast signs for its payload.
	Hash func(payload []byte) [32]byte
	// Verify says whether sender signed a payload with this hash for the topic.
	Verify func(sender protocols.NodeID, topic string, hash [32]byte, sig []byte) bool
}

func (n *Notary) signed(sender protocols.NodeID, topic string, payload, sig []byte) bool {
	return n.Verify(sender, topic, n.Hash(payload), sig)
}

// ErrProof is wrapped by the errors of VerifyProof: the proof shows nothing.
var ErrProof = errors.New("invalid proof of a fault in key generation")

// Conviction is what a proof shows. Kind is FaultFirstMessage, FaultShare,
// FaultComplaint or FaultSigned.
type Conviction struct {
	Culprit protocols.NodeID
	Kind    string
	Session SessionID
}

// The forms of a proof. All begin with a broadcast that its sender signed, under
// the topic of a session:
//
//	version u8=1 | form u8 | ceremony 32 | suite u8 | t u8 | out u8+bytes | sender u8 | signature 64 | payload u24+bytes | rest
//
// out are the members that were voted out before, ascending, which with ceremony,
// suite and t gives the session ID, and with it the topic; sender is its place among the
// participants. What rest is and who is guilty:
//
//	first     nothing; the first message is wrong: its sender
//	malformed nothing; no correct member sends this complaint: its sender
//	judged    accused u8 | first message u24+bytes: the one that the complaint names;
//	          the suite's Judge tells accused or sender
//	nonce     signature 64 | first message u24+bytes: the sender's own, whose nonce
//	          is not the one in its complaint: the sender
//	signed    signature 64 | what it signs to the end: the sender complained about
//	          the session, and signed for it
//	oversize  (of a session that need not exist; see below) the sender
//
// The last one has another beginning:
//
//	version u8=1 | form u8 | session 32 | complaint u8 | sender u8 | signature 64 | payload u24+bytes
//
// sender being a member. Whatever is in a proof is signed, or hashed into what is.
const proofVersion = 1

const (
	formFirst     = 1
	formMalformed = 2
	formJudged    = 3
	formNonce     = 4
	formSigned    = 5
	formOversize  = 6
)

// hearing is what verdicts in one session rest on, beside what was broadcast. It
// is the same for members, who judge what they deliver, and for strangers, who
// judge what a proof holds.
type hearing struct {
	notary   Notary
	ceremony [32]byte
	out      []int
	params   scheme
	session  SessionID
	ids      []protocols.NodeID // of the participants
}

func (m *Machine) hearing(s *session) *hearing {
	return &hearing{notary: m.cfg.Notary, ceremony: s.ceremony.ID, out: s.out, params: s.params, session: s.id, ids: m.ids(s.members)}
}

// proof builds the beginning of a proof; rest appends what the form adds.
func (h *hearing) proof(form uint8, sender int, sig [sigSize]byte, payload []byte, rest ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddUint8(proofVersion)
	b.AddUint8(form)
	b.AddBytes(h.ceremony[:])
	b.AddUint8(uint8(h.params.suite()))
	b.AddUint8(uint8(h.params.T()))
	b.AddUint8(uint8(len(h.out)))
	for _, i := range h.out {
		b.AddUint8(uint8(i))
	}
	b.AddUint8(uint8(sender))
	b.AddBytes(sig[:])
	b.AddBytes(long(payload))
	for _, part := range rest {
		b.AddBytes(part)
	}
	return b.BytesOrPanic() // payloads of reliable broadcast are below 2^24 bytes
}

// long is v after its length.
func long(v []byte) []byte {
	return append([]byte{byte(len(v) >> 16), byte(len(v) >> 8), byte(len(v))}, v...)
}

// proveOversize proves a broadcast that is too long for any session.
func proveOversize(member int, h early) []byte {
	what := byte(0)
	if h.complaint {
		what = 1
	}
	head := append([]byte{proofVersion, formOversize}, h.session[:]...)
	return slices.Concat(head, []byte{what, byte(member)}, h.sig[:], long(h.payload))
}

// VerifyProof checks the Proof of a fault from scratch. Who knows the members of
// the federation, in order, and how their broadcasts are signed, needs nothing
// else. Errors wrap ErrProof.
func VerifyProof(members []Member, notary Notary, proof []byte) (Conviction, error) {
	s := cryptobyte.String(proof)
	var version, form uint8
	if !s.ReadUint8(&version) || version != proofVersion || !s.ReadUint8(&form) {
		return Conviction{}, fmt.Errorf("%w: version", ErrProof)
	}
	c, err := verifyForm(members, notary, form, s)
	if err != nil {
		return Conviction{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return c, nil
}

var errUnsigned = errors.New("signature of a broadcast")

func verifyForm(members []Member, notary Notary, form uint8, s cryptobyte.String) (Conviction, error) {
	if form == formOversize {
		return verifyOversize(members, notary, s)
	}
	h, err := readHearing(members, notary, &s)
	if err != nil {
		return Conviction{}, err
	}
	var sender uint8
	var sig [sigSize]byte
	var payload cryptobyte.String
	if !s.ReadUint8(&sender) || int(sender) >= len(h.ids) || !s.CopyBytes(sig[:]) || !s.ReadUint24LengthPrefixed(&payload) {
		return Conviction{}, errMalformed
	}
	topic := ComplaintTopic(h.session)
	if form == formFirst {
		topic = M1Topic(h.session)
	}
	if !notary.signed(h.ids[sender], topic, payload, sig[:]) {
		return Conviction{}, errUnsigned
	}
	culprit, kind, err := h.verdict(form, int(sender), payload, s)
	if err != nil {
		return Conviction{}, err
	}
	return Conviction{Culprit: h.ids[culprit], Kind: kind, Session: h.session}, nil
}

// readHearing reads the parameters of a session.
func readHearing(members []Member, notary Notary, s *cryptobyte.String) (*hearing, error) {
	h := &hearing{notary: notary}
	var suite, t uint8
	var out cryptobyte.String
	if !s.CopyBytes(h.ceremony[:]) || !s.ReadUint8(&suite) || !s.ReadUint8(&t) || !s.ReadUint8LengthPrefixed(&out) {
		return nil, errMalformed
	}
	var ok bool
	if h.out, ok = decodeIndices(out, len(members)); !ok {
		return nil, errMalformed
	}
	var keys [][]byte
	for i, m := range members {
		if _, gone := slices.BinarySearch(h.out, i); !gone {
			keys, h.ids = append(keys, m.HostKey[:]), append(h.ids, m.ID)
		}
	}
	var err error
	if h.params, err = newScheme(Suite(suite), keys, int(t)); err != nil {
		return nil, err
	}
	h.session = SessionID(h.params.SessionID(h.ceremony, uint32(len(h.out))))
	return h, nil
}

// verdict says which participant a proof convicts, of what.
func (h *hearing) verdict(form uint8, sender int, payload []byte, s cryptobyte.String) (culprit int, kind string, err error) {
	switch form {
	case formFirst:
		if err := h.params.openOne(chilldkg.SessionID(h.session), sender, payload); err == nil || !s.Empty() {
			return 0, "", errors.New("the first message is right")
		}
		return sender, FaultFirstMessage, nil
	case formMalformed:
		if !h.malformed(sender, payload) || !s.Empty() {
			return 0, "", errors.New("the complaint is well-formed")
		}
		return sender, FaultComplaint, nil
	case formJudged:
		var accused uint8
		var dealing cryptobyte.String
		if !s.ReadUint8(&accused) || !s.ReadUint24LengthPrefixed(&dealing) || !s.Empty() {
			return 0, "", errMalformed
		}
		return h.verifyJudged(sender, payload, int(accused), dealing)
	case formNonce:
		var sig [sigSize]byte
		var dealing cryptobyte.String
		if !s.CopyBytes(sig[:]) || !s.ReadUint24LengthPrefixed(&dealing) || !s.Empty() || len(dealing) != h.params.DealingSize() ||
			len(payload) < pointSize || bytes.Equal(payload[:pointSize], h.params.nonceOfM1(dealing)) {
			return 0, "", errMalformed
		}
		if !h.notary.signed(h.ids[sender], M1Topic(h.session), dealing, sig[:]) {
			return 0, "", errUnsigned
		}
		return sender, FaultComplaint, nil
	case formSigned:
		var sig [sigSize]byte
		if !s.CopyBytes(sig[:]) {
			return 0, "", errMalformed
		}
		return sender, FaultSigned, h.verifySigned(sender, payload, s, sig[:])
	}
	return 0, "", errMalformed
}

func (h *hearing) verifyJudged(author int, payload []byte, accused int, dealing []byte) (culprit int, kind string, err error) {
	_, list, ok := splitComplaint(h.params.hosts(), author, payload)
	at := slices.IndexFunc(list, func(a accusation) bool { return a.accused == accused })
	if !ok || at < 0 || list[at].hash != h.notary.Hash(dealing) || !h.named(list[at]) {
		return 0, "", errors.New("the complaint is not about this first message")
	}
	if h.guilty(author, list[at], dealing) == accused {
		return accused, FaultShare, nil
	}
	return author, FaultComplaint, nil
}

// verifySigned checks that the author of a complaint signed for the same session.
// The certificate does not name a session, but it holds the nonce that the author
// drew for one session alone and says in its complaint.
func (h *hearing) verifySigned(author int, payload, eqInput, sig []byte) error {
	nonce, _, ok := splitComplaint(h.params.hosts(), author, payload)
	if !ok || len(eqInput) != h.params.recoverySize()-sigSize*h.params.N() || !bytes.Equal(nonce, h.params.nonceOfRecovery(eqInput, author)) {
		return errors.New("the complaint is about another session")
	}
	return h.params.verifyCertSig(author, eqInput, sig)
}

func verifyOversize(members []Member, notary Notary, s cryptobyte.String) (Conviction, error) {
	var id SessionID
	var complaint, sender uint8
	var sig [sigSize]byte
	var payload cryptobyte.String
	if !s.CopyBytes(id[:]) || !s.ReadUint8(&complaint) || complaint > 1 || !s.ReadUint8(&sender) || int(sender) >= len(members) ||
		!s.CopyBytes(sig[:]) || !s.ReadUint24LengthPrefixed(&payload) || !s.Empty() || len(payload) <= maxEarlySize {
		return Conviction{}, errMalformed
	}
	topic, kind := M1Topic(id), FaultFirstMessage
	if complaint == 1 {
		topic, kind = ComplaintTopic(id), FaultComplaint
	}
	if !notary.signed(members[sender].ID, topic, payload, sig[:]) {
		return Conviction{}, errUnsigned
	}
	return Conviction{Culprit: members[sender].ID, Kind: kind, Session: id}, nil
}
