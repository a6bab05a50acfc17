package federation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

// world is a federation with a perfect network, whose disks can be read back.
type world struct {
	t       testing.TB
	charter *membership.Charter
	configs []Config
	cores   []*Core // nil while down
	disks   []map[string][]byte
	queue   []packet
	out     [][]Decision
	now     protocols.Time
	blocks  []*wire.MsgBlock
	held    map[int][]protocols.Job  // jobs of members whose processor is busy elsewhere
	sent    func(protocols.Envelope) // sees every frame; may be nil
	faulty  map[protocols.NodeID]bool
	faults  []protocols.Fault // of those
	older   bool              // a member was given an older disk: one may say so
}

type packet struct {
	from, to int
	env      protocols.Envelope
}

func newWorld(t testing.TB, n int, change func(i int, cfg *Config)) *world {
	t.Helper()
	w := &world{t: t, now: 1}
	keys := make(map[[33]byte]*memberkey.Keys)
	var cards []*membership.Card
	for i := range n {
		k, err := memberkey.Derive(bytes.Repeat([]byte{byte(i + 1)}, 32), 0)
		if err != nil {
			t.Fatal(err)
		}
		card, err := membership.NewCard(k, fmt.Sprintf("member%d", i), 1, nil, func() [32]byte { return [32]byte{1} })
		if err != nil {
			t.Fatal(err)
		}
		keys[k.Host.Public()] = k
		cards = append(cards, card)
	}
	charter, err := membership.NewCharter("test", "regtest", 0, cards)
	if err != nil {
		t.Fatal(err)
	}
	w.charter = charter
	for i, card := range charter.Cards {
		var seed [32]byte
		seed[0] = byte(i)
		cfg := Config{Charter: charter, Self: card.NodeID(), Host: &keys[card.Host].Host, Policy: policy.DefaultConfig(),
			Rand: rand.NewChaCha8(seed), Gap: 3, Version: "test"}
		cfg.Policy.MinConfirmations = 1
		if change != nil {
			change(i, &cfg)
		}
		w.configs = append(w.configs, cfg)
		w.disks = append(w.disks, make(map[string][]byte))
		w.cores = append(w.cores, nil)
		w.out = append(w.out, nil)
	}
	w.blocks = []*wire.MsgBlock{{Header: wire.BlockHeader{Version: 1}}}
	for i := range n {
		w.start(i)
	}
	w.run()
	return w
}

// start starts or restarts a member from its disk.
func (w *world) start(i int) {
	w.t.Helper()
	core, e, err := Restore(w.now, w.configs[i], w.records(i))
	if err != nil {
		w.t.Fatal(err)
	}
	w.cores[i] = core
	w.settle(i, e)
	w.settle(i, core.ChainReady(w.now, true))
	w.follow(i)
	for j, other := range w.cores {
		if j != i && other != nil {
			w.settle(i, core.PeerUp(w.now, w.configs[j].Self))
			w.settle(j, other.PeerUp(w.now, w.configs[i].Self))
		}
	}
}

func (w *world) records(i int) []protocols.Record {
	var records []protocols.Record
	for _, key := range sortedKeys(w.disks[i]) {
		records = append(records, protocols.Record{Key: key, Value: w.disks[i][key]})
	}
	return records
}

// follow brings a member to the tip.
func (w *world) follow(i int) {
	w.t.Helper()
	next := 0
	if tip, ok := w.cores[i].ledger.tip(); ok {
		next = int(tip.Height) + 1
	}
	for h := next; h < len(w.blocks); h++ {
		w.connect(i, h)
	}
}

// hold stops the jobs of a member, release lets them go on.
func (w *world) hold(i int) { w.held = map[int][]protocols.Job{i: nil} }

func (w *world) release(i int) {
	w.t.Helper()
	jobs := w.held[i]
	w.held = nil
	for _, job := range jobs {
		w.settle(i, w.cores[i].Done(w.now, job.ID, job.Run()))
	}
	w.run()
}

func sortedKeys(m map[string][]byte) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (w *world) kill(i int) {
	w.cores[i] = nil
	for j, other := range w.cores {
		if other != nil {
			w.settle(j, other.PeerDown(w.now, w.configs[i].Self))
		}
	}
}

