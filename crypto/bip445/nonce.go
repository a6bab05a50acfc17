package bip445

import (
	"fmt"
	"io"
	"math"

	"frostfed/crypto/internal/secp"
)

// SecNonce is a pair of secret nonces that signs at most once. It has no
// encoding on purpose: a nonce restored from a backup would sign twice and
// reveal the share. Copies share their storage, so that using one uses all. It
// is not for concurrent use.
type SecNonce struct{ secret *secretNonce }

type secretNonce struct {
	k   [2]secp.Scalar // both zero once used
	pub PubNonce
}

// take returns the nonces and overwrites the stored ones.
func (n *SecNonce) take() (k1, k2 secp.Scalar, pub *PubNonce, err error) {
	if n == nil || n.secret == nil {
		return k1, k2, nil, ErrNonceUsed
	}
	k1, k2 = n.secret.k[0], n.secret.k[1]
	n.Wipe()
	if k1.IsZero() || k2.IsZero() {
		return secp.Scalar{}, secp.Scalar{}, nil, ErrNonceUsed
	}
	return k1, k2, &n.secret.pub, nil
}

// PubNonce returns the public part, which stays known after the secret is used.
func (n *SecNonce) PubNonce() PubNonce { return n.secret.pub }

// Wipe destroys the nonce unused, for a session that will not be signed.
func (n *SecNonce) Wipe() {
	if n != nil && n.secret != nil {
		n.secret.k[0].Wipe()
		n.secret.k[1].Wipe()
	}
}

// PubNonce is a signer's pair of public nonces, decoded: two points, neither of
// them infinity.
type PubNonce struct {
	r   [2]secp.Point
	enc [PubNonceSize]byte
}

// Bytes returns the encoding: two compressed points, 66 bytes.
func (n PubNonce) Bytes() [PubNonceSize]byte { return n.enc }

// ParsePubNonce decodes a public nonce of 66 bytes. The error is a
// *ContributionError without an index. A nonce is decoded once, on arrival: the
// two square roots are most of the coordinator's work.
func ParsePubNonce(b []byte) (PubNonce, error) {
	var n PubNonce
	if len(b) != PubNonceSize {
		return PubNonce{}, &ContributionError{Coordinator, ContribPubNonce}
	}
	for i := range n.r {
		p, err := secp.ParsePoint(b[33*i : 33*i+33])
		if err != nil {
			return PubNonce{}, &ContributionError{Coordinator, ContribPubNonce}
		}
		n.r[i] = p
	}
	n.enc = [PubNonceSize]byte(b)
	return n, nil
}

// ParsePubNonces decodes a list; the error is a *ContributionError naming the
// first one that is invalid.
func ParsePubNonces(list [][]byte) ([]PubNonce, error) {
	out := make([]PubNonce, len(list))
	for i, b := range list {
		n, err := ParsePubNonce(b)
		if err != nil {
			return nil, &ContributionError{i, ContribPubNonce}
		}
		out[i] = n
	}
	return out, nil
}

// AggNonce is the sum of the signers' public nonces. Unlike a PubNonce either
// half can be infinity: a signer can choose a nonce that cancels the others'.
// Sessions tolerate it, so that the culprit is found by its partial signature.
type AggNonce struct {
	r   [2]secp.Point
	enc [AggNonceSize]byte
}

// Bytes returns the encoding: two points, 33 zero bytes standing for infinity.
func (a AggNonce) Bytes() [AggNonceSize]byte { return a.enc }

// ParseAggNonce decodes an aggregate nonce of 66 bytes. The error is a
// *ContributionError blaming the coordinator.
func ParseAggNonce(b []byte) (AggNonce, error) {
	var a AggNonce
	if len(b) != AggNonceSize {
		return AggNonce{}, &ContributionError{Coordinator, ContribAggNonce}
	}
	for i := range a.r {
		p, err := secp.ParsePointOrInfinity(b[33*i : 33*i+33])
		if err != nil {
			return AggNonce{}, &ContributionError{Coordinator, ContribAggNonce}
		}
		a.r[i] = p
	}
	a.enc = [AggNonceSize]byte(b)
	return a, nil
}

// NonceAgg sums the signers' public nonces. Source: BIP 445, NonceAgg.
func NonceAgg(nonces []PubNonce) AggNonce {
	var a AggNonce
	for i := range a.r {
		for j := range nonces {
			a.r[i] = a.r[i].Add(nonces[j].r[i])
		}
		enc := a.r[i].BytesOrInfinity()
		copy(a.enc[33*i:], enc[:])
	}
	return a
}

// NonceInput is what NonceGen mixes with its randomness. All of it is optional:
// it protects against a bad random source, the more the better.
type NonceInput struct {
	SecShare []byte // 32 bytes
	SignerID *int
	PubShare []byte // 33 bytes, compressed
	XonlyPK  []byte // 32 bytes: the final, tweaked key
	Msg      []byte // nil if not known yet, which differs from an empty message
	Extra    []byte // anything, below 2^32 bytes
}

func (in *NonceInput) check() error {
	switch {
	case in.SignerID != nil && (*in.SignerID < 0 || *in.SignerID >= MaxParticipants):
		return precondition("signer id out of range")
	case in.PubShare != nil && len(in.PubShare) != PubShareSize:
		return precondition("public share is not 33 bytes")
	case in.XonlyPK != nil && len(in.XonlyPK) != 32:
		return precondition("x-only key is not 32 bytes")
	case uint64(len(in.Extra)) > math.MaxUint32:
		return precondition("extra input is too long")
	}
	return nil
}

// NonceGen reads 32 bytes from rand, which must be a cryptographic source, and
// returns a fresh pair of nonces. Source: BIP 445, NonceGen.
func NonceGen(rand io.Reader, in NonceInput) (*SecNonce, PubNonce, error) {
	if err := in.check(); err != nil {
		return nil, PubNonce{}, err
	}
	var r [32]byte
	defer clear(r[:])
	if _, err := io.ReadFull(rand, r[:]); err != nil {
		return nil, PubNonce{}, fmt.Errorf("read randomness: %w", err)
	}
	if in.SecShare != nil {
		share, err := secp.ParseScalarNonZero(in.SecShare)
		if err != nil {
			return nil, PubNonce{}, precondition("secret share out of range")
		}
		defer share.Wipe()
		b := share.Bytes()
		defer clear(b[:])
		r = maskSecret(&b, &r)
	}
	input := nonceInput(&r, &in)
	n := newSecNonce(nonceScalar(input, 0), nonceScalar(input, 1))
	clear(input[:cap(input)])
	if n == nil {
		return nil, PubNonce{}, precondition("nonce is zero") // probability 2^-255
	}
	return n, n.secret.pub, nil
}

// newSecNonce computes the public half; nil if a nonce is zero.
func newSecNonce(k1, k2 secp.Scalar) *SecNonce {
	if k1.IsZero() || k2.IsZero() {
		return nil
	}
	s := &secretNonce{k: [2]secp.Scalar{k1, k2}}
	for i := range s.k {
		s.pub.r[i] = secp.SecretBaseMul(s.k[i])
		enc := s.pub.r[i].Bytes()
		copy(s.pub.enc[33*i:], enc[:])
	}
	return &SecNonce{s}
}
