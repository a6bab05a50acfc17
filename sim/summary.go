package sim

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// summary adds up what the worlds of a campaign went through: a fault that was
// never drawn was never survived.
type summary struct {
	seeds, failed, events int
	stats                 Stats
	knobs                 map[string]map[string]int // by knob and value, how many worlds
	broken                map[string]int            // by invariant
}

func newSummary() *summary {
	return &summary{knobs: make(map[string]map[string]int), broken: make(map[string]int), stats: Stats{Excuses: make(map[string]int)}}
}

func (s *summary) add(r *Report) {
	s.seeds++
	s.events += r.Events
	if r.Err != nil {
		s.failed++
		name := "other"
		if v, ok := r.Err.(*Violation); ok {
			name = v.Invariant
		}
		s.broken[name]++
	}
	s.stats.add(&r.Stats)
	v := reflect.ValueOf(r.Knobs)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch name {
		case "Adversaries":
			kinds := r.Knobs.kinds()
			s.count("Faulty", fmt.Sprint(len(kinds)))
			for _, kind := range slices.Compact(slices.Sorted(slices.Values(kinds))) {
				s.count("Adversary", kind)
			}
		default:
			s.count(name, bucket(v.Field(i)))
		}
	}
}

func (s *summary) count(knob, value string) {
	if s.knobs[knob] == nil {
		s.knobs[knob] = make(map[string]int)
	}
	s.knobs[knob][value]++
}

// bucket puts values of a wide range together.
func bucket(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Float64:
		switch x := v.Float(); {
		case x == 0:
			return "0"
		case x < 0.02:
			return "<0.02"
		case x < 0.1:
			return "<0.1"
		default:
			return ">=0.1"
		}
	case reflect.Int64:
		for _, bound := range []int64{1, 10, 100, 1_000, 10_000, 100_000} {
			if v.Int() < bound {
				return fmt.Sprintf("<%d", bound)
			}
		}
		return ">=100000"
	}
	return fmt.Sprint(v)
}

// String is a table: a line per knob.
func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d events, %d frames, %d keys, %d requests signed, %d lists paid, %d crashes, %d disks gone back, %d faults named\n",
		s.events, s.stats.Frames, s.stats.Keys, s.stats.Signed, s.stats.Paid, s.stats.Crashes, s.stats.Rewinds, s.stats.Faults)
	table := func(name string, counts map[string]int) {
		fmt.Fprintf(&b, "%-14s", name)
		for _, value := range slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
			return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
		}) {
			fmt.Fprintf(&b, " %s:%d", value, counts[value])
		}
		b.WriteByte('\n')
	}
	for _, name := range slices.Sorted(maps.Keys(s.knobs)) {
		table(name, s.knobs[name])
	}
	table("excused", s.stats.Excuses)
	table("broken", s.broken)
	return b.String()
}
