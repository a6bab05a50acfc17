// Package frost groups the two protocols that make and use threshold keys:
// frost/dkg generates a key that no member ever holds as a whole, and frost/sign
// signs with it. They do not know each other; whoever composes them hands the
// secret share from one to the other.
package frost
