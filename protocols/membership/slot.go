package membership

import (
	"strconv"

	"frostfed/bitcoin"
	"frostfed/protocols"
)

// A slot is one agreement among the members of an epoch, after Tendermint (Buchman,
// Kwon, Milosevic 2018), over reliable broadcast: in each round a leader offers a
// value, members vote, and commit to what a quorum voted for. Who commits is locked
// and votes for nothing else, unless shown a quorum of a later round. Reliable
// broadcast takes equivocation out of it, and everybody comes to hold the same votes.
type slot struct {
	rounds map[int]*round

	// What follows is not stored. It decides when this member gives up on a leader,
	// and so when there is a decision, never which.
	round int
	since bitcoin.Height // of the round, or the last time there was nothing to decide
}

// round holds by member what was delivered.
type round struct {
	offer       *offer
	pre, commit []*[32]byte // hash of a value; zero for none
}

// offer is the value of a leader.
type offer struct {
	raw    []byte
	hash   [32]byte
	value  *value
	rests  int    // earlier round with a quorum of votes for it, or -1
	judged uint64 // facts.version it was last found not acceptable with
}

const noRound = 255 // encodes an offer that rests on no earlier round

var noValue [32]byte

// leader is the member that offers a value. It moves with every round, so that f
// faulty ones cost f rounds.
func (r *era) leader(k, round int) int { return (int(r.number()) + k + round) % r.n() }

func (r *era) slot(k int) *slot {
	s := r.slots[k]
	if s == nil {
		s = &slot{rounds: make(map[int]*round)}
		r.slots[k] = s
	}
	return s
}

func (r *era) roundOf(s *slot, i int) *round {
	rd := s.rounds[i]
	if rd == nil {
		rd = &round{pre: make([]*[32]byte, r.n()), commit: make([]*[32]byte, r.n())}
		s.rounds[i] = rd
	}
	return rd
}

func (r *era) quorum() int { return protocols.EchoQuorum(r.n()) }

// count is how many voted for hash.
func count(votes []*[32]byte, hash [32]byte) (n int) {
	for _, v := range votes {
		if v != nil && *v == hash {
			n++
		}
	}
	return n
}

// cast is how many voted.
func cast(votes []*[32]byte) (n int) {
	for _, v := range votes {
		if v != nil {
			n++
		}
	}
	return n
}

// winner is the value that a quorum voted for.
func (r *era) winner(votes []*[32]byte) (hash [32]byte, ok bool) {
	for _, v := range votes {
		if v != nil && count(votes, *v) >= r.quorum() {
			return *v, true
		}
	}
	return hash, false
}

// known finds the value with that hash in any round.
func (s *slot) known(hash [32]byte) *offer {
	for i := range maxRounds {
		if rd := s.rounds[i]; rd != nil && rd.offer != nil && rd.offer.hash == hash {
			return rd.offer
		}
	}
	return nil
}

// decision is the value that a quorum committed to. There is never a second one: two
// quorums share an honest member, which was locked.
func (r *era) decision(s *slot) *offer {
	for i := range maxRounds {
		rd := s.rounds[i]
		if rd == nil {
			continue
		}
		if hash, ok := r.winner(rd.commit); ok && hash != noValue {
			return s.known(hash)
		}
	}
	return nil
}

// best is the value of the latest round below limit that a quorum voted for.
func (r *era) best(s *slot, limit int) (*offer, int) {
	for i := limit - 1; i >= 0; i-- {
		rd := s.rounds[i]
		if rd == nil {
			continue
		}
		if hash, ok := r.winner(rd.pre); ok && hash != noValue {
			if o := s.known(hash); o != nil {
				return o, i
			}
		}
	}
	return nil, -1
}

// locked is the last value this member committed to.
func (r *era) locked(k int) (hash [32]byte, at int) {
	for i := maxRounds - 1; i >= 0; i-- {
		if said, ok := r.own[r.topic(topicCommit, k, i)]; ok && [32]byte(said) != noValue {
			return [32]byte(said), i
		}
	}
	return hash, -1
}

// ahead is the highest round that f+1 members reached: one of them is honest.
func (r *era) ahead(s *slot) int {
	reached := make([]int, r.n())
	for i := range maxRounds {
		rd := s.rounds[i]
		if rd == nil {
			continue
		}
		for j := range reached {
			if rd.pre[j] != nil || rd.commit[j] != nil {
				reached[j] = i + 1
			}
		}
	}
	for i := maxRounds; i > 0; i-- {
		n := 0
		for _, at := range reached {
			if at >= i {
				n++
			}
		}
		if n >= protocols.ReadyAmplification(r.n()) {
			return i - 1
		}
	}
	return -1
}

