package chaintest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Btcd returns the path of btcd, of the version that go.mod pins, or skips the
// test.
func Btcd(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "tool", "-n", "btcd").Output()
	if err != nil {
		t.Skipf("needs the go command and the btcd module to build it with (go tool -n btcd): %v", err)
	}
	return strings.TrimSpace(string(out))
}

// StartNode runs a node until the test ends or stop is called, and returns when
// it has printed the line that says it serves RPC.
func StartNode(t *testing.T, ready, binary string, args ...string) (stop func() error) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Skipf("needs a working %s: %v", binary, err)
	}
	started, ended := make(chan struct{}), make(chan []string, 1)
	go func() {
		var lines []string // until ready; a node that runs may print without end
		serving := false
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			if serving {
				continue
			}
			lines = append(lines, scan.Text())
			if strings.Contains(scan.Text(), ready) {
				serving = true
				close(started)
			}
		}
		_ = cmd.Wait() // killed by stop: the status says only that
		ended <- lines
		close(ended)
	}()
	stop = func() error {
		err := cmd.Process.Kill()
		if errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		<-ended
		return err
	}
	t.Cleanup(func() { _ = stop() })
	select {
	case <-started:
	case lines := <-ended:
		t.Fatalf("%s ended:\n%s", binary, strings.Join(lines, "\n"))
	}
	return stop
}

// FreeAddress is a loopback address that was free a moment ago.
func FreeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
