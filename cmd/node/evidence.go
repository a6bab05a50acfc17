package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"frostfed/evidence"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/protocols/membership"
)

func (a *app) evidenceCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Show, export and verify what proves that members lied",
	}
	list := a.evidenceListCmd()
	cmd.AddCommand(list, a.evidenceExportCmd(), a.evidenceVerifyCmd())
	onlyCommands(cmd)
	only := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error { // without a command: list
		if len(args) > 0 {
			return only(c, args)
		}
		return list.RunE(c, args)
	}
	return cmd
}

func (a *app) evidenceListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the proofs against members, and what is suspicion only",
		Long: `List the proofs that this member holds against members, and what it suspects them
of. A proof convinces anybody: export it. It is kept for good, and all members give
it the same ID. Suspicion rests on what this member alone has seen, and is counted
since the daemon started; what proves nothing to others convicts nobody.

JSON: ListEvidenceResponse of the API.`,
		Example: "  frostfed evidence list\n  frostfed evidence list --json | jq -r '.evidence[].id'",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, client.ListEvidence, &v1.ListEvidenceRequest{})
			if err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) { printEvidence(w, res) })
		},
	}
}

func printEvidence(w io.Writer, res *v1.ListEvidenceResponse) {
	var rows [][]string
	for _, e := range res.Evidence {
		found := "told"
		if e.Own {
			found = "found"
		}
		rows = append(rows, []string{short(e.Id), memberName(e.Culprit), e.Kind, "proof", found, count(e.Height), e.Place})
	}
	for _, f := range res.Suspicions {
		rows = append(rows, []string{"", memberName(f.Member), f.Kind, "suspicion", count(f.Count) + "x", "", ""})
	}
	table(w, "ID MEMBER KIND WHAT SEEN HEIGHT WHERE", rows)
}

func (a *app) evidenceExportCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Write a proof to a file that convinces strangers",
		Long: `Write a proof, named by its ID or the beginning of it, as a file that anybody can
verify offline. It holds the charter and what the culprit signed, and no secret.

JSON: ExportEvidenceResponse of the API; with --out also written to the file.`,
		Example: "  frostfed evidence export 4f1c2ab8 --out bob.evidence\n  frostfed evidence export 4f1c2ab8 | frostfed evidence verify -",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, client.ExportEvidence, &v1.ExportEvidenceRequest{Id: args[0]})
			if err != nil {
				return err
			}
			if out == "" {
				return a.show(res, func(w io.Writer) { w.Write(res.File) })
			}
			if err := writeNew(out, res.File); err != nil {
				return err
			}
			return a.show(res, func(w io.Writer) {
				fmt.Fprintf(w, "%s of %s is in %s\nnext: anybody can run 'frostfed evidence verify %s'\n",
					clean(res.Evidence.Kind), clean(memberName(res.Evidence.Culprit)), clean(out), clean(out))
			})
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write; it must not exist (default standard output)")
	return cmd
}

// evidenceResult is the JSON of verified evidence.
type evidenceResult struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind"`
	Culprit      cardResult `json:"culprit"`
	Place        string     `json:"place"`
	Words        string     `json:"words"`
	FederationID string     `json:"federationId"`
	Federation   string     `json:"federation"`
	Pinned       bool       `json:"pinned"` // the federation ID was compared with one that was given
}

func (a *app) evidenceVerifyCmd() *cobra.Command {
	var charter, federation string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a proof from scratch, without a daemon",
		Long: `Check a proof from scratch, without a daemon or a member: every signature, and
that no correct member signs this. The exit code is 0 only if the member is guilty.

Anybody can found a federation of invented members and convict one of them. So
compare the federation: --charter or --federation with what you know from elsewhere.

JSON: id, kind, culprit, place, words, federationId, federation, pinned.`,
		Example: "  frostfed evidence verify bob.evidence --charter charter.toml\n  frostfed evidence verify --json - < bob.evidence",
		Args:    exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			pin, err := a.federationPin(charter, federation)
			if err != nil {
				return err
			}
			file, err := a.readFile(args[0], evidence.MaxFile)
			if err != nil {
				return err
			}
			result, err := verifyEvidence(file, pin)
			switch {
			case errors.Is(err, errOtherFederation):
				return hinted(fmt.Errorf("%s: %w", args[0], err), "ask which federation it is about; it convicts nobody of yours")
			case err != nil:
				return hinted(fmt.Errorf("%s: %w", args[0], err), "ask for the file again; it convicts nobody as it is")
			}
			return a.show(result, func(w io.Writer) { printVerdict(w, result) })
		},
	}
	cmd.Flags().StringVar(&charter, "charter", "", "file with the charter of the federation it must be about")
	cmd.Flags().StringVar(&federation, "federation", "", "ID of the federation it must be about")
	return cmd
}

// federationPin is the ID that evidence must be about, "" for any.
func (a *app) federationPin(charter, federation string) (string, error) {
	if charter != "" {
		c, err := a.charter([]string{charter})
		if err != nil {
			return "", err
		}
		if federation != "" && !strings.EqualFold(federation, c.ID().String()) {
			return "", usage(errors.New("--charter and --federation name two federations"), "give one of them")
		}
		return c.ID().String(), nil
	}
	if raw, err := hex.DecodeString(federation); federation != "" && (err != nil || len(raw) != len(membership.FederationID{})) {
		return "", usage(fmt.Errorf("--federation %q is no federation ID", federation), "it has 64 hex digits; 'frostfed charter show' prints it")
	}
	return strings.ToLower(federation), nil
}

var errOtherFederation = errors.New("it is about another federation")

func verifyEvidence(file []byte, pin string) (evidenceResult, error) {
	e, err := evidence.Parse(file)
	if err != nil {
		return evidenceResult{}, err
	}
	if id := e.Charter.ID().String(); pin != "" && id != pin {
		return evidenceResult{}, fmt.Errorf("%w, %s", errOtherFederation, id)
	}
	v, err := e.Verify()
	if err != nil {
		return evidenceResult{}, err
	}
	culprit := describeCard(e.Charter.Cards[v.Culprit])
	culprit.Index = &v.Culprit
	culprit.PeerID = peer.ID(v.Peer).String()
	return evidenceResult{ID: v.ID.String(), Kind: v.Kind, Culprit: culprit, Place: v.Place, Words: v.Words,
		FederationID: v.Federation.String(), Federation: e.Charter.Name, Pinned: pin != ""}, nil
}

func printVerdict(w io.Writer, r evidenceResult) {
	fmt.Fprintf(w, "guilty: %s %s\n\n", clean(r.Culprit.Name), clean(r.Words))
	fields(w, [][2]string{
		{"kind", r.Kind}, {"member", fmt.Sprintf("%s (%d)", r.Culprit.Name, *r.Culprit.Index)},
		{"peer", r.Culprit.PeerID}, {"host key", r.Culprit.HostKey}, {"where", r.Place}, {"evidence", r.ID},
		{"federation", r.Federation}, {"its ID", r.FederationID},
	})
	if !r.Pinned {
		fmt.Fprintln(w, "\nThe federation ID was not compared with one you know: anybody can found a federation\nof invented members. Use --charter or --federation.")
	}
}
