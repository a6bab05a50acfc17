package membership

import (
	"fmt"
	"strconv"
	"strings"
)

// Topics of broadcasts, each used once by a member in an epoch, so that to say two
// things under one of them is equivocation that echo proves:
//
//	<epoch>/host                   the own host key of the next epoch
//	<epoch>/proposal/<number>      a proposal
//	<epoch>/vote/<proposal>        approval or rejection of it
//	<epoch>/value/<slot>/<round>   the leader's value
//	<epoch>/pre/<slot>/<round>     vote for a value, or none
//	<epoch>/commit/<slot>/<round>  the same, after a quorum of votes
//	<epoch>/promise/<slot>         the one descriptor this member will sign for
type topic struct {
	epoch       uint32
	kind        string
	id          ID
	slot, round int // of proposals: slot is the number
}

const (
	topicHost     = "host"
	topicProposal = "proposal"
	topicVote     = "vote"
	topicValue    = "value"
	topicPre      = "pre"
	topicCommit   = "commit"
	topicPromise  = "promise"
)

// Limits on what is held. All are per member and epoch, and a member reaches none of
// them but by intent.
const (
	// maxProposals stops a member that floods the others with proposals. A member
	// speaks for a few applicants and itself.
	maxProposals = 8
	// maxSlots is how many things an epoch decides. A change takes two; what fails
	// takes two more.
	maxSlots = 32
	// maxRounds is how many leaders may try for one slot. Rounds advance only while a
	// quorum takes part, so that a partition uses up none.
	maxRounds = 64
	// maxVotes bounds votes for proposals that have not been delivered here yet.
	maxVotes = 256
)

// maxValue bounds a value: a descriptor of MaxMembers, their deposits, and maxSwept
// coins. A leader can make others hold as many as it leads rounds: 32*64/n.
const maxValue = 64 << 10

func (t topic) String() string {
	head := strconv.FormatUint(uint64(t.epoch), 10) + "/" + t.kind
	switch t.kind {
	case topicHost:
		return head
	case topicVote:
		return head + "/" + t.id.String()
	case topicProposal, topicPromise:
		return fmt.Sprintf("%s/%d", head, t.slot)
	}
	return fmt.Sprintf("%s/%d/%d", head, t.slot, t.round)
}

// TopicEpoch returns the number of the epoch whose members broadcast under topic, and
// whether topic is one of this package.
func TopicEpoch(text string) (uint32, bool) {
	t, ok := parseTopic(text)
	return t.epoch, ok
}

// parseTopic takes only what String writes.
func parseTopic(text string) (t topic, ok bool) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 4 {
		return t, false
	}
	n, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil {
		return t, false
	}
	t.epoch, t.kind = uint32(n), parts[1]
	switch rest := parts[2:]; {
	case t.kind == topicHost && len(rest) == 0:
		ok = true
	case t.kind == topicVote && len(rest) == 1:
		t.id, ok = parseID(rest[0])
	case t.kind == topicProposal && len(rest) == 1:
		t.slot, ok = below(rest[0], maxProposals)
	case t.kind == topicPromise && len(rest) == 1:
		t.slot, ok = below(rest[0], maxSlots)
	case (t.kind == topicValue || t.kind == topicPre || t.kind == topicCommit) && len(rest) == 2:
		if t.slot, ok = below(rest[0], maxSlots); ok {
			t.round, ok = below(rest[1], maxRounds)
		}
	}
	return t, ok && t.String() == text
}

func below(s string, limit int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n < limit
}

func parseID(s string) (id ID, ok bool) {
	if len(s) != 2*len(id) {
		return id, false
	}
	for i := range id {
		b, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			return id, false
		}
		id[i] = byte(b)
	}
	return id, true
}
