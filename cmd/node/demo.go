package main

import (
	"context"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"frostfed/internal/demo"
	"frostfed/internal/node"
	"frostfed/protocols/membership"
)

func (a *app) demoCmd() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job from end to end on this machine",
		Long: `Found a federation of several members in one process, connect them over loopback,
generate a key, mine coinbase rewards to it on a regtest chain of its own, refuse a
tampered payout, pay twenty miners, pay again with one member down, and bring it
back. The exit code is 0 only if the blocks hold the payouts.

With --byzantine 1 a member vouches for wrong partial signatures and deals a bad
share: it is convicted of both, payouts go on, a second key is made without it, and
files of evidence are written that 'frostfed evidence verify' understands.

With --keep the members go on running, and every other command works on the data
folder of each. --dir names an empty or new folder (default a temporary one, which
stays).

JSON: one object per line; the last has the field result.`,
		Example: `  frostfed demo
  frostfed demo --byzantine 1
  frostfed demo --nodes 7 --threshold 5 --keep --dir ./demo
  frostfed --dir ./demo/alice status          # in another terminal`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Dir = a.folder // not of the environment: that one holds a member
			o.Version = buildVersion().Version
			o.Report = demo.Text(a.out, isTerminal(a.out))
			if a.json {
				o.Report = demo.JSON(a.out)
			}
			return runDemo(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.Nodes, "nodes", 5, "number of members")
	cmd.Flags().IntVar(&o.Threshold, "threshold", 0, "members needed to sign (default more than two thirds)")
	cmd.Flags().IntVar(&o.Byzantine, "byzantine", 0, "number of members that lie")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "go on running until interrupted")
	return cmd
}

// runDemo serves the API of every member beside the demo, and ends the demo if
// one cannot be served.
func runDemo(ctx context.Context, o demo.Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	o.Serve = func(ctx context.Context, n *node.Node, dir node.Dir, _ *membership.Charter) error {
		ctx, end := context.WithCancel(ctx)
		member, ctx := errgroup.WithContext(ctx)
		serve(ctx, member, services{node: n, dir: dir, stop: stop})
		member.Go(func() error { // a member that the demo takes down takes its API along
			defer end()
			return n.Daemon.Wait()
		})
		group.Go(func() error {
			err := member.Wait()
			if err != nil {
				stop()
			}
			return err
		})
		return nil
	}
	_, err := demo.Run(ctx, o)
	stop()
	if served := group.Wait(); served != nil { // then this is why the demo was interrupted
		return served
	}
	return err
}
