package sign

import "frostfed/protocols"

// RequestView is the state of an unfinished request, for people and metrics.
type RequestView struct {
	ID           [32]byte
	Key          [32]byte
	Items        int
	Signed       int              // items this member, as coordinator, has signatures for
	Lead         protocols.NodeID // whose turn it is to coordinate
	Coordinating bool             // whether this member does
	Sessions     int              // started by this member
	Have, Need   int              // partial signatures of its newest session, and t
	Waiting      []protocols.NodeID
	Refused      []PeerRefused
	Bad          []protocols.NodeID
}

// Requests lists the approved requests that are not finished, oldest first.
func (m *Machine) Requests() []RequestView {
	out := make([]RequestView, 0, len(m.order))
	for _, r := range m.order {
		v := RequestView{ID: r.id, Key: r.key.id, Items: len(r.items), Lead: m.cfg.Members[m.lead(r)], Need: r.key.t}
		if run := r.run; run != nil {
			v.Coordinating, v.Sessions, v.Signed = true, run.sessions, run.lot
			if len(run.live) > 0 {
				s := run.live[len(run.live)-1]
				v.Have = len(s.signers) - s.missing
				for pos, i := range s.signers {
					if s.replies[pos] == nil {
						v.Waiting = append(v.Waiting, m.cfg.Members[i])
					}
				}
			}
			for i := range run.seats {
				switch seat := &run.seats[i]; seat.state {
				case gone:
					v.Refused = append(v.Refused, PeerRefused{r.id, m.cfg.Members[i], seat.code})
				case bad:
					v.Bad = append(v.Bad, m.cfg.Members[i])
				}
			}
		}
		out = append(out, v)
	}
	return out
}

// PoolView counts the nonces between this member and one other (or itself). Low is
// what PoolLow said last.
type PoolView struct {
	Member    protocols.NodeID
	Available int // pairs of it that this member can coordinate with
	Given     int // pairs of this member that it can coordinate with
	Size      int // of a full pool
	Low       bool
}

// Pools lists the pools by member, in the order of Config.Members.
func (m *Machine) Pools() []PoolView {
	out := make([]PoolView, m.n())
	for i := range out {
		out[i] = PoolView{m.cfg.Members[i], len(m.held[i].pairs), len(m.issued[i].live), m.cfg.Pool, m.peers[i].gauge.low}
	}
	return out
}
