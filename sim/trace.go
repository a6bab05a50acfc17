package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
)

// trace is the history of a world: a hash of every line, and the lines
// themselves, all or only the last.
type trace struct {
	sum   hash.Hash
	lines []string
	keep  int // 0: all
}

func newTrace(keep int) *trace { return &trace{sum: sha256.New(), keep: keep} }

func (t *trace) add(now int64, format string, args ...any) {
	line := fmt.Sprintf("%8d  ", now) + fmt.Sprintf(format, args...)
	t.sum.Write([]byte(line))
	t.sum.Write([]byte{'\n'})
	t.lines = append(t.lines, line)
	if t.keep > 0 && len(t.lines) >= 2*t.keep {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-t.keep:]...)
	}
}

func (t *trace) hash() string { return hex.EncodeToString(t.sum.Sum(nil)) }

func (t *trace) tail() []string {
	if t.keep > 0 && len(t.lines) > t.keep {
		return t.lines[len(t.lines)-t.keep:]
	}
	return t.lines
}

// digest makes a body short enough for a line.
func digest(b []byte) string {
	h := fnv.New32a()
	_, _ = h.Write(b) // a hash does not fail
	return fmt.Sprintf("%d:%08x", len(b), h.Sum32())
}
