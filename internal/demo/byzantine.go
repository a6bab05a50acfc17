package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/memberkey"
	"frostfed/evidence"
	"frostfed/federation"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/sign"
)

// Exhibit is a proof against a liar, verified as a stranger would.
type Exhibit struct {
	File   string `json:"file"`
	Member string `json:"member"`
	Kind   string `json:"kind"`
	Words  string `json:"words"`
}

// maxWeeks is how many payouts may pass before every liar was asked to sign: each
// is asked in about half of them.
const maxWeeks = 24

// checkLiars fills in the threshold: liars lose their shares of the second key,
// and one more member may be lost all the same (keys.min_spare).
func (o *Options) checkLiars() error {
	if o.Byzantine == 0 {
		return nil
	}
	if f := protocols.MaxFaulty(o.Nodes); o.Byzantine < 0 || o.Byzantine > f {
		return fmt.Errorf("%w: %d liars among %d members; fewer than a third may lie, so --byzantine takes 0 to %d",
			ErrOptions, o.Byzantine, o.Nodes, f)
	}
	most := o.Nodes - o.Byzantine - 1
	if o.Threshold == 0 {
		o.Threshold = min(most, protocols.DefaultThreshold(o.Nodes))
	}
	if o.Threshold > most || 2*o.Threshold <= o.Nodes {
		return fmt.Errorf("%w: threshold %d of %d with --byzantine %d; --threshold must be more than half of the members and leave one to spare without the liars, so try --nodes 5 or more",
			ErrOptions, o.Threshold, o.Nodes, o.Byzantine)
	}
	return nil
}

// liar is a member that signs wrongly from the beginning, and deals wrongly once
// told to.
type liar struct {
	host  *memberkey.HostKey
	deals atomic.Bool
}

func (l *liar) lie() *federation.Lie {
	if l == nil {
		return nil
	}
	return &federation.Lie{Dealing: l.dealing, Partial: func(psig *[32]byte) { psig[31] ^= 1 }}
}

// dealing is a first message that is right in all that can be checked in public,
// with a share that its receiver cannot use.
func (l *liar) dealing(params *chilldkg.SessionParams, id chilldkg.SessionID, m1 []byte) []byte {
	if !l.deals.Load() {
		return m1
	}
	victim := 0
	if params.HostPubkey(victim) == l.host.Public() {
		victim = 1
	}
	var random [32]byte
	rand.Read(random[:]) // it does not fail
	host := l.host.Secret()
	defer clear(host[:])
	spoilt, err := chilldkg.DealBadShares(host[:], params, id, random[:], func(i int) bool { return i == victim })
	if err != nil {
		return m1
	}
	return spoilt
}

func (s *show) besideLiars() []scene {
	return []scene{
		{"refuse a tampered payout", s.refuseTampered},
		{"pay while somebody lies", s.payBesideLiars},
		{"make a key while somebody lies", s.keyBesideLiars},
		{"receive rewards again", s.fund},
		{"pay without the liar", s.payWithoutLiars},
		{"prove it to strangers", s.prove},
	}
}

func (s *show) honest() []*member { return s.members[:s.Nodes-s.Byzantine] }
func (s *show) liars() []*member  { return s.members[s.Nodes-s.Byzantine:] }

// payBesideLiars pays until each liar was asked for a partial signature. Every
// payout goes through.
func (s *show) payBesideLiars(ctx context.Context, phase Phase) error {
	for week := 1; week <= maxWeeks; week++ {
		if week > 2 {
			if err := s.handList(ctx, week); err != nil {
				return err
			}
		}
		paid, err := s.payWeek(ctx, phase, week)
		if err != nil {
			return err
		}
		if week == 1 {
			s.first(paid)
		}
		caught, err := s.convicted(ctx, sign.FaultBadPartial)
		if err != nil {
			return err
		}
		if len(caught) == s.Byzantine {
			phase.Done(fmt.Sprintf("%d miners, txid %s, block %d", miners, s.result.TxID, s.result.Height))
			for _, m := range caught {
				s.Report.Note(m.name + " signed wrongly and was named; the others signed without it")
			}
			s.week = week
			return nil
		}
	}
	return fmt.Errorf("%d payouts, and a liar was not asked or not found", maxWeeks)
}

