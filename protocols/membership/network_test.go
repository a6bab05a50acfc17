package membership

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

// world is a chain, and members on it whose machines talk over an ideal reliable
// broadcast in random order. Key generation is a draw; signing takes t members that
// ask for the same transaction. Each member has a disk.
type world struct {
	testing.TB
	rng     *rand.Rand
	charter *Charter
	nodes   map[protocols.NodeID]*node
	order   []*node
	queue   []letter
	sent    map[string][]byte // by sender and topic

	blocks  [][]*wire.MsgTx // from height 1
	mempool []*wire.MsgTx

	keys       map[[33]byte]*btcec.PrivateKey
	ceremonies map[[32]byte]*drawn
	asked      map[chainhash.Hash]map[protocols.NodeID]bool // who asked to sign what
	sigs       map[chainhash.Hash][][64]byte
	promised   map[wire.OutPoint]map[[32]byte]bool // descriptors that honest members signed for
	failing    func(StartCeremony) *drawn          // nil result: as ever
	tamper     func(from *node, topic string, payload []byte) [][2]any
	crash      func(n *node) crashAt
	silent     []protocols.NodeID
	feerate    bitcoin.SatPerKWU
	coins      []bitcoin.Coin
	deadThread bool // two descriptors are expected
	tellMoves  bool // members show those who joined what is mined
	noMining   bool // transactions stay in the pool
	holdKeys   bool // key generation takes its time
}

type crashAt int

const (
	noCrash crashAt = iota
	beforeCommit
	afterCommit
)

// drawn is a ceremony's outcome.
type drawn struct {
	key      [33]byte
	parts    []protocols.NodeID // nil: failed
	culprits []protocols.NodeID
	started  map[protocols.NodeID]bool
}

type node struct {
	id     byte
	card   *Card
	cfg    Config
	m      *Machine
	disk   map[string][]byte
	watch  []wire.OutPoint
	down   bool
	evil   bool
	lost   bool // saw a transaction that it did not know
	policy Verdict
	events []Event
	faults []protocols.Fault
	active *epoch.State
	shares map[uint32]bool
	boots  int
}

type letter struct {
	to      *node
	from    protocols.NodeID
	topic   string
	payload []byte
}

func seedOf(id byte) []byte { return bytes.Repeat([]byte{id + 1}, memberkey.SeedSize) }

