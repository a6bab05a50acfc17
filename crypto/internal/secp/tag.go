package secp

import (
	"crypto/sha256"
	"encoding"
)

// Tag is a tagged hash function of BIP 340: SHA256(SHA256(tag)‖SHA256(tag)‖m).
// The state after the first block depends on the tag only and is kept, which
// saves more than half of the work for short messages.
type Tag struct{ midstate []byte }

// NewTag prepares the tagged hash of a name.
func NewTag(name string) Tag {
	t := sha256.Sum256([]byte(name))
	h := sha256.New()
	h.Write(t[:])
	h.Write(t[:])
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("secp: SHA-256 state: " + err.Error()) // unreachable: the standard library's state always encodes
	}
	return Tag{midstate: state}
}

// Hash returns the tagged hash of the concatenated parts. Lengths of parts are
// not hashed: the caller's format must be unambiguous.
func (t Tag) Hash(parts ...[]byte) [32]byte {
	h := sha256.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(t.midstate); err != nil {
		panic("secp: use of an unnamed Tag")
	}
	for _, p := range parts {
		h.Write(p)
	}
	var out [32]byte
	h.Sum(out[:0])
	return out
}
