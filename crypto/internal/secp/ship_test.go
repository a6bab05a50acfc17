//go:build !toygroup

package secp

import (
	"os/exec"
	"strings"
	"testing"
)

func goTool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = "../../.."
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestToyGroupDoesNotShip asks the build itself: no file of the toy group is in
// the daemon, and with its tag there is no daemon.
func TestToyGroupDoesNotShip(t *testing.T) {
	const files = `{{if not .Standard}}{{$p := .ImportPath}}{{range .GoFiles}}{{$p}}/{{.}}{{"\n"}}{{end}}{{end}}`
	daemon, err := goTool(t, "list", "-deps", "-f", files, "./cmd/node")
	if err != nil || !strings.Contains(daemon, "crypto/internal/secp/point.go\n") {
		t.Fatalf("list files of the daemon: %v\n%s", err, daemon)
	}
	if strings.Contains(daemon, "toy") || strings.Contains(daemon, "exponents") {
		t.Errorf("the daemon contains a group for tests:\n%s", daemon)
	}
	toy, err := goTool(t, "list", "-deps", "-tags=toygroup", "-f", files, "./crypto/bip445")
	if err != nil || !strings.Contains(toy, "secp/toy_point.go\n") || strings.Contains(toy, "secp/point.go\n") {
		t.Errorf("the tag does not select the toy group: %v\n%s", err, toy)
	}
	for _, tag := range []string{"toygroup", "exponents"} {
		out, err := goTool(t, "list", "-deps", "-tags="+tag, "./cmd/node")
		if err == nil || !strings.Contains(out, "internal package frostfed/crypto/internal/secp not allowed") {
			t.Errorf("the daemon builds with the tag %s: %v\n%s", tag, err, out)
		}
	}
}
