//go:build !toygroup

package rfc9591

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/bytemare/ecc"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/complaint"
	"frostfed/crypto/internal/secp"
)

// TestSuitesAreSeparate: with the same host keys, ceremony and randomness,
// sessions of two suites have nothing in common, nor with ChillDKG's.
func TestSuitesAreSeparate(t *testing.T) {
	sessions, secrets := make(map[chilldkg.SessionID]Suite), make(map[string]Suite)
	for _, suite := range Suites() {
		f := newFixture(t, suite, 2, 3)
		if other, seen := sessions[f.session]; seen || f.session == f.params.Hosts().SessionID([32]byte(bytes32("ceremony")), 0) {
			t.Errorf("%v shares its session with %v or with ChillDKG", suite, other)
		}
		sessions[f.session] = suite
		_, shares := f.run(t)
		for _, s := range shares {
			if other, seen := secrets[string(s.secret)]; seen {
				t.Errorf("%v and %v have the same share", suite, other)
			}
			secrets[string(s.secret)] = suite
		}
	}
	// Both groups have the same curve and order; the shares differ all the same.
	f := newFixture(t, Secp256k1, 2, 3)
	session := f.params.Hosts().SessionID([32]byte(bytes32("ceremony")), 0)
	var dealings [][]byte
	for id := range f.keys {
		d, err := chilldkg.Deal(f.keys[id], f.params.Hosts(), session, bytes32("random %d", id))
		must(t, err)
		dealings = append(dealings, d)
	}
	opened, err := chilldkg.OpenDealings(f.params.Hosts(), session, dealings)
	must(t, err)
	round, err := chilldkg.Combine(opened)
	must(t, err)
	state, _, err := round.Step2(f.keys[0], dealings[0], bytes32("aux"))
	must(t, err)
	defer state.Wipe()
	if _, err := OpenDealings(f.params, f.session, dealings); err == nil {
		t.Error("dealings of ChillDKG open as dealings of RFC 9591")
	}
	if _, _, err := Recover(nil, round.EqInput()); !errors.Is(err, chilldkg.ErrRecoveryData) {
		t.Errorf("recovery data of ChillDKG: %v", err)
	}
	if _, _, err := chilldkg.Recover(nil, f.certify(t, f.dealAll(t))); !errors.Is(err, chilldkg.ErrRecoveryData) {
		t.Errorf("recovery data of RFC 9591 in ChillDKG: %v", err)
	}
}

// TestDealingIsDeterministic: a restart sends the same bytes, another session
// others.
func TestDealingIsDeterministic(t *testing.T) {
	f := newFixture(t, Ed25519, 2, 3)
	if !bytes.Equal(f.deal(t, 1), f.deal(t, 1)) {
		t.Error("one session, two dealings")
	}
	g := newFixture(t, Ed25519, 2, 3)
	g.session[0]++
	a, b := f.deal(t, 1), g.deal(t, 1)
	if size := Ed25519.PublicKeySize(); bytes.Equal(a[1:1+size], b[1:1+size]) {
		t.Error("one polynomial in two sessions")
	}
}

