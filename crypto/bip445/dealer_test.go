//go:build !toygroup

package bip445

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"frostfed/crypto/internal/secp"
)

// dealt is a key as a trusted dealer makes it: tests only.
type dealt struct {
	info    ThresholdInfo
	shares  [][]byte // by id
	group   *Group
	signers []*Signer
}

// deal shares the key of a seed. Different seeds give keys of both parities.
func deal(t testing.TB, threshold, n int, seed uint64) *dealt {
	t.Helper()
	coefficients := make([]secp.Scalar, threshold)
	for i := range coefficients {
		coefficients[i] = secp.ReduceScalar(testBytes("coefficient", seed, uint64(i)))
	}
	d := &dealt{info: ThresholdInfo{T: threshold, ThreshPK: secp.SecretBaseMul(coefficients[0]).Bytes()}}
	for id := range n {
		var f secp.Scalar
		for i := threshold - 1; i >= 0; i-- {
			f = f.Mul(secp.ScalarFromUint(uint64(id + 1))).Add(coefficients[i])
		}
		b := f.Bytes()
		signer, err := NewSigner(id, b[:])
		if err != nil {
			t.Fatal(err)
		}
		pub := signer.PubShare()
		d.signers = append(d.signers, signer)
		d.shares = append(d.shares, b[:])
		d.info.PubShares = append(d.info.PubShares, pub[:])
	}
	var err error
	if d.group, err = NewGroup(d.info); err != nil {
		t.Fatal(err)
	}
	return d
}

// testBytes is a hash of a name and numbers: reproducible and dense.
func testBytes(name string, numbers ...uint64) [32]byte {
	b := []byte(name)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return sha256.Sum256(b)
}

// nonces makes one pair per signer.
func (d *dealt) nonces(t testing.TB, ids []int, seed uint64) ([]*SecNonce, []PubNonce) {
	t.Helper()
	secs, pubs := make([]*SecNonce, len(ids)), make([]PubNonce, len(ids))
	for i, id := range ids {
		rand := testBytes("nonce", seed, uint64(id))
		var err error
		secs[i], pubs[i], err = NonceGen(bytes.NewReader(rand[:]), NonceInput{SecShare: d.shares[id], SignerID: &id})
		if err != nil {
			t.Fatal(err)
		}
	}
	return secs, pubs
}

// psigs signs with every signer of the set.
func (d *dealt) psigs(t testing.TB, s *Session, secs []*SecNonce) [][32]byte {
	t.Helper()
	out := make([][32]byte, len(secs))
	for i, id := range s.set.ids {
		var err error
		if out[i], err = d.signers[id].Sign(s, secs[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// spread returns t ids of n, first and last included: ids 0..t-1 would make the
// coefficients small numbers.
func spread(t, n int) []int {
	ids := make([]int, t)
	for i := range ids {
		if t > 1 {
			ids[i] = i * (n - 1) / (t - 1)
		}
	}
	return ids
}
