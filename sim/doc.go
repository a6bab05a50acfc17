// Package sim puts the federation.Core that the daemon runs into a virtual world
// and breaks that world: lost, repeated and overtaking frames, partitions,
// processes that die between any two effects, reorgs, operators that come late or
// cheat, members that lie. Everything follows from one number, the seed.
//
//	go test ./sim -run TestSeeds -seeds=500 -start=1
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
//	disk       a batch is committed whole or not at all; nothing committed is lost.
//	chain      real blocks and transactions, checked by the script engine against
//	           what is unspent. Blocks leave transactions out; reorgs of up to 6
//	           blocks put them back. Each member's node is late by its own time.
//	operators  keys, addresses, payout lists of which some come late, payouts, some
//	           of them tampered with. They repeat what a crash made them lose.
//	adversary  up to f members that die, are mute, slow, or send garbage, flipped
//	           and old frames (adversary.go).
//
// A world has a fault period and then calm: every honest member runs, all are
// connected, no frame is lost, blocks come. Only faulty members go on. Within ten
// virtual minutes everything must be done.
//
// # Invariants
//
// Checked as things happen (invariants.go, observe.go):
//
//	I1  one ceremony gives the same key everywhere, and every share can be recovered
//	I2  no pair of nonces answers two challenges, or is announced twice: read from
//	    the frames by a decoder of its own
//	I3  no partial signature without a durable approval; t approvals for every
//	    signature; no tampered request is approved; all that leaves the federation
//	    is exactly a list, and each list is paid once, on every best chain
//	I5  in the calm, keys complete and lists that all members hold are confirmed
//	I6  no honest member names an honest one in a Fault
//	I7  records, frames and events stay below fixed bounds
//	I8  no record and no frame holds a host secret or a share
//
// Also: a core restored from the disk is equal to the living one, all members know
// exactly the coins that exist, and nothing panics. I4 says what fewer than t
// shares can do: that is for the tests of the cryptography.
//
// # What it does not see
//
// Disks that lose or change what was committed, clocks that jump, members that
// collude or send well-formed lies, changes of membership. Operators that propose
// without waiting for each other may split the members between requests for one
// coin; package federation does not exclude that, and it is only counted here.
package sim
