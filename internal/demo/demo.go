// Package demo shows the main job from end to end in one process: strangers found
// a federation, generate a key, receive coinbase rewards and pay miners, refuse a
// tampered payout, and go on without one of them; or, with members that lie, find
// them out, go on without them, and prove it to strangers. Everything is real but
// the network, which is the loopback interface, and the chain, which is regtest.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain/regtest"
	"frostfed/federation"
	"frostfed/internal/node"
	"frostfed/protocols/membership"
)

// Options of Run.
type Options struct {
	Nodes     int
	Threshold int    // 0: the default of the charter; of a demo with liars, so many that one more may be lost
	Byzantine int    // members that lie
	Dir       string // where the data lies; empty: a new temporary folder
	Keep      bool   // go on running after the last phase, until ctx ends
	Version   string
	Report    Reporter
	// Serve makes the API of a member reachable; nil: not at all.
	Serve func(ctx context.Context, n *node.Node, dir node.Dir, charter *membership.Charter) error
}

// Limits of Options.
const (
	MinNodes = 2
	MaxNodes = 20 // five run in seconds; twenty daemons in one process take a minute
	miners   = 20
	feeRate  = 2 // sat/vB

	firstKey, secondKey = "payouts", "payouts-2"
)

// ErrOptions is returned for options out of range.
var ErrOptions = errors.New("demo: options out of range")

// Result is what the last screen names.
type Result struct {
	Dir       string        `json:"dir"`
	Address   string        `json:"address"`
	Xpub      string        `json:"xpub"`
	TxID      string        `json:"txid"`
	Signature string        `json:"signature"`
	Block     string        `json:"block"`
	Height    uint32        `json:"height"`
	Second    string        `json:"second_txid,omitempty"`
	After     string        `json:"after,omitempty"` // what the second payout shows
	Refused   []Refusal     `json:"refused"`
	Evidence  []Exhibit     `json:"evidence,omitempty"`
	Total     time.Duration `json:"total_ns"`
}

// Refusal is how a member answered the tampered payout.
type Refusal struct {
	Member string `json:"member"`
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Run plays the demo. It returns an error unless the chain really holds the
// payouts.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Nodes < MinNodes || o.Nodes > MaxNodes || o.Threshold < 0 || o.Threshold > o.Nodes {
		return nil, fmt.Errorf("%w: %d nodes with threshold %d; --nodes takes %d to %d, --threshold at most as many",
			ErrOptions, o.Nodes, o.Threshold, MinNodes, MaxNodes)
	}
	if err := o.checkLiars(); err != nil {
		return nil, err
	}
	dir, err := makeDir(o.Dir)
	if err != nil {
		return nil, err
	}
	chain, err := regtest.Open(filepath.Join(dir, "chain"))
	if err != nil {
		return nil, err
	}
	defer chain.Close()
	s := &show{Options: o, dir: dir, chain: chain, key: firstKey, result: &Result{Dir: dir}}
	defer s.stop()
	begin := time.Now()
	if err := s.play(ctx); err != nil {
		return nil, fmt.Errorf("%w; the data folders are kept in %s", err, dir)
	}
	s.result.Total = time.Since(begin)
	o.Report.Result(s.result)
	if o.Keep {
		o.Report.Note(fmt.Sprintf("still running; ask a member with: frostfed --dir %s status", s.members[0].dir))
		<-ctx.Done()
	}
	return s.result, nil
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "frostfed-demo-")
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("%w: --dir %s is not empty; name a new folder", ErrOptions, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make demo folder: %w", err)
	}
	return filepath.Abs(dir)
}

// show is a running demo.
type show struct {
	Options
	dir     string
	chain   *regtest.Chain
	members []*member
	key     string // that is generated, funded and paid from
	week    int    // of the last payout beside liars
	result  *Result
}

// scene is a phase and how it is played.
type scene struct {
	name string
	play func(context.Context, Phase) error
}

