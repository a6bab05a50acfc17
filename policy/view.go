package policy

import (
	"bytes"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// View is what this member knows by itself: its own node, payout lists, address
// table and promises. Nothing in it may come from a proposal. All methods must
// answer from one consistent moment.
type View interface {
	// Key returns the threshold key if this member signs with it in that epoch.
	Key(pub [33]byte, epoch uint64) (bitcoin.Key, bool)
	// Tip is the best block of the own node; false if it has told none.
	Tip() (Tip, bool)
	// BlockHash is the hash at a height of the own best chain.
	BlockHash(bitcoin.Height) (chainhash.Hash, bool)
	// List is a payout list given to this member by its own operator.
	List(bitcoin.PayoutID) (bitcoin.PayoutList, bool)
	// Paid is the transaction a list was promised to, signed in part or whole.
	Paid(bitcoin.PayoutID) (chainhash.Hash, bool)
	// Coin is an output to the key as the own node knows it.
	Coin(wire.OutPoint) (Coin, bool)
	// Own is the path of a script among addresses of the key that are issued or
	// watched.
	Own(script []byte) (bitcoin.Path, bool)
	// NextChange is the lowest index of a change address never seen in use.
	NextChange() uint32
}

// Tip is a best block.
type Tip struct {
	Hash   chainhash.Hash
	Height bitcoin.Height
	Synced bool // the node says it is synced, and the block is recent enough to believe it
}

// Coin is an output as the own node sees it.
type Coin struct {
	bitcoin.Coin
	Script    []byte
	Confirmed bool // in a block of the best chain, at Height
	Coinbase  bool
	Spent     bool           // by a transaction in the chain, or in the pool where there is one
	Promised  chainhash.Hash // transaction this member signed, or agreed to sign, for it; zero if none
}

// coinbaseMaturity is consensus: a coinbase at height h is spendable in block h+100.
const coinbaseMaturity = 100

// checkTip makes sure that the own node can be asked at all.
func checkTip(v View) (Tip, Verdict) {
	tip, ok := v.Tip()
	switch {
	case !ok:
		return tip, refuse(TipUnknown, "this member's node has not told its best block")
	case !tip.Synced:
		return tip, refuse(TipStale, "this member's node is not synced, its best block is %d", tip.Height)
	}
	return tip, allow()
}

// ownCoin returns a coin if it may be spent now, promises aside.
func ownCoin(cfg Config, v View, key bitcoin.Key, tip Tip, op wire.OutPoint) (Coin, Verdict) {
	c, ok := v.Coin(op)
	if !ok || c.OutPoint != op {
		return c, refuse(CoinUnknown, "coin %v is unknown to this member's node", op)
	}
	derived, err := key.Derive(c.Path)
	if err != nil || !bytes.Equal(derived.Script, c.Script) {
		return c, refuse(CoinNotOurs, "coin %v is not locked to %v of the key", op, c.Path)
	}
	// Bonds, deposits and the thread output are spent by membership alone.
	if c.Path.Branch != bitcoin.Receive && c.Path.Branch != bitcoin.Change {
		return c, refuse(CoinNotOurs, "coin %v is reserved, it lies at %v", op, c.Path)
	}
	if c.Spent {
		return c, refuse(CoinSpent, "coin %v is spent", op)
	}
	confirmations := int64(0)
	if c.Confirmed && c.Height <= tip.Height {
		confirmations = int64(tip.Height) - int64(c.Height) + 1
	}
	if confirmations < int64(max(cfg.MinConfirmations, 1)) {
		return c, refuse(CoinUnconfirmed, "coin %v has %d confirmations, %d are needed", op, confirmations, max(cfg.MinConfirmations, 1))
	}
	// The spending transaction can be in the next block at the earliest, tip+1.
	if c.Coinbase && confirmations < coinbaseMaturity {
		return c, refuse(CoinImmature, "coin %v is a coinbase with %d confirmations, %d are needed", op, confirmations, coinbaseMaturity)
	}
	return c, allow()
}

// checkPromises refuses a coin that is promised to another transaction than txid.
func checkPromises(coins []Coin, txid chainhash.Hash) Verdict {
	for _, c := range coins {
		if c.Promised != (chainhash.Hash{}) && c.Promised != txid {
			return refuse(CoinLocked, "coin %v is promised to transaction %v", c.OutPoint, c.Promised)
		}
	}
	return allow()
}
