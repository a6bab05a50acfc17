// Package alloc bounds the memory that code takes for input it does not trust. A
// decoder that believes a length before it has seen the bytes is found by it.
package alloc

import (
	"runtime/metrics"
	"testing"
)

// Limit fails the test if f allocates more than perByte bytes for each byte of
// an input of the given length, and fixed bytes besides. What is freed again
// counts too. Small allocations are counted in spans, hence fixed is at least
// slack, and other goroutines must be idle.
func Limit(t testing.TB, input, perByte, fixed int, f func()) {
	t.Helper()
	before := allocated()
	f()
	if n, limit := allocated()-before, uint64(perByte*input+max(fixed, slack)); n > limit {
		t.Errorf("%d bytes of input take %d bytes of memory, want at most %d", input, n, limit)
	}
}

// slack is two spans of the runtime for each of about eight sizes of objects.
const slack = 128 << 10

func allocated() uint64 {
	s := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}
