package epoch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// ErrSuccession means a descriptor that does not continue the epoch it claims to.
var ErrSuccession = errors.New("epoch does not follow")

// State is an epoch with the transaction that began it.
type State struct {
	*Epoch
	TxID chainhash.Hash
	Pot  bitcoin.Sat // value of the thread output
}

// ThreadOutPoint names the output whose spending ends the epoch. Unspent, it shows
// that this is the newest epoch.
func (s *State) ThreadOutPoint() wire.OutPoint { return wire.OutPoint{Hash: s.TxID} }

// BondOutPoint names the bond of member i.
func (s *State) BondOutPoint(i int) wire.OutPoint {
	return wire.OutPoint{Hash: s.TxID, Index: uint32(i) + 1}
}

// Successor is the descriptor of an epoch after s with what must follow from s filled
// in, and sorted.
func (s *State) Successor(key [33]byte, threshold int, members []Member, changes []Change) Descriptor {
	d := Descriptor{
		Network: s.Network, Federation: s.Federation, Terms: s.Terms,
		Number: s.Number + 1, Previous: s.hash, PreviousThread: s.ThreadOutPoint(),
		Key: key, Threshold: threshold, Members: slices.Clone(members), Changes: slices.Clone(changes),
	}
	d.Sort()
	return d
}

// Follow checks that next continues s: the numbers, hashes and the thread link,
// terms and federation stay, the key is new, members who stay are unchanged but for
// the host key, and Changes lists exactly who came and went. Errors are
// ErrSuccession.
//
// Whether the changes are justified, and the new key really is one of the new
// members, it does not know: that is for those who sign.
func (s *State) Follow(next *Epoch) error {
	switch {
	case next.Number == 0 || next.Number-1 != s.Number:
		return follow("epoch %d after %d", next.Number, s.Number)
	case next.Previous != s.hash:
		return follow("it continues %s, not %s", hashString(next.Previous), hashString(s.hash))
	case next.PreviousThread != s.ThreadOutPoint():
		return follow("it spends thread %v, not %v", next.PreviousThread, s.ThreadOutPoint())
	case next.Network != s.Network || next.Federation != s.Federation || next.Terms != s.Terms:
		return follow("network, federation and terms are for ever")
	// A member that is gone keeps its share. Under a new key the share is worth
	// nothing, so no epoch repeats the one before.
	case [32]byte(next.Key[1:]) == [32]byte(s.Key[1:]):
		return follow("the key is the old one")
	}
	gone := map[[32]byte]bool{}
	came := 0
	for _, c := range next.Changes {
		switch before := s.Member(c.Bond) >= 0; {
		case before == (c.Kind == Joined):
			return follow("member %s %v, but was a member: %v", hashString(c.Bond), c.Kind, before)
		case c.Kind == Joined:
			came++
		default:
			gone[c.Bond] = true
		}
	}
	for i := range s.Members {
		m := &s.Members[i]
		j := next.Member(m.Bond)
		if (j < 0) != gone[m.Bond] {
			return follow("member %s is gone without a change that says how", hashString(m.Bond))
		}
		if j < 0 {
			continue
		}
		if n := &next.Members[j]; n.Peer != m.Peer || n.Value != m.Value || !bytes.Equal(n.Refund, m.Refund) {
			return follow("member %s changed peer ID, value or refund", hashString(m.Bond))
		}
	}
	if len(next.Members) != len(s.Members)-len(gone)+came {
		return follow("a member came without a change that says so")
	}
	return nil
}

// change finds how the member with that bond key came or went.
func (d *Descriptor) change(bond [32]byte) (Change, bool) {
	for _, c := range d.Changes {
		if c.Bond == bond {
			return c, true
		}
	}
	return Change{}, false
}

// joiners are the positions of the members that come in with a deposit: in the
// founding all of them.
func (d *Descriptor) joiners() []int {
	var out []int
	for i := range d.Members {
		c, changed := d.change(d.Members[i].Bond)
		if d.Number == 0 || changed && c.Kind == Joined {
			out = append(out, i)
		}
	}
	return out
}

func follow(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSuccession, fmt.Sprintf(format, args...))
}
