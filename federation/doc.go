// Package federation composes the protocol machines into one deterministic Core:
// acknowledged messaging, reliable broadcast, key generation and signing, with
// the member's own view of the chain, its payout lists and its policy.
//
// # Driving a Core
//
// The driver (daemon or simulator) feeds inputs one at a time, from one
// goroutine: frames from peers (Step), commands of the operator (NewKey,
// NewAddress, AddPayoutList, ...), blocks (BlockConnected, BlockDisconnected),
// results of jobs (Done) and of external checks (ExternalVerdict), and peers that
// come and go (PeerUp, PeerDown). Each returns Effects; after one or many inputs
// it calls Tick, which lets queued messages out, and then handles all effects
// together by the rules of package protocols: commit, then speak.
//
// # From proposal to signature
//
//	proposed --own validation--> approved --t members signed--> signed --> confirmed
//	              |                  ^
//	              +--> refused ------+ (validated again when a payout list or a block arrives)
//
// A request is reliably broadcast, so all honest members hold the same one.
// Each builds the transaction again from its own payout list and its own coins,
// and persists its approval, with a lock on every coin, before it signs. A coin
// is promised to one payout list for good: another transaction may replace the
// first only if it pays the same list and shares a coin with every earlier one,
// so that at most one of them can ever confirm.
//
// # What is persisted
//
// Records "e/", "d/", "s/", "m/" belong to echo, key generation, signing and
// signing outside Bitcoin, "f/" to this package: blocks and coins of the chain
// view, ceremonies, address counters, payout lists, requests with the own verdict,
// finished transactions. No record holds a secret: shares are computed again from
// recovery data and host key.
//
// # What is not guaranteed
//
// Which members signed is not recorded in the signature. A request that too few
// members approve stays open; its coins stay promised to its list.
package federation
