package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"frostfed/crypto/memberkey"
	"frostfed/federation"
	"frostfed/internal/keystore"
	"frostfed/internal/node"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

type now = protocols.Time

// member is one of the daemons; node is nil while it is down.
type member struct {
	name    string
	dir     node.Dir
	config  node.Config
	charter *membership.Charter
	keys    *memberkey.Keys
	log     *os.File
	node    *node.Node
	liar    *liar // nil: a correct member
}

var names = []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
	"kim", "leo", "mia", "nina", "oscar", "peggy", "quinn", "rupert", "sybil", "trent"}

// found makes data folders, exchanges cards, and gives all the same charter.
func (s *show) found(_ context.Context, phase Phase) error {
	var cards []*membership.Card
	for i := range s.Nodes {
		m := &member{name: names[i], dir: node.Dir(filepath.Join(s.dir, names[i]))}
		m.config = node.DefaultConfig(m.name, "regtest")
		m.config.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		card, err := m.init()
		if err != nil {
			return err
		}
		if i >= s.Nodes-s.Byzantine {
			m.liar = &liar{host: &m.keys.Host}
		}
		cards = append(cards, card)
		s.members = append(s.members, m)
		phase.Progress(fmt.Sprintf("%d of %d cards", i+1, s.Nodes))
	}
	charter, err := membership.NewCharter("demo", "regtest", s.Threshold, cards)
	if err != nil {
		return err
	}
	for _, m := range s.members {
		if err := m.dir.Adopt(charter); err != nil {
			return err
		}
		m.charter = charter
	}
	phase.Done(fmt.Sprintf("federation %s, %d of %d", charter.ID().String()[:16], charter.Threshold, charter.N()))
	return nil
}

// init makes the folder as 'frostfed init' does, with a random passphrase beside
// it and a key derivation that is fast instead of strong: these keys are worth
// nothing.
func (m *member) init() (*membership.Card, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	phrase := []byte(hex.EncodeToString(random))
	if err := node.Init(m.dir, m.config, phrase, keystore.WorkFast); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(string(m.dir), "passphrase"), append(phrase, '\n'), 0o600); err != nil {
		return nil, err
	}
	keys, err := m.dir.OpenKeys(phrase)
	if err != nil {
		return nil, err
	}
	m.keys = keys
	if m.log, err = os.OpenFile(filepath.Join(string(m.dir), "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	return node.Card(keys, m.config, time.Now())
}

// start starts the daemon; seeds tell it where to look for the others.
func (s *show) start(ctx context.Context, m *member, seeds []string) error {
	n, err := node.Start(ctx, node.Options{
		Lie: m.liar.lie(), Dir: m.dir, Config: m.config, Charter: m.charter, Keys: m.keys, Chain: s.chain, Version: s.Version, Seeds: seeds,
		Log: slog.New(slog.NewTextHandler(m.log, nil)),
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	m.node = n
	if s.Serve != nil {
		if err := s.Serve(ctx, n, m.dir, m.charter); err != nil {
			return fmt.Errorf("serve the API of %s: %w", m.name, err)
		}
	}
	return nil
}

// connect starts all daemons. Only the first one's address is known to the rest.
func (s *show) connect(ctx context.Context, phase Phase) error {
	if err := s.start(ctx, s.members[0], nil); err != nil {
		return err
	}
	for _, m := range s.members[1:] {
		if err := s.start(ctx, m, s.seed()); err != nil {
			return err
		}
	}
	watch := s.watch()
	defer watch.close()
	if err := s.waitMesh(ctx, watch, phase); err != nil {
		return err
	}
	phase.Done(fmt.Sprintf("%d of %d, found from one seed address; TCP, Noise, yamux", s.Nodes, s.Nodes))
	return nil
}

func (s *show) seed() []string { return s.members[0].node.Host.Addrs() }

// waitMesh waits until every running member is connected to every other.
func (s *show) waitMesh(ctx context.Context, watch *watch, phase Phase) error {
	running := 0
	for _, m := range s.members {
		if m.node != nil {
			running++
		}
	}
	last := 0
	full := func() bool {
		least := running
		for _, m := range s.members {
			if m.node == nil {
				continue
			}
			connected := 0
			if err := m.view(ctx, func(core *federation.Core) { connected = core.Status().Connected }); err != nil {
				return false
			}
			least = min(least, connected)
		}
		if least != last {
			last = least
			phase.Progress(fmt.Sprintf("members connected %d of %d", least, running))
		}
		return least == running
	}
	if full() {
		return nil
	}
	return watch.until(ctx, func(_ int, d federation.Decision) bool {
		_, changed := d.(federation.PeerChanged)
		return changed && full()
	})
}

func (m *member) do(ctx context.Context, apply func(now now, core *federation.Core) (federation.Effects, error)) error {
	return m.node.Daemon.Do(ctx, apply)
}

func (m *member) view(ctx context.Context, read func(core *federation.Core)) error {
	return m.node.Daemon.View(ctx, func(_ now, core *federation.Core) { read(core) })
}

func (m *member) stop() error {
	if m.node == nil {
		return nil
	}
	n := m.node
	m.node = nil
	return n.Close()
}

func (s *show) stop() {
	for _, m := range s.members {
		// An error here changes nothing for the result; the log of the member has it.
		if err := m.stop(); err != nil && m.log != nil {
			fmt.Fprintln(m.log, "stop:", err)
		}
		if m.log != nil {
			m.log.Close()
		}
	}
}
