package bip445

import (
	"bytes"
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

func TestSignerSetRules(t *testing.T) {
	d := deal(t, 2, 4, 1)
	absent := d.info
	absent.PubShares = slices.Clone(absent.PubShares)
	absent.PubShares[3] = nil
	sparse, err := NewGroup(absent)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		group *Group
		ids   []int
		ok    bool
	}{
		"threshold":             {d.group, []int{3, 1}, true},
		"all":                   {d.group, []int{0, 1, 2, 3}, true},
		"none":                  {d.group, nil, false},
		"too few":               {d.group, []int{0}, false},
		"too many":              {d.group, []int{0, 1, 2, 3, 3}, false},
		"twice":                 {d.group, []int{0, 0}, false},
		"twice among others":    {d.group, []int{0, 1, 1}, false},
		"id n":                  {d.group, []int{0, 4}, false},
		"negative":              {d.group, []int{-1, 0}, false},
		"huge":                  {d.group, []int{1 << 40, 0}, false},
		"absent public share":   {sparse, []int{0, 3}, false},
		"other share is absent": {sparse, []int{0, 2}, true},
	} {
		_, err := c.group.SignerSet(c.ids)
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrPrecondition)) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = NewSignerSet(2, 4, d.info.ThreshPK[:], c.ids, nil)
		if want := c.ok || c.group == sparse; (err == nil) != want {
			t.Errorf("%s, without public shares: %v", name, err)
		}
	}
}

func TestParameterLimits(t *testing.T) {
	d := deal(t, 1, 1, 1)
	for _, c := range []struct {
		t, n int
		ok   bool
	}{{1, 1, true}, {1, 128, true}, {128, 128, true}, {0, 1, false}, {2, 1, false}, {1, 0, false}, {0, 0, false}, {1, 129, false}, {-1, 3, false}} {
		if err := checkParameters(c.t, c.n); (err == nil) != c.ok {
			t.Errorf("t=%d n=%d: %v", c.t, c.n, err)
		}
		if c.n == 0 || c.ok {
			continue
		}
		ids := make([]int, max(c.t, 1))
		if _, err := NewSignerSet(c.t, c.n, d.info.ThreshPK[:], ids, nil); !errors.Is(err, ErrPrecondition) {
			t.Errorf("set of t=%d n=%d: %v", c.t, c.n, err)
		}
		shares := make([][]byte, c.n)
		for i := range shares {
			shares[i] = d.info.PubShares[0]
		}
		if err := (ThresholdInfo{T: c.t, ThreshPK: d.info.ThreshPK, PubShares: shares}).Validate(); !errors.Is(err, ErrPrecondition) {
			t.Errorf("group of t=%d n=%d: %v", c.t, c.n, err)
		}
	}
}

// interpolates is ValidateThresholdInfo's rule as the BIP words it: the t lowest
// present shares give every other one and the key.
func interpolates(ti ThresholdInfo) bool {
	var ids []int
	var points []secp.Point
	for id, b := range ti.PubShares {
		if b == nil {
			continue
		}
		p, err := secp.ParsePoint(b)
		if err != nil {
			return false
		}
		ids, points = append(ids, id), append(points, p)
	}
	if len(ids) < ti.T {
		return false
	}
	at := func(x int) secp.Point { // Σ Π (x-id_k)/(id_i-id_k)·P_i
		var sum secp.Point
		for i := range ti.T {
			c := secp.ScalarFromUint(1)
			for k := range ti.T {
				if k != i {
					c = c.Mul(signed(x - ids[k])).Mul(signed(ids[i] - ids[k]).InverseVartime())
				}
			}
			sum = sum.Add(secp.MulVartime(c, points[i]))
		}
		return sum
	}
	for i := ti.T; i < len(ids); i++ {
		if !at(ids[i]).Equal(points[i]) {
			return false
		}
	}
	key, err := secp.ParsePoint(ti.ThreshPK[:])
	return err == nil && at(-1).Equal(key)
}

func signed(v int) secp.Scalar {
	if v < 0 {
		return secp.ScalarFromUint(uint64(-v)).Neg()
	}
	return secp.ScalarFromUint(uint64(v))
}

