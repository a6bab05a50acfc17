package bitcoin

import (
	"bytes"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
)

// TestWithLeaf compares with the library's own construction, for output keys of both
// parities.
func TestWithLeaf(t *testing.T) {
	key := testKey(t)
	parities := map[byte]int{}
	for i := range uint32(12) {
		d, err := key.Derive(Path{Bond, i})
		if err != nil {
			t.Fatal(err)
		}
		script := []byte{txscript.OP_1 + byte(i), txscript.OP_CHECKSEQUENCEVERIFY}
		out, control, err := d.WithLeaf(Regtest, script)
		if err != nil {
			t.Fatal(err)
		}
		internal, err := schnorr.ParsePubKey(d.InternalKey[:])
		if err != nil {
			t.Fatal(err)
		}
		tree := txscript.AssembleTaprootScriptTree(txscript.NewBaseTapLeaf(script))
		root := tree.RootNode.TapHash()
		want := txscript.ComputeTaprootOutputKey(internal, root[:])
		if !bytes.Equal(out.OutputKey[:], schnorr.SerializePubKey(want)) {
			t.Errorf("%d: output key %x", i, out.OutputKey)
		}
		block := tree.LeafMerkleProofs[0].ToControlBlock(internal)
		if b, err := block.ToBytes(); err != nil || !bytes.Equal(b, control) {
			t.Errorf("%d: control block %x, want %x (%v)", i, control, b, err)
		}
		parities[control[0]&1]++
		// The tweaks lead to the key, and d is what it was.
		if got := tweaked(testSecret, out).PubKey(); !bytes.Equal(schnorr.SerializePubKey(got), out.OutputKey[:]) {
			t.Errorf("%d: tweaks lead to %x", i, schnorr.SerializePubKey(got))
		}
		if again, err := key.Derive(d.Path); err != nil || again.Tweaks[2] != d.Tweaks[2] || d.Tweaks[2] == out.Tweaks[2] {
			t.Errorf("%d: the plain output was changed", i)
		}
	}
	if len(parities) != 2 {
		t.Errorf("only one parity was tried: %v", parities)
	}
}

func TestWithChecksum(t *testing.T) {
	// BIP 380, test vectors.
	if got, err := WithChecksum("raw(deadbeef)"); err != nil || got != "raw(deadbeef)#89f8spxm" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := WithChecksum("raw(Ü)"); !errors.Is(err, ErrFormat) {
		t.Errorf("a letter that no descriptor has: %v", err)
	}
}
