package epoch

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"

	"frostfed/bitcoin"
)

func TestVerifyFollows(t *testing.T) {
	h := rich(t)
	chain, err := h.verify()
	if err != nil {
		t.Fatal(err)
	}
	if len(chain) != 3 {
		t.Fatalf("%d epochs", len(chain))
	}
	last := chain[2]
	if last.Hash() != h.state.Hash() || last.TxID != h.state.TxID || last.Pot != h.state.Pot {
		t.Error("verified another state than the one that was built")
	}
	if last.Height != h.proofs[2].Inclusion.Height {
		t.Error("wrong height")
	}
	for i, m := range last.Members {
		want := chain[0].Height
		if chain[0].Member(m.Bond) < 0 {
			want = chain[1].Height
		}
		if last.Since[i] != want {
			t.Errorf("member %d since %d, want %d", i, last.Since[i], want)
		}
	}
	again, err := chain[1].Next(h.proofs[2], h.chain.header)
	if err != nil || again.TxID != last.TxID {
		t.Errorf("one step: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	h := rich(t)
	copyOf := func(i int) *Proof {
		p, err := DecodeProof(h.proofs[i].Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if _, err := Verify(digest("another"), h.proofs, h.chain.header); !errors.Is(err, ErrProof) {
		t.Errorf("another founding: %v", err)
	}
	if _, err := Verify(h.born, h.proofs[1:], h.chain.header); err == nil {
		t.Error("begins in the middle")
	}
	if _, err := Verify(h.born, []*Proof{h.proofs[0], h.proofs[2]}, h.chain.header); !errors.Is(err, ErrSuccession) {
		t.Errorf("an epoch left out: %v", err)
	}
	if _, err := Verify(h.born, h.proofs, h.chain[:len(h.chain)-2].header); !errors.Is(err, ErrInclusion) {
		t.Errorf("one confirmation short: %v", err)
	}
	// Of the two exits, one has a signature that covers its own input alone.
	lone := slices.IndexFunc(h.proofs[2].Exits, (*ExitProof).single)
	cases := map[string]struct {
		epoch  int
		change func(*Proof)
		want   error
	}{
		"zeroed witness":              {1, func(p *Proof) { p.Signatures[2] = [64]byte{} }, ErrProof},
		"signature missing":           {1, func(p *Proof) { p.Signatures = p.Signatures[1:] }, ErrProof},
		"another threshold":           {1, func(p *Proof) { p.Descriptor.Threshold-- }, ErrInclusion},
		"another pot":                 {1, func(p *Proof) { p.Pot-- }, ErrInclusion},
		"pot gone as fee":             {1, func(p *Proof) { p.Pot = 330 }, bitcoin.ErrFeeRate},
		"no fee":                      {1, func(p *Proof) { p.Pot += 20_000 }, bitcoin.ErrFeeRate},
		"swept less":                  {1, func(p *Proof) { p.Sweep[0].Amount-- }, ErrInclusion},
		"all money swept":             {1, func(p *Proof) { p.Sweep[0].Amount = bitcoin.MaxMoney }, ErrSweep},
		"another path":                {1, func(p *Proof) { p.Sweep[0].Path.Index++ }, ErrProof},
		"another deposit":             {1, func(p *Proof) { p.Deposits[0].Index++ }, ErrInclusion},
		"deposit missing":             {1, func(p *Proof) { p.Deposits = nil }, ErrDeposit},
		"another block":               {1, func(p *Proof) { p.Inclusion.Height++ }, ErrInclusion},
		"block of the future":         {1, func(p *Proof) { p.Inclusion.Height = 1 << 31 }, ErrInclusion},
		"height overflows":            {1, func(p *Proof) { p.Inclusion.Height = 1<<32 - 1 }, ErrInclusion},
		"another branch":              {1, func(p *Proof) { p.Inclusion.Branch[0][0] ^= 1 }, ErrInclusion},
		"spare index bits":            {1, func(p *Proof) { p.Inclusion.Index |= 1 << 20 }, ErrInclusion},
		"no coinbase":                 {1, func(p *Proof) { p.Inclusion.Coinbase = nil }, ErrInclusion},
		"exit missing":                {2, func(p *Proof) { p.Exits = p.Exits[:1] }, ErrProof},
		"exits swapped":               {2, func(p *Proof) { slices.Reverse(p.Exits) }, ErrProof},
		"exit too many":               {1, func(p *Proof) { p.Exits = h.proofs[2].Exits[:1] }, ErrProof},
		"exit by key path":            {2, func(p *Proof) { p.Exits[0].Witness = p.Exits[0].Witness[:1] }, ErrProof},
		"exit by key path and annex":  {2, func(p *Proof) { p.Exits[0].Witness = [][]byte{p.Exits[0].Witness[0], {annexTag}} }, ErrProof},
		"prevout of a lone signature": {2, func(p *Proof) { p.Exits[lone].Prevouts = []*wire.TxOut{wire.NewTxOut(1, nil)} }, ErrProof},
		"prevout missing":             {2, func(p *Proof) { p.Exits[1-lone].Prevouts = p.Exits[1-lone].Prevouts[1:] }, ErrProof},
		"another prevout":             {2, func(p *Proof) { p.Exits[1-lone].Prevouts[0].Value++ }, ErrProof},
		"exit in another block":       {2, func(p *Proof) { p.Exits[0].Inclusion.Height++ }, ErrInclusion},
		"exit is no transaction":      {2, func(p *Proof) { p.Exits[0].Tx = p.Exits[0].Tx[1:] }, ErrProof},
		"exit of another bond":        {2, func(p *Proof) { p.Exits[0] = p.Exits[1] }, ErrProof},
	}
	confirmed, err := h.verify()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := copyOf(c.epoch)
			c.change(p)
			if _, err := confirmed[c.epoch-1].Next(p, h.chain.header); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestEveryByteOfAProofCounts changes each byte in turn.
func TestEveryByteOfAProofCounts(t *testing.T) {
	h := rich(t)
	chain, err := h.verify()
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for epoch := 1; epoch <= 2; epoch++ {
		raw := h.proofs[epoch].Bytes()
		verified := 0
		for i := 0; i < len(raw); i += step {
			changed := slices.Clone(raw)
			changed[i] ^= 1 << (i % 8)
			p, err := DecodeProof(changed)
			if err != nil {
				continue
			}
			if !bytes.Equal(p.Bytes(), changed) {
				t.Fatalf("byte %d: not canonical", i)
			}
			verified++
			if _, err := chain[epoch-1].Next(p, h.chain.header); err == nil {
				t.Fatalf("epoch %d, byte %d of %d may change", epoch, i, len(raw))
			}
		}
		t.Logf("epoch %d: %d bytes, %d changes decoded and were refused", epoch, len(raw), verified)
	}
}

// TestRandomHistories: what the builder made is accepted, and with a byte changed it
// is not.
func TestRandomHistories(t *testing.T) {
	types := []txscript.SigHashType{txscript.SigHashDefault, txscript.SigHashAll, txscript.SigHashNone, txscript.SigHashSingle,
		txscript.SigHashAll | txscript.SigHashAnyOneCanPay, txscript.SigHashNone | txscript.SigHashAnyOneCanPay}
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(lo, hi int, name string) int { return rapid.IntRange(lo, hi).Draw(rt, name) }
		h := newHistory(t, draw(1, 5, "founders"), draw(0, 6, "filler"))
		for epoch := range draw(1, 2, "epochs") {
			var changes []Change
			var joined []Member
			for range draw(0, 2, "joined") {
				joined = append(joined, h.newcomer(MinBond+bitcoin.Sat(draw(0, 1e6, "bond"))))
			}
			for i, m := range h.state.Members {
				c := Change{Bond: m.Bond, Kind: Kind(draw(int(Joined), int(Exited), "change"))}
				switch c.Kind {
				case Joined:
					continue // stays
				case Removed:
					c.Class = Class(draw(1, int(classes)-1, "class"))
				case Exited:
					h.exit(i, types[draw(0, len(types)-1, "sighash")], draw(0, 2, "other inputs"), draw(0, 4, "filler"), nil)
				}
				changes = append(changes, c)
			}
			if len(changes) == len(h.state.Members) && len(joined) == 0 {
				joined = append(joined, h.newcomer(MinBond))
			}
			next := newSecret("random K", uint64(epoch))
			e := mustNew(t, successor(h.state, next, joined, changes...))
			p := Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.MinFeeRate + bitcoin.SatPerKWU(draw(0, 3000, "fee"))}
			for i := range draw(0, 3, "swept") {
				p.Sweep = append(p.Sweep, bitcoin.Coin{OutPoint: outPoint("random", uint64(epoch*10+i)), Amount: bitcoin.Sat(draw(330, 1e6, "amount")),
					Path: bitcoin.Path{Branch: bitcoin.Branch(draw(0, 1, "branch")), Index: uint32(draw(0, 1<<20, "index"))}})
			}
			h.transition(p, next, draw(0, 6, "filler"))
		}
		chain, err := h.verify()
		if err != nil {
			rt.Fatal(err)
		}
		if got := chain[len(chain)-1]; got.TxID != h.state.TxID || got.Pot != h.state.Pot {
			rt.Fatal("verified another state")
		}
		i := draw(0, len(h.proofs)-1, "epoch")
		raw := h.proofs[i].Bytes()
		raw[draw(0, len(raw)-1, "byte")] ^= byte(draw(1, 255, "bits"))
		if p, err := DecodeProof(raw); err == nil {
			h.proofs[i] = p
			if _, err := h.verify(); err == nil {
				rt.Fatal("a changed proof passes")
			}
		}
	})
}

// TestSixtyFourBytes plays the forger: a transaction in a block, 64 bytes long, whose
// second half is the hash of a transition that never was.
func TestSixtyFourBytes(t *testing.T) {
	h := newHistory(t, 3, 2)
	chain, err := h.verify()
	if err != nil {
		t.Fatal(err)
	}
	next := newSecret("K", 1)
	tr := mustBuild(t, h.state, Proposal{Next: mustNew(t, successor(h.state, next, nil)), FeeRate: bitcoin.PerVByte(2)})
	signed := signAll(t, tr, h.key)
	fake := signed.TxHash()

	// The block's leaves are a coinbase and a node that stands for the transaction
	// of 64 bytes: left half noise, right half the wanted hash.
	left := digest("left half")
	sixtyFour := parent(left, fake)
	height := h.chain.add(int(h.state.Terms.Depth), 0)
	block := h.chain[height]
	coinbase := block.Transactions[0].TxHash()
	block.Header.MerkleRoot = chainhash.Hash(parent(coinbase, sixtyFour))

	honest := &wire.MsgBlock{Transactions: []*wire.MsgTx{block.Transactions[0], signed}}
	p, err := NewProof(tr, honest, height, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Inclusion.Index = 3
	p.Inclusion.Branch = [][32]byte{left, coinbase}
	p.Inclusion.CoinbaseBranch = [][32]byte{sixtyFour}
	if root, ok := climb(fake, 3, p.Inclusion.Branch); !ok || root != block.Header.MerkleRoot {
		t.Fatal("the forgery is not one")
	}
	if _, err := chain[0].Next(p, h.chain.header); !errors.Is(err, ErrInclusion) {
		t.Errorf("forged branch: %v", err)
	}
	// Lengthening the coinbase branch to match leads elsewhere.
	p.Inclusion.CoinbaseBranch = [][32]byte{left, sixtyFour}
	if _, err := chain[0].Next(p, h.chain.header); !errors.Is(err, ErrInclusion) {
		t.Errorf("forged coinbase branch: %v", err)
	}
	raw := append(make([]byte, 4), 1)
	raw = append(append(raw, make([]byte, 32)...), 0xff, 0xff, 0xff, 0xff)
	for size, want := range map[int]bool{41: false, 63: true, 64: false, 65: true} {
		if got := isCoinbase(append(raw, make([]byte, size-len(raw))...)); got != want {
			t.Errorf("coinbase of %d bytes: %v", size, got)
		}
	}
	if _, err := decodeTx(make([]byte, 64)); err == nil {
		t.Error("64 bytes are no transaction")
	}
}

func TestBranches(t *testing.T) {
	for n := 1; n <= 9; n++ {
		var l ledger
		l.add(0, n-1)
		block := l[0]
		for i, tx := range block.Transactions {
			p, err := NewInclusion(block, 0, tx.TxHash())
			if err != nil {
				t.Fatal(err)
			}
			if err := p.check(tx.TxHash(), 1, l.header); err != nil {
				t.Errorf("transaction %d of %d: %v", i, n, err)
			}
			for other := range uint32(16) {
				q := *p
				q.Index = other
				if err := q.check(tx.TxHash(), 1, l.header); (err == nil) != (other == uint32(i)) {
					t.Errorf("transaction %d of %d at %d: %v", i, n, other, err)
				}
			}
		}
	}
	var l ledger
	l.add(0, 1)
	if _, err := NewInclusion(l[0], 0, chainhash.Hash{}); !errors.Is(err, ErrInclusion) {
		t.Errorf("a transaction of no block: %v", err)
	}
}

// TestDecodeTxBounds feeds counts that promise more than there is.
func TestDecodeTxBounds(t *testing.T) {
	version := "\x02\x00\x00\x00"
	for name, raw := range map[string]string{
		"empty":        "",
		"many inputs":  version + "\xfe\xff\xff\xff\x00" + strings.Repeat("x", 100),
		"most inputs":  version + "\xff\xff\xff\xff\xff\xff\xff\xff\xff" + strings.Repeat("x", 100),
		"many outputs": version + "\x00\xfd\xff\xff" + strings.Repeat("x", 100),
		"long script":  version + "\x01" + strings.Repeat("x", 36) + "\xfe\xff\xff\xff\x7f" + strings.Repeat("x", 40),
		"half prefix":  version + "\xfd\xff",
	} {
		if countsFit([]byte(raw)) {
			t.Errorf("%s: fits", name)
		}
		if allocs := testing.AllocsPerRun(10, func() { _, _ = decodeTx([]byte(raw)) }); allocs > 3 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
