package p2p

import (
	"cmp"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// addresses are the multiaddrs of a Config, parsed.
type addresses struct {
	listen   []ma.Multiaddr
	announce []ma.Multiaddr
	known    map[peer.ID][]ma.Multiaddr // of members and seeds
	seeds    []peer.AddrInfo
}

func checkIdentity(cfg Config) error {
	if cfg.Identity == nil || cfg.Identity.Type() != pb.KeyType_Ed25519 {
		return ErrIdentity
	}
	for _, id := range cfg.Members {
		if !isEd25519(id) {
			return fmt.Errorf("member %s: %w", id, ErrIdentity)
		}
	}
	return nil
}

// isEd25519 works without a look-up: an Ed25519 peer ID contains the key.
func isEd25519(id peer.ID) bool {
	key, err := id.ExtractPublicKey()
	return err == nil && key.Type() == pb.KeyType_Ed25519
}

func parseAddrs(cfg Config) (addresses, error) {
	out := addresses{known: make(map[peer.ID][]ma.Multiaddr)}
	var err error
	if out.listen, err = parseAll("listen", cfg.Listen); err != nil {
		return out, err
	}
	if out.announce, err = parseAll("announce", cfg.Announce); err != nil {
		return out, err
	}
	for id, list := range cfg.MemberAddrs {
		addrs, err := parseAll("member", list)
		if err != nil {
			return out, err
		}
		out.known[id] = append(out.known[id], addrs...)
	}
	seeds, err := parseAll("seed", cfg.Seeds)
	if err != nil {
		return out, err
	}
	if out.seeds, err = peer.AddrInfosFromP2pAddrs(seeds...); err != nil {
		return out, fmt.Errorf("%w: seed: %w", ErrAddress, err)
	}
	for _, s := range out.seeds {
		out.known[s.ID] = append(out.known[s.ID], s.Addrs...)
	}
	return out, nil
}

func parseAll(what string, list []string) ([]ma.Multiaddr, error) {
	out := make([]ma.Multiaddr, len(list))
	for i, s := range list {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %s %q: %w", ErrAddress, what, s, err)
		}
		out[i] = a
	}
	return out, nil
}

func compareID(a, b peer.ID) int { return cmp.Compare(a, b) }
