package alloc

import "testing"

// recorder is a test that only notes that it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

var sink []byte

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		input, size int
		want        bool
	}{
		{0, 0, false}, {10, 1000, false}, {10, slack / 2, false}, {1 << 20, 4 << 20, false},
		{10, 1 << 20, true}, {1 << 20, 10 << 20, true},
	} {
		r := &recorder{TB: t}
		Limit(r, c.input, 8, 0, func() { sink = make([]byte, c.size) })
		if r.failed != c.want {
			t.Errorf("%d bytes for %d: fails is %v", c.size, c.input, r.failed)
		}
	}
}

func BenchmarkLimit(b *testing.B) {
	for b.Loop() {
		Limit(b, 10, 8, 0, func() {})
	}
}
