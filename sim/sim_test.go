package sim

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

var (
	seeds = flag.Int("seeds", 20, "how many seeds TestSeeds runs")
	start = flag.Uint64("start", 1, "the first of them")
)

// command reproduces one seed, with its whole trace.
func command(seed uint64) string {
	return fmt.Sprintf("go test ./sim -run TestSeeds -seeds=1 -start=%d -v", seed)
}

// runTwice runs a seed two times, which must not differ.
func runTwice(t *testing.T, seed uint64) Report {
	t.Helper()
	o := Options{Full: testing.Verbose() && *seeds == 1}
	report, again := Run(seed, o), Run(seed, o)
	if o.Full {
		t.Logf("trace:\n%s", strings.Join(report.Trace, "\n"))
	}
	if report.Err != nil {
		t.Errorf("seed %d: %v\nknobs %v\ntrace:\n%s\n\nreproduce with: %s", seed, report.Err, report.Knobs, strings.Join(report.Trace, "\n"), command(seed))
	}
	if report.Hash != again.Hash {
		t.Errorf("seed %d is not deterministic: %s\nreproduce with: %s", seed, difference(seed), command(seed))
	}
	return report
}

// difference finds the first line in which two runs of a seed differ.
func difference(seed uint64) string {
	a, b := Run(seed, Options{Full: true}).Trace, Run(seed, Options{Full: true}).Trace
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is\n%s\nor\n%s", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d or %d lines", len(a), len(b))
}

func TestSeeds(t *testing.T) {
	for seed := *start; seed < *start+uint64(*seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := runTwice(t, seed)
			t.Logf("%d events, %+v, %v", r.Events, r.Stats, r.Knobs)
		})
	}
}

// TestRegressions runs the seeds that failed once.
func TestRegressions(t *testing.T) {
	raw, err := os.ReadFile("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		seed, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		t.Run(fields[0], func(t *testing.T) {
			t.Parallel()
			runTwice(t, seed)
		})
	}
}

func BenchmarkSeeds(b *testing.B) {
	seed := uint64(0)
	for b.Loop() {
		seed++
		if r := Run(seed, Options{}); r.Err != nil {
			b.Fatalf("seed %d: %v", seed, r.Err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "seeds/s")
}
