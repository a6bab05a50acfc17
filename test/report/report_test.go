package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what is printed now into testdata")

// Each recording of go test -json has its report beside it.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			events, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer events.Close()
			var got bytes.Buffer
			r := newReport(&got)
			if err := r.read(events); err != nil {
				t.Fatal(err)
			}
			r.summary()
			golden := strings.TrimSuffix(file, ".json") + ".txt"
			if *rewrite {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func TestSkipReason(t *testing.T) {
	for _, c := range []struct {
		name   string
		output []string
		want   string
	}{
		{"silent", []string{"=== RUN   TestX\n", "--- SKIP: TestX (0.00s)\n"}, "no reason given"},
		{"last log", []string{"    a_test.go:1: first\n", "    a_test.go:2: needs X: Y\n", "--- SKIP: TestX (0.00s)\n"}, "needs X: Y"},
		{"two lines", []string{"    a_test.go:2: needs X\n", "        and Y\n", "--- SKIP: TestX (0.00s)\n"}, "needs X and Y"},
		{"printed", []string{"not a log\n", "--- SKIP: TestX (0.00s)\n"}, "no reason given"},
	} {
		if got := skipReason(c.output); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestGoTest(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{nil, []string{"test", "-json", "./..."}},
		{[]string{"-short", "-run=X"}, []string{"test", "-json", "-short", "-run=X", "./..."}},
		{[]string{"-race", "./sim"}, []string{"test", "-json", "-race", "./sim"}},
	} {
		if got := goTest(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

// The exit code is go test's, or 1 if it could not run.
func TestExitCode(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/x\n\ngo 1.26\n")
	write("x_test.go", "package x\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\nfunc TestBad(t *testing.T) { t.Fatal(\"no\") }\n")
	t.Chdir(dir)
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"passes", []string{"-run=Good"}, 0},
		{"fails", nil, 1},
		{"build fails", []string{"./absent"}, 1},
		{"bad flag", []string{"-count=many"}, 2},
	} {
		var out bytes.Buffer
		code, err := run(c.args, &out)
		if code != c.want || err != nil {
			t.Errorf("%s: exit code %d, error %v; want %d\n%s", c.name, code, err, c.want, out.String())
		}
	}
	t.Setenv("PATH", "")
	if code, err := run(nil, &bytes.Buffer{}); code != 1 || err == nil {
		t.Errorf("no go command: exit code %d, error %v", code, err)
	}
}
