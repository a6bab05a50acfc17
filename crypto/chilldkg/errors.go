package chilldkg

import (
	"errors"
	"fmt"
)

// Local and setup errors: they blame nobody in the session. The names in
// parentheses are the draft's exceptions.
var (
	// ErrMalformed reports an argument or a message of the wrong length or with
	// an undecodable field (ValueError).
	ErrMalformed = errors.New("malformed")
	// ErrHostSeckey reports a host secret key that is out of range or does not
	// belong to the session (HostSeckeyError).
	ErrHostSeckey = errors.New("invalid host secret key")
	// ErrRandomness reports all-zero randomness (RandomnessError).
	ErrRandomness = errors.New("randomness is zero")
	// ErrThresholdOrCount reports parameters outside 1 <= t <= n <= 128
	// (ThresholdOrCountError).
	ErrThresholdOrCount = errors.New("threshold or participant count out of range")
	// ErrRecoveryData reports recovery data of which no part can be trusted
	// (RecoveryDataError). It wraps what is wrong, which may be another error of
	// this list, and is therefore looked for first.
	ErrRecoveryData = errors.New("invalid recovery data")
	// ErrOwnMessage reports that a participant's own first message was
	// delivered to it with other bytes than it sent: the local node has
	// equivocated (two copies of one key?) and must leave the session.
	ErrOwnMessage = errors.New("own first message differs from the one sent")
	// ErrShareValid reports an attempt to complain about a correct share. The
	// complaint would convict its author and is therefore not made.
	ErrShareValid = errors.New("share of the accused is valid")
)

// InvalidHostPubkeyError names the position of a host public key that is not a
// compressed point (InvalidHostPubkeyError).
type InvalidHostPubkeyError struct{ Participant int }

func (e *InvalidHostPubkeyError) Error() string {
	return fmt.Sprintf("host public key %d is invalid", e.Participant)
}

// DuplicateHostPubkeyError names two positions with the same host public key, or
// with keys of equal x coordinate (DuplicateHostPubkeyError).
type DuplicateHostPubkeyError struct{ Participant1, Participant2 int }

func (e *DuplicateHostPubkeyError) Error() string {
	return fmt.Sprintf("host public keys %d and %d are the same", e.Participant1, e.Participant2)
}

// FaultyParticipantError convicts a participant: nobody else can have caused
// the fault if the channel to the participant is authentic
// (FaultyParticipantError).
type FaultyParticipantError struct {
	Participant int
	Reason      string
}

func (e *FaultyParticipantError) Error() string {
	return fmt.Sprintf("participant %d is faulty: %s", e.Participant, e.Reason)
}

// FaultyParticipantsError convicts several participants, by ascending id. It
// unwraps to the single convictions.
type FaultyParticipantsError struct{ Faults []*FaultyParticipantError }

func (e *FaultyParticipantsError) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Unwrap returns the convictions for errors.As.
func (e *FaultyParticipantsError) Unwrap() []error {
	errs := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		errs[i] = f
	}
	return errs
}

// FaultyParticipantOrCoordinatorError suspects a participant; a lying
// coordinator can produce the same symptom (FaultyParticipantOrCoordinatorError).
type FaultyParticipantOrCoordinatorError struct {
	Participant int
	Reason      string
}

func (e *FaultyParticipantOrCoordinatorError) Error() string {
	return fmt.Sprintf("participant %d or the coordinator is faulty: %s", e.Participant, e.Reason)
}

// FaultyCoordinatorError convicts the coordinator (FaultyCoordinatorError).
type FaultyCoordinatorError struct{ Reason string }

func (e *FaultyCoordinatorError) Error() string {
	return "coordinator is faulty: " + e.Reason
}

// UnknownFaultyParticipantOrCoordinatorError says that the received shares do
// not add up. ParticipantInvestigate finds the culprit with the help of the
// coordinator's investigation message
// (UnknownFaultyParticipantOrCoordinatorError).
//
// The error carries decryption pads, which are secrets of this session.
type UnknownFaultyParticipantOrCoordinatorError struct{ inv *investigation }

func (*UnknownFaultyParticipantOrCoordinatorError) Error() string {
	return "a participant or the coordinator is faulty: received shares do not match the commitments"
}

// BadSharesError lists the dealers, in ascending order, whose share for the
// local participant contradicts their commitments. See Round1.Complain.
type BadSharesError struct{ Dealers []int }

func (e *BadSharesError) Error() string {
	return fmt.Sprintf("shares of participants %v contradict their commitments", e.Dealers)
}

// InfiniteShareError names a participant whose public share is infinite, though the
// local shares fit their commitments. An honest one complains, about a dealer of a
// share that is bad; with shares that are right, only it can have brought this about.
type InfiniteShareError struct{ Participant int }

func (e *InfiniteShareError) Error() string {
	return fmt.Sprintf("public share of participant %d is infinite", e.Participant)
}

// malformed returns an ErrMalformed that says what is malformed.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
