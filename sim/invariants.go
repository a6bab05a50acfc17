package sim

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/chilldkg"
	"frostfed/federation"
	"frostfed/protocols"
)

// Stats counts what a world went through, to see that it is not idle.
type Stats struct {
	Keys, Paid, Crashes, Frames, Restores int
	Records, Bytes                        int // most that any member held
	Split                                 int // 1: see checker.stuck
}

// checker holds the invariants. It is asked after everything that happens, and
// sees what no member sees: all of them, their disks, and the truth.
type checker struct {
	w       *world
	stats   Stats
	keys    map[[32]byte]string           // I1: ceremony to everything of its key
	wire    *observer                     // I2
	paid    map[bitcoin.PayoutID]bool     // I3: lists that the best chain pays
	asked   map[federation.RequestID]bool // I3: requests with a signature
	scripts map[string]bool               // of the federation
	secrets [][][]byte                    // I8: by member
	shared  map[string]bool               // I8: members and keys whose share is known
}

func newChecker(w *world) *checker {
	c := &checker{w: w, keys: make(map[[32]byte]string), wire: newObserver(w.knobs.N), paid: make(map[bitcoin.PayoutID]bool),
		asked: make(map[federation.RequestID]bool), scripts: make(map[string]bool), shared: make(map[string]bool)}
	for _, m := range w.members {
		secret := m.cfg.Host.Secret()
		c.secrets = append(c.secrets, [][]byte{secret[:]})
	}
	return c
}

// Bounds of I7 on what a member stores: blocks it remembers, and per key, list
// and request the broadcast with its votes, and what became of it. The workload
// makes a few dozen of these.
const (
	maxRecords     = 4_000
	maxRecordBytes = 4 << 20
)

// committed sees every batch that became durable.
func (c *checker) committed(m *member, records []protocols.Record) {
	if m.disk.bytes > maxRecordBytes || len(m.disk.records) > maxRecords {
		c.w.fail("I7", "member %d stores %d bytes in %d records", m.index, m.disk.bytes, len(m.disk.records))
	}
	c.stats.Records, c.stats.Bytes = max(c.stats.Records, len(m.disk.records)), max(c.stats.Bytes, m.disk.bytes)
	for _, r := range records {
		c.w.trace.add(c.w.now, "disk %d %s %s", m.index, r.Key, digest(r.Value))
		if c.leaks(m, []byte(r.Key)) || c.leaks(m, r.Value) {
			c.w.fail("I8", "record %q of member %d holds a secret", r.Key, m.index)
		}
	}
}

// maxFrame is what p2p carries.
const maxFrame = 64 << 10

// sent sees every frame that leaves a member.
func (c *checker) sent(m *member, env protocols.Envelope) {
	c.stats.Frames++
	if len(env.Body) == 0 || len(env.Body) > maxFrame {
		c.w.fail("I7", "member %d sends a frame of %d bytes", m.index, len(env.Body))
	}
	if c.leaks(m, env.Body) {
		c.w.fail("I8", "a frame of member %d holds a secret", m.index)
	}
	if env.Protocol != protocols.Sign {
		return
	}
	complaint, signed := c.wire.see(m.index, c.w.charter.Index(env.To), env.Body, !m.faulty)
	if complaint != "" {
		c.w.fail("I2", "member %d: %s", m.index, complaint)
	}
	for _, id := range signed {
		if !approved(m, id) {
			c.w.fail("I3", "member %d signs request %s without a durable approval", m.index, id)
		}
	}
}

// approved reads from the disk whether a member has approved a request.
func approved(m *member, id federation.RequestID) bool {
	v := m.disk.records["f/v/"+id.String()]
	return len(v) > 1 && v[1] == 1
}

func (c *checker) leaks(m *member, b []byte) bool {
	for _, s := range c.secrets[m.index] {
		if bytes.Contains(b, s) {
			return true
		}
	}
	return false
}

// fault is I6: no honest member is named by an honest one.
func (c *checker) fault(m *member, f protocols.Fault) {
	i := c.w.charter.Index(f.Culprit)
	c.w.trace.add(c.w.now, "fault %d names %d: %s %s", m.index, i, f.Kind, f.Detail)
	if !m.faulty && (i < 0 || !c.w.members[i].faulty) {
		c.w.fail("I6", "member %d names honest member %d: %s, %s", m.index, i, f.Kind, f.Detail)
	}
}

