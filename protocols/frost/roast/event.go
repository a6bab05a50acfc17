package roast

import (
	"errors"
	"fmt"
	"io"

	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

// Config of a Machine. Zero values of Delta and the limits mean their default.
type Config struct {
	Self       protocols.NodeID
	Members    []protocols.NodeID // ordered, as in the charter
	Federation [32]byte
	Rand       io.Reader // cryptographic; the only source of nonces
	Epoch      [16]byte  // random, new for each process

	// Delta is how long the next coordinator waits for the ones before it.
	// Default 2 s.
	Delta protocols.Time
	// Requests is how many unfinished requests are held. Default 256.
	Requests int
	// History is how many finished requests are remembered, also on disk, to be
	// served to members that were away. Default 256.
	History int
}

// ErrConfig is wrapped by every error of New and Restore about their Config.
var ErrConfig = errors.New("roast: invalid config")

func (c *Config) check() error {
	if c.Delta == 0 {
		c.Delta = 2000
	}
	if c.Requests == 0 {
		c.Requests = 256
	}
	if c.History == 0 {
		c.History = 256
	}
	switch {
	case len(c.Members) == 0 || len(c.Members) > protocols.MaxMembers:
		return fmt.Errorf("%w: %d members", ErrConfig, len(c.Members))
	case c.Rand == nil:
		return fmt.Errorf("%w: no source of randomness", ErrConfig)
	case c.Delta < 0 || c.Requests < 1 || c.History < 1:
		return fmt.Errorf("%w: limit out of range", ErrConfig)
	}
	seen := make(map[protocols.NodeID]bool, len(c.Members))
	for _, id := range c.Members {
		if seen[id] {
			return fmt.Errorf("%w: a member is listed twice", ErrConfig)
		}
		seen[id] = true
	}
	if !seen[c.Self] {
		return fmt.Errorf("%w: self is no member", ErrConfig)
	}
	return nil
}

// Key is a threshold key and this member's share of it. Participants are the
// members that have shares, in the order of Config.Members: the i-th is
// participant i of Public. Share is nil in a member that has none.
type Key struct {
	ID           [32]byte
	Public       *rfc9591.Key
	Share        *rfc9591.Share // the machine's from now on
	Participants []protocols.NodeID
}

// Event is a decision of the machine: Signed, Failed or Progress.
type Event interface{ event() }

// Signed says that the signature exists; it was verified under the key and the
// message that this member approved.
type Signed struct {
	Request   [32]byte
	Key       [32]byte
	Signature []byte // of rfc9591.SignedBytes(message), 64 or 65 bytes
}

// Failed says that this member cannot get the request signed. Another one still
// may.
type Failed struct {
	Request [32]byte
	Reason  string
}

// Progress reports a session this member coordinates.
type Progress struct {
	Request    [32]byte
	Session    int
	Have, Need int
	Waiting    []protocols.NodeID
}

func (Signed) event()   {}
func (Failed) event()   {}
func (Progress) event() {}

// Reasons for Failed.
const (
	ReasonUnknownKey   = "unknown_key"  // AddKey has not named it, or it was refused
	ReasonBusy         = "busy"         // Config.Requests are unfinished
	ReasonRefused      = "refused"      // too few members are left that approve
	ReasonInconsistent = "inconsistent" // a request that is finished with another message
)

// Kinds of faults this package reports.
const (
	FaultMalformed   = "malformed"
	FaultStranger    = "stranger"
	FaultBadNonce    = "bad_nonce"         // commitments that no signer makes
	FaultBadShare    = "bad_partial"       // a signature share that does not verify
	FaultUnsolicited = "unsolicited"       // a share of a session that never was
	FaultBadSession  = "bad_session"       // a SIGN that no correct coordinator sends
	FaultSessions    = "too_many_sessions" // more than a run can need
	FaultSignature   = "bad_signature"     // DONE with a signature that does not verify
)
