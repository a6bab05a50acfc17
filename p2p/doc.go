// Package p2p carries frames between the members of a federation over libp2p:
// TCP, Noise and yamux, nothing else.
//
// A frame is an opaque body on a protocol of package protocols. Delivery is best
// effort and in order per stream; frames are lost when a connection breaks or a
// queue is full. Reliability is the business of protocols/acked, above.
//
// # What runs
//
//   - For each member one keeper goroutine: it dials with back-off while there
//     is no connection and sends heartbeats while there is one (keeper.go).
//   - For each member and protocol one writer with a bounded queue and one
//     long-lived outbound stream, and one reader on the stream that the member
//     opened (writer.go, reader.go). Nobody writes on a stream opened by the
//     other side, so no tie-break is needed and a lost direction is visible.
//   - One dispatcher that takes events from the members in turn, so that a
//     member that floods delays only itself (inbox.go).
//   - A private DHT, so that one seed address is enough to find every member
//     (discovery.go). Its answers are hints: the Noise handshake proves the peer
//     ID, and the member list decides what it may do.
//
// # On the wire
//
// Stream protocol IDs are "/frostfed/" + protocol, for example
// /frostfed/echo/1. A frame is a 4-byte big-endian length, then that many bytes,
// 1 to MaxFrame. The heartbeat is described in heartbeat.go.
//
// # Who may do what
//
// Anyone with an Ed25519 identity may connect, identify and use the DHT.
// Streams of member protocols opened by anyone else are reset with code
// StreamGated before one byte of them is read.
//
// # Not guaranteed
//
// That PeerUp precedes the first Frame of a peer, that two frames on different
// protocols keep their order, that a frame accepted by Send arrives.
package p2p
