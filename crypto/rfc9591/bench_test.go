//go:build !toygroup

package rfc9591

import (
	"fmt"
	"testing"
)

// BenchmarkKeyGeneration is what one member computes: to deal, and then to open,
// add up and certify the dealings of all; t is 2n/3+1.
func BenchmarkKeyGeneration(b *testing.B) {
	for _, suite := range Suites() {
		for _, n := range []int{10, 50} {
			f := newFixture(b, suite, 2*n/3+1, n)
			b.Run(fmt.Sprintf("deal/%v/%d", suite, n), func(b *testing.B) {
				for b.Loop() {
					f.deal(b, 0)
				}
			})
			dealings := f.dealAll(b)
			b.Run(fmt.Sprintf("certify/%v/%d", suite, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := f.combine(b, dealings).Certify(f.keys[0], dealings[0], bytes32("aux")); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSign is what one signer, and per signer a coordinator, computes for a
// signature.
func BenchmarkSign(b *testing.B) {
	for _, suite := range Suites() {
		for _, n := range []int{10, 50} {
			key, shares := newFixture(b, suite, 2*n/3+1, n).run(b)
			session, sigs, _ := signed(b, key, shares[:key.T()], []byte("m"))
			b.Run(fmt.Sprintf("verify/%v/%d", suite, n), func(b *testing.B) {
				for b.Loop() {
					if !session.Verify(0, sigs[0]) {
						b.Fatal("share does not verify")
					}
				}
			})
			b.Run(fmt.Sprintf("aggregate/%v/%d", suite, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := session.Aggregate(sigs); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("nonce/%v/%d", suite, n), func(b *testing.B) {
				rng := random("bench")
				for b.Loop() {
					if _, _, err := key.NewNonce(shares[0], rng); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