// settle does a driver's duty at once.
func (w *world) settle(i int, e Effects) {
	w.t.Helper()
	for _, r := range e.Persist {
		if r.Value == nil {
			delete(w.disks[i], r.Key)
		} else {
			w.disks[i][r.Key] = r.Value
		}
	}
	for _, f := range e.Faults {
		if w.faulty[f.Culprit] {
			w.faults = append(w.faults, f)
			continue
		}
		w.t.Errorf("member %d blames an honest one: %s %s", i, f.Kind, f.Detail)
	}
	for _, env := range e.Send {
		if w.sent != nil {
			w.sent(env)
		}
		to := w.charter.Index(env.To)
		w.queue = append(w.queue, packet{i, to, env})
	}
	w.out[i] = append(w.out[i], e.Out...)
	if jobs, busy := w.held[i]; busy {
		w.held[i] = append(jobs, e.Work...)
		e.Work = nil
	}
	for _, d := range e.Out {
		switch d := d.(type) {
		case Rescan:
			w.follow(i)
		case RestoredOlder:
			if !w.older {
				w.t.Errorf("member %d takes its disk for an older one: %+v", i, d)
			}
		}
	}
	for _, job := range e.Work {
		w.settle(i, w.cores[i].Done(w.now, job.ID, job.Run()))
	}
}

// run delivers until nothing moves, letting time pass when the network is quiet.
func (w *world) run() {
	w.t.Helper()
	for quiet := 0; quiet < 40; quiet++ {
		if w.step() {
			quiet = 0
		}
	}
}

// step delivers what is on its way, or lets time pass if nothing is.
func (w *world) step() (moved bool) {
	w.t.Helper()
	for i, core := range w.cores {
		if core != nil {
			w.settle(i, core.Tick(w.now))
		}
	}
	if len(w.queue) == 0 {
		w.now += 250
		return false
	}
	batch := w.queue
	w.queue = nil
	for _, p := range batch {
		if core := w.cores[p.to]; core != nil {
			w.settle(p.to, core.Step(w.now, w.configs[p.from].Self, p.env.Protocol, p.env.Body))
		}
	}
	w.now += 5
	return true
}

func (w *world) do(i int, f func(core *Core) (Effects, error)) {
	w.t.Helper()
	e, err := f(w.cores[i])
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle(i, e)
	w.run()
}

func (w *world) connect(i, height int) {
	w.t.Helper()
	e, err := w.cores[i].BlockConnected(w.now, bitcoin.Height(height), w.blocks[height])
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle(i, e)
}

// mine adds a block with a coinbase that pays script (nil: nobody) and txs.
func (w *world) mine(script []byte, amount int64, txs ...*wire.MsgTx) {
	w.t.Helper()
	w.addBlock(script, amount, txs...)
	w.run()
}

func (w *world) addBlock(script []byte, amount int64, txs ...*wire.MsgTx) {
	w.t.Helper()
	height := len(w.blocks)
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff}, SignatureScript: binary.BigEndian.AppendUint32(nil, uint32(height))})
	coinbase.AddTxOut(wire.NewTxOut(amount, script))
	block := &wire.MsgBlock{Header: wire.BlockHeader{Version: 1, PrevBlock: w.blocks[height-1].BlockHash(), Nonce: uint32(height)}}
	block.Transactions = append([]*wire.MsgTx{coinbase}, txs...)
	block.Header.MerkleRoot = coinbase.TxHash()
	w.blocks = append(w.blocks, block)
	for i, core := range w.cores {
		if core != nil {
			w.connect(i, height)
		}
	}
}

func (w *world) unmine() {
	w.t.Helper()
	height := len(w.blocks) - 1
	for i, core := range w.cores {
		if core == nil {
			continue
		}
		e, err := core.BlockDisconnected(w.now, bitcoin.Height(height), w.blocks[height].BlockHash())
		if err != nil {
			w.t.Fatal(err)
		}
		w.settle(i, e)
	}
	w.blocks = w.blocks[:height]
	w.run()
}

func (w *world) newKey(label string) {
	w.t.Helper()
	w.do(0, func(core *Core) (Effects, error) {
		_, e, err := core.NewKey(w.now, label)
		return e, err
	})
}

// fund pays an ordinary coin to an address of the key.
func (w *world) fund(label string, amount int64) {
	w.t.Helper()
	var script []byte
	w.do(0, func(core *Core) (Effects, error) {
		d, e, err := core.NewAddress(w.now, label)
		script = d.Script
		return e, err
	})
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{byte(len(w.blocks))}}})
	tx.AddTxOut(wire.NewTxOut(amount, script))
	w.mine(nil, 0, tx)
}

