package epoch

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
)

// importDescriptor computes the scriptPubKey of tr(xpub/a/i,and_v(v:pk(X),older(N)))
// as a wallet would: from the text alone, with other code for BIP 32 and BIP 341.
func importDescriptor(t *testing.T, text string) []byte {
	t.Helper()
	body, sum, ok := strings.Cut(text, "#")
	if !ok || len(sum) != 8 {
		t.Fatalf("no checksum: %s", text)
	}
	var branch, index uint32
	body = strings.TrimSuffix(strings.TrimPrefix(body, "tr("), ")")
	key, tree, hasTree := strings.Cut(body, ",")
	xpub, path, _ := strings.Cut(key, "/")
	if _, err := fmt.Sscanf(path, "%d/%d", &branch, &index); err != nil {
		t.Fatal(err)
	}
	node, err := hdkeychain.NewKeyFromString(xpub)
	for _, step := range []uint32{branch, index} {
		if err == nil {
			node, err = node.Derive(step)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	internal, err := node.ECPubKey()
	if err != nil {
		t.Fatal(err)
	}
	out := txscript.ComputeTaprootKeyNoScript(internal)
	if hasTree {
		var owner string
		var delay int64
		if _, err := fmt.Sscanf(tree, "and_v(v:pk(%64s),older(%d))", &owner, &delay); err != nil {
			t.Fatalf("%s: %v", tree, err)
		}
		x, err := hex.DecodeString(owner)
		if err != nil {
			t.Fatal(err)
		}
		script, err := txscript.NewScriptBuilder().AddData(x).AddOp(txscript.OP_CHECKSIGVERIFY).
			AddInt64(delay).AddOp(txscript.OP_CHECKSEQUENCEVERIFY).Script()
		if err != nil {
			t.Fatal(err)
		}
		root := txscript.AssembleTaprootScriptTree(txscript.NewBaseTapLeaf(script)).RootNode.TapHash()
		out = txscript.ComputeTaprootOutputKey(internal, root[:])
	}
	script, err := txscript.PayToTaprootScript(out)
	if err != nil {
		t.Fatal(err)
	}
	return script
}

func TestWalletsImportOutputs(t *testing.T) {
	for _, delay := range []uint16{10, 16, 17, 144, 4320, 21845} {
		d := founding(keyA, 3)
		d.Terms.Delay = delay
		plain := mustNew(t, d)
		d.Terms.Recovery = newSecret("recovery", 0).xonly()
		e := mustNew(t, d)
		for name, make := range map[string]func() (Output, error){
			"bond":            func() (Output, error) { return e.Bond(1) },
			"deposit":         func() (Output, error) { return e.Deposit(bondKey(9).xonly()) },
			"thread":          e.Thread,
			"thread, no leaf": plain.Thread,
		} {
			out, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if got := importDescriptor(t, out.Descriptor); string(got) != string(out.Script) {
				t.Errorf("%s after %d: a wallet sees %x, we %x", name, delay, got, out.Script)
			}
			script, err := bitcoin.ParseAddress(bitcoin.Regtest, out.Address)
			if err != nil || string(script) != string(out.Script) {
				t.Errorf("%s: address %s: %v", name, out.Address, err)
			}
			if want := map[string]uint16{"bond": delay, "deposit": d.Terms.DepositDelay, "thread": 3 * delay}[name]; out.Delay != want {
				t.Errorf("%s: delay %d, want %d", name, out.Delay, want)
			}
			if (name == "thread, no leaf") != (out.Leaf == nil) {
				t.Errorf("%s: leaf %x", name, out.Leaf)
			}
		}
	}
}

// TestTweaksLeadToTheKey: for keys of both parities the signers' tweak lists end in
// the output key, which only a signature under it shows.
func TestTweaksLeadToTheKey(t *testing.T) {
	for n := range uint64(8) {
		key := newSecret("parity", n)
		e := mustNew(t, founding(key, 2))
		out, err := e.Bond(1)
		if err != nil {
			t.Fatal(err)
		}
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: outPoint("bond", n)})
		tx.AddTxOut(wire.NewTxOut(1000, out.Script))
		spend := &bitcoin.Spend{Tx: tx, Inputs: []bitcoin.Input{{Coin: bitcoin.Coin{OutPoint: outPoint("bond", n), Amount: 2000}, Derived: out.Derived}}}
		hashes, err := spend.Sighashes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := spend.Finish([][64]byte{key.sign(t, out.Derived, hashes[0])}); err != nil {
			t.Errorf("key %d: %v", n, err)
		}
	}
}

