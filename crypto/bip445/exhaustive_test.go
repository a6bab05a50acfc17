//go:build toygroup

package bip445

import (
	"errors"
	"slices"
	"testing"

	"frostfed/crypto/internal/secp"
)

// Over the toy group everything there is can be tried: all keys, shares, nonces,
// challenges, tweaks and lies. What is expected is computed with plain integers.

const q = secp.ToyOrder

// mod returns v in 0..q-1.
func mod(v int) int { return ((v % q) + q) % q }

func scalar(v int) secp.Scalar { return secp.ScalarFromUint(uint64(mod(v))) }

func encode(v int) [32]byte { return scalar(v).Bytes() }

func inverse(v int) int {
	for i := range q {
		if mod(i*v) == 1 {
			return i
		}
	}
	panic("no inverse")
}

// coefficient is λ_i of the signer at a position of ids, as the BIP defines it.
func coefficient(ids []int, position int) int {
	num, den := 1, 1
	for k, id := range ids {
		if k != position {
			num, den = mod(num*(id+1)), mod(den*(id-ids[position]))
		}
	}
	return mod(num * inverse(den))
}

func eval(poly []int, id int) int {
	y := 0
	for k := len(poly) - 1; k >= 0; k-- {
		y = mod(y*(id+1) + poly[k])
	}
	return y
}

// tuples calls f with all k-tuples of 0..base-1.
func tuples(k, base int, f func([]int)) {
	tuple := make([]int, k)
	for {
		f(slices.Clone(tuple))
		i := 0
		for ; i < k; i++ {
			if tuple[i]++; tuple[i] < base {
				break
			}
			tuple[i] = 0
		}
		if i == k {
			return
		}
	}
}

// subsets returns all sets of at least t of n ids, each in an order of its own.
func subsets(t, n int) (out [][]int) {
	for mask := range 1 << n {
		var ids []int
		for id := range n {
			if mask>>id&1 == 1 {
				ids = append(ids, id)
			}
		}
		if mask%3 == 1 {
			slices.Reverse(ids)
		}
		if len(ids) >= t {
			out = append(out, ids)
		}
	}
	return out
}

// toyKey deals a polynomial. Polynomials with a zero among key and shares are no
// keys and must be refused.
func toyKey(t *testing.T, poly []int, n int) (group *Group, signers []*Signer, ok bool) {
	ti := ThresholdInfo{T: len(poly), ThreshPK: secp.SecretBaseMul(scalar(poly[0])).BytesOrInfinity()}
	zero := poly[0] == 0
	for id := range n {
		y := eval(poly, id)
		b, pub := encode(y), secp.SecretBaseMul(scalar(y)).BytesOrInfinity()
		ti.PubShares = append(ti.PubShares, pub[:])
		s, err := NewSigner(id, b[:])
		if (err == nil) != (y != 0) {
			t.Fatalf("share %d: %v", y, err)
		}
		if err == nil && s.PubShare() != pub {
			t.Fatalf("public share of %d", y)
		}
		signers = append(signers, s)
		zero = zero || y == 0
	}
	group, err := NewGroup(ti)
	if (err == nil) == zero {
		t.Fatalf("polynomial %v for %d: %v", poly, n, err)
	}
	return group, signers, !zero
}

// hashReader makes different randomness for each nonce.
type hashReader struct{ n uint64 }

func (r *hashReader) Read(p []byte) (int, error) {
	r.n++
	b := secp.NewTag("randomness").Hash([]byte{byte(r.n), byte(r.n >> 8), byte(r.n >> 16), byte(r.n >> 24)})
	return copy(p, b[:]), nil
}

// nonce generates one, again and again while one of its halves is zero.
func (r *hashReader) nonce(t *testing.T) (*SecNonce, PubNonce) {
	for {
		sec, pub, err := NonceGen(r, NonceInput{})
		if err == nil {
			return sec, pub
		}
		if !errors.Is(err, ErrPrecondition) {
			t.Fatal(err)
		}
	}
}

