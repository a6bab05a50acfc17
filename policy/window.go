package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"golang.org/x/crypto/cryptobyte"
)

// DayBlocks is the length of the window of the daily limit. It is counted in
// blocks because they survive a restart and are the same for every member; a
// clock is neither.
const DayBlocks = 144

// maxSpendings bounds the window. With the limit on, more transactions a day than
// this are refused: a day's blocks hold few times as many.
const maxSpendings = 10_000

// ErrWindow means bytes that are not a window.
var ErrWindow = errors.New("bad spending window")

// Window remembers what was agreed to leave in the last DayBlocks blocks. It is a
// value: Add returns another one. The zero value is empty.
type Window struct{ spendings []spending }

// spending is a transaction agreed to at a height.
type spending struct {
	height bitcoin.Height
	amount bitcoin.Sat
	txid   chainhash.Hash
}

// spent is what the window holds at tip, without the transaction txid.
func (w Window) spent(tip bitcoin.Height, txid chainhash.Hash) (total bitcoin.Sat, count int) {
	for _, s := range w.spendings {
		if live(s, tip) && s.txid != txid {
			total += s.amount
			count++
		}
	}
	return total, count
}

// live reports whether s counts at tip. Heights above tip count too: after a
// reorganisation the chain may be shorter for a while.
func live(s spending, tip bitcoin.Height) bool {
	return uint64(s.height)+DayBlocks > uint64(tip)
}

// Spent is the sum of what was agreed to leave in the window that ends at tip.
func (w Window) Spent(tip bitcoin.Height) bitcoin.Sat {
	total, _ := w.spent(tip, chainhash.Hash{})
	return total
}

// Check decides whether s fits under cfg.DailyLimit at tip. A transaction already
// in the window counts once, so that a retry is not refused for its own sake.
func (w Window) Check(cfg Config, tip bitcoin.Height, s *bitcoin.Spend) Verdict {
	if cfg.DailyLimit == 0 {
		return allow()
	}
	spent, count := w.spent(tip, s.TxID())
	if leaving := s.Leaving(); leaving > cfg.DailyLimit-spent {
		return refuse(DailyLimit, "%v would leave after %v in the last %d blocks, the limit is %v", leaving, spent, DayBlocks, cfg.DailyLimit)
	}
	if count >= maxSpendings {
		return refuse(DailyLimit, "%d transactions in the last %d blocks", count, DayBlocks)
	}
	return allow()
}

// Add returns the window with s, agreed to at tip, and without what is too old.
func (w Window) Add(tip bitcoin.Height, s *bitcoin.Spend) Window {
	txid := s.TxID()
	next := make([]spending, 0, len(w.spendings)+1)
	for _, old := range w.spendings {
		if live(old, tip) && old.txid != txid {
			next = append(next, old)
		}
	}
	next = append(next, spending{tip, s.Leaving(), txid})
	slices.SortFunc(next, compareSpendings)
	return Window{next}
}

// Encode is version 1, then 44 bytes for each spending in order: height 4, amount
// 8, txid 32.
func (w Window) Encode() []byte {
	var b cryptobyte.Builder
	b.AddUint8(1)
	for _, s := range w.spendings {
		b.AddUint32(uint32(s.height))
		b.AddUint64(uint64(s.amount))
		b.AddBytes(s.txid[:])
	}
	return b.BytesOrPanic() // no length prefix can overflow
}

// DecodeWindow reads what Encode writes and accepts nothing else. Errors are
// ErrWindow.
func DecodeWindow(data []byte) (Window, error) {
	var w Window
	s := cryptobyte.String(data)
	var version uint8
	if !s.ReadUint8(&version) || version != 1 {
		return Window{}, fmt.Errorf("%w: version", ErrWindow)
	}
	for !s.Empty() {
		var height uint32
		var amount uint64
		var next spending
		if !s.ReadUint32(&height) || !s.ReadUint64(&amount) || !s.CopyBytes(next.txid[:]) || amount > uint64(bitcoin.MaxMoney) {
			return Window{}, fmt.Errorf("%w: spending %d", ErrWindow, len(w.spendings))
		}
		next.height, next.amount = bitcoin.Height(height), bitcoin.Sat(amount)
		if n := len(w.spendings); n > 0 && compareSpendings(w.spendings[n-1], next) >= 0 {
			return Window{}, fmt.Errorf("%w: spending %d is out of order", ErrWindow, n)
		}
		w.spendings = append(w.spendings, next)
	}
	return w, nil
}

func compareSpendings(a, b spending) int {
	return cmp.Or(cmp.Compare(a.height, b.height), bytes.Compare(a.txid[:], b.txid[:]))
}
