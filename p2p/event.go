package p2p

import "frostfed/protocols"

// An Event is something a member did: Frame, PeerUp, PeerDown, PeerFault, or
// IdentityInUse. Events of one member come in order; members take turns.
type Event interface{ event() }

// Frame is a body received from a member. Body belongs to the receiver.
type Frame struct {
	From     protocols.NodeID
	Protocol protocols.Protocol
	Body     []byte
}

// PeerUp says that a member can be reached and accepts us as a member.
type PeerUp struct{ ID protocols.NodeID }

// PeerDown says that the last connection to a member is gone.
type PeerDown struct{ ID protocols.NodeID }

// PeerFault reports bytes that no correct member sends. The stream they came on
// was reset.
type PeerFault struct{ Fault protocols.Fault }

// IdentityInUse says that member Witness talks to another running process with
// our identity key: a copy of our data directory is in use elsewhere. It is
// suspicion only, since a member may lie.
type IdentityInUse struct{ Witness protocols.NodeID }

func (Frame) event()         {}
func (PeerUp) event()        {}
func (PeerDown) event()      {}
func (PeerFault) event()     {}
func (IdentityInUse) event() {}

// Kinds of PeerFault.
const (
	FaultFrameSize = "frame_size" // a length prefix of zero or above MaxFrame
	FaultHeartbeat = "heartbeat"  // bytes that are no heartbeat
	FaultCloned    = "cloned"     // two processes use the member's identity at once
)
