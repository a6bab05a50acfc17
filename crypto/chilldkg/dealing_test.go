//go:build !toygroup

package chilldkg

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"frostfed/crypto/internal/complaint"
	"frostfed/crypto/internal/secp"
)

// TestOpenDealingConvicts breaks a dealing in every part that can be checked
// without secrets.
func TestOpenDealingConvicts(t *testing.T) {
	f := newFixture(t, 3, 4, 1)
	honest := f.deal(t, 1)
	_, err := OpenDealing(f.params, f.session, 1, honest)
	must(t, err)

	const popAt, nonceAt, sharesAt = 3 * 33, 3*33 + 64, 3*33 + 64 + 33
	patch := func(at int, b ...byte) []byte {
		d := bytes.Clone(honest)
		copy(d[at:], b)
		return d
	}
	with := func(change func(m *mallory)) []byte {
		m := f.mallory(1)
		change(m)
		return m.deal(t)
	}
	other, err := OpenDealing(f.params, f.session, 0, f.deal(t, 0))
	must(t, err)
	ff := bytes.Repeat([]byte{0xff}, 32)
	replay := f.params.SessionID([32]byte(bytes32("ceremony 1")), 1)
	again, err := Deal(f.keys[1], f.params, replay, bytes32("random 1"))
	must(t, err)
	if !bytes.Equal(again[:f.params.pmsg1Size()], honest[:f.params.pmsg1Size()]) {
		t.Fatal("fixture is not deterministic")
	}

	for name, dealing := range map[string][]byte{
		"empty":                    {},
		"truncated":                honest[:len(honest)-1],
		"appended":                 append(bytes.Clone(honest), 0),
		"commitment prefix 04":     patch(33, 4),
		"commitment 00 with bytes": patch(33, 0),
		"commitment x >= p":        patch(34, ff...),
		"commitment to zero":       with(func(m *mallory) { m.coeffs[0] = secp.Scalar{} }),
		"proof of possession":      patch(popAt, honest[popAt]^1),
		"nonce is O":               patch(nonceAt, make([]byte, 33)...),
		"nonce prefix 06":          patch(nonceAt, 6),
		"foreign nonce":            patch(nonceAt, other.msg.nonce[:]...),
		"share >= order":           patch(sharesAt, ff...),
		"another share":            patch(sharesAt+31, honest[sharesAt+31]^1),
		"nonce proof":              patch(len(honest)-1, honest[len(honest)-1]^1),
		"nonce proof >= order":     patch(len(honest)-32, ff...),
		"another attempt":          again,
		"dealing of another":       other.bytes,
		"proof of another id":      with(func(m *mallory) { m.popID = 2 }),
		"rogue key": with(func(m *mallory) {
			m.change = func(coms []secp.Point, _ []secp.Scalar) { coms[0] = coms[0].Sub(other.msg.coms[0]) }
		}),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := OpenDealing(f.params, f.session, 1, dealing)
			wantFaulty(t, err, 1)
			if d != nil {
				t.Error("a faulty dealing was opened")
			}
		})
	}
}

// TestInfiniteCommitments covers what is allowed: a polynomial of lower degree,
// and commitments whose sum vanishes.
func TestInfiniteCommitments(t *testing.T) {
	f := newFixture(t, 2, 2, 1)
	lower, cancel := f.mallory(0), f.mallory(1)
	lower.coeffs[1] = secp.Scalar{}
	f.run(t, [][]byte{lower.deal(t), f.deal(t, 1)})

	opposite := f.mallory(0)
	opposite.coeffs[1] = cancel.coeffs[1].Neg()
	outs, recovery := f.run(t, [][]byte{opposite.deal(t), cancel.deal(t)})
	if k1 := recovery[4+33 : 4+66]; !bytes.Equal(k1, make([]byte, 33)) {
		t.Errorf("K_1 is %x, want O", k1)
	}
	if outs[0].PubShares[0] != outs[0].ThreshPK || outs[0].PubShares[1] != outs[0].ThreshPK {
		t.Error("shares of a constant differ from the key")
	}
	_, _, err := Recover(f.keys[0], recovery)
	must(t, err)
}

// TestSteeredPublicShare lets mallory, who has seen the honest dealing, choose
// her polynomial so that her own public share is O, which has no encoding.
func TestSteeredPublicShare(t *testing.T) {
	f := newFixture(t, 2, 2, 1)
	honest := f.deal(t, 0)
	opened, err := OpenDealing(f.params, f.session, 0, honest)
	must(t, err)
	h, err := parseHostSeckey(f.keys[1])
	must(t, err)
	received := opened.msg.shares[1].Sub(f.params.ecdhPad(secp.SecretMul(h, opened.nonce), opened.msg.nonce, 1))

	m := f.mallory(1)
	x := opened.msg.coms[0].Add(secp.SecretBaseMul(m.coeffs[0])).X()
	tweak := secp.ReduceScalar(tagTapTweak.Hash(x[:]))
	two := secp.ScalarFromUint(2) // mallory's coordinate
	m.coeffs[1] = received.Add(m.coeffs[0]).Add(tweak).Neg().Mul(two.InverseVartime())
	round, err := Combine(f.open(t, [][]byte{honest, m.deal(t)}))
	must(t, err)
	_, _, err = round.Step2(f.keys[0], honest, bytes32("aux"))
	if e, ok := errors.AsType[*InfiniteShareError](err); !ok || e.Participant != 1 {
		t.Fatalf("got %v", err)
	}
}

