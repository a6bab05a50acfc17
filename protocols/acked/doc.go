// Package acked turns the best-effort envelopes of package protocols into messages
// that arrive exactly once and in order, for as long as both processes live.
//
// # Model
//
// The transport authenticates the peer a frame comes from. Otherwise it may lose,
// repeat, delay and reorder frames. A peer may restart at any time, and it may be
// malicious; then it harms only its own conversation with us. There is one
// conversation per peer and in it one lane per protocol. Lanes do not wait for each
// other, and peers do not wait for each other: a peer that does not acknowledge
// costs a bounded outbox and one frame burst per back-off, never anyone's progress.
//
// # What is guaranteed
//
// Between two boots, one of either peer: what is handed up on a lane is a prefix of
// what was sent on it, without gaps or repetitions. If both stay alive, in contact
// and within the bounds of the outbox, all of it is handed up. Whenever that fails,
// because the peer restarted or its outbox overflowed, Resumed says so after the
// peer can be spoken to again, and the machines above say again what matters.
//
// # Messages
//
//	hello  who I am (boot); a question (ping) and the answer to one (pong)
//	data   one frame of a lane: whole small messages packed together, or a fragment
//	       of a large one; carries an acknowledgement
//	ack    acknowledgement alone: the next frame expected, and those held beyond it
//
// The comment of frame in wire.go is their exact form.
//
// # Boots
//
// Each process draws a random boot. Every frame names the sender's and the one of
// the receiver the sender believes in; data and ack are ignored unless both are
// right, so that frames of a dead process never mix with those of a living one. A
// boot is believed only when it answers a question that we asked:
//
//	unknown --hello(ping k)--> asking --hello(pong k) from boot b--> talking to b
//	talking to b --frame from or for another boot--> asking, still talking to b
//	asking --hello(pong k) from boot b--> talking to b
//	asking --hello(pong k) from boot c--> both windows reset, Resumed, talking to c;
//	                                      not sooner than ResendMin after the last
//
// # Time-outs
//
// While the peer is up and owes an answer one timer runs. When it fires everything
// the peer has not said it holds is sent again, and the wait doubles from ResendMin
// to ResendMax. Any new acknowledgement, and PeerUp, begin again at ResendMin;
// PeerUp resends at once. After StallAfter without an answer Stalled is reported,
// once, and Recovered when an answer comes. Stats.Attempts counts the time-outs, for
// whoever chooses between several roads to a peer.
//
// # What is persisted, and why nothing
//
// Nothing. An acknowledgement leaves no earlier than the effects that the message
// caused were committed, so a receiver that crashes has either made a message
// durable, in the form its own machine chose, or not acknowledged it. A sender that
// crashes restores the machines above, which say again what is unfinished from
// their own records. A log of messages here would store everything a second time.
//
// One case remains: a fragment is acknowledged when it is held in memory, before
// its message is complete. If the receiver then crashes, its new boot gives Resumed.
//
// # What is not guaranteed
//
// Order between lanes. Delivery of anything sent before Resumed. That two boots are
// different: they are 64 random bits. That a message reaches a peer which is up but
// never acknowledges; Stalled makes that visible.
//
// The window with cumulative and selective acknowledgements follows TCP (RFC 9293
// section 3.8, RFC 2018), the exchange of boots the three-way handshake with its
// protection against old duplicates (RFC 9293 section 3.5).
package acked
