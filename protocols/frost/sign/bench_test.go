package sign

import (
	"fmt"
	"testing"

	"frostfed/protocols"
)

// BenchmarkSignature is one whole signature with filled pools: the work of all n
// members together, from Approve to Signed everywhere. "coordinator" and "signer"
// are the share of one.
func BenchmarkSignature(b *testing.B) {
	for _, size := range [][2]int{{3, 5}, {7, 10}, {14, 20}, {34, 50}, {67, 100}} {
		b.Run(fmt.Sprintf("%d-of-%d", size[0], size[1]), func(b *testing.B) {
			w := newWorld(b, 30, size[0], size[1], func(c *Config) { c.Pool = 2 })
			w.delay = func(int, int) protocols.Time { return 1 }
			items := w.items(1)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				id := requestID{0: byte(n), 1: byte(n >> 8), 2: byte(n >> 16)}
				w.approveAll(id, items)
				w.run(20)
				if w.nodes[0].signed[id] == nil {
					b.Fatal("no signature")
				}
			}
		})
	}
}

// BenchmarkBatch is a batch of 64 items, one lot.
func BenchmarkBatch(b *testing.B) {
	for _, size := range [][2]int{{4, 5}, {14, 20}} {
		b.Run(fmt.Sprintf("%d-of-%d", size[0], size[1]), func(b *testing.B) {
			w := newWorld(b, 31, size[0], size[1], fullPools)
			w.delay = func(int, int) protocols.Time { return 1 }
			items := w.items(64)
			n := 0
			for b.Loop() {
				n++
				id := requestID{0: byte(n), 1: byte(n >> 8), 2: byte(n >> 16)}
				w.approveAll(id, items)
				w.run(20)
				if w.nodes[0].signed[id] == nil {
					b.Fatal("no signature")
				}
			}
		})
	}
}
