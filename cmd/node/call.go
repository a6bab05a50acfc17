package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"frostfed/internal/api"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/api/frostfed/v1/frostfedv1connect"
)

type client = frostfedv1connect.MemberServiceClient

func (a *app) client() (client, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	return api.Dial(dir.Socket()), nil
}

// call asks the daemon of the data folder.
func call[Req, Res any](ctx context.Context, a *app, method func(client, context.Context, *connect.Request[Req]) (*connect.Response[Res], error), req *Req) (*Res, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	res, err := method(c, ctx, connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// waitFlags let a command wait for what it asked for.
type waitFlags struct {
	until   string
	timeout time.Duration
}

const untilSigned, untilConfirmed = "signed", "confirmed"

func (w *waitFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.until, "wait", "", "wait until the request is signed, or with --wait=confirmed until a block holds it")
	cmd.Flags().Lookup("wait").NoOptDefVal = untilSigned
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "how long to wait, at most 1h")
}

// check finds mistakes before anything is proposed.
func (w *waitFlags) check() error {
	if !slices.Contains([]string{"", untilSigned, untilConfirmed}, w.until) {
		return usage(fmt.Errorf("--wait=%s is unknown", w.until), "use --wait, --wait=signed or --wait=confirmed")
	}
	if w.timeout < time.Second || w.timeout > time.Hour {
		return usage(fmt.Errorf("--timeout %v is not within 1s and 1h", w.timeout), "use e.g. --timeout 5m")
	}
	return nil
}

// wait waits for a request and shows it. The error says that it did not come as
// far as was asked for.
func (a *app) wait(ctx context.Context, w waitFlags, id string) error {
	until := v1.RequestState_REQUEST_STATE_SIGNED
	if w.until == untilConfirmed {
		until = v1.RequestState_REQUEST_STATE_CONFIRMED
	}
	res, err := call(ctx, a, client.WaitRequest, &v1.WaitRequestRequest{Id: id, Until: until, TimeoutSeconds: uint32(w.timeout / time.Second)})
	if connect.CodeOf(err) == connect.CodeNotFound && len(id) == 64 {
		return notReady(fmt.Errorf("request %s has not reached enough members after %v", short(id), w.timeout),
			"frostfed peers shows who is away; the request is sent again when they are back")
	}
	if err != nil {
		return err
	}
	if err := a.showRequest(res.Request); err != nil || res.Reached {
		return err
	}
	state := requestState(res.Request.State)
	switch res.Request.State {
	case v1.RequestState_REQUEST_STATE_REPLACED, v1.RequestState_REQUEST_STATE_EXPIRED:
		return hinted(fmt.Errorf("request %s is %s", short(id), state), "make a new request")
	case v1.RequestState_REQUEST_STATE_REFUSED:
		return &failure{api.ExitRefused, fmt.Errorf("request %s is refused by this member and not %s by others after %v", short(id), w.until, w.timeout),
			fmt.Sprintf("frostfed request %s shows every member's reason", short(id))}
	}
	return notReady(fmt.Errorf("request %s is %s after %v, not %s", short(id), state, w.timeout, w.until),
		"frostfed request %s --wait=%s waits on; frostfed peers shows who is away", short(id), w.until)
}

// lower turns the name of an enum value into a word.
func lower(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func requestState(s v1.RequestState) string {
	if s == v1.RequestState_REQUEST_STATE_UNSPECIFIED {
		return ""
	}
	return lower(s.String(), "REQUEST_STATE_")
}

func requestKind(k v1.RequestKind) string { return lower(k.String(), "REQUEST_KIND_") }

func memberName(m *v1.Member) string {
	if m.GetName() == "" {
		return m.GetPeerId()
	}
	return m.Name
}

func memberNames(ms []*v1.Member) string {
	var names []string
	for _, m := range ms {
		names = append(names, memberName(m))
	}
	return strings.Join(names, " ")
}