// TestOneSumMatchesInterpolationRule damages groups in every way that the rule
// of the BIP must notice and compares the verdicts.
func TestOneSumMatchesInterpolationRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(rt, "n")
		threshold := rapid.IntRange(1, n).Draw(rt, "t")
		d := deal(t, threshold, n, rapid.Uint64().Draw(rt, "seed"))
		ti := d.info
		ti.PubShares = slices.Clone(ti.PubShares)
		pick := func(name string) int { return rapid.IntRange(0, n-1).Draw(rt, name) }
		shift := func(id int, by secp.Point) {
			p, err := secp.ParsePoint(ti.PubShares[id])
			if err != nil {
				rt.Fatal(err)
			}
			if p = p.Add(by); !p.IsInfinity() {
				enc := p.Bytes()
				ti.PubShares[id] = enc[:]
			}
		}
		switch rapid.IntRange(0, 7).Draw(rt, "damage") {
		case 0: // none
		case 1:
			ti.ThreshPK[0] ^= 1
		case 2:
			shift(pick("id"), secp.Generator())
		case 3: // errors that cancel in a plain sum
			i, j := pick("i"), pick("j")
			shift(i, secp.Generator())
			shift(j, secp.Generator().Neg())
		case 4:
			i, j := pick("i"), pick("j")
			ti.PubShares[i], ti.PubShares[j] = ti.PubShares[j], ti.PubShares[i]
		case 5:
			ti.PubShares[pick("id")] = nil
		case 6: // ids from 1 instead of 0
			ti.PubShares = append([][]byte{nil}, ti.PubShares...)
		case 7:
			ti.T = rapid.IntRange(1, n).Draw(rt, "other t")
		}
		err := ti.Validate()
		if want := interpolates(ti); (err == nil) != want {
			rt.Fatalf("verdict %v, rule of the BIP: %v", err, want)
		}
		if err != nil && !errors.Is(err, ErrPrecondition) {
			rt.Fatal(err)
		}
	})
}

