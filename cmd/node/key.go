package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"frostfed/crypto/rfc9591"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/protocols/frost/dkg"
)

func (a *app) keyCmd() *cobra.Command {
	return group("key", "Generate and list keys", a.keyNewCmd(), a.keyListCmd(), a.keyShowCmd())
}

func (a *app) keyNewCmd() *cobra.Command {
	var wait bool
	var timeout time.Duration
	var label, suite string
	cmd := &cobra.Command{
		Use:   "new (LABEL | --label LABEL)",
		Short: "Generate a key together with the other members",
		Long: `Propose to generate a key with the threshold of the charter. All members take part
and must be online until it is active; a member that restarts goes on where it was.

A key is for Bitcoin, unless --suite names a ciphersuite of RFC 9591: ed25519,
ristretto255, p256 or secp256k1. Such a key signs messages ('frostfed sign
--message-file') and has neither addresses nor coins.

JSON: NewKeyResponse of the API; with --wait Key.`,
		Example: "  frostfed key new pool --wait\n  frostfed key new --suite ed25519 --label releases --wait",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (label == "") == (len(args) == 0) {
				return usage(fmt.Errorf("%d arguments, want LABEL or --label LABEL", len(args)), "frostfed key new --help")
			}
			req := &v1.NewKeyRequest{Label: strings.Join(append(args, label), ""), Suite: suite}
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
	cmd.Flags().StringVar(&label, "label", "", "label of the key, in the place of the argument")
	cmd.Flags().StringVar(&suite, "suite", "bitcoin", "bitcoin, ed25519, ristretto255, p256 or secp256k1")
	// The flag exists and has no completion yet, so this cannot fail.
	_ = cmd.RegisterFlagCompletionFunc("suite", cobra.FixedCompletions(suiteNames(), cobra.ShellCompDirectiveNoFileComp))
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
						coins(k, amount(k.Balance)), coins(k, amount(k.Pending)), coins(k, count(k.Issued)), k.Suite, k.PublicKey, memberNames(k.Waiting)})
				}
				table(w, "LABEL ID SIGN STATE BALANCE PROMISED ADDRESSES SUITE PUBLIC-KEY WAITING", rows)
			})
		},
	}
}

// coins is for what only Bitcoin keys have.
func coins(k *v1.Key, value string) string {
	if k.Suite != federation.SuiteName(dkg.Bitcoin) {
		return "-"
	}
	return value
}

func suiteNames() []string {
	names := []string{federation.SuiteName(dkg.Bitcoin)}
	for _, s := range rfc9591.Suites() {
		names = append(names, s.String())
	}
	return names
}

func (a *app) keyShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show KEY",
		Short: "Show one key",
		Long: `Show one key, named by its label or the first digits of its ID: its public key, of a
Bitcoin key with the descriptor, of an ed25519 key also as PEM (SubjectPublicKeyInfo),
which openssl and others read.

JSON: Key of the API.`,
		Example: "  frostfed key show releases",
		Args:    exactly("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, client.ListKeys, &v1.ListKeysRequest{})
			if err != nil {
				return err
			}
			var found *v1.Key
			for _, k := range res.Keys {
				if k.Label != args[0] && (len(args[0]) < 4 || !strings.HasPrefix(k.Id, strings.ToLower(args[0]))) {
					continue
				}
				if found != nil && (found.Active || !k.Active) {
					continue // of two attempts at one key the active one
				}
				found = k
			}
			if found == nil {
				return hinted(fmt.Errorf("no key %q", args[0]), "'frostfed key list' shows the keys")
			}
			return a.show(found, func(w io.Writer) { printKey(w, found) })
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
		{"label", k.Label}, {"suite", k.Suite}, {"id", k.Id}, {"sign", fmt.Sprintf("%d of %d", k.T, k.N)}, {"state", keyState(k)},
		{"public key", k.PublicKey}, {"descriptor", k.Descriptor_}, {"verification", k.Verification}, {"members that hold their share", count(k.Acks)},
	})
	if k.Suite == rfc9591.Ed25519.String() {
		fmt.Fprint(w, ed25519PEM(k.PublicKey))
	}
}

// ed25519PEM is a public key in hex as PEM, "" if there is none yet.
func ed25519PEM(public string) string {
	raw, err := hex.DecodeString(public)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
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
