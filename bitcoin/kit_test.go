package bitcoin

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// testSecret stands for the threshold key that no member ever holds.
var testSecret, _ = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))

func testKey(t testing.TB) Key {
	t.Helper()
	pub := [33]byte(testSecret.PubKey().SerializeCompressed())
	key, err := NewKey(Regtest, pub, ChainCode([32]byte{1}, pub))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tweaked applies a tweak list to a secret as BIP 445 applies it to shares:
// an x-only tweak first makes the key even.
func tweaked(secret *btcec.PrivateKey, d Derived) *btcec.PrivateKey {
	k := secret.Key
	for i := range d.Tweaks {
		priv := btcec.PrivateKey{Key: k}
		if d.XOnly[i] && priv.PubKey().SerializeCompressed()[0] == 3 {
			k.Negate()
		}
		var t btcec.ModNScalar
		t.SetBytes(&d.Tweaks[i])
		k.Add(&t)
	}
	return &btcec.PrivateKey{Key: k}
}

func signAll(t testing.TB, s *Spend) [][64]byte {
	t.Helper()
	hashes, err := s.Sighashes()
	if err != nil {
		t.Fatal(err)
	}
	var sigs [][64]byte
	for i, h := range hashes {
		sig, err := schnorr.Sign(tweaked(testSecret, s.Inputs[i].Derived), h[:])
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, [64]byte(sig.Serialize()))
	}
	return sigs
}

// testCoin is the n-th coin, on address /0/n.
func testCoin(n int, amount Sat) Coin {
	var hash chainhash.Hash
	binary.BigEndian.PutUint64(hash[:], uint64(n)*0x9e3779b97f4a7c15)
	return Coin{OutPoint: wire.OutPoint{Hash: hash, Index: uint32(n % 3)}, Amount: amount, Path: Path{Receive, uint32(n)}, Height: Height(n)}
}

// testScript is the n-th payee's script, of each type in turn.
func testScript(n int) []byte {
	h := chainhash.HashB(binary.BigEndian.AppendUint32(nil, uint32(n)))
	switch n % 5 {
	case 0: // P2PKH
		return append(append([]byte{0x76, 0xa9, 20}, h[:20]...), 0x88, 0xac)
	case 1: // P2SH
		return append(append([]byte{0xa9, 20}, h[:20]...), 0x87)
	case 2: // P2WPKH
		return append([]byte{0, 20}, h[:20]...)
	case 3: // P2WSH
		return append([]byte{0, 32}, h...)
	default: // P2TR
		secret, _ := btcec.PrivKeyFromBytes(h)
		return p2tr([32]byte(schnorr.SerializePubKey(secret.PubKey())))
	}
}

func testList(t testing.TB, n int, amount Sat) PayoutList {
	t.Helper()
	var payees []Payee
	for i := range n {
		payees = append(payees, Payee{Script: testScript(i), Amount: amount + Sat(i)})
	}
	list, err := NewPayoutList(Regtest, "", payees)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func testPayout(t testing.TB) Payout {
	t.Helper()
	return Payout{
		Key:      testKey(t),
		List:     testList(t, 7, 10_000),
		Coins:    []Coin{testCoin(1, 50_000), testCoin(2, 60_000), testCoin(3, 70_000)},
		FeeRate:  PerVByte(5),
		Change:   4,
		LockTime: 321,
	}
}

func mustBuild(t testing.TB, p Payout) *Spend {
	t.Helper()
	s, err := BuildPayout(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
