// Package membership decides who belongs to a federation: member cards, the charter,
// and the machine by which members change their number.
//
// A Card is one line of text that binds a member's keys to each other: libp2p
// identity, host key, overlay key, bond key, and the addresses where it listens.
// Each signing key signs the card, so nobody can put a stranger's key into their
// own card. People exchange cards over a channel they trust.
//
// A Charter names the federation, its network, its threshold and the cards of
// its founders. The tagged hash of its canonical bytes is the federation ID,
// which every later signature and session binds. Two founders who compare the ID
// hold the same charter. With Terms its members lock bonds and may change; without,
// they stay as they are for ever, and nothing below applies.
//
// # Model of the machine
//
// The n members of an epoch (package bitcoin/epoch), f = (n-1)/3 of them faulty in any
// way, talk by reliable broadcast (package echo): what one correct member delivers all
// do in the end, and nobody says two things under one topic. t of them can sign. Each
// has its own view of the chain, which lags and reorganises. There is no clock: time
// is counted in blocks, and nothing but the time of a decision depends on it.
//
// A member knows a set of broadcasts, a snapshot of the chain, and what key generation
// told it. What was decided is a function of the first, whatever their order. What is
// confirmed is a function of the second, so a reorganisation needs no rule. Thus a
// restart reads the broadcasts back and is where it was, and what is in doubt after a
// crash cannot be in doubt about more than own broadcasts, which are durable before
// they are said.
//
// # Messages
//
//	host      the own host key of the next epoch, signed with it. Each epoch has new
//	          ones, so that old shares can be destroyed: a share follows from public
//	          data and a host key
//	proposal  join, leave, remove or refresh
//	vote      approval or rejection of a proposal
//	value     what a leader wants a slot to decide
//	pre       vote for a value, or for none
//	commit    the same, after a quorum of pre
//	promise   the descriptor that this member will sign for
//
// topic.go has the topics, proposal.go and value.go the bytes. Applications of
// strangers come point to point and are taken up by members in turn.
//
// # From a proposal to a new epoch
//
//	proposals, votes
//	   |
//	collecting --batch--> generating --seal--> sealed --> promised --> signed
//	   ^  ^                   |                  |                       |
//	   |  +------drop---------+                  |                     mined
//	   +---------------abandon-------------------+                       |
//	                                                      Depth deep: next epoch acts
//	                                                                     |
//	                                                      Final deep: shares are erased
//
// Words on arrows are decisions of slots, all others follow:
//
//   - batch: which approved proposals the next epoch is about, who took its bond by
//     script, and everybody's host key. From it follow roster and threshold: the
//     ceremony begins.
//   - seal: the transition, as an epoch.Proposal. From it follows everything to be
//     signed, at every fee rate.
//   - drop: there is no key, and who is to blame. Blamed applicants are passed over;
//     blamed members are removed by the next batch as silent, since without them no
//     key can have their bond. If nobody is to blame, applicants are passed over:
//     those who wait to leave must not wait for strangers.
//   - abandon: the sealed transition can never confirm, because an input was spent
//     elsewhere, or is missing, for Final blocks.
//
// A proposal needs approval by t members, since t must sign; fewer would press others to
// sign what they did not want, and were it more, n-t+1 could keep everybody in and out.
// Rules approve wishes to leave, proofs and counted silence. Policy or people approve
// applicants and early renewal. A batch takes proposals by kind (remove, leave, join),
// then by which expires first; no more join than Terms.Joins, no more depart than
// Terms.Departs and t-f-1, as those keep shares until they are erased. Others wait for
// the next epoch. A batch that omits what it had to take is refused, after patience
// blocks: a leader cannot hold hostages. An epoch of age Terms.Refresh is renewed
// without a proposal.
//
// # Why honest members cannot be split
//
// At the edge of a window, one member has seen an approval and another has not, and
// their heights differ. So no member concludes anything from what it has seen: it
// votes on a value that says it all, also the height that decides what has expired. A
// slot is one agreement as in Tendermint: in a round its leader offers a value, members
// vote once, commit to what EchoQuorum voted for, and are then locked; a slot is
// decided by EchoQuorum commits. Two quorums share an honest member, so one slot has
// one decision, even with late votes, partitions, and heights that differ. Counting
// votes until some height would be simpler and wrong: a vote that arrives as the height
// does is counted here and not there. Bracha's broadcast of one leader's value would be
// simpler too, but not live: nobody can know that a silent leader's value will not
// arrive after all.
//
// Only blocks make a member give up on a leader, and only a quorum ends a round. A half
// that is cut off waits. Once messages arrive within Terms.Round blocks, the first
// honest leader that has all the votes ends the slot: f+1 rounds at most.
//
// # One descriptor for a thread
//
// What a seal decides is promised: durably, and by broadcast under the one topic that
// the epoch has for this slot. Whoever promises two descriptors has equivocated, and
// echo has the proof. Nothing is signed before t promises for that descriptor are
// delivered. Variants with higher fees have the same descriptor; they need no new
// promise, and each member allows the next after Terms.Bump more blocks. Another
// descriptor needs the decision to abandon, and a member promises it only if it sees
// itself that the first is dead. Should a transaction come back from the dead, the
// chain decides: machines know all transitions that were sealed for a thread.
//
// # Persisted, and why
//
//   - The state of each epoch that is not superseded for good.
//   - Own broadcasts, before they are said: other ones after a crash would be
//     equivocation, or forget a lock.
//   - Broadcasts delivered, since echo may forget them. Both go when shares of the
//     epoch are erased.
//   - Promises with the transition, and its signatures. They stay one epoch longer: a
//     chain that goes back behind what was final needs them once more.
//   - That shares were erased. EraseShares comes again until Erased is called.
//
// No record holds a secret. Applications that wait are in memory only.
//
// # Bounds
//
// Per member and epoch: maxProposals proposals of 260 kB at most, maxVotes votes,
// maxSlots*maxRounds rounds, of which it leads each n-th with a value of maxValue at
// most; echo's limits are lower still (512 broadcasts, 16 MiB). Of strangers: maxWaiting
// applications, among which those with a deposit displace those without.
//
// # Not guaranteed
//
//   - Progress with more than f members silent, or after maxSlots failures in one
//     epoch: then bonds grow old, and everybody exits alone (T52).
//   - Who is removed is at fault, if the class is silence. It is what t members say.
//   - Fairness among applicants. Members may reject whom they like, and leaders may
//     delay an approved one by patience blocks and until the next epoch.
//   - Anything against t members that conspire: the money is theirs by key path.
//   - An orderly return after a long absence: when others have forgotten an epoch, its
//     broadcasts never come. The machine says Unknown, and begins anew from proofs of
//     the chain of epochs (epoch.Verify).
//   - Secrets of members that did not announce a new host key: they cannot erase.
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
//	    uint8  version;                // 1: without terms, 2: with terms
//	    opaque name<1..64>;
//	    opaque network<1..16>;
//	    uint8  threshold;
//	    Card   cards<1..128>;          // uint8 count, then uint16-prefixed cards, by host key
//	    Terms  terms;                  // version 2 only
//	} Charter;
//
//	struct {
//	    uint8  num, den;               // threshold of n: n*num/den + 1
//	    uint16 delay, depositDelay, depth, final, minEpoch, refresh;
//	    uint16 window, round, keygen, bump, silent;
//	    uint16 penalties[3];           // silence, fault, equivocation; hundredths of a percent
//	    uint8  joins, departs;
//	    uint64 minBond, entryFee, potTarget;
//	    uint64 maxFeeRate;             // sat per 1000 weight units
//	    opaque recovery[32];
//	} Terms;
//
// # Sources
//
// Agreement: Buchman, Kwon, Milosevic, "The latest gossip on BFT consensus" (2018),
// algorithm 1, with reliable broadcast in the place of gossip (Bracha 1987) and block
// heights for time-outs.
package membership
