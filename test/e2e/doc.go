// Package e2e has no code but its tests: frostfed processes and a btcd on regtest,
// over loopback, from empty folders to confirmed payouts, through kills and hostile
// peers; and a member that is killed at chosen moments, put back to an older folder,
// or copied, in a federation whose other members listen to each frame.
package e2e
