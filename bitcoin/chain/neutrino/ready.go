package neutrino

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/lightninglabs/neutrino/headerfs"

	"frostfed/bitcoin/chain"
)

// state is what readiness is judged by.
type state struct {
	heights []int32 // of the connected peers' chains, as they say
	headers int32   // height of the heaviest chain of headers
	best    headerfs.BlockStamp
	banned  int // peers of the configuration that sent something invalid
}

func (c *Client) look(ctx context.Context) (state, error) {
	return query(ctx, c, func() (state, error) {
		var s state
		peers, err := c.peers()
		if err != nil {
			return s, err
		}
		for _, peer := range peers {
			s.heights = append(s.heights, max(peer.LastBlock(), peer.StartingHeight()))
		}
		if len(peers) < c.cfg.MinPeers {
			s.banned = c.banned()
		}
		_, height, err := c.service.BlockHeaders.ChainTip()
		if err != nil {
			return s, fmt.Errorf("read headers: %w: %w", chain.ErrUnavailable, err)
		}
		s.headers = int32(height)
		best, err := c.service.BestBlock()
		if err != nil {
			return s, fmt.Errorf("read headers: %w: %w", chain.ErrUnavailable, err)
		}
		s.best = *best
		return s, nil
	})
}

// banned counts the configured peers that neutrino avoids for a day.
func (c *Client) banned() (n int) {
	for _, addr := range c.cfg.Peers {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(addr, c.cfg.Params.DefaultPort)
		}
		if c.service.IsBanned(addr) {
			n++
		}
	}
	return n
}

// Ready implements chain.Backend. The reasons in their order: too few peers,
// headers, filters, a tip too old.
func (c *Client) Ready(ctx context.Context) error {
	s, err := c.look(ctx)
	if err != nil {
		return &chain.NotReadyError{Kind: chain.Unreachable, Detail: err.Error(), Err: err}
	}
	return s.judge(c.cfg)
}

func (s *state) judge(cfg Config) error {
	notReady := func(kind chain.ReadyKind, format string, args ...any) error {
		return &chain.NotReadyError{Kind: kind, Detail: fmt.Sprintf(format, args...), Err: chain.ErrUnavailable}
	}
	if n := len(s.heights); n < cfg.MinPeers {
		detail := fmt.Sprintf("%d peers, %d needed, that serve compact filters on %s", n, cfg.MinPeers, cfg.Params.Name)
		if len(cfg.Peers) > 0 {
			detail += fmt.Sprintf("; %d configured", len(cfg.Peers))
		}
		if s.banned > 0 {
			detail += fmt.Sprintf(", %d banned for what they sent or lack", s.banned)
		}
		return notReady(chain.Unreachable, "%s", detail)
	}
	// The lower median: one peer that boasts, of two or more, stops nobody.
	slices.Sort(s.heights)
	claimed := s.heights[(len(s.heights)-1)/2]
	age := cfg.Now().Sub(s.best.Timestamp)
	switch {
	case s.headers < claimed-1: // one behind is a block being announced
		return notReady(chain.Syncing, "header %d of %d", s.headers, claimed)
	case s.best.Height < s.headers-1:
		return notReady(chain.Syncing, "filter header %d of %d", s.best.Height, s.headers)
	case cfg.MaxTipAge > 0 && age > cfg.MaxTipAge:
		return notReady(chain.Stalled, "last block %d is %v old, and %d peers know none after it", s.best.Height, age.Round(time.Minute), len(s.heights))
	}
	return nil
}

// connected fails if there is nobody to ask. What is stored could still be
// answered, but the answer would be that of a chain that goes on without us.
func (c *Client) connected(ctx context.Context) (state, error) {
	s, err := c.look(ctx)
	if err == nil && len(s.heights) == 0 {
		err = fmt.Errorf("no peer is connected: %w", chain.ErrUnavailable)
	}
	return s, err
}

// Capabilities: none. See the package comment.
func (c *Client) Capabilities(ctx context.Context) (chain.Capabilities, error) {
	return chain.Capabilities{}, ctx.Err()
}

// header returns the header of the best chain at height.
func (c *Client) header(height int32) (*wire.BlockHeader, error) {
	header, err := c.service.BlockHeaders.FetchHeaderByHeight(uint32(height))
	if err != nil { // it was there a moment ago: a reorg is under way
		return nil, fmt.Errorf("header at height %d: %w: %w", height, chain.ErrNotFound, err)
	}
	return header, nil
}
