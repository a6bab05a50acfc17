package dkg

import (
	"fmt"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

// Event is a decision of the machine: Broadcast, Progress, KeyGenerated,
// KeyActive, SuiteKeyActive, Failed or Excluded.
type Event interface{ event() }

// Broadcast asks for reliable broadcast of Payload under Topic. After a restart
// it may be asked for again, always with the same bytes.
type Broadcast struct {
	Topic   string
	Payload []byte
}

// Progress says how far a session is and for whom it waits.
type Progress struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Phase      Phase
	Have, Need int                // what the phase collects, one per member
	Waiting    []protocols.NodeID // members it still needs, in order of the members
}

// KeyGenerated says that the key exists: every member signed for it and this
// member holds the recovery data. Nobody may pay to it yet, because this member
// does not know that others hold the recovery data too. It is emitted again after
// a restart.
type KeyGenerated struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Label      string
	T          int
	Suite      Suite
	PublicKey  []byte // ThreshPK of a Bitcoin key
}

// KeyActive says that the key may be used: n-f members, this one included,
// acknowledged that they hold the recovery data. It is emitted again after
// every restart, since the secret share is never stored.
type KeyActive struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Label      string
	T          int
	ThreshPK   [33]byte // compressed, plain, Taproot-tweaked with no script path

	// Participants are the members that have a share, in the order of the members:
	// the i-th is signer i of BIP 445, and PubShares[i] is its public share.
	Participants []protocols.NodeID
	PubShares    [][33]byte
	Acks         int // members that acknowledged so far

	// SecShare is this member's secret share. The receiver owns and wipes it.
	SecShare *chilldkg.SecShare
}

// SuiteKeyActive is KeyActive for a key outside Bitcoin. Participants are in the
// order of the members: the i-th is participant i of Key.
type SuiteKeyActive struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Label      string
	Key        *rfc9591.Key
	// Share is this member's secret share. The receiver owns and wipes it.
	Share        *rfc9591.Share
	Participants []protocols.NodeID
	Acks         int // members that acknowledged so far
}

// Failed says that a session will not be continued here. Culprits are members
// shown to have broken the protocol, in order; it is empty if nobody is to
// blame. A session that failed after this member signed still becomes a key if
// somebody presents a complete certificate. It is emitted again after a restart,
// and when more culprits are found. Unless Final, another attempt follows, without
// the culprits, when enough members have voted for that.
type Failed struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Reason     Reason
	// Culprits are those that a verdict names. With ReasonSuperseded and
	// ReasonTooFew they are those voted out, which for silence proves nothing.
	Culprits []protocols.NodeID
	Final    bool
}

// Excluded says that a quorum has voted members out of a ceremony, and which
// attempt goes on without them.
type Excluded struct {
	SessionID  SessionID
	CeremonyID [32]byte
	Attempt    uint32
	Members    []protocols.NodeID // all that are out, in order
}

func (Broadcast) event()      {}
func (Progress) event()       {}
func (KeyGenerated) event()   {}
func (KeyActive) event()      {}
func (SuiteKeyActive) event() {}
func (Failed) event()         {}
func (Excluded) event()       {}

// Phase is how far a session is.
type Phase uint8

// The phases of a session, in order.
const (
	PhaseSharing       Phase = 1 // collecting first messages
	PhaseChecking      Phase = 2 // all here, being checked
	PhaseCertifying    Phase = 3 // signed; collecting certificate signatures
	PhaseAcknowledging Phase = 4 // key generated; collecting acknowledgements
	PhaseActive        Phase = 5 // n-f acknowledgements: the key may be used
	PhaseComplete      Phase = 6 // all n acknowledgements
	PhaseFailed        Phase = 7 // will not be continued
)

var phaseNames = [...]string{
	PhaseSharing: "sharing", PhaseChecking: "checking", PhaseCertifying: "certifying",
	PhaseAcknowledging: "acknowledging", PhaseActive: "active", PhaseComplete: "complete",
	PhaseFailed: "failed",
}

// String returns the phase as one word.
func (p Phase) String() string { return name(phaseNames[:], int(p)) }

// Reason is why a session failed.
type Reason uint8

// The reasons for which sessions fail.
const (
	ReasonBadFirstMessage Reason = 1 // malformed, or a proof in it is wrong
	ReasonComplaint       Reason = 2 // a complaint proved a bad share, or was false
	ReasonAbandoned       Reason = 4 // given up by the operator
	ReasonBusy            Reason = 5 // refused: MaxOpen sessions are open
	ReasonInvalid         Reason = 6 // refused: the ceremony's parameters are out of range
	ReasonLocal           Reason = 7 // this member's own trouble, e.g. its broadcast was replaced

	ReasonSuperseded Reason = 8  // members were voted out, or another attempt made the key
	ReasonExcluded   Reason = 9  // this member was voted out
	ReasonTooFew     Reason = 10 // exclusion would leave fewer members than the ceremony allows
)

// convicts says whether a session that failed for this reason is followed by an
// attempt without the culprits.
func (r Reason) convicts() bool {
	return r == ReasonBadFirstMessage || r == ReasonComplaint
}

var reasonNames = [...]string{
	ReasonBadFirstMessage: "bad first message", ReasonComplaint: "complaint",
	ReasonAbandoned: "abandoned",
	ReasonBusy:      "too many open sessions", ReasonInvalid: "invalid ceremony", ReasonLocal: "local fault",
	ReasonSuperseded: "superseded", ReasonExcluded: "excluded", ReasonTooFew: "too few members left",
}

// String returns the reason in words.
func (r Reason) String() string { return name(reasonNames[:], int(r)) }

func name(names []string, i int) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("unknown (%d)", i)
}

// Kinds of faults this package reports.
const (
	FaultMalformed    = "malformed"             // bytes no correct member sends
	FaultStranger     = "stranger"              // sender is not a member
	FaultFirstMessage = "bad_first_message"     // convicted by every honest member alike
	FaultShare        = "bad_share"             // proved by a complaint, to every honest member alike
	FaultComplaint    = "false_complaint"       // likewise
	FaultSigned       = "complained_and_signed" // complained about a session, and signed for it
	FaultVote         = "bad_exclusion_vote"    // signature of a vote that does not verify
	FaultRelay        = "bad_relay"             // another's certificate signature that does not verify
	FaultCertSig      = "bad_certificate_sig"   // wrong signature, sent point to point
	FaultAck          = "bad_acknowledgement"   // wrong signature on recovery data
	FaultRecovery     = "bad_recovery_data"     // recovery data that does not fit
)
