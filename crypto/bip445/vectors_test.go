//go:build !toygroup

package bip445

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"frostfed/crypto/internal/secp"
	"frostfed/crypto/internal/vectortest"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

func raw(list []hexBytes) [][]byte {
	if list == nil {
		return nil
	}
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}

// vectorError is the expected error: its class, and who is blamed.
type vectorError struct {
	Type        string
	SignerIndex *int   `json:"signer_index"`
	Contrib     string `json:"contrib"`
}

func (want vectorError) check(t *testing.T, name string, err error) {
	t.Helper()
	var ce *ContributionError
	switch {
	case err == nil:
		t.Errorf("%s: no error", name)
	case want.Type == "ValueError":
		if !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: got %v, want a precondition error", name, err)
		}
	case want.Type != "InvalidContributionError":
		t.Errorf("%s: unknown error type %q in the vectors", name, want.Type)
	case !errors.As(err, &ce):
		t.Errorf("%s: got %v, want a contribution error", name, err)
	default:
		index := Coordinator
		if want.SignerIndex != nil {
			index = *want.SignerIndex
		}
		if ce.Index != index || ce.Contribution != want.Contrib {
			t.Errorf("%s: blamed %q of %d, want %q of %d", name, ce.Contribution, ce.Index, want.Contrib, index)
		}
	}
}

// vector has the fields of all files; each test uses its own.
type vector struct {
	Comment                                                      string
	ID                                                           int  `json:"tc_id"`
	SignerID                                                     *int `json:"signer_id"`
	T, N                                                         int
	ThreshPK                                                     hexBytes `json:"thresh_pk"`
	IDs                                                          []int
	PubShares, PubNonces, Tweaks, PSigs                          []hexBytes
	IsXonly                                                      []bool `json:"is_xonly"`
	SecShare, SecNonce, AggNonce, Msg, PSig, Rand, AggOtherNonce hexBytes
	AuxRand                                                      hexBytes `json:"aux_rand"`
	PubShare                                                     hexBytes
	ExtraIn                                                      hexBytes `json:"extra_in"`
	ThreshPKXonly                                                hexBytes `json:"thresh_pk_xonly"`
	TweakedPK                                                    hexBytes `json:"tweaked_pk"`
	XonlyPK                                                      hexBytes `json:"xonly_pk"`
	SignerIndex                                                  int      `json:"signer_index"`
	Expected                                                     expected
	Error                                                        vectorError
}

// expected is one hex string or a list of them.
type expected []hexBytes

func (e *expected) UnmarshalJSON(b []byte) error {
	b = bytes.ReplaceAll(bytes.Trim(b, "[] \n"), []byte(`"`), nil)
	for part := range bytes.SplitSeq(b, []byte(",")) {
		var h hexBytes
		if err := h.UnmarshalText(bytes.TrimSpace(part)); err != nil {
			return err
		}
		*e = append(*e, h)
	}
	return nil
}

type group struct {
	ID         string `json:"tg_id"`
	T, N       int
	ThreshPK   hexBytes `json:"thresh_pk"`
	Valid      []vector `json:"valid_tests"`
	Error      []vector `json:"error_tests"`
	SignError  []vector `json:"sign_error_tests"`
	VerifyFail []vector `json:"verify_fail_tests"`
	VerifyErr  []vector `json:"verify_error_tests"`
}

// each runs f for the cases with the group's parameters filled in where a case
// does not have its own, and returns their number.
func (g group) each(t *testing.T, cases []vector, f func(t *testing.T, name string, v vector)) int {
	for _, v := range cases {
		if v.ThreshPK == nil {
			v.T, v.N, v.ThreshPK = g.T, g.N, g.ThreshPK
		}
		f(t, fmt.Sprintf("%s #%d (%s)", g.ID, v.ID, v.Comment), v)
	}
	return len(cases)
}

// session builds the session of a case; every step can be the one that fails.
func (v vector) session(aggnonce func() (AggNonce, error)) (Session, error) {
	set, err := NewSignerSet(v.T, v.N, v.ThreshPK, v.IDs, raw(v.PubShares))
	if err != nil {
		return Session{}, err
	}
	key, err := NewTweakCtx(v.ThreshPK)
	if err != nil {
		return Session{}, err
	}
	if key, err = key.ApplyAll(raw(v.Tweaks), v.IsXonly); err != nil {
		return Session{}, err
	}
	agg, err := aggnonce()
	if err != nil {
		return Session{}, err
	}
	return NewSession(set, key, agg, v.Msg)
}

func (v vector) parsedAggNonce() (AggNonce, error) { return ParseAggNonce(v.AggNonce) }

