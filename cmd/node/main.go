// Command frostfed is a member of a federation: the daemon, and the commands that
// found a federation, ask a running daemon, and show it all at work (demo).
//
// Rules of its interface: results go to standard output, everything else to
// standard error; an error is followed by what to do about it; exit codes are
// stable; --json prints one object per command, or one per event; secrets are
// read from files, descriptors or the terminal, never from arguments or the
// environment; text that peers chose is stripped of control characters.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"frostfed/internal/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{env: env, in: stdin, out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	a.command = cmd.CommandPath()
	if f := (*failure)(nil); err != nil && !a.begun && !errors.As(err, &f) {
		// What fails before the command begins is a matter of the command line.
		err = usage(err, "")
	}
	return a.report(err)
}

// app is one execution of the program.
type app struct {
	env      func(string) string
	in       io.Reader
	out, err io.Writer

	// Global flags.
	folder string
	json   bool

	command string // as it was understood
	begun   bool   // it came as far as its own code
}

// Groups of commands in the help.
const (
	groupFound = "found"
	groupRun   = "run"
	groupSign  = "sign"
	groupMore  = "more"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "frostfed",
		Short: "Hold a Bitcoin key together with others, and sign with t of n",
		Long: `frostfed is one member of a federation that holds Bitcoin keys together: any t of
its n members sign, fewer learn nothing. Each member runs its own daemon on its
own data folder and signs only what its own chain view and policy allow.

Exit codes: 0 ok, 1 error, 2 wrong usage, 3 not ready, 4 refused by policy.`,
		Example: `  frostfed demo                         # see all of it on this machine, in seconds

  frostfed init --name alice --network regtest
  frostfed card                         # give the line to the others
  frostfed charter new --name pool -o charter.toml cards.txt
  frostfed charter adopt charter.toml
  frostfed run`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	flags.StringVar(&a.folder, "dir", "", "data folder of the member (default $FROSTFED_DIR or ~/.frostfed)")
	flags.BoolVar(&a.json, "json", false, "print JSON: one object, or one per event")
	root.AddGroup(
		&cobra.Group{ID: groupFound, Title: "Found a federation:"},
		&cobra.Group{ID: groupRun, Title: "Run a member:"},
		&cobra.Group{ID: groupSign, Title: "Keys, payouts and signatures (of a running member):"},
		&cobra.Group{ID: groupMore, Title: "More:"},
	)
	root.SetHelpCommandGroupID(groupMore)
	root.SetCompletionCommandGroupID(groupMore)
	for _, g := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupFound, []*cobra.Command{a.initCmd(), a.cardCmd(), a.charterCmd()}},
		{groupRun, []*cobra.Command{a.runCmd(), a.statusCmd(), a.peersCmd(), a.faultsCmd(), a.evidenceCmd(), a.eventsCmd(), a.stopCmd(), a.configCmd()}},
		{groupSign, []*cobra.Command{a.keyCmd(), a.addressCmd(), a.coinsCmd(), a.payoutsCmd(), a.payCmd(), a.signCmd(), a.verifySignatureCmd(), a.requestsCmd(), a.requestCmd()}},
		{groupMore, []*cobra.Command{a.demoCmd(), a.versionCmd()}},
	} {
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	onlyCommands(root)
	a.watch(root)
	return root
}

// watch notes when any command begins.
func (a *app) watch(c *cobra.Command) {
	work := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		a.begun = true
		return work(cmd, args)
	}
	for _, sub := range c.Commands() {
		a.watch(sub)
	}
}

// group is a command that only has commands below it.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.AddCommand(commands...)
	onlyCommands(c)
	return c
}

// onlyCommands makes a misspelled or missing command an error: cobra would print
// the help and succeed, which a script does not notice.
func onlyCommands(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage(fmt.Errorf("%s needs a command", cmd.CommandPath()), "")
		}
		unknown := fmt.Errorf("unknown command %q", args[0])
		if cmd.SuggestionsMinimumDistance <= 0 {
			cmd.SuggestionsMinimumDistance = 2
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usage(unknown, "did you mean '%s %s'?", cmd.CommandPath(), near[0])
		}
		return usage(unknown, "")
	}
}

// exactly wants as many arguments as there are names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := strings.Join(names, " ")
		if want == "" {
			want = "no arguments"
		}
		return fmt.Errorf("%d arguments, want %s", len(args), want)
	}
}

// dir is the data folder. It is absolute, so that hints work from anywhere.
func (a *app) dir() (node.Dir, error) {
	folder := a.folder
	if folder == "" {
		folder = a.env("FROSTFED_DIR")
	}
	if folder == "" {
		home := a.env("HOME")
		if home == "" {
			return "", usage(errors.New("no data folder: HOME is not set"), "give --dir or set FROSTFED_DIR")
		}
		folder = filepath.Join(home, ".frostfed")
	}
	abs, err := filepath.Abs(folder)
	return node.Dir(abs), err
}
