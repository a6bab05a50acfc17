package dkg

import (
	"slices"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// vote is a member's signed word that another one must go, and why. Votes are
// for one culprit each, not for sets of them: members see silence at different
// times, and votes for different sets would never add up. A vote is for the
// whole ceremony and is never taken back; n-f of them are a certificate.
type vote struct {
	reason VoteReason
	sig    [sigSize]byte
}

// VoteReason is why a member votes to exclude another one.
type VoteReason byte

// The reasons for votes. The first three are verdicts that every honest member
// reaches alike; the others are what the voter alone has seen.
const (
	VoteFirstMessage VoteReason = 1 // its first message is wrong
	VoteShare        VoteReason = 2 // a complaint proved that it dealt a bad share
	VoteComplaint    VoteReason = 3 // its complaint is false
	VoteSignature    VoteReason = 4 // its certificate signature is wrong
	VoteSilent       VoteReason = 5 // nothing came from it for the whole time-out
)

func (r VoteReason) valid() bool { return r >= VoteFirstMessage && r <= VoteSilent }

var voteNames = [...]string{
	VoteFirstMessage: "bad first message", VoteShare: "bad share", VoteComplaint: "false complaint",
	VoteSignature: "bad certificate signature", VoteSilent: "silent",
}

// String returns the reason in words.
func (r VoteReason) String() string { return name(voteNames[:], int(r)) }

// out lists the members that a quorum has voted out of r, ascending.
func (m *Machine) out(r *run) (out []int) {
	for culprit, votes := range r.votes {
		if countVotes(votes) >= m.quorum() {
			out = append(out, culprit)
		}
	}
	return out
}

func countVotes(votes []*vote) (have int) {
	for _, v := range votes {
		if v != nil {
			have++
		}
	}
	return have
}

// castBy counts the culprits that voter has voted against.
func (r *run) castBy(voter int) (cast int) {
	for _, votes := range r.votes {
		if votes[voter] != nil {
			cast++
		}
	}
	return cast
}

// mostVotes bounds the votes kept of one member, so that nobody fills our disk: as
// many as the floor lets go, and f more by verdict or against members that were
// only late, is the most an honest one casts.
func (m *Machine) mostVotes(r *run) int {
	return m.n() - m.floor(r.ceremony) + protocols.MaxFaulty(m.n())
}

func (m *Machine) mayVote(r *run, voter int) bool { return r.castBy(voter) < m.mostVotes(r) }

// accuse votes against the culprits (participants of s). With automatic exclusion
// switched off nothing follows from a verdict but the end of the session.
func (m *Machine) accuse(now protocols.Time, s *session, reason VoteReason, culprits []int, e *effects) {
	r := s.run
	if r.manual || !r.live() {
		return
	}
	for _, i := range culprits {
		culprit := s.members[i]
		if culprit == m.self || r.votes[culprit][m.self] != nil {
			continue
		}
		aux, err := m.random()
		if err != nil {
			return // the others' votes must do
		}
		host := m.cfg.HostSecret()
		sig, err := chilldkg.SignExclusion(host[:], r.params.hosts(), chilldkg.SessionID(r.root), culprit, byte(reason), aux[:])
		clear(host[:])
		if err != nil {
			return
		}
		m.keepVote(r, culprit, m.self, &vote{reason: reason, sig: sig}, e)
		for to := range m.cfg.Members {
			if to != m.self {
				m.sendVotes(r, culprit, to, m.self, e)
			}
		}
	}
	m.next(now, r, e)
}

// accuseSilent votes against those from whom an open attempt has nothing after
// the time-out. It does not if that, with those voted against before and not heard
// since, is more than may go, or if our own contribution has not come back to us:
// then it is rather we who are cut off.
func (m *Machine) accuseSilent(now protocols.Time, s *session, e *effects) {
	silent := missing(s.collecting())
	if s.phase() == PhaseChecking {
		silent = s.suspect
	}
	gone := make(map[int]bool)
	for culprit, votes := range s.run.votes {
		if v := votes[m.self]; v != nil && (v.reason != VoteSilent || !s.heard(culprit)) {
			gone[culprit] = true
		}
	}
	for _, i := range silent {
		gone[s.members[i]] = true
	}
	if slices.Contains(silent, s.self) || len(gone) > m.n()-m.floor(s.run.ceremony) ||
		s.run.castBy(m.self)+len(silent) > m.mostVotes(s.run) {
		return
	}
	m.accuse(now, s, VoteSilent, silent, e)
}

// heard says whether a member has done its part in the current phase. A vote for
// its silence that others do not share was a mistake then, and must not keep this
// member from voting against somebody else who is silent now.
func (s *session) heard(member int) bool {
	slots := s.collecting()
	i, ok := s.participant(member)
	return ok && slots != nil && slots[i] != nil
}

// patient says whether the silence of others counts against them now.
func (s *session) patient() bool {
	phase := s.phase()
	return (phase == PhaseSharing || phase == PhaseCertifying || phase == PhaseChecking && s.suspect != nil) && !s.run.manual
}

func (m *Machine) keepVote(r *run, culprit, voter int, v *vote, e *effects) {
	r.votes[culprit][voter] = v
	e.Persist = append(e.Persist, put(voteKey(r.root, culprit, voter), v.encode()))
}

// sendVotes sends the votes against culprit that are here to member to; of one
// voter, or of all if voter is negative.
func (m *Machine) sendVotes(r *run, culprit, to, voter int, e *effects) {
	msg := message{kind: kindExclude, session: r.root, culprit: byte(culprit)}
	for i, v := range r.votes[culprit] {
		if v != nil && (voter < 0 || voter == i) {
			msg.votes = append(msg.votes, ballot{voter: byte(i), vote: *v})
		}
	}
	if len(msg.votes) > 0 {
		m.send(to, msg, e)
	}
}

// stepExclude takes votes. They prove themselves, so anybody may bring them. Who
// votes against a member that is out already has missed it and is told.
func (m *Machine) stepExclude(now protocols.Time, r *run, from int, msg message) effects {
	var e effects
	culprit := int(msg.culprit)
	if culprit >= m.n() || int(msg.votes[len(msg.votes)-1].voter) >= m.n() {
		return fault(FaultMalformed, m.cfg.Members[from].ID, "vote by or about somebody who is not a member")
	}
	if r.manual {
		return e
	}
	known := countVotes(r.votes[culprit]) >= m.quorum()
	for _, b := range msg.votes {
		voter := int(b.voter)
		if r.votes[culprit][voter] != nil || !m.mayVote(r, voter) {
			continue
		}
		if !chilldkg.VerifyExclusion(r.params.hosts(), chilldkg.SessionID(r.root), voter, culprit, byte(b.reason), b.sig[:]) {
			e.Faults = append(e.Faults, m.fault(FaultVote, from, "vote to exclude does not verify"))
			break // one is enough; each costs us a verification
		}
		v := b.vote
		m.keepVote(r, culprit, voter, &v, &e)
		if known && voter == from {
			m.sendVotes(r, culprit, from, -1, &e)
		}
	}
	m.next(now, r, &e)
	return e
}

// tellExcluded answers a member that asks who is out.
func (m *Machine) tellExcluded(now protocols.Time, r *run, to int) effects {
	var e effects
	if now < r.answerAt[to] {
		return e
	}
	for _, culprit := range m.out(r) {
		r.answerAt[to] = now + answerPause
		m.sendVotes(r, culprit, to, -1, &e)
	}
	return e
}
