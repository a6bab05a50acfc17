package daemon

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"frostfed/policy"
)

// The test binary stands in for the operator's command: its first argument says
// what the command does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "command" {
		os.Exit(command(os.Args[2]))
	}
	os.Exit(m.Run())
}

func command(what string) int {
	request, _ := io.ReadAll(os.Stdin)
	switch what {
	case "allow":
		if len(request) == 0 || len(os.Environ()) != 0 {
			return 3
		}
	case "refuse":
		os.Stdout.WriteString(`{"allow": false, "reason": "not today"}`)
		return 1
	case "break":
		return 7
	case "nonsense":
		os.Stdout.WriteString("yes")
	case "endless":
		for line := bytes.Repeat([]byte{' '}, 1<<16); ; {
			if _, err := os.Stdout.Write(line); err != nil {
				return 0
			}
		}
	case "hang":
		select {}
	case "much":
		os.Stdout.Write(bytes.Repeat([]byte{' '}, policy.MaxExternalOutput+1))
	}
	return 0
}

func runCommand(t *testing.T, limit time.Duration, argv ...string) policy.Verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return runExternal(ctx, argv, []byte(`{"version":1}`))
}

func TestExternalCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		argv  []string
		limit time.Duration
		want  policy.Rule
	}{
		{[]string{self, "command", "allow"}, time.Minute, policy.Allowed},
		{[]string{self, "command", "refuse"}, time.Minute, policy.ExternalRefused},
		{[]string{self, "command", "break"}, time.Minute, policy.ExternalFailed},
		{[]string{self, "command", "nonsense"}, time.Minute, policy.ExternalGarbage},
		{[]string{self, "command", "much"}, time.Minute, policy.ExternalGarbage},
		{[]string{self, "command", "hang"}, 200 * time.Millisecond, policy.ExternalTimeout},
		{[]string{self, "command", "endless"}, 500 * time.Millisecond, policy.ExternalTimeout},
		{[]string{"/nonexistent/command"}, time.Minute, policy.ExternalFailed},
	} {
		t.Run(r.argv[len(r.argv)-1], func(t *testing.T) {
			if v := runCommand(t, r.limit, r.argv...); v.Rule != r.want || v.Allow != (r.want == policy.Allowed) {
				t.Fatalf("got %v, want %s", v, r.want)
			}
		})
	}
}

// What a command writes without end must not fill memory.
func TestExternalOutputIsBounded(t *testing.T) {
	var b limitedBuffer
	if n, err := io.Copy(&b, io.LimitReader(bytes.NewReader(make([]byte, 1<<20)), 1<<20)); err != nil || n != 1<<20 {
		t.Fatal(n, err)
	}
	if b.kept.Len() != policy.MaxExternalOutput+1 {
		t.Fatalf("kept %d bytes", b.kept.Len())
	}
}
