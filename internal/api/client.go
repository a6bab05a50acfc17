package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"

	"connectrpc.com/connect"

	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/api/frostfed/v1/frostfedv1connect"
	"frostfed/policy"
)

// Exit codes of the command line.
const (
	ExitOK       = 0
	ExitError    = 1
	ExitUsage    = 2
	ExitNotReady = 3
	ExitRefused  = 4
	ExitHalted   = 5 // the daemon stopped for safety: a person must act before it starts again
)

// Dial returns a client of the daemon that listens on a unix socket. It connects
// with each call, so there is nothing to close, and a daemon that is not running
// shows as the error of the first call.
func Dial(socketPath string) frostfedv1connect.MemberServiceClient {
	var dialer net.Dialer
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socketPath)
		},
	}
	return frostfedv1connect.NewMemberServiceClient(&http.Client{Transport: transport}, "http://frostfed")
}

// ExitCode is the exit code for what a call returned.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if refusal(err) != nil {
		return ExitRefused
	}
	if notRunning(err) {
		return ExitNotReady
	}
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument:
		return ExitUsage
	case connect.CodeUnavailable:
		return ExitNotReady
	}
	return ExitError
}

// Hint is what a person can do about an error of a call, or "" if the error says
// all there is to say.
func Hint(err error) string {
	switch {
	case err == nil:
		return ""
	case notRunning(err):
		return "the daemon is not running; start it with 'frostfed run'"
	case errors.Is(err, syscall.EACCES):
		return "run this as the user who runs the daemon"
	}
	if r := refusal(err); r != nil {
		if (policy.Verdict{Rule: policy.Rule(r.Rule)}).Transient() {
			return "this may pass by itself; try again later"
		}
		return "this member's own rules refuse it; see [policy] in its configuration"
	}
	if hint := detail[*v1.Hint](err); hint != nil {
		return (*hint).Text
	}
	return ""
}

// notRunning says that nobody listens on the socket.
func notRunning(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && (errors.Is(op, syscall.ENOENT) || errors.Is(op, syscall.ECONNREFUSED))
}

func refusal(err error) *v1.Refusal {
	if r := detail[*v1.Refusal](err); r != nil {
		return *r
	}
	return nil
}

// detail returns the first detail of type M, or nil.
func detail[M any](err error) *M {
	var e *connect.Error
	if !errors.As(err, &e) {
		return nil
	}
	for _, d := range e.Details() {
		value, err := d.Value()
		if err != nil {
			continue
		}
		if m, ok := value.(M); ok {
			return &m
		}
	}
	return nil
}