func (s *show) play(ctx context.Context) error {
	phases := []scene{
		{"found the federation", s.found},
		{"connect the members", s.connect},
		{"generate a key together", s.generateKey},
		{"receive coinbase rewards", s.fund},
		{"hand every member the payout list", s.handLists},
		{"refuse a tampered payout", s.refuseTampered},
		{"pay the miners", s.payFirst},
		{"pay with one member down", s.payWithoutOne},
		{"bring it back", s.bringBack},
	}
	if s.Byzantine > 0 {
		phases = append(phases[:5:5], s.besideLiars()...)
	}
	for _, p := range phases {
		if p.name == "pay with one member down" && s.threshold() == s.Nodes {
			s.Report.Note("all members are needed to sign, so the demo ends before one is taken down")
			return nil
		}
		phase := s.Report.Phase(p.name)
		if err := p.play(ctx, phase); err != nil {
			phase.Fail(err)
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (s *show) threshold() int { return s.members[0].charter.Threshold }

func (s *show) generateKey(ctx context.Context, phase Phase) error {
	if err := s.makeKey(ctx, phase, s.Nodes); err != nil {
		return err
	}
	phase.Done(fmt.Sprintf("%d of %d can sign; no dealer, no coordinator", s.threshold(), s.Nodes))
	return s.members[0].view(ctx, func(core *federation.Core) { s.result.Xpub = core.Keys()[0].Xpub })
}

// makeKey has a key generated and waits until so many members have it.
func (s *show) makeKey(ctx context.Context, phase Phase, members int) error {
	watch := s.watch()
	defer watch.close()
	err := s.members[0].do(ctx, func(now now, core *federation.Core) (federation.Effects, error) {
		_, e, err := core.NewKey(now, s.key)
		return e, err
	})
	if err != nil {
		return err
	}
	ready := make(map[int]bool)
	return watch.until(ctx, func(i int, d federation.Decision) bool {
		switch d := d.(type) {
		case federation.KeyProgress:
			if i == 0 && d.Need > 0 {
				phase.Progress(fmt.Sprintf("%s %d of %d", d.Phase, d.Have, d.Need))
			}
		case federation.KeyReady:
			ready[i] = d.Label == s.key
		}
		return len(ready) == members
	})
}

// fund mines coinbase rewards to an address of the key, and lets them mature.
func (s *show) fund(ctx context.Context, phase Phase) error {
	var address bitcoin.Derived
	err := s.members[0].do(ctx, func(_ now, core *federation.Core) (federation.Effects, error) {
		d, e, err := core.NewAddress(0, s.key)
		address = d
		return e, err
	})
	if err != nil {
		return err
	}
	if s.result.Address == "" {
		s.result.Address = address.Address
	}
	phase.Progress(address.Address)
	if _, err := s.chain.Mine(3, address.Script); err != nil {
		return err
	}
	if err := s.mine(ctx, 100); err != nil {
		return err
	}
	balance, err := s.members[1].balance(ctx, s.key)
	phase.Done(fmt.Sprintf("%s at %s", btc(balance), address.Address))
	return err
}

// balance is what a member sees of a key.
func (m *member) balance(ctx context.Context, key string) (sats bitcoin.Sat, err error) {
	err = m.view(ctx, func(core *federation.Core) {
		for _, k := range core.Keys() {
			if k.Label == key {
				sats = k.Balance
			}
		}
	})
	return sats, err
}

// mine adds blocks and waits until every running member has seen them.
func (s *show) mine(ctx context.Context, n int) error {
	watch := s.watch()
	defer watch.close()
	hashes, err := s.chain.Mine(n, burn)
	if err != nil {
		return err
	}
	return s.waitTip(ctx, watch, hashes[len(hashes)-1])
}

func (s *show) waitTip(ctx context.Context, watch *watch, tip chainhash.Hash) error {
	seen := make(map[int]bool)
	return watch.until(ctx, func(i int, d federation.Decision) bool {
		if t, ok := d.(federation.TipChanged); ok {
			seen[i] = t.Block.Hash == tip
		}
		for i, m := range s.members {
			if m.node != nil && !seen[i] {
				return false
			}
		}
		return true
	})
}

// btc prints an amount the way people read large ones.
func btc(s bitcoin.Sat) string { return fmt.Sprintf("%d.%08d BTC", s/1e8, s%1e8) }

// burn is where blocks pay that belong to nobody: an anyone-can-spend script.
var burn = []byte{0x51}