func keysOf(t testing.TB, id byte, number uint32) *memberkey.Keys {
	keys, err := memberkey.Derive(seedOf(id), number)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func script(id byte) []byte {
	h := sha256.Sum256([]byte{id})
	return append([]byte{0x00, 0x14}, h[:20]...)
}

func testTerms() Terms {
	return Terms{
		Terms: epoch.Terms{Delay: 300, DepositDelay: 80, Depth: 3, MinBond: epoch.MinBond, EntryFee: 50_000,
			MaxFeeRate: bitcoin.PerVByte(16), Penalties: [3]uint16{500, 2_000, 10_000}},
		Num: 2, Den: 3, Final: 10, MinEpoch: 10, Refresh: 100, Window: 60, Round: 2, Keygen: 12, Bump: 6, Silent: 8,
		Joins: 2, Departs: 2, PotTarget: 100_000,
	}
}

func newWorld(t testing.TB, n int, seed uint64, change ...func(*Terms)) *world {
	w := &world{TB: t, rng: rand.New(rand.NewPCG(seed, 7)), nodes: map[protocols.NodeID]*node{}, sent: map[string][]byte{},
		keys: map[[33]byte]*btcec.PrivateKey{}, ceremonies: map[[32]byte]*drawn{}, asked: map[chainhash.Hash]map[protocols.NodeID]bool{},
		sigs: map[chainhash.Hash][][64]byte{}, promised: map[wire.OutPoint]map[[32]byte]bool{}, feerate: bitcoin.PerVByte(2)}
	var cards []*Card
	for i := range n {
		cards = append(cards, w.person(byte(i)).card)
	}
	terms := testTerms()
	for _, f := range change {
		f(&terms)
	}
	var err error
	w.charter, err = NewBonded("test", "regtest", cards, terms)
	w.must(err)
	state := w.found()
	for _, nd := range w.order {
		w.boot(nd, state)
	}
	w.mine(3)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) person(id byte) *node {
	card, err := NewCard(keysOf(w, id, 0), fmt.Sprintf("member-%d", id), 1, nil, func() [32]byte { return [32]byte{id} })
	w.must(err)
	nd := &node{id: id, card: card, disk: map[string][]byte{}, policy: Approve, shares: map[uint32]bool{}}
	nd.cfg = Config{Self: card.NodeID(),
		Host:   func(number uint32) (HostSigner, error) { return &keysOf(w, id, number).Host, nil },
		Policy: func(*Proposal) Verdict { return nd.policy },
		Evidence: func(proof []byte) (protocols.NodeID, epoch.Class, error) {
			if len(proof) != 2 || proof[0] != 'p' {
				return "", 0, fmt.Errorf("no proof")
			}
			for _, o := range w.order {
				if o.id == proof[1] {
					return o.cfg.Self, epoch.Equivocation, nil
				}
			}
			return "", 0, fmt.Errorf("nobody")
		}}
	w.nodes[nd.cfg.Self] = nd
	w.order = append(w.order, nd)
	return nd
}

func (w *world) boot(nd *node, state *epoch.State) {
	crash := w.crash
	w.crash = nil // without its first commit there is no member
	defer func() { w.crash = crash }()
	nd.cfg.Charter = w.charter
	nd.cfg.Rand = rand.NewChaCha8([32]byte{nd.id})
	m, e, err := New(nd.cfg, state)
	w.must(err)
	nd.m = m
	w.apply(nd, e)
	w.tip(nd)
}

func (w *world) draw(label string) [33]byte {
	seed := sha256.Sum256([]byte(label))
	priv, _ := btcec.PrivKeyFromBytes(seed[:])
	key := [33]byte(priv.PubKey().SerializeCompressed())
	w.keys[key] = priv
	return key
}

// found makes epoch 0 and mines its transaction.
func (w *world) found() *epoch.State {
	d := epoch.Descriptor{Network: bitcoin.Regtest, Federation: w.charter.ID(), Key: w.draw("epoch 0"), Threshold: w.charter.Threshold, Terms: w.charter.Terms.Terms}
	for _, nd := range w.order {
		d.Members = append(d.Members, epoch.Member{Host: nd.card.Host, Peer: string(nd.cfg.Self), Bond: nd.card.Bond, Refund: script(nd.id), Value: epoch.MinBond})
	}
	d.Sort()
	ep, err := epoch.New(d)
	w.must(err)
	p := epoch.Proposal{Next: ep, FeeRate: bitcoin.PerVByte(2)}
	for _, nd := range w.order {
		p.Deposits = append(p.Deposits, epoch.Deposit{Bond: nd.card.Bond, OutPoint: w.deposit(ep, nd, epoch.MinBond)})
	}
	t, err := epoch.Build(nil, p)
	w.must(err)
	w.block()
	w.send(w.signAll(t))
	w.block()
	return t.State()
}

// deposit pays an applicant's deposit out of nowhere.
func (w *world) deposit(e *epoch.Epoch, nd *node, value bitcoin.Sat) wire.OutPoint {
	out, err := e.Deposit(nd.card.Bond)
	w.must(err)
	tx := wire.NewMsgTx(2)
	from := sha256.Sum256(binary.BigEndian.AppendUint64([]byte{nd.id}, w.rng.Uint64()))
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: from}})
	tx.AddTxOut(wire.NewTxOut(int64(value+w.charter.Terms.EntryFee), out.Script))
	w.send(tx)
	return wire.OutPoint{Hash: tx.TxHash()}
}

