// Package api serves one member's daemon to its operator and to the software
// that pays through it, and holds the client of that service.
//
// The schema is frostfed/v1/frostfed.proto. Handlers translate between generated
// types and the views of package federation; they decide nothing. Every change of
// state runs in the daemon's loop and is durable before it is answered.
//
// # Who may call
//
// The service listens on a unix socket of mode 0600 in the member's data folder,
// so the file system answers that question: the user who runs the daemon, who
// can read its keys anyway. There are no tokens. Whoever forwards the socket to
// another machine gives that machine the say over payouts.
//
// Metrics and health are apart (MetricsHandler), for a port on loopback: they
// change nothing and tell no secret.
package api