func payouts(t testing.TB, reference string, count int, sats bitcoin.Sat) bitcoin.PayoutList {
	t.Helper()
	var payees []bitcoin.Payee
	for i := range count {
		script := append([]byte{0x00, 0x14}, bytes.Repeat([]byte{byte(i + 1)}, 20)...)
		payees = append(payees, bitcoin.Payee{Script: script, Amount: sats + bitcoin.Sat(i)})
	}
	list, err := bitcoin.NewPayoutList(bitcoin.Regtest, reference, payees)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (w *world) addList(list bitcoin.PayoutList, members ...int) {
	for _, i := range members {
		w.do(i, func(core *Core) (Effects, error) { return core.AddPayoutList(w.now, list), nil })
	}
}

func (w *world) pay(i int, list bitcoin.PayoutList) RequestID {
	w.t.Helper()
	var id RequestID
	w.do(i, func(core *Core) (Effects, error) {
		var e Effects
		var err error
		id, e, err = core.Pay(w.now, PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
		return e, err
	})
	return id
}

func (w *world) state(i int, id RequestID) State {
	w.t.Helper()
	v, err := w.cores[i].Request(id.String())
	if err != nil {
		w.t.Fatal(err)
	}
	return v.State
}

func (w *world) wantState(id RequestID, want State) {
	w.t.Helper()
	for i, core := range w.cores {
		if core != nil && w.state(i, id) != want {
			v, _ := core.Request(id.String())
			w.t.Fatalf("member %d: request is %s, want %s; verdicts %v", i, v.State, want, v.Verdicts)
		}
	}
}

var all = []int{0, 1, 2, 3, 4}

func TestKeyPayoutConfirmation(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	for i, core := range w.cores {
		keys := core.Keys()
		if len(keys) != 1 || keys[0].Phase != "complete" || keys[0].Acks != 5 || keys[0].Xpub != w.cores[0].Keys()[0].Xpub {
			t.Fatalf("member %d: keys %+v", i, keys)
		}
	}
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 20, 10_000)
	w.addList(list, all...)
	id := w.pay(2, list)
	w.wantState(id, StateSigned)
	v, _ := w.cores[4].Request(id.String())
	w.mine(nil, 0, v.Tx)
	w.wantState(id, StateConfirmed)
	for _, m := range w.cores[0].Members() {
		if int(m.Height) != len(w.blocks)-1 {
			t.Errorf("%s is said to be at block %d", m.Name, m.Height)
		}
	}
	for i, core := range w.cores {
		if got := core.Keys()[0]; got.Balance == 0 || got.Pending != 0 {
			t.Errorf("member %d: balance %v, pending %v", i, got.Balance, got.Pending)
		}
	}
}

func TestTamperedTransactionIsRefused(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, all...)
	_, spend, err := w.cores[1].PlanPayout(PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
	if err != nil {
		t.Fatal(err)
	}
	tampered := spend.Tx.Copy()
	tampered.TxOut[0].PkScript = append([]byte{0x00, 0x14}, bytes.Repeat([]byte{0xee}, 20)...)
	req := PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2), Tx: tampered}
	if _, _, err := w.cores[1].Pay(w.now, req); err == nil || !strings.Contains(err.Error(), string(policy.OutputsDiffer)) {
		t.Fatalf("own policy: %v", err)
	}
	req.Force = true
	var id RequestID
	w.do(1, func(core *Core) (Effects, error) {
		var e Effects
		var err error
		id, e, err = core.Pay(w.now, req)
		return e, err
	})
	w.wantState(id, StateRefused)
	v, _ := w.cores[0].Request(id.String())
	if len(v.Verdicts) != 5 {
		t.Fatalf("verdicts %v", v.Verdicts)
	}
	for _, m := range v.Verdicts {
		if m.Verdict.Rule != policy.OutputsDiffer {
			t.Errorf("%v", m.Verdict)
		}
	}
	w.wantState(w.pay(3, list), StateSigned) // the list can still be paid
}

func TestOneMemberDownAndBack(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	first, second := payouts(t, "week 1", 3, 10_000), payouts(t, "week 2", 3, 10_000)
	w.addList(first, all...)
	w.addList(second, all...)
	w.kill(3)
	id := w.pay(0, first)
	w.wantState(id, StateSigned)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	w.wantState(id, StateConfirmed)
	w.start(3)
	w.run()
	if got := w.state(3, id); got != StateConfirmed {
		t.Fatalf("the member that came back: %s", got)
	}
	w.kill(1) // now it is needed
	id = w.pay(3, second)
	w.wantState(id, StateSigned)
}

func TestListArrivesLate(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2)
	id := w.pay(0, list)
	if got := w.state(4, id); got != StateWaiting {
		t.Fatalf("without the list: %s", got)
	}
	w.addList(list, 4)
	if got := w.state(0, id); got != StateSigned {
		t.Fatalf("with four lists: %s", got)
	}
	w.addList(list, 3)
	w.wantState(id, StateSigned)
}

