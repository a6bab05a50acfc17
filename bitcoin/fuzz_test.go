package bitcoin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/test/alloc"
)

func FuzzParseList(f *testing.F) {
	a := testAddress(f, 4)
	f.Add([]byte("address,sats\n" + a + ",1000\n"))
	f.Add([]byte("reference,x\naddress,btc,label\n" + a + ",0.1,\"b\"\"c\"\n"))
	f.Add([]byte(`{"reference":"x","payouts":[{"address":"` + a + `","sats":1000,"label":"b"}]}`))
	f.Add([]byte("{\"payouts\":[[[["))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l PayoutList
		var err error
		alloc.Limit(t, len(data), 256, 1<<20, func() { l, err = ParseList(Regtest, "f", data) })
		if err != nil {
			var bad *ListError
			if !errors.As(err, &bad) || bad.Hint == "" {
				t.Fatalf("error without advice: %v", err)
			}
			return
		}
		back, err := DecodePayoutList(l.Encode())
		if err != nil || back.ID() != l.ID() {
			t.Fatalf("parsed list does not decode: %v", err)
		}
	})
}

func FuzzDecodePayoutList(f *testing.F) {
	f.Add(testList(f, 5, 1000).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		var l PayoutList
		var err error
		alloc.Limit(t, len(data), 64, 0, func() { l, err = DecodePayoutList(data) })
		if err == nil && !bytes.Equal(l.Encode(), data) {
			t.Fatal("not canonical")
		}
	})
}

// txSlab is what btcd takes to decode a transaction: scripts go to slabs of 4 MiB
// from a pool first. A slab serves any number of transactions, one after another.
const txSlab = 8 << 20

func FuzzDecodeTx(f *testing.F) {
	f.Add(mustBuild(f, testPayout(f)).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		var tx *wire.MsgTx
		var err error
		alloc.Limit(t, len(data), 64, txSlab, func() { tx, err = DecodeTx(data) })
		if err == nil && !bytes.Equal(encodeTx(tx), data) {
			t.Fatal("not canonical")
		}
	})
}

func FuzzDecodePSBT(f *testing.F) {
	s := mustBuild(f, testPayout(f))
	unsigned, finished := mustPSBT(f, s, nil), mustPSBT(f, s, signAll(f, s))
	f.Add(unsigned)
	f.Add(finished)
	f.Add([]byte(base64.StdEncoding.EncodeToString(unsigned)))
	coin, own := lookups(s)
	f.Fuzz(func(t *testing.T, data []byte) {
		var p *PSBT
		var err error
		alloc.Limit(t, len(data), 64, txSlab, func() { p, err = DecodePSBT(data) })
		if err != nil {
			return
		}
		if got, err := p.Spend(s.Key(), coin, own); err == nil && got.Fee() < 0 {
			t.Fatal("negative fee")
		}
		if tx, err := p.Extract(); err == nil && !reflect.DeepEqual(tx.TxHash(), p.Tx().TxHash()) {
			t.Fatal("extracted another transaction")
		}
	})
}

// FuzzParseAddress: an address that is accepted is the one that its script has.
func FuzzParseAddress(f *testing.F) {
	for i := range 6 {
		f.Add(testAddress(f, i))
	}
	f.Add(strings.ToUpper(testAddress(f, 4)))
	f.Add("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
	f.Add("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		script, err := ParseAddress(Regtest, s)
		if err != nil {
			if !errors.Is(err, ErrAddress) && !errors.Is(err, ErrNetwork) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := EncodeAddress(Regtest, script)
		if err != nil || (again != s && again != strings.ToLower(s)) {
			t.Fatalf("%q pays %q, %v", s, again, err)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	f.Add("/0/0")
	f.Add("/4/2147483647")
	f.Add("/5/0")
	f.Add("/0/2147483648")
	f.Add("/00/0")
	f.Add("/+1/0")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err == nil && (p.String() != s || p.check() != nil) {
			t.Fatalf("%q is read as %v", s, p)
		}
		if err != nil && !errors.Is(err, ErrPath) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