// TestEveryPartialSignature signs with every share, nonce pair, nonce
// coefficient, challenge, parity of R and Q and accumulated sign, as three
// signers of different coefficients. The one right value of each is accepted and
// the twelve others are not.
func TestEveryPartialSignature(t *testing.T) {
	ids := []int{3, 0, 1}
	cases := 0
	for position, id := range ids {
		for d := 1; d < q; d++ {
			share := encode(d)
			signer, err := NewSigner(id, share[:])
			if err != nil {
				t.Fatal(err)
			}
			set := newSignerSet([33]byte{}, ids)
			set.shares = make([]pubShare, len(ids))
			set.shares[position] = signer.pubshare
			lambda := coefficient(ids, position)
			tuples(4, q-1, func(v []int) {
				k1, k2, b, e := v[0]+1, v[1]+1, v[2]+1, v[3]+1
				for flags := range 8 {
					oddR, oddQ, gacc := flags&1 == 1, flags&2 == 2, flags&4 == 4
					s := Session{set: set, b: scalar(b), e: scalar(e), oddR: oddR, key: TweakCtx{gacc: gacc}}
					if s.key.enc[0] = 2; oddQ {
						s.key.enc[0] = 3
					}
					want := mod(k1 + b*k2)
					if oddR {
						want = mod(-want)
					}
					if oddQ != gacc {
						want = mod(want - e*lambda*d)
					} else {
						want = mod(want + e*lambda*d)
					}
					nonce := newSecNonce(scalar(k1), scalar(k2))
					pub := nonce.secret.pub
					psig, err := signer.Sign(&s, nonce)
					if err != nil || psig != encode(want) {
						t.Fatalf("d=%d %v flags %d: %x, %v, want %d", d, v, flags, psig[31], err, want)
					}
					if _, err := signer.Sign(&s, nonce); !errors.Is(err, ErrNonceUsed) {
						t.Fatalf("second use of a nonce: %v", err)
					}
					for z := range q {
						if err := s.PartialSigVerify(position, pub, encode(z)); (err == nil) != (z == want) {
							t.Fatalf("d=%d %v flags %d: %d verifies: %v, want %d", d, v, flags, z, err, want)
						}
					}
					cases++
				}
			})
		}
	}
	t.Logf("%d partial signatures, each against %d values", cases, q)
}

// session is a real one, with all its hashes.
type session struct {
	ids   []int
	key   TweakCtx
	s     Session
	pubs  []PubNonce
	psigs [][32]byte
}

// coverage counts the challenges, coefficients and parities that were met.
type coverage map[[5]int]int

func (c coverage) note(s *Session) {
	b, e := s.b.Bytes(), s.e.Bytes()
	flag := map[bool]int{true: 1}
	c[[5]int{int(b[31]), int(e[31]), flag[s.oddR], int(s.key.Parity()), flag[s.key.gacc]}]++
}

// sign makes partial signatures under a key for which the signers of ids, by
// position, need not have shares. It draws nonces until the hashes are not zero
// and asserts that zero is the only reason to draw again.
func sign(t *testing.T, r *hashReader, set *SignerSet, key TweakCtx, signers []*Signer, msg []byte) *session {
	for {
		x := &session{ids: set.IDs(), key: key}
		secs := make([]*SecNonce, len(x.ids))
		x.pubs = make([]PubNonce, len(x.ids))
		for i := range secs {
			secs[i], x.pubs[i] = r.nonce(t)
		}
		agg := NonceAgg(x.pubs)
		var err error
		x.s, err = NewSession(set, key, agg, msg)
		if err != nil {
			xonly := key.XonlyPK()
			b := nonceCoef(set.encoded, &agg.enc, &xonly, msg)
			p := agg.r[0].Add(secp.SecretMul(b, agg.r[1]))
			if p.IsInfinity() {
				p = secp.Generator()
			}
			if rx := p.X(); !b.IsZero() && !challenge(&rx, &xonly, msg).IsZero() {
				t.Fatalf("session: %v", err)
			}
			continue
		}
		r.n++
		for i := range secs {
			psig, err := signers[i].Sign(&x.s, secs[i])
			if err != nil {
				t.Fatal(err)
			}
			x.psigs = append(x.psigs, psig)
		}
		// R = O is replaced by G, for which no honest nonces can answer.
		if agg.r[0].Add(secp.SecretMul(x.s.b, agg.r[1])).IsInfinity() {
			if _, err := x.s.PartialSigAgg(x.psigs); set.shares != nil && !errors.Is(err, ErrInvalidSignature) {
				t.Fatalf("signature without a nonce: %v", err)
			}
			continue
		}
		return x
	}
}

