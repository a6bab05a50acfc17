package api

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/federation"
)

// FuzzFindList: a name either is the beginning of exactly one ID, or an error.
func FuzzFindList(f *testing.F) {
	views := []federation.PayoutListView{{ID: bitcoin.PayoutID{0xab, 0xcd, 0x01}}, {ID: bitcoin.PayoutID{0xab, 0xcd, 0x02}}, {ID: bitcoin.PayoutID{0x01}}}
	for _, seed := range []string{"", "abcd", "ABCD01", "abcd0", "0100", "010", strings.Repeat("0", 65), "\xff", views[0].ID.String()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var want []bitcoin.PayoutID
		for _, v := range views {
			if id := v.ID.String(); len(name) >= 4 && len(name) <= len(id) && id[:len(name)] == strings.ToLower(name) {
				want = append(want, v.ID)
			}
		}
		got, err := findList(views, name)
		switch len(want) {
		case 0:
			if !errors.Is(err, federation.ErrListUnknown) {
				t.Fatalf("%q: %v, %v", name, got, err)
			}
		case 1:
			if err != nil || got.ID != want[0] {
				t.Fatalf("%q: %v, %v", name, got, err)
			}
		default:
			if !errors.Is(err, errListAmbig) {
				t.Fatalf("%q: %v, %v", name, got, err)
			}
		}
	})
}

// FuzzParseTransaction: whatever is read is read again from its bytes.
func FuzzParseTransaction(f *testing.F) {
	tx := wire.NewMsgTx(bitcoin.TxVersion)
	tx.AddTxIn(&wire.TxIn{Sequence: bitcoin.Sequence})
	tx.AddTxOut(wire.NewTxOut(1000, append([]byte{0x51, 0x20}, make([]byte, 32)...)))
	raw, err := hex.DecodeString(transaction(tx))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(transaction(tx)))
	f.Add([]byte("psbt\xff"))
	f.Add([]byte(" cHNidP8="))
	f.Add([]byte{})
	if _, err := parseTransaction(raw); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tx, err := parseTransaction(data)
		if err != nil {
			if !errors.Is(err, bitcoin.ErrTx) && !errors.Is(err, bitcoin.ErrPSBT) {
				t.Fatalf("an error of another class: %v", err)
			}
			return
		}
		again, err := parseTransaction([]byte(transaction(tx)))
		if err != nil || again.TxHash() != tx.TxHash() {
			t.Fatalf("%x: %v", data, err)
		}
	})
}

func TestFeeRate(t *testing.T) {
	for _, tc := range []struct {
		in   float64
		want bitcoin.SatPerKWU
	}{
		{0, 500}, {1, 250}, {1.1, 275}, {2.5, 625}, {10_000, bitcoin.MaxFeeRate},
		{0.99, 0}, {-1, 0}, {10_001, 0}, {math.NaN(), 0}, {math.Inf(1), 0}, {math.Inf(-1), 0}, {math.MaxFloat64, 0},
	} {
		got, err := feeRate(tc.in)
		if got != tc.want || (tc.want == 0) != errors.Is(err, errFeeRate) {
			t.Errorf("%g: %d, %v", tc.in, got, err)
		}
	}
}