// sign runs a signer from bytes.
func (v vector) sign() ([]byte, error) {
	s, err := v.session(v.parsedAggNonce)
	if err != nil {
		return nil, err
	}
	signer, err := NewSigner(*v.SignerID, v.SecShare)
	if err != nil {
		return nil, err
	}
	nonce, err := secNonceFromBytes(v.SecNonce)
	if err != nil {
		return nil, err
	}
	psig, err := signer.Sign(&s, nonce)
	if err != nil {
		return nil, err
	}
	if _, err := signer.Sign(&s, nonce); !errors.Is(err, ErrNonceUsed) {
		return nil, fmt.Errorf("second signature with one nonce: %v", err)
	}
	return psig[:], nil
}

// secNonceFromBytes exists for vectors only: the package never reads a nonce.
func secNonceFromBytes(b []byte) (*SecNonce, error) {
	if len(b) != 64 {
		return nil, precondition("secnonce is not 64 bytes")
	}
	k1, err1 := secp.ParseScalarNonZero(b[:32])
	k2, err2 := secp.ParseScalarNonZero(b[32:])
	if err1 != nil || err2 != nil {
		return nil, precondition("secnonce out of range")
	}
	return newSecNonce(k1, k2), nil
}

func TestNonceGenVectors(t *testing.T) {
	const file = "bip445/nonce_gen_vectors.json"
	var g group
	vectortest.Load(t, file, "fd7a2c03a0f7039b74c757c0a3d2bf9de0afab7cf9d57a3939c862ea80c38322", &g)
	ran := g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
		n, pub, err := NonceGen(bytes.NewReader(v.Rand), NonceInput{
			SecShare: v.SecShare, SignerID: v.SignerID, PubShare: v.PubShare,
			XonlyPK: v.ThreshPKXonly, Msg: v.Msg, Extra: v.ExtraIn,
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		k1, k2 := n.secret.k[0].Bytes(), n.secret.k[1].Bytes()
		enc := pub.Bytes()
		if !bytes.Equal(append(k1[:], k2[:]...), v.Expected[0]) {
			t.Errorf("%s: secret nonce differs", name)
		}
		if !bytes.Equal(enc[:], v.Expected[1]) {
			t.Errorf("%s: public nonce is %x, want %x", name, enc, v.Expected[1])
		}
	})
	vectortest.Count(t, file, ran, 24)
}

func TestNonceAggVectors(t *testing.T) {
	const file = "bip445/nonce_agg_vectors.json"
	var g group
	vectortest.Load(t, file, "e835a630520bdaad6e0485c1575bc56f195ec5514a8e68914cee248cac50a6b4", &g)
	ran := g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
		nonces, err := ParsePubNonces(raw(v.PubNonces))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		agg := NonceAgg(nonces)
		got := agg.Bytes()
		if !bytes.Equal(got[:], v.Expected[0]) {
			t.Errorf("%s: got %x, want %x", name, got, v.Expected[0])
		}
		if again, err := ParseAggNonce(got[:]); err != nil || again.Bytes() != got {
			t.Errorf("%s: aggregate nonce does not survive decoding: %v", name, err)
		}
	})
	ran += g.each(t, g.Error, func(t *testing.T, name string, v vector) {
		_, err := ParsePubNonces(raw(v.PubNonces))
		v.Error.check(t, name, err)
	})
	vectortest.Count(t, file, ran, 21)
}

func TestSignVerifyVectors(t *testing.T) {
	const file = "bip445/sign_verify_vectors.json"
	var f struct {
		Groups []group `json:"test_groups"`
	}
	vectortest.Load(t, file, "59ca46fd7ddb4c981ad892cb3d9a6d91a97d22abc80e0797ee71c4473edd8f49", &f)
	ran := 0
	// verify runs the verifier of the BIP, which aggregates the nonces itself.
	verify := func(v vector, index int, psig []byte) error {
		var nonces []PubNonce
		s, err := v.session(func() (AggNonce, error) {
			var err error
			nonces, err = ParsePubNonces(raw(v.PubNonces))
			return NonceAgg(nonces), err
		})
		if err != nil {
			return err
		}
		if index < 0 || index >= len(nonces) {
			return precondition("no signer at index %d", index)
		}
		if len(psig) != PartialSigSize { // the type says so
			return &ContributionError{index, ContribPartial}
		}
		return s.PartialSigVerify(index, nonces[index], [32]byte(psig))
	}
	for _, g := range f.Groups {
		ran += g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
			psig, err := v.sign()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if !bytes.Equal(psig, v.Expected[0]) {
				t.Errorf("%s: got %x, want %x", name, psig, v.Expected[0])
			}
			if v.PubShares == nil {
				return
			}
			for i, id := range v.IDs {
				if id != *v.SignerID {
					continue
				}
				if err := verify(v, i, psig); err != nil {
					t.Errorf("%s: verify: %v", name, err)
				}
			}
		})
		ran += g.each(t, g.SignError, func(t *testing.T, name string, v vector) {
			_, err := v.sign()
			v.Error.check(t, name, err)
		})
		ran += g.each(t, g.VerifyFail, func(t *testing.T, name string, v vector) {
			want := ContributionError{v.SignerIndex, ContribPartial}
			var ce *ContributionError
			if err := verify(v, v.SignerIndex, v.PSig); !errors.As(err, &ce) || *ce != want {
				t.Errorf("%s: got %v, want %v", name, err, &want)
			}
		})
		ran += g.each(t, g.VerifyErr, func(t *testing.T, name string, v vector) {
			v.Error.check(t, name, verify(v, v.SignerIndex, v.PSig))
		})
	}
	vectortest.Count(t, file, ran, 100)
}

