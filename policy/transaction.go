package policy

import (
	"bytes"
	"errors"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/wire/v2"
)

// Transaction decides about a transaction that somebody else composed, such as
// one from a descriptor wallet that watches the key. Coins are checked like those
// of a payout; every output must be ours or on cfg.AllowList. If the verdict
// allows it, the second value is what to sign, otherwise nil.
func Transaction(cfg Config, v View, pub [33]byte, epoch uint64, p *bitcoin.PSBT) (Verdict, *bitcoin.Spend) {
	key, ok := v.Key(pub, epoch)
	if !ok {
		return refuse(KeyUnknown, "key %x of epoch %d is not one this member signs for", pub, epoch), nil
	}
	tip, verdict := checkTip(v)
	if !verdict.Allow {
		return verdict, nil
	}
	// Checked before the coins, each of which costs a derivation.
	if n := len(p.Tx().TxIn); n > MaxCoins {
		return refuse(TooHeavy, "%d inputs, at most %d", n, MaxCoins), nil
	}
	var coins []Coin
	for _, in := range p.Tx().TxIn {
		coin, verdict := ownCoin(cfg, v, key, tip, in.PreviousOutPoint)
		if !verdict.Allow {
			return verdict, nil
		}
		coins = append(coins, coin)
	}
	lookup := func(op wire.OutPoint) (bitcoin.Coin, bool) {
		for _, c := range coins {
			if c.OutPoint == op {
				return c.Coin, true
			}
		}
		return bitcoin.Coin{}, false
	}
	spend, err := p.Spend(key, lookup, v.Own)
	if err != nil {
		return refuse(spendRule(err), "%v", err), nil
	}
	verdict = All(
		checkForeignForm(tip, spend.Tx),
		checkWeight(cfg, spend),
		checkRate(cfg, spend),
		checkOwnOutputs(v, spend),
		checkDust(spend),
		checkAllowList(cfg, spend),
		checkPromises(coins, spend.TxID()),
	)
	if !verdict.Allow {
		return verdict, nil
	}
	return verdict, spend
}

func spendRule(err error) Rule {
	switch {
	case errors.Is(err, bitcoin.ErrSighashType):
		return BadSighashType
	case errors.Is(err, bitcoin.ErrDuplicateCoin):
		return DuplicateCoin
	case errors.Is(err, bitcoin.ErrNotOurs):
		return CoinNotOurs
	}
	return TxMalformed
}

// checkForeignForm is compareForm with the lock time left to the author, as long
// as the transaction can be mined now.
func checkForeignForm(tip Tip, tx *wire.MsgTx) Verdict {
	if bitcoin.Height(tx.LockTime) > tip.Height {
		return refuse(BadLockTime, "lock time %d is later than this member's best block %d", tx.LockTime, tip.Height)
	}
	return compareForm(tx, tx.LockTime)
}

// checkRate judges the fee that is really paid: what inputs exceed outputs by.
func checkRate(cfg Config, s *bitcoin.Spend) Verdict {
	low, high := bitcoin.PerVByte(cfg.FeeMin).Fee(s.Weight()), bitcoin.PerVByte(cfg.FeeMax).Fee(s.Weight())
	if s.Fee() < low {
		return refuse(FeeTooLow, "the fee of %v is below this member's minimum of %v", s.Fee(), low)
	}
	if s.Fee() > high {
		return refuse(FeeTooHigh, "the fee of %v is above this member's maximum of %v", s.Fee(), high)
	}
	return allow()
}

// checkOwnOutputs lets value return to ordinary addresses only, where a scan
// finds it.
func checkOwnOutputs(v View, s *bitcoin.Spend) Verdict {
	for i, own := range s.Own {
		switch {
		case own == nil || own.Path.Branch == bitcoin.Receive:
		case own.Path.Branch != bitcoin.Change:
			return refuse(ChangeNotOurs, "output %d goes to %v, which is reserved", i, own.Path)
		default:
			if verdict := checkChangeIndex(v, own.Path.Index); !verdict.Allow {
				return verdict
			}
		}
	}
	return allow()
}

func checkDust(s *bitcoin.Spend) Verdict {
	for i, out := range s.Tx.TxOut {
		kind, err := bitcoin.TypeOf(out.PkScript)
		if err != nil {
			return refuse(NotAllowListed, "output %d, %s: %v", i, describe(s, out), err)
		}
		if bitcoin.Sat(out.Value) < kind.Dust() {
			return refuse(Dust, "output %d has %v, nodes relay no less than %v", i, bitcoin.Sat(out.Value), kind.Dust())
		}
	}
	return allow()
}

func checkAllowList(cfg Config, s *bitcoin.Spend) Verdict {
	var allowed [][]byte
	for _, a := range cfg.AllowList {
		// An address that Validate would refuse allows nothing.
		if script, err := bitcoin.ParseAddress(s.Key().Network(), a); err == nil {
			allowed = append(allowed, script)
		}
	}
	for i, out := range s.Tx.TxOut {
		listed := s.Own[i] != nil
		for _, script := range allowed {
			listed = listed || bytes.Equal(script, out.PkScript)
		}
		if !listed {
			return refuse(NotAllowListed, "output %d, %s, is neither on the allow-list nor ours", i, describe(s, out))
		}
	}
	return allow()
}
