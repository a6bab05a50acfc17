package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/neutrino"
	"frostfed/bitcoin/chain/rpc"
)

// Backends that chain.backend and chain.second can name.
const (
	backendRPC      = "rpc"
	backendNeutrino = "neutrino"
)

// maxTipAge is how old the best block may be: on a public network two hours without
// a block mean a node without peers.
const maxTipAge = 2 * time.Hour

// enoughPeers is how many peers a light client needs on a public network, unless
// fewer are configured: one can hide blocks unnoticed.
const enoughPeers = 2

// alone reports whether a light client is all that this member goes by.
func (c ChainConfig) alone() bool { return c.Backend == backendNeutrino && c.Second == "" }

// check names the key that is wrong and what would be right.
func (c ChainConfig) check(network string) error {
	if c.PollSeconds < 1 || c.PollSeconds > 600 {
		return fmt.Errorf("chain.poll_seconds: %d is not within 1 and 600", c.PollSeconds)
	}
	names := []string{backendRPC, backendNeutrino}
	if !slices.Contains(names, c.Backend) {
		return fmt.Errorf("chain.backend: %q is unknown; use one of %s", c.Backend, strings.Join(names, ", "))
	}
	if c.Second != "" && !slices.Contains(names, c.Second) {
		return fmt.Errorf("chain.second: %q is unknown; use one of %s, or leave it empty", c.Second, strings.Join(names, ", "))
	}
	if c.Second == c.Backend {
		return fmt.Errorf("chain.second: %q is chain.backend already; a second opinion must be another", c.Second)
	}
	light := c.Backend == backendNeutrino || c.Second == backendNeutrino
	switch {
	case len(c.Peers) > 0 && !light:
		return errors.New("chain.peers: only neutrino has peers; set chain.backend or chain.second, or leave them out")
	case len(c.Peers) == 0 && light && network == "regtest":
		return errors.New("chain.peers: on regtest none can be found; name one, e.g. 127.0.0.1:18444")
	}
	for _, peer := range c.Peers {
		host, port, err := net.SplitHostPort(peer)
		if err != nil {
			host, port = peer, "0"
		}
		_, badPort := strconv.ParseUint(port, 10, 16)
		if host == "" || badPort != nil || strings.ContainsAny(host, " /:[]") && net.ParseIP(host) == nil {
			return fmt.Errorf("chain.peers: %q is not HOST or HOST:PORT, e.g. 192.0.2.1:8333", peer)
		}
	}
	if network == "mainnet" && c.alone() && !c.LightSigner {
		return errors.New("chain.backend: neutrino believes whatever its peers show with enough work, which is not enough to sign on mainnet by; " +
			"run a node and use rpc, with chain.second = \"neutrino\" if you like, or set chain.light_signer = true to take the risk")
	}
	return nil
}

// opener makes a backend; it is called once the data folder is ours.
type opener func() (chain.Backend, error)

// sources checks what can be checked before the data folder is opened, and returns
// how to open the backend and the second opinion, if there is one.
func sources(dir Dir, c ChainConfig, network bitcoin.Network, log *slog.Logger) ([]opener, error) {
	var out []opener
	for _, name := range []string{c.Backend, c.Second} {
		switch name {
		case backendRPC:
			client, err := newRPC(c, network)
			if err != nil {
				return nil, err
			}
			out = append(out, func() (chain.Backend, error) { return client, nil })
		case backendNeutrino:
			cfg := neutrino.Config{Dir: dir.neutrino(), Params: network.Params(), Peers: c.Peers, Log: log}
			if network != bitcoin.Regtest {
				cfg.MaxTipAge, cfg.MinPeers = maxTipAge, enoughPeers
			}
			if n := len(c.Peers); n > 0 {
				cfg.MinPeers = min(cfg.MinPeers, n)
			}
			out = append(out, func() (chain.Backend, error) { return neutrino.Open(cfg) })
		}
	}
	if c.alone() {
		log.Warn("this member has no Bitcoin node of its own: whoever controls the peers of its light client can show it another chain, " +
			"and it sees double spends only in blocks; set chain.backend = \"rpc\"")
	}
	return out, nil
}

// openChain opens the backend that the daemon is to ask.
func (n *Node) openChain(openers []opener) (chain.Backend, error) {
	var backends []chain.Backend
	for _, open := range openers {
		b, err := open()
		if err != nil {
			return nil, fmt.Errorf("chain: %w", err)
		}
		if c, ok := b.(io.Closer); ok {
			n.chains = append(n.chains, c)
		}
		backends = append(backends, b)
	}
	if len(backends) == 2 {
		return chain.CrossCheck(backends[0], backends[1]), nil
	}
	return backends[0], nil
}

func newRPC(c ChainConfig, network bitcoin.Network) (chain.Backend, error) {
	cfg := rpc.Config{URL: c.URL, Params: network.Params(), CookieFile: c.CookieFile, User: c.User,
		PasswordFile: c.PasswordFile, CertFile: c.CertFile}
	if network != bitcoin.Regtest {
		cfg.MaxTipAge = maxTipAge
	}
	client, err := rpc.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: chain: %w", ErrConfig, err)
	}
	return client, nil
}
