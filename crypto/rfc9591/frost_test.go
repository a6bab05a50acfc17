//go:build !toygroup

package rfc9591

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bytemare/ecc"
)

func random(seed string) *rand.ChaCha8 { return rand.NewChaCha8([32]byte(bytes32("%s", seed))) }

// signed signs with the given shares and returns session, signature shares and
// signature, which verifies.
func signed(t testing.TB, key *Key, shares []*Share, message []byte) (*Session, [][]byte, []byte) {
	t.Helper()
	var ids []int
	var nonces []*Nonce
	var coms [][]byte
	for _, s := range shares {
		nonce, com, err := key.NewNonce(s, random(fmt.Sprint("nonce ", s.id)))
		must(t, err)
		ids, nonces, coms = append(ids, s.id), append(nonces, nonce), append(coms, com)
	}
	session, err := key.NewSession(ids, coms, message)
	must(t, err)
	var sigs [][]byte
	for i, s := range shares {
		sig, err := session.Sign(s, nonces[i])
		must(t, err)
		if !session.Verify(s.id, sig) || session.Verify((s.id+1)%key.N(), sig) {
			t.Error("verification of a signature share")
		}
		sigs = append(sigs, sig)
	}
	sig, err := session.Aggregate(sigs)
	must(t, err)
	if !Verify(key.Suite(), key.PublicKey(), message, sig) {
		t.Error("signature does not verify")
	}
	return session, sigs, sig
}

// TestSign: any t and more sign, in any order; the signature is of nothing else.
func TestSign(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		f := newFixture(t, suite, 2, 4)
		key, shares := f.run(t)
		message := []byte("transfer nothing to nobody")
		for _, set := range [][]int{{0, 1}, {0, 3}, {1, 2, 3}, {0, 1, 2, 3}} {
			var who []*Share
			for _, id := range set {
				who = append(who, shares[id])
			}
			_, _, sig := signed(t, key, who, message)
			for name, ok := range map[string]bool{
				"another message":    Verify(suite, key.PublicKey(), append(message, '!'), sig),
				"the tagged message": Verify(suite, key.PublicKey(), SignedBytes(message), sig),
				"another key":        Verify(suite, key.PublicShare(1), message, sig),
				"no suite":           Verify(0, key.PublicKey(), message, sig),
				"longer":             Verify(suite, key.PublicKey(), message, append(bytes.Clone(sig), 0)),
				"zeros":              Verify(suite, key.PublicKey(), message, make([]byte, len(sig))),
				"no R":               Verify(suite, key.PublicKey(), message, append(make([]byte, suite.PublicKeySize()), sig[suite.PublicKeySize():]...)),
			} {
				if ok {
					t.Errorf("%s verifies", name)
				}
			}
			if suite == Ed25519 {
				stranger := append([]byte("frostfed/v1/message\n"), message...)
				if !ed25519.Verify(key.PublicKey(), stranger, sig) {
					t.Error("crypto/ed25519 refuses the signature")
				}
			}
		}
	})
}

// TestNonceSignsOnce: also when two try at the same time.
func TestNonceSignsOnce(t *testing.T) {
	f := newFixture(t, Ed25519, 2, 3)
	key, shares := f.run(t)
	nonce, com, err := key.NewNonce(shares[0], random("a"))
	must(t, err)
	foreign, other, err := key.NewNonce(shares[1], random("b"))
	must(t, err)
	_, unknown, err := key.NewNonce(shares[0], random("c"))
	must(t, err)
	session, err := key.NewSession([]int{1, 0}, [][]byte{other, com}, []byte("one"))
	must(t, err)
	elsewhere, err := key.NewSession([]int{1, 0}, [][]byte{other, unknown}, []byte("two"))
	must(t, err)
	if _, err := session.Sign(shares[2], foreign); !errors.Is(err, ErrNonce) {
		t.Errorf("signer outside the session: %v", err)
	}
	_, err = session.Sign(shares[0], nonce)
	must(t, err)
	for _, s := range []*Session{session, elsewhere} {
		if _, err := s.Sign(shares[0], nonce); !errors.Is(err, ErrNonce) {
			t.Errorf("second signature with a nonce: %v", err)
		}
	}
	// A refused session uses a nonce up too.
	fresh, _, err := key.NewNonce(shares[0], random("d"))
	must(t, err)
	if _, err := session.Sign(shares[0], fresh); !errors.Is(err, ErrNonce) {
		t.Errorf("nonce of no session: %v", err)
	}
	if fresh.nonce != nil {
		t.Error("nonce is kept")
	}
}

