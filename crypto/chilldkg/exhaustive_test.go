//go:build toygroup

package chilldkg

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"frostfed/crypto/bip445"
	"frostfed/crypto/internal/secp"
	"frostfed/crypto/internal/shamir"
)

// Over the toy group key generation can be run with every polynomial, every bad
// share and every false complaint. What is expected is computed with plain
// integers.

const q = secp.ToyOrder

func mod(v int) int { return ((v % q) + q) % q }

func scalar(v int) secp.Scalar { return secp.ScalarFromUint(uint64(mod(v))) }

func number(s secp.Scalar) int {
	b := s.Bytes()
	return int(b[31])
}

// tuples calls f with all k-tuples of 0..q-1.
func tuples(k int, f func([]int)) {
	tuple := make([]int, k)
	for {
		f(slices.Clone(tuple))
		i := 0
		for ; i < k; i++ {
			if tuple[i]++; tuple[i] < q {
				break
			}
			tuple[i] = 0
		}
		if i == k {
			return
		}
	}
}

// subsets returns all sets of k of n ids.
func subsets(k, n int) (out [][]int) {
	for mask := range 1 << n {
		var ids []int
		for id := range n {
			if mask>>id&1 == 1 {
				ids = append(ids, id)
			}
		}
		if len(ids) == k {
			out = append(out, ids)
		}
	}
	return out
}

func eval(poly []int, id int) int {
	y := 0
	for k := len(poly) - 1; k >= 0; k-- {
		y = mod(y*(id+1) + poly[k])
	}
	return y
}

// toy is a ceremony of participants with the host secret keys 1, 2, 3, ...: there
// are six keys of different x.
type toy struct {
	*testing.T
	params  *SessionParams
	session SessionID
	keys    [][]byte
	draws   int
}

func newToy(t *testing.T, threshold, n int) *toy {
	f := &toy{T: t}
	var pubs [][]byte
	for i := range n {
		key := scalar(i + 1).Bytes()
		pub, err := HostPubkeyGen(key[:])
		if err != nil {
			t.Fatal(err)
		}
		f.keys, pubs = append(f.keys, key[:]), append(pubs, pub[:])
	}
	var err error
	if f.params, err = NewSessionParams(pubs, threshold); err != nil {
		t.Fatal(err)
	}
	f.session = f.params.SessionID([32]byte{1}, 0)
	return f
}

// draw returns new randomness.
func (f *toy) draw() []byte {
	f.draws++
	b := secp.NewTag("draw").Hash(b4(f.draws))
	return b[:]
}

// again calls attempt with new randomness until it works. In the toy group a
// hash is zero once in 13 times, and then nothing can be signed or proved.
func (f *toy) again(attempt func(random []byte) error) {
	f.Helper()
	for {
		err := attempt(f.draw())
		if err == nil {
			return
		}
		if !errors.Is(err, secp.ErrSign) && !errors.Is(err, secp.ErrDLEQ) && !errors.Is(err, secp.ErrScalar) {
			f.Fatal(err)
		}
	}
}

// honest deals as the protocol does and returns the polynomial with the dealing:
// the constant terms from nothing but the commitments.
func (f *toy) honest(id int) (dealing []byte, poly []int) {
	f.again(func(random []byte) (err error) {
		dealing, err = Deal(f.keys[id], f.params, f.session, random)
		return err
	})
	m, err := f.params.parsePmsg1(dealing[:f.params.pmsg1Size()])
	if err != nil {
		f.Fatal(err)
	}
	for _, com := range m.coms {
		a := 0
		for !secp.SecretBaseMul(scalar(a)).Equal(com) {
			a++
		}
		poly = append(poly, a)
	}
	return dealing, poly
}

