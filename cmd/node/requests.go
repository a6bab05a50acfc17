package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) requestsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "requests",
		Short: "List what was asked to be signed",
		Long: `List what was asked to be signed, in the order in which this member learned of it.
Leaving is what this member agreed to let go, fee included.

JSON: ListRequestsResponse of the API.`,
		Example: "  frostfed requests\n  frostfed requests --json | jq -r '.requests[] | select(.state == \"REQUEST_STATE_REFUSED\") | .id'",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListRequests, &v1.ListRequestsRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				var rows [][]string
				for _, r := range res.Requests {
					leaving := ""
					if r.Leaving != 0 {
						leaving = amount(r.Leaving)
					}
					rows = append(rows, []string{short(r.Id), requestKind(r.Kind), requestState(r.State), r.KeyLabel, memberName(r.Proposer), tally(r), leaving, r.Txid})
				}
				table(w, "REQUEST KIND STATE KEY PROPOSER ALLOWED LEAVING TXID", rows)
			})
		},
	}
}

// tally is how many of the members whose word is known allow a request.
func tally(r *v1.Request) string {
	allowed := 0
	for _, v := range r.Verdicts {
		if v.Verdict.GetAllow() {
			allowed++
		}
	}
	return fmt.Sprintf("%d of %d", allowed, len(r.Verdicts))
}

func (a *app) requestCmd() *cobra.Command {
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "request ID",
		Short: "Show one request: verdicts, signatures, transaction",
		Long: `Show one request, named by the first digits of its ID: what every member said of it,
its signatures, and the signed transaction.

JSON: Request of the API.`,
		Example: "  frostfed request 5e884898\n  frostfed request 5e884898 --wait=confirmed --timeout 1h",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wait.check(); err != nil {
				return err
			}
			if wait.until != "" {
				return a.wait(cmd.Context(), wait, args[0])
			}
			res, err := call(cmd.Context(), a, client.GetRequest, &v1.GetRequestRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return a.showRequest(res.Request)
		},
	}
	wait.add(cmd)
	return cmd
}

func (a *app) showRequest(r *v1.Request) error {
	return a.show(r, func(w io.Writer) { printRequest(w, r) })
}

func printRequest(w io.Writer, r *v1.Request) {
	rows := [][2]string{
		{"request", r.Id}, {"kind", requestKind(r.Kind)}, {"state", requestState(r.State)}, {"proposer", memberName(r.Proposer)},
		{"key", r.KeyLabel}, {"txid", r.Txid}, {"payout list", r.ListId}, {"message", readable(r.Message)}, {"message hash", r.MessageHash},
	}
	if r.Leaving != 0 {
		rows = append(rows, [2]string{"leaving", amount(r.Leaving)})
	}
	if r.Height != 0 {
		rows = append(rows, [2]string{"block", fmt.Sprintf("%d, %d confirmations", r.Height, r.Confirmations)})
	}
	for i, s := range r.Signatures {
		rows = append(rows, [2]string{fmt.Sprintf("signature %d", i), s})
	}
	rows = append(rows, [2]string{"transaction", r.Transaction})
	fields(w, rows)
	var verdicts [][]string
	for _, v := range r.Verdicts {
		verdicts = append(verdicts, []string{memberName(v.Member), v.Verdict.GetRule(), v.Verdict.GetReason()})
	}
	if len(verdicts) > 0 {
		fmt.Fprintln(w)
		table(w, "MEMBER VERDICT REASON", verdicts)
	}
}

// readable shows a message as text if it is, else as hex.
func readable(message []byte) string {
	if utf8.Valid(message) {
		return strings.TrimSpace(string(message))
	}
	return fmt.Sprintf("%x", message)
}