// TestSteeredVictim lets mallory, who knows the others' commitments, choose one of
// which she does not know the logarithm, so that the public share of an honest
// participant is O. The honest convict her and nobody else.
func TestSteeredVictim(t *testing.T) {
	const n, mallory, victim = 4, 3, 1
	f := newFixture(t, 3, n, 1)
	dealings := f.dealAll(t)
	opened := f.open(t, dealings)
	m := f.mallory(mallory)
	m.change = func(coms []secp.Point, _ []secp.Scalar) {
		sum := slices.Clone(coms)
		for i, d := range opened {
			for k := range sum {
				if i != mallory {
					sum[k] = sum[k].Add(d.msg.coms[k])
				}
			}
		}
		x := sum[0].X()
		sum[0] = sum[0].Add(secp.SecretBaseMul(secp.ReduceScalar(tagTapTweak.Hash(x[:]))))
		y := evalPublic(sum, victim) // C_1 counts (victim+1) times in it
		coms[1] = coms[1].Sub(secp.SecretMul(secp.ScalarFromUint(victim+1).InverseVartime(), y))
	}
	dealings[mallory] = m.deal(t)
	round, err := Combine(f.open(t, dealings))
	must(t, err)
	if round.keys != nil || round.infinite != victim {
		t.Fatalf("the public share of %d is not infinite", victim)
	}
	for id := range mallory {
		_, _, err := round.Step2(f.keys[id], dealings[id], bytes32("aux"))
		bad, ok := errors.AsType[*BadSharesError](err)
		if !ok || !slices.Equal(bad.Dealers, []int{mallory}) {
			t.Fatalf("participant %d: %v", id, err)
		}
		complaint, err := round.Complain(f.keys[id], mallory, bytes32("aux"))
		must(t, err)
		if guilty, err := Judge(f.params, f.session, id, complaint, dealings[mallory]); err != nil || guilty != mallory {
			t.Fatalf("guilty is %d, %v", guilty, err)
		}
	}
}

