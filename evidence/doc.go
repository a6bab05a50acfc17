// Package evidence turns what members hold against each other into files that
// anybody can check: who broke which rule of which federation.
//
// It lies above the protocol packages, each of which makes and verifies proofs of
// its own faults, and beside package federation, which collects them: a verifier
// needs no daemon, no key and no network, so it must not need a Core either.
//
// # What counts as evidence
//
// Only what a member signed with its host key and no correct member signs: two
// broadcasts under one topic, a wrong first message of a key generation, a share
// that its receiver proves to be bad, a complaint that is false, a complaint and a
// certificate signature of the same session, a partial signature that does not
// verify. What rests on somebody's word is suspicion and has no file: that a
// coordinator says so, that nobody answers, that a message came which nobody asked
// for, that a signature sent to one member alone was wrong.
//
// Whoever holds the host secret of a member can sign in its name, and so can a
// second copy of its data folder, or an older one restored: then the evidence is
// true of the key, and its owner has to explain.
//
// # The file
//
// A PEM block "FROSTFED EVIDENCE" of, in the notation of RFC 8446, section 3:
//
//	struct {
//	    uint8  version = 1;
//	    opaque charter<1..2^24-1>;     // as it hashes to the federation ID
//	    Source source;                 // echo(1), key generation(2), signing(3)
//	    opaque proof[...];             // to the end, as that package encodes it
//	} Evidence;
//
// The charter says who the members are and which keys they have, so that the file
// stands alone. It does not say that this federation exists: anybody can found one
// among invented members. Whoever judges a file compares the federation ID with one
// known from elsewhere.
//
// There is one file for one proof: whatever Parse takes, PEM returns again, so a
// file with one byte changed is another proof or, as tests hold, none.
package evidence
