//go:build !exponents

package bitcoin

import (
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// What this package needs of the curve. All of it is public data, so the time it
// takes reveals nothing. With the build tag exponents, which is for simulations
// (see crypto/internal/secp), another file takes the place of this one.

// point is a public key in both forms, since to decompress one costs as much as a
// third of a child.
type point struct {
	compressed [33]byte
	affine     btcec.JacobianPoint // Z is 1
}

func parsePoint(compressed [33]byte) (point, error) {
	parsed, err := btcec.ParsePubKey(compressed[:])
	if err != nil {
		return point{}, err
	}
	p := point{compressed: compressed}
	parsed.AsJacobian(&p.affine)
	return p, nil
}

// onCurve says whether 32 bytes are the x coordinate of a point.
func onCurve(x []byte) bool {
	_, err := schnorr.ParsePubKey(x)
	return err == nil
}

func (p point) bytes() [33]byte { return p.compressed }

func (p point) x() [32]byte { return [32]byte(p.compressed[1:]) }

// even is the one of p and -p whose y is even.
func (p point) even() point {
	if p.affine.Y.IsOdd() {
		p.affine.Y.Negate(1).Normalize()
		p.compressed[0] = 2
	}
	return p
}

// addBase returns p + tweak*G, or ErrIndex if the tweak is not a scalar or the sum
// is the point at infinity.
func (p point) addBase(tweak [32]byte) (point, error) {
	var t btcec.ModNScalar
	if overflow := t.SetBytes(&tweak); overflow != 0 {
		return point{}, ErrIndex
	}
	var q, r btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(&t, &q)
	btcec.AddNonConst(&p.affine, &q, &r)
	if r.Z.IsZero() {
		return point{}, ErrIndex
	}
	r.ToAffine()
	return point{[33]byte(btcec.NewPublicKey(&r.X, &r.Y).SerializeCompressed()), r}, nil
}

func execute(tx *wire.MsgTx, i int, prevout *wire.TxOut, shared *txscript.TxSigHashes, f txscript.PrevOutputFetcher) error {
	return runScripts(tx, i, prevout, shared, f)
}
