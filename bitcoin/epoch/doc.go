// Package epoch settles on Bitcoin who belongs to a federation. It handles public
// data only, is deterministic, and knows neither time nor network: the machine that
// decides who may join stands above it.
//
// # Model
//
// An epoch is a set of members with one threshold key K. Each member locks a bond
// that K can spend at any time, and that the member can spend alone when it is D
// blocks old. One transaction, signed by the old K, ends an epoch and begins the
// next. It moves all bonds, so that every D starts again:
//
//	   deposits           transition 0              transition 1
//	                    +--------------+          +--------------+
//	                    | thread, pot  |--------->| thread, pot  |-----> ...
//	member A  >-------->| bond A       |--------->| bond A       |
//	member B  >-------->| bond B       |--------->| refund of B  |  B left
//	member C  >-------->| bond C       |--+       | bond D       |
//	                    +--------------+  |       +--------------+
//	                              C's exit after D        ^
//	member D  >-------------------------------------------+
//
// The thread is one output with one spender, so the epochs are a line: whoever holds
// all bonds but not the thread succeeds to nothing. It carries the pot, from which
// alone fees are paid. Bonds keep their values, and variants of a transition at
// different fee rates have one descriptor.
//
// # Commitment
//
// A Descriptor says all that is to be known of an epoch. Its hash goes into the
// chain code of K's extended public key:
//
//	hash       = H_{frostfed/v1/epoch}(descriptor)
//	chain code = H_{frostfed/v1/epoch/chain code}(K || hash)
//	xpub       = depth 0, no parent, chain code, K                    (BIP 328)
//	/0/i receive, /1/i change, /2/0 bonds, /3/0 deposits, /4/0 thread (BIP 32)
//	bond       = tr(xpub/2/0, and_v(v:pk(M), older(D)))               (BIP 386, 379)
//
// Nobody sees on chain that there is a commitment; who is given the descriptor can
// check every output. All tweaks are those of BIP 32 and BIP 341, which BIP 445
// signs under and ordinary wallets know. Members choose parts of the descriptor, and
// so influence tweaks; but a tweak is a hash that covers K, so to aim it at a key one
// knows is to find a preimage, as with the script root of any Taproot output.
//
// M is x-only, as in the member's card and in the leaf. It should be the key of a
// wallet that is kept cold. A deposit has the same shape with the same M under the
// key that is asked to admit: its address follows from descriptor and M alone.
//
// # Life of a bond
//
//	          deposit on chain, Terms.Ripe
//	applicant ----------------------------> admitted by a transition: bond
//	    |                                      |       |         |
//	    | not admitted for                     | stays | leaves: | D blocks without a
//	    | DepositDelay blocks                  | (again| refund, | transition: NewExit
//	    v                                      |  D)   | less    v
//	takes it back with M: NewExit              +---+   | penalty takes it with M
//	                                               |   v         |
//	                                               |  gone <-----+
//	                                               v  (change Left, Removed, Exited)
//	                                           next epoch
//
// Joining takes two steps on purpose. Were the applicant's own coin an input of the
// transition, it could spend that coin elsewhere and take the whole transition with
// it, or refuse to sign a higher fee. A deposit is already the federation's.
//
// # Who does what
//
// Proposers send a Proposal. Every member calls Build on it, with the State it has
// itself, and signs what comes out and nothing else; two that build from the same
// proposal have the same bytes. For one thread outpoint a member signs one
// descriptor, and variants only as Transition.Replaces allows. A second descriptor
// is due only when the first cannot confirm any more, because an input of it was
// spent by an exit or a reorganisation undid a deposit, and that is final.
//
// Outsiders call CheckFounders and then Verify, with headers they trust. Verify
// builds each transaction too, with the code that members use.
//
// # Not guaranteed
//
//   - t members together take everything: bonds, deposits and pot are theirs by key
//     path. A bond protects its owner against the absence of t members, not against
//     their conspiracy. Members who left count among them until the transition that
//     took their key out of use is final.
//   - A penalty is a rule that signers follow, not one of Script. A member whose
//     bond is D blocks old outruns it.
//   - While t members keep making transitions, nobody exits alone. A federation that
//     ignores a signed request to leave holds a hostage; the request is evidence.
//   - When an exit and a transition are both allowed, miners decide.
//   - The proof of an epoch shows who is bonded, not that they are different people,
//     nor where their coins came from. Values of swept coins stand or fall with the
//     word of t signers.
//   - Proof of work is not checked here but where headers come from.
//   - A pot without a recovery key is lost with the key; with one, its holder gains
//     if the federation stands still for 3D blocks.
//
// # Sources
//
// BIP 32, 68, 112, 125, 141, 328, 340, 341, 342, 379, 380, 386; draft BIP 445. Bonds
// that lock to one key in time: BIP 46. Membership by inputs of a transaction that
// pays the group key: the frost-federation design notes. Transactions rebuilt from
// proposals: keep-core. Merkle trees: CVE-2012-2459, CVE-2017-12842.
package epoch
