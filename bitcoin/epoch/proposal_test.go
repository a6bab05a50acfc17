package epoch

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"frostfed/bitcoin"
)

// TestListsAreSortedSets swaps and repeats entries in the bytes of proposal and
// proof, and adds to their end. There is one encoding of each.
func TestListsAreSortedSets(t *testing.T) {
	e := mustNew(t, founding(keyA, 3))
	p := Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.PerVByte(2), Sweep: []bitcoin.Coin{
		{OutPoint: outPoint("a", 1), Amount: 5000}, {OutPoint: outPoint("b", 2), Amount: 6000}}}
	decodeProposal := func(raw []byte) error { _, err := DecodeProposal(raw); return err }
	decodeProof := func(raw []byte) error { _, err := DecodeProof(raw); return err }
	proof := rich(t).proofs[1]
	if len(proof.Sweep) != 2 {
		t.Fatal("no two coins")
	}
	slices.SortFunc(p.Sweep, compareCoins)
	slices.SortFunc(p.Deposits, compareDeposits)
	a, b, c := p.Deposits[0], p.Deposits[1], p.Sweep

	for _, x := range []struct {
		name          string
		raw           []byte
		first, second []byte // neighbours in raw
		size          int    // of an entry
		decode        func([]byte) error
		want          error
	}{
		{"deposits", p.Bytes(), a.Bond[:], b.Bond[:], 32 + outPointSize, decodeProposal, ErrProposal},
		{"coins", p.Bytes(), c[0].OutPoint.Hash[:], c[1].OutPoint.Hash[:], sweptSize, decodeProposal, ErrProposal},
		{"coins of a proof", proof.Bytes(), proof.Sweep[0].OutPoint.Hash[:], proof.Sweep[1].OutPoint.Hash[:], sweptSize, decodeProof, ErrProof},
	} {
		if err := x.decode(x.raw); err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		// Bond keys are in the descriptor too: the lists come last.
		i, j := bytes.LastIndex(x.raw, x.first), bytes.LastIndex(x.raw, x.second)
		if j != i+x.size {
			t.Fatalf("%s: entries at %d and %d", x.name, i, j)
		}
		swapped, repeated := slices.Clone(x.raw), slices.Clone(x.raw)
		copy(swapped[i:], x.raw[j:j+x.size])
		copy(swapped[j:], x.raw[i:i+x.size])
		copy(repeated[j:], x.raw[i:i+x.size])
		for what, raw := range map[string][]byte{"swapped": swapped, "repeated": repeated, "longer": append(slices.Clone(x.raw), 0), "shorter": x.raw[:len(x.raw)-1]} {
			if err := x.decode(raw); !errors.Is(err, x.want) {
				t.Errorf("%s %s: %v", x.name, what, err)
			}
		}
	}
}
