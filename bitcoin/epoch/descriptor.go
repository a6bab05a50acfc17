package epoch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/bip445"
)

// Limits of a descriptor.
const (
	// MaxMembers is what BIP 445 allows. A transition of as many weighs an eighth
	// of what nodes relay.
	MaxMembers = bip445.MaxParticipants
	// MaxChanges lets everybody go and as many come.
	MaxChanges = 2 * MaxMembers
	// MaxPeer bounds a peer ID; those of Ed25519 keys have 38 bytes.
	MaxPeer = 64
	// MinBond is the smallest bond any terms may allow: at 200 sat/vB an exit
	// costs a quarter of it.
	MinBond bitcoin.Sat = 100_000
)

// ErrDescriptor means a descriptor that no honest member makes, whatever the state
// of the chain. The text says what is wrong.
var ErrDescriptor = errors.New("bad epoch descriptor")

// Member is one place in an epoch. All of it but the host key stays as it was when
// the member joined, for as long as it stays.
type Member struct {
	Host   [33]byte    // participant of the key generation; may be another in each epoch
	Peer   string      // libp2p peer ID, binary
	Bond   [32]byte    // M, x-only: exits alone after the delay. A wallet key, kept cold
	Refund []byte      // scriptPubKey that an orderly refund pays
	Value  bitcoin.Sat // of the bond
}

// Kind is a way to come or to go.
type Kind uint8

// The kinds of change. The numbers are part of the encoding.
const (
	Joined  Kind = iota + 1 // a deposit becomes a bond
	Left                    // the bond is refunded in full
	Removed                 // the bond is refunded less the penalty of a Class
	Exited                  // the member took its bond by script; nothing to refund
	kinds
)

func (k Kind) String() string {
	if k == 0 || k >= kinds {
		return "unknown"
	}
	return [...]string{Joined: "joined", Left: "left", Removed: "removed", Exited: "exited"}[k]
}

// Class is how bad the evidence against a removed member is. What each class means
// is for the charter; here it picks a penalty.
type Class uint8

// The classes, with what charters mean by them. Zero belongs to changes that are
// not removals.
const (
	Silence      Class = iota + 1 // absent; not provable to outsiders
	Fault                         // an invalid contribution, signed by its maker
	Equivocation                  // two contradicting statements, both signed
	classes
)

// Change is one difference between the members of an epoch and those of the epoch
// before it.
type Change struct {
	Bond     [32]byte // whose: the member's bond key
	Kind     Kind
	Class    Class    // of a removal, otherwise 0
	Evidence [32]byte // hash of what justifies it: application, request, proof; else zero
}

// Terms are the constants of a federation. They are set by the founding and no
// epoch changes them: a member's money stays under the rules it came under.
type Terms struct {
	Delay        uint16              // D: blocks after which a member may exit alone
	DepositDelay uint16              // blocks after which an applicant may take its deposit back
	Depth        uint16              // confirmations after which deposits and transitions count
	MinBond      bitcoin.Sat         // smallest bond
	EntryFee     bitcoin.Sat         // a deposit exceeds its bond by this; it goes to the pot
	MaxFeeRate   bitcoin.SatPerKWU   // of a transition
	Penalties    [classes - 1]uint16 // by class, in hundredths of a percent of the bond
	Recovery     [32]byte            // x-only key that may take the pot after 3D; zero for none
}

// wholeBond is a penalty of everything.
const wholeBond = 10_000

// Penalty is what a removal for class takes from a bond, rounded down.
func (t *Terms) Penalty(class Class, bond bitcoin.Sat) bitcoin.Sat {
	if class == 0 || class >= classes {
		return 0
	}
	return bond/wholeBond*bitcoin.Sat(t.Penalties[class-1]) +
		bond%wholeBond*bitcoin.Sat(t.Penalties[class-1])/wholeBond
}

// Descriptor says what an epoch is. It holds neither the epoch's own scripts, which
// commit to it, nor the fee of its transaction, which may change until it confirms.
type Descriptor struct {
	Network        bitcoin.Network
	Federation     [32]byte      // hash of the charter
	Number         uint32        // 0 is the founding
	Previous       [32]byte      // hash of the descriptor before, zero in the founding
	PreviousThread wire.OutPoint // thread output that the transition spends, zero in the founding
	Key            [33]byte      // K, plain: with its parity
	Threshold      int           // t
	Members        []Member      // ascending by host key, which makes the order that of the participants
	Changes        []Change      // ascending by bond key; none in the founding
	Terms          Terms
}

// Member returns the position of the member with that bond key, or -1.
func (d *Descriptor) Member(bond [32]byte) int {
	for i := range d.Members {
		if d.Members[i].Bond == bond {
			return i
		}
	}
	return -1
}

// Sort puts members and changes in the order that Check wants.
func (d *Descriptor) Sort() {
	slices.SortFunc(d.Members, func(a, b Member) int { return bytes.Compare(a.Host[:], b.Host[:]) })
	slices.SortFunc(d.Changes, func(a, b Change) int { return bytes.Compare(a.Bond[:], b.Bond[:]) })
}

