// Package dkg generates threshold keys among the members of a federation:
// ChillDKG without a coordinator, over reliable broadcast.
//
// # Model
//
// n members (n <= 128), all of which take part; t of them will sign. The network
// is asynchronous: messages between correct members arrive in the end. Up to
// f = (n-1)/3 members may be faulty for what this package says about agreement
// on first messages and about blame. That the key is secret and that everybody
// who has it has the same one does not depend on f, nor on the broadcast: it
// rests on the certificate, which all n members sign. In return every member
// must take part: one silent member stops a session, and only people or a quorum
// can decide to go on without it.
//
// # Messages
//
//	M1        broadcast, topic "dkg/<hex session id>/m1": ChillDKG's first
//	          participant message (33t+32n+97 bytes) and a proof of knowledge of
//	          its encryption nonce (64), which makes later complaints safe
//	CERTSIG   to each member: signature on what the session agreed on
//	ACK       to each member: signature on the recovery data, after storing it
//	WANT      to a few members: send me what completes my session
//	RECOVERY  answer to WANT: the recovery data, which proves itself
//
// (message.go has the bytes.) Signatures are not unique, so a faulty member can
// cause two members to hold different certificates for one key. An ACK therefore
// names the recovery data it signs, and who holds other data asks for that.
//
// The session ID hashes t, all host keys in order, the ceremony's ID and the
// attempt. It is in every message, in the topic and under the proof in M1;
// messages of sessions not known here are dropped. CERTSIG and ACK sign exactly
// the bytes of the ChillDKG draft, which name the session by the encryption
// nonces in them.
//
// # States
//
//	 Start
//	   |
//	sharing --- all n M1 delivered --> checking --- sound, signed --> certifying
//	                                      |                          |        |
//	                               bad M1, bad share       n good CERTSIG   bad CERTSIG
//	                                      |                or RECOVERY        |
//	                                      v                          v        v
//	                                    failed <- - - -  acknowledging      failed
//	                                                          |               |
//	                                                      n-f ACKs         RECOVERY
//	                                                          v               |
//	                                                       active   <---------+
//	                                                          |      (by way of
//	                                                        n ACKs  acknowledging)
//	                                                          v
//	                                                       complete
//
// Nothing is judged before all n first messages are here: then all honest
// members judge the same bytes and name the same culprits. A failed session is
// never continued. But who has signed cannot take it back: if a complete
// certificate turns up after all, the key exists, and the session becomes one.
//
// No address may be derived from a key before it is active. A key that only one
// member can prove is lost with that member; n-f acknowledgements mean that at
// least n-2f honest members hold the recovery data, and the rest are collected
// too.
//
// # Persisted, and why
//
//   - The ceremony, so that a restart resumes it.
//   - The own M1, before it is broadcast: a second, different one after a crash
//     would be equivocation. No polynomial is stored; all shares, the own one
//     included, are decrypted from first messages with the host key.
//   - Delivered M1s, since broadcast delivers once; those that come before Start
//     too, bounded per sender.
//   - The choice to sign, with what was signed, or to complain, before either is
//     sent. It never changes: an honest complaint and a certificate exclude
//     each other.
//   - CERTSIGs received. Recovery data, before it is acknowledged. ACKs.
//   - Failures, with the culprits' M1 as evidence; the last 32 of them. Keys are
//     kept for ever: each took the signature of every member.
//
// No record holds a secret. Shares are recomputed from recovery data and host
// key after every restart and leave in KeyActive events.
//
// # Not guaranteed
//
//   - Termination: a silent member, or one that sends a bad M1, stops a session.
//     Silence is never judged here; Progress and Sessions name who is missing,
//     and Abandon frees the place.
//   - Agreement on success at any one time. Members learn of the certificate at
//     different times, and one may fail a session that others complete.
//   - Proof for strangers. A bad M1 is proved to every member by the broadcast,
//     but M1 carries no signature of its own, so Faults have no Proof here. A bad
//     share is seen by its receiver alone and is a suspicion until a complaint
//     proves it; complaints, exclusion and retries are not part of this package
//     yet.
//   - Anything, once a host secret leaks: with the recovery data, which is public,
//     it gives the share. The host key of a key in use must never be erased.
//   - An unbiased key: the last to broadcast may abort to choose among a few
//     keys, which is harmless for Schnorr signatures.
//
// # Sources
//
// ChillDKG draft 0.3.0 (Ruffing, Nick, Falbesoner), on SimplPedPop and EncPedPop
// of "Practical Schnorr Threshold Signatures Without the Algebraic Group Model"
// (Chu, Gerhart, Ruffing, Schröder, CRYPTO 2023); the certificate is its
// CertEq. Reliable broadcast: Bracha, "Asynchronous Byzantine agreement
// protocols" (1987).
package dkg
