package dkg

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkDKG is a whole key generation with all members in this process, over
// an ideal broadcast: what remains is the cryptography and the machine. One
// member's part is the n-th of it.
func BenchmarkDKG(b *testing.B) {
	for _, c := range []struct{ t, n int }{{3, 5}, {7, 10}, {14, 20}, {34, 50}, {67, 100}} {
		b.Run(fmt.Sprintf("%dof%d", c.t, c.n), func(b *testing.B) {
			for k := 0; b.Loop(); k++ {
				b.StopTimer()
				w := newNetwork(b, c.n, uint64(k))
				b.StartTimer()
				w.start(testCeremony("bench", c.t))
				w.settle()
			}
			perMember := b.Elapsed() / time.Duration(b.N*c.n)
			b.ReportMetric(float64(perMember.Microseconds())/1000, "ms/member")
		})
	}
}
