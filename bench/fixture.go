package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"frostfed/crypto/bip445"

	"github.com/btcsuite/btcd/btcec/v2"
)

// bytes32 returns 32 bytes that depend on the text.
func bytes32(format string, args ...any) []byte {
	h := sha256.Sum256(fmt.Appendf(nil, format, args...))
	return h[:]
}

// scalar returns a dense scalar: small ones would make variable time operations
// look fast.
func scalar(format string, args ...any) *btcec.ModNScalar {
	var s btcec.ModNScalar
	s.SetByteSlice(bytes32(format, args...))
	return &s
}

func compressed(s *btcec.ModNScalar) []byte {
	return btcec.PrivKeyFromScalar(s).PubKey().SerializeCompressed()
}

// dealt is a threshold key made by a dealer, the same for all implementations.
type dealt struct {
	info   bip445.ThresholdInfo
	shares [][32]byte // by id
	ids    []int      // t signers, spread over 0..n-1: neighbours have small Lagrange coefficients
}

func deal(size Size) *dealt {
	coeffs := make([]*btcec.ModNScalar, size.T)
	for k := range coeffs {
		coeffs[k] = scalar("coefficient %d", k)
	}
	d := &dealt{info: bip445.ThresholdInfo{T: size.T, ThreshPK: [33]byte(compressed(coeffs[0]))}}
	for id := range size.N {
		var x, y btcec.ModNScalar
		x.SetInt(uint32(id) + 1)
		for k := len(coeffs) - 1; k >= 0; k-- {
			y.Mul(&x).Add(coeffs[k])
		}
		d.shares = append(d.shares, y.Bytes())
		d.info.PubShares = append(d.info.PubShares, compressed(&y))
	}
	d.ids = make([]int, size.T)
	for i := 1; i < size.T; i++ {
		d.ids[i] = i * (size.N - 1) / (size.T - 1)
	}
	return d
}

// last is the signer whose work is measured, the one with the highest id: some
// implementations have a fast path for the first.
func (d *dealt) last() int { return d.ids[len(d.ids)-1] }

// message is what is signed.
var message = bytes32("message")

// session is a signature in progress: the key, one set of signers and one nonce
// of each, all partial signatures.
type session struct {
	*dealt
	group  *bip445.Group
	set    *bip445.SignerSet
	key    bip445.TweakCtx
	nonces []bip445.PubNonce
	raw    [][]byte // nonces encoded
	now    bip445.Session
	psigs  [][bip445.PartialSigSize]byte
	signer *bip445.Signer // the last
}

func newSession(size Size) (*session, error) {
	s := &session{dealt: deal(size)}
	var err error
	if s.group, err = bip445.NewGroup(s.info); err != nil {
		return nil, err
	}
	if s.set, err = s.group.SignerSet(s.ids); err != nil {
		return nil, err
	}
	s.key = s.group.TweakCtx()
	secrets := make([]*bip445.SecNonce, size.T)
	for i, id := range s.ids {
		secret, nonce, err := s.nonce(id)
		if err != nil {
			return nil, err
		}
		raw := nonce.Bytes()
		secrets[i], s.nonces, s.raw = secret, append(s.nonces, nonce), append(s.raw, raw[:])
	}
	if s.now, err = bip445.NewSession(s.set, s.key, bip445.NonceAgg(s.nonces), message); err != nil {
		return nil, err
	}
	for i, id := range s.ids {
		if s.signer, err = bip445.NewSigner(id, s.shares[id][:]); err != nil {
			return nil, err
		}
		psig, err := s.signer.Sign(&s.now, secrets[i])
		if err != nil {
			return nil, err
		}
		s.psigs = append(s.psigs, psig)
	}
	return s, nil
}

// nonce makes a nonce of signer id with all inputs.
func (s *session) nonce(id int) (*bip445.SecNonce, bip445.PubNonce, error) {
	xonly := s.key.XonlyPK()
	return bip445.NonceGen(rand.Reader, bip445.NonceInput{
		SecShare: s.shares[id][:], SignerID: &id, PubShare: s.info.PubShares[id], XonlyPK: xonly[:],
	})
}
