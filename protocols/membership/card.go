package membership

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

const (
	cardPrefix  = "frostcard1:"
	cardVersion = 1
	cardTag     = "frostfed/v1/card"

	maxName     = 32
	maxAddrs    = 8
	maxAddrSize = 128
	// maxCard bounds what a reader allocates for a card: the fixed fields, the
	// longest name and all addresses.
	maxCard = 1 + 1 + maxName + 32 + 33 + 32 + 32 + 8 + 1 + maxAddrs*(1+maxAddrSize) + 3*64
)

// Errors of cards. The text of an error says which field is wrong.
var (
	ErrCard          = errors.New("not a member card")
	ErrCardSignature = errors.New("a signature of the card does not verify")
)

// Card binds a member's keys and addresses.
type Card struct {
	Name     string
	Identity [32]byte // Ed25519 public key: the libp2p identity
	Host     [33]byte // compressed secp256k1 public key
	Overlay  [32]byte // X25519 public key
	Bond     [32]byte // x-only secp256k1 public key
	Issued   uint64   // Unix seconds
	Addrs    []string // multiaddrs where the member listens

	sigIdentity, sigHost, sigBond [64]byte
}

// NewCard makes and signs the card of the member that holds keys. aux returns
// 32 bytes of fresh randomness at each call.
func NewCard(keys *memberkey.Keys, name string, issued uint64, addrs []string, aux func() [32]byte) (*Card, error) {
	c := &Card{Name: name, Overlay: keys.OverlayPublic(), Host: keys.Host.Public(), Issued: issued, Addrs: addrs}
	copy(c.Identity[:], keys.Identity.Public().(ed25519.PublicKey))
	bond := keys.Bond.Public()
	copy(c.Bond[:], bond[1:])
	if err := c.check(); err != nil {
		return nil, err
	}
	h := c.preimage()
	copy(c.sigIdentity[:], ed25519.Sign(keys.Identity, h[:]))
	var err error
	if c.sigHost, err = keys.Host.Sign(h[:], aux()); err != nil {
		return nil, fmt.Errorf("sign card with host key: %w", err)
	}
	if c.sigBond, err = keys.Bond.Sign(h[:], aux()); err != nil {
		return nil, fmt.Errorf("sign card with bond key: %w", err)
	}
	return c, nil
}

// ParseCard reads the text form and verifies every signature.
func ParseCard(text string) (*Card, error) {
	text = strings.TrimSpace(text)
	body, ok := strings.CutPrefix(text, cardPrefix)
	if !ok {
		return nil, fmt.Errorf("%w: it must begin with %q", ErrCard, cardPrefix)
	}
	if len(body) > base64.RawURLEncoding.EncodedLen(maxCard) {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrCard, maxCard)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("%w: damaged text; copy the whole line again", ErrCard)
	}
	return decodeCard(raw)
}

// String returns the text form, one line.
func (c *Card) String() string {
	return cardPrefix + base64.RawURLEncoding.EncodeToString(c.encode())
}

// NodeID returns the libp2p peer ID of the member in binary form: the identity
// multihash of the protobuf-encoded Ed25519 key (libp2p peer-ids specification).
func (c *Card) NodeID() protocols.NodeID { return NodeIDOf(c.Identity) }

// NodeIDOf returns the peer ID, in binary form, of an Ed25519 public key.
func NodeIDOf(identity [32]byte) protocols.NodeID {
	// multihash identity (0x00), length 36, then protobuf {Type: Ed25519, Data: 32 bytes}
	return protocols.NodeID("\x00\x24\x08\x01\x12\x20" + string(identity[:]))
}

// CheckName says what is wrong with the name of a member.
func CheckName(name string) error {
	if n := len(name); n == 0 || n > maxName {
		return fmt.Errorf("%w: the name has %d characters, it may have 1 to %d", ErrCard, n, maxName)
	}
	for _, r := range []byte(name) {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%w: the name may hold printable ASCII without spaces only", ErrCard)
		}
	}
	return nil
}

func (c *Card) check() error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if len(c.Addrs) > maxAddrs {
		return fmt.Errorf("%w: %d addresses, at most %d", ErrCard, len(c.Addrs), maxAddrs)
	}
	for _, a := range c.Addrs {
		if len(a) > maxAddrSize || !strings.HasPrefix(a, "/") {
			return fmt.Errorf("%w: %.40q is not a multiaddr", ErrCard, a)
		}
		for _, r := range []byte(a) {
			if r <= ' ' || r > '~' {
				return fmt.Errorf("%w: an address holds a control character", ErrCard)
			}
		}
	}
	if !memberkey.ValidPublic(c.Host[:]) || !memberkey.ValidPublic(append([]byte{2}, c.Bond[:]...)) {
		return fmt.Errorf("%w: a key is not on the curve", ErrCard)
	}
	return nil
}

func (c *Card) unsigned() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, maxCard))
	b.AddUint8(cardVersion)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.Name)) })
	b.AddBytes(c.Identity[:])
	b.AddBytes(c.Host[:])
	b.AddBytes(c.Overlay[:])
	b.AddBytes(c.Bond[:])
	b.AddUint64(c.Issued)
	b.AddUint8(uint8(len(c.Addrs)))
	for _, a := range c.Addrs {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(a)) })
	}
	return b.BytesOrPanic() // sizes were checked
}

func (c *Card) preimage() [32]byte { return memberkey.Hash(cardTag, c.unsigned()) }

func (c *Card) encode() []byte {
	out := c.unsigned()
	out = append(out, c.sigIdentity[:]...)
	out = append(out, c.sigHost[:]...)
	return append(out, c.sigBond[:]...)
}

func decodeCard(raw []byte) (*Card, error) {
	c := new(Card)
	s := cryptobyte.String(raw)
	var version, count uint8
	var name cryptobyte.String
	if len(raw) > maxCard || !s.ReadUint8(&version) || version != cardVersion {
		return nil, fmt.Errorf("%w: unknown version", ErrCard)
	}
	if !s.ReadUint8LengthPrefixed(&name) || !s.CopyBytes(c.Identity[:]) || !s.CopyBytes(c.Host[:]) ||
		!s.CopyBytes(c.Overlay[:]) || !s.CopyBytes(c.Bond[:]) || !s.ReadUint64(&c.Issued) || !s.ReadUint8(&count) {
		return nil, fmt.Errorf("%w: truncated", ErrCard)
	}
	c.Name = string(name)
	if count > maxAddrs {
		return nil, fmt.Errorf("%w: %d addresses, at most %d", ErrCard, count, maxAddrs)
	}
	for range count {
		var a cryptobyte.String
		if !s.ReadUint8LengthPrefixed(&a) {
			return nil, fmt.Errorf("%w: truncated", ErrCard)
		}
		c.Addrs = append(c.Addrs, string(a))
	}
	if !s.CopyBytes(c.sigIdentity[:]) || !s.CopyBytes(c.sigHost[:]) || !s.CopyBytes(c.sigBond[:]) || !s.Empty() {
		return nil, fmt.Errorf("%w: wrong length", ErrCard)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	h := c.preimage()
	switch {
	case !ed25519.Verify(c.Identity[:], h[:], c.sigIdentity[:]):
		return nil, fmt.Errorf("%w (identity)", ErrCardSignature)
	case !memberkey.Verify(c.Host[:], h[:], c.sigHost[:]):
		return nil, fmt.Errorf("%w (host key)", ErrCardSignature)
	case !memberkey.Verify(append([]byte{2}, c.Bond[:]...), h[:], c.sigBond[:]):
		return nil, fmt.Errorf("%w (bond key)", ErrCardSignature)
	}
	return c, nil
}