func (w *world) signAll(t *epoch.Transition) *wire.MsgTx {
	tx, err := t.Spend.Finish(w.signatures(t, t.Next.Key))
	w.must(err)
	return tx
}

// signatures signs as t members with shares of key do together: tweaks are applied as
// BIP 445 applies them to shares.
func (w *world) signatures(t *epoch.Transition, key [33]byte) [][64]byte {
	hashes, err := t.Spend.Sighashes()
	w.must(err)
	var out [][64]byte
	for i, h := range hashes {
		k := w.keys[key].Key
		for j, tweak := range t.Spend.Inputs[i].Derived.Tweaks {
			priv := btcec.PrivateKey{Key: k}
			if t.Spend.Inputs[i].Derived.XOnly[j] && priv.PubKey().SerializeCompressed()[0] == 3 {
				k.Negate()
			}
			var s btcec.ModNScalar
			s.SetBytes(&tweak)
			k.Add(&s)
		}
		sig, err := schnorr.Sign(&btcec.PrivateKey{Key: k}, h[:])
		w.must(err)
		out = append(out, [64]byte(sig.Serialize()))
	}
	return out
}

// send puts a transaction into the pool unless it is there, mined, or conflicts with a
// mined one. Of two that conflict in the pool the later replaces the earlier.
func (w *world) send(tx *wire.MsgTx) {
	for _, b := range w.blocks {
		for _, o := range b {
			if o.TxHash() == tx.TxHash() || conflict(o, tx) {
				return
			}
		}
	}
	w.mempool = slices.DeleteFunc(w.mempool, func(o *wire.MsgTx) bool { return conflict(o, tx) })
	w.mempool = append(w.mempool, tx)
}

func conflict(a, b *wire.MsgTx) bool {
	for _, x := range a.TxIn {
		for _, y := range b.TxIn {
			if x.PreviousOutPoint == y.PreviousOutPoint {
				return true
			}
		}
	}
	return false
}

func (w *world) height() bitcoin.Height { return bitcoin.Height(len(w.blocks)) }

// block mines the pool, without telling anybody.
func (w *world) block() {
	var txs []*wire.MsgTx
	if !w.noMining {
		txs, w.mempool = w.mempool, nil
	}
	w.blocks = append(w.blocks, txs)
}

// mine mines n blocks and lets everybody talk after each.
func (w *world) mine(n int) {
	w.Helper()
	for range n {
		w.block()
		w.tips()
		w.settle()
	}
	w.agree()
}

// reorg undoes n blocks, puts what was in them back into the pool, and makes one more
// empty one than there were.
func (w *world) reorg(n int) {
	w.Helper()
	cut := max(len(w.blocks)-n, 2) // the founding stays
	n = len(w.blocks) - cut
	var back []*wire.MsgTx
	for _, b := range w.blocks[cut:] {
		back = append(back, b...)
	}
	w.blocks = w.blocks[:cut]
	for range n + 1 {
		w.blocks = append(w.blocks, nil)
	}
	pool := w.mempool
	w.mempool = nil
	for _, tx := range append(back, pool...) {
		w.send(tx)
	}
	w.tips()
	w.settle()
	w.agree()
}

func (w *world) tips() {
	for _, nd := range w.order {
		if nd.m != nil && !nd.down {
			w.tip(nd)
		}
	}
}

// view is the chain as asked for.
func (w *world) view(watch []wire.OutPoint) Chain {
	c := Chain{Height: w.height(), FeeRate: w.feerate, Silent: w.silent, Coins: w.coins}
	for _, op := range watch {
		o := Output{OutPoint: op}
		for i, b := range w.blocks {
			for _, tx := range b {
				if tx.TxHash() == op.Hash && int(op.Index) < len(tx.TxOut) {
					out := tx.TxOut[op.Index]
					o.Value, o.Script, o.Height = bitcoin.Sat(out.Value), out.PkScript, bitcoin.Height(i+1)
				}
				for _, in := range tx.TxIn {
					if in.PreviousOutPoint == op {
						o.SpentAt, o.SpentBy = bitcoin.Height(i+1), tx.TxHash()
					}
				}
			}
		}
		c.Outputs = append(c.Outputs, o)
	}
	return c
}

