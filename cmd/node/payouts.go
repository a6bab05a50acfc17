package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"frostfed/bitcoin"
	v1 "frostfed/internal/api/frostfed/v1"
)

const listFormat = `A payout list is CSV with the header address,sats or address,btc, and a column label
if you like; a row reference,TEXT before the header tells two equal lists apart. Or
JSON: {"reference": "week 47", "payouts": [{"address": "bc1...", "sats": 1000}]}.`

func (a *app) payoutsCmd() *cobra.Command {
	return group("payouts", "Check, add and list payout lists", a.payoutsCheckCmd(), a.payoutsAddCmd(), a.payoutsListCmd())
}

// checkResult is the JSON of payouts check.
type checkResult struct {
	ID        string `json:"id"`
	Network   string `json:"network"`
	Reference string `json:"reference"`
	Payees    int    `json:"payees"`
	Total     int64  `json:"total"` // satoshi, without fees
}

func (a *app) payoutsCheckCmd() *cobra.Command {
	var network string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a payout list without a daemon",
		Long: `Check a payout list and print its ID and total; nothing else happens, and no daemon
is needed.

` + listFormat + `

JSON: id, network, reference, payees, total.`,
		Example: "  frostfed payouts check payouts.csv --network regtest",
		Args:    exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if network == "" {
				var err error
				if network, err = a.configuredNetwork(); err != nil {
					return err
				}
			}
			chain, err := bitcoin.ParseNetwork(network)
			if err != nil {
				return usage(err, "give --network, e.g. --network regtest")
			}
			text, err := a.readFile(args[0], bitcoin.MaxListFile)
			if err != nil {
				return err
			}
			list, err := bitcoin.ParseList(chain, args[0], text)
			if err != nil {
				return err
			}
			result := checkResult{list.ID().String(), network, list.Reference, len(list.Payees), int64(list.Total())}
			return a.show(result, func(w io.Writer) {
				fields(w, [][2]string{{"list", result.ID}, {"network", network}, {"reference", list.Reference},
					{"payees", count(len(list.Payees))}, {"total", amount(result.Total)}})
			})
		},
	}
	cmd.Flags().StringVar(&network, "network", "", "Bitcoin network (default that of the data folder)")
	completeNetwork(cmd)
	return cmd
}

// payoutFile reads a list for the daemon, which parses it.
func (a *app) payoutFile(name string) (*v1.PayoutFile, error) {
	text, err := a.readFile(name, bitcoin.MaxListFile)
	return &v1.PayoutFile{Name: name, Content: text}, err
}

func (a *app) payoutsAddCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "add FILE",
		Short: "Give this member its own copy of a payout list",
		Long: `Give this member its own copy of a payout list, which is its consent to pay it: a
member signs the payout of a list only if it holds the same list. Adding a list
twice does nothing.

` + listFormat + `

JSON: AddPayoutListResponse of the API.`,
		Example: "  frostfed payouts add payouts.csv",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := a.payoutFile(args[0])
			if err != nil {
				return err
			}
			res, err := call(cmd.Context(), a, client.AddPayoutList, &v1.AddPayoutListRequest{File: file})
			if err != nil {
				return err
			}
			l := res.List
			return a.show(res, func(w io.Writer) {
				fields(w, [][2]string{{"list", l.Id}, {"reference", l.Reference}, {"payees", count(l.Payees)}, {"total", amount(l.Total)}})
			})
		},
	}
}

func (a *app) payoutsListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the payout lists that this member holds",
		Long:    "List the payout lists that this member holds, and how far their payment is.\n\nJSON: ListPayoutListsResponse of the API.",
		Example: "  frostfed payouts list",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListPayoutLists, &v1.ListPayoutListsRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				var rows [][]string
				for _, l := range res.Lists {
					rows = append(rows, []string{short(l.Id), count(l.Payees), amount(l.Total), requestState(l.State), l.Reference})
				}
				table(w, "LIST PAYEES TOTAL STATE REFERENCE", rows)
			})
		},
	}
}

