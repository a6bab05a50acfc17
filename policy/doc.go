// Package policy answers one question: may this be signed? Every answer is a
// Verdict with a stable rule name, for people, metrics and exit codes alike.
//
// The package is pure. What the member knows (its coins, payout lists, chain and
// earlier promises) comes through View; what its operator wants comes as Config.
// Nothing that a proposal says is believed: Payout builds the transaction again
// from the member's own data and compares it byte for byte, and the caller signs
// what was rebuilt. So a verdict about a proposal is a verdict about the proposer
// only; no wording of a proposal can make a member sign anything else.
//
// A request passes if all that apply allow it:
//
//   - Payout, for payout lists that every member holds: outputs equal the list,
//     change returns to us, coins are ours, deep and not promised elsewhere, fee,
//     lock time and form as agreed.
//   - Transaction, for a transaction that somebody else composed: same checks of
//     coins and form, and each output is on the allow-list or ours.
//   - Window.Check, the most that may leave in a day of 144 blocks.
//   - ExternalVerdict, the operator's own command. Whatever it does other than
//     saying yes properly is a no.
//
// What is not guaranteed: the caller must record a promise (list to txid, outpoint
// to txid) durably before it releases its first partial signature, and must ask
// again after a reorganisation. Verdicts of two honest members may differ while
// their nodes are a block apart; Verdict.Transient tells which refusals may pass.
package policy
