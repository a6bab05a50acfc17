package sim

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/bip445"
	"frostfed/crypto/chilldkg"
	"frostfed/federation"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
)

// Stats counts what a world went through, to see that it is not idle.
type Stats struct {
	Keys, Paid, Crashes, Frames, Restores int
	Signed, Faults                        int
	Records, Bytes                        int            // most that any member held
	Rewinds                               int            // disks that went back
	Excuses                               map[string]int // see checker.stuck: why a world need not finish
}

// add sums up, but takes the greater of what is a maximum.
func (s *Stats) add(o *Stats) {
	s.Keys += o.Keys
	s.Paid += o.Paid
	s.Crashes += o.Crashes
	s.Frames += o.Frames
	s.Restores += o.Restores
	s.Signed += o.Signed
	s.Faults += o.Faults
	s.Rewinds += o.Rewinds
	s.Records, s.Bytes = max(s.Records, o.Records), max(s.Bytes, o.Bytes)
	for reason, count := range o.Excuses {
		s.Excuses[reason] += count
	}
}

// checker holds the invariants. It is asked after everything that happens, and
// sees what no member sees: all of them, their disks, and the truth.
type checker struct {
	w       *world
	stats   Stats
	keys    map[federation.KeyID]string     // I1: everything of a key
	out     map[string]map[int]bool         // I5: by label, the members that were voted out
	voted   map[int]bool                    // I6: members against whom an honest one voted
	agreed  []map[federation.RequestID]bool // I3: by member, requests that it ever approved
	wire    *observer                       // I2
	paid    map[bitcoin.PayoutID]bool       // I3: lists that the best chain pays
	asked   map[federation.RequestID]bool   // I3: requests with a signature
	scripts map[string]bool                 // of the federation
	secrets [][][]byte                      // I8: by member
	shared  map[string]bool                 // I8: members and keys whose share is known
}

