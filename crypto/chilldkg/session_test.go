//go:build !toygroup

package chilldkg

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"frostfed/crypto/internal/secp"

	"pgregory.net/rapid"
)

// interpolate returns the secret that the shares of ids determine.
func interpolate(ids []int, share func(id int) secp.Scalar) secp.Scalar {
	var secret secp.Scalar
	for _, i := range ids {
		num, den := secp.ScalarFromUint(1), secp.ScalarFromUint(1)
		xi := secp.ScalarFromUint(uint64(shamirX(i)))
		for _, k := range ids {
			if k != i {
				xk := secp.ScalarFromUint(uint64(shamirX(k)))
				num = num.Mul(xk)
				den = den.Mul(xk.Sub(xi))
			}
		}
		secret = secret.Add(share(i).Mul(num).Mul(den.InverseVartime()))
	}
	return secret
}

// TestSessionWithAndWithoutCoordinator runs random sessions both ways. They give
// the same key, any t shares make its secret, every public share belongs to its
// secret share, and recovery gives the same output again.
func TestSessionWithAndWithoutCoordinator(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "n")
		threshold := rapid.IntRange(1, n).Draw(rt, "t")
		f := newFixture(t, threshold, n, rapid.Int().Draw(rt, "seed"))
		dealings := f.dealAll(t)
		outs, recovery := f.run(t, dealings)

		// With a coordinator, each state between the steps rebuilt from pmsg1.
		pmsgs1 := make([][]byte, n)
		for i, d := range dealings {
			pmsgs1[i] = d[:f.params.pmsg1Size()]
		}
		coordinator, cmsg1, err := CoordinatorStep1(pmsgs1, f.params)
		must(t, err)
		pmsgs2 := make([][]byte, n)
		states := make([]*ParticipantState2, n)
		for i := range states {
			state1, err := RestoreParticipantState1(f.params, i, pmsgs1[i])
			must(t, err)
			states[i], pmsgs2[i], err = ParticipantStep2(f.keys[i], state1, cmsg1, bytes32("aux %d", i))
			must(t, err)
		}
		cmsg2, public, recovery2, err := CoordinatorFinalize(coordinator, pmsgs2)
		must(t, err)
		if !bytes.Equal(recovery, recovery2) {
			rt.Fatal("recovery data differ")
		}
		for i, out := range outs {
			same(rt, out, public, false)
			final, _, err := ParticipantFinalize(states[i], cmsg2)
			must(t, err)
			same(rt, out, final, true)
			recovered, params, err := Recover(f.keys[i], recovery)
			must(t, err)
			same(rt, out, recovered, true)
			if params.Hash() != f.params.Hash() {
				rt.Fatal("recovered parameters differ")
			}
			share, err := secp.ParseScalarNonZero(out.SecShare.Bytes())
			must(t, err)
			if secp.SecretBaseMul(share).Bytes() != out.PubShares[i] {
				rt.Fatalf("public share %d does not belong to its share", i)
			}
		}
		ids := rapid.Permutation(upTo(n)).Draw(rt, "signers")[:threshold]
		secret := interpolate(ids, func(id int) secp.Scalar {
			s, _ := secp.ParseScalar(outs[id].SecShare.Bytes())
			return s
		})
		if secp.SecretBaseMul(secret).Bytes() != public.ThreshPK {
			rt.Fatalf("shares of %v do not make the key", ids)
		}
	})
}

func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

func same(t *rapid.T, a, b *Output, secret bool) {
	t.Helper()
	if a.T != b.T || a.ThreshPK != b.ThreshPK || !slices.Equal(a.PubShares, b.PubShares) {
		t.Fatal("public outputs differ")
	}
	if secret && !bytes.Equal(a.SecShare.Bytes(), b.SecShare.Bytes()) {
		t.Fatal("secret shares differ")
	}
}

// TestEvalPublicAll compares the differences with one evaluation per share, and
// both with the secret polynomial.
func TestEvalPublicAll(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		threshold := rapid.IntRange(1, 6).Draw(rt, "t")
		n := rapid.IntRange(threshold, 12).Draw(rt, "n")
		coeffs, coms := make([]secp.Scalar, threshold), make([]secp.Point, threshold)
		for k := range coeffs {
			// Small values and zeros make coefficients and differences vanish.
			coeffs[k] = secp.ScalarFromUint(uint64(rapid.IntRange(0, 3).Draw(rt, "coefficient"))).NegIf(rapid.Bool().Draw(rt, "sign"))
			coms[k] = secp.SecretBaseMul(coeffs[k])
		}
		for id, y := range evalPublicAll(coms, n) {
			if !y.Equal(evalPublic(coms, id)) || !y.Equal(secp.SecretBaseMul(evalSecret(coeffs, id))) {
				rt.Fatalf("value at id %d differs", id)
			}
		}
	})
}

