// Package memberkey derives the keys of one federation member from one seed,
// and signs and verifies with the host key.
//
// The keys serve different masters and must be replaceable one by one, so they
// are distinct although one backup of the seed restores them all: the libp2p
// identity (Ed25519), the host key (secp256k1: DKG encryption, certificates,
// signed broadcasts), the overlay key (X25519: sessions across other members)
// and the bond key (secp256k1, x-only). A member card binds them together.
package memberkey

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/crypto/curve25519"

	"frostfed/crypto/internal/secp"
)

// SeedSize is the length of a member's seed in bytes.
const SeedSize = 32

// ErrSeed reports a seed of the wrong length or without entropy.
var ErrSeed = errors.New("a seed is 32 random bytes")

// ErrSecret is the answer to whoever wants to encode secret keys.
var ErrSecret = errors.New("member keys are not encoded")

// Keys are the derived keys of one member. It has no encoder, on purpose.
type Keys struct {
	Identity   ed25519.PrivateKey // libp2p identity, 64 bytes
	Host       HostKey
	Bond       HostKey // x-only on chain; same curve and signature scheme
	overlay    [32]byte
	overlayPub [32]byte
}

// Derive computes the keys of a member from its seed of 32 bytes. Epoch numbers
// the host key: a new epoch's key can be used and the old one destroyed.
func Derive(seed []byte, epoch uint32) (*Keys, error) {
	if len(seed) != SeedSize || allZero(seed) {
		return nil, ErrSeed
	}
	k := new(Keys)
	id, err := expand(seed, "identity")
	if err != nil {
		return nil, err
	}
	k.Identity = ed25519.NewKeyFromSeed(id)
	clear(id)
	if k.Host, err = deriveScalar(seed, "host/"+strconv.FormatUint(uint64(epoch), 10)); err != nil {
		return nil, err
	}
	if k.Bond, err = deriveScalar(seed, "bond"); err != nil {
		return nil, err
	}
	overlay, err := expand(seed, "overlay")
	if err != nil {
		return nil, err
	}
	defer clear(overlay)
	copy(k.overlay[:], overlay)
	pub, err := curve25519.X25519(overlay, curve25519.Basepoint)
	if err != nil {
		return nil, fmt.Errorf("derive overlay key: %w", err)
	}
	copy(k.overlayPub[:], pub)
	return k, nil
}

// Format keeps the keys out of logs and errors, whatever the verb.
func (k Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(member keys)") }

// MarshalJSON refuses: no key leaves by reflection.
func (k Keys) MarshalJSON() ([]byte, error) { return nil, ErrSecret }

// Format keeps the secret out of logs and errors, whatever the verb.
func (h HostKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(host key)") }

// OverlayPublic returns the X25519 public key.
func (k *Keys) OverlayPublic() [32]byte { return k.overlayPub }

// HostKey is a secp256k1 secret key that signs messages of any length (BIP 340).
type HostKey struct {
	secret secp.Scalar
	public [33]byte
}

// Public returns the compressed public key, 33 bytes.
func (h *HostKey) Public() [33]byte { return h.public }

// Secret returns a copy of the 32-byte secret. The caller wipes it.
func (h *HostKey) Secret() [32]byte { return h.secret.Bytes() }

// Sign signs msg (any length) with BIP 340. aux is 32 bytes of fresh randomness
// that hedges the nonce.
func (h *HostKey) Sign(msg []byte, aux [32]byte) ([64]byte, error) {
	return secp.BIP340.Sign(h.secret, msg, aux)
}

// Wipe destroys the secret.
func (h *HostKey) Wipe() { h.secret.Wipe() }

// Verify checks a BIP 340 signature (64 bytes) on msg under a compressed public
// key (33 bytes), whose parity it ignores.
func Verify(public, msg, sig []byte) bool {
	return len(public) == 33 && len(sig) == 64 && secp.BIP340.Verify(public[1:], msg, sig)
}

// Hash is the tagged hash of BIP 340 over the concatenated parts; callers
// length-prefix what varies.
func Hash(tag string, parts ...[]byte) [32]byte { return secp.NewTag(tag).Hash(parts...) }

// ValidPublic says whether b is a compressed public key (33 bytes) on the curve.
func ValidPublic(b []byte) bool {
	_, err := secp.ParsePoint(b)
	return err == nil
}

func expand(seed []byte, label string) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, seed, nil, "frostfed/v1/seed/"+label, 32)
	if err != nil {
		return nil, fmt.Errorf("derive %s key: %w", label, err)
	}
	return out, nil
}

// deriveScalar retries under a counter until the output is a valid secret key,
// so that no bias is introduced by reduction.
func deriveScalar(seed []byte, label string) (HostKey, error) {
	for i := 0; ; i++ {
		b, err := expand(seed, label+"/"+strconv.Itoa(i))
		if err != nil {
			return HostKey{}, err
		}
		s, err := secp.ParseScalarNonZero(b)
		clear(b)
		if err == nil {
			return HostKey{secret: s, public: secp.SecretBaseMul(s).Bytes()}, nil
		}
	}
}

func allZero(b []byte) bool {
	var acc byte
	for _, v := range b {
		acc |= v
	}
	return acc == 0
}
