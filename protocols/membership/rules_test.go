package membership

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// Who does not get in, and why not.
func TestApplicationsThatAreNotTaken(t *testing.T) {
	other := func(w *world) *epoch.State {
		d := w.state().Descriptor
		d.Federation = [32]byte{7}
		ep, err := epoch.New(d)
		w.must(err)
		return &epoch.State{Epoch: ep}
	}
	rows := []struct {
		name string
		make func(w *world, a *Application, eve *node)
	}{
		{"no deposit", func(w *world, a *Application, eve *node) { a.Deposit = wire.OutPoint{Hash: [32]byte{1}} }},
		{"deposit to another federation", func(w *world, a *Application, eve *node) {
			a.Deposit = w.deposit(other(w).Epoch, eve, epoch.MinBond)
		}},
		{"deposit of somebody else", func(w *world, a *Application, eve *node) {
			a.Deposit = w.deposit(w.state().Epoch, w.order[0], epoch.MinBond)
		}},
		{"deposit too small", func(w *world, a *Application, eve *node) {
			a.Deposit = w.deposit(w.state().Epoch, eve, epoch.MinBond-1)
		}},
		{"deposit spent", func(w *world, a *Application, eve *node) {
			tx := wire.NewMsgTx(2)
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: a.Deposit})
			w.block()
			w.send(tx)
		}},
		{"deposit too young", func(w *world, a *Application, eve *node) { w.noMining = true }},
		{"deposit too old", func(w *world, a *Application, eve *node) {
			for range w.charter.Terms.DepositDelay / 2 {
				w.block()
			}
			w.tips()
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 4, 1)
			eve := w.person(10)
			a := Application{Card: eve.card, Refund: script(10), Deposit: w.deposit(w.state().Epoch, eve, epoch.MinBond), Value: epoch.MinBond}
			row.make(w, &a, eve)
			signed, err := NewApplication(w.state().Hash(), a, &keysOf(t, 10, 0).Bond, [32]byte{})
			w.must(err)
			for _, nd := range w.order[:4] {
				e, err := nd.m.Apply(0, signed.Bytes())
				w.must(err)
				w.apply(nd, e)
			}
			// A member that speaks for everybody, before any rule.
			w.propose(w.order[0], &Proposal{Kind: Join, Application: signed})
			w.until(0, 1)
			w.mine(int(w.charter.Terms.DepositDelay) / 2)
			if w.state().Number != 0 {
				t.Error("the epoch changed")
			}
		})
	}
}

func (w *world) propose(nd *node, p *Proposal) {
	e, err := nd.m.ask(p)
	w.must(err)
	w.apply(nd, e)
	w.settle()
}

