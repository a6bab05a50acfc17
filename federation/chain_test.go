package federation

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/protocols"
)

// payTo makes a transaction from nowhere with one output.
func (w *world) payTo(script []byte, amount int64) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{byte(len(w.blocks))}}})
	tx.AddTxOut(wire.NewTxOut(amount, script))
	return tx
}

func (w *world) derive(label string, path bitcoin.Path) bitcoin.Derived {
	w.t.Helper()
	k, err := w.cores[0].keys.find(label)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := k.root.Derive(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// Shares come back as results of jobs. Blocks that arrive before them are
// searched all the same.
func TestCoinsAreFoundBeforeTheShareIsBack(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.kill(2)
	w.hold(2)
	w.start(2)
	if _, err := w.cores[2].keys.find("main"); !errors.Is(err, ErrKeyNotReady) {
		t.Fatalf("the share is there already: %v", err)
	}
	w.fund("main", 1_000_000)
	w.release(2)
	if coins := w.cores[2].Coins(); len(coins) != 1 {
		t.Fatalf("coins %v", coins)
	}
	if got := w.cores[2].Keys()[0]; got.Label != "main" || got.Balance != 1_000_000 {
		t.Fatalf("key %+v", got)
	}
}

// A member that gets the key last looks through the blocks since the ceremony.
func TestRescanForALateKey(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.mine(nil, 0)
	w.hold(4)
	w.newKey("main")
	jobs := w.held[4] // the first message; the rest of the ceremony needs it
	w.held[4] = nil
	w.hold(4)
	for _, job := range jobs {
		w.settle(4, w.cores[4].Done(w.now, job.ID, job.Run()))
	}
	w.run()
	for len(w.held[4]) > 0 && w.cores[0].Keys()[0].Phase != "active" {
		jobs = w.held[4]
		w.hold(4)
		for _, job := range jobs {
			w.settle(4, w.cores[4].Done(w.now, job.ID, job.Run()))
		}
		w.run()
	}
	w.fund("main", 1_000_000)
	if len(w.cores[4].Coins()) != 0 {
		t.Fatal("the late member has the key already")
	}
	w.release(4)
	if coins := w.cores[4].Coins(); len(coins) != 1 || coins[0].Amount != 1_000_000 {
		t.Fatalf("coins %v", coins)
	}
	rescans := 0
	for _, d := range w.out[4] {
		if _, ok := d.(Rescan); ok {
			rescans++
		}
	}
	if rescans != 1 {
		t.Fatalf("%d rescans", rescans)
	}
}

// A proposer that names height 0 must not make everybody scan the whole chain.
func TestBirthOfTheProposerIsNotBelieved(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.mine(nil, 0)
	w.mine(nil, 0)
	w.do(1, func(core *Core) (Effects, error) {
		var out Effects
		payload := (&ceremony{Label: "main", T: w.charter.Threshold, MinMembers: w.charter.N()}).encode()
		id := core.proposalID(ceremonyTag, core.cfg.Self, payload)
		return out, core.broadcast(w.now, &out, topic(topicKey, id), payload)
	})
	for i, core := range w.cores {
		if from, _ := core.OldestBirth(); len(core.Keys()) != 1 || from != 2 {
			t.Errorf("member %d searches from %d", i, from)
		}
		for _, d := range w.out[i] {
			if r, ok := d.(Rescan); ok {
				t.Errorf("member %d scans again from %d", i, r.From)
			}
		}
	}
}

// Blocks replaced during a ceremony may pay its key at their height.
func TestReorgDuringACeremony(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.mine(nil, 0)
	w.mine(nil, 0)
	w.hold(3)
	w.newKey("main")
	w.unmine()
	if got, _ := w.cores[3].OldestBirth(); got != 1 {
		t.Errorf("searches from %d, the reorg began at 2", got)
	}
	w.kill(3)
	w.start(3)
	if got, _ := w.cores[3].OldestBirth(); got != 1 {
		t.Errorf("after a restart: searches from %d", got)
	}
}

// One block may pay an address and one that is watched only since then.
func TestFarAddressInTheSameBlock(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	ahead := uint32(w.configs[0].Gap+1) * 4
	near := w.payTo(w.derive("main", bitcoin.Path{Branch: bitcoin.Receive, Index: 0}).Script, 1000)
	far := w.payTo(w.derive("main", bitcoin.Path{Branch: bitcoin.Receive, Index: ahead}).Script, 2000)
	w.mine(nil, 0, far, near)
	for i, core := range w.cores {
		if len(core.Coins()) != 2 {
			t.Errorf("member %d sees %d coins", i, len(core.Coins()))
		}
	}
}

// Anyone can make outputs without value; they must not stand in the way.
func TestCoinsWithoutValueAreIgnored(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 0)
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.wantState(w.pay(0, list), StateSigned)
}

func TestBlocksMustConnect(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.mine(nil, 0)
	core := w.cores[0]
	for name, try := range map[string]func() (Effects, error){
		"again":       func() (Effects, error) { return core.BlockConnected(w.now, 1, w.blocks[1]) },
		"gap":         func() (Effects, error) { return core.BlockConnected(w.now, 3, w.blocks[1]) },
		"other chain": func() (Effects, error) { return core.BlockConnected(w.now, 2, &wire.MsgBlock{}) },
		"not the tip": func() (Effects, error) { return core.BlockDisconnected(w.now, 0, w.blocks[0].BlockHash()) },
		"wrong hash":  func() (Effects, error) { return core.BlockDisconnected(w.now, 1, chainhash.Hash{1}) },
	} {
		if e, err := try(); !errors.Is(err, errChainOrder) || len(e.Persist)+len(e.Out) != 0 {
			t.Errorf("%s: %v, effects %v", name, err, e)
		}
	}
	if tip, _ := core.ledger.tip(); tip.Height != 1 {
		t.Errorf("tip %v", tip)
	}
}

// Change indices of transactions that never confirm must not run away from what
// members watch that know blocks only.
func TestChangeStaysWithinWhatIsWatched(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	core := w.cores[0]
	k, err := core.keys.find("main")
	if err != nil {
		t.Fatal(err)
	}
	var out Effects
	highest := uint32(0)
	for range 200 {
		next := (&view{Core: core, key: k.threshPK, plan: true}).NextChange()
		core.approvedChange(&out, k, next)
		highest = max(highest, next)
	}
	const policyGap = 20
	limit := (&view{Core: core, key: k.threshPK}).NextChange() + policyGap
	if highest >= limit || limit >= k.watched[bitcoin.Change] {
		t.Fatalf("proposes up to %d, allows below %d, watches below %d", highest, limit, k.watched[bitcoin.Change])
	}
}

// The history of blocks is bounded, on disk too.
func TestBlocksAreForgotten(t *testing.T) {
	l := newLedger()
	disk := make(map[string]bool)
	var prev chainhash.Hash
	for h := range keepBlocks + 50 {
		b := &wire.MsgBlock{Header: wire.BlockHeader{PrevBlock: prev, Nonce: uint32(h)}}
		prev = b.BlockHash()
		nobody := func(*wire.TxOut) (KeyID, bitcoin.Path, bool) { return KeyID{}, bitcoin.Path{}, false }
		for _, r := range l.connect(BlockID{bitcoin.Height(h), prev}, b, nobody) {
			if disk[r.Key] = true; r.Value == nil {
				delete(disk, r.Key)
			}
		}
	}
	if len(l.blocks) != keepBlocks || len(disk) != keepBlocks {
		t.Fatalf("%d blocks in memory, %d on disk", len(l.blocks), len(disk))
	}
	if _, ok := l.hashAt(49); ok {
		t.Error("a forgotten block has a hash")
	}
	if got, ok := l.hashAt(keepBlocks + 49); !ok || got != prev {
		t.Error("the tip has no hash")
	}
}

// Records name what they hold; a damaged key must not crash the start.
func TestDamagedRecordKeys(t *testing.T) {
	w := newWorld(t, 4, nil)
	for _, key := range []string{"f/b", "f/c", "f/b/x", "f/p/00", "f/a", "f/r/zz", "f/v/" + KeyID{}.String(), "f/x", "nothing"} {
		if _, _, err := Restore(w.now, w.configs[0], []protocols.Record{{Key: key, Value: []byte{1}}}); err == nil {
			t.Errorf("%q is accepted", key)
		}
	}
}
