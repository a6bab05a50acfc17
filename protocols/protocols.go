// Package protocols is the contract between the federation's protocol state
// machines and whoever drives them (the daemon, or the simulator).
//
// A machine is deterministic: it has no goroutine, clock, disk, network, log or
// hidden randomness. Input goes in through Step and its relatives, Effects come
// out. The same state and the same input always give the same effects.
//
// The driver's duties, in this order, for each batch of effects:
//
//  1. Commit every Record of Persist in one atomic durable write. If that fails,
//     stop the process: memory is ahead of the disk.
//  2. Only then transmit Send, act on Out, count Faults.
//  3. Run Work, off the loop if it likes, and feed each result back.
//  4. Call Tick when the clock reaches Deadline.
//
// Every machine has the same five entry points: New(Config), Restore(Config,
// records), Step(now, from, msg), Tick(now) and Deadline().
package protocols

import "math"

// Time is milliseconds on the driver's clock. It never decreases within one
// process and means nothing to another one, so deadlines are never persisted.
type Time int64

// Never is the Deadline of a machine that waits for nothing.
const Never Time = math.MaxInt64

// NodeID is a peer ID in binary form: opaque here, comparable, sortable.
type NodeID string

// Protocol names the channel a message travels on, e.g. "echo/1". The version
// is part of the name, so that different versions never meet.
type Protocol string

// The channels of this version.
const (
	Echo       Protocol = "echo/1"       // reliable broadcast
	DKG        Protocol = "dkg/1"        // key generation, point to point
	Sign       Protocol = "sign/1"       // nonces, signing sessions
	Roast      Protocol = "roast/1"      // signing with keys outside Bitcoin
	Federation Protocol = "federation/1" // status and notices among members
)

// Record is one durable key-value pair of a machine. A nil Value deletes Key.
// Keys are relative to the machine; whoever composes machines adds a prefix.
type Record struct {
	Key   string
	Value []byte
}

// Envelope is a message to send, best effort.
type Envelope struct {
	To       NodeID
	Protocol Protocol
	Body     []byte
}

// Job is slow (more than about 10 ms) pure computation. Run touches nothing but
// what it closed over; the driver hands its result to the machine's Done, with
// the same ID, as a later input.
type Job struct {
	ID  string
	Run func() any
}

// Fault says what a peer did wrong. It is never an error of ours.
type Fault struct {
	Culprit NodeID
	Kind    string // snake_case, one of the constants of the package that reports it
	Detail  string // for humans; holds no secret and no bytes chosen by the peer
	Proof   []byte // evidence that a stranger can check again, or nil: then it is suspicion only
}

// Effects is everything that follows from one input.
type Effects[O any] struct {
	Persist []Record   // one atomic durable write, before anything below becomes visible
	Send    []Envelope // best effort; protocols/acked makes it reliable
	Work    []Job      // slow pure functions; the result comes back as an input
	Out     []O        // decisions; each can be derived again from what was persisted
	Faults  []Fault    // what peers did wrong
}

// Append adds the effects of a later step to e, keeping order.
func (e *Effects[O]) Append(f Effects[O]) {
	Absorb(e, f)
	e.Out = append(e.Out, f.Out...)
}

// Absorb adds to e everything of f but its decisions, which are the caller's to
// translate. Composers use it to join machines with different decision types.
func Absorb[O, P any](e *Effects[O], f Effects[P]) {
	e.Persist = append(e.Persist, f.Persist...)
	e.Send = append(e.Send, f.Send...)
	e.Work = append(e.Work, f.Work...)
	e.Faults = append(e.Faults, f.Faults...)
}
