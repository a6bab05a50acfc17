// Package sign makes BIP 340 signatures with t of n members: FROST (BIP 445) with
// ROAST's coordination. It knows nothing of Bitcoin: it signs 32-byte messages
// under tweaked keys that its own member computed and approved.
//
// # Model
//
// n members, the network asynchronous, channels authenticated and, with the
// machine for acknowledged messages below, reliable between living members. A
// signature needs t members that approve. Unforgeability holds against fewer
// than t, whoever coordinates: a coordinator chooses only who signs and which
// aggregate nonce, and can waste nonces, not gain by them. Liveness needs t
// members that approve and answer, one of which coordinates at some time; at most
// n-t others may be silent or lie.
//
// # A signature
//
// Every signer keeps a pool of public nonces with every possible coordinator. A
// pair of nonces is named by its handle (epoch, index), can be used by that
// coordinator only, and once. With the pools filled, a signature is one round
// trip:
//
//	signer                     coordinator                 others
//	  |--- NONCES -------------->|   ahead of time           |
//	  |                          |                           |
//	  Approve                    Approve                     Approve
//	  |--- READY --------------->|   a hint                  |
//	  |<-- SIGN (T, aggnonces) --|                           |
//	  |--- PSIG (+ NONCES) ----->|   t of them               |
//	  |<-- DONE (signatures) ----|-------------------------->|
//	  Signed                     Signed                      Signed
//
// Items of a request are signed in lots of up to 64, one session per lot and one
// pair per item, so a request of thousands needs no more memory than its items and
// signatures, and leaves pairs to others (see share). Items do not travel: each member uses its own, and refuses a
// session whose digest of them differs.
//
// # Messages
//
//	NONCES  signer -> coordinator   fresh pairs for the pool between the two
//	SIGN    coordinator -> signer   a session: lot, T, aggregate nonces, the signer's handles
//	PSIG    signer -> coordinator   partial signatures, and a refill
//	NO      signer -> coordinator   this session is not answered, and why
//	NEED    coordinator -> signer   fill the pool now
//	READY   signer -> coordinator   I approve this request; what became of it?
//	DONE    anyone -> anyone        the finished signatures, verified by each receiver
//
// # Pools
//
// A PSIG refills the pool it drew from, so that a coordinator that keeps asking
// finds it full. What is made beside that, because pairs were named in vain or
// asked for, comes out of a budget per coordinator: two pools at once and one more a
// second. So a member can drain its own pools only. A coordinator that sees a
// signer's pool below a quarter for some seconds says so (PoolLow).
//
// The requests of one coordinator share its pools. Each session takes half a pool at
// most while others run, and of those that wait for pairs the one served longest
// ago goes first. The lots of one request are signed one after the other, a round
// trip each.
//
// # The coordinator
//
// Members coordinate in the order of a hash over request and member. The r-th
// begins r*Delta after its own approval, unless the signatures came first; those
// known to be away have no turn. Concurrent coordinators are safe, as FROST3 is
// under concurrent sessions and pools are disjoint. A coordinator keeps a seat per
// member:
//
//	               SIGN                    PSIG
//	idle --------------------> pending --------------> idle (unproved)
//	 ^                           |                        | chosen again, or
//	 |        NO(stale)          |                        | the sum is wrong
//	 +---------------------------+                        v
//	 ^    NO(policy) -> gone     |                     proving
//	 |     READY: gone -> idle   |                      |    \
//	 +---------------------------|----------------------+     bad
//	                             | more than maxStrikes NO
//	                             v
//	                           silent
//
// While t seats are idle with enough nonces, a session is started with exactly t
// of them, as ROAST has it. A session that does not complete has a signer
// that never becomes idle again, and each is pending in one session, so at most
// n-t sessions of a run are lost, and n-t+1 started per request of one lot. Each NO
// for a restart can spoil one more, at most maxStrikes per signer. The bound needs
// partial signatures to be verified before a signer is asked again; otherwise only
// the aggregate is verified. One thing is not in the paper: beside a session that
// may still complete, the next one starts only after Patience. It delays a retry;
// it times nobody out.
//
// A run fails when more than n-t members refuse or misbehaved. Silence is never
// counted.
//
// # The signer
//
// On SIGN, in this order: answer a repeated session with the same bytes, and a
// changed one with a fault; check the handles; wait for, or apply, its member's own
// validation; check T, the lot, the digest and the aggregate nonces; take the
// pairs; sign, each result verified by BIP 445's rule; send. The pairs named in a
// SIGN are gone from the pool whatever the answer is.
//
// # Proof of a bad partial signature
//
// With its host key a signer vouches for each PSIG: for the key with all public
// shares, the request and session, T, each item with its tweaks, the aggregate
// nonces as it was given them, its own public nonces, the partial signatures and
// the refill. So the proof is the statement and the signature:
//
//	VerifyProof(federation [32]byte, proof []byte, verify Verify) (Conviction, error)
//	type Verify func(member protocols.NodeID, preimage, sig []byte) bool
//
// proof is the Proof of a FaultBadPartial, and verify checks host signatures of the
// federation's members, as for package echo. Recovery data of the key is not
// needed: the culprit itself says under which public shares it signed. Who wants
// to see that this was a key of the federation compares Conviction.Thresh.
//
// An honest member cannot be convicted. Partial signature s of signer i is right if
//
//	s*G = ±(R1 + b*R2) + e*λ*g*P
//
// where b, e, λ and the signs follow from T, the item, the key and the aggregate
// nonces, R1 and R2 are i's own public nonces, P is its public share. All of these
// are in the statement, and an honest signer checks this very equation before it
// vouches, with the values it vouches for. It holds whatever aggregate nonce, T,
// lot or handles a coordinator chose: that its nonces are not in the aggregate
// makes a signature useless, not a partial signature wrong. A coordinator that
// changes a word of the statement has no signature for it.
//
// The coordinator compares the statement with its own view, the public nonces it
// was given above all, by verifying the signature over what it would have vouched
// for itself. It does so only when a partial signature is wrong: while it is right
// nobody needs the proof, and t verifications per signature would cost more than
// the rest of the coordinator's work. A proven liar is chosen last from then on;
// Distrust says so of those proved before.
//
// # What is durable
//
// Finished signatures, so that a member that was away is served and nothing is
// signed again. Nothing else. Secret nonces live in memory only and have no
// encoder: a process that crashed, or was restored from a backup, has a new epoch
// and answers old handles with NO(stale). Partial signatures need not be durable
// for the same reason: the pair that made one cannot make another. Approvals must
// be durable before Approve is called; the composer does that.
//
// # Not guaranteed
//
//   - A clone of a running memory (a VM snapshot, a forked migration) has the same
//     nonces. Two epochs of one member alive are reported (FaultOldEpoch), which
//     may be too late.
//   - A lying coordinator wastes one pool and its turn, Delta long; nobody can
//     prove that it lied about an aggregate nonce.
//   - A liar that does not vouch for its partial signatures, or answers what was
//     not asked, is dropped by the coordinator and convicted by nobody: all but
//     FaultBadPartial is this member's word.
//   - Messages are not secret from members, and a member that approves learns who
//     else does.
//   - The order of coordinators can be biased by whoever chooses the request.
//
// # Sources
//
// BIP 445 draft 0.12.1 (FROST3). Ruffing, Ronge, Jin, Schneider-Bensch, Schröder:
// ROAST: Robust Asynchronous Schnorr Threshold Signatures, CCS 2022.
package sign
