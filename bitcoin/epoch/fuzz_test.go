package epoch

import (
	"bytes"
	"errors"
	"testing"

	"frostfed/bitcoin"
)

func FuzzDecode(f *testing.F) {
	d := busy(f)
	f.Add(d.Bytes())
	d = founding(keyA, 2)
	f.Add(d.Bytes())
	f.Add([]byte{version, 4})
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrDescriptor) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if !bytes.Equal(d.Bytes(), raw) {
			t.Fatal("not canonical")
		}
		if _, err := New(*d); err != nil {
			t.Fatalf("decodes but is no epoch: %v", err)
		}
	})
}

// FuzzProof decodes a proof and verifies it against a chain on which it does not
// happen to be true.
func FuzzProof(f *testing.F) {
	h := rich(f)
	chain, err := h.verify()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range h.proofs {
		f.Add(p.Bytes())
	}
	good := h.proofs[2].Bytes()
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeProof(raw)
		if err != nil {
			if !errors.Is(err, ErrProof) && !errors.Is(err, ErrDescriptor) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if !bytes.Equal(p.Bytes(), raw) {
			t.Fatal("not canonical")
		}
		if _, err := chain[1].Next(p, h.chain.header); err == nil && !bytes.Equal(raw, good) {
			t.Fatal("another proof of the same epoch")
		}
	})
}

func FuzzDecodeTx(f *testing.F) {
	h := rich(f)
	for _, x := range h.proofs[2].Exits {
		f.Add(x.Tx)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, err := decodeTx(raw)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := tx.SerializeNoWitness(&again); err != nil || !bytes.Equal(again.Bytes(), raw) {
			t.Fatal("not canonical")
		}
	})
}

func FuzzDecodeProposal(f *testing.F) {
	e := mustNew(f, founding(keyA, 2))
	p := Proposal{Next: e, Deposits: depositsOf(e), FeeRate: 500, Sweep: []bitcoin.Coin{
		{OutPoint: outPoint("a", 1), Amount: 5000}, {OutPoint: outPoint("a", 2), Amount: 6000, Path: SweepPath}}}
	f.Add(p.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeProposal(raw)
		if err != nil {
			if !errors.Is(err, ErrProposal) && !errors.Is(err, ErrDescriptor) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if !bytes.Equal(p.Bytes(), raw) {
			t.Fatal("not canonical")
		}
		if tr, err := Build(nil, *p); err == nil && tr.Spend.Fee() < bitcoin.MinFeeRate.Fee(tr.Spend.Weight()) {
			t.Fatal("built without a fee")
		}
	})
}
