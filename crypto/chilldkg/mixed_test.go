//go:build !toygroup

package chilldkg

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/bip445"
)

// generate runs one attempt of one ceremony among the participants of f.
func (f *fixture) generate(t testing.TB, ceremony, attempt int) []*Output {
	t.Helper()
	again := *f
	again.session = f.params.SessionID([32]byte(bytes32("ceremony %d", ceremony)), uint32(attempt))
	dealings := make([][]byte, len(f.keys))
	for id := range dealings {
		var err error
		dealings[id], err = Deal(f.keys[id], f.params, again.session, bytes32("random %d %d %d", ceremony, attempt, id))
		must(t, err)
	}
	outs, _ := again.run(t, dealings)
	return outs
}

func groupOf(t *rapid.T, o *Output) *bip445.Group {
	ti := bip445.ThresholdInfo{T: o.T, ThreshPK: o.ThreshPK}
	for i := range o.PubShares {
		ti.PubShares = append(ti.PubShares, o.PubShares[i][:])
	}
	g, err := bip445.NewGroup(ti)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestMixedSharesNeverSign signs with shares of two keys that the same
// participants generated in different attempts, ceremonies or epochs, the last
// with new host keys. Signers that know the public shares refuse. Those that do
// not, and liars, make no signature, and exactly the foreign shares are named.
func TestMixedSharesNeverSign(t *testing.T) {
	const n = 5
	for threshold := 2; threshold <= 3; threshold++ {
		f, epoch := newFixture(t, threshold, n, 1), newFixture(t, threshold, n, 2)
		keys := [][]*Output{
			f.generate(t, 1, 0), f.generate(t, 1, 1), f.generate(t, 2, 0), epoch.generate(t, 1, 0),
		}
		rapid.Check(t, func(t *rapid.T) {
			pair := rapid.SliceOfNDistinct(rapid.IntRange(0, len(keys)-1), 2, 2, rapid.ID[int]).Draw(t, "keys")
			own, other := keys[pair[0]], keys[pair[1]]
			ids := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), threshold, n, rapid.ID[int]).Draw(t, "signers")
			foreign := rapid.SliceOfNDistinct(rapid.IntRange(0, len(ids)-1), 0, len(ids), rapid.ID[int]).Draw(t, "foreign")
			slices.Sort(foreign)
			group := groupOf(t, own[0])
			threshPK := group.ThreshPK()
			set, err := group.SignerSet(ids)
			if err != nil {
				t.Fatal(err)
			}
			blind, err := bip445.NewSignerSet(threshold, n, threshPK[:], ids, nil)
			if err != nil {
				t.Fatal(err)
			}

			msg := []byte("message")
			signers := make([]*bip445.Signer, len(ids))
			secs, pubs := make([]*bip445.SecNonce, len(ids)), make([]bip445.PubNonce, len(ids))
			spare := make([]*bip445.SecNonce, len(ids))
			for i, id := range ids {
				source := own
				if slices.Contains(foreign, i) {
					source = other
				}
				if signers[i], err = bip445.NewSigner(id, source[id].SecShare.Bytes()); err != nil {
					t.Fatal(err)
				}
				secs[i], pubs[i], err = bip445.NonceGen(bytes.NewReader(bytes32("nonce %d", i)), bip445.NonceInput{})
				if err != nil {
					t.Fatal(err)
				}
				if spare[i], _, err = bip445.NonceGen(bytes.NewReader(bytes32("nonce %d", i)), bip445.NonceInput{}); err != nil {
					t.Fatal(err)
				}
			}
			knowing, err := bip445.NewSession(set, group.TweakCtx(), bip445.NonceAgg(pubs), msg)
			if err != nil {
				t.Fatal(err)
			}
			unknowing, err := bip445.NewSession(blind, group.TweakCtx(), bip445.NonceAgg(pubs), msg)
			if err != nil {
				t.Fatal(err)
			}
			psigs := make([][32]byte, len(ids))
			for i, signer := range signers {
				_, err := signer.Sign(&knowing, spare[i])
				if refused := errors.Is(err, bip445.ErrPrecondition); refused != slices.Contains(foreign, i) {
					t.Fatalf("signer %d with foreign %v: %v", i, foreign, err)
				}
				if psigs[i], err = signer.Sign(&unknowing, secs[i]); err != nil {
					t.Fatal(err)
				}
			}
			_, err = knowing.PartialSigAgg(psigs)
			if mixed := errors.Is(err, bip445.ErrInvalidSignature); mixed != (len(foreign) > 0) {
				t.Fatalf("foreign %v: %v", foreign, err)
			}
			culprits, err := knowing.Culprits(pubs, psigs)
			if err != nil || !slices.Equal(culprits, foreign) {
				t.Fatalf("culprits are %v, want %v: %v", culprits, foreign, err)
			}
		})
	}
}

// TestMixedPublicSharesAreNoGroup: what a member that confuses two epochs would
// load is refused before it signs anything.
func TestMixedPublicSharesAreNoGroup(t *testing.T) {
	f := newFixture(t, 2, 4, 1)
	a, b := f.generate(t, 1, 0)[0], f.generate(t, 1, 1)[0]
	for mask := 1; mask < 1<<4; mask++ {
		ti := bip445.ThresholdInfo{T: 2, ThreshPK: a.ThreshPK}
		for id := range 4 {
			source := a
			if mask>>id&1 == 1 {
				source = b
			}
			ti.PubShares = append(ti.PubShares, source.PubShares[id][:])
		}
		if err := ti.Validate(); !errors.Is(err, bip445.ErrPrecondition) {
			t.Errorf("shares of another attempt at %04b: %v", mask, err)
		}
	}
}
