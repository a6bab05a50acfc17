// Command compare measures the cases of package bench side by side and prints a
// Markdown table. Implementations of the same operation alternate, in changing
// order, in every round; ratios are medians over the pairs of a round, so that
// they hold on a busy machine where the absolute times do not.
//
//	go run ./cmd/compare [-ops regexp] [-sizes 3/5,67/100] [-rounds 9] [-slice 20ms]
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"frostfed/bench"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	ops := flags.String("ops", ".*", "`regexp` that matches the whole name of an operation")
	sizes := flags.String("sizes", joined(bench.Sizes), "`list` of threshold/participants")
	rounds := flags.Int("rounds", 9, "how often each implementation is measured")
	slice := flags.Duration("slice", 20*time.Millisecond, "`time` of one measurement; longer operations run once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *slice <= 0 {
		return fmt.Errorf("need at least one round of positive length")
	}
	pattern, err := regexp.Compile(*ops)
	if err != nil {
		return fmt.Errorf("parse -ops: %w", err)
	}
	list, err := parseSizes(*sizes)
	if err != nil {
		return err
	}
	cases := bench.Cases(pattern, list)
	if len(cases) == 0 {
		return fmt.Errorf("no operation matches %q", *ops)
	}
	runtime.GOMAXPROCS(1) // one thread is what is compared
	floor, err := newPrimitives()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %s, %s/%s, one thread, processor time; %d rounds of %v\n\n", cpu(), runtime.Version(), runtime.GOOS, runtime.GOARCH, *rounds, *slice)
	fmt.Fprintln(out, "| operation | t/n | µs | allocs | floor µs | ÷ floor | peer | its µs | its allocs | peer ÷ ours | first target |")
	fmt.Fprintln(out, "|---|---|--:|--:|--:|--:|---|--:|--:|--:|---|")
	var worst line
	for _, group := range grouped(cases) {
		l, err := compare(group, floor, *rounds, *slice)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, l.row)
		if l.aboveFloor > worst.aboveFloor {
			worst = l
		}
	}
	if worst.aboveFloor > 0 {
		fmt.Fprintf(out, "\nFarthest above its floor: %s, %.2f (F1 ≤ %.2f)\n", worst.name, worst.aboveFloor, bench.MaxFloor)
	}
	fmt.Fprint(out, "\nPrimitives of the curve library, µs:")
	for p, cost := range floor.medians() {
		fmt.Fprintf(out, " %s %.3g", bench.Primitive(p), cost)
		if p < len(floor.do)-1 {
			fmt.Fprint(out, ",")
		}
	}
	fmt.Fprintln(out)
	return nil
}

// grouped puts the implementations of the same operation together.
func grouped(cases []bench.Case) [][]bench.Case {
	var groups [][]bench.Case
	for _, c := range cases {
		i := slices.IndexFunc(groups, func(g []bench.Case) bool { return g[0].Op == c.Op && g[0].Size == c.Size })
		if i < 0 {
			groups = append(groups, []bench.Case{c})
		} else {
			groups[i] = append(groups[i], c)
		}
	}
	// Operation by operation, to be read across the sizes.
	order := make(map[string]int)
	for _, g := range groups {
		if _, known := order[g[0].Op]; !known {
			order[g[0].Op] = len(order)
		}
	}
	slices.SortStableFunc(groups, func(a, b []bench.Case) int { return order[a[0].Op] - order[b[0].Op] })
	return groups
}

// line is one line of the table.
type line struct {
	row, name  string
	aboveFloor float64 // ratio; 0 if the operation has no floor
}

// compare measures a group. The first case is compared with the floor and with
// the second, its peer, if there is one.
func compare(group []bench.Case, floor *primitives, rounds int, slice time.Duration) (line, error) {
	subjects := make([]*subject, len(group))
	for i, c := range group {
		var err error
		if subjects[i], err = newSubject(c, slice); err != nil {
			return line{}, err
		}
	}
	ours := subjects[0]
	counts, hasFloor := bench.Floor(ours.Op, ours.Size)
	var floors []float64
	for r := range rounds {
		floor.measure()
		floors = append(floors, counts.Cost(floor.last()))
		for i := range subjects {
			s := subjects[(i+r)%len(subjects)]
			if err := s.measure(); err != nil {
				return line{}, err
			}
		}
	}
	size := "–"
	if ours.N > 0 {
		size = ours.String()
	}
	cells := []string{label(ours.Case), size, number(median(ours.times)), fmt.Sprint(ours.allocs)}
	l := line{name: strings.TrimSuffix(ours.Op+" "+size, " –")}
	if hasFloor {
		l.aboveFloor = median(ratios(ours.times, floors))
		cells = append(cells, number(median(floors)), number(l.aboveFloor))
	} else {
		cells = append(cells, "", "")
	}
	if len(subjects) > 1 {
		peer := subjects[1]
		ratio := median(ratios(peer.times, ours.times))
		cells = append(cells, peer.Impl, number(median(peer.times)), fmt.Sprint(peer.allocs), number(ratio), verdict(ours.Case, ratio))
	} else {
		cells = append(cells, "", "", "", "", "")
	}
	l.row = "| " + strings.Join(cells, " | ") + " |"
	return l, nil
}

// verdict holds the ratio against the target of the operation, if it has one.
func verdict(c bench.Case, ratio float64) string {
	target, ok := bench.TargetOf(c.Op, c.Size)
	switch {
	case !ok:
		return ""
	case ratio >= target.Ratio:
		return fmt.Sprintf("%s ≥ %s: met", target.ID, number(target.Ratio))
	}
	return fmt.Sprintf("%s ≥ %s: missed", target.ID, number(target.Ratio))
}

func label(c bench.Case) string {
	if c.Impl == bench.Ours {
		return c.Op
	}
	return c.Op + " (" + c.Impl + ")"
}

// number has three significant digits, without exponent.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func joined(sizes []bench.Size) string {
	words := make([]string, len(sizes))
	for i, s := range sizes {
		words[i] = s.String()
	}
	return strings.Join(words, ",")
}

func parseSizes(list string) ([]bench.Size, error) {
	var sizes []bench.Size
	for word := range strings.SplitSeq(list, ",") {
		var s bench.Size
		if _, err := fmt.Sscanf(word, "%d/%d", &s.T, &s.N); err != nil || word != s.String() {
			return nil, fmt.Errorf("parse -sizes: %q is not of the form 3/5", word)
		}
		if s.T < 2 || s.T > s.N || s.N > 128 {
			return nil, fmt.Errorf("parse -sizes: %v is not 2 <= t <= n <= 128", s)
		}
		sizes = append(sizes, s)
	}
	return sizes, nil
}

// cpu names the processor where the system says it.
func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