func (w *world) tip(nd *node) {
	for range 5 {
		before := slices.Clone(nd.watch)
		w.apply(nd, nd.m.Tip(0, w.view(nd.watch)))
		if slices.Equal(before, nd.watch) {
			return
		}
	}
	w.Fatal("the outpoints to watch change without end")
}

// apply commits and carries out effects, or crashes in between.
func (w *world) apply(nd *node, e effects) {
	crash := noCrash
	if w.crash != nil && len(e.Persist) > 0 {
		crash = w.crash(nd)
	}
	if crash == beforeCommit {
		w.restart(nd)
		return
	}
	for _, r := range e.Persist {
		if r.Value == nil {
			delete(nd.disk, r.Key)
		} else {
			nd.disk[r.Key] = bytes.Clone(r.Value)
		}
	}
	if crash == afterCommit {
		w.restart(nd)
		return
	}
	nd.faults = append(nd.faults, e.Faults...)
	for _, ev := range e.Out {
		nd.events = append(nd.events, ev)
		w.carry(nd, ev)
	}
}

func (w *world) carry(nd *node, ev Event) {
	switch ev := ev.(type) {
	case Broadcast:
		if nd.evil && w.tamper != nil {
			for _, p := range w.tamper(nd, ev.Topic, ev.Payload) {
				w.broadcast(nd, p[0].(string), p[1].([]byte))
			}
			return
		}
		w.broadcast(nd, ev.Topic, ev.Payload)
	case Watch:
		nd.watch = ev.OutPoints
	case StartCeremony:
		w.start(nd, ev)
	case SignTransition:
		w.ask(nd, ev)
	case SendTx:
		w.send(ev.Tx)
	case EpochActive:
		nd.active = ev.State
		for _, o := range w.order {
			if o.m == nil && ev.State.Member(o.card.Bond) >= 0 {
				w.boot(o, ev.State)
			}
			// Who began at this epoch is told that another variant is in the chain.
			if o.m != nil && w.tellMoves {
				if e, err := o.m.Moved(0, ev.State); err == nil {
					w.apply(o, e)
					w.tip(o)
				}
			}
		}
	case EraseShares:
		w.apply(nd, nd.m.Erased(0, ev.Epoch))
	case Unknown:
		nd.lost = true
	}
}

func (w *world) broadcast(nd *node, text string, payload []byte) {
	key := string(nd.cfg.Self) + "|" + text
	if said, again := w.sent[key]; again {
		if !nd.evil && !bytes.Equal(said, payload) {
			w.Errorf("node %d equivocates under %s", nd.id, text)
		}
		return
	}
	w.sent[key] = payload
	for _, o := range w.order {
		w.queue = append(w.queue, letter{o, nd.cfg.Self, text, payload})
	}
}

func (w *world) start(nd *node, ev StartCeremony) {
	d := w.ceremonies[ev.ID]
	if d == nil {
		d = &drawn{started: map[protocols.NodeID]bool{}}
		if w.failing != nil {
			if f := w.failing(ev); f != nil {
				f.started = d.started
				d = f
			}
		}
		if d.key == ([33]byte{}) && d.culprits == nil {
			d.key = w.draw(fmt.Sprintf("%x", ev.ID))
			for _, p := range ev.Participants {
				d.parts = append(d.parts, p.Peer)
			}
		}
		w.ceremonies[ev.ID] = d
	}
	if !slices.ContainsFunc(ev.Participants, func(p Participant) bool { return p.Peer == nd.cfg.Self }) {
		return // it leaves
	}
	d.started[nd.cfg.Self] = true
	w.result(nd, ev.ID, d)
}

