package bip445

import (
	"frostfed/crypto/internal/secp"
	"frostfed/crypto/internal/shamir"
)

// SignerSet is one choice of signers, validated, with all that depends on the
// choice alone. Keep it for the next message: it is the part of signing whose
// cost grows with the number of signers. It is immutable.
type SignerSet struct {
	threshPK [ThreshPKSize]byte
	ids      []int
	encoded  []byte        // ids as hashed
	lambda   []secp.Scalar // by position
	shares   []pubShare    // by position; nil if the set has none
}

// SignerSet selects signers by id, in any order. Every signer's public share
// must be present in the group.
func (g *Group) SignerSet(ids []int) (*SignerSet, error) {
	if err := checkIDs(g.t, len(g.shares), ids); err != nil {
		return nil, err
	}
	s := newSignerSet(g.threshPK, ids)
	s.shares = make([]pubShare, len(ids))
	for i, id := range ids {
		if s.shares[i] = g.shares[id]; !s.shares[i].present() {
			return nil, precondition("public share of id %d is unknown", id)
		}
	}
	return s, nil
}

// NewSignerSet is Group.SignerSet for callers without a Group. pubshares lists
// the public shares of ids in the same order, or is nil: then signing works and
// PartialSigVerify does not. Source: BIP 445, ValidateSession.
func NewSignerSet(t, n int, threshPK []byte, ids []int, pubshares [][]byte) (*SignerSet, error) {
	if err := checkParameters(t, n); err != nil {
		return nil, err
	}
	if err := checkIDs(t, n, ids); err != nil {
		return nil, err
	}
	key, err := secp.ParsePoint(threshPK)
	if err != nil {
		return nil, precondition("threshold public key is not a valid point")
	}
	if pubshares == nil {
		return newSignerSet([ThreshPKSize]byte(threshPK), ids), nil
	}
	if len(pubshares) != len(ids) {
		return nil, precondition("numbers of ids and public shares differ")
	}
	shares, err := parseShares(pubshares, false)
	if err != nil {
		return nil, err
	}
	s := newSignerSet([ThreshPKSize]byte(threshPK), ids)
	s.shares = shares
	points := make([]secp.Point, len(shares))
	for i := range shares {
		points[i] = shares[i].point
	}
	if !secp.MultiMulVartime(s.lambda, points).Equal(key) {
		return nil, precondition("public shares do not match the threshold public key")
	}
	return s, nil
}

// checkIDs runs before anything is computed from ids: a repeated id would divide
// by zero in the interpolation.
func checkIDs(t, n int, ids []int) error {
	if len(ids) < t || len(ids) > n {
		return precondition("need %d to %d signers, have %d", t, n, len(ids))
	}
	var seen [MaxParticipants]bool
	for i, id := range ids {
		if id < 0 || id >= n {
			return precondition("id at index %d is not in 0..%d", i, n-1)
		}
		if seen[id] {
			return precondition("id %d is listed twice", id)
		}
		seen[id] = true
	}
	return nil
}

func newSignerSet(threshPK [ThreshPKSize]byte, ids []int) *SignerSet {
	return &SignerSet{
		threshPK: threshPK,
		ids:      append([]int(nil), ids...),
		encoded:  appendIDs(nil, ids),
		lambda:   shamir.Lagrange(ids),
	}
}

// Index returns the position of an id in the set, -1 if it is not a signer.
func (s *SignerSet) Index(id int) int {
	for i, other := range s.ids {
		if other == id {
			return i
		}
	}
	return -1
}

// IDs returns the signers in the order they were given, which is the order of
// all lists in a session.
func (s *SignerSet) IDs() []int { return append([]int(nil), s.ids...) }