// Check says what is wrong with d by itself. Errors are ErrDescriptor.
func (d *Descriptor) Check() error {
	if !d.Network.Valid() {
		return bad("unknown network")
	}
	if _, err := btcec.ParsePubKey(d.Key[:]); err != nil {
		return bad("key: %v", err)
	}
	if d.Threshold < 1 || d.Threshold > len(d.Members) || len(d.Members) > MaxMembers {
		return bad("threshold %d of %d members", d.Threshold, len(d.Members))
	}
	var none wire.OutPoint
	founding := d.Number == 0
	if founding != (d.Previous == [32]byte{}) || founding != (d.PreviousThread == none) || founding && len(d.Changes) > 0 {
		return bad("the founding, and nothing else, has no predecessor")
	}
	if err := d.Terms.Check(); err != nil {
		return err
	}
	if err := d.checkMembers(); err != nil {
		return err
	}
	return d.checkChanges()
}

// Check says what is wrong with t. Errors are ErrDescriptor.
func (t *Terms) Check() error {
	switch {
	case t.Depth == 0:
		return bad("nothing is final at depth 0")
	case t.Delay <= t.Depth:
		return bad("a bond may leave before it counts")
	case t.DepositDelay/2 <= t.Depth:
		return bad("no deposit is ever old enough and not too old")
	case t.MinBond < MinBond || t.MinBond > bitcoin.MaxMoney:
		return bad("bonds of %v", t.MinBond)
	case t.EntryFee < 0 || t.EntryFee > bitcoin.MaxMoney:
		return bad("entry fee of %v", t.EntryFee)
	case t.MaxFeeRate < bitcoin.MinFeeRate || t.MaxFeeRate > bitcoin.MaxFeeRate:
		return bad("fee rates up to %v", t.MaxFeeRate)
	}
	for _, p := range t.Penalties {
		if p > wholeBond {
			return bad("a penalty of more than the bond")
		}
	}
	if t.Recovery == [32]byte{} {
		return nil
	}
	if t.Delay > maxDelay/recoveryFactor {
		return bad("recovery after %d times %d blocks is no relative lock", recoveryFactor, t.Delay)
	}
	return checkXOnly("recovery key", t.Recovery)
}

func (d *Descriptor) checkMembers() error {
	peers, hosts, bonds := map[string]bool{}, map[[32]byte]bool{}, map[[32]byte]bool{}
	var total bitcoin.Sat
	for i := range d.Members {
		m := &d.Members[i]
		if i > 0 && bytes.Compare(d.Members[i-1].Host[:], m.Host[:]) >= 0 {
			return bad("member %d is out of order", i)
		}
		if _, err := btcec.ParsePubKey(m.Host[:]); err != nil {
			return bad("member %d: host key: %v", i, err)
		}
		if err := checkXOnly("bond key", m.Bond); err != nil {
			return err
		}
		if len(m.Peer) == 0 || len(m.Peer) > MaxPeer {
			return bad("member %d: peer ID of %d bytes", i, len(m.Peer))
		}
		// With a key in common, one member could act for two.
		host := [32]byte(m.Host[1:])
		if peers[m.Peer] || hosts[host] || bonds[m.Bond] {
			return bad("member %d shares a key with another", i)
		}
		peers[m.Peer], hosts[host], bonds[m.Bond] = true, true, true
		if _, err := bitcoin.TypeOf(m.Refund); err != nil {
			return bad("member %d: refund: %v", i, err)
		}
		if m.Value < d.Terms.MinBond || m.Value > bitcoin.MaxMoney {
			return bad("member %d: bond of %v", i, m.Value)
		}
		if total += m.Value + d.Terms.EntryFee; total > bitcoin.MaxMoney {
			return bad("bonds of more than there is")
		}
	}
	return nil
}

func (d *Descriptor) checkChanges() error {
	if len(d.Changes) > MaxChanges {
		return bad("%d changes", len(d.Changes))
	}
	for i, c := range d.Changes {
		if i > 0 && bytes.Compare(d.Changes[i-1].Bond[:], c.Bond[:]) >= 0 {
			return bad("change %d is out of order", i)
		}
		if c.Kind == 0 || c.Kind >= kinds || c.Class >= classes || (c.Kind == Removed) != (c.Class != 0) {
			return bad("change %d: kind %d of class %d", i, c.Kind, c.Class)
		}
		if (c.Kind == Joined) != (d.Member(c.Bond) >= 0) {
			return bad("change %d: who %v is on the wrong side", i, c.Kind)
		}
	}
	return nil
}

func checkXOnly(what string, key [32]byte) error {
	if _, err := schnorr.ParsePubKey(key[:]); err != nil {
		return bad("%s: %v", what, err)
	}
	return nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDescriptor, fmt.Sprintf(format, args...))
}