// result tells who takes part, again after a restart. Who only applies has no machine
// yet.
func (w *world) result(nd *node, id [32]byte, d *drawn) {
	if w.holdKeys {
		return
	}
	if d.parts == nil {
		w.apply(nd, nd.m.KeyFailed(0, id, d.culprits))
	} else if slices.Contains(d.parts, nd.cfg.Self) {
		w.apply(nd, nd.m.KeyActive(0, id, d.key, d.parts))
	}
}

// release ends key generation.
func (w *world) release() {
	w.holdKeys = false
	for _, nd := range w.order {
		if nd.m == nil || nd.down || nd.m.acting.begun == nil {
			continue
		}
		if id := nd.m.acting.begun.ceremony; w.ceremonies[id] != nil && w.ceremonies[id].started[nd.cfg.Self] {
			w.result(nd, id, w.ceremonies[id])
		}
	}
	w.settle()
}

// ask counts who asks to sign, and checks that no honest members ask for two
// descriptors for one thread.
func (w *world) ask(nd *node, ev SignTransition) {
	t := ev.Transition
	thread := t.Spend.Tx.TxIn[0].PreviousOutPoint
	if !nd.evil {
		if w.promised[thread] == nil {
			w.promised[thread] = map[[32]byte]bool{}
		}
		w.promised[thread][t.Next.Hash()] = true
		if len(w.promised[thread]) > 1 && !w.deadThread {
			w.Fatalf("two descriptors for thread %v", thread)
		}
	}
	txid := t.Spend.TxID()
	if w.asked[txid] == nil {
		w.asked[txid] = map[protocols.NodeID]bool{}
	}
	w.asked[txid][nd.cfg.Self] = true
	r := nd.m.era(ev.Epoch)
	if !nd.evil && count(r.promises[ev.Slot], t.Next.Hash()) < r.state.Threshold {
		w.Fatalf("node %d signs before t have promised", nd.id)
	}
	if len(w.asked[txid]) < r.state.Threshold {
		return
	}
	if w.sigs[txid] == nil {
		w.sigs[txid] = w.signatures(t, r.state.Key)
	}
	for _, id := range slices.Sorted(maps.Keys(w.asked[txid])) {
		o := w.nodes[id]
		if o.m == nil || o.down || o.m.era(ev.Epoch) == nil {
			continue
		}
		if e, err := o.m.Signed(0, ev.Epoch, ev.Slot, ev.Variant, w.sigs[txid]); err == nil {
			w.apply(o, e)
		} else if !o.evil {
			w.Errorf("node %d: %v", o.id, err)
		}
	}
}

// restart is kill -9.
func (w *world) restart(nd *node) {
	if nd.boots++; nd.boots > 100 {
		w.Fatal("restarts without end")
	}
	crash := w.crash
	w.crash = nil
	defer func() { w.crash = crash }()
	m, e, err := Restore(nd.cfg, records(nd))
	if err != nil {
		w.Fatalf("node %d: %v", nd.id, err)
	}
	nd.m, nd.watch, nd.active = m, nil, nil
	w.apply(nd, e)
	// Echo reports again what it delivered.
	for _, key := range slices.Sorted(maps.Keys(w.sent)) {
		payload := w.sent[key]
		from, text := key[:38], key[39:]
		if !slices.ContainsFunc(w.queue, func(l letter) bool { return l.to == nd && l.topic == text && string(l.from) == from }) {
			w.queue = append(w.queue, letter{nd, protocols.NodeID(from), text, payload})
		}
	}
	w.tip(nd)
}