// Errors that an applicant gets at once.
func TestApplyRefuses(t *testing.T) {
	w := newWorld(t, 4, 1)
	eve, m := w.person(10), w.order[0].m
	keys := keysOf(t, 10, 0)
	sign := func(a Application, descriptor [32]byte, bond BondSigner) []byte {
		msg := a.preimage(descriptor)
		a.sig, _ = bond.Sign(msg[:], [32]byte{})
		return a.Bytes()
	}
	hash := w.state().Hash()
	good := Application{Card: eve.card, Refund: script(10), Value: epoch.MinBond}
	inUse := good
	inUse.Card = w.order[1].card
	poor := good
	poor.Value--
	badScript := good
	badScript.Refund = []byte{0x6a}
	unsigned := good
	card := *eve.card
	card.Name = "mallory"
	unsigned.Card = &card
	for name, row := range map[string]struct {
		raw  []byte
		want error
	}{
		"another epoch":   {sign(good, [32]byte{1}, &keys.Bond), ErrApplication},
		"another signer":  {sign(good, hash, &keys.Host), ErrApplication},
		"keys in use":     {sign(inUse, hash, &keysOf(t, 1, 0).Bond), ErrApplication},
		"small bond":      {sign(poor, hash, &keys.Bond), ErrApplication},
		"unknown script":  {sign(badScript, hash, &keys.Bond), ErrApplication},
		"card not signed": {sign(unsigned, hash, &keys.Bond), ErrCardSignature},
		"trailing":        {append(sign(good, hash, &keys.Bond), 0), ErrApplication},
		"empty":           {nil, ErrApplication},
	} {
		if _, err := m.Apply(0, row.raw); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Apply(0, sign(good, hash, &keys.Bond)); err != nil {
		t.Error(err)
	}
}

// Three come where two may, then the third; and of two with one key, one.
func TestJoinsAtOnce(t *testing.T) {
	w := newWorld(t, 4, 2)
	var comers []*node
	for id := range byte(3) {
		comers = append(comers, w.person(10+id))
	}
	for _, nd := range comers {
		w.request(nd, nd.card)
	}
	w.until(1, 60)
	in := 0
	for _, nd := range comers {
		if has(w.state(), nd) {
			in++
		}
	}
	if in != 2 {
		t.Fatalf("%d came", in)
	}
	twin := w.person(20)
	w.mine(12)
	w.request(twin, twin.card)
	again, err := NewCard(keysOf(t, 20, 0), "twin", 2, nil, func() [32]byte { return [32]byte{} })
	w.must(err)
	w.request(twin, again)
	w.until(2, 60)
	if !has(w.state(), twin) || len(w.state().Members) != 7 {
		t.Errorf("%d members", len(w.state().Members))
	}
}

// No more go at once than t-f-1, and who has waited goes next.
func TestDeparturesAreLimited(t *testing.T) {
	w := newWorld(t, 4, 2)
	w.leave(w.order[0])
	w.leave(w.order[1])
	w.until(1, 60)
	if len(w.state().Members) != 3 {
		t.Fatalf("%d members", len(w.state().Members))
	}
}

// A wish to leave is granted although no policy approves anything.
func TestLeaveNeedsNoConsent(t *testing.T) {
	w := newWorld(t, 4, 2)
	for _, nd := range w.order {
		nd.policy = Reject
	}
	w.leave(w.order[3])
	w.until(1, 60)
	if has(w.state(), w.order[3]) {
		t.Error("held back")
	}
	var refund int64
	for _, out := range w.transaction(w.state()).TxOut {
		if string(out.PkScript) == string(script(3)) {
			refund = out.Value
		}
	}
	if refund != int64(epoch.MinBond) {
		t.Errorf("refund of %d", refund)
	}
}

// Fewer than t approvals, rejections, a proposal after its window, and votes by hand.
func TestVotes(t *testing.T) {
	w := newWorld(t, 4, 2)
	for i, nd := range w.order {
		nd.policy = []Verdict{Approve, Approve, Ask, Reject}[i]
	}
	eve := w.applicant(10)
	w.mine(40)
	if w.state().Number != 0 {
		t.Fatal("two of four were enough")
	}
	m := w.order[2].m
	var id ID
	for _, p := range m.View().Proposals {
		if p.Proposal.Kind == Join {
			id = p.Proposal.ID()
			if len(p.Approved) != 2 || len(p.Rejected) != 1 {
				t.Errorf("%+v", p)
			}
		}
	}
	if _, err := w.order[3].m.Vote(0, id, true); !errors.Is(err, ErrVoted) {
		t.Error(err)
	}
	if _, err := m.Vote(0, ID{1}, true); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	w.mine(25)
	if _, err := m.Vote(0, id, true); !errors.Is(err, ErrUnknown) {
		t.Errorf("after the window: %v", err)
	}
	_ = eve
	w.order[2].policy = Approve
	bob := w.applicant(11)
	w.until(1, 60)
	if !has(w.state(), bob) || has(w.state(), eve) {
		t.Error("wrong one admitted")
	}
}

// An applicant that stops key generation is left out; a member that does is removed;
// and if nobody knows who it was, the epoch is renewed without applicants.
func TestKeyGenerationFails(t *testing.T) {
	for name, row := range map[string]struct {
		fail    func(w *world, ev StartCeremony, eve *node) *drawn
		members int
		change  epoch.Kind
	}{
		"an applicant is voted out": {func(w *world, ev StartCeremony, eve *node) *drawn {
			return w.without(ev, eve)
		}, 4, 0},
		"a member is convicted": {func(w *world, ev StartCeremony, eve *node) *drawn {
			return &drawn{culprits: []protocols.NodeID{w.order[1].cfg.Self}}
		}, 4, epoch.Removed},
		"a member is voted out": {func(w *world, ev StartCeremony, eve *node) *drawn {
			return w.without(ev, w.order[1])
		}, 4, epoch.Removed},
		"an applicant is convicted": {func(w *world, ev StartCeremony, eve *node) *drawn {
			return &drawn{culprits: []protocols.NodeID{eve.cfg.Self}}
		}, 4, epoch.Left},
		"nobody knows": {func(w *world, ev StartCeremony, eve *node) *drawn {
			return &drawn{culprits: []protocols.NodeID{}}
		}, 4, epoch.Left},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 4, 2)
			eve := w.person(10)
			tries := 0
			w.failing = func(ev StartCeremony) *drawn {
				if tries++; tries == 1 {
					return row.fail(w, ev, eve)
				}
				return nil
			}
			w.request(eve, eve.card)
			if row.change == epoch.Left {
				// Something to do without the applicant.
				w.propose(w.order[0], &Proposal{Kind: Refresh})
			}
			w.until(1, 80)
			if len(w.state().Members) != row.members {
				t.Errorf("%d members, changes %+v", len(w.state().Members), w.state().Changes)
			}
			if removed := slices.ContainsFunc(w.state().Changes, func(c epoch.Change) bool { return c.Kind == epoch.Removed }); removed != (row.change == epoch.Removed) {
				t.Errorf("changes %+v", w.state().Changes)
			}
		})
	}
}

