//go:build !toygroup

package rfc9591

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bytemare/ecc"
)

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vector is a test vector of RFC 9591, appendix E, as bytemare/frost ships it.
type vector struct {
	Config struct {
		Max string `json:"MAX_PARTICIPANTS"`
		Min string `json:"MIN_PARTICIPANTS"`
	} `json:"config"`
	Inputs struct {
		List    []int    `json:"participant_list"`
		Secret  hexBytes `json:"group_secret_key"`
		Public  hexBytes `json:"group_public_key"`
		Message hexBytes `json:"message"`
		Shares  []struct {
			Identifier int      `json:"identifier"`
			Share      hexBytes `json:"participant_share"`
		} `json:"participant_shares"`
	} `json:"inputs"`
	RoundOne struct {
		Outputs []struct {
			Identifier  int      `json:"identifier"`
			HidingRand  hexBytes `json:"hiding_nonce_randomness"`
			BindingRand hexBytes `json:"binding_nonce_randomness"`
			Hiding      hexBytes `json:"hiding_nonce"`
			Binding     hexBytes `json:"binding_nonce"`
			HidingCom   hexBytes `json:"hiding_nonce_commitment"`
			BindingCom  hexBytes `json:"binding_nonce_commitment"`
		} `json:"outputs"`
	} `json:"round_one_outputs"`
	RoundTwo struct {
		Outputs []struct {
			Identifier int      `json:"identifier"`
			Share      hexBytes `json:"sig_share"`
		} `json:"outputs"`
	} `json:"round_two_outputs"`
	Final struct {
		Sig hexBytes `json:"sig"`
	} `json:"final_output"`
}

// TestRFC9591Vectors runs the RFC's vectors through this package's own rounds:
// key from shares, nonces, commitments, signature shares, signature. They ship in
// the library's module; nothing of them is copied here.
func TestRFC9591Vectors(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/bytemare/frost").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "tests", "vectors")
	if err != nil || len(out) == 0 {
		t.Skipf("SKIPPED: the vectors of RFC 9591 are in the module github.com/bytemare/frost, which is not in the module cache: %v", err)
	}
	const perSuite = 2*5 + 3 + 3 // per signer: 2 nonces, 2 commitments, 1 share; public shares; key, signature, verification
	cases := 0
	for suite, name := range map[Suite]string{
		Ed25519: "frost-ed25519-sha512", Ristretto255: "frost-ristretto255-sha512",
		P256: "frost-p256-sha256", Secp256k1: "frost-secp256k1-sha256",
	} {
		t.Run(suite.String(), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, name+".json"))
			must(t, err)
			var v vector
			must(t, json.Unmarshal(data, &v))
			cases += v.run(t, suite)
		})
	}
	t.Logf("%d values compared", cases)
	if want := perSuite * len(Suites()); cases != want {
		t.Errorf("%d values compared, want %d", cases, want)
	}
}

func (v *vector) run(t *testing.T, suite Suite) (cases int) {
	same := func(what string, got, want []byte) {
		t.Helper()
		cases++
		if len(want) == 0 || !bytes.Equal(got, want) {
			t.Errorf("%s is %x, want %x", what, got, want)
		}
	}
	if v.Config.Max != "3" || v.Config.Min != "2" {
		t.Fatalf("vectors for %s of %s", v.Config.Min, v.Config.Max)
	}
	g := suite.group()
	secret, err := suite.scalar(v.Inputs.Secret)
	must(t, err)
	public := &publicKeys{key: g.Base().Multiply(secret), usable: []bool{true, true, true}}
	var shares []*Share
	for i, s := range v.Inputs.Shares {
		scalar, err := suite.scalar(s.Share)
		must(t, err)
		if s.Identifier != int(identifier(i)) {
			t.Fatalf("share %d has identifier %d", i, s.Identifier)
		}
		shares = append(shares, newShare(suite, i, scalar))
		public.shares = append(public.shares, g.Base().Multiply(scalar))
	}
	key, err := newKey(suite, 2, public)
	must(t, err)
	same("public key", key.PublicKey(), v.Inputs.Public)
	for i := range shares {
		same(fmt.Sprint("interpolated share ", i), line(secret, public, i), key.PublicShare(i))
	}
	var ids []int
	var nonces []*Nonce
	var coms [][]byte
	for _, o := range v.RoundOne.Outputs {
		id := o.Identifier - 1
		nonce, com, err := key.NewNonce(shares[id], bytes.NewReader(append(bytes.Clone(o.HidingRand), o.BindingRand...)))
		must(t, err)
		same("hiding nonce", nonce.nonce.HidingNonce.Encode(), o.Hiding)
		same("binding nonce", nonce.nonce.BindingNonce.Encode(), o.Binding)
		size := suite.PublicKeySize()
		same("hiding commitment", com[:size], o.HidingCom)
		same("binding commitment", com[size:], o.BindingCom)
		ids, nonces, coms = append(ids, id), append(nonces, nonce), append(coms, com)
	}
	session, err := key.newSession(ids, coms, v.Inputs.Message)
	must(t, err)
	var sigs [][]byte
	for i, o := range v.RoundTwo.Outputs {
		if o.Identifier != ids[i]+1 {
			t.Fatalf("signature share of %d, want %d", o.Identifier, ids[i]+1)
		}
		sig, err := session.Sign(shares[ids[i]], nonces[i])
		must(t, err)
		same("signature share", sig, o.Share)
		sigs = append(sigs, sig)
	}
	sig, err := session.Aggregate(sigs)
	must(t, err)
	same("signature", sig, v.Final.Sig)
	if cases++; !verify(suite, v.Inputs.Public, v.Inputs.Message, v.Final.Sig) {
		t.Error("signature does not verify")
	}
	return cases
}

// line returns the public share of participant id as the line through the key and
// the first public share has it.
func line(secret *ecc.Scalar, public *publicKeys, id int) []byte {
	slope := public.shares[0].Copy().Subtract(secret.Group().Base().Multiply(secret))
	return evalPublic([]*ecc.Element{public.key, slope}, id).Encode()
}
