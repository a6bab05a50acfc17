package main

import (
	"fmt"
	"io"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"frostfed/internal/node"
)

func (a *app) configCmd() *cobra.Command {
	return group("config", "Show and check the configuration", a.configShowCmd(), a.configCheckCmd(), a.configDefaultCmd())
}

func (a *app) loadConfig() (node.Dir, node.Config, error) {
	dir, err := a.dir()
	if err != nil {
		return "", node.Config{}, err
	}
	cfg, err := node.LoadConfig(string(dir))
	return dir, cfg, err
}

// showConfig prints the file form, or the same keys as JSON.
func (a *app) showConfig(cfg node.Config) error {
	text, err := cfg.Text()
	if err != nil {
		return err
	}
	var keys map[string]any
	if err := toml.Unmarshal(text, &keys); err != nil {
		return fmt.Errorf("read own configuration: %w", err)
	}
	return a.show(keys, func(w io.Writer) { w.Write(text) })
}

func (a *app) configShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print the configuration in force, defaults included",
		Long:    "Print the configuration in force, with the defaults of what the file leaves out.\n\nJSON: the keys of the file.",
		Example: "  frostfed config show\n  frostfed config show --json | jq .policy",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			return a.showConfig(cfg)
		},
	}
}

func (a *app) configCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration file, and that it fits the charter",
		Long: `Check every key and value of the configuration file, and that the network is that
of the charter if there is one. The Bitcoin node is not asked; 'frostfed status'
of a running member tells of it.

JSON: file, ok.`,
		Example: "  frostfed config check && systemctl restart frostfed",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			dir, cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if charter, err := dir.Charter(); err == nil && charter.Network != cfg.Network {
				return hinted(fmt.Errorf("%w: %s: network is %q, the charter is for %q", node.ErrConfig, dir.ConfigPath(), cfg.Network, charter.Network),
					"set network = %q", charter.Network)
			}
			result := struct {
				File string `json:"file"`
				OK   bool   `json:"ok"`
			}{dir.ConfigPath(), true}
			return a.show(result, func(w io.Writer) { fmt.Fprintf(w, "%s is in order\n", dir.ConfigPath()) })
		},
	}
}

func (a *app) configDefaultCmd() *cobra.Command {
	var name, network string
	cmd := &cobra.Command{
		Use:     "default",
		Short:   "Print the configuration that init writes",
		Long:    "Print the configuration that init writes, with a comment for every key.\n\nJSON: the keys of the file.",
		Example: "  frostfed config default --network signet",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			cfg := node.DefaultConfig(name, network)
			if err := cfg.Validate(); err != nil {
				return usage(err, "give --network, e.g. --network regtest")
			}
			return a.showConfig(cfg)
		},
	}
	cmd.Flags().StringVar(&name, "name", "alice", "name of the member")
	cmd.Flags().StringVar(&network, "network", "mainnet", "Bitcoin network: mainnet, testnet4, signet or regtest")
	completeNetwork(cmd)
	return cmd
}
