package bip445

import (
	"frostfed/crypto/internal/secp"
	"frostfed/crypto/internal/shamir"
)

// ThresholdInfo is the public result of key generation.
type ThresholdInfo struct {
	T         int                // signers needed, 1 <= T <= n
	ThreshPK  [ThreshPKSize]byte // compressed, with parity
	PubShares [][]byte           // by id, 33 bytes each; nil where unknown
}

// Validate reports whether the public shares, at least T of them, and the
// threshold key lie on one polynomial of degree T-1. Source: BIP 445,
// ValidateThresholdInfo.
func (ti ThresholdInfo) Validate() error {
	_, err := NewGroup(ti)
	return err
}

// Group is a validated ThresholdInfo with its points decoded. Sessions take the
// key and the public shares from it, so they need not be checked again.
type Group struct {
	t        int
	threshPK [ThreshPKSize]byte
	key      secp.Point
	shares   []pubShare // by id
}

type pubShare struct {
	point secp.Point
	enc   [PubShareSize]byte // zero if absent
}

func (p *pubShare) present() bool { return p.enc[0] != 0 }

func checkParameters(t, n int) error {
	if t < 1 || t > n || n > MaxParticipants {
		return precondition("need 1 <= t <= n <= %d, have t=%d, n=%d", MaxParticipants, t, n)
	}
	return nil
}

// NewGroup validates the result of a key generation and keeps a copy.
func NewGroup(ti ThresholdInfo) (*Group, error) {
	if err := checkParameters(ti.T, len(ti.PubShares)); err != nil {
		return nil, err
	}
	key, err := secp.ParsePoint(ti.ThreshPK[:])
	if err != nil {
		return nil, precondition("threshold public key is not a valid point")
	}
	shares, err := parseShares(ti.PubShares, true)
	if err != nil {
		return nil, err
	}
	g := &Group{t: ti.T, threshPK: ti.ThreshPK, key: key, shares: shares}
	return g, g.checkPolynomial(shareCheckSeed(ti.T, ti.ThreshPK[:], ti.PubShares))
}

// parseShares decodes public shares; nil entries stay absent if that is allowed.
func parseShares(encoded [][]byte, absent bool) ([]pubShare, error) {
	shares := make([]pubShare, len(encoded))
	for i, b := range encoded {
		if b == nil && absent {
			continue
		}
		p, err := secp.ParsePoint(b)
		if err != nil {
			return nil, precondition("public share at index %d is not a valid point", i)
		}
		shares[i] = pubShare{p, [PubShareSize]byte(b)}
	}
	return shares, nil
}

// checkPolynomial tests that the key, at coordinate 0, and the m present shares
// lie on one polynomial of degree t-1, with one multiplication per point instead
// of t per share. For weights v dual to the m+1 coordinates x_j and a random
// polynomial g of degree m-t,
//
//	Σ v_j·g(x_j)·Y_j = O
//
// holds if they do, and with probability 2^-256 if they do not. g is drawn from
// a hash of all inputs: nobody can choose shares knowing it, and the result does
// not depend on luck. The BIP's rule (interpolating the t lowest shares gives
// all others and the key) is the same statement.
func (g *Group) checkPolynomial(seed [32]byte) error {
	xs, points := []int{0}, []secp.Point{g.key}
	for id := range g.shares {
		if g.shares[id].present() {
			xs = append(xs, shamir.X(id))
			points = append(points, g.shares[id].point)
		}
	}
	m := len(xs) - 1
	if m < g.t {
		return precondition("only %d of %d needed public shares are present", m, g.t)
	}
	coefficients := make([]secp.Scalar, m-g.t+1)
	for k := range coefficients {
		coefficients[k] = shareCheckCoefficient(&seed, k)
	}
	weights := shamir.DualWeights(xs)
	for j, x := range xs {
		var value secp.Scalar
		for k := len(coefficients) - 1; k >= 0; k-- {
			value = value.Mul(secp.ScalarFromUint(uint64(x))).Add(coefficients[k])
		}
		weights[j] = weights[j].Mul(value)
	}
	if !secp.MultiMulVartime(weights, points).IsInfinity() {
		return precondition("public shares and threshold public key are not of one polynomial of degree t-1")
	}
	return nil
}

// T is the number of signers needed.
func (g *Group) T() int { return g.t }

// N is the number of participants.
func (g *Group) N() int { return len(g.shares) }

// ThreshPK returns the plain threshold key, 33 bytes compressed.
func (g *Group) ThreshPK() [ThreshPKSize]byte { return g.threshPK }

// TweakCtx starts a tweak context with the group's key.
func (g *Group) TweakCtx() TweakCtx { return newTweakCtx(g.key, g.threshPK) }
