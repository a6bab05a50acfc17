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
// broadcast, once per member and session, as one chilldkg complaint per accused,
// ascending. Every one of them convicts: its accused, or its author.

// complain makes the complaint of a participant about the given dealers.
func complain(host []byte, round *chilldkg.Round1, dealers []int, aux []byte) ([]byte, error) {
	var payload []byte
	for _, dealer := range dealers {
		c, err := round.Complain(host, dealer, aux)
		if err != nil {
			return nil, err
		}
		payload = append(payload, c...)
	}
	return payload, nil
}

// splitComplaint returns the complaints in the payload that participant author
// has broadcast, and whom they accuse; false if no correct member sends it.
func splitComplaint(params *chilldkg.SessionParams, author int, payload []byte) (accused []int, ok bool) {
	if len(payload) == 0 || len(payload)%chilldkg.ComplaintSize != 0 || len(payload) > maxComplaint(params.N()) {
		return nil, false
	}
	for c := range slices.Chunk(payload, chilldkg.ComplaintSize) {
		by, about, err := chilldkg.ComplaintParties(params, c)
		if err != nil || by != author || len(accused) > 0 && about <= accused[len(accused)-1] {
			return nil, false
		}
		accused = append(accused, about)
	}
	return accused, true
}

func maxComplaint(n int) int { return (n - 1) * chilldkg.ComplaintSize }

// takeComplaint stores a delivered complaint. One that is malformed is stored as
// empty: it convicts its author, at every honest member alike.
func (m *Machine) takeComplaint(s *session, i int, payload []byte, e *effects) {
	switch {
	case s.complaints[i] != nil:
		return
	case s.recovery != nil:
		// It has signed too: a certificate has the signature of everybody.
		s.complaints[i], s.judging[i] = []byte{}, true
		e.Faults = append(e.Faults, m.fault(FaultComplaint, s.members[i], "complains about a session it has signed for"))
		return
	case s.failure != nil && !s.convicting():
		return
	}
	if _, ok := splitComplaint(s.params, i, payload); !ok {
		payload = nil
	}
	s.complaints[i] = append([]byte{}, payload...)
	e.Persist = append(e.Persist, put(sessionKey(s.id, memberPart(partComplaint, i)), s.complaints[i]))
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
}

// judge starts the judgement of each complaint for which everything is here:
// the first messages of those it accuses, which all honest members deliver.
func (m *Machine) judge(s *session, e *effects) {
	for i, payload := range s.complaints {
		if payload == nil || s.judging[i] {
			continue
		}
		accused, _ := splitComplaint(s.params, i, payload)
		if slices.ContainsFunc(accused, func(k int) bool { return s.m1[k] == nil }) {
			continue
		}
		s.judging[i] = true
		params, id, m1 := s.params, chilldkg.SessionID(s.id), slices.Clone(s.m1)
		e.Work = append(e.Work, protocols.Job{
			ID:  fmt.Sprintf("%s%s/%03d", jobJudge, s.id, i),
			Run: func() any { return judged{author: i, verdicts: judgeComplaint(params, id, i, payload, m1)} },
		})
	}
}

// judgeComplaint is the same at every honest member: it depends on broadcast
// messages alone.
func judgeComplaint(params *chilldkg.SessionParams, id chilldkg.SessionID, author int, payload []byte, m1 [][]byte) (verdicts []verdict) {
	accused, ok := splitComplaint(params, author, payload)
	lied := !ok
	for k, i := range accused {
		c := payload[k*chilldkg.ComplaintSize : (k+1)*chilldkg.ComplaintSize]
		if guilty, err := chilldkg.Judge(params, id, author, c, m1[i]); err == nil && guilty == i {
			verdicts = append(verdicts, verdict{i, VoteShare})
		} else {
			lied = true
		}
	}
	if lied {
		verdicts = append(verdicts, verdict{author, VoteComplaint})
	}
	slices.SortFunc(verdicts, func(a, b verdict) int { return a.culprit - b.culprit })
	return verdicts
}

func (m *Machine) doneJudge(now protocols.Time, s *session, r judged, e *effects) {
	if s.recovery != nil {
		e.Faults = append(e.Faults, m.fault(FaultComplaint, s.members[r.author], "complains about a session it has signed for"))
		return
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
		e.Faults = append(e.Faults, m.fault(kind, s.members[v.culprit], detail))
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
