package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is far more than any step takes, also on a loaded machine.
	patience = 60 * time.Second
	// look is how often a condition is looked at again.
	look = 100 * time.Millisecond
)

// scratch holds the data of all tests; it stays if one fails.
var scratch string

func TestMain(m *testing.M) {
	code := 1
	defer func() { os.Exit(code) }()
	var err error
	if scratch, err = os.MkdirTemp("", "frostfed-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	if code = m.Run(); code == 0 {
		os.RemoveAll(scratch)
	} else {
		fmt.Fprintln(os.Stderr, "data folders and logs are kept in", scratch)
	}
}

// frostfed builds the program once. The files of the build are read here, so that the
// cache of go test knows that this test depends on them.
var frostfed = sync.OnceValues(func() (string, error) {
	files, err := exec.Command("go", "list", "-deps", "-f",
		"{{if .Module}}{{if .Module.Main}}{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}{{end}}{{end}}", "frostfed/cmd/node").Output()
	if err != nil {
		return "", fmt.Errorf("list the files of frostfed: %w", explain(err))
	}
	for _, file := range strings.Fields(string(files)) {
		if _, err := os.ReadFile(file); err != nil {
			return "", err
		}
	}
	path := filepath.Join(scratch, "frostfed")
	if out, err := exec.Command("go", "build", "-o", path, "frostfed/cmd/node").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build frostfed: %w\n%s", err, out)
	}
	return path, nil
})

// process is a program that runs until it is killed or the test ends.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// startProcess runs a program that appends what it prints to the file log.
func startProcess(t *testing.T, log string, command ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &process{cmd: exec.Command(command[0], command[1:]...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", filepath.Base(command[0]), err)
	}
	go func() {
		p.cmd.Wait() // how it ended is looked up in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill(t)
		if t.Failed() {
			t.Logf("end of %s:\n%s", log, tail(log, 15))
		}
	})
	return p
}

// kill ends the process as a power cut would (SIGKILL), if it still runs.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill: %v", err)
	}
	<-p.done
}

// terminate asks the process to end (SIGTERM) and returns its exit code.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	// A member that was told to stop may be gone already.
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("terminate: %v", err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("the process does not end after SIGTERM")
	}
	return p.cmd.ProcessState.ExitCode()
}

// running says whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// eventually looks at a condition until it holds.
func eventually(t *testing.T, what string, holds func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(look)
	defer again.Stop()
	var err error
	for {
		if next := holds(ctx); next == nil {
			return
		} else if ctx.Err() == nil {
			err = next // not one that says only that the time is over
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited %v in vain: %s: %v", patience, what, err)
		}
	}
}

// free ports are taken below the range from which systems choose ports for
// outgoing connections, so that a port stays free while its owner is down.
const firstPort, lastPort = 21000, 31000

var (
	portMu   sync.Mutex
	nextPort = firstPort + os.Getpid()%(lastPort-firstPort)
)

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	portMu.Lock()
	defer portMu.Unlock()
	for range lastPort - firstPort {
		if nextPort++; nextPort >= lastPort {
			nextPort = firstPort
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", nextPort))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

func tail(file string, lines int) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}
