package policy

import (
	"bytes"
	"testing"

	"frostfed/test/alloc"
)

func FuzzDecodeProposal(f *testing.F) {
	w := newWorld(f)
	f.Add(w.proposal.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Proposal
		var err error
		alloc.Limit(t, len(data), 32, 0, func() { p, err = DecodeProposal(data) })
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), data) {
			t.Fatal("not canonical")
		}
		if verdict, spend := Payout(w.cfg, w, p); verdict.Allow && !bytes.Equal(spend.Bytes(), p.Tx) {
			t.Fatal("allowed another transaction than proposed")
		}
	})
}

func FuzzDecodeWindow(f *testing.F) {
	f.Add(Window{}.Add(10, spendOf(f, 1, 60_000)).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		var w Window
		var err error
		alloc.Limit(t, len(data), 32, 0, func() { w, err = DecodeWindow(data) })
		if err == nil && !bytes.Equal(w.Encode(), data) {
			t.Fatal("not canonical")
		}
	})
}

func FuzzExternalVerdict(f *testing.F) {
	f.Add(0, false, []byte(`{"allow":true,"reason":"x"}`))
	f.Fuzz(func(t *testing.T, exit int, timedOut bool, stdout []byte) {
		v := ExternalVerdict(exit, timedOut, stdout)
		if v.Allow && (exit != 0 || timedOut) || !v.Allow && v.Reason == "" {
			t.Fatalf("%+v", v)
		}
	})
}
