package rfc9591

import "crypto/ed25519"

// MessageTag is in front of every message that is signed. No other protocol signs
// such bytes, so that no key of a federation can be made to sign a certificate, a
// transaction or a login of somebody else's by calling it a message.
const MessageTag = "frostfed/v1/message\n"

// SignedBytes returns what is signed for a message: MessageTag and the message.
func SignedBytes(message []byte) []byte { return append([]byte(MessageTag), message...) }

// Verify reports whether sig is a signature of message under an encoded public
// key, as any stranger verifies one of SignedBytes(message): by crypto/ed25519 in
// that suite, in the others by the equation z*G = R + c*P with RFC 9591's
// challenge c. All encodings must be canonical.
func Verify(suite Suite, public, message, sig []byte) bool {
	return suite.Valid() && verify(suite, public, SignedBytes(message), sig)
}

func verify(suite Suite, public, message, sig []byte) bool {
	switch {
	case len(public) != suite.PublicKeySize() || len(sig) != suite.SignatureSize():
		return false
	case suite == Ed25519:
		return ed25519.Verify(public, message, sig)
	}
	return verifyGroup(suite, public, message, sig)
}
