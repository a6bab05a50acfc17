package main

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"frostfed/bench"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-ops", "nonce|decode-point|dkg-machine", "-sizes", "2/3", "-rounds", "2", "-slice", "1ms"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^\| nonce \| 2/3 \| [0-9.]+ \| \d+ \| [0-9.]+ \| [0-9.]+ \| bytemare \| [0-9.]+ \| \d+ \| [0-9.]+ \| S7 ≥ 5\.00: (met|missed) \|$`,
		`(?m)^\| decode-point \| – \| [0-9.]+ \| \d+ \| [0-9.]+ \| [0-9.]+ \| btcec \|`,
		`(?m)^\| dkg-machine \| 2/3 \| [0-9.]+ \| \d+ \|  \|  \|  \|  \|  \|  \|  \|$`,
		`(?m)^Farthest above its floor: (nonce 2/3|decode-point), [0-9.]+ \(F1 ≤ 1\.25\)$`,
		`(?m)^Primitives .* kG [0-9.]+, .* hash block [0-9.]+$`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("no line like %s in\n%s", want, &out)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range []string{"-ops (", "-ops nothing", "-sizes 3", "-sizes 3/5x", "-sizes 1/1", "-sizes 6/5", "-rounds 0", "-slice 0s"} {
		if err := run(strings.Fields(args), new(bytes.Buffer)); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		op    string
		size  bench.Size
		ratio float64
		want  string
	}{
		{bench.OpSign, bench.Size{T: 67, N: 100}, 50, "S2 ≥ 50.0: met"},
		{bench.OpSign, bench.Size{T: 67, N: 100}, 49.9, "S2 ≥ 50.0: missed"},
		{bench.OpSign, bench.Size{T: 7, N: 10}, 1, ""},
		{bench.OpMul, bench.Size{}, 1.9, "P2 ≥ 1.82: met"},
		{bench.OpBlame, bench.Size{T: 67, N: 100}, 1, ""},
	} {
		if got := verdict(bench.Case{Op: c.op, Size: c.size}, c.ratio); got != c.want {
			t.Errorf("%s %v at %v: got %q, want %q", c.op, c.size, c.ratio, got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{100, 2, 4, 0}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// TestRatios: a round that is slow for both does not count.
func TestRatios(t *testing.T) {
	got := ratios([]float64{2, 20, 3}, []float64{1, 10, 1})
	if want := []float64{2, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPrimitives(t *testing.T) {
	p, err := newPrimitives()
	if err != nil {
		t.Fatal(err)
	}
	p.measure()
	p.measure()
	for i, cost := range p.medians() {
		if cost <= 0 || math.IsInf(cost, 0) || math.IsNaN(cost) {
			t.Errorf("%v costs %v µs", bench.Primitive(i), cost)
		}
	}
}

// TestGrouped: operation by operation, the sizes in order, ours before its peer.
func TestGrouped(t *testing.T) {
	groups := grouped(bench.Cases(regexp.MustCompile("nonce|sign"), []bench.Size{{T: 3, N: 5}, {T: 7, N: 10}}))
	var got []string
	for _, g := range groups {
		got = append(got, g[0].Op+" "+g[0].String()+" "+g[0].Impl+" "+g[1].Impl)
	}
	want := []string{
		"nonce 3/5 frostfed bytemare", "nonce 7/10 frostfed bytemare",
		"sign 3/5 frostfed bytemare", "sign 7/10 frostfed bytemare",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
