package epoch

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"frostfed/bitcoin"
)

var update = flag.Bool("update", false, "write testdata/golden.json")

// golden is a chain of two epochs of three members, as the kit makes it. The file
// changes only if encodings, addresses or transactions change, which would split
// members from each other and outsiders from all of them: never within version 1.
type golden struct {
	Descriptor    string `json:"descriptor"` // founding
	Hash          string `json:"hash"`
	Xpub          string `json:"xpub"`
	BondAddress   string `json:"bond_address"` // of member 0
	Bond          string `json:"bond_descriptor"`
	Deposit       string `json:"deposit_address"` // of member 0
	Thread        string `json:"thread_address"`
	Founding      string `json:"founding_transaction"` // unsigned
	FoundingTxID  string `json:"founding_txid"`
	Successor     string `json:"successor_descriptor"`
	SuccessorHash string `json:"successor_hash"`
	Transition    string `json:"transition"` // unsigned
	TransitionID  string `json:"transition_txid"`
	Exit          string `json:"exit"`  // of member 0, unsigned
	Proof         string `json:"proof"` // of the founding, signed with RFC 6979 nonces
}

func makeGolden(t *testing.T) golden {
	h := newHistory(t, 3, 2)
	e := h.state.Epoch
	bond, err := e.Bond(0)
	if err != nil {
		t.Fatal(err)
	}
	deposit, err := e.Deposit(e.Members[0].Bond)
	if err != nil {
		t.Fatal(err)
	}
	thread, err := e.Thread()
	if err != nil {
		t.Fatal(err)
	}
	first := mustBuild(t, nil, Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.PerVByte(2)})
	next := mustNew(t, successor(h.state, keyB, []Member{person(3, 1, 150_000)},
		Change{Bond: h.state.Members[1].Bond, Kind: Removed, Class: Silence, Evidence: digest("evidence")}))
	second := mustBuild(t, h.state, Proposal{Next: next, Deposits: depositsOf(next), FeeRate: bitcoin.PerVByte(3),
		Sweep: []bitcoin.Coin{{OutPoint: outPoint("coin", 1), Amount: 12_345, Path: bitcoin.Path{Index: 6}}}, TopUp: 345})
	exit, err := h.state.Exit(0, e.Members[0].Refund, bitcoin.PerVByte(4))
	if err != nil {
		t.Fatal(err)
	}
	hash, nextHash := e.Hash(), next.Hash()
	return golden{
		Descriptor:    hex.EncodeToString(e.Bytes()),
		Hash:          hex.EncodeToString(hash[:]),
		Xpub:          e.Root().Xpub(),
		BondAddress:   bond.Address,
		Bond:          bond.Descriptor,
		Deposit:       deposit.Address,
		Thread:        thread.Address,
		Founding:      hex.EncodeToString(first.Spend.Bytes()),
		FoundingTxID:  first.Spend.TxID().String(),
		Successor:     hex.EncodeToString(next.Bytes()),
		SuccessorHash: hex.EncodeToString(nextHash[:]),
		Transition:    hex.EncodeToString(second.Spend.Bytes()),
		TransitionID:  second.Spend.TxID().String(),
		Exit:          hex.EncodeToString((&bitcoin.Spend{Tx: exit.Tx}).Bytes()),
		Proof:         hex.EncodeToString(h.proofs[0].Bytes()),
	}
}

func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "golden.json")
	got := makeGolden(t)
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	raw, err := hex.DecodeString(want.Proof)
	if err != nil {
		t.Fatal(err)
	}
	p, err := DecodeProof(raw)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(t, 3, 2)
	if _, err := Verify(h.born, []*Proof{p}, h.chain.header); err != nil {
		t.Errorf("the golden proof: %v", err)
	}
}
