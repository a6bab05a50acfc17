package policy

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

func (w *world) propose() (Proposal, Verdict) {
	candidates := slices.Collect(maps.Keys(w.coins))
	return Propose(w.cfg, w, w.proposal.Key, w.proposal.Epoch, w.proposal.List, candidates, w.proposal.FeeRate)
}

// Another member with the same view signs what one proposes, whatever the order
// in which the proposer found its coins.
func TestProposeIsAllowed(t *testing.T) {
	var first []byte
	for range 20 {
		w := newWorld(t)
		p, verdict := w.propose()
		if !verdict.Allow {
			t.Fatal(verdict)
		}
		if first == nil {
			first = p.Encode()
		}
		if !bytes.Equal(p.Encode(), first) {
			t.Fatal("another proposal from the same view")
		}
		back, err := DecodeProposal(first)
		if err != nil {
			t.Fatal(err)
		}
		if verdict, spend := Payout(w.cfg, newWorld(t), back); !verdict.Allow || spend == nil {
			t.Fatalf("other member: %v", verdict)
		}
	}
}

// Coins that members would refuse are passed over: one good coin suffices.
func TestProposePassesOverBadCoins(t *testing.T) {
	edits := map[string]func(*Coin){
		"spent":       func(c *Coin) { c.Spent = true },
		"promised":    func(c *Coin) { c.Promised = chainhash.Hash{1} },
		"unconfirmed": func(c *Coin) { c.Confirmed = false },
		"immature":    func(c *Coin) { c.Coinbase, c.Height = true, testHeight },
		"not ours":    func(c *Coin) { c.Script = payeeScript(1) },
	}
	for name, edit := range edits {
		w := newWorld(t)
		w.editCoin(edit)
		bad := w.proposal.Coins[1]
		p, verdict := w.propose()
		if !verdict.Allow || slices.Contains(p.Coins, bad) {
			t.Errorf("%s: %v, coins %v", name, verdict, p.Coins)
		}
	}
}

func TestProposeRefuses(t *testing.T) {
	rows := []refusal{
		{"no coins", FundsMissing, func(_ testing.TB, w *world) { w.coins = map[wire.OutPoint]Coin{} }},
		{"more than the balance", FundsMissing, func(t testing.TB, w *world) { w.proposal.List = w.addList(t, payees(4, 80_000)) }},
		{"fee too low", FeeTooLow, func(_ testing.TB, w *world) { w.proposal.FeeRate = 249 }},
		{"fee absurd", FeeTooHigh, func(_ testing.TB, w *world) { w.proposal.FeeRate = 1 << 60 }},
		{"unknown key", KeyUnknown, func(_ testing.TB, w *world) { w.epoch++ }},
		{"unknown list", PayoutUnknown, func(_ testing.TB, w *world) { w.proposal.List = bitcoin.PayoutID{} }},
		{"paid list", PayoutPaid, func(_ testing.TB, w *world) { w.paid[w.proposal.List] = chainhash.Hash{1} }},
		{"node not synced", TipStale, func(_ testing.TB, w *world) { w.tip.Synced = false }},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			r.edit(t, w)
			if p, verdict := w.propose(); verdict.Rule != r.rule || verdict.Allow || p.Tx != nil {
				t.Errorf("got %v, want %s", verdict, r.rule)
			}
		})
	}
}
