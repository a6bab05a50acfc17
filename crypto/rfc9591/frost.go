package rfc9591

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/bytemare/ecc"
	"github.com/bytemare/frost"
	"github.com/bytemare/secret-sharing/keys"
)

// library is held for every call of github.com/bytemare/frost: it keeps one hash
// state per ciphersuite for the whole process, so that two calls at once would
// mix their inputs, those of nonces included. Only this file calls it.
var library sync.Mutex

// Key is the public part of a threshold key. It is immutable.
type Key struct {
	suite   Suite
	t       int
	encoded []byte
	shares  [][]byte // by participant; nil for one that cannot sign
	config  *frost.Configuration
}

func newKey(suite Suite, t int, public *publicKeys) (*Key, error) {
	k := &Key{suite: suite, t: t, encoded: public.key.Encode(), config: &frost.Configuration{
		VerificationKey: public.key.Copy(),
		Threshold:       uint16(t), MaxSigners: uint16(len(public.shares)), Ciphersuite: suites[suite].frost,
	}}
	for id, share := range public.shares {
		if !public.usable[id] {
			k.shares = append(k.shares, nil)
			continue
		}
		k.shares = append(k.shares, share.Encode())
		pub, err := keys.NewPublicKeyShare(suite.group(), identifier(id), share.Copy(), nil)
		if err != nil {
			return nil, fmt.Errorf("public share %d: %w", id, err)
		}
		k.config.SignerPublicKeyShares = append(k.config.SignerPublicKeyShares, pub)
	}
	library.Lock()
	defer library.Unlock()
	return k, k.config.Init()
}

// Suite returns the key's ciphersuite.
func (k *Key) Suite() Suite { return k.suite }

// T returns how many shares sign.
func (k *Key) T() int { return k.t }

// N returns how many participants there are.
func (k *Key) N() int { return len(k.shares) }

// PublicKey returns the encoded public key, PublicKeySize bytes.
func (k *Key) PublicKey() []byte { return slices.Clone(k.encoded) }

// PublicShare returns the encoded public share of a participant, nil for one that
// cannot sign.
func (k *Key) PublicShare(id int) []byte { return slices.Clone(k.shares[id]) }

// Share is a secret share of a key. It comes from Recover alone and has no
// encoder, so that no share of another suite, or of a Bitcoin key, can become
// one, nor the reverse. It has one owner, who wipes it.
type Share struct {
	suite  Suite
	id     int
	secret []byte
}

func newShare(suite Suite, id int, secret *ecc.Scalar) *Share {
	return &Share{suite: suite, id: id, secret: secret.Encode()}
}

// Suite returns the suite the share is of.
func (s *Share) Suite() Suite { return s.suite }

// ID returns whose share it is: the place among the participants.
func (s *Share) ID() int { return s.id }

// Wipe overwrites the share. Copies that the library has made stay until their
// memory is used again.
func (s *Share) Wipe() { clear(s.secret) }

// Format keeps the share out of logs and errors, whatever the verb.
func (s *Share) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(secret share)") }

// MarshalJSON refuses: no share leaves by reflection.
func (s *Share) MarshalJSON() ([]byte, error) { return nil, ErrSecret }

// ErrSecret is the answer to whoever wants to encode a share.
var ErrSecret = errors.New("secret shares are not encoded")

// ErrShare reports a share that is not one of the key.
var ErrShare = errors.New("share is not one of this key")

// ErrNonce reports a nonce that was used, or is not one of the session's.
var ErrNonce = errors.New("nonce was used or is not of this session")

// signer returns the library's signer. The lock is held.
func (k *Key) signer(share *Share) (*frost.Signer, error) {
	if share.suite != k.suite || share.id >= len(k.shares) || k.shares[share.id] == nil {
		return nil, ErrShare
	}
	secret, err := k.suite.scalar(share.secret)
	if err != nil {
		return nil, ErrShare
	}
	defer secret.Zero()
	ks, err := keys.NewKeyShare(k.suite.group(), identifier(share.id), secret, k.config.VerificationKey, nil)
	if err != nil {
		return nil, ErrShare // wiped
	}
	s, err := k.config.Signer(ks)
	if err != nil {
		return nil, ErrShare
	}
	return s, nil
}

