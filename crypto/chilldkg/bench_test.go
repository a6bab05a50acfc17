//go:build !toygroup

package chilldkg

import (
	"fmt"
	"testing"
)

// The participant with the highest id does the most work.

var sizes = []struct{ t, n int }{{3, 5}, {7, 10}, {14, 20}, {34, 50}, {67, 100}}

func eachSize(b *testing.B, run func(b *testing.B, f *fixture, dealings [][]byte)) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("t=%d/n=%d", s.t, s.n), func(b *testing.B) {
			f := newFixture(b, s.t, s.n, 1)
			run(b, f, f.dealAll(b))
		})
	}
}

// BenchmarkDeal is step 1 with the proof of knowledge of the nonce.
func BenchmarkDeal(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, _ [][]byte) {
		for b.Loop() {
			f.deal(b, f.params.N()-1)
		}
	})
}

// BenchmarkOpenDealings decodes and verifies all n dealings.
func BenchmarkOpenDealings(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, dealings [][]byte) {
		for b.Loop() {
			f.open(b, dealings)
		}
	})
}

// BenchmarkCombine is the coordinator's part and the public keys.
func BenchmarkCombine(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, dealings [][]byte) {
		opened := f.open(b, dealings)
		for b.Loop() {
			_, err := Combine(opened)
			must(b, err)
		}
	})
}

// BenchmarkStep2 decrypts and checks the share and signs.
func BenchmarkStep2(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, dealings [][]byte) {
		round, last := f.combine(b, dealings), f.params.N()-1
		for b.Loop() {
			_, _, err := round.Step2(f.keys[last], dealings[last], bytes32("aux"))
			must(b, err)
		}
	})
}

// BenchmarkFinalize verifies the certificate.
func BenchmarkFinalize(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, dealings [][]byte) {
		round, last := f.combine(b, dealings), f.params.N()-1
		state, _, err := round.Step2(f.keys[last], dealings[last], bytes32("aux"))
		must(b, err)
		_, recovery := f.run(b, dealings)
		cmsg2 := recovery[len(recovery)-sigSize*f.params.N():]
		for b.Loop() {
			_, _, err := ParticipantFinalize(state, cmsg2)
			must(b, err)
		}
	})
}

// BenchmarkCoordinatorStep1 is the draft's coordinator.
func BenchmarkCoordinatorStep1(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, dealings [][]byte) {
		pmsgs1 := make([][]byte, len(dealings))
		for i, d := range dealings {
			pmsgs1[i] = d[:f.params.pmsg1Size()]
		}
		for b.Loop() {
			_, _, err := CoordinatorStep1(pmsgs1, f.params)
			must(b, err)
		}
	})
}

func BenchmarkRecover(b *testing.B) {
	eachSize(b, func(b *testing.B, f *fixture, dealings [][]byte) {
		_, recovery := f.run(b, dealings)
		last := f.params.N() - 1
		for b.Loop() {
			_, _, err := Recover(f.keys[last], recovery)
			must(b, err)
		}
	})
}