// TestSessionGuards: sets of signers, commitments and shares that are none.
func TestSessionGuards(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		f := newFixture(t, suite, 2, 3)
		key, shares := f.run(t)
		session, sigs, _ := signed(t, key, shares[:2], []byte("m"))
		var coms [][]byte
		for i, s := range shares {
			_, com, err := key.NewNonce(s, random(fmt.Sprint(i)))
			must(t, err)
			coms = append(coms, com)
		}
		for name, ids := range map[string][]int{
			"too few": {0}, "twice": {1, 1}, "negative": {-1, 0}, "beyond": {0, 3}, "too many": {0, 1, 2, 0},
		} {
			if _, err := key.NewSession(ids, slices.Repeat(coms[:1], len(ids)), nil); !errors.Is(err, ErrSigners) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		size := suite.PublicKeySize()
		base := suite.group().Base().Encode()
		for name, bad := range map[string][]byte{
			"empty": nil, "short": coms[1][1:], "identity": append(make([]byte, size), coms[1][size:]...),
			"second half": append(bytes.Clone(coms[1][:size]), bytes.Repeat([]byte{0xff}, size)...),
			"generator":   append(bytes.Clone(base), coms[1][size:]...),
		} {
			_, err := key.NewSession([]int{0, 1}, [][]byte{coms[0], bad}, nil)
			if e := new(CommitmentError); !errors.As(err, &e) || e.Index != 1 || key.CheckCommitment(bad) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		for name, bad := range map[string][]byte{
			"zero": make([]byte, 32), "short": sigs[0][1:], "too large": bytes.Repeat([]byte{0xff}, 32), "of another": sigs[0],
		} {
			if session.Verify(1, bad) {
				t.Errorf("%s verifies", name)
			}
			if _, err := session.Aggregate([][]byte{sigs[0], bad}); !errors.Is(err, ErrAggregate) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, err := session.Aggregate(sigs[:1]); !errors.Is(err, ErrAggregate) {
			t.Errorf("one share: got %v", err)
		}
	})
}

// TestForeignShares: a share signs for its own suite and key only.
func TestForeignShares(t *testing.T) {
	keys, shares := make(map[Suite]*Key), make(map[Suite][]*Share)
	for _, suite := range Suites() {
		keys[suite], shares[suite] = newFixture(t, suite, 2, 3).run(t)
	}
	for _, a := range Suites() {
		for _, b := range Suites() {
			if _, _, err := keys[a].NewNonce(shares[b][0], random("x")); (err == nil) != (a == b) {
				t.Errorf("share of %v, key of %v: %v", b, a, err)
			}
		}
	}
	bigger, _ := newFixture(t, Ed25519, 2, 4).run(t)
	if _, _, err := bigger.NewNonce(shares[Ed25519][0], random("x")); !errors.Is(err, ErrShare) {
		t.Errorf("share of another key: %v", err)
	}
	wiped := shares[Ed25519][2]
	wiped.Wipe()
	if _, _, err := keys[Ed25519].NewNonce(wiped, random("x")); !errors.Is(err, ErrShare) {
		t.Errorf("wiped share: %v", err)
	}
}

// TestSharesStayInside: no exported field or method gives or takes the bytes of a
// share, so that what signs for Bitcoin cannot be handed one, nor the reverse.
func TestSharesStayInside(t *testing.T) {
	_, shares := newFixture(t, Ed25519, 2, 3).run(t)
	typ := reflect.TypeFor[*Share]()
	for i := range typ.Elem().NumField() {
		if typ.Elem().Field(i).IsExported() {
			t.Errorf("field %s is exported", typ.Elem().Field(i).Name)
		}
	}
	var methods []string
	for i := range typ.NumMethod() {
		methods = append(methods, typ.Method(i).Name)
	}
	if want := []string{"Format", "ID", "MarshalJSON", "Suite", "Wipe"}; !slices.Equal(methods, want) {
		t.Errorf("methods are %v, reviewed are %v", methods, want)
	}
	if _, err := json.Marshal(shares[0]); !errors.Is(err, ErrSecret) {
		t.Errorf("JSON of a share: %v", err)
	}
	secret := shares[0].secret
	nonce, _, err := func() (*Nonce, []byte, error) {
		key, s := newFixture(t, Ed25519, 2, 3).run(t)
		return key.NewNonce(s[0], random("x"))
	}()
	must(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if out := fmt.Sprintf(verb, shares[0]); out != "(secret share)" || strings.Contains(out, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s prints %s", verb, out)
		}
		if out := fmt.Sprintf(verb, nonce); out != "(secret nonce)" {
			t.Errorf("%s prints %s", verb, out)
		}
	}
}

// TestConcurrentCalls: the library's hash states are shared, and our calls must
// not meet in them. With the race detector it is seen even if the results are
// right.
func TestConcurrentCalls(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite Suite) {
		f := newFixture(t, suite, 2, 3)
		dealings := f.dealAll(t)
		key, shares := f.run(t)
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				signed(t, key, []*Share{shares[i%3], shares[(i+1)%3]}, fmt.Append(nil, i))
				if !bytes.Equal(f.deal(t, i%3), dealings[i%3]) {
					t.Error("a dealing changes")
				}
			})
		}
		group.Wait()
	})
}

