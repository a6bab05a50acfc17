package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"frostfed/internal/node"
	"frostfed/protocols/membership"
)

// cardResult is the JSON of a member card. Keys are lowercase hex.
type cardResult struct {
	Card       string   `json:"card,omitempty"` // the line to give away
	Index      *int     `json:"index,omitempty"`
	Name       string   `json:"name"`
	PeerID     string   `json:"peerId"`
	HostKey    string   `json:"hostKey"`    // 33 bytes
	OverlayKey string   `json:"overlayKey"` // 32 bytes
	BondKey    string   `json:"bondKey"`    // 32 bytes
	Issued     string   `json:"issued"`     // RFC 3339
	Addresses  []string `json:"addresses"`
}

func describeCard(c *membership.Card) cardResult {
	return cardResult{Name: c.Name, PeerID: peer.ID(c.NodeID()).String(), HostKey: hex.EncodeToString(c.Host[:]),
		OverlayKey: hex.EncodeToString(c.Overlay[:]), BondKey: hex.EncodeToString(c.Bond[:]),
		Issued: time.Unix(int64(c.Issued), 0).UTC().Format(time.RFC3339), Addresses: append([]string{}, c.Addrs...)}
}

func (a *app) cardCmd() *cobra.Command {
	var phrase phraseFlags
	cmd := &cobra.Command{
		Use:   "card",
		Short: "Print this member's card, to give to the other members",
		Long: `Print this member's card: one line that binds its name, keys and addresses,
signed by the keys. It holds no secret; send it over a channel on which the others
know that it comes from you. Addresses are those of the configuration that others
can dial, so set listen or announce before.

JSON: card, name, peerId, hostKey, overlayKey, bondKey, issued, addresses.`,
		Example: `  frostfed card > alice.card
  frostfed card --json --passphrase-fd 3 3<alice.pass`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			cfg, err := node.LoadConfig(string(dir))
			if err != nil {
				return err
			}
			keys, err := a.keys(dir, phrase)
			if err != nil {
				return err
			}
			card, err := node.Card(keys, cfg, time.Now())
			if err != nil {
				return err
			}
			result := describeCard(card)
			result.Card = card.String()
			if len(card.Addrs) == 0 {
				fmt.Fprintf(a.err, "frostfed: note: the card names no address, so the others need a seed to find this member; set announce in %s\n", dir.ConfigPath())
			}
			return a.show(result, func(w io.Writer) { fmt.Fprintln(w, card) })
		},
	}
	phrase.add(cmd)
	return cmd
}
