//go:build !toygroup

package secp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestDLEQProofs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, B := drawScalar(t, "a"), drawPoint(t, "B")
		var m *[32]byte
		if rapid.Bool().Draw(t, "message") {
			m = &[32]byte{1}
		}
		proof, A, C, err := DLEQProve(a, B, [32]byte{7}, m)
		if a.IsZero() || B.IsInfinity() {
			if err == nil {
				t.Fatal("proof of nothing")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !A.Equal(SecretBaseMul(a)) || !C.Equal(SecretMul(a, B)) || !DLEQVerify(A, B, C, proof[:], m) {
			t.Fatal("own proof is refused")
		}
		other := [32]byte{2}
		bad := proof
		bad[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1
		for name, ok := range map[string]bool{
			"another message": DLEQVerify(A, B, C, proof[:], &other),
			"altered proof":   DLEQVerify(A, B, C, bad[:], m),
			"C negated":       DLEQVerify(A, B, C.Neg(), proof[:], m),
			"C shifted":       DLEQVerify(A, B, C.Add(Generator()), proof[:], m),
			"A negated":       DLEQVerify(A.Neg(), B, C, proof[:], m),
			"all negated":     DLEQVerify(A.Neg(), B, C.Neg(), proof[:], m),
		} {
			if ok {
				t.Fatal(name + " is accepted")
			}
		}
	})
}

// TestDLEQHostileInputs are values that libraries crash on or reduce.
func TestDLEQHostileInputs(t *testing.T) {
	a := ScalarFromUint(5)
	proof, A, C, err := DLEQProve(a, Generator(), [32]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	G, O := Generator(), Infinity()
	if !DLEQVerify(A, G, C, proof[:], nil) {
		t.Fatal("own proof is refused")
	}
	ones := bytes.Repeat([]byte{0xff}, 32)
	// s + order is the same s modulo the order; it is refused because a second
	// encoding of a proof must not exist.
	orderBytes := unhex(t, order)
	for name, ok := range map[string]bool{
		"A infinity":   DLEQVerify(O, G, C, proof[:], nil),
		"B infinity":   DLEQVerify(A, O, C, proof[:], nil),
		"C infinity":   DLEQVerify(A, G, O, proof[:], nil),
		"all infinity": DLEQVerify(O, O, O, make([]byte, 64), nil),
		"zero proof":   DLEQVerify(A, G, C, make([]byte, 64), nil),
		"e all ones":   DLEQVerify(A, G, C, append(bytes.Clone(ones), proof[32:]...), nil),
		"e = order":    DLEQVerify(A, G, C, append(bytes.Clone(orderBytes), proof[32:]...), nil),
		"s = order":    DLEQVerify(A, G, C, append(bytes.Clone(proof[:32]), orderBytes...), nil),
		"s all ones":   DLEQVerify(A, G, C, append(bytes.Clone(proof[:32]), ones...), nil),
		"short":        DLEQVerify(A, G, C, proof[:63], nil),
		"empty":        DLEQVerify(A, G, C, nil, nil),
	} {
		if ok {
			t.Errorf("%s is accepted", name)
		}
	}
}
