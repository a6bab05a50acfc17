package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"connectrpc.com/connect"

	"frostfed/bitcoin"
	"frostfed/internal/api"
	"frostfed/internal/daemon"
	"frostfed/internal/demo"
	"frostfed/internal/node"
	"frostfed/internal/store"
	"frostfed/protocols/membership"
)

// failure is an error with an exit code and a hint of its own.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage is an error of the command line. Without a hint it points to the help.
func usage(err error, hint string, args ...any) error {
	return &failure{api.ExitUsage, err, fmt.Sprintf(hint, args...)}
}

func notReady(err error, hint string, args ...any) error {
	return &failure{api.ExitNotReady, err, fmt.Sprintf(hint, args...)}
}

func hinted(err error, hint string, args ...any) error {
	return &failure{api.ExitError, err, fmt.Sprintf(hint, args...)}
}

// report prints an error and its hint, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return api.ExitOK
	}
	code, text, hint := a.explain(err)
	if hint == "" && code == api.ExitUsage {
		hint = fmt.Sprintf("run '%s --help'", a.command)
	}
	fmt.Fprintf(a.err, "frostfed: error: %s\n", clean(text))
	if hint != "" {
		fmt.Fprintf(a.err, "frostfed: hint: %s\n", clean(hint))
	}
	return code
}

// explain finds the exit code of an error, its text and its hint.
func (a *app) explain(err error) (code int, text, hint string) {
	var f *failure
	var list *bitcoin.ListError
	var call *connect.Error
	switch {
	case errors.As(err, &f):
		return f.code, err.Error(), f.hint
	case errors.As(err, &call):
		return a.explainCall(call)
	case errors.As(err, &list):
		return api.ExitError, strings.TrimSuffix(err.Error(), ": "+list.Hint), list.Hint
	case errors.Is(err, context.Canceled):
		return api.ExitError, "interrupted", ""
	case errors.Is(err, node.ErrNoCharter):
		code = api.ExitNotReady
	case errors.Is(err, daemon.ErrCloned), errors.Is(err, daemon.ErrDisk), errors.Is(err, store.ErrCorrupt):
		code = api.ExitHalted
	case errors.Is(err, demo.ErrOptions):
		code = api.ExitUsage
	default:
		code = api.ExitError
	}
	text, hint = splitHint(err.Error())
	for _, h := range hints {
		if hint == "" && errors.Is(err, h.err) {
			hint = h.hint
		}
	}
	return code, text, hint
}

// hints say what to do about errors that do not say it themselves.
var hints = []struct {
	err  error
	hint string
}{
	{store.ErrLocked, "one daemon runs on a data folder: 'frostfed status' asks it, 'frostfed stop' ends it"},
	{store.ErrCorrupt, "the disk lies: replace it, and see Restore in docs/operations.md"},
	{daemon.ErrDisk, "look after the disk before you start again: see Disk in docs/operations.md"},
	{node.ErrNoCharter, "'frostfed charter adopt FILE' takes the charter that the members agreed on"},
	{node.ErrConfig, "'frostfed config default' shows every key with a comment; 'frostfed config check' checks the file"},
	{membership.ErrCharter, "mend the file, or make it again with 'frostfed charter new'"},
	{membership.ErrCard, "'frostfed init --help' tells what a member needs"},
	{fs.ErrNotExist, "check the path"},
	{fs.ErrPermission, "run this as the user who owns the file"},
}

// explainCall does so for what the daemon answered, or that it did not.
func (a *app) explainCall(err *connect.Error) (code int, text, hint string) {
	code, hint = api.ExitCode(err), api.Hint(err)
	if dir, bad := a.dir(); bad == nil && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)) {
		return code, fmt.Sprintf("no daemon runs on %s", dir), fmt.Sprintf("start it with 'frostfed run --dir %s'", dir)
	}
	if hint == "" {
		text, hint = splitHint(err.Message())
		if hint == "" && err.Code() == connect.CodeFailedPrecondition {
			hint = "'frostfed coins' shows what can be spent, 'frostfed requests' what is promised"
		}
		return code, text, hint
	}
	if code == api.ExitUsage { // the hint is about a file, not about the command line
		code = api.ExitError
	}
	return code, strings.TrimSuffix(err.Message(), ": "+hint), hint
}

// splitHint takes an error apart as all packages write theirs: what is wrong,
// a semicolon, what to do.
func splitHint(text string) (wrong, hint string) {
	if i := strings.LastIndex(text, "; "); i >= 0 {
		return text[:i], text[i+2:]
	}
	return text, ""
}