func TestTweakVectors(t *testing.T) {
	const file = "bip445/tweak_vectors.json"
	var f struct {
		Groups []group `json:"test_groups"`
	}
	vectortest.Load(t, file, "3ed695058139f01b15c2c97bd568c4d7877d10da69f21005fbe0eb25e2ba612f", &f)
	ran := 0
	for _, g := range f.Groups {
		ran += g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
			psig, err := v.sign()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if !bytes.Equal(psig, v.Expected[0]) {
				t.Errorf("%s: got %x, want %x", name, psig, v.Expected[0])
			}
			key, err := NewTweakCtx(v.ThreshPK)
			if err != nil {
				t.Fatal(err)
			}
			key, err = key.ApplyAll(raw(v.Tweaks), v.IsXonly)
			if err != nil {
				t.Fatal(err)
			}
			if plain := key.PlainPK(); !bytes.Equal(plain[:], v.TweakedPK) {
				t.Errorf("%s: tweaked key is %x, want %x", name, plain, v.TweakedPK)
			}
		})
		ran += g.each(t, g.Error, func(t *testing.T, name string, v vector) {
			_, err := v.sign()
			v.Error.check(t, name, err)
		})
	}
	vectortest.Count(t, file, ran, 36)
}

func TestSigAggVectors(t *testing.T) {
	const file = "bip445/sig_agg_vectors.json"
	var f struct {
		Groups []group `json:"test_groups"`
	}
	vectortest.Load(t, file, "9e35f3afba68cf24d69af9434946cac2f6ea72079a6c65cffea4bf11502a4328", &f)
	ran := 0
	aggregate := func(v vector) ([]byte, error) {
		s, err := v.session(v.parsedAggNonce)
		if err != nil {
			return nil, err
		}
		psigs := make([][32]byte, len(v.PSigs))
		for i, p := range v.PSigs {
			if len(p) != PartialSigSize { // the type says so
				return nil, &ContributionError{i, ContribPartial}
			}
			psigs[i] = [32]byte(p)
		}
		sig, err := s.PartialSigAgg(psigs)
		return sig[:], err
	}
	for _, g := range f.Groups {
		ran += g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
			sig, err := aggregate(v)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if !bytes.Equal(sig, v.Expected[0]) {
				t.Errorf("%s: got %x, want %x", name, sig, v.Expected[0])
			}
			if !secp.BIP340.Verify(v.XonlyPK, v.Msg, sig) {
				t.Errorf("%s: signature is invalid under the key of the vector", name)
			}
		})
		ran += g.each(t, g.Error, func(t *testing.T, name string, v vector) {
			_, err := aggregate(v)
			v.Error.check(t, name, err)
		})
	}
	vectortest.Count(t, file, ran, 30)
}

func TestThresholdInfoVectors(t *testing.T) {
	const file = "bip445/threshold_info_vectors.json"
	var f struct {
		Groups []group `json:"test_groups"`
	}
	vectortest.Load(t, file, "2f19b31bd5cc90debe5724f74f1c42a28c9fb808644ad6541a98b7ef737b261a", &f)
	ran := 0
	validate := func(v vector) error {
		if len(v.ThreshPK) != ThreshPKSize {
			return precondition("threshold public key is not 33 bytes") // the type says so
		}
		return ThresholdInfo{T: v.T, ThreshPK: [33]byte(v.ThreshPK), PubShares: raw(v.PubShares)}.Validate()
	}
	for _, g := range f.Groups {
		ran += g.each(t, g.Valid, func(t *testing.T, name string, v vector) {
			if err := validate(v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		ran += g.each(t, g.Error, func(t *testing.T, name string, v vector) {
			v.Error.check(t, name, validate(v))
		})
	}
	vectortest.Count(t, file, ran, 35)
}