// without is a key that all have but one.
func (w *world) without(ev StartCeremony, out *node) *drawn {
	d := &drawn{key: w.draw("without"), culprits: []protocols.NodeID{}}
	for _, p := range ev.Participants {
		if p.Peer != out.cfg.Self {
			d.parts = append(d.parts, p.Peer)
		}
	}
	return d
}

// A transition that waits is signed with higher fees, within bounds, for one epoch.
func TestFeeBump(t *testing.T) {
	w := newWorld(t, 4, 2)
	w.applicant(10)
	for i := 0; len(w.honest().m.acting.seals) == 0; i++ {
		if w.mine(1); i > 60 {
			t.Fatal("no seal")
		}
	}
	w.noMining = true
	w.mine(40)
	s := w.honest().m.acting.seals[0]
	if len(s.signed) != 4 || len(s.variants) != 4 { // 2, 4, 8, 16 sat/vB
		t.Fatalf("%d of %d variants signed", len(s.signed), len(s.variants))
	}
	if len(w.mempool) != 1 || w.mempool[0].TxHash() != s.variants[3].Spend.TxID() {
		t.Error("the pool has not the highest fee")
	}
	// One with a lower fee is mined: the same epoch.
	w.noMining, w.mempool = false, []*wire.MsgTx{s.signed[1]}
	w.until(1, 10)
	if w.state().TxID != s.signed[1].TxHash() {
		t.Error("another transaction")
	}
}

// Coins of the old key go to the new one, and fill the pot.
func TestSweep(t *testing.T) {
	w := newWorld(t, 4, 2, func(terms *Terms) { terms.PotTarget = 250_000 })
	key := w.state().Root()
	for i, amount := range []bitcoin.Sat{70_000, 200_000} {
		path := bitcoin.Path{Branch: bitcoin.Receive, Index: uint32(i)}
		d, err := key.Derive(path)
		w.must(err)
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{byte(i + 1)}}})
		tx.AddTxOut(wire.NewTxOut(int64(amount), d.Script))
		w.send(tx)
		w.coins = append(w.coins, bitcoin.Coin{OutPoint: wire.OutPoint{Hash: tx.TxHash()}, Amount: amount, Path: path})
	}
	w.propose(w.order[0], &Proposal{Kind: Refresh})
	w.until(1, 60)
	tx := w.transaction(w.state())
	if len(tx.TxIn) != 1+4+2 || w.state().Pot != w.charter.Terms.PotTarget {
		t.Errorf("%d inputs, a pot of %v", len(tx.TxIn), w.state().Pot)
	}
}