func at(signers []*Signer, ids []int) []*Signer {
	out := make([]*Signer, len(ids))
	for i, id := range ids {
		out[i] = signers[id]
	}
	return out
}

// TestEverySigning runs whole sessions for every polynomial of degree below
// t <= 3, every set of at least t of n <= 5 signers, and tweaks of all values
// and modes, and then every single lie about a partial signature.
func TestEverySigning(t *testing.T) {
	r, covered, sessions := &hashReader{}, coverage{}, 0
	msg := []byte("message")
	for _, c := range []struct{ t, n, everyTweak int }{
		{1, 1, 1}, {1, 2, 1}, {1, 3, 1}, {1, 4, 1}, {2, 2, 1}, {2, 3, 1}, {2, 4, 1}, {2, 5, 5}, {3, 3, 13}, {3, 4, 29}, {3, 5, 31},
	} {
		turn := 0
		tuples(c.t, q, func(poly []int) {
			group, signers, ok := toyKey(t, poly, c.n)
			if !ok {
				return
			}
			for _, ids := range subsets(c.t, c.n) {
				set, err := group.SignerSet(ids)
				if err != nil {
					t.Fatal(err)
				}
				for tweak := range 3 * q {
					if turn++; turn%c.everyTweak != 0 {
						continue
					}
					key, secret, ok := tweaked(t, group.TweakCtx(), poly[0], tweak)
					if !ok {
						continue
					}
					x := sign(t, r, set, key, at(signers, ids), msg)
					covered.note(&x.s)
					sessions++
					sig, err := x.s.PartialSigAgg(x.psigs)
					if err != nil || !key.Verify(msg, sig[:]) {
						t.Fatalf("%v %v tweak %d: %v", poly, ids, tweak, err)
					}
					if key.PlainPK() != secp.SecretBaseMul(scalar(secret)).Bytes() {
						t.Fatalf("%v tweak %d: wrong key", poly, tweak)
					}
					x.lieOnce(t)
				}
			}
		})
	}
	if want := (q - 1) * (q - 1) * 8; len(covered) != want {
		t.Errorf("met %d combinations of b, e and parities, want all %d", len(covered), want)
	}
	t.Logf("%d sessions", sessions)
}

// tweaked applies the tweak number i of 39: plain, x-only, or x-only after plain,
// and returns the secret key of the result, computed with integers.
func tweaked(t *testing.T, key TweakCtx, secret, i int) (TweakCtx, int, bool) {
	type step struct {
		by    int
		xonly bool
	}
	steps := map[int][]step{0: {{i % q, false}}, 1: {{i % q, true}}, 2: {{i % q, false}, {5, true}}}[i/q]
	for _, s := range steps {
		if s.xonly && secp.SecretBaseMul(scalar(secret)).HasOddY() {
			secret = -secret
		}
		secret = mod(secret + s.by)
		b := encode(s.by)
		next, err := key.Apply(b[:], s.xonly)
		if (err == nil) != (secret != 0) {
			t.Fatalf("tweak %d of mode %v: %v", s.by, s.xonly, err)
		}
		if err != nil {
			return key, 0, false
		}
		key = next
	}
	return key, secret, true
}

