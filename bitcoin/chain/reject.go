package chain

import "strings"

// RejectKind groups the reasons for which nodes refuse a transaction by what the
// sender can do about it.
type RejectKind uint8

// The kinds. A retry is useless for Invalid and Nonstandard, needs time for
// Immature and NotFinal, and needs another transaction for the rest.
const (
	RejectOther         RejectKind = iota // the node's reason is not known to us
	RejectMissingInputs                   // an input does not exist or is spent in the chain
	RejectConflict                        // an input is spent by a pooled transaction this one may not replace
	RejectImmature                        // spends a coinbase that is not 100 deep
	RejectNotFinal                        // lock time or relative lock not reached
	RejectNonstandard                     // valid, but against relay policy
	RejectFee                             // fee too low to relay, or absurdly high
	RejectInvalid                         // can never be in a block
)

var rejectNames = [...]string{
	"other", "missing inputs", "conflict", "immature coinbase", "not final", "nonstandard", "fee", "invalid",
}

func (k RejectKind) String() string {
	if int(k) < len(rejectNames) {
		return rejectNames[k]
	}
	return "unknown"
}

// RejectedError is a node's refusal of a transaction.
type RejectedError struct {
	Kind   RejectKind
	Reason string // the node's own words, at most maxReason bytes
}

func (e *RejectedError) Error() string {
	return "transaction rejected (" + e.Kind.String() + "): " + e.Reason
}

// Is makes every rejection match ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// maxReason bounds what a node can make us log.
const maxReason = 400

// rejections maps the words of btcd 0.26 and Bitcoin Core 28 to 31 to kinds. It
// is the only place that reads them: neither node has codes fine enough to
// branch on. The first match wins, so narrow phrases come before wide ones: a
// btcd standardness failure, for example, carries its cause at its end.
var rejections = []struct {
	phrase string // lower case
	kind   RejectKind
}{
	// Conflicts with the mempool, including replacements that pay too little.
	{"already spent in mempool", RejectConflict},
	{"txn-mempool-conflict", RejectConflict},
	{"replacement transaction", RejectConflict},
	{"rejecting replacement", RejectConflict},
	{"replacement-adds-unconfirmed", RejectConflict},
	{"bip125-replacement-disallowed", RejectConflict},
	{"too many potential replacements", RejectConflict},

	{"before required maturity", RejectImmature},
	{"premature-spend-of-coinbase", RejectImmature},

	{"missing-inputs", RejectMissingInputs},
	{"missingorspent", RejectMissingInputs},
	{"missing inputs", RejectMissingInputs},
	{"orphan transaction", RejectMissingInputs},
	{"does not exist or has already been spent", RejectMissingInputs},

	{"sequence locks", RejectNotFinal},
	{"transaction is not finalized", RejectNotFinal},
	{"non-final", RejectNotFinal},
	{"non-bip68-final", RejectNotFinal},
	{"unfinalized transaction", RejectNotFinal},

	{"min relay fee", RejectFee},
	{"mempool min fee", RejectFee},
	{"max-fee-exceeded", RejectFee},
	{"fee exceeds maximum", RejectFee},
	{"absurdly-high-fee", RejectFee},
	{"insufficient priority", RejectFee},
	{"due to low fees", RejectFee},
	{"which is under the required amount", RejectFee},

	// A script that only policy refuses. Before the consensus phrases, because
	// older Core says "non-mandatory-script-verify-flag".
	{"non-mandatory-script", RejectNonstandard},

	{"script-verify-flag", RejectInvalid},
	{"script-verify-", RejectInvalid},
	{"failed to validate input", RejectInvalid},
	{"failed to parse input", RejectInvalid},
	{"bad-txns-in-belowout", RejectInvalid},
	{"is less than the amount spent", RejectInvalid},
	{"bad-txns-nonstandard-inputs", RejectNonstandard},
	{"bad-txns-too-many-sigops", RejectNonstandard},
	{"bad-txns-", RejectInvalid},
	{"individual coinbase", RejectInvalid},
	{"transaction has no ", RejectInvalid},
	{"duplicate inputs", RejectInvalid},
	{"transaction output has negative value", RejectInvalid},
	{"is higher than max allowed value", RejectInvalid},
	{"coinbase", RejectInvalid},

	{"is not standard", RejectNonstandard},
	{"non-standard", RejectNonstandard},
	{"dust", RejectNonstandard},
	{"scriptpubkey", RejectNonstandard},
	{"scriptsig-", RejectNonstandard},
	{"bad-witness-nonstandard", RejectNonstandard},
	{"multi-op-return", RejectNonstandard},
	{"bare-multisig", RejectNonstandard},
	{"datacarrier", RejectNonstandard},
	{"tx-size", RejectNonstandard},
	{"is too small", RejectNonstandard},
	{"too-long-mempool-chain", RejectNonstandard},
	{"too-large-cluster", RejectNonstandard},
	{"truc-violation", RejectNonstandard},
	{"version", RejectNonstandard},
	{"sigop", RejectNonstandard},
}

// Rejection turns the words of a node into a *RejectedError, or nil if they say
// that it already has the transaction (Submit is idempotent).
func Rejection(reason string) error {
	reason = reason[:min(len(reason), maxReason)]
	lower := strings.ToLower(reason)
	for _, known := range []string{
		"already have transaction", "already exists in blockchain", "txn-already-in-mempool",
		"txn-already-known", "already in block chain", "already in utxo set",
	} {
		if strings.Contains(lower, known) {
			return nil
		}
	}
	for _, r := range rejections {
		if strings.Contains(lower, r.phrase) {
			return &RejectedError{Kind: r.kind, Reason: reason}
		}
	}
	return &RejectedError{Kind: RejectOther, Reason: reason}
}