// TestTaprootTweak recomputes the key from the recovery data: it commits to no
// script, for even and odd K_0 alike.
func TestTaprootTweak(t *testing.T) {
	parities := map[byte]bool{}
	for seed := range 12 {
		f := newFixture(t, 2, 2, seed)
		outs, recovery := f.run(t, f.dealAll(t))
		k0, err := secp.ParsePoint(recovery[4:37])
		must(t, err)
		parities[recovery[4]] = true
		x := k0.X()
		tau := secp.NewTag("TapTweak").Hash(x[:])
		if k0.Add(secp.SecretBaseMul(secp.ReduceScalar(tau))).Bytes() != outs[0].ThreshPK {
			t.Errorf("seed %d: key is not K_0 + tau*G", seed)
		}
	}
	if len(parities) != 2 {
		t.Error("only one parity of K_0 was tried")
	}
}

// TestRecoverRejects damages recovery data in every way a peer or a disk can.
func TestRecoverRejects(t *testing.T) {
	f := newFixture(t, 2, 3, 1)
	_, good := f.run(t, f.dealAll(t))
	if _, _, err := Recover(f.keys[0], good); err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{
		"empty":        {},
		"only t":       good[:4],
		"truncated":    good[:len(good)-1],
		"appended":     append(bytes.Clone(good), 0),
		"n = 0":        good[:4+33*2],
		"huge t":       append([]byte{0xff, 0xff, 0xff, 0xff}, good[4:]...),
		"t = 0":        append([]byte{0, 0, 0, 0}, good[4:]...),
		"t = 129":      append([]byte{0, 0, 0, 129}, make([]byte, 129*33+162)...),
		"t > n":        append([]byte{0, 0, 0, 2}, make([]byte, 2*33+162)...),
		"huge n":       append([]byte{0, 0, 0, 1}, make([]byte, 33+162*129)...),
		"no signature": append(bytes.Clone(good[:len(good)-64]), make([]byte, 64)...),
	}
	for i := 0; i < len(good); i += 13 {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1
		damage[fmt.Sprintf("bit of byte %d", i)] = flipped
	}
	for name, data := range damage {
		if _, _, err := Recover(f.keys[0], data); !errors.Is(err, ErrRecoveryData) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := Recover(bytes32("stranger"), good); !errors.Is(err, ErrHostSeckey) {
		t.Errorf("foreign key: got %v", err)
	}
}

func TestAcknowledgements(t *testing.T) {
	f := newFixture(t, 2, 3, 1)
	_, recovery := f.run(t, f.dealAll(t))
	ack, err := RecoveryAckSign(f.keys[1], f.params, recovery, bytes32("aux"))
	must(t, err)
	must(t, RecoveryAckVerify(f.params, 1, recovery, ack[:]))
	wantFaulty(t, RecoveryAckVerify(f.params, 2, recovery, ack[:]), 2)
	wantFaulty(t, RecoveryAckVerify(f.params, 1, recovery[1:], ack[:]), 1)
	// An acknowledgement is no signature for a certificate of the same bytes.
	wantFaulty(t, VerifyCertSig(f.params, 1, recovery, ack[:]), 1)
	_, err = RecoveryAckSign(bytes32("stranger"), f.params, recovery, bytes32("aux"))
	if !errors.Is(err, ErrHostSeckey) {
		t.Errorf("stranger: got %v", err)
	}
}

func TestSessionParamsRejects(t *testing.T) {
	f := newFixture(t, 1, 3, 1)
	keys := make([][]byte, 3)
	for i := range keys {
		key := f.params.HostPubkey(i)
		keys[i] = key[:]
	}
	otherParity := bytes.Clone(keys[0])
	otherParity[0] ^= 1
	for _, c := range []struct {
		name string
		keys [][]byte
		t    int
		want string
	}{
		{"t = 0", keys, 0, "ThresholdOrCountError"},
		{"t > n", keys, 4, "ThresholdOrCountError"},
		{"nobody", nil, 0, "ThresholdOrCountError"},
		{"129 participants", make([][]byte, 129), 1, "ThresholdOrCountError"},
		{"same key", [][]byte{keys[0], keys[1], keys[0]}, 2, "DuplicateHostPubkeyError 0 2"},
		{"same x, other parity", [][]byte{keys[1], keys[0], otherParity}, 2, "DuplicateHostPubkeyError 1 2"},
		{"infinity", [][]byte{keys[0], make([]byte, 33)}, 1, "InvalidHostPubkeyError 1"},
		{"hybrid", [][]byte{append([]byte{6}, keys[0][1:]...)}, 1, "InvalidHostPubkeyError 0"},
		{"x-only", [][]byte{keys[0][1:]}, 1, "InvalidHostPubkeyError 0"},
		{"no key", [][]byte{nil}, 1, "InvalidHostPubkeyError 0"},
	} {
		_, err := NewSessionParams(c.keys, c.t)
		if got := exception(err).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestSecretShareIsNotPrinted(t *testing.T) {
	s := &SecShare{b: [32]byte(bytes32("share"))}
	out := &Output{SecShare: s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, text := range []string{fmt.Sprintf(verb, s), fmt.Sprintf(verb, *out)} {
			if bytes.Contains([]byte(text), fmt.Appendf(nil, "%x", s.b[:4])) || bytes.Contains([]byte(text), fmt.Appendf(nil, "%d %d", s.b[0], s.b[1])) {
				t.Errorf("%s prints the share: %s", verb, text)
			}
		}
	}
	s.Wipe()
	if s.b != [32]byte{} {
		t.Error("share is not wiped")
	}
}
