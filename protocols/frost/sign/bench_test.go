package sign

import (
	"fmt"
	"runtime"
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

// BenchmarkLot is a batch of 64 items, one lot.
func BenchmarkLot(b *testing.B) {
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

// BenchmarkBatch is one request of 5,000 items at 50 members, with what it costs on
// the network. It takes a minute: run it with -benchtime 1x.
func BenchmarkBatch(b *testing.B) {
	const count = 5000
	w := newWorld(b, 32, 34, 50, fullPools)
	w.delay = func(int, int) protocols.Time { return 1 }
	items := w.items(count)
	n := byte(0)
	for b.Loop() {
		n++
		w.sent, w.bytes = 0, 0
		w.approveAll(reqID(n), items)
		most := w.watchLoad(600_000, func() bool { return w.nodes[0].signed[reqID(n)] != nil })
		b.ReportMetric(float64(w.sent)/count, "msgs/sig")
		b.ReportMetric(float64(w.bytes)/count, "wire-B/sig")
		b.ReportMetric(float64(most.held), "held-pairs")
		b.ReportMetric(float64(most.issued), "issued-pairs")
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/count, "ms/sig")
}

// BenchmarkBatchMemory is the live heap of one member in the course of such a
// request, when so much of it is signed: of the coordinator, which holds the most.
func BenchmarkBatchMemory(b *testing.B) {
	const count = 5000
	for _, percent := range []int{10, 50, 95} {
		b.Run(fmt.Sprintf("signed=%d%%", percent), func(b *testing.B) {
			for range b.N {
				w := newWorld(b, 32, 34, 50, fullPools)
				w.delay = func(int, int) protocols.Time { return 1 }
				items := w.items(count)
				id := reqID(1)
				c := w.ranked(id)[0]
				w.approveAll(id, items)
				w.watchLoad(600_000, func() bool {
					r := w.nodes[c].m.requests[id]
					return r != nil && r.run != nil && r.run.lot > count*percent/100
				})
				w.queue, w.signs, w.pubs, w.spent = nil, nil, nil, nil
				heap := func() float64 {
					var s runtime.MemStats
					runtime.GC()
					runtime.GC() // pools of scratch memory live through one
					runtime.ReadMemStats(&s)
					return float64(s.HeapAlloc)
				}
				with := heap()
				w.nodes[c].m, w.nodes[c].signed = nil, nil
				b.ReportMetric((with-heap())/(1<<20), "MiB/member")
				runtime.KeepAlive(w) // the other members are in both
			}
		})
	}
}
