// Package chilldkg is distributed key generation for FROST: ChillDKG, draft
// 0.3.0, as pure functions, and the additions that let it run without a
// coordinator.
//
// # The draft
//
// n participants, known to each other by host public keys, generate a threshold
// key of which any t hold enough to sign and t-1 learn nothing. They exchange
// four messages with an untrusted coordinator:
//
//	participant                       coordinator
//	ParticipantStep1  -- pmsg1 -->    CoordinatorStep1
//	ParticipantStep2  <-- cmsg1 --
//	                  -- pmsg2 -->    CoordinatorFinalize
//	ParticipantFinalize <-- cmsg2 --
//
// pmsg1 carries Feldman commitments to a random polynomial, a proof of
// possession of its constant term, and its values encrypted to the host keys
// (SimplPedPop and EncPedPop in the draft). pmsg2 is a signature of everything
// that the session must agree on (CertEq). The session has succeeded when there
// are n such signatures, the certificate, and not before. With them comes
// recovery data: public, self-verifying, and enough, together with a host
// secret key, to compute the secret share again (Recover). Host secret keys are
// therefore permanent: whoever has one has all shares ever encrypted to it.
//
// A failure is an error type of the draft's taxonomy that says who can have
// caused it. ParticipantInvestigate narrows down a bad sum of shares.
//
// # Without a coordinator
//
// Every participant broadcasts its dealing, pmsg1 and a proof of knowledge of
// its encryption nonce (Deal), by a reliable broadcast that the caller provides,
// and each computes the coordinator's part itself:
//
//	Deal -- dealing to all -->
//	OpenDealings and Combine when all n are delivered
//	Round1.Step2 -- CertEq signature to all -->
//	ParticipantState2.AddCertSig for each, Finish when all n are there
//	RecoveryAckSign -- acknowledgement to all -->
//
// If the dealings are well formed but a share is bad, Step2 returns
// *BadSharesError, the participant broadcasts a complaint (Round1.Complain)
// instead of a signature, and Judge tells everybody, with the same result, who
// is guilty.
//
// # Duties of the caller
//
// A participant durably chooses one of signature and complaint before it sends
// either; a session with an honest complaint can then never complete. Randomness
// for step 1 is fresh in each session and stored before the dealing is sent. No
// address is derived before the acknowledgements are there.
//
// # What is not guaranteed
//
// A participant that falls silent stops the session; who is silent is not
// evidence that others can check. The nonce proof, complaints and session ids
// are this project's and not covered by the draft's security proof. The
// broadcast must be reliable for blame and progress only: agreement on the key
// rests on the certificate alone.
//
// # Sources
//
// ChillDKG: https://github.com/BlockstreamResearch/bip-frost-dkg. SimplPedPop:
// Chu, Gerhart, Ruffing, Schröder, "Practical Schnorr Threshold Signatures
// Without the Algebraic Group Model", CRYPTO 2023. Pads: Pinto, Poettering,
// Schuldt, "Multi-recipient Encryption, Revisited", AsiaCCS 2014. Proofs of
// discrete logarithm equality: BIP 374.
package chilldkg
