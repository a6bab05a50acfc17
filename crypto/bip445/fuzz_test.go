//go:build !toygroup

package bip445

import (
	"bytes"
	"errors"
	"testing"
)

// badEncodings are what decoders of points are known to accept by mistake, as
// halves of a nonce.
func badEncodings(good []byte) [][]byte {
	half := good[:33]
	with := func(prefix byte) []byte { return append([]byte{prefix}, half[1:]...) }
	prime := bytes.Repeat([]byte{0xff}, 33)
	prime[0] = 2
	return [][]byte{with(0), with(4), with(6), with(7), with(1), prime, append(make([]byte, 32), 1)}
}

func TestNonceCodecs(t *testing.T) {
	d := deal(t, 1, 1, 11)
	_, pubs := d.nonces(t, []int{0}, 1)
	good := pubs[0].enc[:]
	if n, err := ParsePubNonce(good); err != nil || n.Bytes() != pubs[0].Bytes() {
		t.Fatalf("own nonce: %v", err)
	}
	lists := [][]byte{nil, good[:65], append(bytes.Clone(good), 0), good[:33]}
	for _, bad := range badEncodings(good) {
		lists = append(lists, append(bytes.Clone(bad), good[33:]...), append(bytes.Clone(good[:33]), bad...))
	}
	for _, b := range lists {
		var ce *ContributionError
		if _, err := ParsePubNonce(b); !errors.As(err, &ce) || *ce != (ContributionError{Coordinator, ContribPubNonce}) {
			t.Errorf("public nonce %x: %v", b, err)
		}
		if _, err := ParsePubNonces([][]byte{good, b}); !errors.As(err, &ce) || *ce != (ContributionError{1, ContribPubNonce}) {
			t.Errorf("public nonce %x in a list: %v", b, err)
		}
		if _, err := ParseAggNonce(b); !errors.As(err, &ce) || *ce != (ContributionError{Coordinator, ContribAggNonce}) {
			t.Errorf("aggregate nonce %x: %v", b, err)
		}
	}
	// Infinity is a half of an aggregate only.
	for _, b := range [][]byte{append(make([]byte, 33), good[33:]...), append(bytes.Clone(good[:33]), make([]byte, 33)...), make([]byte, 66)} {
		if _, err := ParseAggNonce(b); err != nil {
			t.Errorf("aggregate nonce %x: %v", b, err)
		}
		if _, err := ParsePubNonce(b); err == nil {
			t.Errorf("public nonce %x is accepted", b)
		}
	}
}

func FuzzNonceCodecs(f *testing.F) {
	d := deal(f, 1, 1, 11)
	_, pubs := d.nonces(f, []int{0}, 1)
	good := pubs[0].enc[:]
	f.Add(good)
	f.Add(make([]byte, 66))
	for _, bad := range badEncodings(good) {
		f.Add(append(bytes.Clone(bad), good[33:]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParsePubNonce(b)
		if enc := n.Bytes(); err == nil && !bytes.Equal(enc[:], b) {
			t.Fatalf("public nonce %x re-encodes as %x", b, enc)
		}
		a, aerr := ParseAggNonce(b)
		if enc := a.Bytes(); aerr == nil && !bytes.Equal(enc[:], b) {
			t.Fatalf("aggregate nonce %x re-encodes as %x", b, enc)
		}
		if err == nil && aerr != nil {
			t.Fatalf("public nonce %x is no aggregate nonce", b)
		}
		if agg := NonceAgg([]PubNonce{n}); err == nil && agg.Bytes() != a.Bytes() {
			t.Fatalf("sum of one nonce %x is %x", b, agg.Bytes())
		}
	})
}

// FuzzThresholdInfo feeds arbitrary groups: no panic, and accepted ones satisfy
// the rule of the BIP.
func FuzzThresholdInfo(f *testing.F) {
	d := deal(f, 2, 3, 12)
	f.Add(2, d.info.ThreshPK[:], bytes.Join(d.info.PubShares, nil))
	f.Add(1, d.info.ThreshPK[:], []byte{})
	f.Add(0, make([]byte, 33), make([]byte, 99))
	f.Fuzz(func(t *testing.T, threshold int, key, shares []byte) {
		ti := ThresholdInfo{T: threshold}
		copy(ti.ThreshPK[:], key)
		for len(shares) > 0 && len(ti.PubShares) < 20 {
			n := min(PubShareSize, len(shares))
			if shares[0] == 0 {
				ti.PubShares = append(ti.PubShares, nil)
			} else {
				ti.PubShares = append(ti.PubShares, shares[:n])
			}
			shares = shares[n:]
		}
		if ti.Validate() == nil && !interpolates(ti) {
			t.Fatal("group accepted against the rule of the BIP")
		}
	})
}

// FuzzSession lets a coordinator choose everything it can choose; the signer
// must fail or produce a share that verifies.
func FuzzSession(f *testing.F) {
	d := deal(f, 2, 3, 13)
	_, pubs := d.nonces(f, []int{0, 2}, 1)
	agg := NonceAgg(pubs)
	good := agg.Bytes()
	f.Add([]byte{0, 2}, good[:], []byte("m"), make([]byte, 32), true)
	f.Add([]byte{0, 0}, make([]byte, 66), []byte{}, make([]byte, 31), false)
	f.Fuzz(func(t *testing.T, idBytes, aggnonce, msg, tweak []byte, xonly bool) {
		ids := make([]int, len(idBytes))
		for i, b := range idBytes {
			ids[i] = int(int8(b))
		}
		set, err := d.group.SignerSet(ids)
		if err != nil {
			return
		}
		key, err := d.group.TweakCtx().Apply(tweak, xonly)
		if err != nil {
			return
		}
		a, err := ParseAggNonce(aggnonce)
		if err != nil {
			return
		}
		s, err := NewSession(set, key, a, msg)
		if err != nil {
			t.Fatal(err)
		}
		secs, pubs := d.nonces(t, ids, 2)
		for i, psig := range d.psigs(t, &s, secs) {
			if err := s.PartialSigVerify(i, pubs[i], psig); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzPartialSig lets a signer send any partial signature. Only its own is valid,
// whatever the encoding, and the aggregate fails or blames for all others.
func FuzzPartialSig(f *testing.F) {
	d := deal(f, 2, 3, 14)
	ids := []int{2, 0}
	secs, pubs := d.nonces(f, ids, 1)
	set, err := d.group.SignerSet(ids)
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewSession(set, d.group.TweakCtx(), NonceAgg(pubs), []byte("m"))
	if err != nil {
		f.Fatal(err)
	}
	honest := d.psigs(f, &s, secs)
	f.Add(honest[0][:])
	f.Add(honest[1][:])
	f.Add(make([]byte, 32))
	f.Add(bytes.Repeat([]byte{0xff}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		psigs := [][32]byte{{}, honest[1]}
		copy(psigs[0][:], b)
		err := s.PartialSigVerify(0, pubs[0], psigs[0])
		if (err == nil) != (psigs[0] == honest[0]) {
			t.Fatalf("%x: %v", psigs[0], err)
		}
		var blame *ContributionError
		sig, aggErr := s.PartialSigAgg(psigs)
		switch {
		case (aggErr == nil) != (err == nil):
			t.Fatalf("%x verifies: %v, aggregates: %v", psigs[0], err, aggErr)
		case aggErr == nil && !s.key.Verify([]byte("m"), sig[:]):
			t.Fatal("aggregate is invalid")
		case errors.As(aggErr, &blame) && blame.Index != 0:
			t.Fatalf("blames %d", blame.Index)
		}
	})
}