func TestListIsPaidOnce(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, all...)
	id := w.pay(0, list)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	if _, _, err := w.cores[1].Pay(w.now, PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)}); err == nil ||
		!strings.Contains(err.Error(), string(policy.PayoutPaid)) {
		t.Fatalf("got %v", err)
	}
}

// A second attempt must share a coin with the first, so that one at most confirms.
func TestReplacementSharesACoin(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 2_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, all...)
	first := w.pay(0, list)
	var second RequestID
	w.do(1, func(core *Core) (Effects, error) {
		var e Effects
		var err error
		second, e, err = core.Pay(w.now, PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(5)})
		return e, err
	})
	w.wantState(second, StateSigned)
	a, _ := w.cores[0].Request(first.String())
	b, _ := w.cores[0].Request(second.String())
	shared := false
	for _, x := range a.Tx.TxIn {
		for _, y := range b.Tx.TxIn {
			shared = shared || x.PreviousOutPoint == y.PreviousOutPoint
		}
	}
	if !shared {
		t.Fatal("both transactions can confirm")
	}
	w.mine(nil, 0, b.Tx)
	w.wantState(second, StateConfirmed)
	w.wantState(first, StateReplaced)
}

func TestReorg(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, all...)
	id := w.pay(0, list)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	w.wantState(id, StateConfirmed)
	for i := range w.out {
		w.out[i] = nil
	}
	w.unmine()
	w.wantState(id, StateSigned)
	for i, decisions := range w.out {
		sent := false
		for _, d := range decisions {
			if s, ok := d.(Submit); ok && s.Request == id {
				sent = true
			}
		}
		if !sent {
			t.Errorf("member %d does not send the transaction again", i)
		}
	}
	w.mine(nil, 0, v.Tx)
	w.wantState(id, StateConfirmed)
}

func TestEveryRestartKeepsEverything(t *testing.T) {
	w := newWorld(t, 4, nil)
	restart := func() {
		for i := range w.cores {
			w.kill(i)
		}
		for i := range w.cores {
			w.start(i)
		}
		w.run()
	}
	w.newKey("main")
	restart()
	w.fund("main", 1_000_000)
	restart()
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	restart()
	id := w.pay(0, list)
	restart()
	w.wantState(id, StateSigned)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	restart()
	w.wantState(id, StateConfirmed)
	before := w.cores[0].Keys()[0]
	if before.Issued != 1 {
		t.Errorf("issued %d addresses", before.Issued)
	}
}

func TestAddressesDifferAndAreLimited(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	seen := make(map[string]bool)
	for _, core := range w.cores {
		for range w.configs[0].Gap {
			d, _, err := core.NewAddress(w.now, "main")
			if err != nil || seen[d.Address] {
				t.Fatalf("%s twice, or %v", d.Address, err)
			}
			seen[d.Address] = true
		}
		if _, _, err := core.NewAddress(w.now, "main"); err != ErrGap {
			t.Fatalf("beyond the gap: %v", err)
		}
	}
}

func TestMessageNeedsACommand(t *testing.T) {
	w := newWorld(t, 4, func(_ int, cfg *Config) { cfg.Policy.External = []string{"judge"} })
	w.newKey("main")
	var id RequestID
	w.do(0, func(core *Core) (Effects, error) {
		var e Effects
		var err error
		id, e, err = core.SignMessage(w.now, "main", []byte("hello"), false)
		return e, err
	})
	for i, core := range w.cores {
		for _, d := range w.out[i] {
			if ask, ok := d.(AskExternal); ok {
				w.settle(i, core.ExternalVerdict(w.now, ask.Request, policy.Verdict{Allow: i != 3, Rule: policy.Allowed}))
			}
		}
	}
	w.run()
	for i := range 3 {
		if got := w.state(i, id); got != StateSigned {
			t.Errorf("member %d: %s", i, got)
		}
	}
}

// More ceremonies than key generation runs at once are worked off in turn.
func TestManyKeysAtOnce(t *testing.T) {
	w := newWorld(t, 4, nil)
	const keys = 7
	for i := range keys {
		_, e, err := w.cores[i%4].NewKey(w.now, fmt.Sprintf("key%d", i))
		if err != nil {
			t.Fatal(err)
		}
		w.settle(i%4, e)
	}
	w.run()
	for i, core := range w.cores {
		active := 0
		for _, k := range core.Keys() {
			if k.ID != (KeyID{}) {
				active++
			}
		}
		if active != keys {
			t.Errorf("member %d has %d of %d keys", i, active, keys)
		}
	}
}
