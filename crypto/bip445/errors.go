package bip445

import (
	"errors"
	"fmt"
)

// ErrPrecondition is the class of errors that blame nobody: the configuration,
// the ids, the key material or the tweaks of this party are wrong.
var ErrPrecondition = errors.New("bip445: precondition")

// ErrNonceUsed reports a secret nonce that has been used or was never filled.
// Its class is ErrPrecondition.
var ErrNonceUsed = fmt.Errorf("%w: secret nonce already used", ErrPrecondition)

// ErrInvalidSignature reports that well-formed partial signatures do not add up
// to a signature: Session.Culprits finds whose.
var ErrInvalidSignature = errors.New("bip445: aggregate signature is invalid")

// Contributions that can be invalid, in the words of the BIP.
const (
	ContribPubNonce = "pubnonce"
	ContribAggNonce = "aggnonce"
	ContribPartial  = "psig"
)

// Coordinator is the index of a ContributionError without a signer: the value
// came from the coordinator, or the caller of the decoder knows whose it was.
const Coordinator = -1

// ContributionError reports an invalid contribution to a signing session.
type ContributionError struct {
	Index        int    // position in the list of signers (not an id), or Coordinator
	Contribution string // one of the Contrib constants
}

func (e *ContributionError) Error() string {
	if e.Index == Coordinator {
		return "bip445: invalid " + e.Contribution
	}
	return fmt.Sprintf("bip445: invalid %s at index %d", e.Contribution, e.Index)
}

func precondition(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrPrecondition, fmt.Sprintf(format, args...))
}
