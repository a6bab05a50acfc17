// Package bitcoin is everything about Bitcoin that needs no network, disk or
// clock: units, addresses derived from a threshold key, payout lists, payout
// transactions, sighashes and PSBTs. It handles public data only and is
// deterministic: two members with the same inputs build the same bytes.
//
// # From a threshold key to an address
//
// A Key is the 33-byte threshold public key with a chain code, that is, a
// synthetic extended public key in the shape of BIP 328 (depth 0, no parent).
// Addresses are its unhardened grandchildren /branch/index, each the internal
// key of a key-path-only Taproot output (BIP 86). Derive also returns the tweaks
// that signers of BIP 445 apply: (I_L of the branch, plain), (I_L of the index,
// plain), (TapTweak, x-only).
//
// # From a payout list to a transaction
//
// A PayoutList names who is paid what. Its ID does not depend on the file format
// or the order of rows. BuildPayout turns (list, coins, fee rate, change index,
// lock time) into one transaction and nothing else does: whoever is asked to sign
// builds it again from its own data and compares (package policy).
//
// Sizes are exact, not estimated, because every input is a Taproot key-path spend
// with a 64-byte signature (SIGHASH_DEFAULT):
//
//	virtual bytes = 10.5 + 57.5*inputs + 43*outputs   (all outputs P2TR, counts < 253)
//
// # What is not guaranteed
//
// Nothing here knows the chain: whether a coin exists, is unspent or deep enough
// is for package policy, which asks the member's own node.
package bitcoin
