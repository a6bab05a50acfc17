//go:build toygroup

package main

// The tag toygroup replaces the curve by a group of 13 elements for exhaustive
// tests. There is no daemon with that tag: an internal package of crypto cannot
// be imported from here, so this file stops the build before it begins.
import _ "frostfed/crypto/internal/secp"