// Nonce is a signer's pair of secret nonces. It signs once; it has no encoder, so
// that no restart or backup can bring one back.
type Nonce struct {
	nonce      *frost.Nonce
	commitment []byte
}

// Format keeps the nonces out of logs and errors, whatever the verb.
func (n *Nonce) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(secret nonce)") }

// Wipe overwrites the nonces; the pair cannot sign any more.
func (n *Nonce) Wipe() {
	if n.nonce != nil {
		n.nonce.HidingNonce.Zero()
		n.nonce.BindingNonce.Zero()
		n.nonce = nil
	}
}

// NewNonce draws a pair of nonces, hedged with the share as RFC 9591 says, from
// 64 bytes of random. The commitments go to the coordinator. It returns ErrShare,
// or the error of random. Source: RFC 9591, commit.
func (k *Key) NewNonce(share *Share, random io.Reader) (nonce *Nonce, commitment []byte, err error) {
	var seed [64]byte
	defer clear(seed[:])
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, nil, fmt.Errorf("draw nonces: %w", err)
	}
	if bytes.Equal(seed[:32], seed[32:]) {
		return nil, nil, errors.New("draw nonces: random is constant")
	}
	library.Lock()
	defer library.Unlock()
	signer, err := k.signer(share)
	if err != nil {
		return nil, nil, err
	}
	signer.HidingRandom, signer.BindingRandom = seed[:32], seed[32:]
	com := signer.Commit()
	commitment = append(com.HidingNonceCommitment.Encode(), com.BindingNonceCommitment.Encode()...)
	nonce = &Nonce{nonce: signer.NonceCommitments[com.CommitmentID], commitment: commitment}
	return nonce, slices.Clone(commitment), nil
}

// CheckCommitment reports whether b can be a signer's commitments: two canonical
// elements, neither the identity nor the generator.
func (k *Key) CheckCommitment(b []byte) bool {
	_, _, ok := k.commitment(b)
	return ok
}

func (k *Key) commitment(b []byte) (hiding, binding *ecc.Element, ok bool) {
	size := k.suite.PublicKeySize()
	if len(b) != 2*size {
		return nil, nil, false
	}
	hiding, err1 := k.suite.element(b[:size])
	binding, err2 := k.suite.element(b[size:])
	if err1 != nil || err2 != nil {
		return nil, nil, false
	}
	base := k.suite.group().Base()
	return hiding, binding, !hiding.Equal(base) && !binding.Equal(base)
}

// Session is what t or more signers sign together: a message and the commitments
// of all of them. It is immutable, and the same for any order of the same
// signers.
type Session struct {
	key     *Key
	message []byte
	list    frost.CommitmentList // by ascending identifier
}

// CommitmentError names the signer whose commitments CheckCommitment refuses, by
// its place in the list.
type CommitmentError struct{ Index int }

func (e *CommitmentError) Error() string { return fmt.Sprintf("commitments %d are invalid", e.Index) }

// ErrSigners reports a set of signers that is not t to n distinct participants
// that can sign, each with its commitments.
var ErrSigners = errors.New("invalid set of signers")

// NewSession returns the session in which the participants ids sign message, with
// a tag in front (see SignedBytes). commitments are theirs, in the same order. It
// returns ErrSigners or *CommitmentError.
func (k *Key) NewSession(ids []int, commitments [][]byte, message []byte) (*Session, error) {
	return k.newSession(ids, commitments, SignedBytes(message))
}

func (k *Key) newSession(ids []int, commitments [][]byte, message []byte) (*Session, error) {
	if len(ids) < k.t || len(ids) > k.N() || len(commitments) != len(ids) {
		return nil, ErrSigners
	}
	s := &Session{key: k, message: slices.Clone(message)}
	seen := make(map[int]bool, len(ids))
	for i, id := range ids {
		if id < 0 || id >= k.N() || k.shares[id] == nil || seen[id] {
			return nil, ErrSigners
		}
		seen[id] = true
		hiding, binding, ok := k.commitment(commitments[i])
		if !ok {
			return nil, &CommitmentError{Index: i}
		}
		s.list = append(s.list, &frost.Commitment{
			Group: k.suite.group(), SignerID: identifier(id),
			HidingNonceCommitment: hiding, BindingNonceCommitment: binding,
		})
	}
	s.list.Sort()
	return s, nil
}

