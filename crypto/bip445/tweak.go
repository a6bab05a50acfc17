package bip445

import "frostfed/crypto/internal/secp"

// TweakCtx is a threshold key with tweaks applied: Q, and the factors gacc and
// tacc that a signer needs to sign for Q with an untouched share. It is a value;
// Apply returns a new one, and contexts are worth keeping per derived address.
//
// Tweaks must come from a specification (BIP 32, BIP 341). Tweaks chosen by a
// peer are outside the security proof.
type TweakCtx struct {
	base [ThreshPKSize]byte
	q    secp.Point
	enc  [33]byte // of q
	gacc bool     // gacc is -1
	tacc secp.Scalar
}

// NewTweakCtx starts with the plain threshold key: 33 bytes, compressed.
func NewTweakCtx(threshPK []byte) (TweakCtx, error) {
	q, err := secp.ParsePoint(threshPK)
	if err != nil {
		return TweakCtx{}, precondition("threshold public key is not a valid point")
	}
	return newTweakCtx(q, [ThreshPKSize]byte(threshPK)), nil
}

func newTweakCtx(q secp.Point, enc [33]byte) TweakCtx { return TweakCtx{base: enc, q: q, enc: enc} }

// Apply adds a tweak of 32 bytes: Q becomes gQ + tweak*G, where g is -1 if the
// tweak is x-only and Q has odd y. It fails for tweaks not below the order and
// for a result at infinity. Source: BIP 445, ApplyTweak.
func (c TweakCtx) Apply(tweak []byte, xonly bool) (TweakCtx, error) {
	if len(tweak) != 32 {
		return TweakCtx{}, precondition("tweak is not 32 bytes")
	}
	t, err := secp.ParseScalar(tweak)
	if err != nil {
		return TweakCtx{}, precondition("tweak out of range")
	}
	negate := xonly && c.Parity() == 1
	q := c.q.NegIf(negate).Add(secp.BaseMulVartime(t))
	if q.IsInfinity() {
		return TweakCtx{}, precondition("tweaked key is infinity")
	}
	c.q, c.enc = q, q.Bytes()
	c.gacc = c.gacc != negate
	c.tacc = t.Add(c.tacc.NegIf(negate))
	return c, nil
}

// ApplyAll applies tweaks in order; xonly has one mode per tweak.
func (c TweakCtx) ApplyAll(tweaks [][]byte, xonly []bool) (TweakCtx, error) {
	if len(tweaks) != len(xonly) {
		return TweakCtx{}, precondition("numbers of tweaks and modes differ")
	}
	for i, t := range tweaks {
		var err error
		if c, err = c.Apply(t, xonly[i]); err != nil {
			return TweakCtx{}, err
		}
	}
	return c, nil
}

// PlainPK returns Q compressed: 33 bytes, with the parity of y.
func (c TweakCtx) PlainPK() [33]byte { return c.enc }

// XonlyPK returns the key that signatures verify under: x(Q), 32 bytes.
func (c TweakCtx) XonlyPK() [32]byte { return [32]byte(c.enc[1:]) }

// Parity is 1 if y(Q) is odd, else 0: the parity bit of a Taproot control block.
func (c TweakCtx) Parity() byte { return c.enc[0] & 1 }

// Verify reports whether sig (64 bytes) is a BIP 340 signature of msg under Q.
func (c TweakCtx) Verify(msg, sig []byte) bool {
	return secp.BIP340.Verify(c.enc[1:], msg, sig)
}