// deal deals a chosen polynomial with a chosen encryption nonce and adds lies to
// the shares.
func (f *toy) deal(id int, poly []int, nu int, lies map[int]int) []byte {
	p := f.params
	nonce := secp.SecretBaseMul(scalar(nu)).Bytes()
	var b []byte
	for _, a := range poly {
		b = appendPoints(b, []secp.Point{secp.SecretBaseMul(scalar(a))})
	}
	f.again(func(random []byte) error {
		proof, err := pop.Sign(scalar(poly[0]), b4(id), [32]byte(random))
		if err == nil {
			b = append(b, proof[:]...)
		}
		return err
	})
	b = append(b, nonce[:]...)
	for j := range p.N() {
		pad := p.selfPad(scalar(id+1), nonce, id)
		if j != id {
			pad = p.ecdhPad(secp.SecretMul(scalar(nu), p.points[j]), nonce, j)
		}
		b = appendScalars(b, []secp.Scalar{pad.Add(scalar(eval(poly, j) + lies[j]))})
	}
	var pok [64]byte
	f.again(func(random []byte) (err error) {
		pok, err = noncePoK.Sign(scalar(nu), noncePoKMessage(f.session, id, b), [32]byte(random))
		return err
	})
	return append(b, pok[:]...)
}

func (f *toy) combine(dealings [][]byte) (*Round1, error) {
	f.Helper()
	opened, err := OpenDealings(f.params, f.session, dealings)
	if err != nil {
		f.Fatal(err)
	}
	return Combine(opened)
}

// step2 returns the signature of a participant, or the dealers it must accuse. In
// a session with a public share at infinity it returns neither.
func (f *toy) step2(r *Round1, id int) (state *ParticipantState2, sig []byte, bad []int) {
	f.again(func(random []byte) (err error) {
		state, sig, err = r.Step2(f.keys[id], r.dealings[id].bytes, random)
		if e, ok := errors.AsType[*BadSharesError](err); ok {
			bad = e.Dealers
			return nil
		}
		if e, ok := errors.AsType[*InfiniteShareError](err); ok {
			if r.keys != nil || e.Participant != r.infinite {
				f.Fatalf("%d says: %v", id, e)
			}
			return nil
		}
		return err
	})
	return state, sig, bad
}

// complain returns a complaint, or nil if the share is valid.
func (f *toy) complain(r *Round1, id, accused int) (complaint []byte) {
	f.again(func(random []byte) (err error) {
		complaint, err = r.Complain(f.keys[id], accused, random)
		if errors.Is(err, ErrShareValid) {
			return nil
		}
		return err
	})
	return complaint
}

// finish runs the session to its end.
func (f *toy) finish(r *Round1) (outs []*Output, recovery []byte) {
	n := f.params.N()
	states, sigs := make([]*ParticipantState2, n), make([][]byte, n)
	for id := range n {
		var bad []int
		if states[id], sigs[id], bad = f.step2(r, id); bad != nil {
			f.Fatalf("%d accuses %v of honest dealings", id, bad)
		}
	}
	for _, s := range states {
		for id, sig := range sigs {
			if err := s.AddCertSig(id, sig); err != nil {
				f.Fatal(err)
			}
		}
		out, data, ok := s.Finish()
		if !ok || (recovery != nil && !bytes.Equal(data, recovery)) {
			f.Fatal("certificate is incomplete or differs")
		}
		outs, recovery = append(outs, out), data
	}
	return outs, recovery
}

// TestEveryPolynomial has one participant deal every polynomial of degree below t
// <= 3, for all n <= 5, with others that deal as the protocol does. If the sum
// gives anybody a public share at infinity, nobody signs and nobody is accused.
// Else every t shares interpolate to the key, which they can sign with, and
// recovery data gives each share again.
func TestEveryPolynomial(t *testing.T) {
	for _, c := range [][2]int{{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}, {2, 2}, {2, 3}, {2, 4}, {2, 5}, {3, 3}, {3, 4}, {3, 5}} {
		threshold, n := c[0], c[1]
		f := newToy(t, threshold, n)
		others := make([][]byte, n)
		sum := make([]int, threshold)
		for id := 1; id < n; id++ {
			var poly []int
			others[id], poly = f.honest(id)
			for k := range poly {
				sum[k] += poly[k]
			}
		}
		keys, degenerate := 0, 0
		tuples(threshold, func(poly []int) {
			if poly[0] == 0 {
				return // convicted: TestZeroConstant
			}
			dealings := slices.Clone(others)
			dealings[0] = f.deal(0, poly, 1+keys%(q-1), nil)
			total := make([]int, threshold)
			for k := range total {
				total[k] = mod(sum[k] + poly[k])
			}
			round, err := f.combine(dealings)
			zero := total[0] == 0
			if !zero {
				x := secp.SecretBaseMul(scalar(total[0])).X()
				total[0] = mod(total[0] + number(secp.ReduceScalar(tagTapTweak.Hash(x[:]))))
				zero = total[0] == 0
			}
			if (err != nil) != zero {
				t.Fatalf("polynomial %v: %v", total, err)
			}
			infinite := -1
			for id := n - 1; id >= 0; id-- {
				if eval(total, id) == 0 {
					infinite = id // the first, as Combine names it
				}
			}
			if err != nil || infinite >= 0 {
				degenerate++
			}
			if err != nil {
				return
			}
			if infinite >= 0 {
				for id := range n {
					if state, _, bad := f.step2(round, id); state != nil || bad != nil || round.infinite != infinite {
						t.Fatalf("polynomial %v: %d signs or accuses %v", total, id, bad)
					}
				}
				return
			}
			outs, recovery := f.finish(round)
			f.check(total, outs, recovery)
			if keys++; threshold < 3 || keys%25 == 0 {
				f.sign(outs)
			}
		})
		if keys < degenerate/2 || keys == 0 {
			t.Errorf("t=%d, n=%d: %d keys, %d degenerate", threshold, n, keys, degenerate)
		}
	}
}

