package membership

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"frostfed/crypto/memberkey"
	"frostfed/test/alloc"
)

func card(t testing.TB, seed byte, name string) *Card {
	t.Helper()
	keys, err := memberkey.Derive(bytes.Repeat([]byte{seed}, memberkey.SeedSize), 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCard(keys, name, 1, []string{"/ip4/127.0.0.1/tcp/4001"}, func() [32]byte { return [32]byte{seed} })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func five(t testing.TB) []*Card {
	var cards []*Card
	for i, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
		cards = append(cards, card(t, byte(i+1), name))
	}
	return cards
}

func TestCardRoundTrip(t *testing.T) {
	c := card(t, 1, "alice")
	got, err := ParseCard(" " + c.String() + "\n")
	if err != nil || got.String() != c.String() || got.Name != "alice" || got.Addrs[0] != c.Addrs[0] {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestNodeIDIsThePeerID(t *testing.T) {
	c := card(t, 1, "alice")
	pub, err := crypto.UnmarshalEd25519PublicKey(c.Identity[:])
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil || string(c.NodeID()) != string(id) {
		t.Fatalf("got %x, libp2p says %x, %v", c.NodeID(), string(id), err)
	}
}

// No byte of a card can be changed: each is signed or is a signature.
func TestEveryByteOfACardCounts(t *testing.T) {
	raw := card(t, 1, "alice").encode()
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, err := decodeCard(bad); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for i := range raw {
		if _, err := decodeCard(raw[:i]); err == nil {
			t.Errorf("a card cut to %d bytes is read", i)
		}
	}
	if _, err := decodeCard(append(raw, 0)); err == nil {
		t.Error("a trailing byte is read")
	}
}

// mallory puts alice's host key into a card of her own.
func TestStolenKeyIsRefused(t *testing.T) {
	keys, _ := memberkey.Derive(bytes.Repeat([]byte{9}, 32), 0)
	c, err := NewCard(keys, "mallory", 1, nil, func() [32]byte { return [32]byte{} })
	if err != nil {
		t.Fatal(err)
	}
	c.Host = card(t, 1, "alice").Host
	if _, err := ParseCard(c.String()); !errors.Is(err, ErrCardSignature) {
		t.Fatalf("got %v", err)
	}
}

func TestCharterRoundTrip(t *testing.T) {
	c, err := NewCharter("five strangers", "regtest", 0, five(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Threshold != 4 {
		t.Errorf("default threshold %d", c.Threshold)
	}
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCharter(text)
	if err != nil || got.ID() != c.ID() || !strings.Contains(string(text), c.ID().String()) {
		t.Fatalf("got %v, %v", got, err)
	}
	for i, id := range got.Members() {
		if got.Index(id) != i {
			t.Errorf("member %d has index %d", i, got.Index(id))
		}
	}
	if got.Index("nobody") != -1 {
		t.Error("a stranger has an index")
	}
}

func TestCharterIDDoesNotDependOnOrder(t *testing.T) {
	cards := five(t)
	a, _ := NewCharter("x", "regtest", 4, cards)
	cards[0], cards[4] = cards[4], cards[0]
	b, _ := NewCharter("x", "regtest", 4, cards)
	if a.ID() != b.ID() {
		t.Error("the order of cards changes the ID")
	}
	for name, other := range map[string]func() (*Charter, error){
		"name":      func() (*Charter, error) { return NewCharter("y", "regtest", 4, cards) },
		"network":   func() (*Charter, error) { return NewCharter("x", "signet", 4, cards) },
		"threshold": func() (*Charter, error) { return NewCharter("x", "regtest", 3, cards) },
		"members":   func() (*Charter, error) { return NewCharter("x", "regtest", 4, cards[:4]) },
	} {
		if c, err := other(); err != nil || c.ID() == a.ID() {
			t.Errorf("another %s has the same ID (%v)", name, err)
		}
	}
}

func TestCharterRefusals(t *testing.T) {
	cards := five(t)
	good, _ := NewCharter("x", "regtest", 4, cards)
	text, _ := good.Text()
	edit := func(old, new string) []byte { return []byte(strings.Replace(string(text), old, new, 1)) }
	rows := []struct {
		name string
		text []byte
		says string
	}{
		{"unknown key", append([]byte("bond = 3\n"), text...), "unknown key"},
		{"syntax", edit("threshold = 4", "threshold = "), "line"},
		{"network", edit("'regtest'", "'moonnet'"), "moonnet"},
		{"threshold 0", edit("threshold = 4", "threshold = 0"), "threshold"},
		{"threshold 6", edit("threshold = 4", "threshold = 6"), "1 to 5"},
		{"version", edit("version = 1", "version = 3"), "version 3"},
		{"no terms", edit("version = 1", "version = 2"), "terms"},
		{"unsigned card", edit(cards[2].String(), forged(cards[2])), "card"},
		{"damaged card", edit(cards[2].String(), cards[2].String()[:100]), "frostfed card"},
		{"duplicate card", edit(cards[2].String(), cards[1].String()), "the same name"},
		{"huge", bytes.Repeat([]byte{'#'}, maxCharterBytes+1), "larger"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := ParseCharter(r.text)
			if !errors.Is(err, ErrCharter) || !strings.Contains(err.Error(), r.says) {
				t.Fatalf("got %v, want it to say %q", err, r.says)
			}
		})
	}
}

// forged is c with its signatures zeroed.
func forged(c *Card) string {
	bad := *c
	bad.sigIdentity, bad.sigHost, bad.sigBond = [64]byte{}, [64]byte{}, [64]byte{}
	return bad.String()
}

// Host keys that differ in parity only verify each other's signatures.
func TestEqualXIsADuplicate(t *testing.T) {
	a, b := card(t, 1, "alice"), card(t, 2, "bob")
	b.Host = a.Host
	b.Host[0] ^= 1
	if _, err := NewCharter("x", "regtest", 2, []*Card{a, b}); !errors.Is(err, ErrCharter) {
		t.Fatalf("got %v", err)
	}
}

func FuzzParseCard(f *testing.F) {
	f.Add(card(f, 1, "alice").encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c *Card
		var err error
		alloc.Limit(t, len(raw), 64, 0, func() { c, err = decodeCard(raw) })
		if err == nil && !bytes.Equal(c.encode(), raw) {
			t.Errorf("read %x, wrote %x", raw, c.encode())
		}
		if _, err := ParseCard(cardPrefix + base64.RawURLEncoding.EncodeToString(raw)); (err == nil) != (c != nil) {
			t.Errorf("text and bytes disagree: %v", err)
		}
	})
}

func FuzzParseCharter(f *testing.F) {
	c, _ := NewCharter("x", "regtest", 4, five(f))
	text, _ := c.Text()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		var c *Charter
		var err error
		alloc.Limit(t, len(text), 256, 0, func() { c, err = ParseCharter(text) })
		if err != nil {
			return
		}
		again, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := ParseCharter(again); err != nil || d.ID() != c.ID() {
			t.Errorf("written and read again: %v", err)
		}
	})
}

// FuzzDecodeCharter: a charter has one encoding.
func FuzzDecodeCharter(f *testing.F) {
	for n := 2; n <= 5; n++ {
		c, err := NewCharter("x", "regtest", n, five(f)[:n])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.Bytes())
	}
	f.Add([]byte{charterVersion, 0, 0, 1, 255})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c *Charter
		var err error
		alloc.Limit(t, len(raw), 64, 0, func() { c, err = DecodeCharter(raw) })
		if err == nil && !bytes.Equal(c.Bytes(), raw) {
			t.Errorf("read %x, wrote %x", raw, c.Bytes())
		}
		if err != nil && !errors.Is(err, ErrCharter) && !errors.Is(err, ErrCard) {
			t.Errorf("untyped error %v", err)
		}
	})
}

func TestDecodeCharter(t *testing.T) {
	c, _ := NewCharter("x", "regtest", 4, five(t))
	raw := c.Bytes()
	got, err := DecodeCharter(raw)
	if err != nil || got.ID() != c.ID() || got.Cards[4].String() != c.Cards[4].String() {
		t.Fatalf("%+v %v", got, err)
	}
	swapped := *c
	swapped.Cards = []*Card{c.Cards[1], c.Cards[0], c.Cards[2], c.Cards[3], c.Cards[4]}
	none := *c
	none.Threshold = 0
	for name, bad := range map[string][]byte{
		"empty": {}, "cut": raw[:len(raw)-1], "trailing": append(bytes.Clone(raw), 0), "version": append([]byte{2}, raw[1:]...),
		"order": swapped.Bytes(), "no threshold": none.Bytes(), "huge": make([]byte, MaxCharter+1),
		"card": bytes.Replace(raw, []byte("alice"), []byte("malic"), 1),
	} {
		if _, err := DecodeCharter(bad); !errors.Is(err, ErrCharter) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
