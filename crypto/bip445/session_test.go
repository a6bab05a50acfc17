//go:build !toygroup

package bip445

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/internal/secp"
)

// drawIDs draws a set of at least t signers in any order.
func drawIDs(t *rapid.T, threshold, n int) []int {
	ids := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	})).Draw(t, "order")
	return ids[:rapid.IntRange(threshold, n).Draw(t, "u")]
}

func mustSession(t interface {
	Helper()
	Fatal(...any)
}, set *SignerSet, key TweakCtx, agg AggNonce, msg []byte) *Session {
	t.Helper()
	s, err := NewSession(set, key, agg, msg)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

// TestAnyThresholdSigns signs with random sets, tweaks and messages; the result
// is checked under the final key, each share by itself, and once with signers
// in another order, which must not change a bit.
func TestAnyThresholdSigns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(rt, "n")
		threshold := rapid.IntRange(1, n).Draw(rt, "t")
		seed := rapid.Uint64().Draw(rt, "seed")
		d := deal(t, threshold, n, seed)
		ids := drawIDs(rt, threshold, n)
		msg := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "msg")
		key := d.group.TweakCtx()
		for i := range rapid.IntRange(0, 4).Draw(rt, "tweaks") {
			tweak := secp.ReduceScalar(testBytes("tweak", seed, uint64(i))).Bytes()
			var err error
			if key, err = key.Apply(tweak[:], rapid.Bool().Draw(rt, "xonly")); err != nil {
				rt.Fatal(err)
			}
		}
		set, err := d.group.SignerSet(ids)
		if err != nil {
			rt.Fatal(err)
		}
		secs, pubs := d.nonces(t, ids, seed)
		agg := NonceAgg(pubs)
		s := mustSession(rt, set, key, agg, msg)
		psigs := d.psigs(t, s, secs)
		for i := range psigs {
			if err := s.PartialSigVerify(i, pubs[i], psigs[i]); err != nil {
				rt.Fatal(err)
			}
		}
		sig, err := s.PartialSigAgg(psigs)
		if err != nil {
			rt.Fatal(err)
		}
		xonly := key.XonlyPK()
		if !secp.BIP340.Verify(xonly[:], msg, sig[:]) {
			rt.Fatal("signature is invalid under the final key")
		}

		sorted := slices.Sorted(slices.Values(ids))
		again, err := d.group.SignerSet(sorted)
		if err != nil {
			rt.Fatal(err)
		}
		secs, _ = d.nonces(t, sorted, seed)
		other := mustSession(rt, again, key, agg, msg)
		for i, psig := range d.psigs(t, other, secs) {
			if psig != psigs[set.Index(sorted[i])] {
				rt.Fatal("partial signature depends on the order of the ids")
			}
		}
	})
}

func TestNewSignerRefusesBadShares(t *testing.T) {
	order, err := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 32)
	one[31] = 1
	for name, c := range map[string]struct {
		id    int
		share []byte
	}{
		"zero": {0, make([]byte, 32)}, "order": {0, order}, "short": {0, one[1:]}, "long": {0, append(one, 1)},
		"nil": {0, nil}, "negative id": {-1, one}, "id 128": {128, one},
	} {
		if _, err := NewSigner(c.id, c.share); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewSigner(127, one); err != nil {
		t.Errorf("share 1: %v", err)
	}
}

// TestCancelledNoncesExposeTheCulprit lets mallory choose her nonce so that the
// aggregate is infinity. The session goes on, and only her share is invalid.
func TestCancelledNoncesExposeTheCulprit(t *testing.T) {
	d := deal(t, 3, 5, 4)
	ids := []int{0, 2, 4}
	set, err := d.group.SignerSet(ids)
	if err != nil {
		t.Fatal(err)
	}
	secs, pubs := d.nonces(t, ids, 1)
	const mallory = 2
	var enc []byte
	for i := range 2 {
		half := pubs[0].r[i].Add(pubs[1].r[i]).Neg().Bytes()
		enc = append(enc, half[:]...)
	}
	if pubs[mallory], err = ParsePubNonce(enc); err != nil {
		t.Fatal(err)
	}
	agg := NonceAgg(pubs)
	if agg.Bytes() != [AggNonceSize]byte{} {
		t.Fatal("aggregate nonce is not infinity")
	}
	s := mustSession(t, set, d.group.TweakCtx(), agg, nil)
	if g := secp.Generator().X(); s.r != g {
		t.Fatal("R is not G")
	}
	psigs := d.psigs(t, s, secs)
	if _, err := s.PartialSigAgg(psigs); !errors.Is(err, ErrInvalidSignature) {
		t.Fatalf("aggregate: %v", err)
	}
	culprits, err := s.Culprits(pubs, psigs)
	if err != nil || !slices.Equal(culprits, []int{mallory}) {
		t.Fatalf("culprits %v, %v", culprits, err)
	}
}

