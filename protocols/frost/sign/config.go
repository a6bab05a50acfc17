package sign

import (
	"errors"
	"fmt"
	"io"

	"frostfed/protocols"
)

// Config of a Machine. Zero values of the delays and limits mean their default.
type Config struct {
	Self       protocols.NodeID
	Members    []protocols.NodeID // ordered; the index is the signer id of BIP 445
	Federation [32]byte
	Rand       io.Reader // cryptographic; the only source of nonces
	Epoch      [16]byte  // random, new for each process: names the nonce pools that die with it

	// Sign signs preimage with this member's host key, in 64 bytes; Verify checks
	// such a signature of any member. They make a wrong partial signature
	// something that a stranger can be shown.
	Sign   func(preimage []byte) ([]byte, error)
	Verify Verify

	// Delta is how long the next coordinator waits for the ones before it.
	// Default 2 s. Too small only wastes nonces: concurrent runs are safe.
	Delta protocols.Time
	// Patience is how long a coordinator lets a session that may still complete
	// run alone before it starts another one beside it. Default 500 ms. Negative:
	// start at once whenever t signers are ready, as ROAST is written.
	Patience protocols.Time
	// Pool is how many pairs a signer keeps handed out to each coordinator.
	// Default 64, at most 1024. It bounds the memory that a coordinator costs
	// (about 0.3 KiB per pair) and, being at least the lot, makes a signature one
	// round trip.
	Pool int
	// Requests is how many unfinished requests are held. Default 1024.
	Requests int
	// Lie changes an own partial signature before this member vouches for it. It is
	// nil in every correct member, and exists to show that the others cope.
	Lie func(psig *[32]byte)
	// History is how many finished requests are remembered, also on disk, to be
	// served to members that were away. Default 256.
	History int
}

// ErrConfig is wrapped by every error of New and Restore about their Config.
var ErrConfig = errors.New("sign: invalid config")

// check fills in defaults and validates.
func (c *Config) check() error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Delta == 0 {
		c.Delta = 2000
	}
	if c.Patience == 0 {
		c.Patience = 500
	}
	def(&c.Pool, 64)
	def(&c.Requests, 1024)
	def(&c.History, 256)
	switch {
	case len(c.Members) == 0 || len(c.Members) > protocols.MaxMembers:
		return fmt.Errorf("%w: %d members", ErrConfig, len(c.Members))
	case c.Sign == nil || c.Verify == nil:
		return fmt.Errorf("%w: no signatures of members", ErrConfig)
	case c.Rand == nil:
		return fmt.Errorf("%w: no source of randomness", ErrConfig)
	case c.Delta < 0 || c.Pool < 1 || c.Pool > maxPairs || c.Requests < 1 || c.History < 1:
		return fmt.Errorf("%w: limit out of range", ErrConfig)
	}
	seen := make(map[protocols.NodeID]bool, len(c.Members))
	for _, id := range c.Members {
		if len(id) > maxName {
			return fmt.Errorf("%w: name of %d bytes", ErrConfig, len(id))
		}
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
// members that have a share, in the order of Config.Members; nil means all. The
// i-th participant is signer i of BIP 445, and PubShares[i] is its public share.
type Key struct {
	ID           [32]byte
	T            int
	ThreshPK     [33]byte
	Participants []protocols.NodeID
	PubShares    [][33]byte
	SecShare     []byte // 32 bytes; AddKey copies it, the caller may wipe its own
}

// String keeps the share out of logs.
func (k Key) String() string { return fmt.Sprintf("key %x", k.ID[:4]) }

// GoString keeps the share out of %#v too.
func (k Key) GoString() string { return k.String() }

// Item asks for one signature: of Message, under the key tweaked by Tweaks in
// order, as BIP 445 ApplyTweak; XOnly has one mode per tweak. Both must come from
// this member's own computation, never from a peer.
type Item struct {
	Message [32]byte
	Tweaks  [][32]byte
	XOnly   []bool
}
