// Package secp is the one place of the project that does arithmetic on the
// curve secp256k1.
//
// It is a thin seam over gitlab.com/yawning/secp256k1-voi (pure Go, constant
// time unless a name says Vartime) and adds what BIP 340, BIP 374, BIP 445 and
// ChillDKG need and general libraries get wrong: strict codecs, tagged hashes,
// Schnorr signatures of messages of any length under any tag prefix, and proofs
// of discrete logarithm equality.
//
// The rule for secrets: exactly two functions multiply points by secret
// scalars, SecretBaseMul and SecretMul, and both run in constant time. All other
// multiplications have Vartime in their names and accept public data only; a
// test of this package reads the sources of every crypto package and holds each
// use of them against a list that names the reason. Sums, products and
// negations of scalars are constant time.
//
// Under the build tag toygroup a group of 13 elements takes the place of the
// curve, for the exhaustive tests of the packages above: see toy_point.go. Under
// the tag exponents points are their logarithms, for simulations: see exponents.go.
//
// Scalars and points are values: assigning copies, and the zero values are the
// scalar 0 and the point at infinity.
package secp
