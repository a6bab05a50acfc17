// Package membership says who belongs to a federation: member cards and the
// charter. (Epochs, proposals and bonds build on these.)
//
// A Card is one line of text that binds a member's keys to each other: libp2p
// identity, host key, overlay key, bond key, and the addresses where it listens.
// Each signing key signs the card, so nobody can put a stranger's key into their
// own card. People exchange cards over a channel they trust.
//
// A Charter names the federation, its network, its threshold and the cards of
// its founders. The tagged hash of its canonical bytes is the federation ID,
// which every later signature and session binds. Two founders who compare the ID
// hold the same charter.
//
// # Encodings
//
// In the notation of RFC 8446, section 3 (all integers big-endian):
//
//	struct {
//	    uint8  version = 1;
//	    opaque name<1..32>;            // printable ASCII without spaces
//	    opaque identity[32];           // Ed25519
//	    opaque host[33];               // secp256k1, compressed
//	    opaque overlay[32];            // X25519
//	    opaque bond[32];               // secp256k1, x-only
//	    uint64 issued;                 // Unix seconds; the newer card wins
//	    opaque addrs<0..8>[1..128];    // uint8 count, then uint8-prefixed multiaddrs
//	    opaque sigIdentity[64];        // Ed25519
//	    opaque sigHost[64];            // BIP 340
//	    opaque sigBond[64];            // BIP 340
//	} Card;
//
// The signed preimage is the tagged hash "frostfed/v1/card" of everything before
// the signatures. As text a card is "frostcard1:" and base64url without padding.
//
//	struct {
//	    uint8  version = 1;
//	    opaque name<1..64>;
//	    opaque network<1..16>;
//	    uint8  threshold;
//	    Card   cards<1..128>;          // uint8 count, then uint16-prefixed cards, by host key
//	} Charter;
package membership