// check holds the outputs of a session against the polynomial they are of.
func (f *toy) check(poly []int, outs []*Output, recovery []byte) {
	f.Helper()
	n, key := f.params.N(), secp.SecretBaseMul(scalar(poly[0])).Bytes()
	for id, out := range outs {
		again, _, err := Recover(f.keys[id], recovery)
		if err != nil {
			f.Fatal(err)
		}
		for _, o := range []*Output{out, again} {
			share := scalar(eval(poly, id)).Bytes()
			if o.ThreshPK != key || !bytes.Equal(o.SecShare.Bytes(), share[:]) {
				f.Fatalf("key or share of %d of %v", id, poly)
			}
			for j := range n {
				if o.PubShares[j] != secp.SecretBaseMul(scalar(eval(poly, j))).Bytes() {
					f.Fatalf("public share %d of %v", j, poly)
				}
			}
		}
	}
	for _, ids := range subsets(f.params.T(), n) {
		var sum secp.Scalar
		for i, lambda := range shamir.Lagrange(ids) {
			share, err := secp.ParseScalar(outs[ids[i]].SecShare.Bytes())
			if err != nil {
				f.Fatal(err)
			}
			sum = sum.Add(lambda.Mul(share))
		}
		if number(sum) != poly[0] {
			f.Fatalf("shares of %v give %d, not %d", ids, number(sum), poly[0])
		}
	}
}

// sign has every t participants sign with the key they generated.
func (f *toy) sign(outs []*Output) {
	f.Helper()
	ti := bip445.ThresholdInfo{T: outs[0].T, ThreshPK: outs[0].ThreshPK}
	for _, p := range outs[0].PubShares {
		ti.PubShares = append(ti.PubShares, slices.Clone(p[:]))
	}
	group, err := bip445.NewGroup(ti)
	if err != nil {
		f.Fatal(err)
	}
	for _, ids := range subsets(f.params.T(), f.params.N()) {
		signers := make([]*bip445.Signer, len(ids))
		for i, id := range ids {
			if signers[i], err = bip445.NewSigner(id, outs[id].SecShare.Bytes()); err != nil {
				f.Fatal(err)
			}
		}
		set, err := group.SignerSet(ids)
		if err != nil {
			f.Fatal(err)
		}
		f.signWith(set, group.TweakCtx(), signers)
	}
}

// signWith draws nonces until a signature comes out. With honest shares it does
// unless a hash or the sum of the nonces is zero, in at most 3 of 13 cases.
func (f *toy) signWith(set *bip445.SignerSet, key bip445.TweakCtx, signers []*bip445.Signer) {
	f.Helper()
	msg := []byte("message")
	for range 40 {
		secs, pubs := make([]*bip445.SecNonce, len(signers)), make([]bip445.PubNonce, len(signers))
		for i := range signers {
			for secs[i] == nil {
				secs[i], pubs[i], _ = bip445.NonceGen(bytes.NewReader(f.draw()), bip445.NonceInput{})
			}
		}
		s, err := bip445.NewSession(set, key, bip445.NonceAgg(pubs), msg)
		if err != nil {
			continue
		}
		psigs := make([][32]byte, len(signers))
		for i := range signers {
			if psigs[i], err = signers[i].Sign(&s, secs[i]); err != nil {
				f.Fatal(err)
			}
		}
		if sig, err := s.PartialSigAgg(psigs); err == nil {
			if !key.Verify(msg, sig[:]) {
				f.Fatal("signature does not verify")
			}
			return
		}
		if culprits, err := s.Culprits(pubs, psigs); err != nil || culprits != nil {
			f.Fatalf("culprits %v, %v", culprits, err)
		}
	}
	f.Fatal("no signature with 40 draws of nonces")
}