// agree takes the part of this member in the slot that is open.
func (m *Machine) agree(r *era, e *effects) {
	k := len(r.decided)
	if k == maxSlots {
		return
	}
	s := r.slot(k)
	for {
		before := s.round
		m.agreeRound(r, k, s, e)
		if s.round == before {
			return
		}
	}
}

func (m *Machine) enter(s *slot, i int) {
	s.round, s.since = i, m.chain.Height
}

func (m *Machine) agreeRound(r *era, k int, s *slot, e *effects) {
	at := r.ahead(s)
	if at > s.round {
		m.enter(s, at)
	}
	rd, wait := r.roundOf(s, s.round), bitcoin.Height(r.terms.Round)
	// With nothing to decide rounds do not pass: their number is limited.
	if _, old := r.best(s, s.round); at < s.round && old < 0 && rd.offer == nil && !m.work(r) {
		s.since = m.chain.Height
		return
	}
	waited := func(steps bitcoin.Height) bool { return m.chain.Height >= s.since+steps*wait }

	if r.leader(k, s.round) == r.self {
		m.offer(r, k, s, e)
	}
	if !r.said(topicPre, k, s.round) {
		if m.acceptable(r, k, s, rd) {
			m.say(r, topicPre, k, s.round, rd.offer.hash[:], e)
		} else if waited(1) {
			m.say(r, topicPre, k, s.round, noValue[:], e)
		}
	}
	if !r.said(topicCommit, k, s.round) {
		hash, ok := r.winner(rd.pre)
		switch {
		case ok && (hash == noValue || s.known(hash) != nil):
			m.say(r, topicCommit, k, s.round, hash[:], e)
		case waited(2) && cast(rd.pre) >= r.quorum():
			m.say(r, topicCommit, k, s.round, noValue[:], e)
		}
	}
	// Only a quorum ends a round: in a minority time stands still.
	if s.round+1 < maxRounds && cast(rd.commit) >= r.quorum() && (count(rd.commit, noValue) >= r.quorum() || waited(2)) {
		m.enter(s, s.round+1)
	}
}

// offer broadcasts what a quorum voted for before, or else what this member thinks.
func (m *Machine) offer(r *era, k int, s *slot, e *effects) {
	if r.said(topicValue, k, s.round) {
		return
	}
	rests, raw := byte(noRound), []byte(nil)
	if o, at := r.best(s, s.round); o != nil {
		rests, raw = byte(at), o.raw
	} else if v := m.choose(r); v != nil {
		raw = v.encode()
	}
	if len(raw) > 0 && len(raw) <= maxValue {
		m.say(r, topicValue, k, s.round, append([]byte{rests}, raw...), e)
	}
}

// acceptable says whether this member may vote for the offer of a round. Locked, it
// takes its own value, or what a later quorum voted for.
func (m *Machine) acceptable(r *era, k int, s *slot, rd *round) bool {
	o := rd.offer
	if o == nil {
		return false
	}
	lock, at := r.locked(k)
	free := at < 0 || lock == o.hash
	if o.rests >= 0 {
		earlier := s.rounds[o.rests]
		return (free || at <= o.rests) && o.rests < s.round && earlier != nil && count(earlier.pre, o.hash) >= r.quorum()
	}
	if !free || o.judged == m.version {
		return false
	}
	if m.valid(r, o.value, count(rd.pre, o.hash)) {
		return true
	}
	o.judged = m.version
	return false
}

func (r *era) topic(kind string, k, round int) string {
	return topic{epoch: r.number(), kind: kind, slot: k, round: round}.String()
}

func (r *era) said(kind string, k, round int) bool {
	_, ok := r.own[r.topic(kind, k, round)]
	return ok
}

// takeValue takes the delivered offer of a leader.
func (r *era) takeValue(from, k, i int, payload []byte) string {
	rd := r.roundOf(r.slot(k), i)
	if from != r.leader(k, i) {
		return "offers a value in a round of another"
	}
	if len(payload) == 0 || payload[0] != noRound && int(payload[0]) >= i {
		return "offers a value that rests on no earlier round"
	}
	v, err := decodeValue(payload[1:])
	if err != nil {
		return "offers a malformed value"
	}
	rests := int(payload[0])
	if rests == noRound {
		rests = -1
	}
	rd.offer = &offer{raw: payload[1:], hash: valueHash(payload[1:]), value: v, rests: rests}
	return ""
}

// takeVote takes a delivered vote.
func (r *era) takeVote(votes []*[32]byte, from int, payload []byte) string {
	if len(payload) != len(noValue) {
		return "a vote of " + strconv.Itoa(len(payload)) + " bytes"
	}
	hash := [32]byte(payload)
	votes[from] = &hash
	return ""
}
