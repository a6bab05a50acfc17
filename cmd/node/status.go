package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"frostfed/internal/api"
	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) statusCmd() *cobra.Command {
	var check bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the running member, and whether it can sign now",
		Long: `Show the running member, and whether it can sign now. With --check the exit code is
3 if it cannot; the reasons are shown either way.

JSON: GetStatusResponse of the API.`,
		Example: `  frostfed status
  frostfed status --wait 30s                 # after starting the daemon
  frostfed status --check --wait 5m && frostfed pay payouts.csv --key pool`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := a.status(cmd.Context(), wait, check)
			if err != nil {
				return err
			}
			if err := a.show(status, func(w io.Writer) { printStatus(w, status) }); err != nil {
				return err
			}
			if check && !status.Ready {
				first := status.Unready[0]
				return notReady(fmt.Errorf("the member cannot sign now: %s", first.Reason), "%s", first.Action)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit with code 3 unless the member can sign now")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the daemon to answer, and with --check to be able to sign")
	return cmd
}

// statusPeriod is how often a waiting status asks again.
const statusPeriod = 100 * time.Millisecond

// status asks until the daemon answers, and with ready until it can sign, or
// until the time is over.
func (a *app) status(ctx context.Context, wait time.Duration, ready bool) (*v1.GetStatusResponse, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	again := time.NewTicker(statusPeriod)
	defer again.Stop()
	for {
		status, err := call(ctx, a, client.GetStatus, &v1.GetStatusRequest{})
		var answer *connect.Error
		if errors.As(err, &answer) && api.ExitCode(err) != api.ExitNotReady || err == nil && (status.Ready || !ready) {
			return status, err
		}
		select {
		case <-again.C:
		case <-over.C:
			return status, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func printStatus(w io.Writer, s *v1.GetStatusResponse) {
	tip, chain := "none yet", "ready"
	if s.Tip != nil {
		tip = fmt.Sprintf("%d %s", s.Tip.Height, s.Tip.Hash)
	}
	if !s.ChainReady {
		chain = "not ready: " + s.ChainReason
	}
	fields(w, [][2]string{
		{"member", fmt.Sprintf("%s (%d) on %s", memberName(s.Self), s.Self.GetIndex(), s.Network)},
		{"peer", s.Self.GetPeerId()},
		{"federation", s.FederationName + " " + s.FederationId},
		{"members", fmt.Sprintf("%d of %d connected, %d sign", s.Connected, s.N, s.T)},
		{"chain", chain},
		{"tip", tip},
		{"keys", count(s.ActiveKeys)},
		{"open requests", count(s.OpenRequests)},
		{"listen", strings.Join(s.ListenAddrs, " ")},
		{"version", s.Version},
		{"running for", (time.Duration(s.UptimeSeconds) * time.Second).String()},
		{"can sign", yesNo(s.Ready)},
	})
	for _, u := range s.Unready {
		fmt.Fprintf(w, "  %s: %s\n    %s\n", clean(u.Check), clean(u.Reason), clean(u.Action))
	}
}

func (a *app) stopCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop the daemon in good order",
		Long:    "Stop the daemon in good order, as a SIGTERM does.\n\nJSON: an empty object.",
		Example: "  frostfed stop",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.Stop, &v1.StopRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) { fmt.Fprintln(w, "the daemon is stopping") })
		},
	}
}
