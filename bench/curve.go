package bench

import (
	"errors"

	"frostfed/crypto/bip445"
	"frostfed/crypto/chilldkg"
	"frostfed/crypto/memberkey"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	voi "gitlab.com/yawning/secp256k1-voi"
)

// Operations on the curve.
const (
	OpPublicKey = "public-key"    // kG with encodings, k secret
	OpBaseMul   = "base-mul"      // kG alone
	OpMul       = "mul"           // kP alone
	OpSchnorr   = "bip340-sign"   // self-verification included
	OpVerify    = "bip340-verify" // key decoded
	OpDecode    = "decode-point"  // 33 bytes, a square root
	Btcec       = "btcec"         // github.com/btcsuite/btcd/btcec, variable time
	Library     = "secp256k1-voi" // the library below crypto/internal/secp, constant time
)

var errSignature = errors.New("valid signature refused")

func curveCases() []Case {
	one := func(op, impl string, round func() (func() error, error)) Case {
		return Case{Op: op, Impl: impl, Setup: func() (Round, error) {
			do, err := round()
			return repeat(do), err
		}}
	}
	k, secret := scalar("k"), bytes32("k")
	return []Case{
		one(OpPublicKey, Ours, func() (func() error, error) {
			return func() error { _, err := chilldkg.HostPubkeyGen(secret); return err }, nil
		}),
		one(OpPublicKey, Btcec, func() (func() error, error) {
			return func() error {
				key, _ := btcec.PrivKeyFromBytes(secret)
				key.PubKey().SerializeCompressed()
				return nil
			}, nil
		}),
		one(OpBaseMul, Library, func() (func() error, error) {
			l, err := newLibrary()
			return func() error { l.out.ScalarBaseMult(l.k); return nil }, err
		}),
		one(OpBaseMul, Btcec, func() (func() error, error) {
			var r btcec.JacobianPoint
			return func() error { btcec.ScalarBaseMultNonConst(k, &r); return nil }, nil
		}),
		one(OpMul, Library, func() (func() error, error) {
			l, err := newLibrary()
			return func() error { l.out.ScalarMult(l.k, l.p); return nil }, err
		}),
		one(OpMul, Btcec, func() (func() error, error) {
			var p, r btcec.JacobianPoint
			btcec.PrivKeyFromScalar(scalar("p")).PubKey().AsJacobian(&p)
			return func() error { btcec.ScalarMultNonConst(k, &p, &r); return nil }, nil
		}),
		one(OpSchnorr, Ours, signOurs),
		one(OpSchnorr, Btcec, func() (func() error, error) {
			key, _ := btcec.PrivKeyFromBytes(secret)
			return func() error { _, err := schnorr.Sign(key, message); return err }, nil
		}),
		one(OpVerify, Ours, verifyOurs),
		one(OpVerify, Btcec, func() (func() error, error) {
			key, public := btcec.PrivKeyFromBytes(secret)
			sig, err := schnorr.Sign(key, message)
			return func() error { return valid(sig.Verify(message, public)) }, err
		}),
		one(OpDecode, Ours, func() (func() error, error) {
			b := compressed(k)
			return func() error { return valid(memberkey.ValidPublic(b)) }, nil
		}),
		one(OpDecode, Btcec, func() (func() error, error) {
			b := compressed(k)
			return func() error { _, err := btcec.ParsePubKey(b); return err }, nil
		}),
	}
}

func valid(ok bool) error {
	if !ok {
		return errSignature
	}
	return nil
}

func signOurs() (func() error, error) {
	keys, err := memberkey.Derive(bytes32("seed"), 0)
	if err != nil {
		return nil, err
	}
	return func() error { _, err := keys.Host.Sign(message, [32]byte{1}); return err }, nil
}

func verifyOurs() (func() error, error) {
	keys, err := memberkey.Derive(bytes32("seed"), 0)
	if err != nil {
		return nil, err
	}
	sig, err := keys.Host.Sign(message, [32]byte{1})
	if err != nil {
		return nil, err
	}
	public := keys.Host.Public()
	key, err := bip445.NewTweakCtx(public[:])
	return func() error { return valid(key.Verify(message, sig[:])) }, err
}

// library holds operands of the curve library. The product uses it through
// crypto/internal/secp, which adds nothing to these operations.
type library struct {
	k, k2, s *voi.Scalar
	p, out   *voi.Point
	enc      []byte
}

func newLibrary() (*library, error) {
	b, b2 := scalar("k").Bytes(), scalar("k2").Bytes()
	k, err := voi.NewScalarFromCanonicalBytes(&b)
	if err != nil {
		return nil, err
	}
	k2, err := voi.NewScalarFromCanonicalBytes(&b2)
	if err != nil {
		return nil, err
	}
	enc := compressed(scalar("p"))
	p, err := voi.NewPointFromBytes(enc)
	if err != nil {
		return nil, err
	}
	p.Add(p, voi.NewGeneratorPoint()) // as sums have it: with a denominator
	return &library{k: k, k2: k2, s: voi.NewScalar(), p: p, out: voi.NewIdentityPoint(), enc: enc}, nil
}
