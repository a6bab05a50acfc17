package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"frostfed/internal/node"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

// maxCardFile bounds a file of cards: 128 of at most 1.8 kB, and comments.
const maxCardFile = 512 << 10

// charterResult is the JSON of a charter.
type charterResult struct {
	FederationID string       `json:"federationId"`
	Name         string       `json:"name"`
	Network      string       `json:"network"`
	T            int          `json:"t"`
	N            int          `json:"n"`
	Members      []cardResult `json:"members"` // in order of index
	File         string       `json:"file,omitempty"`
	Charter      string       `json:"charter,omitempty"` // its text, of 'charter new' without a file
}

func describeCharter(c *membership.Charter) charterResult {
	r := charterResult{FederationID: c.ID().String(), Name: c.Name, Network: c.Network, T: c.Threshold, N: c.N()}
	for i, card := range c.Cards {
		m := describeCard(card)
		m.Index = &i
		r.Members = append(r.Members, m)
	}
	return r
}

func printCharter(w io.Writer, r charterResult) {
	fields(w, [][2]string{
		{"federation", r.Name + " on " + r.Network}, {"id", r.FederationID},
		{"threshold", fmt.Sprintf("%d of %d members sign", r.T, r.N)}, {"file", r.File},
	})
	fmt.Fprintln(w)
	var rows [][]string
	for _, m := range r.Members {
		rows = append(rows, []string{count(*m.Index), m.Name, m.PeerID, strings.Join(m.Addresses, " ")})
	}
	table(w, "INDEX NAME PEER ADDRESSES", rows)
}

func (a *app) charterCmd() *cobra.Command {
	return group("charter", "Make, read and adopt the charter of a federation",
		a.charterNewCmd(), a.charterShowCmd(), a.charterAdoptCmd())
}

func (a *app) charterNewCmd() *cobra.Command {
	var name, network, output string
	var threshold int
	cmd := &cobra.Command{
		Use:   "new --name NAME [FILE|CARD]...",
		Short: "Make a charter from the cards of all members",
		Long: `Make a charter from the cards of all members, given as arguments or in files with
one card per line (blank lines and lines beginning with # are skipped, - is
standard input). The order of the cards does not matter. Every member then adopts
the same file; comparing the federation ID compares all of it.

JSON: federationId, name, network, t, n, members, and file or charter.`,
		Example: `  frostfed charter new --name pool --network regtest -o charter.toml alice.card bob.card carol.card
  cat *.card | frostfed charter new --name pool --network regtest --threshold 2 - > charter.toml`,
		RunE: func(_ *cobra.Command, args []string) error {
			if name == "" || len(args) == 0 {
				return usage(errors.New("a charter needs --name and the cards of its members"),
					"frostfed charter new --name pool -o charter.toml alice.card bob.card")
			}
			if network == "" {
				var err error
				if network, err = a.configuredNetwork(); err != nil {
					return err
				}
			}
			cards, err := a.readCards(args)
			if err != nil {
				return err
			}
			charter, err := membership.NewCharter(name, network, threshold, cards)
			if err != nil {
				return err
			}
			return a.saveCharter(charter, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name of the federation")
	f.StringVar(&network, "network", "", "Bitcoin network (default that of the data folder)")
	f.IntVar(&threshold, "threshold", 0, "members needed to sign (default more than two thirds)")
	f.StringVarP(&output, "output", "o", "", "file to write; it must not exist (default standard output)")
	completeNetwork(cmd)
	return cmd
}

func (a *app) saveCharter(charter *membership.Charter, output string) error {
	text, err := charter.Text()
	if err != nil {
		return err
	}
	result := describeCharter(charter)
	if output == "" {
		result.Charter = string(text)
		fmt.Fprintf(a.err, "federation ID %s\n", result.FederationID)
		return a.show(result, func(w io.Writer) { w.Write(text) })
	}
	if err := writeNew(output, text); err != nil {
		return err
	}
	result.File = output
	return a.show(result, func(w io.Writer) {
		printCharter(w, result)
		fmt.Fprintf(w, "\nnext: every member compares the ID and runs 'frostfed charter adopt %s'\n", clean(output))
	})
}

func (a *app) charterShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show a charter, or the one this member adopted",
		Long: `Check every signature of a charter and show it, or the one that this member
adopted.

JSON: federationId, name, network, t, n, members.`,
		Example: `  frostfed charter show charter.toml
  frostfed charter show --json | jq -r .federationId`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("FILE")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			charter, err := a.charter(args)
			if err != nil {
				return err
			}
			result := describeCharter(charter)
			return a.show(result, func(w io.Writer) { printCharter(w, result) })
		},
	}
}

