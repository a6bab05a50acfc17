package policy

import (
	"bytes"
	"fmt"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/wire/v2"
)

// compare allows exactly the bytes of the transaction this member built. For any
// others it finds the most telling difference; what it finds is for people, the
// refusal itself rests on the bytes.
func compare(built *bitcoin.Spend, proposed []byte) Verdict {
	if bytes.Equal(built.Bytes(), proposed) {
		return allow()
	}
	tx, err := bitcoin.DecodeTx(proposed)
	if err != nil {
		return refuse(TxMalformed, "%v", err)
	}
	verdict := All(compareForm(tx, built.Tx.LockTime), compareInputs(built.Tx, tx), compareOutputs(built, tx))
	if verdict.Allow {
		return refuse(TxMalformed, "the transaction is not the one this member built")
	}
	return verdict
}

// compareForm checks version, lock time and sequences.
func compareForm(tx *wire.MsgTx, lockTime uint32) Verdict {
	if tx.Version != bitcoin.TxVersion {
		return refuse(BadVersion, "version %d, must be %d", tx.Version, bitcoin.TxVersion)
	}
	if tx.LockTime != lockTime {
		return refuse(BadLockTime, "lock time %d, must be %d", tx.LockTime, lockTime)
	}
	for i, in := range tx.TxIn {
		if in.Sequence != bitcoin.Sequence {
			return refuse(BadSequence, "input %d has sequence %#x, must be %#x", i, in.Sequence, bitcoin.Sequence)
		}
	}
	return allow()
}

func compareInputs(want, got *wire.MsgTx) Verdict {
	if len(got.TxIn) != len(want.TxIn) {
		return refuse(CoinsDiffer, "%d inputs, must be %d", len(got.TxIn), len(want.TxIn))
	}
	for i, in := range want.TxIn {
		if op := got.TxIn[i].PreviousOutPoint; op != in.PreviousOutPoint {
			return refuse(CoinsDiffer, "input %d spends %v, must be %v", i, op, in.PreviousOutPoint)
		}
	}
	return allow()
}

// compareOutputs reports the first output that differs, unless all payees are
// served and only the change went elsewhere.
func compareOutputs(built *bitcoin.Spend, got *wire.MsgTx) Verdict {
	if at, ok := strayChange(built, got); ok {
		return refuse(ChangeNotOurs, "output %d, %s, is neither a payout nor our change", at, describe(built, got.TxOut[at]))
	}
	want := built.Tx.TxOut
	for i := range max(len(want), len(got.TxOut)) {
		switch {
		case i >= len(got.TxOut):
			return refuse(OutputsDiffer, "output %d is missing, expected %s", i, describe(built, want[i]))
		case i >= len(want):
			return refuse(OutputsDiffer, "output %d is one too many: %s", i, describe(built, got.TxOut[i]))
		case !equalOutputs(want[i], got.TxOut[i]):
			return refuse(OutputsDiffer, "output %d: expected %s, got %s", i, describe(built, want[i]), describe(built, got.TxOut[i]))
		}
	}
	return allow()
}

// strayChange finds the output that took the place of our change, or came in
// addition where there is none, provided that every payee has its output.
func strayChange(built *bitcoin.Spend, got *wire.MsgTx) (int, bool) {
	payees := map[string]int{} // value and script to how often
	name := func(o *wire.TxOut) string { return fmt.Sprintf("%d %x", o.Value, o.PkScript) }
	var change []byte
	for i, o := range built.Tx.TxOut {
		if own := built.Own[i]; own != nil {
			change = own.Script
		} else {
			payees[name(o)]++
		}
	}
	stray := -1
	for i, o := range got.TxOut {
		switch {
		case payees[name(o)] > 0:
			payees[name(o)]--
		case bytes.Equal(o.PkScript, change):
			return 0, false
		case stray < 0:
			stray = i
		}
	}
	for _, missing := range payees {
		if missing > 0 {
			return 0, false
		}
	}
	return stray, stray >= 0
}

func equalOutputs(a, b *wire.TxOut) bool {
	return a.Value == b.Value && bytes.Equal(a.PkScript, b.PkScript)
}

// describe names an output for people, hex where it has no address, cut short
// because a proposer chose it.
func describe(s *bitcoin.Spend, o *wire.TxOut) string {
	addr, err := bitcoin.EncodeAddress(s.Key().Network(), o.PkScript)
	if err != nil {
		addr = fmt.Sprintf("script %x", o.PkScript[:min(len(o.PkScript), 40)])
	}
	return fmt.Sprintf("%v to %s", bitcoin.Sat(o.Value), addr)
}