// TestCulpritsExactly damages any subset of the partial signatures.
func TestCulpritsExactly(t *testing.T) {
	d := deal(t, 3, 5, 5)
	ids := []int{4, 1, 3, 0}
	set, err := d.group.SignerSet(ids)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		secs, pubs := d.nonces(t, ids, rapid.Uint64().Draw(rt, "seed"))
		s := mustSession(rt, set, d.group.TweakCtx(), NonceAgg(pubs), []byte("m"))
		psigs := d.psigs(t, s, secs)
		honest := slices.Clone(psigs)
		var want []int
		for i := range psigs {
			switch rapid.IntRange(0, 4).Draw(rt, "damage") {
			case 0: // one bit
				psigs[i][rapid.IntRange(0, 31).Draw(rt, "byte")] ^= 1
			case 1: // valid, of somebody else
				psigs[i] = honest[(i+1)%len(honest)]
			case 2: // negated
				z, err := secp.ParseScalar(honest[i][:])
				if err != nil {
					rt.Fatal(err)
				}
				psigs[i] = z.Neg().Bytes()
			default:
				continue
			}
			want = append(want, i)
		}
		got, err := s.Culprits(pubs, psigs)
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("culprits %v (%v), want %v", got, err, want)
		}
		// Damages can cancel in the sum (all shares rotated, two bits flipped):
		// the signature is then valid although the shares are not.
		if _, err := s.PartialSigAgg(psigs); (err == nil) != (sum(rt, psigs) == sum(rt, honest)) {
			rt.Fatalf("aggregate: %v", err)
		}
	})
}

func sum(t *rapid.T, psigs [][32]byte) [32]byte {
	var total secp.Scalar
	for _, p := range psigs {
		z, err := secp.ParseScalar(p[:])
		if err != nil {
			t.Skip("a flipped bit made a share larger than the order") // probability 2^-120
		}
		total = total.Add(z)
	}
	return total.Bytes()
}

// TestSignReleasesNothingInvalid gives the signer a nonce whose public half does
// not belong to it, as a fault in the multiplication would.
func TestSignReleasesNothingInvalid(t *testing.T) {
	d := deal(t, 1, 1, 7)
	set, err := d.group.SignerSet([]int{0})
	if err != nil {
		t.Fatal(err)
	}
	secs, pubs := d.nonces(t, []int{0}, 1)
	s := mustSession(t, set, d.group.TweakCtx(), NonceAgg(pubs), nil)
	secs[0].secret.k[1] = secs[0].secret.k[1].Add(secp.ScalarFromUint(1))
	if psig, err := d.signers[0].Sign(s, secs[0]); !errors.Is(err, ErrFault) || psig != [32]byte{} {
		t.Fatalf("%x, %v", psig, err)
	}
}

func TestMisuseIsAnError(t *testing.T) {
	d, other := deal(t, 2, 3, 8), deal(t, 2, 3, 9)
	ids := []int{0, 1}
	set, err := d.group.SignerSet(ids)
	if err != nil {
		t.Fatal(err)
	}
	_, pubs := d.nonces(t, ids, 1)
	agg := NonceAgg(pubs)
	for name, key := range map[string]TweakCtx{"other key": other.group.TweakCtx(), "zero context": {}} {
		if _, err := NewSession(set, key, agg, nil); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := mustSession(t, set, d.group.TweakCtx(), agg, nil)
	for _, index := range []int{-1, 2, 1 << 40} {
		if err := s.PartialSigVerify(index, pubs[0], [32]byte{}); !errors.Is(err, ErrPrecondition) {
			t.Errorf("index %d: %v", index, err)
		}
	}
	if _, err := s.PartialSigAgg(make([][32]byte, 1)); !errors.Is(err, ErrPrecondition) {
		t.Errorf("too few partial signatures: %v", err)
	}
	if _, err := s.Culprits(pubs, nil); !errors.Is(err, ErrPrecondition) {
		t.Errorf("culprits without partial signatures: %v", err)
	}
	bare, err := NewSignerSet(2, 3, d.info.ThreshPK[:], ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	s = mustSession(t, bare, d.group.TweakCtx(), agg, nil)
	if err := s.PartialSigVerify(0, pubs[0], [32]byte{}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("verify without public shares: %v", err)
	}
	if err := s.PartialSigVerify(0, PubNonce{}, [32]byte{}); err == nil {
		t.Error("verified with a zero nonce")
	}
	var ce *ContributionError
	s = mustSession(t, set, d.group.TweakCtx(), agg, nil)
	if err := s.PartialSigVerify(0, PubNonce{}, [32]byte{}); !errors.As(err, &ce) {
		t.Errorf("zero nonce: %v", err)
	}
}

// TestSecretsAreNotPrinted compares with what printing the secrets would show.
func TestSecretsAreNotPrinted(t *testing.T) {
	d := deal(t, 1, 1, 14)
	secs, _ := d.nonces(t, []int{0}, 1)
	signer := d.signers[0]
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		for _, secret := range []secp.Scalar{*signer.share, secs[0].secret.k[0], secs[0].secret.k[1]} {
			shown := strings.Trim(fmt.Sprintf(verb, secret), "{}& ")
			for _, holder := range []any{signer, *signer, secs[0], *secs[0]} {
				if strings.Contains(fmt.Sprintf(verb, holder), shown) {
					t.Errorf("%s of a %T shows the secret", verb, holder)
				}
			}
		}
	}
}

// TestAllocations holds the paths that run per partial signature.
func TestAllocations(t *testing.T) {
	d := deal(t, 3, 5, 15)
	ids := []int{0, 2, 4}
	set, err := d.group.SignerSet(ids)
	if err != nil {
		t.Fatal(err)
	}
	secs, pubs := d.nonces(t, ids, 1)
	kept := *secs[0].secret
	s := mustSession(t, set, d.group.TweakCtx(), NonceAgg(pubs), []byte("m"))
	psigs := d.psigs(t, s, secs)
	for name, f := range map[string]func(){
		"NonceAgg":         func() { NonceAgg(pubs) },
		"PartialSigVerify": func() { _ = s.PartialSigVerify(1, pubs[1], psigs[1]) },
		"Sign": func() {
			*secs[0].secret = kept
			if _, err := d.signers[0].Sign(s, secs[0]); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