// lieOnce lets each signer send each wrong value: the sum is no signature, and
// the culprit is that signer.
func (x *session) lieOnce(t *testing.T) {
	for i := range x.psigs {
		right := x.psigs[i]
		for delta := 1; delta < q; delta++ {
			x.psigs[i] = encode(int(right[31]) + delta)
			if _, err := x.s.PartialSigAgg(x.psigs); !errors.Is(err, ErrInvalidSignature) {
				t.Fatalf("lie %d of %d: %v", delta, i, err)
			}
			culprits, err := x.s.Culprits(x.pubs, x.psigs)
			if err != nil || !slices.Equal(culprits, []int{i}) {
				t.Fatalf("lie %d of %d: culprits %v, %v", delta, i, culprits, err)
			}
		}
		x.psigs[i] = right
	}
}

// TestEveryCoalitionOfLiars lets all signers at once add any values to their
// partial signatures. The culprits are those that added something but 0, also
// where the lies cancel, and only then is the sum a signature.
func TestEveryCoalitionOfLiars(t *testing.T) {
	r := &hashReader{}
	for _, poly := range [][]int{{1}, {2}, {6}, {1, 5}, {2, 7}, {3, 0}, {4, 1, 9}, {12, 3, 6}} {
		n := len(poly) + 1
		group, signers, ok := toyKey(t, poly, n)
		if !ok {
			t.Fatalf("choose another polynomial than %v", poly)
		}
		for _, ids := range subsets(len(poly), n) {
			if len(ids) > 3 {
				continue // 13^4 coalitions
			}
			set, err := group.SignerSet(ids)
			if err != nil {
				t.Fatal(err)
			}
			x := sign(t, r, set, group.TweakCtx(), at(signers, ids), []byte("message"))
			tuples(len(ids), q, func(lies []int) {
				psigs, sum := make([][32]byte, len(lies)), 0
				var want []int
				for i, lie := range lies {
					psigs[i] = encode(int(x.psigs[i][31]) + lie)
					sum += lie
					if lie != 0 {
						want = append(want, i)
					}
				}
				_, err := x.s.PartialSigAgg(psigs)
				if (err == nil) != (mod(sum) == 0) {
					t.Fatalf("lies %v: %v", lies, err)
				}
				if got, err := x.s.Culprits(x.pubs, psigs); err != nil || !slices.Equal(got, want) {
					t.Fatalf("lies %v: culprits %v, %v", lies, got, err)
				}
			})
		}
	}
}