// TestCancellingSharesAreRejected is the full set whose errors cancel: shares 0
// and 1 are wrong such that all n still interpolate the key.
func TestCancellingSharesAreRejected(t *testing.T) {
	d := deal(t, 2, 4, 3)
	set, err := d.group.SignerSet([]int{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	ti := d.info
	ti.PubShares = slices.Clone(ti.PubShares)
	wrong := func(id int, by secp.Scalar) {
		enc := set.shares[id].point.Add(secp.SecretBaseMul(by)).Bytes()
		ti.PubShares[id] = enc[:]
	}
	wrong(0, set.lambda[1])
	wrong(1, set.lambda[0].Neg())
	if _, err := NewSignerSet(2, 4, ti.ThreshPK[:], []int{0, 1, 2, 3}, ti.PubShares); err != nil {
		t.Fatalf("the errors do not cancel, the test is void: %v", err)
	}
	if err := ti.Validate(); !errors.Is(err, ErrPrecondition) {
		t.Fatalf("group with cancelling errors: %v", err)
	}
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

// TestNonceSignsOnce covers reuse through copies, other messages and failures.
func TestNonceSignsOnce(t *testing.T) {
	d := deal(t, 2, 3, 6)
	ids := []int{0, 1}
	set, err := d.group.SignerSet(ids)
	if err != nil {
		t.Fatal(err)
	}
	secs, pubs := d.nonces(t, ids, 1)
	agg := NonceAgg(pubs)
	first := mustSession(t, set, d.group.TweakCtx(), agg, []byte("first"))
	second := mustSession(t, set, d.group.TweakCtx(), agg, []byte("second"))
	copied := *secs[0]
	if _, err := d.signers[0].Sign(first, secs[0]); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*SecNonce{"same": secs[0], "copy": &copied, "nil": nil, "empty": new(SecNonce)} {
		if _, err := d.signers[0].Sign(second, n); !errors.Is(err, ErrNonceUsed) || !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A signer outside of the set, or with another share than the set lists,
	// spends the nonce and signs nothing.
	impostor, err := NewSigner(1, d.shares[2])
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]*Signer{"not in the set": d.signers[2], "other share": impostor} {
		n, _ := d.nonces(t, []int{1}, 2)
		if psig, err := signer.Sign(first, n[0]); !errors.Is(err, ErrPrecondition) || psig != [32]byte{} {
			t.Errorf("%s: %x, %v", name, psig, err)
		}
		if _, err := d.signers[1].Sign(first, n[0]); !errors.Is(err, ErrNonceUsed) {
			t.Errorf("%s: nonce survived: %v", name, err)
		}
	}
	secs[1].Wipe()
	if _, err := d.signers[1].Sign(first, secs[1]); !errors.Is(err, ErrNonceUsed) {
		t.Errorf("wiped nonce: %v", err)
	}
	d.signers[0].Wipe()
	n, _ := d.nonces(t, []int{0}, 3)
	if _, err := d.signers[0].Sign(first, n[0]); !errors.Is(err, ErrPrecondition) {
		t.Errorf("wiped signer: %v", err)
	}
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

type brokenReader struct{}

var errBroken = errors.New("broken")

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestNonceGenErrors(t *testing.T) {
	rand := bytes.NewReader(make([]byte, 1000))
	big, negative := 128, -1
	for name, in := range map[string]NonceInput{
		"zero share":  {SecShare: make([]byte, 32)},
		"short share": {SecShare: make([]byte, 31)},
		"pubshare":    {PubShare: make([]byte, 32)},
		"key":         {XonlyPK: make([]byte, 33)},
		"id":          {SignerID: &big},
		"negative id": {SignerID: &negative},
	} {
		if _, _, err := NonceGen(rand, in); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := NonceGen(brokenReader{}, NonceInput{}); !errors.Is(err, errBroken) {
		t.Errorf("broken reader: %v", err)
	}
	if _, _, err := NonceGen(bytes.NewReader(make([]byte, 31)), NonceInput{}); err == nil {
		t.Error("31 bytes of randomness are accepted")
	}
}

// TestKnownAnswerOfThisDraft pins one nonce and one partial signature of draft
// 0.12.1 without the vectors folder. Earlier drafts give others: 0.6.0 hashes no
// number of signers, 0.8.0 four times that number.
func TestKnownAnswerOfThisDraft(t *testing.T) {
	if Version != "0.12.1" {
		t.Fatal("a new draft needs new known answers")
	}
	hexes := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	id := 2
	nonce, _, err := NonceGen(bytes.NewReader(bytes.Repeat([]byte{0x0f}, 32)), NonceInput{
		SecShare: hexes("61BB07FE8123B9EC255CA3FC27AEF64D5D260A6FC73D7F15B63DBE12EC5DEA07"),
		SignerID: &id,
		PubShare: hexes("036441EC2D4C1266201CD89B69549A2F5B2188612A0D434153E625FB38173DD509"),
		XonlyPK:  hexes("D772A09F5F675783D275ED9F6AAEDB2ECCBC74171B37AC23AE3BBD9D7AE2CDAA"),
		Msg:      bytes.Repeat([]byte{1}, 32),
		Extra:    bytes.Repeat([]byte{8}, 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	if k := nonce.secret.k[0].Bytes(); !bytes.Equal(k[:], hexes("8A8027738AE9310C3F1C7DA09186B3BE90B923A0FC25536BB4F14E37BAAADDCC")) {
		t.Errorf("first secret nonce is %x", k)
	}
	v := vector{
		T: 2, N: 3,
		IDs:      []int{0, 1},
		ThreshPK: hexes("02D772A09F5F675783D275ED9F6AAEDB2ECCBC74171B37AC23AE3BBD9D7AE2CDAA"),
		SecShare: hexes("53442FA9BD72EEA0A42DF6F2D2D76A2C0D3A3DFA2BE2F820F41ADE976B8259FB"),
		SecNonce: hexes("874A212D2DF14B0E55D5E9B86B0B6530A83BA59785303E333AB9F6193289D4A3B5DE529495EC16F25C1452C2732363C38623725EAE7BBCA47BD1AB43B3E21792"),
		AggNonce: hexes("0258D346E23685E092E143BD203EEC8597131390B1300E9466C9B741EC65FCCFC6029C9B5D46EF571F128C657306C86AC24E2E58CAC742788645A29E1CC0CEFFB316"),
		Msg:      hexes("F95466D086770E689964664219266FE5ED215C92AE20BAB5C9D79ADDDDF3C0CF"),
		SignerID: new(int),
	}
	if psig, err := v.sign(); err != nil || !bytes.Equal(psig, hexes("BD7C4B381E7A7CE76891C064CE565246643D47A8D8E5035C1536C8402B290108")) {
		t.Errorf("partial signature is %x, %v", psig, err)
	}
}

// TestHashInputs pins the layout that the known answers depend on.
func TestHashInputs(t *testing.T) {
	got := appendIDs(nil, []int{2, 0})
	if want := []byte{0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2}; !bytes.Equal(got, want) {
		t.Errorf("encoded ids %x, want %x", got, want)
	}
	absent, empty := nonceInput(&[32]byte{}, &NonceInput{}), nonceInput(&[32]byte{}, &NonceInput{Msg: []byte{}})
	if len(absent) != 32+1+1+1+1+4 || len(empty) != len(absent)+8 {
		t.Errorf("nonce inputs of %d bytes without and %d with an empty message", len(absent), len(empty))
	}
}
