package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) keyCmd() *cobra.Command {
	return group("key", "Generate and list keys", a.keyNewCmd(), a.keyListCmd())
}

func (a *app) keyNewCmd() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "new LABEL",
		Short: "Generate a key together with the other members",
		Long: `Propose to generate a key with the threshold of the charter. All members take part
and must be online until it is active; a member that restarts goes on where it was.

JSON: NewKeyResponse of the API; with --wait Key.`,
		Example: "  frostfed key new pool --wait",
		Args:    exactly("LABEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &v1.NewKeyRequest{Label: args[0]}
			if wait {
				return a.generate(cmd.Context(), req, timeout)
			}
			res, err := call(cmd.Context(), a, client.NewKey, req)
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				fields(w, [][2]string{{"ceremony", res.Ceremony}})
				fmt.Fprintln(w, "next: 'frostfed key list' shows how far it is")
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the key is active")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait")
	return cmd
}

// generate proposes a key and follows the events until it is active.
func (a *app) generate(ctx context.Context, req *v1.NewKeyRequest, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := a.client()
	if err != nil {
		return err
	}
	events, err := c.StreamEvents(ctx, connect.NewRequest(&v1.StreamEventsRequest{}))
	if err != nil {
		return err
	}
	defer events.Close()
	if !events.Receive() { // from the first event on nothing is missed
		return events.Err()
	}
	res, err := call(ctx, a, client.NewKey, req)
	if err != nil {
		return err
	}
	err = a.awaitKey(events, res.Ceremony, req.Label)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return notReady(fmt.Errorf("the key is not active after %v", timeout), "generation goes on; 'frostfed key list' shows for whom it waits")
	}
	if err != nil {
		return err
	}
	list, err := call(ctx, a, client.ListKeys, &v1.ListKeysRequest{})
	if err != nil {
		return err
	}
	for _, k := range list.Keys {
		if k.Label == req.Label {
			return a.show(k, func(w io.Writer) { printKey(w, k) })
		}
	}
	return fmt.Errorf("the daemon does not know the key %q any more", req.Label)
}

func (a *app) awaitKey(events *connect.ServerStreamForClient[v1.StreamEventsResponse], ceremony, label string) error {
	for last := ""; events.Receive(); {
		switch e := events.Msg().Event.(type) {
		case *v1.StreamEventsResponse_KeyProgress:
			if p := e.KeyProgress; p.Ceremony == ceremony && !a.json {
				line := p.Phase
				if p.Need > 0 {
					line += fmt.Sprintf(" %d of %d", p.Have, p.Need)
				}
				if len(p.Waiting) > 0 {
					line += ", waiting for " + memberNames(p.Waiting)
				}
				if line != last {
					fmt.Fprintln(a.err, clean(line))
					last = line
				}
			}
		case *v1.StreamEventsResponse_KeyFailed:
			if f := e.KeyFailed; f.Ceremony == ceremony {
				err := fmt.Errorf("key generation failed: %s", f.Reason)
				if len(f.Culprits) > 0 {
					return hinted(err, "talk to %s, then run 'frostfed key new' again", memberNames(f.Culprits))
				}
				return hinted(err, "'frostfed peers' shows whether all members are there; run 'frostfed key new' again")
			}
		case *v1.StreamEventsResponse_KeyReady:
			if e.KeyReady.Label == label {
				return nil
			}
		}
	}
	if err := events.Err(); err != nil {
		return err
	}
	return notReady(errors.New("the daemon stopped"), "frostfed run")
}

func (a *app) keyListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List keys, and keys in the making",
		Long: `List keys, and keys in the making with the members they wait for. The descriptor
watches all addresses of a key in other wallets.

JSON: ListKeysResponse of the API.`,
		Example: "  frostfed key list\n  frostfed key list --json | jq -r '.keys[].descriptor'",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListKeys, &v1.ListKeysRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				var rows [][]string
				for _, k := range res.Keys {
					rows = append(rows, []string{k.Label, short(k.Id), fmt.Sprintf("%d/%d", k.T, k.N), keyState(k),
						amount(k.Balance), amount(k.Pending), count(k.Issued), memberNames(k.Waiting)})
				}
				table(w, "LABEL ID SIGN STATE BALANCE PROMISED ADDRESSES WAITING", rows)
			})
		},
	}
}

func keyState(k *v1.Key) string {
	if k.Active {
		return "active"
	}
	return k.Phase
}

func printKey(w io.Writer, k *v1.Key) {
	fields(w, [][2]string{
		{"label", k.Label}, {"id", k.Id}, {"sign", fmt.Sprintf("%d of %d", k.T, k.N)}, {"state", keyState(k)},
		{"public key", k.PublicKey}, {"descriptor", k.Descriptor_}, {"verification", k.Verification}, {"members that hold their share", count(k.Acks)},
	})
}

func (a *app) addressCmd() *cobra.Command {
	return group("address", "Give out addresses", &cobra.Command{
		Use:   "new KEY",
		Short: "Give out the next unused address of a key",
		Long: `Give out the next unused address of a key, named by its label or the first digits
of its ID. Every member watches it.

JSON: NewAddressResponse of the API.`,
		Example: "  frostfed address new pool",
		Args:    exactly("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, client.NewAddress, &v1.NewAddressRequest{Key: args[0]})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) { fmt.Fprintln(w, clean(res.Address)) })
		},
	})
}

func (a *app) coinsCmd() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:     "coins",
		Short:   "List unspent coins in this member's view of the chain",
		Long:    "List unspent coins in this member's view of the chain. A coinbase can be spent after\n100 confirmations.\n\nJSON: ListCoinsResponse of the API.",
		Example: "  frostfed coins --key pool",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListCoins, &v1.ListCoinsRequest{Key: key})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				var rows [][]string
				for _, c := range res.Coins {
					kind := "payment"
					if c.Coinbase {
						kind = "coinbase"
					}
					rows = append(rows, []string{fmt.Sprintf("%s:%d", c.Txid, c.Output), amount(c.Amount), count(c.Confirmations), kind, c.KeyLabel, c.Address})
				}
				table(w, "COIN AMOUNT CONFIRMATIONS KIND KEY ADDRESS", rows)
			})
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "label or ID of a key (default all)")
	return cmd
}
