package secp

import (
	"errors"
)

// ErrSign reports a secret key of 0, or a computation that went wrong: the
// finished signature is verified before it leaves, so that a fault in hardware
// cannot leak the key.
var ErrSign = errors.New("schnorr: signing failed")

// SignatureSize is the length of a signature: 32 bytes x(R), 32 bytes s.
const SignatureSize = 64

// Schnorr is the BIP 340 signature scheme under a tag prefix. Different prefixes
// give independent schemes that can safely share a key.
type Schnorr struct{ aux, nonce, challenge Tag }

// NewSchnorr returns the scheme whose tags are prefix+"/aux", "/nonce" and
// "/challenge".
func NewSchnorr(prefix string) Schnorr {
	return Schnorr{NewTag(prefix + "/aux"), NewTag(prefix + "/nonce"), NewTag(prefix + "/challenge")}
}

// BIP340 is the scheme of Taproot.
var BIP340 = NewSchnorr("BIP0340")

// Sign signs a message of any length. aux is fresh randomness; a constant is
// safe but gives up protection against fault and power attacks. Source: BIP 340,
// Default Signing.
func (s Schnorr) Sign(seckey Scalar, msg []byte, aux [32]byte) ([64]byte, error) {
	var sig [64]byte
	if seckey.IsZero() {
		return sig, ErrSign
	}
	pub := SecretBaseMul(seckey).Bytes()
	d := seckey.NegIf(pub[0] == oddY)
	defer d.Wipe()
	masked := d.Bytes()
	defer clear(masked[:])
	mask := s.aux.Hash(aux[:])
	for i := range masked {
		masked[i] ^= mask[i]
	}
	k := ReduceScalar(s.nonce.Hash(masked[:], pub[1:], msg))
	defer k.Wipe()
	if k.IsZero() {
		return sig, ErrSign
	}
	r := SecretBaseMul(k).Bytes()
	k = k.NegIf(r[0] == oddY)
	e := ReduceScalar(s.challenge.Hash(r[1:], pub[1:], msg))
	copy(sig[:32], r[1:])
	z := k.Add(e.Mul(d)).Bytes()
	copy(sig[32:], z[:])
	if !s.Verify(pub[1:], msg, sig[:]) {
		return [64]byte{}, ErrSign
	}
	return sig, nil
}

// Verify reports whether sig (64 bytes) is a signature of msg under the x-only
// key of 32 bytes. Malformed keys and signatures are false. Source: BIP 340,
// Verification.
func (s Schnorr) Verify(pubkeyX, msg, sig []byte) bool {
	p, err := LiftX(pubkeyX)
	return err == nil && s.verify(p, pubkeyX, msg, sig)
}

// VerifyPoint is Verify for a decoded key, of which only x counts: repeated
// verification under one key saves the square root.
func (s Schnorr) VerifyPoint(pubkey Point, msg, sig []byte) bool {
	if pubkey.IsInfinity() {
		return false
	}
	enc := pubkey.Bytes()
	return s.verify(pubkey.NegIf(enc[0] == oddY), enc[1:], msg, sig)
}

func (s Schnorr) verify(even Point, x, msg, sig []byte) bool {
	if len(sig) != SignatureSize {
		return false
	}
	z, err := ParseScalar(sig[32:])
	if err != nil {
		return false
	}
	// r need not be compared with p: encoded x coordinates are below p, so an
	// overflowing r equals none.
	e := ReduceScalar(s.challenge.Hash(sig[:32], x, msg))
	r := DoubleMulVartime(z, e.Neg(), even).BytesOrInfinity()
	return r[0] == evenY && [32]byte(r[1:]) == [32]byte(sig[:32])
}
