// Package roast signs messages with keys outside Bitcoin (crypto/rfc9591) by t of
// n members: ROAST as the paper has it, over FROST as RFC 9591 has it.
//
// It is not package sign, which signs for Bitcoin, with nonces handed out ahead
// of need and an aggregate of them in each session. RFC 9591 sends every signer
// all signers' commitments, of a size that depends on the suite; pools for each
// suite would be held for a use of a few signatures a day. Here a nonce is made
// when it is asked for, and a signature takes one message more.
//
// # Model
//
// As for package sign: asynchronous network, authenticated channels, t members
// that approve, answer and can reach one that coordinates; up to n-t others lie
// or are silent. A message is signed only if this member's own validation
// approved it (Approve), with the bytes it has itself.
//
// # A signature
//
//	signer                     coordinator                 others
//	  Approve                    Approve                     Approve
//	  |--- READY (commitments)-->|   when its turn has come
//	  |<-- SIGN (T, all) --------|   t of them are ready
//	  |--- SHARE (+ commitments)>|   verified one by one
//	  |<-- DONE (signature) -----|-------------------------->|
//	  Signed                     Signed                      Signed
//
// Members coordinate in the order of a hash over request and member; a signer
// offers itself to the r-th after r*Delta, unless the signature came first, and
// in the end to all. A coordinator has a seat for each member:
//
//	              SIGN             SHARE            it verifies
//	ready --------------> pending -------> proving -----------> ready
//	  ^                      |                |
//	  +--- READY (restart) --+                +--> bad
//
// While t seats are ready it starts a session with exactly t of them, as ROAST has
// it: a session that does not complete holds a signer that never is ready again,
// or that restarted, for which it has maxStrikes. So at most n-t sessions of a run
// are lost to liars and to silence, and n-t+1 start. A share is verified before
// its signer is asked again. Who refuses by its own policy (NO) is gone, not bad. A
// run fails when more than n-t are gone or bad.
//
// # What is durable
//
// Finished signatures: a member that was away is served, and nothing is signed
// again. Secret nonces live in memory, one for each request and coordinator, and
// have no encoder; after a restart a member offers new ones. Approvals must be
// durable before Approve is called.
//
// # Not guaranteed
//
// As in package sign: nothing for a clone of a running memory; no proof for
// strangers of who sent a bad share; members learn who approves. A coordinator
// that lies wastes its turn, and nothing else.
//
// # Sources
//
// Ruffing, Ronge, Jin, Schneider-Bensch, Schröder: ROAST: Robust Asynchronous
// Schnorr Threshold Signatures, CCS 2022. RFC 9591.
package roast
