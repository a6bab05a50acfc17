package main

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"

	"frostfed/bench"
)

// subject is one implementation under measurement.
type subject struct {
	bench.Case
	round  bench.Round
	count  int       // operations per round
	times  []float64 // µs per operation, by round
	allocs uint64    // per operation
}

// newSubject prepares a case, warms it up and finds out how many operations fill
// the time slice.
func newSubject(c bench.Case, slice time.Duration) (*subject, error) {
	round, err := c.Setup()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name(), err)
	}
	s := &subject{Case: c, round: round, count: 1}
	for {
		elapsed, err := s.run()
		if err != nil {
			return nil, err
		}
		if elapsed >= slice/2 || s.count >= 1<<16 {
			s.count = max(1, int(float64(s.count)*float64(slice)/float64(elapsed)))
			return s, nil
		}
		s.count *= 2
	}
}

// used is the processor time of this process so far. Unlike wall time it does not
// run on while another process has the processor. It includes the garbage
// collector's.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // cannot happen: both arguments are valid
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run does count operations and returns the processor time they took.
func (s *subject) run() (time.Duration, error) {
	do, err := s.round(s.count)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.Name(), err)
	}
	runtime.GC() // garbage of the preparation is not the operation's
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := used()
	for range s.count {
		if err := do(); err != nil {
			return 0, fmt.Errorf("%s: %w", s.Name(), err)
		}
	}
	elapsed := used() - start
	runtime.ReadMemStats(&after)
	s.allocs = (after.Mallocs - before.Mallocs + uint64(s.count)/2) / uint64(s.count)
	return elapsed, nil
}

func (s *subject) measure() error {
	elapsed, err := s.run()
	if err != nil {
		return err
	}
	s.times = append(s.times, micros(elapsed)/float64(s.count))
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// primitives measures the operations of the curve library.
type primitives struct {
	do     []func()
	counts [len(bench.Costs{})]int // how often in one slice
	costs  []bench.Costs           // by round
}

func newPrimitives() (*primitives, error) {
	do, err := bench.Primitives()
	if err != nil {
		return nil, fmt.Errorf("prepare primitives: %w", err)
	}
	p := &primitives{do: do[:]}
	for i, do := range p.do {
		n := 1
		for start := used(); used()-start < 300*time.Microsecond; n *= 2 {
			for range n {
				do()
			}
		}
		p.counts[i] = n / 2
	}
	return p, nil
}

// measure takes the best of three short slices for each primitive, of about 0.3 ms
// each: a floor is what is possible, interruptions are not part of it.
func (p *primitives) measure() {
	var costs bench.Costs
	for i, do := range p.do {
		for k := range 3 {
			start := used()
			for range p.counts[i] {
				do()
			}
			if cost := micros(used()-start) / float64(p.counts[i]); k == 0 || cost < costs[i] {
				costs[i] = cost
			}
		}
	}
	p.costs = append(p.costs, costs)
}

// last is the newest measurement of all primitives.
func (p *primitives) last() bench.Costs { return p.costs[len(p.costs)-1] }

// medians are over all rounds.
func (p *primitives) medians() (out bench.Costs) {
	for i := range out {
		column := make([]float64, len(p.costs))
		for r := range p.costs {
			column[r] = p.costs[r][i]
		}
		out[i] = median(column)
	}
	return out
}

// median of at least one value.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// ratios are the pairs of one round: what disturbs a round disturbs both.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}
