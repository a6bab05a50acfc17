// Command report runs go test and says in short what ran and what did not:
//
//	go run ./test/report [flags of go test] [packages]
//
// It prints a line for each package, below it the lines that its tests begin with
// "vectors:" (how many cases of a file of test vectors ran), failures in full, and
// at the end how many tests were skipped for which reason. The last line is
//
//	N passed, N failed, N skipped
//
// Without packages it tests ./... . A flag's value must be joined to it (-run=X)
// to be told from a package. The exit code is that of go test.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report: error:", err)
	}
	os.Exit(code)
}

func run(args []string, out io.Writer) (code int, err error) {
	cmd := exec.Command("go", goTest(args)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("run go test: %w", err)
	}
	r := newReport(out)
	readErr := r.read(events)
	err = cmd.Wait()
	r.summary()
	var exit *exec.ExitError
	switch {
	case readErr != nil:
		return 1, readErr
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1), nil // -1: ended by a signal
	case err != nil:
		return 1, fmt.Errorf("run go test: %w", err)
	case r.failed > 0:
		return 1, errors.New("go test reported failures and yet ended with exit code 0")
	}
	return 0, nil
}

func goTest(args []string) []string {
	out := append([]string{"test", "-json"}, args...)
	isPackage := func(a string) bool { return !strings.HasPrefix(a, "-") }
	if !slices.ContainsFunc(args, isPackage) {
		out = append(out, "./...")
	}
	return out
}
