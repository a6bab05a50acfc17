// Package dkg generates threshold keys among the members of a federation:
// ChillDKG without a coordinator, over reliable broadcast.
//
// # Model
//
// n members (n <= 128), all of which take part in the first attempt; t of them
// will sign. The network
// is asynchronous: messages between correct members arrive in the end. Up to
// f = (n-1)/3 members may be faulty for what this package says about agreement
// on first messages and about blame. That the key is secret and that everybody
// who has it has the same one does not depend on f, nor on the broadcast: it
// rests on the certificate, which all participants sign. In return every one of
// them must take part: one that lies or is silent stops a session, and a quorum of
// n-f members decides to go on without it, in another attempt. With at most f
// faulty members and messages that arrive within the time-out, a ceremony ends
// with a key.
//
// A ceremony makes a key for Bitcoin or, if it names a Suite, one of RFC 9591
// (crypto/rfc9591); the two differ in group and in the sizes of messages, and in
// nothing that this package does (suite.go). Host keys, votes and complaints are
// the same. Session IDs never are.
//
// # Messages
//
//	M1        broadcast, topic "dkg/<hex session id>/m1": ChillDKG's first
//	          participant message (33t+32n+97 bytes) and a proof of knowledge of
//	          its encryption nonce (64), which makes later complaints safe
//	COMPLAINT broadcast, topic "dkg/<hex session id>/complaint": shares for the
//	          sender that do not fit their commitments, with proofs; and which first
//	          messages it means, as their senders signed them
//	CERTSIG   to each member: signature on what the session agreed on
//	ACK       to each member: signature on the recovery data, after storing it
//	WANT      to a few members: send me what completes my session
//	RECOVERY  answer to WANT: the recovery data, which proves itself
//	RELAY     answer to WANT: others' CERTSIGs, verified
//	EXCLUDE   to each member: signed votes to go on without somebody
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
//	 Start, or n-f votes
//	   |
//	sharing --- all M1 delivered --> checking --- sound, signed --> certifying
//	   |                              |   |                          |      |
//	   |                         bad M1   bad share: COMPLAINT       |      |
//	   |                              |   |                  all CERTSIGs   |
//	   +-- a COMPLAINT is judged -->  v   v                  or RECOVERY    |
//	   |   n-f votes exclude ------> failed  <----------------------------- +
//	   |                              |   \                         v
//	   |                     RECOVERY, if signed - - - - - ->  acknowledging
//	 time-out: vote                   |                              | n-f ACKs
//	                             n-f votes:                          v
//	                             next attempt                     active
//	                                                                 | all ACKs
//	                                                                 v
//	                                                              complete
//
// First messages are not judged before all are here: then all honest members
// judge the same bytes and name the same culprits. A complaint is judged when the
// accused's first message is here, from broadcast bytes alone: it convicts its
// accused or, if it is false, its author. A failed session is never continued.
// But who has signed cannot take it back: if a complete certificate turns up
// after all, the key exists, and the session becomes one. So a certificate
// outranks every complaint.
//
// A wrong CERTSIG fails nothing: it may be that its author has given a right one
// to others. It is dropped, and its author is voted against.
//
// # Exclusion
//
// A member votes against each culprit by itself, for the whole ceremony, and never
// takes a vote back: at once after a verdict or a wrong CERTSIG, after
// Config.Silence in one phase for silence. n-f votes against a member are a
// certificate: it is out, and the attempt among those that are left begins at
// everybody who holds it. Votes are not for sets of culprits: members see silence
// at different times, votes for different sets would not add up, and who may vote
// once only would be stuck. Here the set of excluded members only grows, and
// names the attempt; the honest come to know the same set and so meet in the same
// attempt, whatever the order of news. Before that some may begin an attempt that
// others skip; it costs messages, nothing else. A ceremony has no more attempts
// than the floor lets members go, plus one.
//
// So that the silence of a member that speaks to some only is seen alike,
// CERTSIGs are relayed. A member does not vote for silence when more are silent
// than may go, or when its own broadcast has not come back: then it may be the one
// that is cut off.
//
// The floors (MinMembers, MinSpare) and the choice of no exclusion at all are part
// of what the ceremony's ID commits to. t stays the same. Below a floor the
// ceremony ends, and people must agree on another one.
//
// A certificate of an earlier attempt may turn up when a later one has begun, or
// has made a key. Both keys are sound then, and all members come to hold both.
// The one of the lowest attempt is preferred; coins of the other are not lost.
//
// No address may be derived from a key before it is active. A key that only one
// member can prove is lost with that member; n-f acknowledgements mean that at
// least n-2f honest members hold the recovery data, and the rest are collected
// too.
//
// # Proof
//
// Broadcasts are signed, so verdicts that rest on them alone are proved to
// strangers: Fault.Proof holds the parameters of the session, which give its ID, the
// broadcasts, and their signatures; VerifyProof judges them again. Reliable broadcast
// protects members from a sender that signs two messages, but not strangers, who see
// only what they are shown. So a complaint carries hash and signature of each first
// message it is about, and holds against no other one.
//
// # Persisted, and why
//
//   - The ceremony, so that a restart resumes it.
//   - The own M1, before it is broadcast: a second, different one after a crash
//     would be equivocation. No polynomial is stored; all shares, the own one
//     included, are decrypted from first messages with the host key.
//   - Delivered M1s, since broadcast delivers once; those that come before Start
//     too, bounded per sender.
//   - The choice to sign, with what was signed, or to complain, with the complaint,
//     before either is sent. It never changes: an honest complaint and a
//     certificate exclude each other.
//   - Delivered complaints. Votes, the own ones before they are sent. They stay as
//     long as a session of their ceremony does, for members that were away.
//   - CERTSIGs received. Recovery data, before it is acknowledged. ACKs.
//   - Failures, with the culprits' M1 as evidence; the last 32 of them. Keys are
//     kept for ever: each took the signature of every member.
//
// No record holds a secret. Shares are recomputed from recovery data and host
// key after every restart and leave in KeyActive events.
//
// # Not guaranteed
//
//   - Termination with more than f faulty or silent members, with exclusion
//     switched off, or below a floor. Progress and Sessions name who is missing;
//     Abandon frees the place. It may also fail if, while messages took longer than
//     the time-out, honest members used up their votes against different honest
//     ones: none votes for more silence than the floor lets go.
//   - That an excluded member is at fault, if the votes say "silent". It has no
//     share of this key; it may take part in the next one.
//   - The same number of judged complaints everywhere: one that is delivered here
//     after this member went to the next attempt without all first messages is not
//     judged. What is judged is judged alike.
//   - Agreement on success at any one time. Members learn of the certificate at
//     different times, and one may fail a session that others complete.
//   - Proof for strangers of what came point to point: silence, wrong CERTSIGs. Votes
//     are signed, and say what n-f members believe. Nor of a complaint about a first
//     message that its accused signed and that was never delivered: strangers cannot
//     know which one was. Two signatures of the accused are proof against that one.
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
