package membership

import (
	"bytes"
	"cmp"
	"slices"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

// era is what the members of one epoch say to each other. All of it but the fields
// marked volatile is a function of the set of messages that were said and delivered,
// whatever their order: so a restart reads them back in any order, and members that
// hold the same messages are in the same state.
type era struct {
	state *epoch.State
	terms *Terms
	ids   []protocols.NodeID // by member
	self  int                // -1: no member, only watches

	own       map[string][]byte // what this member broadcast, by topic
	delivered []map[string][]byte
	hosts     []*[33]byte // by member: host key of the next epoch
	entries   map[ID]*entry
	slots     [maxSlots]*slot
	promises  [maxSlots][]*[32]byte

	decided []*offer
	phase   phase
	begun   *begun      // the last batch
	seals   []*seal     // in order of slots
	dead    map[ID]bool // applications that went down with a key generation nobody is to blame for

	stopped   [][32]byte // bond keys of who stopped a key generation, as decided
	stoppedBy [32]byte   // which one

	erased bool // shares of this epoch are gone

	started [32]byte          // volatile: ceremony that was asked for
	next    *seal             // volatile: whose transition is in the best chain
	mined   bitcoin.Height    // volatile: where
	variant *epoch.Transition // volatile: which
	told    bool              // volatile: EraseShares
	lost    bool              // volatile: Unknown
}

// phase is what the open slot decides.
type phase uint8

const (
	collecting phase = iota // a batch
	generating              // a seal or a drop
	sealed                  // an abandonment
)

// begun is a batch that was decided.
type begun struct {
	batch    *batch
	ceremony [32]byte
	since    bitcoin.Height // volatile: when this member learned of it
}

// entry is a proposal and the votes for it. Votes may come first.
type entry struct {
	proposal *Proposal
	by       int
	yes, no  []bool         // by member
	since    bitcoin.Height // volatile: when this member saw it approved
	checked  bool           // volatile: evidence was looked at
	proved   bool           // volatile: and found to be proof
}

func newEra(state *epoch.State, charter *Charter, self protocols.NodeID) *era {
	n := len(state.Members)
	r := &era{
		state: state, terms: charter.Terms, self: -1,
		own: make(map[string][]byte), delivered: make([]map[string][]byte, n), hosts: make([]*[33]byte, n),
		entries: make(map[ID]*entry), dead: make(map[ID]bool),
	}
	for i := range state.Members {
		r.ids = append(r.ids, protocols.NodeID(state.Members[i].Peer))
		r.delivered[i] = make(map[string][]byte)
		if r.ids[i] == self {
			r.self = i
		}
	}
	for i := range r.promises {
		r.promises[i] = make([]*[32]byte, n)
	}
	return r
}

func (r *era) n() int         { return len(r.ids) }
func (r *era) number() uint32 { return r.state.Number }

func (r *era) entry(id ID) *entry {
	en := r.entries[id]
	if en == nil {
		en = &entry{yes: make([]bool, r.n()), no: make([]bool, r.n())}
		r.entries[id] = en
	}
	return en
}

// approvals is how many members approved and did not reject. Each says one thing.
func (en *entry) approvals() (n int) {
	for _, yes := range en.yes {
		if yes {
			n++
		}
	}
	return n
}

// approved: by t members. They must sign the transition anyway, so fewer would put
// others under pressure to sign what they did not want; and of more, n-t+1 members
// could keep everybody in and everybody out.
func (r *era) approved(en *entry) bool {
	return en.proposal != nil && en.approvals() >= r.state.Threshold
}

// sorted are the proposals in the order in which batches take them: by kind, then by
// which expires first, then by ID.
func (r *era) sorted() []*entry {
	var out []*entry
	for _, en := range r.entries {
		if en.proposal != nil {
			out = append(out, en)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.proposal.Kind, b.proposal.Kind), cmp.Compare(a.proposal.Expires, b.proposal.Expires),
			bytes.Compare(a.proposal.id[:], b.proposal.id[:]))
	})
	return out
}

// take takes a delivered message. It says what is wrong with it, or nothing.
func (r *era) take(from int, t topic, payload []byte) string {
	switch t.kind {
	case topicHost:
		return r.takeHost(from, payload)
	case topicProposal:
		return r.takeProposal(from, payload)
	case topicVote:
		if len(payload) != 1 || payload[0] > 1 {
			return "a malformed vote"
		}
		en := r.entry(t.id)
		en.yes[from], en.no[from] = payload[0] == 1, payload[0] == 0
	case topicValue:
		return r.takeValue(from, t.slot, t.round, payload)
	case topicPre:
		return r.takeVote(r.roundOf(r.slot(t.slot), t.round).pre, from, payload)
	case topicCommit:
		return r.takeVote(r.roundOf(r.slot(t.slot), t.round).commit, from, payload)
	case topicPromise:
		return r.takeVote(r.promises[t.slot], from, payload)
	}
	return ""
}

