package chain

import (
	"errors"
	"strings"
	"testing"
)

// TestRejection holds the words of real nodes: btcd's as observed, Bitcoin
// Core's from its validation code.
func TestRejection(t *testing.T) {
	for _, test := range []struct {
		reason string
		kind   RejectKind
	}{
		{"TX rejected: output already spent in mempool: output=00:0, tx=11", RejectConflict},
		{"11: replacement transaction has an insufficient absolute fee: needs 5, has 4", RejectConflict},
		{"txn-mempool-conflict", RejectConflict},
		{"insufficient fee, rejecting replacement 11; new feerate 0.01 <= old feerate 0.02", RejectConflict},
		{"tried to spend coinbase transaction output 00:0 from height 1 at height 2 before required maturity of 100 blocks", RejectImmature},
		{"bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 5", RejectImmature},
		{"orphan transaction 11 references outputs of unknown or fully-spent transaction 00", RejectMissingInputs},
		{"bad-txns-inputs-missingorspent", RejectMissingInputs},
		{"missing-inputs", RejectMissingInputs},
		{"transaction's sequence locks on inputs not met", RejectNotFinal},
		{"transaction 11 is not standard: transaction is not finalized", RejectNotFinal},
		{"non-BIP68-final", RejectNotFinal},
		{"non-final", RejectNotFinal},
		{"transaction 11 has been rejected by the rate limiter due to low fees", RejectFee},
		{"transaction 11 has 5 fees which is under the required amount of 6", RejectFee},
		{"min relay fee not met, 0 < 111", RejectFee},
		{"Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)", RejectFee},
		{"transaction 11 is not standard: transaction output 0: payment is dust: 100", RejectNonstandard},
		{"transaction 11 is not standard: transaction version 3 is not in the valid range of 1-2", RejectNonstandard},
		{"transaction 11 is not standard: weight of transaction is larger than max allowed: 5 > 4", RejectNonstandard},
		{"dust", RejectNonstandard},
		{"scriptpubkey", RejectNonstandard},
		{"version", RejectNonstandard},
		{"tx-size-small", RejectNonstandard},
		{"bad-witness-nonstandard", RejectNonstandard},
		{"bad-txns-nonstandard-inputs", RejectNonstandard},
		{"non-mandatory-script-verify-flag (Witness program hash mismatch)", RejectNonstandard},
		{"failed to validate input 11:0 which references output 00:0 - signature not valid", RejectInvalid},
		{"mandatory-script-verify-flag-failed (Invalid Schnorr signature)", RejectInvalid},
		{"mempool-script-verify-flag-failed (Invalid Schnorr signature)", RejectInvalid},
		{"bad-txns-in-belowout, value in (0.1) < value out (0.2)", RejectInvalid},
		{"total value of all transaction inputs for transaction 11 is 1 which is less than the amount spent of 2", RejectInvalid},
		{"something new", RejectOther},
	} {
		var rejected *RejectedError
		err := Rejection(test.reason)
		if !errors.As(err, &rejected) || rejected.Kind != test.kind || rejected.Reason != test.reason {
			t.Errorf("%q: %v, want %v", test.reason, err, test.kind)
		}
		if !errors.Is(err, ErrRejected) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%q matches the wrong sentinels", test.reason)
		}
	}
	for _, known := range []string{
		"TX rejected: already have transaction in mempool 11", "transaction already exists in blockchain",
		"txn-already-in-mempool", "txn-already-known", "Transaction outputs already in utxo set",
	} {
		if err := Rejection(known); err != nil {
			t.Errorf("%q: %v, want nil", known, err)
		}
	}
	if err := Rejection(strings.Repeat("x", 1<<20)); len(err.Error()) > 2*maxReason {
		t.Errorf("a long reason is kept in %d bytes", len(err.Error()))
	}
}

func TestNames(t *testing.T) {
	for k := RejectOther; k <= RejectInvalid; k++ {
		if k.String() == "unknown" {
			t.Errorf("reject kind %d has no name", k)
		}
	}
	for k := Unreachable; k <= WrongNetwork; k++ {
		if k.String() == "unknown" {
			t.Errorf("ready kind %d has no name", k)
		}
	}
	if (RejectInvalid+1).String() != "unknown" || ReadyKind(0).String() != "unknown" {
		t.Error("a kind that does not exist has a name")
	}
}