// TestZeroConstant convicts every dealer of a polynomial without secret, whatever
// the rest of it.
func TestZeroConstant(t *testing.T) {
	f := newToy(t, 2, 2)
	tuples(1, func(rest []int) {
		dealing := f.deal(0, []int{1, rest[0]}, 1, nil)
		copy(dealing, make([]byte, 33))
		_, err := OpenDealing(f.params, f.session, 0, dealing)
		if e, ok := errors.AsType[*FaultyParticipantError](err); !ok || e.Participant != 0 {
			t.Errorf("got %v", err)
		}
	})
}

// TestFewerSharesSayNothing counts, for every set of fewer than t ids and every
// value of their shares, the polynomials that explain them: each secret has
// equally many. t shares leave one secret.
func TestFewerSharesSayNothing(t *testing.T) {
	for threshold := 1; threshold <= 3; threshold++ {
		const n = 5
		for k := 0; k <= threshold; k++ {
			for _, ids := range subsets(k, n) {
				count := make(map[[3]int]*[q]int)
				tuples(threshold, func(poly []int) {
					coeffs := make([]secp.Scalar, threshold)
					for i, a := range poly {
						coeffs[i] = scalar(a)
					}
					view := [3]int{}
					for i, id := range ids {
						view[i] = number(evalSecret(coeffs, id))
					}
					if count[view] == nil {
						count[view] = new([q]int)
					}
					count[view][poly[0]]++
				})
				each := 1 // polynomials for one view and secret: q^(t-1-k)
				for range threshold - 1 - k {
					each *= q
				}
				for view, secrets := range count {
					possible := 0
					for _, polynomials := range secrets {
						if polynomials != 0 {
							possible++
						}
						if k < threshold && polynomials != each {
							t.Fatalf("t=%d: shares %v of %v are explained by %v", threshold, view[:k], ids, secrets)
						}
					}
					if k == threshold && possible != 1 {
						t.Fatalf("t=%d: shares %v of %v leave %d secrets", threshold, view[:k], ids, possible)
					}
				}
			}
		}
	}
}

// TestEveryBadShare has one dealer send every wrong value to every set of the
// others. Exactly these accuse it and nobody else, each complaint convicts it,
// and nobody who got a valid share can complain.
func TestEveryBadShare(t *testing.T) {
	const n, cheat = 3, 0
	f := newToy(t, 2, n)
	others := make([][]byte, n)
	others[1], _ = f.honest(1)
	others[2], _ = f.honest(2)
	convictions := 0
	tuples(2, func(poly []int) {
		if poly[0] == 0 {
			return
		}
		for lie := range q * 3 {
			lies := map[int]int{}
			if lie/q != 0 {
				lies[1] = lie % q
			}
			if lie/q != 1 {
				lies[2] = mod(lie * (1 + poly[1]%(q-1)))
			}
			dealings := slices.Clone(others)
			dealings[cheat] = f.deal(cheat, poly, 1+lie%(q-1), lies)
			round, err := f.combine(dealings)
			if err != nil {
				return // no key whatever the shares: TestEveryPolynomial
			}
			for id := range n {
				state, _, bad := f.step2(round, id)
				cheated := lies[id] != 0
				if cheated != slices.Equal(bad, []int{cheat}) || (state != nil) != (!cheated && round.keys != nil) {
					t.Fatalf("lies %v: %d accuses %v", lies, id, bad)
				}
				if id == cheat {
					continue
				}
				complaint := f.complain(round, id, cheat)
				if (complaint != nil) != cheated {
					t.Fatalf("lies %v: complaint of %d: %x", lies, id, complaint)
				}
				if other := 3 - id; f.complain(round, id, other) != nil {
					t.Fatalf("lies %v: %d can complain about %d", lies, id, other)
				}
				if complaint == nil {
					continue
				}
				if guilty, err := Judge(f.params, f.session, id, complaint, dealings[cheat]); err != nil || guilty != cheat {
					t.Fatalf("lies %v: %d is guilty, %v", lies, guilty, err)
				}
				convictions++
			}
		}
	})
	t.Logf("%d convictions", convictions)
}

