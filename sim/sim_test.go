package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 20, "how many seeds TestSeeds runs")
	start = flag.Uint64("start", 1, "the first of them")
	twice = flag.Uint64("twice", 16, "every so many-th seed is run two times, to see that both are the same; 0: none")
	seed1 = flag.Uint64("seed", 0, "the seed of TestSeed")
	knobs = flag.String("knobs", "", "knobs that differ from those a seed draws, as Loss=0,N=4")
	first = flag.Bool("first", false, "TestSeeds ends with the first seed that fails")
	full  = flag.Bool("full", false, "the long forms of tests")
)

// command reproduces one world, with its whole trace.
func command(seed uint64, knobs string) string {
	if knobs != "" {
		knobs = " -knobs='" + knobs + "'"
	}
	return fmt.Sprintf("go test ./sim -run '^TestSeed$' -seed=%d%s -v", seed, knobs)
}

// difference says in which line two runs of a seed differ, or nothing.
func difference(seed uint64, knobs, hash string) string {
	if Run(seed, Options{Knobs: knobs}).Hash == hash {
		return ""
	}
	o := Options{Full: true, Knobs: knobs}
	a, b := Run(seed, o).Trace, Run(seed, o).Trace
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is\n%s\nor\n%s", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d or %d lines", len(a), len(b))
}

// TestSeeds runs a range of seeds on all processors. A campaign that was
// interrupted goes on with the -start that its last line of progress names.
//
//	go test ./sim -run '^TestSeeds$' -seeds=100000 -start=1 -timeout=0 -v
func TestSeeds(t *testing.T) {
	begin := time.Now()
	var next atomic.Uint64
	next.Store(*start)
	end := *start + uint64(*seeds)
	var broken atomic.Bool
	var mutex sync.Mutex
	var failed []string
	sum := newSummary()
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				seed := next.Add(1) - 1
				if *first && broken.Load() {
					return
				}
				if seed >= end {
					return
				}
				r := Run(seed, Options{Knobs: *knobs})
				differs := ""
				if *twice > 0 && seed%*twice == 0 {
					differs = difference(seed, *knobs, r.Hash)
				}
				mutex.Lock()
				sum.add(&r)
				if done := sum.seeds; done%1000 == 0 {
					fmt.Fprintf(os.Stderr, "%d seeds, %d failed, %.1f seeds/s; all below %d are begun\n",
						done, len(failed), float64(done)/time.Since(begin).Seconds(), seed)
				}
				if r.Err != nil {
					broken.Store(true)
				}
				if r.Err != nil && len(failed) < 20 {
					fmt.Fprintf(os.Stderr, "seed %d: %v\n", seed, r.Err)
					failed = append(failed, fmt.Sprintf("seed %d: %v\nknobs %v\n  %s", seed, r.Err, r.Knobs, command(seed, *knobs)))
				}
				if differs != "" {
					failed = append(failed, fmt.Sprintf("seed %d is not deterministic: %s\n  %s", seed, differs, command(seed, *knobs)))
				}
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	took := time.Since(begin)
	t.Logf("%d seeds from %d in %v, %.1f seeds/s\n%s", sum.seeds, *start, took.Round(time.Second), float64(sum.seeds)/took.Seconds(), sum)
	for _, f := range failed {
		t.Error(f)
	}
	if sum.failed > len(failed) {
		t.Errorf("%d seeds failed, the first %d are listed", sum.failed, len(failed))
	}
}

// TestSeed runs one world, prints all of its trace, and if it breaks, the smallest
// world that breaks alike.
func TestSeed(t *testing.T) {
	if *seed1 == 0 {
		t.Skip("no -seed")
	}
	r := Run(*seed1, Options{Full: true, Knobs: *knobs})
	if testing.Verbose() {
		t.Logf("trace:\n%s", strings.Join(r.Trace, "\n"))
	}
	t.Logf("%d events, %+v\nknobs %v", r.Events, r.Stats, r.Knobs)
	if r.Err == nil {
		return
	}
	t.Errorf("seed %d: %v", *seed1, r.Err)
	small, tried := shrink(*seed1, *knobs, r.Err)
	t.Logf("after %d worlds this is the smallest that breaks alike:\n  %s", tried, command(*seed1, small))
}

// TestRegressions runs the worlds that failed once.
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
		knobs := ""
		if len(fields) > 1 && strings.Contains(fields[1], "=") {
			knobs = fields[1]
		}
		t.Run(fields[0], func(t *testing.T) {
			t.Parallel()
			if r := Run(seed, Options{Knobs: knobs}); r.Err != nil {
				t.Errorf("%v\nknobs %v\n  %s", r.Err, r.Knobs, command(seed, knobs))
			}
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
