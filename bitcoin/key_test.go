package bitcoin

import (
	"bytes"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/txscript/v2"
	"pgregory.net/rapid"
)

// Another implementation reads our xpub and derives the same outputs, and the
// tweak list turns the secret into the secret of the output key.
func TestDeriveAgreesWithAnotherImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, _ := btcec.PrivKeyFromBytes(rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool {
			var s btcec.ModNScalar
			return !s.SetByteSlice(b) && !s.IsZero()
		}).Draw(t, "secret"))
		pub := [33]byte(secret.PubKey().SerializeCompressed())
		network := Network(rapid.IntRange(int(Mainnet), int(Simnet)).Draw(t, "network"))
		key, err := NewKey(network, pub, ChainCode([32]byte{9}, pub))
		if err != nil {
			t.Fatal(err)
		}
		path := Path{Branch(rapid.Uint32Range(0, branches-1).Draw(t, "branch")), rapid.Uint32Range(0, hardened-1).Draw(t, "index")}
		d, err := key.Derive(path)
		if err != nil {
			t.Fatal(err)
		}

		ext, err := hdkeychain.NewKeyFromString(key.Xpub())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []uint32{uint32(path.Branch), path.Index} {
			if ext, err = ext.Derive(i); err != nil {
				t.Fatal(err)
			}
		}
		child, _ := ext.ECPubKey()
		want, _ := txscript.PayToTaprootScript(txscript.ComputeTaprootKeyNoScript(child))
		if !bytes.Equal(d.Script, want) || !bytes.Equal(d.InternalKey[:], schnorr.SerializePubKey(child)) {
			t.Fatalf("%v: script %x, want %x", path, d.Script, want)
		}
		if got := schnorr.SerializePubKey(tweaked(secret, d).PubKey()); !bytes.Equal(got, d.OutputKey[:]) {
			t.Fatalf("%v: tweaks lead to %x, want %x", path, got, d.OutputKey)
		}
		if script, err := ParseAddress(network, d.Address); err != nil || !bytes.Equal(script, d.Script) {
			t.Fatalf("address %s: %x, %v", d.Address, script, err)
		}
	})
}

func TestKeyGolden(t *testing.T) {
	key := testKey(t)
	d, err := key.Derive(Path{Receive, 0})
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct{ what, got, want string }{
		{"xpub", key.Xpub(), goldenXpub},
		{"descriptor", key.Descriptor(), goldenDescriptor},
		{"address", d.Address, goldenAddress},
	}
	for _, r := range rows {
		if r.got != r.want {
			t.Errorf("%s: %s, want %s", r.what, r.got, r.want)
		}
	}
}

func TestDescriptorChecksum(t *testing.T) {
	rows := []struct{ descriptor, want string }{
		{"raw(deadbeef)", "89f8spxm"}, // BIP 380
		// Bitcoin Core, doc/descriptors.md
		{"wpkh([d34db33f/84h/0h/0h]xpub6DJ2dNUysrn5Vt36jH2KLBT2i1auw1tTSSomg8PhqNiUtx8QX2SvC9nrHu81fT41fvDUnhMjEzQgXnQjKEu3oaqMSzhSrHMxyyoEAmUHQbY/0/*)", "cjjspncu"},
	}
	for _, r := range rows {
		if got, ok := descriptorChecksum(r.descriptor); !ok || got != r.want {
			t.Errorf("%s: %s, want %s", r.descriptor, got, r.want)
		}
	}
	if got, ok := descriptorChecksum("raw(é)"); ok {
		t.Errorf("a character outside the charset has checksum %s", got)
	}
}

func TestDeriveRefuses(t *testing.T) {
	key := testKey(t)
	for _, p := range []Path{{branches, 0}, {Receive, hardened}, {1 << 31, 0}} {
		if _, err := key.Derive(p); !errors.Is(err, ErrPath) {
			t.Errorf("%v: %v", p, err)
		}
	}
	if _, err := NewKey(Regtest, [33]byte{2}, [32]byte{}); err == nil {
		t.Error("x = 0 is no point of the curve")
	}
	if _, err := NewKey(0, key.PublicKey(), [32]byte{}); err == nil {
		t.Error("network 0 was accepted")
	}
	// t = n is no scalar; t = n-1 on G gives infinity.
	n := [32]byte(btcec.S256().N.FillBytes(make([]byte, 32)))
	g, err := parsePoint([33]byte(btcec.Generator().SerializeCompressed()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.addBase(n); !errors.Is(err, ErrIndex) {
		t.Errorf("tweak n: %v", err)
	}
	n[31]--
	if _, err := g.addBase(n); !errors.Is(err, ErrIndex) {
		t.Errorf("sum at infinity: %v", err)
	}
}

func TestParsePath(t *testing.T) {
	for _, s := range []string{"/0/0", "/1/7", "/4/2147483647"} {
		p, err := ParsePath(s)
		if err != nil || p.String() != s {
			t.Errorf("%s: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "/", "0/0", "/0", "/0/0/0", "/5/0", "/0/2147483648", "/0/01", "/0/-1", "/0/+1", "/0/0h", "/ 0/0"} {
		if p, err := ParsePath(s); !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
}

func TestChainCodeBinds(t *testing.T) {
	pub := testKey(t).PublicKey()
	base := ChainCode([32]byte{1}, pub)
	other := pub
	other[0] ^= 1
	if base == ChainCode([32]byte{2}, pub) || base == ChainCode([32]byte{1}, other) {
		t.Error("another federation or key has the same chain code")
	}
}

func TestMessageHashBinds(t *testing.T) {
	base := MessageHash([32]byte{1}, []byte("hello"))
	if base == MessageHash([32]byte{2}, []byte("hello")) || base == MessageHash([32]byte{1}, []byte("hello!")) {
		t.Error("another federation or message has the same hash")
	}
}
