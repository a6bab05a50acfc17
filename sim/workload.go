package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/federation"
	"frostfed/policy"
	"frostfed/protocols"
)

// workload is what operators and miners want of the federation: keys, coins,
// payouts. It knows the truth that the members must find out.
type workload struct {
	w        *world
	keys     []*wantedKey
	lists    []*wantedList
	tampered map[chainhash.Hash]bool
	turn     *wantedList // of careful operators: the list they are at
	finished bool
}

// wantedKey is a key that operators want.
type wantedKey struct {
	label   string
	id      federation.KeyID // once some member has it
	ready   map[int]bool     // members that have it
	scripts [][]byte         // addresses given out
	funded  int
	topped  int64 // when the last payment was added for want of money
}

// wantedList is a payout list on its way to the members.
type wantedList struct {
	list    bitcoin.PayoutList
	key     *wantedKey
	holders map[int]bool
	tries   int
	txs     []*wire.MsgTx // that were proposed for it
}

func newWorkload(w *world) *workload {
	return &workload{w: w, tampered: make(map[chainhash.Hash]bool)}
}

func (wl *workload) schedule() {
	w, k := wl.w, wl.w.knobs
	for i := range k.Keys {
		key := &wantedKey{label: fmt.Sprintf("key%d", i), ready: make(map[int]bool)}
		wl.keys = append(wl.keys, key)
		w.after(3_000+w.rng.Int64N(5_000), func() { wl.makeKey(key) })
	}
	for i := range k.Lists {
		l := &wantedList{list: newList(i, 1+w.rng.IntN(12)), key: wl.keys[i%len(wl.keys)], holders: make(map[int]bool)}
		wl.lists = append(wl.lists, l)
		for _, m := range w.members {
			at := w.rng.Int64N(20_000)
			if w.rng.IntN(4) == 0 {
				at = w.rng.Int64N(k.FaultTime) // late
			}
			w.at(at, func() { wl.deliver(l, m) })
		}
	}
	// Without keys most worlds are dull, so the adversary mostly waits for them;
	// see keyReady.
	if k.Early && !k.Adaptive {
		w.after(1_000, func() { w.turnFaulty(int(w.seed % 7)) })
	}
	w.after(5_000, wl.review)
}

// newList makes a list of which no output looks like another list's.
func newList(index, payees int) bitcoin.PayoutList {
	var out []bitcoin.Payee
	for i := range payees {
		script := append([]byte{0x00, 0x14, byte(index + 1), byte(i + 1)}, make([]byte, 18)...)
		out = append(out, bitcoin.Payee{Script: script, Amount: bitcoin.Sat(10_000 + 100*index + i)})
	}
	list, err := bitcoin.NewPayoutList(bitcoin.Regtest, fmt.Sprintf("week %d", index), out)
	if err != nil {
		panic(fmt.Sprintf("sim: payout list: %v", err))
	}
	return list
}