// TestBadDealings: whatever is wrong with a dealing convicts its dealer, alone.
func TestBadDealings(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		f := newFixture(t, suite, 2, 3)
		honest := f.dealAll(t)
		size, scalars := suite.PublicKeySize(), f.params.bodySize()-scalarSize*3
		with := func(change func(m *mallory)) []byte {
			m := f.mallory(1)
			change(m)
			return m.deal(t)
		}
		edit := func(at int, with []byte) []byte {
			b := bytes.Clone(honest[1])
			copy(b[at:], with)
			return b
		}
		g := suite.group()
		cases := map[string][]byte{
			"empty":                   {},
			"too long":                append(bytes.Clone(honest[1]), 0),
			"another suite":           edit(0, []byte{byte(suite)%4 + 1}),
			"of another participant":  honest[2],
			"identity as commitment":  edit(1+size, make([]byte, size)),
			"commitment not decoding": edit(1+size, bytes.Repeat([]byte{0xff}, size)),
			"scalar too large":        edit(scalars, bytes.Repeat([]byte{0xff}, scalarSize)),
			"nonce not decoding":      edit(scalars-33, make([]byte, 33)),
			"nonce of another":        edit(scalars-33, honest[2][scalars-33:scalars]),
			"changed share":           edit(scalars, make([]byte, scalarSize)),
			"identity committed":      with(func(m *mallory) { m.change = func(c []*ecc.Element, _ []*ecc.Scalar) { c[0] = g.NewElement() } }),
			"possession of another":   with(func(m *mallory) { m.popID = 2 }),
			"possession elsewhere":    with(func(m *mallory) { m.session[0]++ }),
			"rogue key": with(func(m *mallory) {
				m.change = func(coms []*ecc.Element, _ []*ecc.Scalar) {
					other, err := suite.element(honest[0][1 : 1+size])
					must(t, err)
					coms[0].Subtract(other)
				}
			}),
		}
		for name, dealing := range cases {
			_, err := OpenDealings(f.params, f.session, [][]byte{honest[0], dealing, honest[2]})
			var faults *chilldkg.FaultyParticipantsError
			if !errors.As(err, &faults) || len(faults.Faults) != 1 || faults.Faults[0].Participant != 1 {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, err := OpenDealings(f.params, f.session, [][]byte{honest[0], with(func(*mallory) {}), honest[2]}); err != nil {
			t.Errorf("mallory deals as the others do: %v", err)
		}
		if _, err := OpenDealings(f.params, f.session, honest[:2]); !errors.Is(err, chilldkg.ErrMalformed) {
			t.Errorf("two of three dealings: %v", err)
		}
	})
}

// TestBadShares: who is cheated complains, and everybody convicts the dealer; who
// is not cannot complain.
func TestBadShares(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		f := newFixture(t, suite, 2, 4)
		dealings := f.dealAll(t)
		m := f.mallory(3)
		m.change = func(_ []*ecc.Element, shares []*ecc.Scalar) {
			shares[0].Add(suite.group().NewScalar().One())
			shares[2].Zero()
		}
		dealings[3] = m.deal(t)
		round := f.combine(t, dealings)
		for id := range 4 {
			_, err := round.Certify(f.keys[id], dealings[id], bytes32("aux"))
			if id == 1 || id == 3 {
				must(t, err)
				if _, err := round.Complain(f.keys[id], (id+1)%4, bytes32("aux")); !errors.Is(err, chilldkg.ErrShareValid) {
					t.Errorf("%d complains for nothing: %v", id, err)
				}
				continue
			}
			var bad *chilldkg.BadSharesError
			if !errors.As(err, &bad) || !slices.Equal(bad.Dealers, []int{3}) {
				t.Fatalf("%d: got %v", id, err)
			}
			c, err := round.Complain(f.keys[id], 3, bytes32("aux"))
			must(t, err)
			if guilty, err := Judge(f.params, f.session, id, c, dealings[3]); err != nil || guilty != 3 {
				t.Errorf("guilty is %d, %v", guilty, err)
			}
			if _, err := Judge(f.params, f.session, 1, c, dealings[3]); !errors.Is(err, chilldkg.ErrMalformed) {
				t.Errorf("complaint in the name of another: %v", err)
			}
			for _, at := range []int{8, 41, 73} { // S, and both halves of the proof
				forged := bytes.Clone(c)
				forged[at+5] ^= 1
				if guilty, err := Judge(f.params, f.session, id, forged, dealings[3]); err != nil || guilty != id {
					t.Errorf("forged complaint: guilty is %d, %v", guilty, err)
				}
			}
		}
	})
}

// TestFalseComplaint: about an honest dealer it convicts its author, whatever is
// in it; about a dealer without nonce proof it convicts the dealer.
func TestFalseComplaint(t *testing.T) {
	f := newFixture(t, P256, 2, 3)
	dealings := f.dealAll(t)
	round := f.combine(t, dealings)
	h, err := secp.ParseScalarNonZero(f.keys[1])
	must(t, err)
	for name, c := range map[string]struct {
		key     secp.Scalar
		nonce   secp.Point
		session chilldkg.SessionID
	}{
		"of a valid share":   {h, round.dealings[0].point, f.session},
		"with another key":   {h.Add(h), round.dealings[0].point, f.session},
		"of another nonce":   {h, secp.Generator(), f.session},
		"of another session": {h, round.dealings[0].point, chilldkg.SessionID{}},
	} {
		b, _, err := complaint.Make(c.key, c.session, 1, 0, c.nonce, [32]byte{})
		must(t, err)
		if guilty, err := Judge(f.params, f.session, 1, b, dealings[0]); err != nil || guilty != 1 {
			t.Errorf("%s: guilty is %d, %v", name, guilty, err)
		}
		unproved := bytes.Clone(dealings[0])
		unproved[len(unproved)-1] ^= 1
		if guilty, err := Judge(f.params, f.session, 1, b, unproved); err != nil || guilty != 0 {
			t.Errorf("%s, nonce unproved: guilty is %d, %v", name, guilty, err)
		}
	}
}

