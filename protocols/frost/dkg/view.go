package dkg

import (
	"bytes"

	"frostfed/protocols"
)

// SessionView is what status output shows of a session.
type SessionView struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Label      string
	T          int
	Phase      Phase
	Since      protocols.Time // when the phase began; 0 if before the last restart
	Have, Need int
	Waiting    []protocols.NodeID // whom the phase waits for
	Signed     bool               // this member signed: the session can still become a key
	Reason     Reason             // if failed
	Culprits   []protocols.NodeID // if failed
	Final      bool               // if failed: no further attempt follows by itself
	Members    []protocols.NodeID // participants
	Excluded   []protocols.NodeID // members voted out before
}

// KeyView is a key of which this member holds the recovery data.
type KeyView struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Label      string
	T          int
	Suite      Suite
	PublicKey  []byte             // ThreshPK of a Bitcoin key
	Members    []protocols.NodeID // participants: they have shares
	Acks       int
	Usable     bool   // n-f members acknowledged
	Recovery   []byte // public; with the host secret it restores the share
}

// Sessions lists all sessions in the order in which they were started.
func (m *Machine) Sessions() []SessionView {
	views := make([]SessionView, 0, len(m.sessions))
	for _, s := range m.sorted() {
		v := SessionView{
			SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.attempt(),
			Label: s.ceremony.Label, T: s.ceremony.T,
			Members: m.ids(s.members), Excluded: m.ids(s.out),
			Phase: s.phase(), Since: s.since, Signed: s.signed() || s.recovery != nil,
		}
		if slots := s.collecting(); slots != nil {
			v.Have, v.Need, v.Waiting = count(slots), s.n(), m.participants(s, missing(slots))
		}
		if s.failure != nil {
			v.Final = !s.run.live() && !s.run.generated()
			v.Reason, v.Culprits = s.failure.reason, m.participants(s, s.failure.culprits)
		}
		views = append(views, v)
	}
	return views
}

// Keys lists the keys in the order in which their sessions were started. After
// a restart a key appears when its job is done.
func (m *Machine) Keys() []KeyView {
	var views []KeyView
	for _, s := range m.sorted() {
		if s.key == nil {
			continue
		}
		views = append(views, KeyView{
			SessionID: s.id, CeremonyID: s.ceremony.ID, Attempt: s.attempt(),
			Label: s.ceremony.Label, T: s.ceremony.T,
			Suite: s.ceremony.Suite, PublicKey: s.key.publicKey(),
			Members: m.ids(s.members),
			Acks:    count(s.acks), Usable: count(s.acks) >= s.quorum,
			Recovery: bytes.Clone(s.recovery),
		})
	}
	return views
}