// pick returns a random running honest member, or nil.
func (wl *workload) pick() *member {
	var up []*member
	for _, m := range wl.w.honest() {
		if m.core != nil {
			up = append(up, m)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[wl.w.rng.IntN(len(up))]
}

// makeKey asks for a key as long as no honest member has it or knows of a ceremony
// that may still make it. A command may be lost with the process that was given
// it, and a ceremony may fail with too many members voted out.
func (wl *workload) makeKey(key *wantedKey) {
	w := wl.w
	if len(key.ready) > 0 {
		return
	}
	for _, m := range w.honest() {
		if m.core != nil && slices.ContainsFunc(m.core.Keys(), func(v federation.KeyView) bool {
			return v.Label == key.label && v.Phase != "failed"
		}) {
			w.after(20_000, func() { wl.makeKey(key) })
			return
		}
	}
	if m := wl.pick(); m != nil {
		m.give(func(now protocols.Time) federation.Effects {
			_, e, err := m.core.NewKey(now, key.label)
			w.trace.add(w.now, "new key %d %s: %v", m.index, key.label, err)
			return e
		})
	}
	w.after(20_000, func() { wl.makeKey(key) })
}

// keyReady notes that a member may use a key, and begins to fund it.
func (wl *workload) keyReady(m *member, d federation.KeyReady) {
	for _, key := range wl.keys {
		if key.label != d.Label {
			continue
		}
		if len(key.ready) == 0 {
			key.id = d.Key
			for range wl.w.knobs.Fundings {
				wl.w.after(wl.w.rng.Int64N(30_000), func() { wl.fund(key) })
			}
			for _, l := range wl.lists {
				if l.key == key {
					wl.w.after(wl.w.rng.Int64N(60_000), func() { wl.pay(l) })
				}
			}
		}
		if key.id == d.Key {
			key.ready[m.index] = true
		}
	}
	w := wl.w
	for _, key := range wl.keys {
		if len(key.ready) < w.knobs.N {
			return
		}
	}
	if !w.knobs.Early && !w.knobs.Adaptive {
		w.after(1+w.rng.Int64N(20_000), func() { w.turnFaulty(int(w.seed % 7)) })
	}
}

// fund pays to a fresh address of some member.
func (wl *workload) fund(key *wantedKey) {
	w := wl.w
	m := wl.pick()
	if m == nil {
		w.after(3_000, func() { wl.fund(key) })
		return
	}
	m.give(func(now protocols.Time) federation.Effects {
		d, e, err := m.core.NewAddress(now, key.id.String())
		w.trace.add(w.now, "address %d: %s %v", m.index, d.Address, err)
		switch {
		case err == nil:
			key.scripts = append(key.scripts, d.Script)
		case errors.Is(err, federation.ErrGap) && len(key.scripts) > 0:
			d.Script = key.scripts[w.rng.IntN(len(key.scripts))] // as people do
		default:
			w.after(3_000, func() { wl.fund(key) }) // not active here yet
			return e
		}
		amount := 200_000 + w.rng.Int64N(600_000)
		w.after(1_000, func() { // people need a moment to copy it
			key.funded++
			w.chain.fund(d.Script, amount)
		})
		return e
	})
}

// restarted has the operator of a member whose disk forgets give it again what it
// lost.
func (wl *workload) restarted(m *member) {
	if !m.disk.forgets {
		return
	}
	for _, l := range wl.lists {
		if l.holders[m.index] {
			wl.w.after(1_000, func() {
				if !wl.holds(l, m) {
					wl.deliver(l, m)
				}
			})
		}
	}
}

// stolen has payers that took a payment back make another one.
func (wl *workload) stolen(script []byte) {
	for _, key := range wl.keys {
		if slices.ContainsFunc(key.scripts, func(s []byte) bool { return bytes.Equal(s, script) }) {
			wl.w.after(10_000+wl.w.rng.Int64N(20_000), func() { wl.fund(key) })
		}
	}
}

// deliver hands a member its own copy of a list; the operator tries again until
// the member runs.
func (wl *workload) deliver(l *wantedList, m *member) {
	w := wl.w
	if m.core == nil {
		if !m.faulty {
			w.after(2_000, func() { wl.deliver(l, m) })
		}
		return
	}
	m.give(func(now protocols.Time) federation.Effects {
		w.trace.add(w.now, "list %d %s", m.index, l.list.Reference)
		l.holders[m.index] = true
		return m.core.AddPayoutList(now, l.list)
	})
	// If the process dies with the command, the operator sees it and repeats.
	w.after(2_000, func() {
		if !wl.holds(l, m) {
			wl.deliver(l, m)
		}
	})
}

func (wl *workload) holds(l *wantedList, m *member) bool {
	id := l.list.ID()
	return m.core != nil && slices.ContainsFunc(m.core.PayoutLists(), func(v federation.PayoutListView) bool { return v.ID == id })
}

// maxTries bounds the transactions for one list, as the federation does.
const maxTries = 7

// pay lets an operator propose a list; when nothing came of it, another one does.
func (wl *workload) pay(l *wantedList) {
	w := wl.w
	again := func(d int64) { w.after(d, func() { wl.pay(l) }) }
	if w.check.paid[l.list.ID()] {
		return
	}
	m := wl.pick()
	if m == nil || !wl.holds(l, m) || !w.knobs.Contend && wl.busy(l) {
		again(4_000)
		return
	}
	wl.turn = l
	before := l.tries
	wl.propose(l, m)
	if w.knobs.Contend && w.rng.IntN(3) == 0 {
		if other := wl.pick(); other != nil && wl.holds(l, other) {
			wl.propose(l, other)
		}
	}
	w.after(5_000, func() {
		if l.tries == before {
			if l.tries == 0 {
				wl.turn = nil
			}
			wl.pay(l) // refused at once, or forgotten in a crash
		} else {
			again(55_000)
		}
	})
}

// busy says that another list was proposed and is not paid: careful operators
// pay one list at a time, but do not wait for one that cannot be paid any more.
func (wl *workload) busy(l *wantedList) bool {
	return wl.turn != nil && wl.turn != l && !wl.w.check.paid[wl.turn.list.ID()] && !wl.w.check.hopeless(wl.turn)
}

func (wl *workload) propose(l *wantedList, m *member) {
	w := wl.w
	if l.tries >= maxTries {
		return
	}
	m.give(func(now protocols.Time) federation.Effects {
		req := federation.PayoutRequest{Key: l.key.id.String(), List: l.list.ID(), FeeRate: bitcoin.PerVByte(2)}
		if w.knobs.Tamper && w.rng.IntN(3) == 0 {
			if e, ok := wl.tamper(now, m, req); ok {
				return e
			}
		}
		if _, spend, err := m.core.PlanPayout(req); err == nil {
			l.txs = append(l.txs, spend.Tx) // what Pay is going to propose
		}
		id, e, err := m.core.Pay(now, req)
		if err == nil {
			l.tries++
			w.trace.add(w.now, "pay %d %s: request %s", m.index, l.list.Reference, id.String()[:8])
		} else {
			w.trace.add(w.now, "pay %d %s: %v", m.index, l.list.Reference, err)
			wl.top(l.key, err)
		}
		return e
	})
}

// top pays more to a key when a payout wants it: payments may have been taken back,
// or never asked for by a process that died.
func (wl *workload) top(key *wantedKey, err error) {
	var refused *federation.RefusedError
	if wl.w.calm && errors.As(err, &refused) && refused.Verdict.Rule == policy.FundsMissing && wl.w.now > key.topped+60_000 {
		key.topped = wl.w.now
		wl.fund(key)
	}
}

// tamper proposes a transaction that pays something else than the list.
func (wl *workload) tamper(now protocols.Time, m *member, req federation.PayoutRequest) (federation.Effects, bool) {
	w := wl.w
	_, spend, err := m.core.PlanPayout(req)
	if err != nil {
		return federation.Effects{}, false
	}
	tx := spend.Tx.Copy()
	out := tx.TxOut[w.rng.IntN(len(tx.TxOut))]
	switch w.rng.IntN(4) {
	case 0:
		out.PkScript = append([]byte{0x00, 0x14}, make([]byte, 20)...)
	case 1:
		out.Value--
	case 2:
		out.Value++
	case 3:
		tx.AddTxOut(wire.NewTxOut(1_000, append([]byte{0x00, 0x14}, make([]byte, 20)...)))
	}
	req.Tx, req.Force = tx, true
	id, e, err := m.core.Pay(now, req)
	w.trace.add(w.now, "tampered pay %d: request %s %v", m.index, id.String()[:8], err)
	wl.tampered[tx.TxHash()] = true
	return e, err == nil
}

// review looks now and then whether all is done. Then no more blocks are needed,
// and everybody can catch up with the tip.
func (wl *workload) review() {
	w := wl.w
	w.idle = w.calm && wl.missing() == ""
	if w.idle && wl.caughtUp() {
		w.trace.add(w.now, "done")
		wl.finished = true
		w.check.final()
		return
	}
	w.after(5_000, wl.review)
}

// caughtUp says that all honest members know the tip.
func (wl *workload) caughtUp() bool {
	return !slices.ContainsFunc(wl.w.honest(), func(m *member) bool {
		known := m.core.Blocks()
		return len(known) == 0 || known[len(known)-1].Hash != wl.w.chain.tip()
	})
}

// missing names the first thing that every honest member should have by now.
func (wl *workload) missing() string {
	w := wl.w
	for _, m := range w.honest() {
		if m.core == nil {
			return fmt.Sprintf("member %d is down", m.index)
		}
	}
	for _, key := range wl.keys {
		for _, m := range w.honest() {
			if what := wl.missingKey(key, m); what != "" {
				return what
			}
		}
	}
	for _, l := range wl.lists {
		for _, m := range w.honest() {
			if what := wl.missingPayout(l, m); what != "" {
				return what
			}
		}
	}
	return ""
}

// missingKey says what is missing of a key at a member. Whoever was voted out
// while it was made has no part of it.
func (wl *workload) missingKey(key *wantedKey, m *member) string {
	if wl.w.check.excluded(key.label, m.index) {
		return ""
	}
	for _, v := range m.core.Keys() {
		if v.ID == key.id && v.ID != (federation.KeyID{}) && (v.Phase == "complete" || wl.w.knobs.faulty() > 0) {
			return ""
		}
	}
	return fmt.Sprintf("%s is not complete at member %d", key.label, m.index)
}

func (wl *workload) missingPayout(l *wantedList, m *member) string {
	if !l.key.ready[m.index] && wl.w.check.excluded(l.key.label, m.index) {
		return ""
	}
	state := "unknown"
	for _, r := range m.core.Requests() {
		if r.Kind == federation.KindPayout && r.List == l.list.ID() {
			if r.State == federation.StateConfirmed {
				return ""
			}
			state = string(r.State)
		}
	}
	return fmt.Sprintf("list %q at member %d is %s, after %d tries", l.list.Reference, m.index, state, l.tries)
}

// overdue ends a world whose calm did not suffice.
func (wl *workload) overdue() {
	if what := wl.missing(); what != "" {
		wl.w.check.stuck(what)
	} else if !wl.caughtUp() {
		wl.w.check.stuck("some members do not know the tip")
	}
	wl.finished = true
}
