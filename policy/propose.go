package policy

import (
	"slices"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Propose makes a proposal to pay a list with some of the candidates, which may
// be any outputs of the key: those that Payout would refuse are passed over. The
// change goes to the next unused address and the lock time is this member's best
// block. The proposal is worth sending if the verdict, which is Payout's, allows
// it; otherwise it is empty.
func Propose(cfg Config, v View, pub [33]byte, epoch uint64, id bitcoin.PayoutID, candidates []wire.OutPoint, rate bitcoin.SatPerKWU) (Proposal, Verdict) {
	key, ok := v.Key(pub, epoch)
	if !ok {
		return Proposal{}, refuse(KeyUnknown, "key %x of epoch %d is not one this member signs for", pub, epoch)
	}
	tip, verdict := checkTip(v)
	if !verdict.Allow {
		return Proposal{}, verdict
	}
	list, ok := v.List(id)
	if !ok {
		return Proposal{}, refuse(PayoutUnknown, "this member has no payout list %v", id)
	}
	// Before coins are chosen: choosing needs a rate within sane bounds.
	if verdict := checkFee(cfg, rate); !verdict.Allow {
		return Proposal{}, verdict
	}
	var free []bitcoin.Coin
	for _, op := range slices.Compact(sortedOutPoints(candidates)) {
		coin, verdict := ownCoin(cfg, v, key, tip, op)
		if verdict.Allow && coin.Promised == (chainhash.Hash{}) {
			free = append(free, coin.Coin)
		}
	}
	chosen, err := bitcoin.SelectCoins(free, list, rate)
	if err != nil {
		return Proposal{}, refuse(buildRule(err), "%v", err)
	}
	p := Proposal{
		Network: key.Network(),
		Key:     pub,
		Epoch:   epoch,
		List:    id,
		FeeRate: rate,
		Change:  v.NextChange(),
		Block:   tip.Hash,
		Height:  tip.Height,
	}
	for _, c := range chosen {
		p.Coins = append(p.Coins, c.OutPoint)
	}
	p.Coins = sortedOutPoints(p.Coins)
	built, err := bitcoin.BuildPayout(bitcoin.Payout{Key: key, List: list, Coins: chosen, FeeRate: rate, Change: p.Change, LockTime: p.Height})
	if err != nil {
		return Proposal{}, refuse(buildRule(err), "%v", err)
	}
	p.Tx = built.Bytes()
	if verdict, _ = Payout(cfg, v, p); !verdict.Allow {
		return Proposal{}, verdict
	}
	return p, verdict
}
