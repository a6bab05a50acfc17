//go:build !toygroup

package secp

import (
	"bytes"
	"testing"
)

// FuzzVerify feeds signatures and proofs that a peer can choose: no panic, the
// batch agrees with single verification, and nothing but what the owner of the
// key made is valid.
func FuzzVerify(f *testing.F) {
	d, msg := ScalarFromUint(7), []byte("message")
	pub := SecretBaseMul(d)
	sig, err := BIP340.Sign(d, msg, [32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	base := SecretBaseMul(ScalarFromUint(11))
	proof, a, c, err := DLEQProve(d, base, [32]byte{2}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig[:])
	f.Add(proof[:])
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add(sig[:63])
	f.Fuzz(func(t *testing.T, b []byte) {
		valid := BIP340.VerifyPoint(pub, msg, b)
		if valid && !bytes.Equal(b, sig[:]) && bytes.Equal(b[:32], sig[:32]) {
			t.Fatalf("%x is a second signature with one nonce", b)
		}
		batch := make([]BatchItem, batchMin)
		for i := range batch {
			batch[i] = BatchItem{pub, msg, sig[:]}
		}
		batch[batchMin/2].Sig = b
		if BIP340.VerifyBatch(batch) != valid {
			t.Fatalf("%x: valid is %v, and not in a batch", b, valid)
		}
		if DLEQVerify(a, base, c, b, nil) != bytes.Equal(b, proof[:]) {
			t.Fatalf("proof %x", b)
		}
	})
}
