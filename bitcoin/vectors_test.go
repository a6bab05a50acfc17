package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// loadVectors reads a JSON file of the vectors folder: FROSTFED_VECTORS, else
// ../shared/vectors beside the module. It reports whether that is the pinned file,
// for which counts are asserted; other files of the same schema run as well.
func loadVectors(t *testing.T, name, pin string, into any) (pinned bool) {
	t.Helper()
	dir := os.Getenv("FROSTFED_VECTORS")
	own := dir == ""
	if own {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("NOT RUN: needs %s; set FROSTFED_VECTORS to the folder of vectors", filepath.Join(dir, name))
	}
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	got := hex.EncodeToString(sum[:])
	t.Logf("%s sha256 %s", name, got)
	if own && got != pin {
		t.Fatalf("%s is not the file that was pinned: %s", name, pin)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
	return own
}

func checkCount(t *testing.T, pinned bool, what string, got, want int) {
	t.Helper()
	t.Logf("%s: %d cases", what, got)
	if pinned && got != want {
		t.Errorf("%s: ran %d cases, the file has %d", what, got, want)
	}
}

// hexBytes is hex in JSON; null is empty.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func TestVectorsBIP328(t *testing.T) {
	var cases []struct {
		Aggregate hexBytes `json:"aggregate_pubkey"`
		Xpub      string   `json:"xpub"`
	}
	pinned := loadVectors(t, "bip328/vectors.json", "7fe171951ef938336f62eba787cd74487b94eede70b4af61771bd5687e44fb0f", &cases)
	// BIP 328 fixes the chain code, which names MuSig2; here it is a parameter.
	chainCode, _ := hex.DecodeString("868087ca02a6f974c4598924c36b57762d32cb45717167e300622c7167e38965")
	for i, c := range cases {
		key, err := NewKey(Mainnet, [33]byte(c.Aggregate), [32]byte(chainCode))
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Xpub(); got != c.Xpub {
			t.Errorf("case %d: %s, want %s", i, got, c.Xpub)
		}
	}
	checkCount(t, pinned, "BIP 328 xpubs", len(cases), 2)
}

type bip341 struct {
	ScriptPubKey []struct {
		Given struct {
			InternalPubkey hexBytes
		}
		Intermediary struct {
			MerkleRoot, Tweak, TweakedPubkey hexBytes
		}
		Expected struct {
			ScriptPubKey            hexBytes
			Bip350Address           string
			ScriptPathControlBlocks []hexBytes
		}
	}
	KeyPathSpending []struct {
		Given struct {
			RawUnsignedTx hexBytes
			UtxosSpent    []struct {
				ScriptPubKey hexBytes
				AmountSats   int64
			}
		}
		InputSpending []struct {
			Given struct {
				TxinIndex  int
				MerkleRoot hexBytes
				HashType   txscript.SigHashType
			}
			Intermediary struct {
				InternalPubkey, Tweak, SigHash hexBytes
			}
		}
		Auxiliary struct {
			FullySignedTx hexBytes
		}
	}
}

const bip341Pin = "9dcda317bcacb9ac0f398436929d6d6bf43279269503287f950858ec3b131ed1"

func TestVectorsBIP341Outputs(t *testing.T) {
	var v bip341
	pinned := loadVectors(t, "bip341/wallet-test-vectors.json", bip341Pin, &v)
	blocks := 0
	for i, c := range v.ScriptPubKey {
		out, tweak, err := taproot([32]byte(c.Given.InternalPubkey), c.Intermediary.MerkleRoot)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(tweak[:], c.Intermediary.Tweak) || !bytes.Equal(out[1:], c.Intermediary.TweakedPubkey) {
			t.Errorf("case %d: tweak %x, output key %x", i, tweak, out[1:])
		}
		script := p2tr([32]byte(out[1:]))
		if !bytes.Equal(script, c.Expected.ScriptPubKey) {
			t.Errorf("case %d: script %x", i, script)
		}
		if addr, err := EncodeAddress(Mainnet, script); err != nil || addr != c.Expected.Bip350Address {
			t.Errorf("case %d: address %s, %v", i, addr, err)
		}
		if back, err := ParseAddress(Mainnet, c.Expected.Bip350Address); err != nil || !bytes.Equal(back, script) {
			t.Errorf("case %d: address reads as %x, %v", i, back, err)
		}
		for _, b := range c.Expected.ScriptPathControlBlocks {
			// leaf version with the parity of the output key, then the internal key
			if b[0]&1 != out[0]&1 || !bytes.Equal(b[1:33], c.Given.InternalPubkey) {
				t.Errorf("case %d: control block %x does not fit output key %x", i, b, out)
			}
			blocks++
		}
	}
	checkCount(t, pinned, "BIP 341 outputs", len(v.ScriptPubKey), 5)
	checkCount(t, pinned, "BIP 341 control blocks", blocks, 6)
}

func TestVectorsBIP341KeyPath(t *testing.T) {
	var v bip341
	pinned := loadVectors(t, "bip341/wallet-test-vectors.json", bip341Pin, &v)
	ran, defaults := 0, 0
	for _, c := range v.KeyPathSpending {
		tx := new(wire.MsgTx)
		if err := tx.DeserializeNoWitness(bytes.NewReader(c.Given.RawUnsignedTx)); err != nil {
			t.Fatal(err)
		}
		var prevouts []*wire.TxOut
		for _, u := range c.Given.UtxosSpent {
			prevouts = append(prevouts, wire.NewTxOut(u.AmountSats, u.ScriptPubKey))
		}
		ours, err := sighashes(tx, prevouts)
		if err != nil {
			t.Fatal(err)
		}
		f := fetcher(tx, prevouts)
		for _, in := range c.InputSpending {
			i := in.Given.TxinIndex
			out, tweak, err := taproot([32]byte(in.Intermediary.InternalPubkey), in.Given.MerkleRoot)
			if err != nil || !bytes.Equal(tweak[:], in.Intermediary.Tweak) || !bytes.Equal(p2tr([32]byte(out[1:])), prevouts[i].PkScript) {
				t.Errorf("input %d: tweak %x, output key %x, %v", i, tweak, out, err)
			}
			// We sign with SIGHASH_DEFAULT only; the other types show that the
			// prevouts reach the engine in the right order.
			got, err := txscript.CalcTaprootSignatureHash(txscript.NewTxSigHashes(tx, f), in.Given.HashType, tx, i, f)
			if err != nil || !bytes.Equal(got, in.Intermediary.SigHash) {
				t.Errorf("input %d: sighash %x, %v", i, got, err)
			}
			if in.Given.HashType == txscript.SigHashDefault {
				defaults++
				if !bytes.Equal(ours[i][:], in.Intermediary.SigHash) {
					t.Errorf("input %d: our sighash %x", i, ours[i])
				}
			}
			ran++
		}
		signed := new(wire.MsgTx)
		if err := signed.Deserialize(bytes.NewReader(c.Auxiliary.FullySignedTx)); err != nil {
			t.Fatal(err)
		}
		if err := Verify(signed, prevouts); err != nil {
			t.Errorf("the signed transaction: %v", err)
		}
		signed.TxIn[4].Witness[0][0] ^= 1
		var bad *SignatureError
		if err := Verify(signed, prevouts); !errors.As(err, &bad) || bad.Input != 4 {
			t.Errorf("with a broken signature on input 4: %v", err)
		}
	}
	checkCount(t, pinned, "BIP 341 key-path inputs", ran, 5)
	checkCount(t, pinned, "BIP 341 inputs with SIGHASH_DEFAULT", defaults, 1)
}
