package sign

import "frostfed/protocols"

// Sizes of BIP 445 objects on the wire, in bytes.
const (
	pubnonceSize = 66 // two compressed points
	psigSize     = 32 // one scalar
	sigSize      = 64 // BIP 340
)

// requestID names a request: the composer's hash of what is to be signed.
type requestID = [32]byte

// epochID names one process of one member. Nonces and sessions carry it, so
// that nothing of a process that died is ever mistaken for the living one's.
type epochID = [16]byte

// pair is one public nonce, as handed to one coordinator. Its handle is
// (epoch, index); the index counts up within the pool of that coordinator.
type pair struct {
	index    uint64
	pubnonce [pubnonceSize]byte
}

// nonces (NONCES, signer to coordinator) hands over fresh pairs.
type nonces struct {
	epoch epochID
	gone  uint64 // pairs up to this index were dropped unused
	pairs []pair // index ascending, above gone; at most maxPairs
}

// sessionID names a session of one coordinator's run: the coordinator's epoch,
// and a counter of its sessions, whatever they are for: a request that was given up
// and approved again must not use a name twice.
type sessionID struct {
	run epochID
	sid uint32
}

// signMsg (SIGN, coordinator to signer) opens a session for one lot of the
// request's items. The items themselves do not travel: the signer uses its own.
type signMsg struct {
	request requestID
	session sessionID
	digest  [32]byte // of all items of the request, see digestItems
	first   uint32   // the lot is items first .. first+len(slots)-1
	signers []int    // T, ascending, distinct
	epoch   epochID  // of the receiver's handles
	slots   []slot   // one per item of the lot; at most maxLot
}

// slot is what a signer needs for one item: the aggregate nonce, and which of
// its own pairs went into it.
type slot struct {
	aggnonce [pubnonceSize]byte
	index    uint64
}

// psigMsg (PSIG, signer to coordinator) answers SIGN, and refills the pool.
type psigMsg struct {
	request requestID
	session sessionID
	psigs   [][psigSize]byte
	vouch   [sigSize]byte // host-key signature on all of it, see statement; zero to oneself
	refill  nonces
}

// reason says why a signer does not answer a SIGN.
type reason byte

const (
	noPolicy       reason = 1 // its own validation refused the request; code says why
	noStale        reason = 2 // the handles are of a dead epoch, or gone
	noInconsistent reason = 3 // its own items differ from the coordinator's
	noInvalid      reason = 4 // signer set or aggregate nonce not acceptable
	noLimit        reason = 5 // a bound was reached; the signer may announce itself later
)

// noMsg (NO, signer to coordinator) refuses a session. The handles named in
// the SIGN are gone all the same.
type noMsg struct {
	request requestID
	session sessionID
	reason  reason
	epoch   epochID // the signer's current one
	code    string  // noPolicy: snake_case, at most maxCode bytes; else empty
}

// needMsg (NEED, coordinator to signer) asks for more pairs, ahead of the
// automatic refill.
type needMsg struct {
	count uint16 // 1..maxPairs
}

// readyMsg (READY, signer to coordinator) says: I have approved this request;
// count me in, or tell me that it is done.
type readyMsg struct {
	request requestID
}

// doneMsg (DONE, to all members) carries the finished signatures, one per item.
type doneMsg struct {
	request requestID
	sigs    [][sigSize]byte
}

// Kinds of Fault this package reports. Only the first carries a Proof, and always;
// VerifyProof checks it. The others are this member's word.
const (
	FaultBadPartial     = "sign_bad_partial"     // partial signature that its signer vouched for does not verify
	FaultBadReply       = "sign_bad_reply"       // partial signatures of a wrong number, or wrong and not vouched for
	FaultMalformed      = "sign_malformed"       // undecodable message
	FaultStranger       = "sign_stranger"        // sender is no member
	FaultBadNonce       = "sign_bad_nonce"       // public nonce that is no pair of points
	FaultOldEpoch       = "sign_old_epoch"       // nonces of an epoch that was replaced: two processes, or a cloned memory
	FaultUnsolicited    = "sign_unsolicited"     // PSIG that answers no open session
	FaultChangedSession = "sign_changed_session" // two different SIGN for one session
	FaultNonceReuse     = "sign_nonce_reuse"     // SIGN with a pair that was used, or never handed out
	FaultBadSession     = "sign_bad_session"     // SIGN with an impossible signer set, lot or aggregate nonce
	FaultBadSignature   = "sign_bad_signature"   // DONE with signatures that do not verify
	FaultTooManySession = "sign_too_many_sessions"
)

// Event is a decision of the machine.
type Event interface{ event() }

// Signed says that a request is complete: one valid BIP 340 signature per
// item, verified under this member's own keys.
type Signed struct {
	Request    [32]byte
	Key        [32]byte
	Signatures [][64]byte
}

// Progress reports a session of this member's own run as coordinator.
type Progress struct {
	Request     [32]byte
	Session     int // counts from 1
	Coordinator protocols.NodeID
	Have, Need  int                // partial signatures in, and t
	Waiting     []protocols.NodeID // signers of the session that have not answered
}

// PeerRefused says that a member's own validation refused a request. It is an
// opinion, not a fault.
type PeerRefused struct {
	Request [32]byte
	Peer    protocols.NodeID
	Code    string
}

// Failed says that this member, as coordinator, sees fewer than t members left
// that could sign. Another coordinator may still succeed, and so may this one
// if a refusing member changes its mind.
type Failed struct {
	Request [32]byte
	Reason  string // one of the Reason constants
	Refused []PeerRefused
	Bad     []protocols.NodeID
}

// Reasons of Failed.
const (
	ReasonRefused      = "refused"       // too many members refuse, or misbehaved
	ReasonInconsistent = "inconsistent"  // members computed other items for this request, or shares do not fit the key
	ReasonUnknownKey   = "unknown_key"   // Approve named a key never added
	ReasonInvalid      = "invalid_items" // no items, too many, or tweaks that fit no key
	ReasonBusy         = "too_many_requests"
)

// PoolLow says that too few nonces of a member have been here for some seconds,
// less than a quarter of a pool, or that this is over: it is slow, away, or does
// not hand out any.
type PoolLow struct {
	Member    protocols.NodeID
	Available int // pairs
	Low       bool
}

// Wanted says that a member has approved a request that this one has not, or not
// any more: what became of it may be known elsewhere.
type Wanted struct {
	Request [32]byte
	Peer    protocols.NodeID
}

// KeyRejected says that a key given to AddKey does not fit together: trouble of
// this member's own.
type KeyRejected struct {
	Key [32]byte
	Err error
}

func (KeyRejected) event() {}
func (Signed) event()      {}
func (Progress) event()    {}
func (PeerRefused) event() {}
func (Failed) event()      {}
func (PoolLow) event()     {}
func (Wanted) event()      {}