// Sign returns the signature share (32 bytes) of share's owner. The nonce is used
// up, whatever the outcome. The result is verified before it leaves, so that a
// fault in hardware cannot leak the share. It returns ErrShare or ErrNonce.
// Source: RFC 9591, sign.
func (s *Session) Sign(share *Share, nonce *Nonce) ([]byte, error) {
	n := nonce.nonce
	if n == nil {
		return nil, ErrNonce
	}
	defer nonce.Wipe()
	list := slices.Clone(s.list)
	own := slices.IndexFunc(list, func(c *frost.Commitment) bool { return c.SignerID == identifier(share.id) })
	if own < 0 || !bytes.Equal(nonce.commitment, encodeCommitment(list[own])) {
		return nil, ErrNonce
	}
	// The library finds nonces by a number of its own.
	list[own] = list[own].Copy()
	list[own].CommitmentID = n.CommitmentID
	library.Lock()
	defer library.Unlock()
	signer, err := s.key.signer(share)
	if err != nil {
		return nil, err
	}
	signer.NonceCommitments[n.CommitmentID] = n
	sig, err := signer.Sign(s.message, list)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := s.key.config.VerifySignatureShare(sig, s.message, s.list); err != nil {
		return nil, errors.New("sign: own signature share does not verify")
	}
	return sig.SignatureShare.Encode(), nil
}

func encodeCommitment(c *frost.Commitment) []byte {
	return append(c.HidingNonceCommitment.Encode(), c.BindingNonceCommitment.Encode()...)
}

// share decodes a signature share. Zero is none: the library refuses it, and no
// signer meets it but with chance 2^-252.
func (s *Session) share(id int, b []byte) (*frost.SignatureShare, bool) {
	z, err := s.key.suite.scalar(b)
	if err != nil || z.IsZero() {
		return nil, false
	}
	return &frost.SignatureShare{Group: s.key.suite.group(), SignerIdentifier: identifier(id), SignatureShare: z}, true
}

// Verify reports whether b is participant id's signature share of this session.
// Source: RFC 9591, verify_signature_share.
func (s *Session) Verify(id int, b []byte) bool {
	share, ok := s.share(id, b)
	if !ok || s.list.Get(share.SignerIdentifier) == nil {
		return false
	}
	library.Lock()
	defer library.Unlock()
	return s.key.config.VerifySignatureShare(share, s.message, s.list) == nil
}

// ErrAggregate reports signature shares that do not add up to a signature: some
// of them do not verify.
var ErrAggregate = errors.New("signature shares do not add up")

// Aggregate returns the signature from the shares of all signers of the session,
// by ascending participant, after verifying it as any stranger does. It returns
// ErrAggregate, with which Verify finds the culprits. Source: RFC 9591,
// aggregate.
func (s *Session) Aggregate(shares [][]byte) ([]byte, error) {
	if len(shares) != len(s.list) {
		return nil, ErrAggregate
	}
	decoded := make([]*frost.SignatureShare, len(shares))
	for i, b := range shares {
		var ok bool
		if decoded[i], ok = s.share(int(s.list[i].SignerID)-1, b); !ok {
			return nil, ErrAggregate
		}
	}
	sig, err := s.aggregate(decoded)
	if err != nil || !verify(s.key.suite, s.key.encoded, s.message, sig) {
		return nil, ErrAggregate
	}
	return sig, nil
}

func (s *Session) aggregate(shares []*frost.SignatureShare) ([]byte, error) {
	library.Lock()
	defer library.Unlock()
	sig, err := s.key.config.AggregateSignatures(s.message, shares, s.list, false)
	if err != nil {
		return nil, err
	}
	return append(sig.R.Encode(), sig.Z.Encode()...), nil
}

// verifyGroup is the verification of suites without one in the standard library.
func verifyGroup(suite Suite, public, message, sig []byte) bool {
	size := suite.PublicKeySize()
	key, err := suite.element(public)
	if err != nil {
		return false
	}
	r, err1 := suite.element(sig[:size])
	z, err2 := suite.scalar(sig[size:])
	if err1 != nil || err2 != nil {
		return false
	}
	library.Lock()
	defer library.Unlock()
	return frost.VerifySignature(suites[suite].frost, message, &frost.Signature{R: r, Z: z, Group: suite.group()}, key) == nil
}
