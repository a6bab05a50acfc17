package chain

import "errors"

// What callers branch on. Backends wrap these with the details.
var (
	// ErrNotFound means the node answered, and what was asked for does not exist
	// in its view.
	ErrNotFound = errors.New("not found on the chain")

	// ErrUnavailable means there was no usable answer: node down, hung, warming
	// up, or replying with something malformed. Trying again later may help.
	ErrUnavailable = errors.New("chain backend unavailable")

	// ErrUnsupported means this backend never can; see Capabilities.
	ErrUnsupported = errors.New("not supported by this chain backend")

	// ErrRejected matches every *RejectedError.
	ErrRejected = errors.New("transaction rejected")
)

// ReadyKind says why a backend is not ready.
type ReadyKind uint8

// The reasons, each with its own remedy.
const (
	Unreachable  ReadyKind = iota + 1 // start the node, fix address or credentials
	Syncing                           // wait
	WrongNetwork                      // the configuration points at another chain
	Stalled                           // in step with its peers, yet without a block for long: look at the peers
	Disputed                          // two sources disagree, or one contradicts itself: find out which is wrong
)

var readyNames = [...]string{
	Unreachable: "unreachable", Syncing: "syncing", WrongNetwork: "wrong network",
	Stalled: "stalled", Disputed: "disputed",
}

func (k ReadyKind) String() string {
	if int(k) < len(readyNames) && readyNames[k] != "" {
		return readyNames[k]
	}
	return "unknown"
}

// NotReadyError explains to a person why the node cannot be used now.
type NotReadyError struct {
	Kind   ReadyKind
	Detail string // for humans
	Err    error  // the cause, or nil
}

func (e *NotReadyError) Error() string { return "bitcoin node " + e.Kind.String() + ": " + e.Detail }

// Unwrap makes an unreachable node match ErrUnavailable.
func (e *NotReadyError) Unwrap() error { return e.Err }
