package membership

import (
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// Event is a decision of the machine. Each may come again after a restart.
type Event interface{ event() }

// Broadcast asks for reliable broadcast of Payload under Topic among the members of
// the epoch that TopicEpoch names; always the same bytes for one topic.
type Broadcast struct {
	Topic   string
	Payload []byte
}

// Watch says that the outpoints to watch are others now: Tip is to be called with what
// became of all of them, soon.
type Watch struct{ OutPoints []wire.OutPoint }

// Participant takes part in the key generation for the next epoch.
type Participant struct {
	Peer protocols.NodeID
	Host [33]byte
	Card *Card // of an applicant, with its addresses; nil: a member
}

// StartCeremony asks for a key. Participants are ascending by host key. Only applicants
// may be voted out of it: with fewer than MinMembers the key is of no use. Applicants
// have no machine yet; members tell them, and f+1 that say the same are to be believed.
// Members that leave are not among the participants, and have nothing to do.
type StartCeremony struct {
	Epoch        uint32 // the one the key is for
	ID           [32]byte
	Participants []Participant
	Threshold    int
	MinMembers   int
}

// StopCeremony says that nobody waits for that key any more.
type StopCeremony struct{ ID [32]byte }

// SignTransition asks to sign all inputs of Transition with the key of Epoch, as soon
// as t members do; it is approved by this event. The result goes to Signed.
type SignTransition struct {
	Epoch      uint32 // whose key signs
	Slot       int
	Variant    int // 0, and more for higher fees
	Transition *epoch.Transition
}

// SendTx asks to give a transaction to the chain backend. It comes with every block
// until the transaction is in one.
type SendTx struct{ Tx *wire.MsgTx }

// EpochActive says who the members are from now on: at the first call of Tip, and
// whenever that changes.
type EpochActive struct {
	State  *epoch.State
	Height bitcoin.Height // of the block with its transition
	Member bool           // whether this member is one of them
}

// EpochUndone says that a reorganisation took back the epoch with that number. The one
// before acts again, unless its shares were erased: then nobody signs until the same
// transition is in a block again.
type EpochUndone struct{ Epoch uint32 }

// EraseShares says that the transition after Epoch is for good: its shares and host
// keys are to be erased, and then Erased to be called.
type EraseShares struct{ Epoch uint32 }

// Unknown says that a transaction that this member never agreed to ended the epoch it
// takes for the last one: the others went on while it was away, or t members conspired.
// Proofs of the later epochs tell which; with them a new machine begins.
type Unknown struct {
	Epoch uint32
	TxID  chainhash.Hash
}

func (Broadcast) event()      {}
func (Watch) event()          {}
func (StartCeremony) event()  {}
func (StopCeremony) event()   {}
func (SignTransition) event() {}
func (SendTx) event()         {}
func (EpochActive) event()    {}
func (EpochUndone) event()    {}
func (EraseShares) event()    {}
func (Unknown) event()        {}

// Kinds of faults this package reports.
const (
	FaultMalformed = "malformed"          // bytes no correct member sends
	FaultStranger  = "stranger"           // sender is no member of that epoch
	FaultTooMany   = "too_many_proposals" // more votes than there can be proposals
)