// TestFraming: mallory, the last to deal, chooses commitments that make the
// public share of an honest participant the identity, or that of another. Her
// victim finds her share wrong and convicts her; nobody convicts the victim.
func TestFraming(t *testing.T) {
	for name, frame := range map[string]func(g ecc.Group, rest, coms []*ecc.Element){
		"identity": func(g ecc.Group, rest, coms []*ecc.Element) {
			// Y_0 = K_0 + K_1: choose C_1 so that it is O.
			coms[1] = rest[0].Copy().Add(coms[0]).Add(rest[1]).Negate()
		},
		"equal shares": func(_ ecc.Group, rest, coms []*ecc.Element) { coms[1] = rest[1].Copy().Negate() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Ed25519, 2, 3)
			dealings := f.dealAll(t)
			g := f.params.suite.group()
			rest := []*ecc.Element{g.NewElement(), g.NewElement()}
			for _, d := range f.combine(t, dealings).dealings[:2] {
				rest[0].Add(d.coms[0])
				rest[1].Add(d.coms[1])
			}
			m := f.mallory(2)
			m.change = func(coms []*ecc.Element, _ []*ecc.Scalar) { frame(g, rest, coms) }
			dealings[2] = m.deal(t)
			round := f.combine(t, dealings)
			if round.keys.usable[0] {
				t.Fatal("the attack does not work")
			}
			_, err := round.Certify(f.keys[0], dealings[0], bytes32("aux"))
			var bad *chilldkg.BadSharesError
			if !errors.As(err, &bad) || !slices.Equal(bad.Dealers, []int{2}) {
				t.Fatalf("the victim: %v", err)
			}
			c, err := round.Complain(f.keys[0], 2, bytes32("aux"))
			must(t, err)
			if guilty, err := Judge(f.params, f.session, 0, c, dealings[2]); err != nil || guilty != 2 {
				t.Errorf("guilty is %d, %v", guilty, err)
			}
		})
	}
}

// TestUselessOwnShare: mallory, who knows what the others dealt her, makes her own
// public share the identity with shares that are right. The key works without.
func TestUselessOwnShare(t *testing.T) {
	f := newFixture(t, Ristretto255, 2, 3)
	dealings := f.dealAll(t)
	round := f.combine(t, dealings)
	share, pads := round.aggregate.decrypt(2, mustScalar(t, f.keys[2]))
	own := round.dealings[2].shares[2].Copy().Subtract(pads[2])
	dealt := share.Subtract(own)
	m := f.mallory(2)
	x := f.params.suite.group().NewScalar().SetUInt64(3)
	m.coeffs[1] = dealt.Add(m.coeffs[0]).Multiply(f.params.suite.group().NewScalar().MinusOne()).Multiply(x.Invert())
	dealings[2] = m.deal(t)
	round = f.combine(t, dealings)
	if !slices.Equal(round.keys.usable, []bool{true, true, false}) {
		t.Fatalf("usable shares: %v", round.keys.usable)
	}
	data := round.EqInput()
	for id, key := range f.keys {
		sig, err := round.Certify(key, dealings[id], bytes32("aux"))
		if id == 2 {
			sig, err = signCert(mustScalar(t, key), 2, round.EqInput(), [32]byte{})
		}
		must(t, err)
		data = append(data, sig[:]...)
	}
	out, _, err := Recover(f.keys[0], data)
	must(t, err)
	other, _, err := Recover(f.keys[1], data)
	must(t, err)
	signed(t, out.Key, []*Share{out.Share, other.Share}, []byte("works"))
	if out.Key.PublicShare(2) != nil {
		t.Error("a public share that is the identity")
	}
}

