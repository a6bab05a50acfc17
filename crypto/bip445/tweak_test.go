//go:build !toygroup

package bip445

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"frostfed/crypto/internal/secp"
)

// TestAllParities finds keys of both parities before and after each tweak, under
// both orders of modes, and nonces of both parities.
func TestAllParities(t *testing.T) {
	seen := make(map[[4]bool]bool)
	for seed := uint64(0); len(seen) < 16 && seed < 400; seed++ {
		d := deal(t, 2, 3, seed)
		base := d.group.TweakCtx()
		first, second := testBytes("a", seed), testBytes("b", seed)
		xonlyFirst := seed%2 == 0
		middle, err := base.Apply(first[:], xonlyFirst)
		if err != nil {
			t.Fatal(err)
		}
		key, err := middle.Apply(second[:], !xonlyFirst)
		if err != nil {
			t.Fatal(err)
		}
		ids := []int{0, 2}
		set, err := d.group.SignerSet(ids)
		if err != nil {
			t.Fatal(err)
		}
		secs, pubs := d.nonces(t, ids, seed)
		s := mustSession(t, set, key, NonceAgg(pubs), []byte("parity"))
		if _, err := s.PartialSigAgg(d.psigs(t, s, secs)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		seen[[4]bool{base.Parity() == 1, middle.Parity() == 1, key.Parity() == 1, s.oddR}] = true
	}
	if len(seen) != 16 {
		t.Fatalf("only %d of 16 combinations occurred", len(seen))
	}
}

// TestTweakedKeyHasTheTweakedSecret checks the algebra of TweakCtx on secrets.
func TestTweakedKeyHasTheTweakedSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := secp.ReduceScalar(testBytes("secret", rapid.Uint64().Draw(t, "seed")))
		enc := secp.SecretBaseMul(secret).Bytes()
		key, err := NewTweakCtx(enc[:])
		if err != nil {
			t.Fatal(err)
		}
		x := secret
		for i := range rapid.IntRange(0, 5).Draw(t, "tweaks") {
			tweak := testBytes("tweak", uint64(i), rapid.Uint64().Draw(t, "tweak"))
			xonly := rapid.Bool().Draw(t, "xonly")
			x = x.NegIf(xonly && key.Parity() == 1).Add(secp.ReduceScalar(tweak))
			if key, err = key.Apply(tweak[:], xonly); err != nil {
				t.Fatal(err)
			}
		}
		if key.PlainPK() != secp.SecretBaseMul(x).Bytes() {
			t.Fatal("tweaked key is not of the tweaked secret")
		}
		if !x.Equal(secret.NegIf(key.gacc).Add(key.tacc)) {
			t.Fatal("gacc and tacc do not give the tweaked secret")
		}
	})
}

func TestTweakErrors(t *testing.T) {
	d := deal(t, 1, 1, 10)
	key := d.group.TweakCtx()
	order := bytes.Repeat([]byte{0xff}, 32)
	minusSecret, err := secp.ParseScalar(d.shares[0])
	if err != nil {
		t.Fatal(err)
	}
	cancel := minusSecret.Neg().Bytes()
	for name, tweak := range map[string][]byte{"too large": order, "33 bytes": make([]byte, 33), "31 bytes": make([]byte, 31), "nil": nil, "to infinity": cancel[:]} {
		if _, err := key.Apply(tweak, false); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if same, err := key.Apply(make([]byte, 32), false); err != nil || same.PlainPK() != key.PlainPK() {
		t.Errorf("tweak 0: %v", err)
	}
	if _, err := key.ApplyAll([][]byte{make([]byte, 32)}, nil); !errors.Is(err, ErrPrecondition) {
		t.Errorf("tweak without mode: %v", err)
	}
}
