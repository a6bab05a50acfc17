package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
	"frostfed/federation"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

// Mutant is a world that breaks a rule on purpose, to see that it is noticed.
type Mutant int

// The mutants.
const (
	Faithful       Mutant = iota
	SpeakFirst            // a driver that sends before it commits, and may die between
	Amnesia               // a member that starts with an empty disk
	SameRandomness        // a process that draws what the one before drew, as a cloned machine does
)

// Options of a run.
type Options struct {
	Mutant Mutant
	Full   bool   // keep the whole trace, not only its end
	Knobs  string // that differ from those the seed draws, as Knobs.String lists them
	Crash  *Crash
	Clone  *Clone
}

// Crash is one that is not drawn: of a member at one of the boundaries between the
// effects of all its turns, counted from 0.
type Crash struct {
	Member, Boundary int
	// Image is the number of batches that its disk then holds; negative: all that
	// were committed.
	Image int
}

// Clone has a second process of a member run from a copy of its disk for some time.
type Clone struct {
	Member     int
	Begin, End int64
}

// Report is what came of a seed.
type Report struct {
	Seed   uint64
	Knobs  Knobs
	Hash   string // of the trace: equal for equal seeds, or something is not deterministic
	Trace  []string
	Err    error // the first invariant that broke, or nil
	Events int
	Stats  Stats

	Boundaries, Batches []int // by member: between effects, and of records
}

// Violation is a broken invariant.
type Violation struct {
	Invariant string // I1 to I8, or a word
	At        int64  // virtual ms
	Detail    string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("%s at %d ms: %s", v.Invariant, v.At, v.Detail)
}

// maxEvents ends a world that does not come to rest: a healthy one has some ten
// thousands. Beyond ten members it is for a hundred pairs of them.
const maxEvents = 2_000_000

// world is one federation in its virtual surroundings.
type world struct {
	seed   uint64
	knobs  Knobs
	mutant Mutant
	rng    *rand.Rand
	trace  *trace
	queue  queue
	now    int64
	calm   bool // no faults any more, but those of faulty members
	idle   bool // nothing is left to do; no block is mined
	err    *Violation

	charter *membership.Charter
	members []*member
	net     *network
	chain   *chain
	work    *workload
	check   *checker
	crashes int
	options Options
	clone   *member // of the member that Options.Clone names, while it runs
	plan    *plan   // of faulty members that conspire
	tempted bool    // the adaptive adversary has begun
}

// Run simulates one seed.
func Run(seed uint64, o Options) (report Report) {
	keep := 200
	if o.Full {
		keep = 0
	}
	w := &world{seed: seed, mutant: o.Mutant, options: o, knobs: draw(seed), rng: rand.New(rand.NewPCG(seed, 0x66726f7374)), trace: newTrace(keep)}
	if err := w.knobs.set(o.Knobs); err != nil {
		return Report{Seed: seed, Err: err}
	}
	report = Report{Seed: seed, Knobs: w.knobs}
	defer func() {
		if p := recover(); p != nil {
			w.fail("panic", "%v\n%s", p, debug.Stack())
		}
		if w.err != nil {
			w.trace.add(w.now, "FAILED %s", w.err.Invariant)
			report.Err = w.err
		}
		report.Hash, report.Trace = w.trace.hash(), w.trace.tail()
		if w.check != nil {
			report.Stats = w.check.stats
			report.Stats.Crashes = w.crashes
		}
		for _, m := range w.members {
			report.Boundaries = append(report.Boundaries, m.boundaries)
			report.Batches = append(report.Batches, m.disk.commits)
		}
	}()
	w.build()
	for w.queue.Len() > 0 && w.err == nil && !w.work.finished {
		e := w.queue.next()
		w.now = e.at
		e.run()
		if report.Events++; report.Events > maxEvents*max(1, w.knobs.N*w.knobs.N/100) {
			w.fail("I7", "%d events and no end", report.Events)
		}
	}
	return report
}