// keyReady is I1: everything about the key of one ceremony is equal everywhere.
func (c *checker) keyReady(m *member, d federation.KeyReady) {
	for _, v := range m.core.Keys() {
		if v.ID != d.Key {
			continue
		}
		all := fmt.Sprintf("%s %s t=%d %x %s %s", v.ID, v.Label, v.T, v.ThreshPK, v.Xpub, v.Descriptor)
		if old, known := c.keys[v.Ceremony]; known && old != all {
			c.w.fail("I1", "member %d has %s for ceremony %x, another one %s", m.index, all, v.Ceremony[:4], old)
		}
		c.keys[v.Ceremony] = all
	}
	c.stats.Keys = len(c.keys)
	c.learnShare(m, d.Key)
	c.w.work.keyReady(m, d)
}

// learnShare computes the share of a member for I8, as the member does.
func (c *checker) learnShare(m *member, key federation.KeyID) {
	name := fmt.Sprintf("%d %s", m.index, key)
	record := m.disk.records["d/s/"+key.String()+"/recovery"]
	if c.shared[name] || len(record) == 0 {
		return
	}
	c.shared[name] = true
	secret := m.cfg.Host.Secret()
	out, _, err := chilldkg.Recover(secret[:], record[1:])
	if err != nil {
		c.w.fail("I1", "member %d cannot recover its key: %v", m.index, err)
		return
	}
	share := out.SecShare.Bytes()
	c.secrets[m.index] = append(c.secrets[m.index], share, []byte(hex.EncodeToString(share)))
	for key, value := range m.disk.records {
		if bytes.Contains(value, share) {
			c.w.fail("I8", "record %q of member %d holds its share", key, m.index)
		}
	}
}

// judged is I3: nobody approves what differs from the list.
func (c *checker) judged(m *member, d federation.RequestJudged) {
	if !d.Verdict.Allow {
		return
	}
	r, err := m.core.Request(d.Request.String())
	if err != nil || c.w.work.tampered[r.TxID] {
		c.w.fail("I3", "member %d approves the tampered request %s (%v)", m.index, d.Request, err)
	}
}

// submitted is I3: a signature exists only if t members approved, all of whose
// approvals are durable, and for what is on the list.
func (c *checker) submitted(m *member, d federation.Submit) {
	if c.asked[d.Request] {
		return
	}
	c.asked[d.Request] = true
	count := 0
	for _, other := range c.w.members {
		if approved(other, d.Request) {
			count++
		}
	}
	if count < c.w.knobs.T {
		c.w.fail("I3", "request %s is signed, but only %d members approved", d.Request, count)
	}
	if c.w.work.tampered[d.TxID] {
		c.w.fail("I3", "the tampered request %s is signed", d.Request)
	}
}

// chain looks at the best chain after every new block: all that leaves the
// federation is on a list, and no list is paid twice.
func (c *checker) chain() {
	clear(c.paid)
	clear(c.scripts)
	for _, k := range c.w.work.keys {
		for _, s := range k.scripts {
			c.scripts[string(s)] = true
		}
	}
	ours := make(map[wire.OutPoint]bool)
	for _, block := range c.w.chain.blocks {
		for _, tx := range block.Transactions[1:] {
			spends := false
			for _, in := range tx.TxIn {
				spends = spends || ours[in.PreviousOutPoint]
			}
			if spends {
				c.payout(tx)
			}
			for i, out := range tx.TxOut {
				if c.scripts[string(out.PkScript)] {
					ours[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}] = true
				}
			}
		}
	}
	c.stats.Paid = len(c.paid)
}

// payout matches a transaction of the federation with the lists. All outputs but
// one are payees; that one goes back to a key of the federation.
func (c *checker) payout(tx *wire.MsgTx) {
	for _, l := range c.w.work.lists {
		payees := make(map[string]bool)
		for _, p := range l.list.Payees {
			payees[fmt.Sprintf("%d %x", p.Amount, p.Script)] = true
		}
		var change [][]byte
		found := 0
		for _, out := range tx.TxOut {
			if payees[fmt.Sprintf("%d %x", out.Value, out.PkScript)] {
				found++
			} else {
				change = append(change, out.PkScript)
			}
		}
		if found == 0 {
			continue
		}
		if found != len(payees) || len(change) > 1 || len(change) == 1 && !bytes.HasPrefix(change[0], []byte{0x51, 0x20}) {
			c.w.fail("I3", "transaction %s is not what list %q says", tx.TxHash(), l.list.Reference)
		}
		if c.paid[l.list.ID()] {
			c.w.fail("I3", "list %q is paid twice", l.list.Reference)
		}
		c.paid[l.list.ID()] = true
		for _, script := range change {
			c.scripts[string(script)] = true
		}
		return
	}
	c.w.fail("I3", "transaction %s spends coins of the federation and pays no list", tx.TxHash())
}