// TestStrictElements: encodings that lax decoders take.
func TestStrictElements(t *testing.T) {
	bad := map[Suite][][]byte{
		Ed25519: {
			append([]byte{1}, make([]byte, 31)...), // the identity
			make([]byte, 32),                       // order 4
			append([]byte{0xec}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...), // order 2
			append([]byte{0xee}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...), // y = p+1
			append([]byte{1}, append(make([]byte, 30), 0x80)...),                  // -0
		},
		Ristretto255: {make([]byte, 32), append([]byte{1}, make([]byte, 31)...)},
		P256:         {{0}, make([]byte, 33), append([]byte{4}, make([]byte, 64)...)},
		Secp256k1:    {{0}, make([]byte, 33), append([]byte{4}, make([]byte, 64)...)},
	}
	// A point of the group plus one of order 2: on the curve, not in the group.
	twisted := ecc.Edwards25519Sha512.NewElement()
	must(t, twisted.Decode(bad[Ed25519][2]))
	bad[Ed25519] = append(bad[Ed25519], twisted.Add(ecc.Edwards25519Sha512.Base()).Encode())
	for suite, encodings := range bad {
		good := suite.group().Base().Encode()
		if _, err := suite.element(good); err != nil {
			t.Errorf("%v: the generator: %v", suite, err)
		}
		encodings = append(encodings, good[1:], append(bytes.Clone(good), 0), nil)
		if size := suite.PublicKeySize(); size == 33 {
			for _, first := range []byte{0, 1, 4, 6, 7} {
				encodings = append(encodings, append([]byte{first}, good[1:]...))
			}
		}
		for _, b := range encodings {
			if _, err := suite.element(b); err == nil {
				t.Errorf("%v: %x is taken", suite, b)
			}
		}
	}
}