// settle delivers all messages, in random order. Echo of an epoch exists where the
// epoch is known; messages wait for it.
func (w *world) settle() {
	w.Helper()
	for steps := 0; ; steps++ {
		if steps > 200_000 {
			w.Fatal("messages without end")
		}
		var ready []int
		for i, l := range w.queue {
			number, _ := TopicEpoch(l.topic)
			if l.to.m != nil && !l.to.down && (l.to.m.era(number) != nil || number < l.to.m.eras[0].number()) {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			return
		}
		i := ready[w.rng.IntN(len(ready))]
		l := w.queue[i]
		w.queue = slices.Delete(w.queue, i, i+1)
		w.apply(l.to, l.to.m.Delivered(0, l.from, l.topic, l.payload))
	}
}

// agree checks that all honest members that are up take the same epoch for the acting
// one.
func (w *world) agree() {
	w.Helper()
	var first *node
	for _, nd := range w.order {
		if nd.m == nil || nd.down || nd.evil || nd.m.acting == nil || nd.m.acting.self < 0 {
			continue
		}
		if !nd.m.alive {
			continue
		}
		if first == nil {
			first = nd
		}
		if nd.m.acting.number() != first.m.acting.number() || nd.m.acting.state.TxID != first.m.acting.state.TxID {
			w.Fatalf("height %d: node %d acts in epoch %d, node %d in %d", w.height(), first.id, first.m.acting.number(), nd.id, nd.m.acting.number())
		}
	}
}

func (w *world) honest() *node {
	for _, nd := range w.order {
		if nd.m != nil && !nd.down && !nd.evil && nd.m.acting != nil && nd.m.acting.self >= 0 {
			return nd
		}
	}
	w.Fatal("nobody is left")
	return nil
}

// until mines until the acting epoch has that number.
func (w *world) until(number uint32, limit int) {
	w.Helper()
	for range limit {
		if nd := w.honest(); nd.m.alive && nd.m.acting.number() >= number {
			return
		}
		w.mine(1)
	}
	r := w.honest().m.acting
	for _, nd := range w.order {
		if nd.m == nil || nd.m.acting == nil {
			continue
		}
		a := nd.m.acting
		w.Logf("node %d: evil %v, epoch %d of %d, alive %v, member %v, tx %v, phase %d, %d decided", nd.id, nd.evil, a.number(), len(nd.m.eras), nd.m.alive, a.self, a.state.TxID, a.phase, len(a.decided))
		for _, s := range a.seals {
			w.Logf("  seal in slot %d: promised at %d, %d promises of %d, %d asked of %d, present %v", s.slot, s.promised, cast(a.promises[s.slot]), a.state.Threshold, s.asked, len(s.build(a)), nd.m.present(a, s.proposal))
		}
	}
	w.Fatalf("epoch %d, not %d, at height %d: phase %d, %d decided, %d seals", r.number(), number, w.height(), r.phase, len(r.decided), len(r.seals))
}

// apply for membership with a deposit for the acting epoch.
func (w *world) applicant(id byte) *node {
	nd := w.person(id)
	w.request(nd, nd.card)
	return nd
}

func (w *world) request(nd *node, card *Card) {
	state := w.honest().m.acting.state
	op := w.deposit(state.Epoch, nd, epoch.MinBond)
	keys := keysOf(w, nd.id, 0)
	a, err := NewApplication(state.Hash(), Application{Card: card, Refund: script(nd.id), Deposit: op, Value: epoch.MinBond}, &keys.Bond, [32]byte{1})
	w.must(err)
	for _, o := range w.order {
		if o.m != nil && !o.down && o.m.acting.self >= 0 {
			e, err := o.m.Apply(0, a.Bytes())
			w.must(err)
			w.apply(o, e)
		}
	}
	w.settle()
}

func (w *world) state() *epoch.State { return w.honest().m.acting.state }

func has(s *epoch.State, nd *node) bool { return s.Member(nd.card.Bond) >= 0 }

func (w *world) leave(nd *node) {
	w.Helper()
	e, err := nd.m.Leave(0)
	w.must(err)
	w.apply(nd, e)
	w.settle()
}