// charter reads the charter that is named, or the adopted one.
func (a *app) charter(args []string) (*membership.Charter, error) {
	if len(args) == 0 {
		dir, err := a.dir()
		if err != nil {
			return nil, err
		}
		return dir.Charter()
	}
	text, err := a.readFile(args[0], maxCardFile)
	if err != nil {
		return nil, err
	}
	charter, err := membership.ParseCharter(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	return charter, nil
}

func (a *app) charterAdoptCmd() *cobra.Command {
	var phrase phraseFlags
	cmd := &cobra.Command{
		Use:   "adopt FILE",
		Short: "Make this member a member of the charter's federation, for good",
		Long: `Make this member a member of the charter's federation, for good: one data folder
serves one federation. Compare the federation ID with the other members before.
The passphrase is needed to see whether the charter holds this member's card.

JSON: federationId, name, network, t, n, members, file.`,
		Example: `  frostfed charter adopt charter.toml`,
		Args:    exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			charter, err := a.charter(args)
			if err != nil {
				return err
			}
			dir, err := a.dir()
			if err != nil {
				return err
			}
			cfg, err := node.LoadConfig(string(dir))
			if err != nil {
				return err
			}
			if cfg.Network != charter.Network {
				return hinted(fmt.Errorf("the charter is for %s, and this member is configured for %s", charter.Network, cfg.Network),
					"make a member for %s: frostfed init --dir NEW --name %s --network %s", charter.Network, cfg.Name, charter.Network)
			}
			keys, err := a.keys(dir, phrase)
			if err != nil {
				return err
			}
			if charter.Index(selfID(keys.Identity)) < 0 {
				return hinted(fmt.Errorf("%w: %s", node.ErrStranger, args[0]), "give your card ('frostfed card') to who makes the charter")
			}
			if err := dir.Adopt(charter); err != nil {
				return err
			}
			result := describeCharter(charter)
			result.File = args[0]
			return a.show(result, func(w io.Writer) {
				printCharter(w, result)
				fmt.Fprintln(w, "\nnext: frostfed run")
			})
		},
	}
	phrase.add(cmd)
	return cmd
}

func selfID(identity ed25519.PrivateKey) protocols.NodeID {
	return membership.NodeIDOf([32]byte(identity.Public().(ed25519.PublicKey)))
}

// configuredNetwork is the network of the data folder.
func (a *app) configuredNetwork() (string, error) {
	dir, err := a.dir()
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(dir.ConfigPath()); errors.Is(err, fs.ErrNotExist) {
		return "", usage(fmt.Errorf("no network: there is no member in %s to take it from", dir), "give --network, e.g. --network regtest")
	}
	cfg, err := node.LoadConfig(string(dir))
	return cfg.Network, err
}

// readCards reads cards, and files of cards.
func (a *app) readCards(args []string) ([]*membership.Card, error) {
	var cards []*membership.Card
	add := func(where, line string) error {
		card, err := membership.ParseCard(line)
		if err != nil {
			return hinted(fmt.Errorf("%s: %w", where, err), "ask the member to run 'frostfed card' again, and copy the whole line")
		}
		if len(cards) == protocols.MaxMembers {
			return fmt.Errorf("%s: more than %d cards; a federation has at most as many members", where, protocols.MaxMembers)
		}
		cards = append(cards, card)
		return nil
	}
	for i, arg := range args {
		if strings.HasPrefix(arg, "frostcard") {
			if err := add(fmt.Sprintf("argument %d", i+1), arg); err != nil {
				return nil, err
			}
			continue
		}
		text, err := a.readFile(arg, maxCardFile)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, maxCardFile+1)
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimSpace(lines.Text())
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := add(fmt.Sprintf("%s:%d", arg, n), line); err != nil {
				return nil, err
			}
		}
	}
	return cards, nil
}