func TestOutputsDiffer(t *testing.T) {
	e := mustNew(t, founding(keyA, 3))
	seen := map[string]string{}
	add := func(name string, out Output, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if other, dup := seen[out.Address]; dup {
			t.Errorf("%s and %s are one output", name, other)
		}
		seen[out.Address] = name
	}
	for i, m := range e.Members {
		out, err := e.Bond(i)
		add(fmt.Sprint("bond ", i), out, err)
		out, err = e.Deposit(m.Bond)
		add(fmt.Sprint("deposit ", i), out, err)
	}
	out, err := e.Thread()
	add("thread", out, err)
	if _, err := e.Deposit([32]byte{31: 5}); !errors.Is(err, ErrDescriptor) {
		t.Errorf("deposit for no key: %v", err)
	}
}

func TestExitIsExact(t *testing.T) {
	keys, err := memberkey.Derive(bondKey(1).Serialize(), 0)
	if err != nil {
		t.Fatal(err)
	}
	pub := keys.Bond.Public()
	for _, delay := range []uint16{7, 16, 17, 128, 4320, 65535} {
		d := founding(keyA, 3)
		d.Terms.Delay = delay
		d.Members[1].Bond = [32]byte(pub[1:])
		state := &State{Epoch: mustNew(t, d), TxID: outPoint("founding", 0).Hash}
		for n, to := range [][]byte{p2trOf(keyA), append([]byte{0, 20}, pub[1:21]...), append([]byte{0, 32}, pub[1:]...)} {
			x, err := state.Exit(1, to, bitcoin.PerVByte(5))
			if err != nil {
				t.Fatal(err)
			}
			tx, err := x.Sign(&keys.Bond, [32]byte{1})
			if err != nil {
				t.Fatal(err)
			}
			weight := bitcoin.Weight(blockchain.GetTransactionWeight(btcutil.NewTx(tx)))
			if weight != x.Weight() {
				t.Errorf("delay %d, address %d: weighs %d, computed %d", delay, n, weight, x.Weight())
			}
			if fee := d.Members[1].Value - bitcoin.Sat(tx.TxOut[0].Value); fee != bitcoin.PerVByte(5).Fee(weight) {
				t.Errorf("fee %v", fee)
			}
			if delay == 4320 && n == 0 && weight.VBytes() != 130 {
				t.Errorf("an exit of %d vB, the design says 130", weight.VBytes())
			}
		}
	}
}

func TestExitRefuses(t *testing.T) {
	state := foundedState(t, 2)
	to := p2trOf(keyA)
	bond, err := state.Bond(0)
	if err != nil {
		t.Fatal(err)
	}
	thread, err := state.Thread()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		out   Output
		value bitcoin.Sat
		to    []byte
		rate  bitcoin.SatPerKWU
		want  error
	}{
		"no script":      {thread, 1e6, to, bitcoin.PerVByte(1), ErrExit},
		"to nobody":      {bond, 1e6, []byte{0x6a}, bitcoin.PerVByte(1), bitcoin.ErrAddress},
		"rate too low":   {bond, 1e6, to, 249, bitcoin.ErrFeeRate},
		"rate too high":  {bond, 1e6, to, bitcoin.MaxFeeRate + 1, bitcoin.ErrFeeRate},
		"worth its fee":  {bond, 130*100 + 329, to, bitcoin.PerVByte(100), ErrExit},
		"nothing":        {bond, 0, to, bitcoin.PerVByte(1), ErrExit},
		"more than all":  {bond, bitcoin.MaxMoney + 1, to, bitcoin.PerVByte(1), ErrExit},
		"negative value": {bond, -1, to, bitcoin.PerVByte(1), ErrExit},
	} {
		if _, err := NewExit(c.out, state.BondOutPoint(0), c.value, c.to, c.rate); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	x, err := state.Exit(0, to, bitcoin.PerVByte(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Finish([64]byte{1}); !errors.Is(err, bitcoin.ErrSignature) {
		t.Errorf("noise for a signature: %v", err)
	}
	if _, err := x.Sign(broken{}, [32]byte{}); !errors.Is(err, errBroken) {
		t.Errorf("a signer that fails: %v", err)
	}
}

var errBroken = errors.New("no key here")

type broken struct{}

func (broken) Sign([]byte, [32]byte) ([64]byte, error) { return [64]byte{}, errBroken }
