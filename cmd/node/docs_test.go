package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md instead of comparing it")

const reference = "../../docs/cli.md"

// TestReference compares docs/cli.md with the commands.
func TestReference(t *testing.T) {
	want := renderReference()
	if *update {
		if err := os.WriteFile(reference, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/cli.md is not what the commands say; run: go test ./cmd/node -run TestReference -update")
	}
}

func renderReference() []byte {
	var b bytes.Buffer
	b.WriteString(`# Commands

Generated from the program by ` + "`go test ./cmd/node -run TestReference -update`" + `; do not edit.

| exit code | meaning |
|---|---|
| 0 | ok |
| 1 | error |
| 2 | wrong usage: the command line is not understood |
| 3 | not ready: no daemon, no charter, no key, no chain, or not in time; try again later |
| 4 | refused by this member's policy |
| 5 | halted: the daemon stopped for safety; a person must act before it starts again |

Results go to standard output, errors and hints to standard error. With ` + "`--json`" + ` a
command prints one object, or one per event. Objects named "of the API" are those of
` + "`internal/api/frostfed/v1/frostfed.proto`" + `, as its server answers them in JSON: names in
lowerCamelCase, amounts in satoshi, 64-bit numbers as strings, zeros and empty lists
spelled out. Fields are added, and never renamed or removed.
`)
	root := (&app{env: func(string) string { return "" }}).root()
	walk(root, func(c *cobra.Command) { describe(&b, c) })
	b.WriteString(`
## frostfed completion

Completion for bash, zsh, fish and PowerShell: ` + "`source <(frostfed completion bash)`" + `.
`)
	return b.Bytes()
}

func describe(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintln(b, text)
	if !c.HasSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.UseLine())
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(c.Example))
	}
	flags := c.LocalFlags()
	if !c.HasParent() {
		flags = c.PersistentFlags()
	}
	head := "\n| flag | meaning |\n|---|---|\n"
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || c.HasParent() && c.InheritedFlags().Lookup(f.Name) != nil {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		meaning, usage := pflag.UnquoteUsage(f)
		fallback := ""
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "-1" {
			fallback = " (default " + f.DefValue + ")"
		}
		if meaning != "" && f.NoOptDefVal == "" {
			name += " " + meaning
		}
		fmt.Fprintf(b, "%s| `%s` | %s%s |\n", head, name, usage, fallback)
		head = ""
	})
}

// unindent takes away the two spaces that help texts begin lines with.
func unindent(s string) string {
	return string(bytes.TrimPrefix(bytes.ReplaceAll([]byte(s), []byte("\n  "), []byte("\n")), []byte("  ")))
}