func (w *world) at(t int64, f func())    { w.queue.plan(t, f) }
func (w *world) after(d int64, f func()) { w.at(w.now+d, f) }

// fail notes the first violation; the world ends with it.
func (w *world) fail(invariant, format string, args ...any) {
	if w.err == nil {
		w.err = &Violation{invariant, w.now, fmt.Sprintf(format, args...)}
	}
}

// mayCrash draws whether a member dies now.
func (w *world) mayCrash() bool {
	if w.calm || w.crashes >= w.knobs.Crashes || w.rng.Float64() >= w.knobs.CrashRate {
		return false
	}
	w.crashes++
	return true
}

func (w *world) build() {
	w.trace.add(0, "seed %d mutant %d %v", w.seed, w.mutant, w.knobs)
	keys := make(map[[33]byte]*memberkey.Keys)
	var cards []*membership.Card
	for i := range w.knobs.N {
		k, err := memberkey.Derive(bytes.Repeat([]byte{byte(i + 1)}, memberkey.SeedSize), 0)
		if err != nil {
			panic(err) // the seed is well-formed
		}
		card, err := membership.NewCard(k, fmt.Sprintf("member%d", i), 1, nil, func() [32]byte { return [32]byte{1} })
		if err != nil {
			panic(err)
		}
		keys[k.Host.Public()] = k
		cards = append(cards, card)
	}
	charter, err := membership.NewCharter("sim", "regtest", w.knobs.T, cards)
	if err != nil {
		panic(err)
	}
	w.charter = charter
	addresses := new(bitcoin.Cache)
	rules := policy.DefaultConfig()
	rules.MinConfirmations = w.knobs.Confirmations
	for i, card := range charter.Cards {
		w.members = append(w.members, &member{w: w, index: i, disk: newDisk(), cfg: federation.Config{
			Charter: charter, Self: card.NodeID(), Host: &keys[card.Host].Host, Policy: rules, Gap: 4, Version: "sim",
			Pool: w.knobs.Pool, Silence: protocols.Time(w.knobs.Silence), Addresses: addresses}})
	}
	if c := w.options.Crash; c != nil && c.Image >= 0 {
		w.members[c.Member].disk.forgets = true
	}
	for i, who := range w.rng.Perm(w.knobs.N) {
		if i < w.knobs.Forget {
			w.members[who].disk.forgets = true
		}
	}
	w.net, w.check, w.work = newNetwork(w), newChecker(w), newWorkload(w)
	w.chain = newChain(w)
	w.schedule()
}

// schedule plans the life of the world: a fault period, and calm after it.
func (w *world) schedule() {
	k := w.knobs
	for _, m := range w.members {
		w.after(w.rng.Int64N(3_000), m.start)
	}
	within := func(f func()) { w.at(w.rng.Int64N(k.FaultTime), f) }
	if c := w.options.Clone; c != nil {
		w.at(c.Begin, w.beginClone)
		w.at(c.End, w.endClone)
	}
	for _, m := range w.members {
		if m.disk.forgets && w.options.Crash == nil {
			for range 3 {
				within(func() {
					if m.core != nil {
						m.crash()
					}
				})
			}
		}
	}
	for range k.Cuts {
		within(w.net.partition)
	}
	for range k.Reorgs {
		depth := 1 + w.rng.IntN(3)
		if w.rng.IntN(6) == 0 {
			depth = 6
		}
		within(func() { w.chain.reorg(depth, false); w.announceTip() })
	}
	for range k.DeepReorgs {
		depth := 7 + w.rng.IntN(6)
		within(func() { w.chain.reorg(depth, false); w.announceTip() })
	}
	for range k.DoubleSpends {
		depth := 1 + w.rng.IntN(4)
		within(func() { w.chain.reorg(depth, true); w.announceTip() })
	}
	w.after(k.BlockTime, w.block)
	w.work.schedule()
	w.at(k.FaultTime, w.becomeCalm)
}

