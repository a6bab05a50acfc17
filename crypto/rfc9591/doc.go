// Package rfc9591 makes and uses threshold keys outside Bitcoin: FROST as in RFC
// 9591, for Ed25519, ristretto255, P-256 and secp256k1, as pure functions.
//
// Signing is github.com/bytemare/frost. Key generation is this project's, because
// RFC 9591 has none and ChillDKG is for BIP 445 only: the construction of package
// chilldkg without coordinator, with the suite's group where the polynomials are.
//
//	NewParams, SessionID
//	Deal -- dealing to all -->
//	OpenDealings and Combine when all n are delivered
//	Round1.Certify -- signature to all -->     (or Round1.Complain; Judge)
//	EqInput and n signatures: recovery data; Recover
//	RecoveryAckSign -- acknowledgement to all -->
//
//	NewNonce -- commitments to the coordinator -->
//	NewSession <-- all commitments --
//	Session.Sign -- signature share -->
//	Session.Aggregate, or Session.Verify to find who is wrong
//
// What does not depend on the suite is chilldkg's: host keys on secp256k1, which
// serve encryption, certificate, complaints and votes to exclude; errors; the
// duties of the caller. A key of one suite has nothing in common with one of
// another, or with a Bitcoin key: the suite is in the session id, all tags are
// this package's, and a Share can be made by Recover alone and not be encoded.
// Where a step differs from chilldkg:
//
//   - Elements must be canonical, in the group of prime order, and not the
//     identity, in dealings too.
//   - The proof of possession and the certificate bind the session.
//   - The key has no Taproot tweak.
//   - t is at least 2. n is at most 128, and participant i is signer i+1.
//   - A public share that FROST cannot use convicts nobody (see publicKeys); the
//     key works without it.
//
// # What is signed
//
// Only tagged messages: SignedBytes. An Ed25519 signature verifies by
// crypto/ed25519, or openssl, under the key's 32 bytes. In the other suites a
// signature is the encoded R and z, 64 or 65 bytes, and verifies by RFC 9591's
// equation. A signature for Secp256k1 is not a BIP 340 signature.
//
// # What is not guaranteed
//
//   - A proof that the key generation is secure with FROST as in RFC 9591. It is
//     SimplPedPop (CRYPTO 2023) as ChillDKG has it, with unanimous certificate, but
//     ChillDKG's proofs are for its own curve and signing.
//   - Constant time. Scalars and multiplications by secrets are those of
//     filippo.io/edwards25519, gtank/ristretto255, filippo.io/nistec and
//     bytemare/secp256k1, which claim it; the last has no independent test here.
//     Nobody has audited the whole.
//   - That secrets are gone from memory after Wipe. What this package holds is
//     overwritten; the library copies shares and intermediate scalars, and leaves
//     the copies to the garbage collector. Ed25519 nonces are overwritten as the
//     library does it, with values.
//   - Speed with many signers: verifying one share of u costs u multiplications in
//     the library, and calls wait for each other (see library).
//
// # Sources
//
// RFC 9591 (Connolly, Komlo, Goldberg, Wood, 2024). RFC 9380 for scalars from
// hashes. ChillDKG and BIP 374 as in package chilldkg.
package rfc9591
