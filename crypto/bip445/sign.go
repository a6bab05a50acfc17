package bip445

import (
	"errors"

	"frostfed/crypto/internal/secp"
)

// ErrFault reports that a partial signature just computed does not verify. It
// was not released: a computation gone wrong can reveal the share.
var ErrFault = errors.New("bip445: own partial signature is invalid")

// Signer holds a secret share. It is made once per key: its public share is
// computed then and only compared later, so that the long-lived secret is not
// multiplied at each signature.
type Signer struct {
	id       int
	share    *secp.Scalar // a pointer, so that printing a Signer shows an address
	pubshare pubShare
}

// NewSigner takes the secret share of a participant: 32 bytes, not zero, below
// the order. The slice remains the caller's to wipe.
func NewSigner(id int, secshare []byte) (*Signer, error) {
	if id < 0 || id >= MaxParticipants {
		return nil, precondition("signer id out of range")
	}
	share, err := secp.ParseScalarNonZero(secshare)
	if err != nil {
		return nil, precondition("secret share out of range")
	}
	p := secp.SecretBaseMul(share)
	return &Signer{id, &share, pubShare{p, p.Bytes()}}, nil
}

// ID is the participant the share belongs to.
func (g *Signer) ID() int { return g.id }

// PubShare returns the public share, 33 bytes compressed.
func (g *Signer) PubShare() [PubShareSize]byte { return g.pubshare.enc }

// Wipe destroys the share; the signer cannot sign any more.
func (g *Signer) Wipe() { g.share.Wipe() }

// Sign returns the partial signature, 32 bytes. The nonce is spent whatever the
// outcome: releasing nothing costs a nonce, using one twice costs the share.
//
// It fails if the signer is not in the set or the set lists another public share
// at its position, and with ErrFault if the result does not verify. Source:
// BIP 445, Sign.
func (g *Signer) Sign(s *Session, nonce *SecNonce) ([PartialSigSize]byte, error) {
	var none [PartialSigSize]byte
	k1, k2, pub, err := nonce.take()
	if err != nil {
		return none, err
	}
	defer k1.Wipe()
	defer k2.Wipe()
	i := s.set.Index(g.id)
	if i < 0 {
		return none, precondition("id %d is not in the set", g.id)
	}
	if s.set.shares != nil && s.set.shares[i].enc != g.pubshare.enc {
		return none, precondition("the set lists another public share for id %d", g.id)
	}
	if g.share.IsZero() {
		return none, precondition("the secret share was wiped")
	}
	// s = ε(k1 + b·k2) + e·λ·g·gacc·d
	c := s.coefficient(i)
	z := k1.Add(s.b.Mul(k2)).NegIf(s.oddR).Add(c.Mul(*g.share))
	if !s.verify(z, c, g.pubshare.point, pub) {
		return none, ErrFault
	}
	return z.Bytes(), nil
}