// settled runs after each turn of a member. Now and then a second core is made
// from the disk: it must be as the living one.
func (c *checker) settled(m *member) {
	if m.jobs > 0 || len(m.inbox) > 0 || c.stats.Restores >= 4 || c.w.rng.IntN(300) != 0 {
		return
	}
	c.stats.Restores++
	cfg := m.cfg
	cfg.Rand = c.w.randomness(m.index, -m.boot)
	copied, effects, err := federation.Restore(1, cfg, m.disk.load())
	if err != nil {
		c.w.fail("restore", "member %d: %v", m.index, err)
		return
	}
	effects.Append(copied.ChainReady(1, m.core.Status().ChainReady))
	for len(effects.Work) > 0 {
		job := effects.Work[0]
		effects.Work = effects.Work[1:]
		effects.Append(copied.Done(1, job.ID, job.Run()))
	}
	if live, again := describe(m.core), describe(copied); live != again {
		c.w.fail("restore", "member %d differs from its disk:\n%s", m.index, contrast(live, again))
	}
}

// describe writes out what of a core must survive a restart. Who is waited for
// and what the others said of requests need not.
func describe(core *federation.Core) string {
	var b strings.Builder
	for _, k := range core.Keys() {
		k.Waiting = nil
		fmt.Fprintf(&b, "%+v\n", k)
	}
	for _, r := range core.Requests() {
		if r.State == federation.StateRefused {
			r.State = federation.StateWaiting // a restart judges again, and may find another reason
		}
		fmt.Fprintf(&b, "%s %s %s tx=%s leaving=%d height=%d depth=%d sigs=%x\n", r.ID, r.Kind, r.State, r.TxID, r.Leaving, r.Height, r.Depth, r.Signatures)
	}
	for _, coin := range core.Coins() {
		fmt.Fprintf(&b, "%+v\n", coin)
	}
	fmt.Fprintf(&b, "%v\n%+v\n", core.Blocks(), core.PayoutLists())
	return b.String()
}

// contrast lists the lines that two texts do not share.
func contrast(live, restored string) string {
	a, b := strings.Split(live, "\n"), strings.Split(restored, "\n")
	var out strings.Builder
	for _, line := range a {
		if !slices.Contains(b, line) {
			fmt.Fprintf(&out, "live:     %s\n", line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			fmt.Fprintf(&out, "restored: %s\n", line)
		}
	}
	return out.String()
}

// final compares what the members believe with the truth, once all is done.
func (c *checker) final() {
	c.stats.Crashes = c.w.crashes
	want := make(map[wire.OutPoint]int64)
	for o, out := range c.w.chain.unspent(len(c.w.chain.blocks)) {
		if c.scripts[string(out.PkScript)] {
			want[o] = out.Value
		}
	}
	for _, m := range c.w.honest() {
		coins := m.core.Coins()
		for _, coin := range coins {
			if want[coin.Outpoint] != int64(coin.Amount) {
				c.w.fail("coins", "member %d believes in coin %v of %v", m.index, coin.Outpoint, coin.Amount)
			}
		}
		if len(coins) != len(want) {
			c.w.fail("coins", "member %d knows %d coins of %d", m.index, len(coins), len(want))
		}
	}
}

// stuck is I5: what should have happened in the calm did not. One thing may
// happen that package federation does not exclude: operators that do not wait for
// each other split the members between requests for the same list or coin, none
// of which gets t approvals. Such worlds are counted.
func (c *checker) stuck(what string) {
	if c.w.knobs.Contend && c.split() {
		c.stats.Split = 1
		c.w.trace.add(c.w.now, "split: %s", what)
		return
	}
	c.w.fail("I5", "%s", what)
}

// split says whether each list that is not paid has a request which some honest
// member approved and too few did.
func (c *checker) split() bool {
	for _, l := range c.w.work.lists {
		if c.paid[l.list.ID()] {
			continue
		}
		torn := false
		for _, m := range c.w.honest() {
			for _, r := range m.core.Requests() {
				torn = torn || r.List == l.list.ID() && r.State == federation.StateApproved && !c.asked[r.ID]
			}
		}
		if !torn {
			return false
		}
	}
	return true
}