// setList names the list of a payout: a file if there is one of that name, else
// the beginning of an ID.
func (a *app) setList(req *v1.PayRequest, arg string) error {
	_, err := os.Stat(arg)
	switch {
	case err == nil || arg == "-":
		file, err := a.payoutFile(arg)
		req.List = &v1.PayRequest_File{File: file}
		return err
	case len(arg) >= 4 && len(arg) <= 64 && strings.Trim(strings.ToLower(arg), "0123456789abcdef") == "":
		req.List = &v1.PayRequest_ListId{ListId: arg}
		return nil
	}
	return hinted(fmt.Errorf("%s is neither a file nor the ID of a payout list", arg), "'frostfed payouts list' shows the lists of this member")
}

func (a *app) payCmd() *cobra.Command {
	var req v1.PayRequest
	var psbt string
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "pay FILE|LIST-ID --key KEY",
		Short: "Propose to pay a payout list",
		Long: `Propose the transaction that pays a list, named by its file (which is added first)
or by the first digits of its ID. Every member builds the same transaction from its
own copy of the list and its own view of the chain, and refuses another one. Exit
code 4 means that this member's own policy refuses it.

A dry run shows the transaction and changes nothing; the list must be known.

JSON: PayResponse of the API; with --wait Request.`,
		Example: `  frostfed pay payouts.csv --key pool --dry-run
  frostfed pay payouts.csv --key pool --fee-rate 12.5 --wait=confirmed --timeout 1h
  frostfed pay 3fa4c1d2 --key pool --json`,
		Args: exactly("FILE or LIST-ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.Key == "" {
				return usage(errors.New("--key is needed"), "'frostfed key list' shows the keys")
			}
			if err := wait.check(); err != nil {
				return err
			}
			if req.FeeRate < 0 {
				return usage(errors.New("a fee rate is positive"), "leave --fee-rate out, or give sat/vB")
			}
			if err := a.setList(&req, args[0]); err != nil {
				return err
			}
			if psbt != "" {
				var err error
				if req.Transaction, err = a.readFile(psbt, maxPSBTFile); err != nil {
					return err
				}
			}
			res, err := call(cmd.Context(), a, client.Pay, &req)
			if err != nil {
				return err
			}
			if wait.until != "" && res.RequestId != "" {
				return a.wait(cmd.Context(), wait, res.RequestId)
			}
			return a.show(res, func(w io.Writer) { printPayment(w, res) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Key, "key", "", "label or ID of the key to pay from")
	f.Float64Var(&req.FeeRate, "fee-rate", 0, "sat/vB (default 2)")
	f.BoolVar(&req.DryRun, "dry-run", false, "show the transaction, and change nothing")
	f.StringVar(&psbt, "psbt", "", "file with a PSBT or unsigned transaction to propose instead of the own")
	f.BoolVar(&req.Force, "force", false, "propose what the own policy refuses; the others decide for themselves")
	wait.add(cmd)
	return cmd
}

// maxPSBTFile is a PSBT in base64, its largest form.
const maxPSBTFile = bitcoin.MaxPSBT*4/3 + 1024

func printPayment(w io.Writer, res *v1.PayResponse) {
	rows := [][2]string{{"request", res.RequestId}, {"txid", res.Txid}}
	if p := res.Plan; p != nil {
		rows = append(rows, [2]string{"to payees", amount(p.Total)},
			[2]string{"fee", fmt.Sprintf("%s, %d vB", amount(p.Fee), p.Vbytes)},
			[2]string{"change", amount(p.Change)}, [2]string{"inputs", count(p.Inputs)})
	}
	fields(w, rows)
	if res.RequestId == "" {
		fmt.Fprintln(w, "dry run: nothing was proposed")
		return
	}
	fmt.Fprintf(w, "next: frostfed request %s --wait\n", short(res.RequestId))
}
