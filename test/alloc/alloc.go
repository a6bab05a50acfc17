// Package alloc bounds the memory that code takes for input it does not trust. A
// decoder that believes a length before it has seen the bytes is found by it.
package alloc

import (
	"math"
	"runtime/metrics"
	"testing"
)

// Limit fails the test if f allocates more than perByte bytes for each byte of
// an input of the given length, and fixed bytes besides. What is freed again
// counts too.
//
// The runtime counts small objects late, by spans, and other goroutines allocate
// as well. Therefore fixed is at least slack, and f runs again, up to attempts
// times, before it is found guilty: it must do the same each time.
func Limit(t testing.TB, input, perByte, fixed int, f func()) {
	t.Helper()
	limit := uint64(perByte*input + max(fixed, slack))
	least := uint64(math.MaxUint64)
	for range attempts {
		before := allocated()
		f()
		if least = min(least, allocated()-before); least <= limit {
			return
		}
	}
	t.Errorf("%d bytes of input take %d bytes of memory, want at most %d", input, least, limit)
}

const (
	slack    = 128 << 10
	attempts = 5
)

func allocated() uint64 {
	s := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}