// TestEveryMixOfTwoKeys lets some signers of a set use their share of another
// key, as a member would that confuses two epochs. A signer that knows the
// public shares refuses. One that does not makes a partial signature that is
// valid exactly if the two shares are equal, and the sum is a signature exactly
// if the weighted differences of the shares vanish, which in the toy group
// happens once in 13 times and in the real one never.
func TestEveryMixOfTwoKeys(t *testing.T) {
	r, mixed, valid := &hashReader{}, 0, 0
	msg := []byte("message")
	mix := func(f, g, ids []int, foreign int) {
		group, signers, ok := toyKey(t, f, len(f)+1)
		_, others, ok2 := toyKey(t, g, len(f)+1)
		if !ok || !ok2 {
			return
		}
		set, err := group.SignerSet(ids)
		if err != nil {
			t.Fatal(err)
		}
		key := group.ThreshPK()
		blind, err := NewSignerSet(group.T(), group.N(), key[:], ids, nil)
		if err != nil {
			t.Fatal(err)
		}
		mixedSigners, difference := at(signers, ids), 0
		var want []int
		for i, id := range ids {
			if foreign>>i&1 == 0 {
				continue
			}
			mixedSigners[i] = others[id]
			difference += coefficient(ids, i) * (eval(g, id) - eval(f, id))
			if eval(g, id) != eval(f, id) {
				want = append(want, i)
				nonce, pub := r.nonce(t)
				s := Session{set: set, key: group.TweakCtx()}
				if _, err := others[id].Sign(&s, nonce); !errors.Is(err, ErrPrecondition) {
					t.Fatalf("share of another key signs with nonce %x: %v", pub.enc, err)
				}
			}
		}
		x := sign(t, r, blind, group.TweakCtx(), mixedSigners, msg)
		_, err = x.s.PartialSigAgg(x.psigs)
		if (err == nil) != (mod(difference) == 0) {
			t.Fatalf("keys %v and %v, signers %v, foreign %b: %v", f, g, ids, foreign, err)
		}
		if err == nil {
			valid++
		}
		mixed++
		x.s.set = set
		if got, err := x.s.Culprits(x.pubs, x.psigs); err != nil || !slices.Equal(got, want) {
			t.Fatalf("keys %v and %v, signers %v, foreign %b: culprits %v, want %v", f, g, ids, foreign, got, want)
		}
	}
	tuples(2, q, func(f []int) {
		tuples(2, q, func(g []int) {
			mix(f, g, []int{2, 0}, 1+(f[0]+g[0])%2)
		})
	})
	tuples(3, q, func(g []int) {
		for foreign := 1; foreign < 7; foreign++ {
			mix([]int{4, 1, 9}, g, []int{3, 0, 1}, foreign)
		}
	})
	t.Logf("%d of %d mixes are signatures by coincidence", valid, mixed)
	if valid*q < mixed/2 || valid*q > mixed*2 {
		t.Errorf("%d of %d mixes are signatures, want about one in %d", valid, mixed, q)
	}
}

// TestEveryThresholdInfo holds the two checks of public shares against the rule
// of the BIP on all tuples of points: interpolation is exact, and the single
// random sum of NewGroup errs, in favour of a wrong tuple only, as often as it
// says: once in the order of the group.
func TestEveryThresholdInfo(t *testing.T) {
	for _, c := range [][2]int{{1, 1}, {1, 2}, {1, 3}, {2, 2}, {2, 3}, {3, 3}} {
		threshold, n := c[0], c[1]
		wrong, accepted := 0, 0
		ids := []int{0, 1, 2}[:n]
		tuples(n+1, q-1, func(v []int) {
			logs := make([]int, n+1) // of the key and the shares, none of them O
			for i := range v {
				logs[i] = v[i] + 1
			}
			ti := ThresholdInfo{T: threshold, ThreshPK: secp.SecretBaseMul(scalar(logs[0])).Bytes()}
			for _, y := range logs[1:] {
				b := secp.SecretBaseMul(scalar(y)).Bytes()
				ti.PubShares = append(ti.PubShares, b[:])
			}
			sum := 0
			for i := range ids {
				sum += coefficient(ids, i) * logs[i+1]
			}
			_, err := NewSignerSet(threshold, n, ti.ThreshPK[:], ids, ti.PubShares)
			if (err == nil) != (mod(sum-logs[0]) == 0) {
				t.Fatalf("%v: %v", logs, err)
			}
			right := interpolates(logs, threshold)
			err = ti.Validate()
			switch {
			case right && err != nil:
				t.Fatalf("%v: %v", logs, err)
			case !right:
				wrong++
				if err == nil {
					accepted++
				}
			}
		})
		if accepted*(q-3) > wrong || accepted*(q+3) < wrong {
			t.Errorf("t=%d, n=%d: %d of %d wrong groups are accepted, want about one in %d", threshold, n, accepted, wrong, q)
		}
	}
}

// interpolates reports whether the key, first, and the shares, which follow, lie
// on one polynomial of degree below t: the t first shares give all the others.
func interpolates(logs []int, t int) bool {
	for x := range logs {
		sum := 0
		for i := range t {
			num, den := 1, 1
			for k := range t {
				if k != i {
					num, den = mod(num*(x-k-1)), mod(den*(i-k))
				}
			}
			sum += num * inverse(den) * logs[i+1]
		}
		if mod(sum) != logs[x] {
			return false
		}
	}
	return true
}
