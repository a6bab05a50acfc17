//go:build toygroup || exponents

package main

// The tags toygroup and exponents replace the curve by groups without security,
// for tests. There is no daemon with them: an internal package of crypto cannot
// be imported from here, so this file stops the build before it begins.
import _ "frostfed/crypto/internal/secp"