func mustScalar(t testing.TB, b []byte) secp.Scalar {
	t.Helper()
	s, err := secp.ParseScalarNonZero(b)
	must(t, err)
	return s
}

func TestGuards(t *testing.T) {
	f := newFixture(t, Ed25519, 2, 3)
	dealings := f.dealAll(t)
	round := f.combine(t, dealings)
	for _, c := range []struct {
		name          string
		key, own, aux []byte
		want          error
	}{
		{"own dealing replaced", f.keys[0], dealings[1], bytes32("aux"), chilldkg.ErrOwnMessage},
		{"foreign key", bytes32("stranger"), dealings[0], bytes32("aux"), chilldkg.ErrHostSeckey},
		{"short key", f.keys[0][1:], dealings[0], bytes32("aux"), chilldkg.ErrMalformed},
		{"short aux", f.keys[0], dealings[0], nil, chilldkg.ErrMalformed},
	} {
		if _, err := round.Certify(c.key, c.own, c.aux); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	for _, accused := range []int{-1, 0, 3} {
		if _, err := round.Complain(f.keys[0], accused, bytes32("aux")); !errors.Is(err, chilldkg.ErrMalformed) {
			t.Errorf("complaint about %d: got %v", accused, err)
		}
	}
	if _, err := Deal(f.keys[0], f.params, f.session, make([]byte, 32)); !errors.Is(err, chilldkg.ErrRandomness) {
		t.Errorf("zero randomness: got %v", err)
	}
	one, err := chilldkg.NewSessionParams([][]byte{hostOf(f, 0), hostOf(f, 1)}, 1)
	must(t, err)
	if _, err := NewParams(Ed25519, one); !errors.Is(err, chilldkg.ErrThresholdOrCount) {
		t.Errorf("t = 1: got %v", err)
	}
	for _, suite := range []Suite{0, 5, 255} {
		if _, err := NewParams(suite, f.params.Hosts()); !errors.Is(err, ErrSuite) {
			t.Errorf("suite %d: got %v", suite, err)
		}
	}
}

func hostOf(f *fixture, id int) []byte {
	key := f.params.hosts.HostPubkey(id)
	return key[:]
}

// TestRecovery: recovery data proves itself, and every change shows.
func TestRecovery(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		f := newFixture(t, suite, 2, 3)
		data := f.certify(t, f.dealAll(t))
		if len(data) != f.params.RecoverySize() {
			t.Fatal("size of recovery data")
		}
		for id := range f.keys {
			if !bytes.Equal(f.params.DealingNonce(f.deal(t, id)), f.params.RecoveryNonce(data, id)) {
				t.Errorf("nonce of %d", id)
			}
		}
		out, p, err := Recover(nil, data)
		must(t, err)
		if out.Share != nil || p.Suite() != suite || p.Hosts().Hash() != f.params.Hosts().Hash() || out.Session != f.session {
			t.Error("recovered without a key")
		}
		if _, _, err := Recover(bytes32("stranger"), data); !errors.Is(err, chilldkg.ErrHostSeckey) {
			t.Errorf("a stranger recovers: %v", err)
		}
		step := max(1, len(data)/97)
		for at := 0; at < len(data); at += step {
			changed := bytes.Clone(data)
			changed[at] ^= 1
			if _, _, err := Recover(nil, changed); !errors.Is(err, chilldkg.ErrRecoveryData) {
				t.Errorf("byte %d changed: %v", at, err)
			}
		}
		for _, bad := range [][]byte{nil, data[:len(data)-1], append(bytes.Clone(data), 0), data[:headSize]} {
			if _, _, err := Recover(nil, bad); !errors.Is(err, chilldkg.ErrRecoveryData) {
				t.Errorf("%d bytes: %v", len(bad), err)
			}
		}
		ack, err := RecoveryAckSign(f.keys[1], f.params, data, bytes32("aux"))
		must(t, err)
		must(t, RecoveryAckVerify(f.params, 1, data, ack[:]))
		if RecoveryAckVerify(f.params, 0, data, ack[:]) == nil || VerifyCertSig(f.params, 1, data, ack[:]) == nil {
			t.Error("an acknowledgement counts for another member, or as certificate")
		}
	})
}