// convicted lists the liars of whom some honest member holds a proof of the kind.
func (s *show) convicted(ctx context.Context, kind string) (out []*member, err error) {
	for _, l := range s.liars() {
		for _, m := range s.honest() {
			found := false
			err := m.view(ctx, func(core *federation.Core) {
				found = slices.ContainsFunc(core.Evidence(), func(e federation.EvidenceView) bool {
					return e.Kind == kind && e.Culprit == l.node.Host.ID()
				})
			})
			if err != nil {
				return nil, err
			}
			if found {
				out = append(out, l)
				break
			}
		}
	}
	return out, nil
}

// keyBesideLiars makes another key, of which the liars spoil shares.
func (s *show) keyBesideLiars(ctx context.Context, phase Phase) error {
	for _, m := range s.liars() {
		m.liar.deals.Store(true)
	}
	s.key = secondKey
	if err := s.makeKey(ctx, phase, len(s.honest())); err != nil {
		return err
	}
	caught, err := s.convicted(ctx, dkg.FaultShare)
	if err != nil {
		return err
	}
	if len(caught) != s.Byzantine {
		return fmt.Errorf("%d of %d liars were convicted", len(caught), s.Byzantine)
	}
	phase.Done(fmt.Sprintf("%d of %d can sign", s.threshold(), len(s.honest())))
	for _, m := range caught {
		s.Report.Note(m.name + " dealt a bad share; its victim complained, and all went on without it")
	}
	return nil
}

func (s *show) payWithoutLiars(ctx context.Context, phase Phase) error {
	s.week++
	if err := s.handList(ctx, s.week); err != nil {
		return err
	}
	paid, err := s.payWeek(ctx, phase, s.week)
	if err != nil {
		return err
	}
	s.result.Second, s.result.After = paid.txid.String(), "from the second key"
	phase.Done(fmt.Sprintf("txid %s, block %d", paid.txid, paid.height))
	return nil
}

// prove writes what convicts the liars to files, and reads them as a stranger who
// knows nothing but the federation ID.
func (s *show) prove(ctx context.Context, phase Phase) error {
	dir := filepath.Join(s.dir, "evidence")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of evidence: %w", err)
	}
	federationID := s.members[0].charter.ID()
	for _, l := range s.liars() {
		for _, kind := range []string{sign.FaultBadPartial, dkg.FaultShare} {
			file, err := s.exhibit(ctx, l, kind)
			if err != nil {
				return err
			}
			e, err := evidence.Parse(file)
			if err != nil {
				return err
			}
			v, err := e.Verify()
			if err != nil {
				return err
			}
			if v.Federation != federationID || v.Name != l.name || v.Kind != kind {
				return fmt.Errorf("the evidence convicts %s of %s", v.Name, v.Kind)
			}
			x := Exhibit{File: filepath.Join(dir, l.name+"-"+kind+".pem"), Member: l.name, Kind: kind, Words: v.Words}
			if err := os.WriteFile(x.File, file, 0o600); err != nil {
				return err
			}
			s.result.Evidence = append(s.result.Evidence, x)
		}
	}
	phase.Done(fmt.Sprintf("%d files of evidence, verified with nothing but the federation ID", len(s.result.Evidence)))
	for _, x := range s.result.Evidence {
		s.Report.Note("guilty: " + x.Member + " " + x.Words)
	}
	s.Report.Note(fmt.Sprintf("check it: frostfed evidence verify %s --federation %s", s.result.Evidence[0].File, federationID))
	return nil
}

// exhibit exports a proof from the first honest member that holds it.
func (s *show) exhibit(ctx context.Context, l *member, kind string) (file []byte, err error) {
	for _, m := range s.honest() {
		viewed := m.view(ctx, func(core *federation.Core) {
			for _, e := range core.Evidence() {
				if file == nil && e.Kind == kind && e.Culprit == l.node.Host.ID() {
					_, file, err = core.EvidenceFile(e.ID.String())
				}
			}
		})
		if viewed != nil {
			return nil, viewed
		}
		if file != nil || err != nil {
			return file, err
		}
	}
	return nil, fmt.Errorf("nobody holds evidence of %s against %s", kind, l.name)
}
