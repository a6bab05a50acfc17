package epoch

import (
	"fmt"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// Confirmed is an epoch that was shown to have begun.
type Confirmed struct {
	State
	Height bitcoin.Height   // of the block with its transition
	Since  []bitcoin.Height // by member: where its unbroken stay began
}

// Verify follows the epochs of a federation from its founding, which is named by
// the hash of its descriptor, with nothing but headers of the best chain. For each
// epoch it
//
//   - checks the descriptor, and that it follows the one before (State.Follow);
//   - builds the transaction from the old state, the new descriptor, and the
//     outpoints and values the proof adds, as the members did;
//   - finds the transaction in its block, as deep as the terms say;
//   - verifies each signature under the output key that it derived itself, over the
//     sighash that it computed itself;
//   - for each member that exited, sees the bond spent by its script.
//
// So an epoch that passes has each bond it claims, under the key and for the member
// it claims, locked for the delay it claims. Whether the last proof is of the
// newest epoch is not shown: for that see that State.ThreadOutPoint is unspent.
//
// Errors are ErrProof, ErrInclusion, ErrSuccession and those of Build. They name
// the epoch.
func Verify(founding [32]byte, proofs []*Proof, headers Headers) ([]Confirmed, error) {
	var out []Confirmed
	var last *Confirmed
	for i, p := range proofs {
		next, err := last.next(founding, p, headers)
		if err != nil {
			return nil, fmt.Errorf("epoch %d: %w", i, err)
		}
		out = append(out, *next)
		last = next
	}
	return out, nil
}

// Next verifies the epoch after c.
func (c *Confirmed) Next(p *Proof, headers Headers) (*Confirmed, error) {
	return c.next([32]byte{}, p, headers)
}

// next takes a nil receiver for the founding.
func (c *Confirmed) next(founding [32]byte, p *Proof, headers Headers) (*Confirmed, error) {
	next, err := New(*p.Descriptor)
	if err != nil {
		return nil, err
	}
	var prev *State
	if c != nil {
		prev = &c.State
	} else if next.hash != founding {
		return nil, fmt.Errorf("%w: founded as %s, not %s", ErrProof, hashString(next.hash), hashString(founding))
	}
	t, err := p.rebuild(prev, next)
	if err != nil {
		return nil, err
	}
	// Hashes first: they are cheap, and a stranger's proof may be nonsense.
	if err := p.Inclusion.check(t.Spend.TxID(), next.Terms.Depth, headers); err != nil {
		return nil, err
	}
	if err := p.checkExits(prev, next, headers); err != nil {
		return nil, err
	}
	// The block covers no witness, only transactions without.
	if _, err := t.Spend.Finish(p.Signatures); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return &Confirmed{*t.State(), p.Inclusion.Height, c.since(next, p.Inclusion.Height)}, nil
}

// rebuild makes the transaction that the proof is about.
func (p *Proof) rebuild(prev *State, next *Epoch) (*Transition, error) {
	proposal := Proposal{Next: next, Sweep: p.Sweep, TopUp: p.TopUp}
	joiners := next.joiners()
	if len(joiners) != len(p.Deposits) {
		return nil, fmt.Errorf("%w: %d for %d who join", ErrDeposit, len(p.Deposits), len(joiners))
	}
	for i, j := range joiners {
		proposal.Deposits = append(proposal.Deposits, Deposit{next.Members[j].Bond, p.Deposits[i]})
	}
	t, money, err := assemble(prev, proposal)
	if err != nil {
		return nil, err
	}
	// The same bounds that Build has, though the rate is not known to the satoshi.
	w := t.Spend.Weight()
	if fee := money - p.Pot; fee < bitcoin.MinFeeRate.Fee(w) || fee > next.Terms.MaxFeeRate.Fee(w) {
		return nil, fmt.Errorf("%w: a fee of %v", bitcoin.ErrFeeRate, fee)
	}
	return t, t.setPot(p.Pot)
}

// checkExits wants a proof for each bond that the transition does not spend.
func (p *Proof) checkExits(prev *State, next *Epoch, headers Headers) error {
	exits := p.Exits
	for _, change := range next.Changes {
		if change.Kind != Exited {
			continue
		}
		if len(exits) == 0 {
			return fmt.Errorf("%w: no exit of member %s", ErrProof, hashString(change.Bond))
		}
		i := prev.Member(change.Bond)
		bond, err := prev.Bond(i)
		if err != nil {
			return err
		}
		out := wire.NewTxOut(int64(prev.Members[i].Value), bond.Script)
		if err := exits[0].check(prev.BondOutPoint(i), out, next.Terms.Depth, headers); err != nil {
			return err
		}
		exits = exits[1:]
	}
	if len(exits) > 0 {
		return fmt.Errorf("%w: %d exits too many", ErrProof, len(exits))
	}
	return nil
}

// since carries over where the members' stays began.
func (c *Confirmed) since(next *Epoch, height bitcoin.Height) []bitcoin.Height {
	out := make([]bitcoin.Height, len(next.Members))
	for i := range out {
		out[i] = height
		if c == nil {
			continue
		}
		if j := c.Member(next.Members[i].Bond); j >= 0 {
			out[i] = c.Since[j]
		}
	}
	return out
}