// TestEveryPairOfBadShares has two dealers add all values to the share of a
// third. Lies that cancel do no harm and are not seen; all others are, and
// exactly the liars are accused and convicted.
func TestEveryPairOfBadShares(t *testing.T) {
	const n, victim = 3, 2
	f := newToy(t, 2, n)
	own, _ := f.honest(victim)
	tuples(2, func(lies []int) {
		dealings := [][]byte{
			f.deal(0, []int{1, 2}, 3, map[int]int{victim: lies[0]}),
			f.deal(1, []int{4, 5}, 6, map[int]int{victim: lies[1]}),
			own,
		}
		round, err := f.combine(dealings)
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for id, lie := range lies {
			if lie != 0 && mod(lies[0]+lies[1]) != 0 {
				want = append(want, id)
			}
		}
		_, _, bad := f.step2(round, victim)
		if !slices.Equal(bad, want) {
			t.Fatalf("lies %v: accused are %v, want %v", lies, bad, want)
		}
		for _, id := range bad {
			if guilty, err := Judge(f.params, f.session, victim, f.complain(round, victim, id), dealings[id]); err != nil || guilty != id {
				t.Fatalf("lies %v: %d is guilty, %v", lies, guilty, err)
			}
		}
	})
}

// TestEveryFalseComplaint tries, against an honest dealer, every point that a
// complainant can claim to be the shared one and every proof. The complainant
// is guilty, unless the proof of a false point is accepted, which takes a hash
// that hits one of 13 challenges, and the wrong pad then makes the share look
// bad. In the real group no hash hits.
func TestEveryFalseComplaint(t *testing.T) {
	const complainant, accused = 1, 0
	f := newToy(t, 2, 2)
	H := f.params.points[complainant]
	msg := secp.NewTag("frostfed/v1/complaint").Hash(f.session[:], b4(complainant), b4(accused))
	tag := secp.NewTag("BIP0374/challenge")
	complaints, coincidences := 0, 0
	for nu := 1; nu < q; nu++ {
		poly := []int{nu, mod(5 * nu)}
		dealing := f.deal(accused, poly, nu, nil)
		d, err := OpenDealing(f.params, f.session, accused, dealing)
		if err != nil {
			t.Fatal(err)
		}
		truth := mod(nu * (complainant + 1))
		for claim := 1; claim < q; claim++ {
			S := secp.SecretBaseMul(scalar(claim))
			pad := number(f.params.ecdhPad(S, d.msg.nonce, complainant))
			looksBad := mod(number(d.msg.shares[complainant])-pad) != eval(poly, complainant)
			tuples(2, func(v []int) {
				s, e := v[0], v[1]
				r1, r2 := mod(s-e*(complainant+1)), mod(s*nu-e*claim)
				var hash [32]byte
				if r1 != 0 && r2 != 0 {
					points := appendPoints(nil, []secp.Point{H, d.nonce, S, secp.Generator(), secp.SecretBaseMul(scalar(r1)), secp.SecretBaseMul(scalar(r2))})
					hash = tag.Hash(points, msg[:])
				}
				hit := r1 != 0 && r2 != 0 && number(secp.ReduceScalar(hash)) == e
				b := appendPoints(append(b4(complainant), b4(accused)...), []secp.Point{S})
				b = append(b, hash[:]...)
				b = appendScalars(b, []secp.Scalar{scalar(s)})
				want := complainant
				if hit && looksBad {
					if claim == truth {
						t.Fatal("an honest share looks bad")
					}
					want = accused
					coincidences++
				}
				complaints++
				if guilty, err := Judge(f.params, f.session, complainant, b, dealing); err != nil || guilty != want {
					t.Fatalf("nonce %d, claim %d, s %d, e %d: %d is guilty, %v", nu, claim, s, e, guilty, err)
				}
			})
		}
	}
	t.Logf("%d of %d false complaints convict by coincidence", coincidences, complaints)
}
