package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"frostfed/crypto/memberkey"
	"frostfed/internal/keystore"
	"frostfed/internal/node"
	"frostfed/protocols/membership"
)

// Bounds of --work-factor: below, a stolen seed file is soon guessed; above, no
// member starts within a minute.
const minWork, maxWork = keystore.WorkFast, 22

// initResult is the JSON of init.
type initResult struct {
	Dir     string `json:"dir"`
	Config  string `json:"config"` // path of the configuration file
	Name    string `json:"name"`
	Network string `json:"network"`
}

func (a *app) initCmd() *cobra.Command {
	var phrase phraseFlags
	var name, network, metrics string
	var listen, announce, seeds []string
	var chain node.ChainConfig
	var work int
	cmd := &cobra.Command{
		Use:   "init --name NAME --network NETWORK",
		Short: "Make the data folder of a new member",
		Long: `Make the data folder of a new member: a fresh seed, encrypted with a passphrase,
and a configuration file. Nothing that is already there is changed.

Back up keys/seed.age and the passphrase: every key of the member follows from
them. JSON: dir, config, name, network.`,
		Example: `  frostfed init --name alice --network signet
  frostfed init --name alice --network signet --chain-backend neutrino
  frostfed init --name alice --network regtest --dir ./alice --passphrase-file alice.pass \
      --listen /ip4/127.0.0.1/tcp/9470 --chain-url http://127.0.0.1:18443 --chain-cookie-file ~/.bitcoin/regtest/.cookie`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			if name == "" || network == "" {
				return usage(errors.New("--name and --network are needed"), "frostfed init --name alice --network regtest")
			}
			if work < minWork || work > maxWork {
				return usage(fmt.Errorf("--work-factor %d is not within %d and %d", work, minWork, maxWork), "leave it out")
			}
			cfg := node.DefaultConfig(name, network)
			cfg.Announce, cfg.Seeds, cfg.Metrics = append(cfg.Announce, announce...), append(cfg.Seeds, seeds...), metrics
			if len(listen) > 0 {
				cfg.Listen = listen
			}
			if chain.URL != "" {
				cfg.Chain.URL = chain.URL
			}
			if chain.Backend != "" {
				cfg.Chain.Backend = chain.Backend
			}
			cfg.Chain.Second, cfg.Chain.Peers = chain.Second, append(cfg.Chain.Peers, chain.Peers...)
			cfg.Chain.CookieFile, cfg.Chain.CertFile = chain.CookieFile, chain.CertFile
			cfg.Chain.User, cfg.Chain.PasswordFile = chain.User, chain.PasswordFile
			if err := checkMember(cfg); err != nil {
				return err
			}
			secret, err := a.passphrase(phrase, true)
			if err != nil {
				return err
			}
			defer clear(secret)
			if err := node.Init(dir, cfg, secret, work); err != nil {
				return err
			}
			return a.show(initResult{string(dir), dir.ConfigPath(), name, network}, func(w io.Writer) {
				fields(w, [][2]string{{"member", name + " on " + network}, {"folder", string(dir)}, {"configuration", dir.ConfigPath()}})
				fmt.Fprintln(w, "next: frostfed card, and give the line to the other members")
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name of the member, shown to the others")
	f.StringVar(&network, "network", "", "Bitcoin network: mainnet, testnet4, signet or regtest")
	f.StringArrayVar(&listen, "listen", nil, "multiaddr to listen on (repeatable; default /ip4/0.0.0.0/tcp/9470)")
	f.StringArrayVar(&announce, "announce", nil, "multiaddr to publish besides, e.g. of a forwarded port (repeatable)")
	f.StringArrayVar(&seeds, "seed", nil, "multiaddr, ending in /p2p/ID, of any member (repeatable)")
	f.StringVar(&metrics, "metrics", "", "loopback address for metrics and health, e.g. 127.0.0.1:9471")
	f.StringVar(&chain.Backend, "chain-backend", "", "rpc, a node of your own (default), or neutrino, a light client")
	f.StringVar(&chain.Second, "chain-second", "", "second opinion: neutrino beside rpc, or rpc beside neutrino")
	f.StringArrayVar(&chain.Peers, "chain-peer", nil, "HOST:PORT of a node that serves compact filters, for neutrino (repeatable; default found through DNS)")
	f.StringVar(&chain.URL, "chain-url", "", "JSON-RPC of btcd or Bitcoin Core")
	f.StringVar(&chain.CookieFile, "chain-cookie-file", "", "Bitcoin Core's cookie file")
	f.StringVar(&chain.User, "chain-user", "", "RPC user")
	f.StringVar(&chain.PasswordFile, "chain-password-file", "", "file whose first line is the RPC password")
	f.StringVar(&chain.CertFile, "chain-cert-file", "", "TLS certificate of btcd")
	f.IntVar(&work, "work-factor", keystore.WorkDefault, "scrypt cost of the seed file, as a power of two; less is for tests only")
	phrase.add(cmd)
	completeNetwork(cmd)
	return cmd
}

// checkMember refuses, before anybody thinks of a passphrase, what init or the
// card would refuse after it. Only making a card says whether one can be made, so
// it makes one for keys that are thrown away.
func checkMember(cfg node.Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("%w: %w", node.ErrConfig, err)
	}
	seed := make([]byte, memberkey.SeedSize)
	rand.Read(seed) // never fails: the runtime ends the process instead
	keys, err := memberkey.Derive(seed, 0)
	if err != nil {
		return err
	}
	_, err = node.Card(keys, cfg, time.Now())
	return err
}

func completeNetwork(cmd *cobra.Command) {
	// The flag exists and has no completion yet, so this cannot fail.
	_ = cmd.RegisterFlagCompletionFunc("network", cobra.FixedCompletions(membership.Networks, cobra.ShellCompDirectiveNoFileComp))
}
