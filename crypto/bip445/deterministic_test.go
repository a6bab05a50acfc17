//go:build !toygroup

package bip445

import (
	"bytes"
	"encoding/binary"
	"testing"

	"frostfed/crypto/internal/secp"
	"frostfed/crypto/internal/vectortest"
)

// DeterministicSign of the BIP lives in the tests: it is safe only for the last
// signer to contribute a nonce, so the package does not offer it, but its vectors
// exercise the rest of the package.

const contribAggOtherNonce = "aggothernonce"

var tagDeterministic = secp.NewTag("BIP0445/deterministic/nonce")

// deterministicSign returns the public nonce and the partial signature of a
// signer that knows all other nonces. aggother is nil for a sole signer.
func deterministicSign(v vector) (pubnonce [66]byte, psig [32]byte, err error) {
	set, err := NewSignerSet(v.T, v.N, v.ThreshPK, v.IDs, raw(v.PubShares))
	if err != nil {
		return pubnonce, psig, err
	}
	if (v.AggOtherNonce != nil) != (len(v.IDs) > 1) {
		return pubnonce, psig, precondition("aggothernonce goes with more than one signer")
	}
	key, err := NewTweakCtx(v.ThreshPK)
	if err != nil {
		return pubnonce, psig, err
	}
	if key, err = key.ApplyAll(raw(v.Tweaks), v.IsXonly); err != nil {
		return pubnonce, psig, err
	}
	signer, err := NewSigner(*v.SignerID, v.SecShare)
	if err != nil {
		return pubnonce, psig, err
	}

	// d = g·gacc·d', masked with the auxiliary randomness if there is some
	w := signer.share.NegIf((key.Parity() == 1) != key.gacc).Bytes()
	if v.AuxRand != nil {
		w = maskSecret(&w, (*[32]byte)(v.AuxRand))
	}
	// w ‖ b4(id) ‖ b4(u)‖ids ‖ b1‖aggothernonce ‖ xb(Q) ‖ b8‖m ‖ b1(c)
	input := append([]byte(nil), w[:]...)
	input = binary.BigEndian.AppendUint32(input, uint32(*v.SignerID))
	input = append(input, set.encoded...)
	input = append(input, byte(len(v.AggOtherNonce)))
	input = append(input, v.AggOtherNonce...)
	xonly := key.XonlyPK()
	input = append(input, xonly[:]...)
	input = binary.BigEndian.AppendUint64(input, uint64(len(v.Msg)))
	input = append(input, v.Msg...)
	nonce := newSecNonce(
		secp.ReduceScalar(tagDeterministic.Hash(input, []byte{0})),
		secp.ReduceScalar(tagDeterministic.Hash(input, []byte{1})),
	)
	if nonce == nil {
		return pubnonce, psig, precondition("nonce is zero")
	}
	pub := nonce.secret.pub
	all := []PubNonce{pub}
	if v.AggOtherNonce != nil {
		other, err := ParsePubNonce(v.AggOtherNonce) // infinity is an error here
		if err != nil {
			return pubnonce, psig, &ContributionError{Coordinator, contribAggOtherNonce}
		}
		all = append(all, other)
	}
	s, err := NewSession(set, key, NonceAgg(all), v.Msg)
	if err != nil {
		return pubnonce, psig, err
	}
	psig, err = signer.Sign(&s, nonce)
	return pub.Bytes(), psig, err
}

func TestDeterministicSignVectors(t *testing.T) {
	const file = "bip445/det_sign_vectors.json"
	var f struct {
		Groups []group `json:"test_groups"`
	}
	vectortest.Load(t, file, "6400f059b9fcfd9bb04c96977885957a931350a50adb07955f8a3f1f36245743", &f)
	ran := 0
	for _, g := range f.Groups {
		ran += g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
			pub, psig, err := deterministicSign(v)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if !bytes.Equal(pub[:], v.Expected[0]) || !bytes.Equal(psig[:], v.Expected[1]) {
				t.Errorf("%s: got %x and %x, want %x", name, pub, psig, v.Expected)
			}
		})
		ran += g.each(t, g.Error, func(t *testing.T, name string, v vector) {
			_, _, err := deterministicSign(v)
			v.Error.check(t, name, err)
		})
	}
	vectortest.Count(t, file, ran, 62)
}