func TestCombineRejectsForeignDealings(t *testing.T) {
	f, g := newFixture(t, 2, 3, 1), newFixture(t, 2, 3, 2)
	ds, foreign := f.open(t, f.dealAll(t)), g.open(t, g.dealAll(t))
	for name, dealings := range map[string][]*Dealing{
		"none":          nil,
		"one missing":   ds[:2],
		"permuted":      {ds[1], ds[0], ds[2]},
		"twice":         {ds[0], ds[1], ds[1]},
		"other session": {ds[0], ds[1], foreign[2]},
	} {
		if _, err := Combine(dealings); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestBadShares has mallory cheat one, t-1 and all of the others. Exactly the
// cheated complain, the others could not if they tried, and every verdict is
// mallory.
func TestBadShares(t *testing.T) {
	const n, cheat = 5, 2
	f := newFixture(t, 3, n, 1)
	for _, victims := range [][]int{{0}, {1, 4}, {0, 1, 3, 4}} {
		m := f.mallory(cheat)
		m.change = func(_ []secp.Point, shares []secp.Scalar) {
			for _, v := range victims {
				shares[v] = shares[v].Add(secp.ScalarFromUint(1))
			}
		}
		dealings := f.dealAll(t)
		dealings[cheat] = m.deal(t)
		round := f.combine(t, dealings)
		for id := range n {
			state, sig, err := round.Step2(f.keys[id], dealings[id], bytes32("aux"))
			if !slices.Contains(victims, id) {
				must(t, err)
				if id == cheat {
					continue
				}
				if _, err := round.Complain(f.keys[id], cheat, bytes32("aux")); !errors.Is(err, ErrShareValid) {
					t.Errorf("%d, not cheated, complains: %v", id, err)
				}
				continue
			}
			var bad *BadSharesError
			if !errors.As(err, &bad) || !slices.Equal(bad.Dealers, []int{cheat}) || state != nil || sig != nil {
				t.Fatalf("%d: got %v", id, err)
			}
			complaint, err := round.Complain(f.keys[id], cheat, bytes32("aux"))
			must(t, err)
			if guilty, err := Judge(f.params, f.session, id, complaint, dealings[cheat]); err != nil || guilty != cheat {
				t.Errorf("%d is guilty, %v", guilty, err)
			}
			if _, err := Judge(f.params, f.session, (id+1)%n, complaint, dealings[cheat]); !errors.Is(err, ErrMalformed) {
				t.Errorf("complaint in the name of another: %v", err)
			}
		}
	}
}

// TestTwoCheats lists both dealers of bad shares, also where their errors cancel
// only in part.
func TestTwoCheats(t *testing.T) {
	f := newFixture(t, 2, 4, 1)
	dealings := f.dealAll(t)
	for i, id := range []int{1, 3} {
		m := f.mallory(id)
		m.change = func(_ []secp.Point, shares []secp.Scalar) {
			shares[0] = shares[0].Add(secp.ScalarFromUint(uint64(i + 1)).NegIf(i == 1))
		}
		dealings[id] = m.deal(t)
	}
	_, _, err := f.combine(t, dealings).Step2(f.keys[0], dealings[0], bytes32("aux"))
	var bad *BadSharesError
	if !errors.As(err, &bad) || !slices.Equal(bad.Dealers, []int{1, 3}) {
		t.Errorf("got %v", err)
	}
}

// TestFalseComplaint forges complaints about an honest dealer.
func TestFalseComplaint(t *testing.T) {
	f := newFixture(t, 2, 3, 1)
	dealings := f.dealAll(t)
	honest := f.open(t, dealings)[0]
	h, err := parseHostSeckey(f.keys[1])
	must(t, err)
	forge := func(key secp.Scalar, base secp.Point, session SessionID) []byte {
		b, _, err := complaint.Make(key, session, 1, 0, base, [32]byte{})
		must(t, err)
		return b
	}
	for name, b := range map[string][]byte{
		"of a valid share":   forge(h, honest.nonce, f.session),
		"with another key":   forge(h.Add(h), honest.nonce, f.session),
		"of another nonce":   forge(h, secp.Generator(), f.session),
		"of another session": forge(h, honest.nonce, SessionID{}),
	} {
		if guilty, err := Judge(f.params, f.session, 1, b, dealings[0]); err != nil || guilty != 1 {
			t.Errorf("%s: %d is guilty, %v", name, guilty, err)
		}
	}
}

func TestStep2Guards(t *testing.T) {
	f := newFixture(t, 2, 3, 1)
	dealings := f.dealAll(t)
	round := f.combine(t, dealings)
	for _, c := range []struct {
		name          string
		key, own, aux []byte
		want          error
	}{
		{"own dealing replaced", f.keys[0], dealings[1], bytes32("aux"), ErrOwnMessage},
		{"foreign key", bytes32("stranger"), dealings[0], bytes32("aux"), ErrHostSeckey},
		{"short key", f.keys[0][1:], dealings[0], bytes32("aux"), ErrMalformed},
		{"short aux", f.keys[0], dealings[0], nil, ErrMalformed},
	} {
		if _, _, err := round.Step2(c.key, c.own, c.aux); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	for _, accused := range []int{-1, 0, 3} {
		if _, err := round.Complain(f.keys[0], accused, bytes32("aux")); !errors.Is(err, ErrMalformed) {
			t.Errorf("complaint about %d: got %v", accused, err)
		}
	}
	if _, err := Deal(f.keys[0], f.params, f.session, make([]byte, 32)); !errors.Is(err, ErrRandomness) {
		t.Errorf("zero randomness: got %v", err)
	}
}

// TestCertificate adds signatures in the wrong places before the right ones.
func TestCertificate(t *testing.T) {
	f := newFixture(t, 2, 3, 1)
	dealings := f.dealAll(t)
	round := f.combine(t, dealings)
	states, sigs := make([]*ParticipantState2, 3), make([][]byte, 3)
	for i := range states {
		var err error
		states[i], sigs[i], err = round.Step2(f.keys[i], dealings[i], bytes32("aux"))
		must(t, err)
		must(t, VerifyCertSig(f.params, i, round.EqInput(), sigs[i]))
	}
	s := states[0]
	wantFaulty(t, s.AddCertSig(1, sigs[2]), 1)
	wantFaulty(t, s.AddCertSig(1, sigs[1][:63]), 1)
	must(t, s.AddCertSig(1, sigs[1]))
	must(t, s.AddCertSig(1, sigs[1]))
	if _, _, ok := s.Finish(); ok {
		t.Fatal("finished without a signature")
	}
	must(t, s.AddCertSig(2, sigs[2]))
	out, recovery, ok := s.Finish()
	if !ok {
		t.Fatal("not finished with all signatures")
	}
	if !bytes.Equal(recovery[:len(recovery)-3*64], round.EqInput()) {
		t.Error("recovery data does not begin with eq_input")
	}
	s.Wipe()
	if !bytes.Equal(out.SecShare.Bytes(), make([]byte, 32)) {
		t.Error("share survives Wipe")
	}
}

// TestInvestigation finds the cheat with the help of the coordinator, and the
// coordinator if it is the cheat.
func TestInvestigation(t *testing.T) {
	f := newFixture(t, 2, 3, 1)
	m := f.mallory(2)
	m.change = func(_ []secp.Point, shares []secp.Scalar) { shares[0] = secp.ScalarFromUint(1) }
	dealings := f.dealAll(t)
	dealings[2] = m.deal(t)
	pmsgs1 := make([][]byte, 3)
	for i, d := range dealings {
		pmsgs1[i] = d[:f.params.pmsg1Size()]
	}
	_, cmsg1, err := CoordinatorStep1(pmsgs1, f.params)
	must(t, err)
	cinvs, err := CoordinatorInvestigate(pmsgs1, f.params)
	must(t, err)
	state, err := RestoreParticipantState1(f.params, 0, pmsgs1[0])
	must(t, err)
	step2 := func(cmsg1 []byte) *UnknownFaultyParticipantOrCoordinatorError {
		_, _, err := ParticipantStep2(f.keys[0], state, cmsg1, bytes32("aux"))
		var unknown *UnknownFaultyParticipantOrCoordinatorError
		if !errors.As(err, &unknown) {
			t.Fatalf("step 2: got %v", err)
		}
		return unknown
	}
	var either *FaultyParticipantOrCoordinatorError
	if err := ParticipantInvestigate(step2(cmsg1), cinvs[0]); !errors.As(err, &either) || either.Participant != 2 {
		t.Errorf("cheating participant: got %v", err)
	}
	// The coordinator changes E_0, the first of the last three scalars.
	fiddled := bytes.Clone(cmsg1)
	fiddled[len(fiddled)-3*32+31] ^= 1
	var coordinator *FaultyCoordinatorError
	if err := ParticipantInvestigate(step2(fiddled), cinvs[0]); !errors.As(err, &coordinator) {
		t.Errorf("cheating coordinator: got %v", err)
	}
	if err := ParticipantInvestigate(step2(cmsg1), cinvs[0][1:]); !errors.Is(err, ErrMalformed) {
		t.Errorf("short message: got %v", err)
	}
}

// TestOpenDealingsConvictsAll has enough participants for batches. Every culprit
// is found, the same as singly.
func TestOpenDealingsConvictsAll(t *testing.T) {
	const n = 10
	f := newFixture(t, 2, n, 1)
	for _, culprits := range [][]int{{0}, {9}, {2, 3}, {1, 5, 7, 8}, upTo(n)} {
		dealings := f.dealAll(t)
		for i, id := range culprits {
			m := f.mallory(id)
			switch i % 4 {
			case 0:
				m.popID++
			case 1:
				m.coeffs[0] = secp.Scalar{}
			}
			dealings[id] = m.deal(t)
			switch i % 4 {
			case 2:
				dealings[id][len(dealings[id])-1] ^= 1
			case 3:
				dealings[id] = dealings[id][1:]
			}
		}
		_, err := OpenDealings(f.params, f.session, dealings)
		var faults *FaultyParticipantsError
		if !errors.As(err, &faults) {
			t.Fatalf("%v: got %v", culprits, err)
		}
		var got []int
		for _, fault := range faults.Faults {
			got = append(got, fault.Participant)
			_, err := OpenDealing(f.params, f.session, fault.Participant, dealings[fault.Participant])
			wantFaulty(t, err, fault.Participant)
		}
		if !slices.Equal(got, culprits) {
			t.Errorf("convicted %v, want %v", got, culprits)
		}
		wantFaulty(t, err, culprits[0])
	}
	if _, err := OpenDealings(f.params, f.session, nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no dealings: got %v", err)
	}
}

// TestBatchOfCertificate finds the bad signature of a certificate that is large
// enough for batches.
func TestBatchOfCertificate(t *testing.T) {
	const n = 10
	f := newFixture(t, 2, n, 1)
	dealings := f.dealAll(t)
	_, recovery := f.run(t, dealings)
	pmsgs1, pmsgs2 := make([][]byte, n), make([][]byte, n)
	for i := range n {
		pmsgs1[i] = dealings[i][:f.params.pmsg1Size()]
		pmsgs2[i] = bytes.Clone(recovery[len(recovery)-64*(n-i):][:64])
	}
	state, _, err := CoordinatorStep1(pmsgs1, f.params)
	must(t, err)
	_, _, _, err = CoordinatorFinalize(state, pmsgs2)
	must(t, err)
	pmsgs2[7][63] ^= 1
	pmsgs2[9][63] ^= 1
	_, _, _, err = CoordinatorFinalize(state, pmsgs2)
	wantFaulty(t, err, 7)
}
