// Package e2e has no code but its test: five frostfed processes and a btcd on
// regtest, over loopback, from empty folders to confirmed payouts, through kills
// and hostile peers.
package e2e
