package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) peersCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "peers",
		Short: "Show the members: who is connected, and why one is not",
		Long: `Show the members: who is connected, how, and why one is not. Versions and heights
are what the others say of themselves; nonces is how many signatures can be asked
of a member without another round.

JSON: ListMembersResponse of the API.`,
		Example: "  frostfed peers\n  frostfed peers --json | jq '.members[] | select(.up | not) | .member.name'",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListMembers, &v1.ListMembersRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) { printMembers(w, res) })
		},
	}
}

func printMembers(w io.Writer, res *v1.ListMembersResponse) {
	var rows [][]string
	for _, m := range res.Members {
		rtt := ""
		if m.RttMs > 0 {
			rtt = fmt.Sprintf("%.1fms", m.RttMs)
		}
		rows = append(rows, []string{count(m.Member.GetIndex()), memberName(m.Member), linkState(m), m.Address, rtt,
			when(m.LastSeen), m.Version, count(m.ChainHeight), nonces(m), m.LastError})
	}
	table(w, "INDEX NAME LINK ADDRESS RTT SEEN VERSION HEIGHT NONCES TROUBLE", rows)
	rows = nil
	for _, s := range res.Seeds {
		rows = append(rows, []string{s.PeerId, yesNo(s.Connected), s.LastError})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, "SEED CONNECTED TROUBLE", rows)
	}
}

// nonces is the count, marked if it has been low for some seconds.
func nonces(m *v1.MemberStatus) string {
	if m.NoncesLow {
		return count(m.Nonces) + " low"
	}
	return count(m.Nonces)
}

// linkState is the most important thing about the way to a member.
func linkState(m *v1.MemberStatus) string {
	switch {
	case m.Self:
		return "self"
	case m.Cloned:
		return "cloned" // two processes use one identity: nothing else matters
	case m.Stalled:
		return "stalled"
	case m.Up && m.Direct:
		return "direct"
	case m.Up:
		return "relayed"
	case m.Connected:
		return "connecting"
	}
	return "away"
}

func (a *app) faultsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "faults",
		Short: "Count what members did wrong since the daemon started",
		Long: `Count the messages of members that no correct member sends, since the daemon
started. One is a reason to talk to the operator of that member.

JSON: ListFaultsResponse of the API.`,
		Example: "  frostfed faults",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListFaults, &v1.ListFaultsRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				var rows [][]string
				for _, f := range res.Faults {
					rows = append(rows, []string{memberName(f.Member), f.Kind, count(f.Count)})
				}
				table(w, "MEMBER KIND COUNT", rows)
			})
		},
	}
}