func (r *era) takeProposal(from int, payload []byte) string {
	p, err := decodeProposal(r.state.Hash(), r.state.Members[from].Bond, payload)
	if err != nil {
		return "a proposal that no correct member makes"
	}
	en := r.entry(p.id)
	if en.proposal == nil {
		en.proposal, en.by = p, from
	}
	return ""
}

// full says whether a member has used up what it may say under topics of that kind.
func (r *era) full(from int, kind string) bool {
	if kind != topicVote {
		return false // their number follows from the topic
	}
	n := 0
	for text := range r.delivered[from] {
		if t, _ := parseTopic(text); t.kind == topicVote {
			n++
		}
	}
	return n >= maxVotes
}

// fold applies decisions in order, as far as they are known.
func (r *era) fold(height bitcoin.Height) bool {
	moved := false
	for len(r.decided) < maxSlots {
		k := len(r.decided)
		s := r.slots[k]
		if s == nil {
			break
		}
		o := r.decision(s)
		if o == nil {
			break
		}
		r.decided = append(r.decided, o)
		r.apply(k, o, height)
		moved = true
	}
	return moved
}

func (r *era) apply(k int, o *offer, height bitcoin.Height) {
	v := o.value
	switch {
	case v.kind == valueBatch && r.phase == collecting:
		r.phase = generating
		r.begun = &begun{batch: v.batch, ceremony: ceremonyID(r.state.Hash(), k, o.raw), since: height}
	case v.kind == valueSeal && r.phase == generating:
		r.phase = sealed
		r.seals = append(r.seals, &seal{slot: k, proposal: v.seal})
	case v.kind == valueDrop && r.phase == generating:
		r.phase = collecting
		if len(v.blamed) > 0 {
			r.stopped, r.stoppedBy = append(r.stopped, v.blamed...), r.begun.ceremony
			return
		}
		// Nobody knows who stopped it. Members who are owed a transition get one
		// without applicants; those may apply to the next epoch.
		for _, id := range r.begun.batch.proposals {
			r.dead[id] = true
		}
	case v.kind == valueAbandon && r.phase == sealed:
		r.phase = collecting
		r.seals[len(r.seals)-1].abandoned = true
	}
}

// alive says whether a proposal may still become part of a transition.
func (r *era) alive(p *Proposal) bool {
	return p.Kind != Join || !r.dead[p.id] && !slices.Contains(r.stopped, p.Bond)
}

// member finds the member with that bond key, or -1.
func (r *era) member(bond [32]byte) int { return r.state.Member(bond) }

const tagHost = "frostfed/v1/membership/host"

// hostPreimage is what a next host key signs, so that nobody announces another's.
func (r *era) hostPreimage(i int, host [33]byte) [32]byte {
	hash := r.state.Hash()
	return memberkey.Hash(tagHost, hash[:], r.state.Members[i].Bond[:], host[:])
}

func (r *era) takeHost(from int, payload []byte) string {
	if len(payload) != 33+64 || !memberkey.ValidPublic(payload[:33]) {
		return "a malformed host key"
	}
	host := [33]byte(payload)
	msg := r.hostPreimage(from, host)
	if !memberkey.Verify(host[:], msg[:], payload[33:]) {
		return "a host key that did not sign"
	}
	r.hosts[from] = &host
	return ""
}

// nextHosts are the keys that members take to the next epoch: without news the old
// one, and then the member cannot erase its share, which is its own loss. Members that
// announced one key together keep their old ones.
func (r *era) nextHosts() [][33]byte {
	out := make([][33]byte, r.n())
	for i := range out {
		out[i] = r.state.Members[i].Host
		if r.hosts[i] != nil {
			out[i] = *r.hosts[i]
		}
	}
	for again := true; again; {
		again = false
		for i := range out {
			old := r.state.Members[i].Host
			for j := range out {
				if j != i && sameX(out[j], out[i]) && out[i] != old {
					out[i], again = old, true
				}
			}
		}
	}
	return out
}

func sameX(a, b [33]byte) bool { return [32]byte(a[1:]) == [32]byte(b[1:]) }
