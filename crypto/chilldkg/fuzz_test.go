//go:build !toygroup

package chilldkg

import (
	"bytes"
	"errors"
	"testing"

	"frostfed/crypto/internal/secp"
	"frostfed/test/alloc"
)

// FuzzPmsg1 holds that whatever decodes re-encodes to the same bytes.
func FuzzPmsg1(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	size := fix.params.pmsg1Size()
	f.Add(fix.deal(f, 0)[:size])
	f.Add(make([]byte, size))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *pmsg1
		var err error
		alloc.Limit(t, len(b), 16, 0, func() { m, err = fix.params.parsePmsg1(b) })
		if err != nil {
			return
		}
		again := appendPoints(nil, m.coms)
		again = append(again, m.pop...)
		again = append(again, m.nonce[:]...)
		if again = appendScalars(again, m.shares); !bytes.Equal(again, b) {
			t.Fatalf("%x re-encodes to %x", b, again)
		}
	})
}

// FuzzDealing holds that a dealing opens only if it is the one that was dealt:
// every byte is signed, if not by the nonce proof then by being part of it.
func FuzzDealing(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	honest := fix.deal(f, 0)
	f.Add(honest)
	f.Add(fix.mallory(0).deal(f))
	f.Add(make([]byte, len(honest)))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := OpenDealing(fix.params, fix.session, 0, b)
		if err != nil {
			wantFaulty(t, err, 0)
			return
		}
		if !bytes.Equal(d.bytes, b) {
			t.Fatal("dealing was changed by opening it")
		}
		// Whatever opens can be combined and checked without a panic.
		ds := fix.open(t, fix.dealAll(t))
		ds[0] = d
		if round, err := Combine(ds); err == nil {
			_, _, _ = round.Step2(fix.keys[1], ds[1].bytes, bytes32("aux"))
		}
	})
}

func FuzzCmsg1(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	var pmsgs1 [][]byte
	for i := range 3 {
		pmsgs1 = append(pmsgs1, fix.deal(f, i)[:fix.params.pmsg1Size()])
	}
	_, sent, err := CoordinatorStep1(pmsgs1, fix.params)
	must(f, err)
	state, err := RestoreParticipantState1(fix.params, 0, pmsgs1[0])
	must(f, err)
	honest, _, err := ParticipantStep2(fix.keys[0], state, sent, bytes32("aux"))
	must(f, err)
	f.Add(sent)
	f.Add(make([]byte, len(sent)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *cmsg1
		var err error
		alloc.Limit(t, len(b), 16, 0, func() { m, err = fix.params.parseCmsg1(b) })
		if err == nil && !bytes.Equal(m.encode(), b) {
			t.Fatalf("%x re-encodes to %x", b, m.encode())
		}
		got, _, err := ParticipantStep2(fix.keys[0], state, b, bytes32("aux"))
		if err != nil {
			return
		}
		// A participant cannot check the shares of others, hence it signs them. It
		// ignores its own proof of possession and nothing else.
		ownPop := 33 * (3 + 1)
		altered := !bytes.Equal(b[:ownPop], sent[:ownPop]) || !bytes.Equal(b[ownPop+64:], sent[ownPop+64:])
		if bytes.Equal(got.eqInput, honest.eqInput) == altered {
			t.Fatalf("altered: %v, but eq_input is %x", altered, got.eqInput)
		}
	})
}

func FuzzRecoveryData(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	_, recovery := fix.run(f, fix.dealAll(f))
	f.Add(recovery)
	f.Add(recovery[:4])
	f.Add([]byte{0, 0, 0, 128})
	f.Fuzz(func(t *testing.T, b []byte) {
		var a *aggregate
		var cert [][]byte
		var err error
		alloc.Limit(t, len(b), 64, 0, func() { a, cert, err = parseRecovery(b) }) // t and n come from the wire
		if err == nil {
			if again := append(a.eqInput(), bytes.Join(cert, nil)...); !bytes.Equal(again, b) {
				t.Fatalf("%x re-encodes to %x", b, again)
			}
		}
		if _, _, err := Recover(fix.keys[0], b); err == nil && !bytes.Equal(b, recovery) {
			// Only the holder of all three keys can make another certificate.
			t.Fatalf("recovered from %x", b)
		}
	})
}

