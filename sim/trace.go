package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"strconv"

	"frostfed/protocols"
)

// trace is the history of a world: a hash of every line, and the lines
// themselves, all or only the last.
type trace struct {
	sum   hash.Hash
	lines []string
	keep  int // 0: all

	scratch []byte
}

func newTrace(keep int) *trace { return &trace{sum: sha256.New(), keep: keep} }

func (t *trace) add(now int64, format string, args ...any) {
	t.line(fmt.Sprintf("%8d  ", now) + fmt.Sprintf(format, args...))
}

func (t *trace) line(line string) {
	t.sum.Write([]byte(line))
	t.sum.Write([]byte{'\n'})
	t.lines = append(t.lines, line)
	if t.keep > 0 && len(t.lines) >= 2*t.keep {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-t.keep:]...)
	}
}

// frame is add for what happens most often, without the cost of fmt.
func (t *trace) frame(now int64, what string, from, to int, protocol protocols.Protocol, body []byte) {
	b := t.scratch[:0]
	b = strconv.AppendInt(b, now, 10)
	b = append(append(append(b, "  "...), what...), ' ')
	b = append(strconv.AppendInt(b, int64(from), 10), '>')
	b = append(strconv.AppendInt(b, int64(to), 10), ' ')
	b = append(append(b, protocol...), ' ')
	b = append(strconv.AppendInt(b, int64(len(body)), 10), ':')
	b = strconv.AppendUint(b, uint64(fingerprint(body)), 16)
	t.scratch = b
	t.line(string(b))
}

// record is a line about a durable record.
func (t *trace) record(now int64, member int, r protocols.Record) {
	b := t.scratch[:0]
	b = strconv.AppendInt(b, now, 10)
	b = strconv.AppendInt(append(b, "  disk "...), int64(member), 10)
	b = append(append(append(b, ' '), r.Key...), ' ')
	b = append(strconv.AppendInt(b, int64(len(r.Value)), 10), ':')
	b = strconv.AppendUint(b, uint64(fingerprint(r.Value)), 16)
	t.scratch = b
	t.line(string(b))
}

func (t *trace) hash() string { return hex.EncodeToString(t.sum.Sum(nil)) }

func (t *trace) tail() []string {
	if t.keep > 0 && len(t.lines) > t.keep {
		return t.lines[len(t.lines)-t.keep:]
	}
	return t.lines
}

// fingerprint makes a body short enough for a line.
func fingerprint(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
