package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"connectrpc.com/connect"

	"frostfed/bitcoin"
	"frostfed/internal/api"
	"frostfed/internal/demo"
	"frostfed/internal/node"
	"frostfed/internal/store"
)

// failure is an error with an exit code and a hint of its own.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

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
	case errors.Is(err, store.ErrLocked):
		return api.ExitError, err.Error(), "one daemon runs on a data folder: 'frostfed status' asks it, 'frostfed stop' ends it"
	case errors.Is(err, node.ErrNoCharter):
		code = api.ExitNotReady
	case errors.Is(err, demo.ErrOptions):
		code = api.ExitUsage
	default:
		code = api.ExitError
	}
	text, hint = splitHint(err.Error())
	return code, text, hint
}

// explainCall does so for what the daemon answered, or that it did not.
func (a *app) explainCall(err *connect.Error) (code int, text, hint string) {
	code, hint = api.ExitCode(err), api.Hint(err)
	if dir, bad := a.dir(); bad == nil && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)) {
		return code, fmt.Sprintf("no daemon runs on %s", dir), fmt.Sprintf("start it with 'frostfed run --dir %s'", dir)
	}
	if hint == "" {
		text, hint = splitHint(err.Message())
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