// block mines for ever.
func (w *world) block() {
	if !w.idle {
		w.chain.mine(w.calm)
		w.announceTip()
	}
	w.after(k1(w.rng, w.knobs.BlockTime), w.block)
}

// k1 spreads a mean over half to one and a half of it.
func k1(r *rand.Rand, mean int64) int64 { return mean/2 + r.Int64N(mean) }

// announceTip lets each member's node learn of a new tip in its own time.
func (w *world) announceTip() {
	for _, m := range w.members {
		w.after(1+w.rng.Int64N(w.knobs.NodeLag), m.poll)
	}
}

// becomeCalm ends all faults but those of faulty members.
func (w *world) becomeCalm() {
	w.trace.add(w.now, "calm")
	w.calm = true
	w.net.heal()
	for _, m := range w.members {
		m.start()
	}
	w.at(w.now+w.knobs.CalmTime, func() { w.work.overdue() })
}

// turnFaulty lets the adversary take over its members. The one who tempted it, if
// somebody did, comes first. Members whose disks forget count as faulty already.
func (w *world) turnFaulty(first int) {
	kinds := w.knobs.kinds()
	if len(kinds) == 0 || len(w.honest()) < w.knobs.N {
		return
	}
	var takeover []*member
	for i := range w.knobs.N {
		if m := w.members[(first+2*i+i/((w.knobs.N+1)/2))%w.knobs.N]; !m.disk.forgets && !slices.Contains(takeover, m) {
			takeover = append(takeover, m)
		}
	}
	for i, kind := range kinds[:min(len(kinds), len(takeover))] {
		m := takeover[i]
		w.trace.add(w.now, "faulty %d: %s", m.index, kind)
		m.faulty, m.kind = true, kind
		m.stop()
		m.start()
	}
}

// tempt tells the adaptive adversary what an honest member is about to do: to
// broadcast its part of a key, or to coordinate the signing of a request. It
// corrupts who does that first.
func (w *world) tempt(m *member, protocol protocols.Protocol) {
	k := w.knobs
	if !k.Adaptive || w.tempted || k.Early != (protocol == protocols.Echo) {
		return
	}
	w.tempted = true
	w.after(0, func() { w.turnFaulty(m.index) })
}

// beginClone starts a second process of a member, as a copied folder does. Each of
// the others is connected with one of the two.
func (w *world) beginClone() {
	m := w.members[w.options.Clone.Member]
	w.trace.add(w.now, "clone of %d", m.index)
	m.disk.forgets = true // two of it at once look faulty to others
	w.clone = &member{w: w, index: m.index, cfg: m.cfg, disk: newDisk(), boot: 1_000_000}
	w.clone.disk.commit(m.disk.load())
	w.clone.start()
	for i, id := range w.charter.Members() {
		if w.reached(i, m.index) == w.clone {
			w.clone.give(func(now protocols.Time) federation.Effects { return w.clone.core.PeerUp(now, id) })
		}
	}
}

// endClone ends both, as the daemon does when others tell it that its identity is
// used twice; its operator starts one of them again.
func (w *world) endClone() {
	clone := w.clone
	w.clone = nil
	clone.stop()
	w.members[clone.index].stop()
	w.after(1_000, w.members[clone.index].start)
}

// reached is the process that frames between two members come to.
func (w *world) reached(from, to int) *member {
	if w.clone != nil && to == w.clone.index && from%2 == 0 {
		return w.clone
	}
	return w.members[to]
}

// indices names members by number.
func (w *world) indices(ids []protocols.NodeID) (out []int) {
	for _, id := range ids {
		out = append(out, w.charter.Index(id))
	}
	return out
}

// honest lists the members that are not faulty.
func (w *world) honest() []*member {
	var out []*member
	for _, m := range w.members {
		if !m.faulty {
			out = append(out, m)
		}
	}
	return out
}
