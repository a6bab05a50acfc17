package dkg

import (
	"bytes"
	"fmt"
	"slices"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// A complaint names dealers whose share for its author does not fit their
// commitments, each with a proof from which everybody can tell who lies. It is
// broadcast, once per member and session:
//
//	nonce (33) | k * (complaint (105) | hash (32) | signature (64))
//
// complaint is chilldkg's, by ascending accused. hash and signature are what the
// accused signed of the first message that the complaint is about: an accused that
// signed two could otherwise show strangers the other one, for which the complaint
// is false. nonce is the author's own of the session: certificates name nonces, not
// sessions, so this is what shows that somebody complained about a session and
// signed for it. Every entry convicts: its accused, or the author.

// accusation is one entry of a complaint.
type accusation struct {
	accused int
	body    []byte
	hash    [32]byte
	sig     []byte
}

const accusationSize = chilldkg.ComplaintSize + 32 + sigSize

func maxComplaint(n int) int { return pointSize + (n-1)*accusationSize }

// complain makes the complaint of participant author about the given dealers.
// sigs are those of the first messages m1.
func (h *hearing) complain(host []byte, round round, author int, dealers []int, m1 [][]byte, sigs [][sigSize]byte, aux []byte) ([]byte, error) {
	payload := bytes.Clone(h.params.nonceOfM1(m1[author]))
	for _, dealer := range dealers {
		c, err := round.Complain(host, dealer, aux)
		if err != nil {
			return nil, err
		}
		hash := h.notary.Hash(m1[dealer])
		payload = slices.Concat(payload, c, hash[:], sigs[dealer][:])
	}
	return payload, nil
}

// splitComplaint returns the nonce and the accusations in the payload that
// participant author has broadcast; false if no correct member sends it.
func splitComplaint(params *chilldkg.SessionParams, author int, payload []byte) (nonce []byte, list []accusation, ok bool) {
	if len(payload) <= pointSize || (len(payload)-pointSize)%accusationSize != 0 || len(payload) > maxComplaint(params.N()) {
		return nil, nil, false
	}
	for c := range slices.Chunk(payload[pointSize:], accusationSize) {
		body, rest := c[:chilldkg.ComplaintSize], c[chilldkg.ComplaintSize:]
		by, about, err := chilldkg.ComplaintParties(params, body)
		if err != nil || by != author || len(list) > 0 && about <= list[len(list)-1].accused {
			return nil, nil, false
		}
		list = append(list, accusation{accused: about, body: body, hash: [32]byte(rest), sig: rest[32:]})
	}
	return payload[:pointSize], list, true
}

// takeComplaint stores a delivered complaint. One that is malformed is stored as
// empty, and proved at once: it convicts its author, at every honest member alike.
func (m *Machine) takeComplaint(s *session, i int, payload []byte, sig [sigSize]byte, e *effects) {
	if s.complaints[i] != nil || s.failure != nil && !s.convicting() {
		return
	}
	if _, _, ok := splitComplaint(s.params.hosts(), i, payload); !ok {
		if i != s.self && m.cfg.Notary.signed(m.cfg.Members[s.members[i]].ID, ComplaintTopic(s.id), payload, sig[:]) {
			e.Faults = append(e.Faults, m.proved(FaultComplaint, s.members[i], "complaint is malformed",
				m.hearing(s).proof(formMalformed, i, sig, payload)))
		}
		payload = nil
	}
	s.complaints[i], s.complaintSigs[i] = append([]byte{}, payload...), sig
	if s.recovery != nil {
		s.judging[i] = true
		m.perjury(s, i, e)
		return
	}
	e.Persist = append(e.Persist, put(sessionKey(s.id, memberPart(partComplaint, i)), sig[:], s.complaints[i]))
}

// perjury reports the author of a complaint about a session with a certificate:
// it has signed, too.
func (m *Machine) perjury(s *session, i int, e *effects) {
	payload := s.complaints[i]
	if len(payload) == 0 {
		return // it was reported as malformed
	}
	eqInput, cert := splitRecovery(s.recovery, s.n())
	fault := m.proved(FaultSigned, s.members[i], "complains about a session it has signed for", nil)
	if bytes.Equal(payload[:pointSize], s.params.nonceOfRecovery(eqInput, i)) {
		fault.Proof = m.hearing(s).proof(formSigned, i, s.complaintSigs[i], payload, cert[sigSize*i:sigSize*(i+1)], eqInput)
	}
	e.Faults = append(e.Faults, fault)
}

// judged is the result of a jobJudge.
type judged struct {
	author   int
	verdicts []verdict
}

// verdict convicts a participant by a complaint, by ascending participant.
type verdict struct {
	culprit int
	reason  VoteReason
	proof   []byte
}

// judge starts the judgement of each complaint for which everything is here: the
// first messages of its author and of those it accuses, which all honest members
// deliver.
func (m *Machine) judge(s *session, e *effects) {
	for i, payload := range s.complaints {
		if payload == nil || s.judging[i] || len(payload) > 0 && s.m1[i] == nil {
			continue
		}
		_, list, _ := splitComplaint(s.params.hosts(), i, payload)
		if slices.ContainsFunc(list, func(a accusation) bool { return s.m1[a.accused] == nil }) {
			continue
		}
		s.judging[i] = true
		h, c := m.hearing(s), complaintCase{author: i, payload: payload, sig: s.complaintSigs[i], m1: slices.Clone(s.m1), sigs: slices.Clone(s.m1Sigs)}
		e.Work = append(e.Work, protocols.Job{
			ID:  fmt.Sprintf("%s%s/%03d", jobJudge, s.id, i),
			Run: func() any { return judged{author: i, verdicts: h.judge(c)} },
		})
	}
}

// complaintCase is a complaint and the first messages it is judged by.
type complaintCase struct {
	author  int
	payload []byte
	sig     [sigSize]byte
	m1      [][]byte
	sigs    [][sigSize]byte
}

// judge is the same at every honest member: it depends on broadcast messages
// alone. A complaint about a first message that nobody delivered, though its
// accused signed it, is false and cannot be proved so; its accused equivocated,
// which can.
func (h *hearing) judge(c complaintCase) (verdicts []verdict) {
	nonce, list, _ := splitComplaint(h.params.hosts(), c.author, c.payload)
	lied := verdict{culprit: c.author}
	lie := func(form uint8, rest ...[]byte) {
		lied.reason = VoteComplaint
		if form != 0 && lied.proof == nil {
			lied.proof = h.proof(form, c.author, c.sig, c.payload, rest...)
		}
	}
	switch own := c.m1[c.author]; {
	case len(c.payload) == 0:
		lie(0) // proved when it was taken
	case h.malformed(c.author, c.payload):
		lie(formMalformed)
	case len(own) > 0 && !bytes.Equal(nonce, h.params.nonceOfM1(own)):
		lie(formNonce, c.sigs[c.author][:], long(own))
	}
	for _, a := range list {
		dealing := c.m1[a.accused]
		rest := append([]byte{byte(a.accused)}, long(dealing)...)
		switch named := h.named(a); {
		case !named, len(dealing) > 0 && a.hash != h.notary.Hash(dealing):
			lie(0)
		case h.guilty(c.author, a, dealing) != a.accused:
			lie(formJudged, rest)
		case len(dealing) == 0:
			verdicts = append(verdicts, verdict{culprit: a.accused, reason: VoteShare})
		default:
			verdicts = append(verdicts, verdict{a.accused, VoteShare, h.proof(formJudged, c.author, c.sig, c.payload, rest)})
		}
	}
	if lied.reason != 0 {
		verdicts = append(verdicts, lied)
	}
	slices.SortFunc(verdicts, func(a, b verdict) int { return a.culprit - b.culprit })
	return verdicts
}

// malformed says whether no correct participant complains like this.
func (h *hearing) malformed(author int, payload []byte) bool {
	_, list, ok := splitComplaint(h.params.hosts(), author, payload)
	return !ok || slices.ContainsFunc(list, func(a accusation) bool { return !h.named(a) })
}

// named says whether the accused signed a first message of that hash.
func (h *hearing) named(a accusation) bool {
	return h.notary.Verify(h.ids[a.accused], M1Topic(h.session), a.hash, a.sig)
}

// guilty returns author or accused, whose first message dealing is.
func (h *hearing) guilty(author int, a accusation, dealing []byte) int {
	guilty, err := h.params.judge(chilldkg.SessionID(h.session), author, a.body, dealing)
	if err != nil {
		return author
	}
	return guilty
}

func (m *Machine) doneJudge(now protocols.Time, s *session, r judged, e *effects) {
	if s.recovery != nil {
		return // perjury was reported when the certificate came
	}
	var fresh []verdict
	var culprits []int
	for _, v := range r.verdicts {
		if s.failure != nil && slices.Contains(s.failure.culprits, v.culprit) {
			continue
		}
		fresh = append(fresh, v)
		culprits = append(culprits, v.culprit)
		kind, detail := FaultShare, "encrypted share does not fit its commitment, as a complaint proves"
		if v.reason == VoteComplaint {
			kind, detail = FaultComplaint, "complaint is false"
		}
		e.Faults = append(e.Faults, m.proved(kind, s.members[v.culprit], detail, v.proof))
	}
	if len(fresh) == 0 {
		return
	}
	m.fail(now, s, ReasonComplaint, culprits, e)
	for _, v := range fresh {
		m.accuse(now, s, v.reason, []int{v.culprit}, e)
	}
}

func (m *Machine) broadcastComplaint(s *session) Broadcast {
	return Broadcast{Topic: ComplaintTopic(s.id), Payload: bytes.Clone(s.choice.complaint)}
}