// FuzzJudge holds that no complaint convicts an honest dealer.
func FuzzJudge(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	honest := fix.deal(f, 0)
	cheat := fix.mallory(2)
	cheat.coeffs[0] = cheat.coeffs[1] // any other polynomial
	f.Add(append(append(b4(1), b4(0)...), make([]byte, 33+64)...))
	f.Add(append(append(b4(1), b4(0)...), bytes.Repeat([]byte{2}, 33+64)...))
	f.Add(append(append(b4(0xffffffff), b4(0)...), make([]byte, 33+64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		complainant, accused, err := ComplaintParties(fix.params, b)
		if err != nil {
			return
		}
		if complainant == accused || complainant > 2 || accused > 2 {
			t.Fatalf("%d about %d", complainant, accused)
		}
		guilty, err := Judge(fix.params, fix.session, complainant, b, honest)
		if err == nil && accused == 0 && guilty == 0 {
			t.Fatalf("%x convicts the honest dealer", b)
		}
	})
}

// FuzzCertificate gives the last message of a coordinator to a participant: only
// the n signatures that the others made are a certificate.
func FuzzCertificate(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	dealings := fix.dealAll(f)
	_, recovery := fix.run(f, dealings)
	cmsg2 := recovery[len(recovery)-3*sigSize:]
	state, _, err := fix.combine(f, dealings).Step2(fix.keys[0], dealings[0], bytes32("aux"))
	must(f, err)
	f.Add(cmsg2)
	f.Add(cmsg2[1:])
	f.Add(make([]byte, len(cmsg2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, data, err := ParticipantFinalize(state, b)
		if (err == nil) != bytes.Equal(b, cmsg2) {
			t.Fatalf("certificate %x: %v", b, err)
		}
		if err == nil && !bytes.Equal(data, recovery) {
			t.Fatal("recovery data differs")
		}
	})
}

// FuzzInvestigation gives any investigation message to a participant that was
// cheated by participant 2. It never blames the honest participant 1 with the
// message of an honest coordinator, and always says whom it suspects.
func FuzzInvestigation(f *testing.F) {
	fix := newFixture(f, 2, 3, 1)
	m := fix.mallory(2)
	m.change = func(_ []secp.Point, shares []secp.Scalar) { shares[0] = secp.ScalarFromUint(1) }
	pmsgs1 := make([][]byte, 3)
	for i, d := range [][]byte{fix.deal(f, 0), fix.deal(f, 1), m.deal(f)} {
		pmsgs1[i] = d[:fix.params.pmsg1Size()]
	}
	_, cmsg1, err := CoordinatorStep1(pmsgs1, fix.params)
	must(f, err)
	cinvs, err := CoordinatorInvestigate(pmsgs1, fix.params)
	must(f, err)
	state, err := RestoreParticipantState1(fix.params, 0, pmsgs1[0])
	must(f, err)
	f.Add(cinvs[0])
	f.Add(cinvs[1])
	f.Add(make([]byte, len(cinvs[0])))
	f.Add(cinvs[0][1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := ParticipantStep2(fix.keys[0], state, cmsg1, bytes32("aux"))
		var failure *UnknownFaultyParticipantOrCoordinatorError
		if !errors.As(err, &failure) {
			t.Fatal(err)
		}
		err = ParticipantInvestigate(failure, b)
		var either *FaultyParticipantOrCoordinatorError
		var coordinator *FaultyCoordinatorError
		switch {
		case errors.As(err, &either):
			if honest := bytes.Equal(b, cinvs[0]); honest && either.Participant != 2 || either.Participant == 0 {
				t.Fatalf("blames %d", either.Participant)
			}
		case !errors.Is(err, ErrMalformed) && !errors.As(err, &coordinator):
			t.Fatalf("blames nobody: %v", err)
		}
	})
}
