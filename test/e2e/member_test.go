package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	v1 "frostfed/internal/api/frostfed/v1"
)

// Exit codes, as a user of the program knows them.
const (
	exitOK       = 0
	exitError    = 1
	exitNotReady = 3
	exitRefused  = 4
	exitHalted   = 5
)

// member is a member of the federation: its data folder, and its process.
type member struct {
	t       *testing.T
	name    string
	dir     string
	phrase  string // passphrase file
	listen  string // host and port
	process *process
}

// output is what a command left behind.
type output struct {
	code           int
	stdout, stderr string
}

// run executes a command of frostfed on the member's data folder.
func (m *member) run(ctx context.Context, args ...string) output {
	m.t.Helper()
	program, err := frostfed()
	if err != nil {
		m.t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	// No terminal, and nothing from the environment of who runs the test.
	cmd.Env = []string{"FROSTFED_DIR=" + m.dir, "FROSTFED_PASSPHRASE_FILE=" + m.phrase}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("run frostfed: %v", err)
	}
	return output{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok executes a command that must succeed and decodes its JSON. Unknown fields of
// a message of the API are errors.
func (m *member) ok(into any, args ...string) {
	m.t.Helper()
	if err := m.try(m.t.Context(), into, args...); err != nil {
		m.t.Fatalf("%s: %v", m.name, err)
	}
}

// try is ok for commands that may fail.
func (m *member) try(ctx context.Context, into any, args ...string) error {
	m.t.Helper()
	out := m.run(ctx, append(args, "--json")...)
	if out.code != exitOK {
		return fmt.Errorf("frostfed %s: exit code %d: %s", strings.Join(args, " "), out.code, out.stderr)
	}
	var err error
	if message, ok := into.(proto.Message); ok {
		err = protojson.Unmarshal([]byte(out.stdout), message)
	} else {
		err = json.Unmarshal([]byte(out.stdout), into)
	}
	if err != nil {
		return fmt.Errorf("frostfed %s: %w in %s", strings.Join(args, " "), err, out.stdout)
	}
	return nil
}

// fails executes a command that must fail with code, print nothing as a result,
// and say why. It returns what was said.
func (m *member) fails(code int, args ...string) string {
	m.t.Helper()
	out := m.run(m.t.Context(), args...)
	if out.code != code || out.stdout != "" || !strings.Contains(out.stderr, "frostfed: error: ") {
		m.t.Errorf("frostfed %s: exit code %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), out.code, code, out.stdout, out.stderr)
	}
	return out.stderr
}

// init makes the member's data folder and returns its card.
func (m *member) init(node *btcd) string {
	m.t.Helper()
	if err := os.WriteFile(m.phrase, []byte("the passphrase of "+m.name+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	host, port, _ := strings.Cut(m.listen, ":")
	var made struct{ Name, Network string }
	m.ok(&made, "init", "--name", m.name, "--network", "regtest", "--work-factor", "10",
		"--listen", "/ip4/"+host+"/tcp/"+port, "--chain-url", "http://"+node.addr,
		"--chain-user", rpcUser, "--chain-password-file", node.passwordFile)
	if made.Name != m.name || made.Network != "regtest" {
		m.t.Errorf("init: %+v", made)
	}
	var card struct{ Card string }
	m.ok(&card, "card")
	return card.Card
}

// start runs the daemon.
func (m *member) start() {
	m.t.Helper()
	m.process = startProcess(m.t, filepath.Join(m.dir, "log"), m.command()...)
}

// command is the command line of the daemon.
func (m *member) command() []string {
	m.t.Helper()
	program, err := frostfed()
	if err != nil {
		m.t.Fatal(err)
	}
	return []string{program, "run", "--dir", m.dir, "--passphrase-file", m.phrase}
}

// halts waits until the daemon has ended by itself, with the exit code that keeps a
// supervisor from starting it again, and returns what it printed.
func (m *member) halts() string {
	m.t.Helper()
	select {
	case <-m.process.done:
	case <-time.After(patience):
		m.t.Fatalf("%s goes on:\n%s", m.name, tail(m.process.log, 15))
	}
	if code := m.process.cmd.ProcessState.ExitCode(); code != exitHalted {
		m.t.Errorf("%s ended with exit code %d", m.name, code)
	}
	m.process = nil
	text, err := os.ReadFile(filepath.Join(m.dir, "log"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// kill ends it without a chance to write anything.
func (m *member) kill() {
	m.t.Helper()
	m.process.kill(m.t)
	m.process = nil
}

// status polls until the member's status is as wanted.
func (m *member) await(what string, holds func(*v1.GetStatusResponse) bool) {
	m.t.Helper()
	eventually(m.t, m.name+": "+what, func(ctx context.Context) error {
		if !m.process.running() {
			m.t.Fatalf("%s has ended:\n%s", m.name, tail(m.process.log, 15))
		}
		var s v1.GetStatusResponse
		if err := m.try(ctx, &s, "status"); err != nil {
			return err
		}
		if holds(&s) {
			return nil
		}
		return fmt.Errorf("status is %v", &s)
	})
}

// file writes a file into the member's data folder and returns its path.
func (m *member) file(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// peerID is the member's identity on the network.
func (m *member) peerID() string {
	m.t.Helper()
	var card struct{ PeerID string }
	m.ok(&card, "card")
	return card.PeerID
}
