//go:build !toygroup

package secp

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"testing"

	"frostfed/crypto/internal/vectortest"
)

// rows returns the records of a CSV vector file by column name.
func rows(t *testing.T, name, sha string) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(vectortest.Read(t, name, sha))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range records[1:] {
		m := make(map[string]string)
		for i, column := range records[0] {
			m[column] = r[i]
		}
		out = append(out, m)
	}
	return out
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBIP340Vectors(t *testing.T) {
	const file = "bip340/test-vectors.csv"
	ran := 0
	for _, v := range rows(t, file, "3991e094243e81daf679a531cc86b6647dd5d0fab208991fc18445f370e9fd8b") {
		name := "#" + v["index"] + " " + v["comment"]
		pub, msg, sig := unhex(t, v["public key"]), unhex(t, v["message"]), unhex(t, v["signature"])
		if got, want := BIP340.Verify(pub, msg, sig), v["verification result"] == "TRUE"; got != want {
			t.Errorf("%s: valid = %v, want %v", name, got, want)
		}
		if v["secret key"] != "" {
			d, err := ParseScalarNonZero(unhex(t, v["secret key"]))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := BIP340.Sign(d, msg, [32]byte(unhex(t, v["aux_rand"])))
			if err != nil || !bytes.Equal(got[:], sig) {
				t.Errorf("%s: signature is %x (%v), want %x", name, got, err, sig)
			}
			if x := SecretBaseMul(d).X(); !bytes.Equal(x[:], pub) {
				t.Errorf("%s: public key is %x, want %x", name, x, pub)
			}
		}
		ran++
	}
	vectortest.Count(t, file, ran, 12)
}

func optionalMessage(t *testing.T, s string) *[32]byte {
	if s == "" {
		return nil
	}
	m := [32]byte(unhex(t, s))
	return &m
}

func TestBIP374GenerateVectors(t *testing.T) {
	const file = "bip374/test_vectors_generate_proof.csv"
	ran := 0
	for _, v := range rows(t, file, "956f175f402a52445d815ab1e05398970aafad8df9f84c195f6abd921eb83f7b") {
		ran++
		a, err := ParseScalar(unhex(t, v["scalar_a"]))
		var proof [64]byte
		if err == nil {
			var B, G Point
			if B, err = ParsePointOrInfinity(unhex(t, v["point_B"])); err != nil {
				t.Fatalf("#%s: %v", v["index"], err)
			}
			if G, err = ParsePoint(unhex(t, v["point_G"])); err != nil {
				t.Fatalf("#%s: %v", v["index"], err)
			}
			proof, _, _, err = dleqProve(a, B, [32]byte(unhex(t, v["auxrand_r"])), optionalMessage(t, v["message"]), G)
		}
		if v["result_proof"] == "INVALID" {
			if err == nil {
				t.Errorf("#%s %s: proof made", v["index"], v["comment"])
			}
		} else if err != nil || !bytes.Equal(proof[:], unhex(t, v["result_proof"])) {
			t.Errorf("#%s %s: proof is %x (%v), want %s", v["index"], v["comment"], proof, err, v["result_proof"])
		}
	}
	vectortest.Count(t, file, ran, 6)
}

func TestBIP374VerifyVectors(t *testing.T) {
	const file = "bip374/test_vectors_verify_proof.csv"
	ran := 0
	for _, v := range rows(t, file, "1a61d2726e8a7b4a8ffe05fd7ca6890144be2468f1e57c7379c476f2ddf27cf1") {
		ran++
		var p [4]Point
		for i, column := range []string{"point_G", "point_A", "point_B", "point_C"} {
			var err error
			if p[i], err = ParsePointOrInfinity(unhex(t, v[column])); err != nil {
				t.Fatalf("#%s: %s: %v", v["index"], column, err)
			}
		}
		got := dleqVerify(p[1], p[2], p[3], unhex(t, v["proof"]), optionalMessage(t, v["message"]), p[0])
		if want := v["result_success"] == "TRUE"; got != want {
			t.Errorf("#%s %s: valid = %v, want %v", v["index"], v["comment"], got, want)
		}
	}
	vectortest.Count(t, file, ran, 7)
}
