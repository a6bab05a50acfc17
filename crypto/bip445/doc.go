// Package bip445 signs BIP 340 signatures with t of n FROST signers, as BIP 445
// (draft 0.12.1, scheme FROST3) specifies.
//
// The parties of one signature:
//
//	signer       NonceGen ahead of time, sends the PubNonce
//	coordinator  NonceAgg of the chosen signers' nonces, sends ids and AggNonce
//	signer       NewSession, Signer.Sign, sends the partial signature
//	coordinator  Session.PartialSigAgg; if that fails, Session.Culprits
//
// The coordinator is not trusted. A signer takes the key and the public shares
// from its own Group, the message and the tweaks from the transaction it
// approved, and only the ids and the aggregate nonce from the coordinator.
//
// What can be done once is a type of its own: a Group is a validated key, a
// SignerSet the Lagrange coefficients of one choice of signers, a TweakCtx one
// derived address, a PubNonce a decoded pair of points. Signing another message
// with the same set costs one multiplication, whatever the number of signers.
//
// Errors have two classes. ErrPrecondition: this party's own configuration or
// key material is wrong, nobody is to blame. *ContributionError: a participant,
// or the coordinator, sent something invalid. Blame is sound only if
// contributions were authenticated and the nonces aggregated by the party that
// blames.
//
// Not offered: DeterministicSign of the BIP, which is safe only for the last
// signer to contribute a nonce, a condition that a coordinator can fake.
//
// The package is pure: randomness is an argument, and nothing is stored.
package bip445

// Version is the draft implemented. Hash inputs changed between drafts, so
// signers of different drafts cannot sign together: the version belongs into the
// identifier of any protocol that uses this package. Keys and final signatures
// do not depend on it.
const Version = "0.12.1"

// Limits and sizes in bytes.
const (
	MaxParticipants = 128 // n: the adaptive security proof ends at 131
	SecShareSize    = 32
	PubShareSize    = 33
	ThreshPKSize    = 33
	PubNonceSize    = 66 // two compressed points
	AggNonceSize    = 66
	PartialSigSize  = 32
	SignatureSize   = 64
)
