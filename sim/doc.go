// Package sim puts the federation.Core that the daemon runs into a virtual world
// and breaks that world: lost, repeated and overtaking frames, partitions,
// processes that die between any two effects, reorgs, operators that come late or
// cheat, members that lie. Everything follows from one number, the seed.
//
//	go test ./sim -run '^TestSeeds$' -seeds=500 -start=1 -v
//	go test ./sim -run '^TestSeed$' -seed=7 -v
//
// The first is a campaign on all processors; it says how far it is, counts what was
// drawn, and lists the seeds that failed, each with a command as the second. That
// one prints the whole trace, and looks for the smallest world that breaks alike.
//
// # Model
//
// One queue of events over virtual milliseconds, one goroutine, no clock. All that
// is random comes from the seed; each process of a member draws from a stream of
// its own, which is new after a restart, as a real one's is.
//
//	network    per link: latency; per frame: loss, repetition, overtaking. In order
//	           per stream and connection otherwise, as in p2p. Partitions of two
//	           groups, or holes in one direction that nobody notices. Connections
//	           that were replaced may go unnoticed, or let late frames through.
//	driver     inputs wait for each other and share one commit, then sends, then
//	           the rest: the daemon's loop. It may die before the commit, after it,
//	           between any two sends, before decisions are acted on.
//	disk       a batch is committed whole or not at all. Of some members, at most f
//	           with the faulty ones, a crash loses the last batches, or somebody puts
//	           back an older image; their operators then do what operations.md says.
//	chain      real blocks and transactions, checked by the script engine against
//	           what is unspent. Blocks leave transactions out; reorgs of up to 6
//	           blocks, rarely 12, put them back; sometimes payers take back what they
//	           paid. Each member's node is late by its own time.
//	operators  keys, addresses, payout lists of which some come late, payouts, some
//	           of them tampered with. They repeat what a crash made them lose.
//	adversary  up to f members of several kinds at once (adversary*.go), who may
//	           conspire, may be there before the keys, may be chosen by what they are
//	           about to do. Between the core of such a member and the network sits a
//	           puppet (puppet.go) that opens and rewrites every message with the
//	           member's keys: lies are well-formed, signed and acknowledged.
//
// The kinds: crash, mute, slow, garbage on the wire; liar (spoilt messages), replayer,
// unsolicited (answers to nothing); badm1, badshare, equivocator (two signed payloads,
// to two halves), withholder (no ECHO, READY, PAYLOAD), complainer, voter; badpsig,
// coordinator (other nonces, signers, items to each; the same handles again),
// drainer; lastmover (waits for the others, then serves one half).
//
// A world has a fault period and then calm: every honest member runs, all are
// connected, no frame is lost, blocks come. Only faulty members go on. Within
// fifteen virtual minutes everything must be done.
//
// # Invariants
//
// Checked as things happen (invariants.go, observe.go):
//
//	I1  one session gives the same key everywhere, and every share can be recovered
//	I2  no pair of nonces answers two challenges, or is announced twice: read from
//	    the frames by a decoder of its own
//	I3  no partial signature without a durable approval; t approvals for every
//	    signature; no tampered request is approved; all that leaves the federation
//	    is exactly a list, and each list is paid once, on every best chain
//	I4  the shares of a key are of a polynomial of degree t-1, and of no less
//	I5  in the calm, keys complete and lists that all members hold are confirmed; or
//	    the reason is one of those in checker.stuck, which are counted
//	I6  no honest member names an honest one in a Fault, and no proof about one
//	    exists; none is excluded that no honest one voted against. What others say of
//	    a member that forgot, or ran twice, does not count
//	I7  records, frames and events stay below fixed bounds
//	I8  no record, no frame and no Fault holds a host secret or a share
//
// Also: a core restored from the disk is equal to the living one, all members know
// exactly the coins that exist, and nothing panics. The rest of what I4 says of fewer
// than t shares is for the tests of the cryptography.
//
// # Testing the tester
//
// TestMutants breaks the code of the daemon in an overlay, TestDriverMutants the
// rules for drivers; each must be noticed by an invariant that is there for it.
//
// # What it does not see
//
// Disks that change what was committed, clocks that jump, adversaries that sign
// what they should not, changes of membership, memory of the process.
package sim
