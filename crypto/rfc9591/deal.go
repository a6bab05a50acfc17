package rfc9591

import (
	"crypto/sha256"
	"fmt"

	"github.com/bytemare/ecc"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/secp"
)

// A dealing, the first and only message of a participant before the certificate:
//
//	suite (1)
//	commitments C_0..C_{t-1} to its polynomial, elements of the suite's group
//	proof of possession of the logarithm of C_0: R (element), z (scalar)
//	N (33): public encryption nonce on secp256k1
//	c_0..c_{n-1}: scalars, the polynomial's values encrypted to the host keys
//	proof of knowledge of the logarithm of N (64), over all of the above
//
// It is ChillDKG's dealing with other groups in the places of secp256k1: the
// polynomial is over the suite's scalars, while encryption stays on secp256k1,
// since host keys are there.

var (
	tagSeed     = secp.NewTag("frostfed/v1/rfc9591 seed")
	tagSecnonce = secp.NewTag("frostfed/v1/rfc9591 secnonce")
	tagNonceAux = secp.NewTag("frostfed/v1/rfc9591 nonce pok aux")

	noncePoK = secp.NewSchnorr("frostfed/v1/rfc9591 nonce pok")
)

// DealingSize is the length of a dealing in bytes.
func (p *Params) DealingSize() int { return p.bodySize() + secp.SignatureSize }

// bodySize is the length of a dealing without the proof about its nonce.
func (p *Params) bodySize() int {
	return 1 + p.suite.PublicKeySize()*(p.T()+1) + scalarSize + 33 + scalarSize*p.N()
}

// DealingNonce returns the encryption nonce (33 bytes) within a dealing of
// DealingSize bytes. It is drawn for one session alone.
func (p *Params) DealingNonce(dealing []byte) []byte {
	at := p.bodySize() - scalarSize*p.N() - 33
	return dealing[at : at+33]
}

// noncePoKMessage returns session || b4(id) || SHA256(body).
func noncePoKMessage(session chilldkg.SessionID, id int, body []byte) []byte {
	hash := sha256.Sum256(body)
	return append(append(session[:], b4(id)...), hash[:]...)
}

// Deal returns a participant's dealing, to be broadcast. The same arguments give
// the same dealing; random is 32 FRESH bytes for each session. It returns
// chilldkg.ErrMalformed, ErrHostSeckey if the key is not one of params, or
// ErrRandomness.
func Deal(hostseckey []byte, p *Params, session chilldkg.SessionID, random []byte) ([]byte, error) {
	if len(random) != 32 {
		return nil, malformed("randomness has %d bytes, want 32", len(random))
	}
	if allZero(random) {
		return nil, chilldkg.ErrRandomness
	}
	h, id, err := p.member(hostseckey)
	if err != nil {
		return nil, err
	}
	defer h.Wipe()
	seed := tagSeed.Hash(hostseckey, random, []byte{byte(p.suite)}, session[:])
	defer clear(seed[:])
	secret := tagSecnonce.Hash(seed[:])
	defer clear(secret[:])
	secnonce, err := secp.ParseScalarNonZero(secret[:])
	if err != nil {
		return nil, fmt.Errorf("derive nonce: %w", err) // with chance 2^-128
	}
	defer secnonce.Wipe()

	coeffs := make([]*ecc.Scalar, p.T())
	defer wipe(coeffs)
	b := []byte{byte(p.suite)}
	for k := range coeffs {
		coeffs[k] = p.suite.hash("coefficient", seed[:], b4(k))
		b = append(b, p.suite.group().Base().Multiply(coeffs[k]).Encode()...)
	}
	b = append(b, p.prove(coeffs[0], session, id, seed[:])...)
	nonce := secp.SecretBaseMul(secnonce).Bytes()
	b = append(b, nonce[:]...)
	for j := range p.points {
		var pad *ecc.Scalar
		if j == id {
			pad = p.selfPad(h, session, nonce, id)
		} else {
			pad = p.pad(secp.SecretMul(secnonce, p.points[j]), session, nonce, j)
		}
		share := evalSecret(coeffs, j)
		b = append(b, pad.Add(share).Encode()...)
		wipe([]*ecc.Scalar{share, pad})
	}
	proof, err := noncePoK.Sign(secnonce, noncePoKMessage(session, id, b), tagNonceAux.Hash(seed[:]))
	if err != nil {
		return nil, fmt.Errorf("prove knowledge of nonce: %w", err)
	}
	return append(b, proof[:]...), nil
}

// prove returns a Schnorr proof of possession of a0, the logarithm of C_0:
//
//	R = k*G, z = k + c*a0, c = hash(session || b4(id) || C_0 || R)
//
// Unlike ChillDKG's it binds the session.
func (p *Params) prove(a0 *ecc.Scalar, session chilldkg.SessionID, id int, seed []byte) []byte {
	k := p.suite.hash("possession nonce", seed)
	com := p.suite.group().Base().Multiply(a0).Encode()
	r := p.suite.group().Base().Multiply(k).Encode()
	c := p.suite.hash("possession", session[:], b4(id), com, r)
	z := c.Multiply(a0).Add(k)
	k.Zero()
	return append(r, z.Encode()...)
}

// possesses verifies a proof of possession for the decoded commitment com. The
// curve's cofactor does not matter: both points are in the group of prime order.
func (p *Params) possesses(com *ecc.Element, session chilldkg.SessionID, id int, proof []byte) bool {
	size := p.suite.PublicKeySize()
	r, err := p.suite.element(proof[:size])
	if err != nil {
		return false
	}
	z, err := p.suite.scalar(proof[size:])
	if err != nil {
		return false
	}
	c := p.suite.hash("possession", session[:], b4(id), com.Encode(), proof[:size])
	return p.suite.group().Base().Multiply(z).Equal(com.Copy().Multiply(c).Add(r))
}

// pad returns what encrypts the share for recipient, from the Diffie-Hellman
// point shared = nu*H_recipient = h_recipient*N. It is uniform over the suite's
// scalars, whatever their number.
func (p *Params) pad(shared secp.Point, session chilldkg.SessionID, nonce [33]byte, recipient int) *ecc.Scalar {
	enc := shared.Bytes()
	key := sha256.Sum256(enc[:])
	defer clear(key[:])
	host := p.hosts.HostPubkey(recipient)
	return p.suite.hash("pad", key[:], session[:], nonce[:], host[:], b4(recipient))
}

// selfPad encrypts a participant's share to itself.
func (p *Params) selfPad(h secp.Scalar, session chilldkg.SessionID, nonce [33]byte, id int) *ecc.Scalar {
	key := h.Bytes()
	defer clear(key[:])
	return p.suite.hash("self pad", key[:], session[:], nonce[:], b4(id))
}

func wipe(scalars []*ecc.Scalar) {
	for _, s := range scalars {
		if s != nil {
			s.Zero()
		}
	}
}
