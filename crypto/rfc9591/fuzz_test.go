//go:build !toygroup

package rfc9591

import (
	"bytes"
	"testing"

	"frostfed/crypto/chilldkg"
)

// FuzzElement holds that each element has one encoding, in every suite.
func FuzzElement(f *testing.F) {
	for _, suite := range Suites() {
		f.Add(byte(suite), suite.group().Base().Encode())
		f.Add(byte(suite), make([]byte, suite.PublicKeySize()))
		f.Add(byte(suite), bytes.Repeat([]byte{0xff}, suite.PublicKeySize()))
	}
	f.Fuzz(func(t *testing.T, s byte, b []byte) {
		suite := Suite(s)
		if !suite.Valid() {
			return
		}
		if e, err := suite.element(b); err == nil && (!bytes.Equal(e.Encode(), b) || e.IsIdentity()) {
			t.Errorf("%v: %x is %x", suite, b, e.Encode())
		}
		if x, err := suite.scalar(b); err == nil && !bytes.Equal(x.Encode(), b) {
			t.Errorf("%v: scalar %x is %x", suite, b, x.Encode())
		}
	})
}

// FuzzDealing holds that only what was dealt opens: all of it is under the nonce
// proof. Whatever decodes can be judged without a panic.
func FuzzDealing(f *testing.F) {
	fix := newFixture(f, Ed25519, 2, 3)
	honest := fix.dealAll(f)
	round := fix.combine(f, honest)
	f.Add(honest[0])
	f.Add(fix.mallory(0).deal(f))
	f.Add(make([]byte, len(honest[0])))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, fault := decodeDealing(fix.params, fix.session, 0, b)
		if fault != nil {
			return
		}
		if d.verify() == nil && !bytes.Equal(b, honest[0]) && !bytes.Equal(b, fix.mallory(0).deal(t)) {
			t.Error("a forged dealing opens")
		}
		r, err := Combine(append([]*Dealing{d}, round.dealings[1:]...))
		if err == nil {
			_, _ = r.Certify(fix.keys[1], honest[1], bytes32("aux"))
		}
	})
}

// FuzzRecover holds that only recovery data with a certificate is taken.
func FuzzRecover(f *testing.F) {
	fix := newFixture(f, Ristretto255, 2, 3)
	data := fix.certify(f, fix.dealAll(f))
	f.Add(data)
	f.Add(data[:headSize])
	f.Add(bytes.Repeat([]byte{1}, len(data)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, cert, err := parseRecovery(b)
		if err == nil {
			again := a.eqInput()
			for _, sig := range cert {
				again = append(again, sig...)
			}
			if !bytes.Equal(again, b) {
				t.Errorf("%x re-encodes to %x", b, again)
			}
		}
		if _, _, err := Recover(nil, b); err == nil && !bytes.Equal(b[:len(b)-64*3], data[:len(data)-64*3]) {
			t.Error("forged recovery data is taken")
		}
	})
}

// FuzzJudge holds that a complaint convicts its author or its accused, or nobody.
func FuzzJudge(f *testing.F) {
	fix := newFixture(f, P256, 2, 3)
	dealings := fix.dealAll(f)
	f.Add(make([]byte, 105))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, accused, err := chilldkg.ComplaintParties(fix.params.hosts, b)
		if err != nil {
			return
		}
		guilty, err := Judge(fix.params, fix.session, 1, b, dealings[accused])
		if err == nil && guilty != 1 {
			t.Errorf("%d is guilty of an honest dealing", guilty)
		}
	})
}

// FuzzSession holds that commitments and shares from the wire never panic, and
// that no share but the signer's verifies.
func FuzzSession(f *testing.F) {
	fix := newFixture(f, Ed25519, 2, 3)
	key, shares := fix.run(f)
	session, sigs, _ := signed(f, key, shares[:2], []byte("m"))
	f.Add(sigs[0])
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if session.Verify(0, b) && !bytes.Equal(b, sigs[0]) {
			t.Error("a forged share verifies")
		}
		if s, err := key.NewSession([]int{0, 1}, [][]byte{b, b}, b); err == nil {
			_ = s.Verify(0, sigs[0])
		}
		_ = Verify(Ed25519, b, b, b)
	})
}
