package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"frostfed": main})
}

// TestScripts runs testdata/*.txt: real processes, their output and exit codes.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("FROSTFED_PASSPHRASE_FILE", env.WorkDir+"/pass")
			return errors.Join(os.WriteFile(env.WorkDir+"/pass", []byte("correct horse battery\n"), 0o600),
				os.CopyFS(env.WorkDir+"/evidence", os.DirFS("../../evidence/testdata")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails":  fails,
			"checks": checks,
			"swap":   swap,
			"until":  until,
		},
	})
}

// fails CODE COMMAND... wants this very exit code, nothing on standard output, and
// an error with a hint on standard error.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("an error left output: %q", out)
	}
	text := ts.ReadFile("stderr")
	if !strings.Contains(text, "frostfed: error: ") || !strings.Contains(text, "\nfrostfed: hint: ") {
		ts.Fatalf("no error with a hint: %q", text)
	}
}

// checks SUITE KEY SIGNATURE MESSAGE verifies a signature with verify-signature,
// and an ed25519 one with crypto/ed25519; a changed message must fail.
func checks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: checks SUITE KEY SIGNATURE MESSAGE")
	}
	ts.Check(ts.Exec("frostfed", "key", "show", args[1], "--json"))
	var key struct{ PublicKey string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &key))
	verify := []string{"verify-signature", "--suite", args[0], "--public-key", key.PublicKey, "--signature-file", args[2], "--message-file"}
	ts.Check(ts.Exec("frostfed", append(verify, args[3])...))
	other := ts.MkAbs("other.txt")
	ts.Check(os.WriteFile(other, append([]byte(ts.ReadFile(args[3])), '!'), 0o600))
	fails(ts, false, append(append([]string{"1", "frostfed"}, verify...), other))
	if args[0] == "ed25519" {
		public, err := hex.DecodeString(key.PublicKey)
		ts.Check(err)
		sig, err := hex.DecodeString(strings.TrimSpace(ts.ReadFile(args[2])))
		ts.Check(err)
		if !ed25519.Verify(public, []byte("frostfed/v1/message\n"+ts.ReadFile(args[3])), sig) {
			ts.Fatalf("crypto/ed25519 refuses the signature")
		}
	}
}

// swap FILE OLD NEW replaces the only occurrence of OLD.
func swap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: swap FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, args[1]); n != 1 {
		ts.Fatalf("%q occurs %d times in %s", args[1], n, args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

// until PATTERN COMMAND... repeats the command until its output matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	pattern := regexp.MustCompile(args[0])
	over := time.After(30 * time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if err := ts.Exec(args[1], args[2:]...); err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-again.C:
		case <-over:
			ts.Fatalf("no %q in the output of %q", args[0], args[1:])
		}
	}
}

// walk visits every command that a user can see.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			walk(sub, visit)
		}
	}
}

// TestHelp wants every command explained, with an example of itself.
func TestHelp(t *testing.T) {
	a := &app{env: os.Getenv}
	walk(a.root(), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short description %q", c.CommandPath(), c.Short)
		}
		if c.HasSubCommands() {
			return
		}
		if c.Long == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: a description and an example are missing", c.CommandPath())
		}
		for _, line := range strings.Split(c.Long+"\n"+c.Example, "\n") {
			if len(line) > 120 {
				t.Errorf("%s: line of %d characters: %s", c.CommandPath(), len(line), line)
			}
		}
	})
}

// TestExamples parses every example, so that none shows a flag that is gone.
func TestExamples(t *testing.T) {
	a := &app{env: os.Getenv}
	walk(a.root(), func(c *cobra.Command) {
		text := strings.ReplaceAll(c.Example, "\\\n", " ")
		for _, line := range strings.Split(text, "\n") {
			line, _, _ = strings.Cut(line, "  #")
			_, command, found := strings.Cut(line, "frostfed ")
			if !found {
				continue
			}
			command, _, _ = strings.Cut(command, " | ")
			command, _, _ = strings.Cut(command, " && ")
			var words []string
			for _, w := range strings.Fields(command) {
				if w == ">" || strings.HasPrefix(w, "3<") {
					break
				}
				words = append(words, w)
			}
			fresh := (&app{env: os.Getenv}).root()
			target, rest, err := fresh.Find(words)
			if err == nil {
				err = target.ParseFlags(rest)
			}
			if err == nil && target.HasSubCommands() {
				err = os.ErrNotExist
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// TestClean feeds what a peer might choose as a name or reason.
func TestClean(t *testing.T) {
	hostile := "\x1b[2Jpwned\x07\r\n\u009b31m\u202egnp.exe\x00"
	var out bytes.Buffer
	table(&out, "NAME", [][]string{{hostile}})
	fields(&out, [][2]string{{"name", hostile}})
	a := &app{out: &out, json: true}
	if err := a.show(map[string]string{"name": hostile + "\U000e0001"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && r != '\ufffd' && (r < ' ' || r > '~') {
			t.Errorf("%q reaches the terminal in %q", r, out.String())
		}
	}
	if !strings.Contains(out.String(), `\u009b31m\u202egnp.exe\u0000\udb40\udc01`) {
		t.Errorf("JSON lost characters: %s", out.String())
	}
}

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		sat  int64
		want string
	}{
		{0, "0 sat"}, {546, "546 sat"}, {999_999, "999999 sat"}, {1_000_000, "0.01000000 BTC"},
		{2_100_000_000_000_000, "21000000.00000000 BTC"}, {-1, "-1 sat"}, {-150_000_000, "-1.50000000 BTC"},
	} {
		if got := amount(c.sat); got != c.want {
			t.Errorf("amount(%d) = %q, want %q", c.sat, got, c.want)
		}
	}
}
