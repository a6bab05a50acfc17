package bitcoin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"testing"
)

func FuzzParseList(f *testing.F) {
	a := testAddress(f, 4)
	f.Add([]byte("address,sats\n" + a + ",1000\n"))
	f.Add([]byte("reference,x\naddress,btc,label\n" + a + ",0.1,\"b\"\"c\"\n"))
	f.Add([]byte(`{"reference":"x","payouts":[{"address":"` + a + `","sats":1000,"label":"b"}]}`))
	f.Add([]byte("{\"payouts\":[[[["))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseList(Regtest, "f", data)
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
		l, err := DecodePayoutList(data)
		if err == nil && !bytes.Equal(l.Encode(), data) {
			t.Fatal("not canonical")
		}
	})
}

func FuzzDecodeTx(f *testing.F) {
	f.Add(mustBuild(f, testPayout(f)).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		tx, err := DecodeTx(data)
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
		p, err := DecodePSBT(data)
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