func newChecker(w *world) *checker {
	c := &checker{w: w, keys: make(map[federation.KeyID]string), out: make(map[string]map[int]bool), voted: make(map[int]bool), wire: newObserver(w.knobs.N), paid: make(map[bitcoin.PayoutID]bool),
		asked: make(map[federation.RequestID]bool), scripts: make(map[string]bool), shared: make(map[string]bool)}
	for _, m := range w.members {
		secret := m.cfg.Host.Secret()
		c.secrets = append(c.secrets, [][]byte{secret[:], []byte(hex.EncodeToString(secret[:]))})
		c.agreed = append(c.agreed, make(map[federation.RequestID]bool))
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
		c.w.trace.record(c.w.now, m.index, r)
		if id, ok := strings.CutPrefix(r.Key, "f/v/"); ok && len(r.Value) > 1 && r.Value[1] == 1 {
			raw, err := hex.DecodeString(id)
			if err != nil || len(raw) != 32 {
				c.w.fail("records", "member %d stores an approval under %q", m.index, r.Key)
				return
			}
			c.agreed[m.index][federation.RequestID(raw)] = true
		}
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
	if !m.faulty && c.leaks(m, env.Body) {
		c.w.fail("I8", "a frame of member %d holds a secret", m.index)
	}
	if env.Protocol == protocols.Echo && !m.faulty {
		c.w.tempt(m, env.Protocol)
	}
	if env.Protocol == protocols.DKG && !m.faulty {
		for _, i := range votes(m.index, env.Body) {
			c.voted[i] = true
		}
	}
	if env.Protocol != protocols.Sign {
		return
	}
	complaint, signed, asks := c.wire.see(m.index, c.w.charter.Index(env.To), env.Body, !m.faulty)
	if complaint != "" {
		c.w.fail("I2", "member %d: %s", m.index, complaint)
	}
	if asks && !m.faulty {
		c.w.tempt(m, env.Protocol)
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
	return len(v) > 1 && v[1] == 1 || verifies(m, id)
}

// verifies says whether id is the verification of a key that m holds: it is
// approved by rule, as soon as the key is durable.
func verifies(m *member, id federation.RequestID) bool {
	for _, v := range m.core.Keys() {
		if v.ID != (federation.KeyID{}) && federation.VerificationRequest(v.ID) == id {
			return len(m.disk.records["f/a/"+v.ID.String()]) > 0
		}
	}
	return false
}

func (c *checker) leaks(m *member, b []byte) bool {
	for _, s := range c.secrets[m.index] {
		if bytes.Contains(b, s) {
			return true
		}
	}
	return false
}

// fault is I6: no honest member is named by an honest one, and nothing that
// anybody says proves anything about one. Nor does a fault hold a secret.
func (c *checker) fault(m *member, f protocols.Fault) {
	i := c.w.charter.Index(f.Culprit)
	c.w.trace.add(c.w.now, "fault %d names %d: %s %s", m.index, i, f.Kind, f.Detail)
	c.stats.Faults++
	honest := i < 0 || !c.w.members[i].faulty && !c.w.members[i].disk.forgets
	if honest && (!m.faulty || f.Proof != nil) {
		c.w.fail("I6", "member %d names honest member %d: %s, %s", m.index, i, f.Kind, f.Detail)
	}
	if c.leaks(m, f.Proof) || c.leaks(m, []byte(f.Detail)) {
		c.w.fail("I8", "fault %s of member %d holds a secret", f.Kind, m.index)
	}
}

// progress notes who is voted out of a ceremony, as honest members say.
func (c *checker) progress(m *member, d federation.KeyProgress) {
	if d.Phase != "excluded" || m.faulty {
		return
	}
	label := c.label(m, d.Ceremony)
	if c.out[label] == nil {
		c.out[label] = make(map[int]bool)
	}
	for _, i := range c.w.indices(d.Waiting) {
		c.out[label][i] = true
		if !c.w.members[i].faulty && !c.voted[i] {
			c.w.fail("I6", "honest member %d is excluded, and no honest one voted for that", i)
		}
	}
}

func (c *checker) label(m *member, ceremony [32]byte) string {
	for _, v := range m.core.Keys() {
		if v.Ceremony == ceremony {
			return v.Label
		}
	}
	return ""
}

func (c *checker) excluded(label string, i int) bool { return c.out[label][i] }

// keyFailed is I6: no honest member is found guilty in a ceremony. It may have been
// voted out, if honest members found it silent.
func (c *checker) keyFailed(m *member, d federation.KeyFailed) {
	votes := d.Reason == dkg.ReasonSuperseded.String() || d.Reason == dkg.ReasonTooFew.String()
	for _, i := range c.w.indices(d.Culprits) {
		if !m.faulty && !c.w.members[i].faulty && !c.w.members[i].disk.forgets && !(votes && c.voted[i]) {
			c.w.fail("I6", "member %d holds honest member %d guilty: %s", m.index, i, d.Reason)
		}
	}
}

// keyReady is I1: everything about a key is equal everywhere. A ceremony has
// another one only if members were voted out of its first attempt.
func (c *checker) keyReady(m *member, d federation.KeyReady) {
	for _, v := range m.core.Keys() {
		if v.ID != d.Key {
			continue
		}
		all := fmt.Sprintf("%x %s t=%d %x %s %s", v.Ceremony, v.Label, v.T, v.ThreshPK, v.Xpub, v.Descriptor)
		if old, known := c.keys[v.ID]; known && old != all {
			c.w.fail("I1", "member %d has %s for key %s, another one %s", m.index, all, v.ID, old)
		}
		for id, other := range c.keys {
			if id != v.ID && other[:64] == all[:64] && len(c.out[v.Label]) == 0 {
				c.w.fail("I1", "ceremony %x has two keys and nobody was excluded", v.Ceremony)
			}
		}
		c.keys[v.ID] = all
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
	out, params, err := chilldkg.Recover(secret[:], record[1:])
	if err != nil {
		c.w.fail("I1", "member %d cannot recover its key: %v", m.index, err)
		return
	}
	// I4, as far as it is not for tests of the cryptography: the shares are those of
	// a polynomial of full degree, so fewer than t of them determine nothing.
	group := bip445.ThresholdInfo{T: params.T() - 1, ThreshPK: out.ThreshPK}
	for i := range out.PubShares {
		group.PubShares = append(group.PubShares, out.PubShares[i][:])
	}
	if _, err := bip445.NewGroup(group); err == nil {
		c.w.fail("I4", "%d shares of member %d's key determine it, and t is %d", params.T()-1, m.index, params.T())
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
	c.stats.Signed++
	count := 0
	for _, agreed := range c.agreed {
		if agreed[d.Request] {
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
	if m.jobs > 0 || len(m.inbox) > 0 || c.stats.Restores >= 2 || c.w.rng.IntN(500) != 0 {
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
	want := make(map[wire.OutPoint]int64)
	for o, out := range c.w.chain.unspent(len(c.w.chain.blocks)) {
		if c.scripts[string(out.PkScript)] {
			want[o] = out.Value
		}
	}
	for _, m := range c.w.honest() {
		if slices.ContainsFunc(c.w.work.keys, func(k *wantedKey) bool { return !k.ready[m.index] }) {
			continue // it has no part in some key, and does not watch its coins
		}
		coins := m.core.Coins()
		for _, coin := range coins {
			if want[coin.Outpoint] != int64(coin.Amount) {
				c.w.fail("coins", "member %d believes in coin %v of %v", m.index, coin.Outpoint, coin.Amount)
			}
		}
		if len(coins) != len(want) {
			for _, coin := range coins {
				delete(want, coin.Outpoint)
			}
			c.w.fail("coins", "member %d knows %d coins, and not %v", m.index, len(coins), want)
		}
	}
}

// stuck is I5: what should have happened in the calm did not. There are few
// reasons for which it need not; such worlds are counted by reason.
func (c *checker) stuck(what string) {
	reason := ""
	switch {
	case c.tooFew():
		reason = "fewer than t honest members share the key"
	case c.unpaid(c.hopeless):
		// A coin is promised to one list for good, so that no reorg makes the list
		// be paid twice; also one that its payer has taken back. And where only
		// some members have seen it, they are split between requests.
		reason = "a promised coin was taken back"
	case c.w.knobs.Contend && c.unpaid(c.torn):
		// Operators that do not wait for each other split the members between
		// requests for one list or coin, none of which gets t approvals. Package
		// federation does not exclude that.
		reason = "members split between requests"
	case c.spent():
		// As many as may go are voted out, an honest one that was cut off among
		// them; so a faulty one that is silent now cannot be. People must repeat it.
		reason = "an honest member was voted out in place of a faulty one"
	case c.unpaid(c.waiting):
		// A list promised to a transaction that another one has made impossible is
		// free again when that one is deep. With faulty members, or some that hold
		// back after their disk went back, the others may have to wait for that.
		reason = "a promise waits for depth"
	default:
		c.w.fail("I5", "%s", what)
		return
	}
	c.w.trace.add(c.w.now, "excused, %s: %s", reason, what)
	c.stats.Excuses = map[string]int{reason: 1}
}

// tooFew says that key generation was so quick to go on without honest members
// that were away that with the faulty ones silent too few are left to sign; those
// that hold back because their disk went back wait for a word of their operator.
func (c *checker) tooFew() bool {
	for _, key := range c.w.work.keys {
		honest := 0
		for _, m := range c.w.honest() {
			if !c.excluded(key.label, m.index) && (m.core == nil || m.core.Status().Fence == 0) {
				honest++
			}
		}
		if honest < c.w.knobs.T {
			return true
		}
	}
	return false
}

// spent says that a key is not made, and nobody more may be voted out of it though
// an honest member was.
func (c *checker) spent() bool {
	w := c.w
	floor := max(w.knobs.N-protocols.MaxFaulty(w.knobs.N), w.knobs.T)
	for _, key := range w.work.keys {
		missing, out, honest := false, 0, false
		for _, m := range w.members {
			if c.excluded(key.label, m.index) {
				out++
				honest = honest || !m.faulty
			} else if !m.faulty && w.work.missingKey(key, m) != "" {
				missing = true
			}
		}
		if missing && honest && out >= w.knobs.N-floor {
			return true
		}
	}
	return false
}

// unpaid says whether something is so for each list that is not paid, but for
// those that careful operators did not propose because of another one.
func (c *checker) unpaid(is func(*wantedList) bool) bool {
	for _, l := range c.w.work.lists {
		behind := l.tries == 0 && !c.w.knobs.Contend && c.w.work.turn != l && c.w.work.busy(l)
		if !c.paid[l.list.ID()] && !behind && !is(l) {
			return false
		}
	}
	return true
}

// hopeless says that payments taken back left a list without a transaction that
// can win.
func (c *checker) hopeless(l *wantedList) bool {
	return c.w.knobs.DoubleSpends > 0 && (c.robbed(l) || c.torn(l))
}

// robbed says whether a list has a transaction that can never confirm.
func (c *checker) robbed(l *wantedList) bool {
	if slices.ContainsFunc(l.txs, c.w.chain.gone) {
		return true
	}
	for _, m := range c.w.honest() {
		if m.core == nil {
			continue
		}
		for _, r := range m.core.Requests() {
			if r.List == l.list.ID() && r.Tx != nil && c.w.chain.gone(r.Tx) {
				return true
			}
		}
	}
	return false
}

// waiting says whether so many honest members have promised a list to a transaction
// that another one in the chain has made impossible that too few are left to sign. It
// takes a late list or a reorg, so it is never many: else promises were not kept.
func (c *checker) waiting(l *wantedList) bool {
	free := 0
	for _, m := range c.w.honest() {
		if m.core == nil || m.core.Status().Fence != 0 {
			continue
		}
		bound := slices.ContainsFunc(m.core.Requests(), func(r federation.RequestView) bool {
			return r.List == l.list.ID() && c.agreed[m.index][r.ID] && r.State == federation.StateReplaced
		})
		if !bound {
			free++
		}
	}
	return free < c.w.knobs.T && free >= c.w.knobs.T-max(1, protocols.MaxFaulty(c.w.knobs.N))
}

// torn says whether a list has a request which some honest member approved and
// too few did.
func (c *checker) torn(l *wantedList) bool {
	for _, m := range c.w.honest() {
		if m.core == nil {
			continue
		}
		for _, r := range m.core.Requests() {
			if r.List == l.list.ID() && c.agreed[m.index][r.ID] && !c.asked[r.ID] {
				return true
			}
		}
	}
	return false
}
