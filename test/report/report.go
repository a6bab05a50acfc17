package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is a line of go test -json ("go doc test2json") or of go build -json.
type event struct {
	Action      string
	Package     string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	ImportPath  string // of a build event, instead of Package
	FailedBuild string // ImportPath of the build that failed a package
}

// report collects events and prints as packages end.
type report struct {
	out                     io.Writer
	packages                map[string]*pkg
	builds                  map[string][]string // output of the compiler by ImportPath
	reasons                 map[string]int      // why tests were skipped
	untested                []string            // packages without tests
	passed, failed, skipped int
}

// pkg is a package under test.
type pkg struct {
	tests                   map[string]*test
	output                  []string // of no test
	failures                [][]string
	vectors                 []string
	passed, failed, skipped int
}

// test is a test, subtest, example or fuzz target that has not ended.
type test struct {
	output      []string
	hasSubtests bool
	subFailed   bool
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: map[string]*pkg{}, builds: map[string][]string{}, reasons: map[string]int{}}
}

// read takes all events. Lines that are none (a tool that prints to standard
// output) are passed on.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if line[0] != '{' || json.Unmarshal(line, &e) != nil {
				r.out.Write(line)
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events of go test: %w", err)
		}
	}
}

func (r *report) take(e event) {
	if e.ImportPath != "" {
		if e.Output != "" {
			r.builds[e.ImportPath] = append(r.builds[e.ImportPath], e.Output)
		}
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &pkg{tests: map[string]*test{}}
		r.packages[e.Package] = p
	}
	if e.Output != "" {
		if counts, ok := strings.CutPrefix(unprefixed(e.Output), "vectors: "); ok {
			p.vectors = append(p.vectors, strings.TrimSpace(counts))
		}
	}
	switch {
	case e.Test != "":
		p.take(e, r.reasons)
	case e.Action == "output":
		p.output = append(p.output, e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		r.end(p, e)
		delete(r.packages, e.Package)
	}
}

// take follows one test. A test with subtests is a heading, not a test: it counts
// only if it fails while all its subtests pass.
func (p *pkg) take(e event, reasons map[string]int) {
	t := p.tests[e.Test]
	if t == nil {
		t = &test{}
		p.tests[e.Test] = t
	}
	var parent *test
	if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
		parent = p.tests[e.Test[:i]] // nil if the name itself has slashes
	}
	if parent != nil {
		parent.hasSubtests = true
	}
	switch e.Action {
	case "output":
		t.output = append(t.output, e.Output)
		return
	case "pass":
		if !t.hasSubtests {
			p.passed++
		}
	case "skip":
		p.skipped++
		reasons[skipReason(t.output)]++
	case "fail":
		if parent != nil {
			parent.subFailed = true
		}
		if !t.subFailed {
			p.failed++
		}
		p.failures = append(p.failures, t.output)
	default: // run, pause, cont
		return
	}
	delete(p.tests, e.Test)
}

// end prints a package.
func (r *report) end(p *pkg, e event) {
	if e.Action == "skip" {
		r.untested = append(r.untested, e.Package)
		return
	}
	mark := "ok"
	if e.Action == "fail" {
		mark = "FAIL"
		// What ended without a word: the process died under it.
		for _, name := range slices.Sorted(maps.Keys(p.tests)) {
			p.failures = append(p.failures, p.tests[name].output)
		}
		p.failures = append(p.failures, p.output, r.builds[e.FailedBuild])
		p.failed = max(p.failed, 1)
	}
	fmt.Fprintf(r.out, "%-4s %6.1fs  %-40s %s\n", mark, e.Elapsed, e.Package, p.counts(cached(p.output)))
	slices.Sort(p.vectors) // packages run their tests in parallel or in files' order
	for _, v := range p.vectors {
		fmt.Fprintf(r.out, "              vectors: %s\n", v)
	}
	for _, output := range p.failures {
		for _, line := range output {
			if line = strings.TrimSuffix(line, "\n"); !noise.MatchString(line) {
				fmt.Fprintf(r.out, "     | %s\n", line)
			}
		}
	}
	r.passed += p.passed
	r.failed += p.failed
	r.skipped += p.skipped
}

func (p *pkg) counts(note string) string {
	s := fmt.Sprintf("%d passed", p.passed)
	if p.failed > 0 {
		s += fmt.Sprintf(", %d failed", p.failed)
	}
	if p.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", p.skipped)
	}
	return s + note
}

// summary prints what did not run, and the last line.
func (r *report) summary() {
	fmt.Fprintln(r.out)
	if len(r.untested) > 0 {
		fmt.Fprintf(r.out, "packages without tests: %s\n", strings.Join(r.untested, " "))
	}
	if r.skipped > 0 {
		fmt.Fprintln(r.out, "skipped:")
	}
	byCount := slices.SortedFunc(maps.Keys(r.reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.reasons[b], r.reasons[a]), cmp.Compare(a, b))
	})
	for _, reason := range byCount {
		fmt.Fprintf(r.out, "%6d  %s\n", r.reasons[reason], reason)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}

var (
	logged = regexp.MustCompile(`^ +\S+\.go:\d+: `)
	// Of a failure: what its own line in the report says already.
	noise = regexp.MustCompile(`^(=== (RUN|PAUSE|CONT|NAME) |FAIL$|FAIL\t|PASS$|ok  \t|coverage: )`)
)

// unprefixed takes off where a line was logged.
func unprefixed(line string) string { return line[len(logged.FindString(line)):] }

// skipReason is what the test logged last, with its continuation lines.
func skipReason(output []string) string {
	var reason []string
	for _, line := range output {
		switch text := strings.TrimSpace(unprefixed(line)); {
		case logged.MatchString(line):
			reason = []string{text}
		case len(reason) > 0 && strings.HasPrefix(line, "        "):
			reason = append(reason, text)
		}
	}
	if len(reason) == 0 {
		return "no reason given"
	}
	return strings.Join(reason, " ")
}

func cached(output []string) string {
	for _, line := range output {
		if strings.HasPrefix(line, "ok  \t") && strings.Contains(line, "\t(cached)") {
			return " (cached)"
		}
	}
	return ""
}
