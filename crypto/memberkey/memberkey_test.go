//go:build !toygroup

package memberkey

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, SeedSize) }

// The derivation is a storage format: a change would lock members out.
func TestDeriveGolden(t *testing.T) {
	k, err := Derive(seed(7), 0)
	if err != nil {
		t.Fatal(err)
	}
	host, bond, overlay := k.Host.Public(), k.Bond.Public(), k.OverlayPublic()
	for _, r := range []struct {
		name string
		got  []byte
		want string
	}{
		{"identity", k.Identity.Public().(ed25519.PublicKey), "a217b5f9e6512476050ef09ea255dbafcd3b897cd3e92406eebc12ff37e8bc5b"},
		{"host", host[:], "0288e019c84b9180ef8a11d52218aff3d2e2da40fbe96a54f7142c081681a1e334"},
		{"bond", bond[:], "0213b40e766b603989e1246e14f7391850952faa8b6fb7fa4e7f80ba6a06c7a1a8"},
		{"overlay", overlay[:], "2fe79ef8147c653456999793c98145a01a65e0a5447856204412ce6d86fcc637"},
	} {
		if hex.EncodeToString(r.got) != r.want {
			t.Errorf("%s: got %x", r.name, r.got)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	a, _ := Derive(seed(1), 0)
	b, _ := Derive(seed(2), 0)
	next, _ := Derive(seed(1), 1)
	if a.Host.Public() == b.Host.Public() || a.Host.Public() == a.Bond.Public() || a.Host.Public() == next.Host.Public() {
		t.Error("two keys are equal")
	}
	if a.Bond.Public() != next.Bond.Public() {
		t.Error("the bond key changed with the epoch of the host key")
	}
}

func TestDeriveRefusesBadSeeds(t *testing.T) {
	for _, s := range [][]byte{nil, seed(0), seed(1)[:31], append(seed(1), 1)} {
		if _, err := Derive(s, 0); !errors.Is(err, ErrSeed) {
			t.Errorf("%x: got %v", s, err)
		}
	}
}

func TestSignVerify(t *testing.T) {
	k, _ := Derive(seed(1), 0)
	pub, other := k.Host.Public(), k.Bond.Public()
	msg := []byte("a message that is not 32 bytes long, as BIP 340 allows")
	sig, err := k.Host.Sign(msg, [32]byte{9})
	if err != nil || !Verify(pub[:], msg, sig[:]) {
		t.Fatalf("own signature does not verify: %v", err)
	}
	if Verify(other[:], msg, sig[:]) || Verify(pub[:], msg[1:], sig[:]) || Verify(pub[:32], msg, sig[:]) || Verify(pub[:], msg, sig[:63]) {
		t.Error("a wrong signature verifies")
	}
	k.Host.Wipe()
	if k.Host.Secret() != [32]byte{} {
		t.Error("the secret is still there after Wipe")
	}
}

// Keys do not appear in what is printed, logged or encoded.
func TestKeysAreNotPrinted(t *testing.T) {
	k, _ := Derive(seed(7), 0)
	secret := k.Host.Secret()
	texts := []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %x %s %d", *k, *k, *k, *k, *k, *k),
		fmt.Sprint(k.Host), fmt.Sprintf("%v %+v %#v %x %d", &k.Host, k.Host, k.Host, k.Host, k.Host),
		fmt.Sprintf("%+v", struct{ Inner *Keys }{k})}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "keys", k, "host", &k.Host)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", k, "host", &k.Host)
	body, err := json.Marshal(k)
	if !errors.Is(err, ErrSecret) {
		t.Errorf("encoded as %s", body)
	}
	for _, text := range append(texts, log.String()) {
		for _, raw := range [][]byte{secret[:], k.Identity.Seed(), k.overlay[:]} {
			if strings.Contains(text, string(raw)) || strings.Contains(text, hex.EncodeToString(raw)) ||
				strings.Contains(text, strings.Trim(fmt.Sprint(raw), "[]")) || strings.Contains(text, base64.StdEncoding.EncodeToString(raw)[:40]) {
				t.Errorf("a secret stands in %q", text)
			}
		}
	}
}