// A deposit that vanishes before the transition is decided ends the attempt; one that
// vanishes afterwards ends it when that is final, and only then another descriptor is
// promised for the thread.
func TestDepositVanishes(t *testing.T) {
	for _, late := range []bool{false, true} {
		w := newWorld(t, 4, 2)
		w.holdKeys = true
		eve := w.applicant(10)
		w.propose(w.order[0], &Proposal{Kind: Refresh})
		for i := 0; w.honest().m.acting.phase != generating; i++ {
			if w.mine(1); i > 60 {
				t.Fatal("no batch")
			}
		}
		deposit := w.order[0].m.eras[0]
		var op wire.OutPoint
		for _, en := range deposit.entries {
			if en.proposal != nil && en.proposal.Kind == Join {
				op = en.proposal.Application.Deposit
			}
		}
		theft := wire.NewMsgTx(2)
		theft.AddTxIn(&wire.TxIn{PreviousOutPoint: op})
		if late {
			w.noMining = true
			w.release()
			w.mine(1)
			if w.honest().m.acting.phase != sealed {
				t.Fatal("no seal")
			}
			w.mempool, w.noMining, w.deadThread = nil, false, true
		}
		w.blocks = append(w.blocks, []*wire.MsgTx{theft})
		w.tips()
		w.settle()
		if late {
			w.mine(int(w.charter.Terms.Final) - 2)
			if got := w.honest().m.acting; got.phase != sealed || len(w.promised[got.state.ThreadOutPoint()]) != 1 {
				t.Error("given up before that is final")
			}
			w.mine(2)
		}
		w.release()
		w.until(1, 80)
		if has(w.state(), eve) || len(w.state().Members) != 4 {
			t.Errorf("late %v: %d members", late, len(w.state().Members))
		}
	}
}

// A member takes its bond by script; the rest goes on without it.
func TestExit(t *testing.T) {
	w := newWorld(t, 4, 2)
	gone := w.order[3]
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: w.state().BondOutPoint(w.state().Member(gone.card.Bond))})
	w.send(tx)
	w.until(1, 60)
	c := w.state().Changes
	if has(w.state(), gone) || len(c) != 1 || c[0].Kind != epoch.Exited {
		t.Fatalf("changes %+v", c)
	}
}

// A batch may not leave out for long who wants to go.
func TestHostage(t *testing.T) {
	w := newWorld(t, 4, 2)
	w.leave(w.order[0])
	w.propose(w.order[1], &Proposal{Kind: Refresh})
	w.mine(int(patience))
	m := w.order[2].m
	r := m.acting
	p := m.pick(r, m.chain.Height, func(en *entry) bool { return en.proposal.Kind == Refresh })
	full := m.pick(r, m.chain.Height, func(*entry) bool { return true })
	m.chain.Height = max(m.chain.Height, m.born(r)+bitcoin.Height(r.terms.MinEpoch))
	p.batch.height, full.batch.height = m.chain.Height, m.chain.Height
	if m.validBatch(r, p.batch) {
		t.Error("a batch without the one who leaves is accepted")
	}
	if !m.validBatch(r, full.batch) {
		t.Error("the batch with the one who leaves is refused")
	}
}

