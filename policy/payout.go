package policy

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Bounds of a proposal against this member's own view.
const (
	// maxProposalAge is how many blocks ago a proposal may have been made: a day.
	maxProposalAge = 144
	// maxChangeGap is how far ahead of the lowest unused change address the change
	// may go. Wallets stop scanning after 20 unused addresses (BIP 44), so change
	// beyond would be ours, but nobody would find it.
	maxChangeGap = 20
)

// Payout decides about a payout proposal. If the verdict allows it, the second
// value is the transaction to sign: the one this member has built, which is equal
// to the proposal's byte for byte. Otherwise it is nil.
func Payout(cfg Config, v View, p Proposal) (Verdict, *bitcoin.Spend) {
	plan, coins, verdict := planPayout(cfg, v, p)
	if !verdict.Allow {
		return verdict, nil
	}
	built, err := bitcoin.BuildPayout(plan)
	if err != nil {
		return refuse(buildRule(err), "%v", err), nil
	}
	verdict = All(
		compare(built, p.Tx),
		checkWeight(cfg, built),
		checkPromises(coins, built.TxID()),
	)
	if !verdict.Allow {
		return verdict, nil
	}
	return verdict, built
}

// planPayout collects, from this member's own view only, what the transaction is
// made from.
func planPayout(cfg Config, v View, p Proposal) (bitcoin.Payout, []Coin, Verdict) {
	var plan bitcoin.Payout
	key, ok := v.Key(p.Key, p.Epoch)
	if !ok {
		return plan, nil, refuse(KeyUnknown, "key %x of epoch %d is not one this member signs for", p.Key, p.Epoch)
	}
	if p.Network != key.Network() {
		return plan, nil, refuse(WrongNetwork, "proposal for %v, this member is on %v", p.Network, key.Network())
	}
	tip, verdict := checkTip(v)
	if !verdict.Allow {
		return plan, nil, verdict
	}
	list, ok := v.List(p.List)
	if !ok {
		return plan, nil, refuse(PayoutUnknown, "this member has no payout list %v", p.List)
	}
	// The id of the proposed bytes will do: others than those built are refused.
	if txid, ok := v.Paid(p.List); ok && txid != chainhash.DoubleHashH(p.Tx) {
		return plan, nil, refuse(PayoutPaid, "payout list %v is promised to transaction %v", p.List, txid)
	}
	verdict = All(
		checkBlock(v, tip, p),
		checkList(key, v, list),
		checkFee(cfg, p.FeeRate),
		checkChangeIndex(v, p.Change),
	)
	if !verdict.Allow {
		return plan, nil, verdict
	}
	if len(p.Coins) == 0 || len(p.Coins) > MaxCoins {
		return plan, nil, refuse(CoinsDiffer, "%d coins, must be 1 to %d", len(p.Coins), MaxCoins)
	}
	plan = bitcoin.Payout{Key: key, List: list, FeeRate: p.FeeRate, Change: p.Change, LockTime: p.Height}
	var coins []Coin
	for i, op := range sortedOutPoints(p.Coins) {
		if i > 0 && coins[i-1].OutPoint == op {
			return plan, nil, refuse(DuplicateCoin, "coin %v is named twice", op)
		}
		coin, verdict := ownCoin(cfg, v, key, tip, op)
		if !verdict.Allow {
			return plan, nil, verdict
		}
		coins = append(coins, coin)
		plan.Coins = append(plan.Coins, coin.Coin)
	}
	return plan, coins, allow()
}

// checkBlock makes sure that proposer and member look at the same chain.
func checkBlock(v View, tip Tip, p Proposal) Verdict {
	if p.Height > tip.Height {
		return refuse(TipBehind, "the proposal was made at block %d, this member is at %d", p.Height, tip.Height)
	}
	if hash, ok := v.BlockHash(p.Height); !ok || hash != p.Block {
		return refuse(BlockUnknown, "block %v is not at height %d of this member's best chain", p.Block, p.Height)
	}
	if tip.Height-p.Height > maxProposalAge {
		return refuse(ProposalExpired, "the proposal is %d blocks old, at most %d", tip.Height-p.Height, maxProposalAge)
	}
	return allow()
}

// checkList refuses to pay ourselves: such an output would count as a payment
// and yet leave nobody paid.
func checkList(key bitcoin.Key, v View, list bitcoin.PayoutList) Verdict {
	if list.Network != key.Network() {
		return refuse(WrongNetwork, "the list is for %v, this member is on %v", list.Network, key.Network())
	}
	for _, payee := range list.Payees {
		if path, ours := v.Own(payee.Script); ours {
			return refuse(PayeeOurs, "the list pays %v to the federation's own address %v", payee.Amount, path)
		}
	}
	return allow()
}

func checkFee(cfg Config, rate bitcoin.SatPerKWU) Verdict {
	if low := bitcoin.PerVByte(cfg.FeeMin); rate < low {
		return refuse(FeeTooLow, "%v is below this member's minimum of %v", rate, low)
	}
	if high := bitcoin.PerVByte(cfg.FeeMax); rate > high {
		return refuse(FeeTooHigh, "%v is above this member's maximum of %v", rate, high)
	}
	return allow()
}

func checkChangeIndex(v View, index uint32) Verdict {
	if next := v.NextChange(); uint64(index) >= uint64(next)+maxChangeGap {
		return refuse(ChangeTooFar, "change index %d, the lowest unused one is %d and a scan stops after %d", index, next, maxChangeGap)
	}
	return allow()
}

func checkWeight(cfg Config, s *bitcoin.Spend) Verdict {
	if w := s.Weight(); int64(w) > cfg.MaxWeight {
		return refuse(TooHeavy, "%d weight units, this member's limit is %d", w, cfg.MaxWeight)
	}
	return allow()
}

// buildRule names the rule behind an error of BuildPayout. Errors that a checked
// plan cannot give are the list's fault.
func buildRule(err error) Rule {
	var short *bitcoin.InsufficientError
	switch {
	case errors.As(err, &short):
		return FundsMissing
	case errors.Is(err, bitcoin.ErrTooHeavy):
		return TooHeavy
	case errors.Is(err, bitcoin.ErrDust):
		return Dust
	case errors.Is(err, bitcoin.ErrPaysItself):
		return PayeeOurs
	case errors.Is(err, bitcoin.ErrLockTime):
		return BadLockTime
	case errors.Is(err, bitcoin.ErrPath), errors.Is(err, bitcoin.ErrIndex):
		return ChangeNotOurs
	}
	return PayoutInvalid
}

// sortedOutPoints is a copy in canonical order.
func sortedOutPoints(ops []wire.OutPoint) []wire.OutPoint {
	return slices.SortedFunc(slices.Values(ops), compareOutPoints)
}

func compareOutPoints(a, b wire.OutPoint) int {
	return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
}