// Two members cannot use one host key, and nobody can announce another's.
func TestHostKeys(t *testing.T) {
	w := newWorld(t, 4, 2)
	r := w.order[0].m.acting
	if len(r.nextHosts()) != 4 || r.hosts[0] == nil {
		t.Fatal("no announcements")
	}
	stolen := append([]byte(nil), r.hosts[1][:]...)
	stolen = append(stolen, make([]byte, 64)...)
	if r.takeHost(0, stolen) == "" {
		t.Error("a key without signature")
	}
	r.hosts[0] = r.hosts[1]
	hosts := r.nextHosts()
	if sameX(hosts[0], hosts[1]) || hosts[0] != r.state.Members[0].Host {
		t.Error("two members with one key")
	}
	// A member announces the present key of one that announced nothing.
	r.hosts[2], r.hosts[0] = nil, &r.state.Members[2].Host
	if hosts := r.nextHosts(); sameX(hosts[0], hosts[2]) {
		t.Error("two members with one key")
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t, 4, 2)
	plain, err := NewCharter("x", "regtest", 3, w.charter.Cards)
	w.must(err)
	good := w.order[0].cfg
	for name, change := range map[string]func(*Config){
		"no terms":      func(c *Config) { c.Charter = plain },
		"no host keys":  func(c *Config) { c.Host = nil },
		"no randomness": func(c *Config) { c.Rand = nil },
		"other charter": func(c *Config) {
			other := *w.charter
			other.Name = "other"
			c.Charter = &other
		},
	} {
		cfg := good
		change(&cfg)
		if _, _, err := New(cfg, w.state()); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Restore(good, nil); !errors.Is(err, ErrRecords) {
		t.Error(err)
	}
}

// A member that was away until the others had forgotten starts again from proofs.
func TestAwayForLong(t *testing.T) {
	w := newWorld(t, 4, 2)
	away := w.order[3]
	away.m, away.down = nil, true
	w.applicant(10)
	w.until(1, 60)
	m, e, err := Restore(away.cfg, records(away))
	w.must(err)
	away.m, away.down, away.evil = m, false, true // its messages never come
	w.queue = nil
	w.apply(away, e)
	w.tip(away)
	if !away.lost || m.acting.number() != 0 {
		t.Fatalf("lost %v in epoch %d", away.lost, m.acting.number())
	}
	away.evil, away.disk = false, map[string][]byte{}
	w.boot(away, w.state())
	w.mine(12)
	w.leave(away)
	w.until(2, 60)
	if has(w.state(), away) {
		t.Error("not heard")
	}
}

func records(nd *node) (out []protocols.Record) {
	for k, v := range nd.disk {
		out = append(out, protocols.Record{Key: k, Value: v})
	}
	return out
}

// A reorganisation puts another variant of a transition into the chain: the epoch is
// the same, its outpoints are others. Who joined by the first one is told.
func TestAnotherVariantIsMined(t *testing.T) {
	w := newWorld(t, 4, 2)
	eve := w.applicant(10)
	for i := 0; len(w.honest().m.acting.seals) == 0; i++ {
		if w.mine(1); i > 60 {
			t.Fatal("no seal")
		}
	}
	w.noMining = true
	w.mine(8)
	s := w.honest().m.acting.seals[0]
	if len(s.signed) < 2 {
		t.Fatal("not bumped")
	}
	w.noMining, w.mempool = false, []*wire.MsgTx{s.signed[0]}
	w.until(1, 10)
	was := w.state()
	for i, b := range w.blocks {
		w.blocks[i] = slices.DeleteFunc(slices.Clone(b), func(tx *wire.MsgTx) bool { return tx.TxHash() == was.TxID })
	}
	w.blocks, w.mempool = append(w.blocks, []*wire.MsgTx{s.signed[1]}), nil
	w.tips()
	w.settle()
	if w.honest().m.acting.number() != 0 || eve.m.alive {
		t.Error("the epoch goes on without its transition")
	}
	w.mine(3)
	now := w.state()
	if now.Hash() != was.Hash() || now.TxID == was.TxID || eve.m.alive {
		t.Fatalf("%v after %v", now.TxID, was.TxID)
	}
	if _, err := eve.m.Moved(0, was); !errors.Is(err, ErrEpoch) {
		t.Errorf("moved to where it is: %v", err)
	}
	e, err := eve.m.Moved(0, now)
	w.must(err)
	w.apply(eve, e)
	w.tip(eve)
	w.mine(12)
	w.leave(eve)
	w.until(2, 60)
	if has(w.state(), eve) {
		t.Error("did not leave")
	}
}

// What is said above the tip has not happened.
func TestChainThatContradictsItself(t *testing.T) {
	w := newWorld(t, 4, 2)
	nd := w.order[0]
	c := w.view(nd.watch)
	for i := range c.Outputs {
		c.Outputs[i].SpentAt = c.Height + 1
	}
	if e := nd.m.Tip(0, c); nd.m.acting.number() != 0 || slices.ContainsFunc(e.Out, func(ev Event) bool { _, ok := ev.(EraseShares); return ok }) {
		t.Error("believed")
	}
}

// A federation of one renews itself, and nobody can leave it.
func TestAlone(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.leave(w.order[0])
	w.until(1, 150)
	if len(w.state().Members) != 1 || w.state().Threshold != 1 {
		t.Errorf("%d of %d", w.state().Threshold, len(w.state().Members))
	}
	bob := w.applicant(10)
	w.until(2, 60)
	if !has(w.state(), bob) {
		t.Error("not admitted")
	}
}

func TestView(t *testing.T) {
	w := newWorld(t, 4, 2)
	w.applicant(10)
	seen := map[Stage]bool{}
	w.holdKeys = true
	for i := 0; w.honest().m.acting.number() == 0; i++ {
		if w.mine(1); i > 60 {
			t.Fatal("no epoch")
		}
		v := w.honest().m.View()
		seen[v.Stage] = true
		if v.Stage == Generating && w.holdKeys {
			w.noMining = true
			w.release()
			seen[w.honest().m.View().Stage] = true
		} else {
			w.noMining = false
		}
	}
	for _, stage := range []Stage{Waiting, Generating, Signed, Mined} {
		if !seen[stage] {
			t.Errorf("never %v", stage)
		}
	}
	if v := w.honest().m.View(); v.Epoch != 1 || !v.Alive || !v.Member || v.Since == 0 || v.Height != w.height() {
		t.Errorf("%+v", v)
	}
}

// A member that committed to a value votes for no other, unless a quorum of a round
// since then did.
func TestLock(t *testing.T) {
	w := newWorld(t, 4, 2)
	m := w.order[0].m
	r := m.acting
	s := r.slot(0)
	mine, other := &value{kind: valueDrop, blamed: [][32]byte{{1}}}, &value{kind: valueDrop, blamed: [][32]byte{{2}}}
	a := &offer{hash: [32]byte{0xa}, value: mine, rests: -1}
	b := func(rests int) *round { return &round{offer: &offer{hash: [32]byte{0xb}, value: other, rests: rests}} }
	votes := func(n int) (out []*[32]byte) {
		out = make([]*[32]byte, 4)
		for i := range n {
			out[i] = &[32]byte{0xb}
		}
		return out
	}
	r.roundOf(s, 1).offer = a
	r.own[r.topic(topicCommit, 0, 1)] = a.hash[:]
	r.roundOf(s, 0).pre, r.roundOf(s, 2).pre = votes(3), votes(3)
	s.round = 3
	for name, c := range map[string]struct {
		rd   *round
		want bool
	}{
		"another value":                      {b(-1), false},
		"after a quorum before":              {b(0), false},
		"after a quorum since":               {b(2), true},
		"the same, after the same round":     {&round{offer: &offer{hash: a.hash, value: mine, rests: 1}}, false},
		"nothing":                            {&round{}, false},
		"after a quorum of this round":       {b(3), false},
		"after a quorum of a round with two": {b(1), false},
	} {
		if got := m.acceptable(r, 0, s, c.rd); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	r.roundOf(s, 2).pre = votes(2)
	if m.acceptable(r, 0, s, b(2)) {
		t.Error("after two votes of four")
	}
	if hash, at := r.locked(0); hash != a.hash || at != 1 {
		t.Errorf("locked at %d", at)
	}
}

// Who leaves cannot know the next key, and with one of four silent its vote is needed:
// it follows the two that know.
func TestLeaverFollows(t *testing.T) {
	w := newWorld(t, 4, 2)
	w.leave(w.order[0])
	w.order[1].evil = true
	w.tamper = dropping(topicPre, topicCommit, topicValue)(w)
	w.until(1, 60)
	if has(w.state(), w.order[0]) {
		t.Error("still a member")
	}
}

// One seed is one history.
func TestDeterministic(t *testing.T) {
	life := func() *world {
		w := newWorld(t, 4, 9)
		w.applicant(10)
		w.leave(w.order[0])
		w.until(1, 60)
		return w
	}
	a, b := life(), life()
	if !maps.EqualFunc(a.sent, b.sent, slices.Equal) || a.state().TxID != b.state().TxID {
		t.Error("two histories")
	}
}

// Nobody whose going would leave too few behind goes.
func TestDepartures(t *testing.T) {
	terms := testTerms()
	terms.Departs = 100
	for n := 1; n <= protocols.MaxMembers; n++ {
		f, threshold := protocols.MaxFaulty(n), terms.Threshold(n)
		d := terms.departures(n, threshold)
		if d < 0 || d > 0 && (d+f >= threshold || n-f-d < f+1) {
			t.Errorf("%d of %d may go", d, n)
		}
		if n > 3 && d == 0 {
			t.Errorf("nobody of %d may go", n)
		}
	}
}

// Even if all others say that a transition is dead, a member that sees it alive
// promises no other one.
func TestSecondPromise(t *testing.T) {
	w := newWorld(t, 4, 2)
	w.propose(w.order[0], &Proposal{Kind: Refresh})
	w.noMining = true
	for i := 0; len(w.order[0].m.acting.seals) == 0; i++ {
		if w.mine(1); i > 60 {
			t.Fatal("no seal")
		}
	}
	w.mempool = nil
	m := w.order[0].m
	r := m.acting
	first := r.seals[0]
	if m.valid(r, &value{kind: valueAbandon}, 3) {
		t.Error("may be abandoned although it can confirm")
	}
	first.abandoned = true
	second := &seal{slot: 9, proposal: first.proposal}
	r.seals = append(r.seals, second)
	for _, dead := range []bool{false, true} {
		if dead {
			first.missing = 1
			delete(m.outs, r.state.BondOutPoint(0))
		}
		var e effects
		m.promise(r, &e)
		if (second.promised != 0) != dead || (len(e.Persist) > 0) != dead {
			t.Errorf("dead %v: promised at %d", dead, second.promised)
		}
	}
}

// Who is caught lying does not get away by leaving.
func TestLeavingIsNoWayOut(t *testing.T) {
	w := newWorld(t, 4, 2)
	liar := w.order[1]
	w.leave(liar)
	e, err := w.order[2].m.Expel(0, liar.card.Bond, epoch.Equivocation, []byte{'p', liar.id})
	w.must(err)
	w.apply(w.order[2], e)
	w.settle()
	w.until(1, 60)
	c := w.state().Changes
	if len(c) != 1 || c[0].Kind != epoch.Removed || c[0].Class != epoch.Equivocation {
		t.Fatalf("changes %+v", c)
	}
	for _, out := range w.transaction(w.state()).TxOut {
		if string(out.PkScript) == string(script(liar.id)) {
			t.Errorf("paid %d", out.Value)
		}
	}
	// False accusations convince nobody.
	w.mine(12)
	for _, proof := range [][]byte{{'p', w.order[0].id}, {'x'}} {
		e, err := w.order[2].m.Expel(0, w.order[3].card.Bond, epoch.Equivocation, proof)
		w.must(err)
		w.apply(w.order[2], e)
		w.settle()
	}
	w.mine(40)
	if w.state().Number != 1 {
		t.Error("removed without proof")
	}
	for name, call := range map[string]func(m *Machine) error{
		"a stranger":    func(m *Machine) error { _, err := m.Expel(0, [32]byte{1}, epoch.Silence, nil); return err },
		"without proof": func(m *Machine) error { _, err := m.Expel(0, w.order[0].card.Bond, epoch.Fault, nil); return err },
		"by an outsider": func(*Machine) error {
			m, _, err := New(liar.cfg, w.state())
			w.must(err)
			_, err = m.Leave(0)
			return err
		},
	} {
		if call(w.order[2].m) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
