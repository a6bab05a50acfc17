package membership

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

var exhaustive = flag.Bool("exhaustive", false, "crash every member at every commit")

// TestMain keeps histories few: each is a federation of seven. -rapid.checks asks for
// more.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "5"); err != nil {
			panic(err) // the flag of a library that is imported here
		}
	}
	os.Exit(m.Run())
}

// A member loses its memory at a commit of a join, before it or after it, and the
// applicant still becomes a member. The four members share the commits among them; with
// -exhaustive each takes all.
func TestCrashAtEveryCommit(t *testing.T) {
	for _, at := range []crashAt{beforeCommit, afterCommit} {
		for victim := range 4 {
			first, step := 2*victim+int(at)-1, 8
			if *exhaustive {
				first, step = 0, 1
			}
			for k := first; ; k += step {
				w := newWorld(t, 4, uint64(k))
				n := 0
				w.crash = func(nd *node) crashAt {
					if int(nd.id) != victim {
						return noCrash
					}
					if n++; n-1 == k {
						return at
					}
					return noCrash
				}
				eve := w.applicant(10)
				if w.until(1, 80); !has(w.state(), eve) {
					w.until(2, 80)
				}
				w.mine(15)
				if !has(w.state(), eve) || w.order[victim].m.acting.number() != w.state().Number {
					t.Fatalf("crash of %d at commit %d: not admitted", victim, k)
				}
				if n <= k {
					if k < 20 {
						t.Fatalf("only %d commits", n)
					}
					break
				}
			}
		}
	}
}

// stages are the moments of a join, each with the condition by which it is known.
var stages = []struct {
	name string
	is   func(w *world) bool
}{
	{"collecting", func(w *world) bool { return len(w.honest().m.acting.entries) > 0 }},
	{"keygen", func(w *world) bool { return w.honest().m.acting.phase == generating }},
	{"sealed", func(w *world) bool { return w.honest().m.acting.phase == sealed }},
	{"signed", func(w *world) bool { s := w.honest().m.eras[0].seals; return len(s) > 0 && len(s[0].signed) > 0 }},
	{"mined", func(w *world) bool { return w.honest().m.eras[0].next != nil }},
	{"acting", func(w *world) bool { return w.honest().m.acting.number() == 1 }},
	{"final", func(w *world) bool { return w.honest().m.eras[0].erased }},
}

func TestReorg(t *testing.T) {
	for _, depth := range []int{1, 6, 101} {
		for _, stage := range stages {
			t.Run(fmt.Sprintf("%d/%s", depth, stage.name), func(t *testing.T) {
				w := newWorld(t, 4, uint64(depth))
				w.holdKeys = stage.name == "keygen"
				eve := w.applicant(10)
				for i := 0; !stage.is(w); i++ {
					if w.mine(1); i > 100 {
						t.Fatal("never came to that")
					}
				}
				was := w.honest().m.eras[0]
				mined := was.next != nil
				before := w.honest().m.acting.number()
				w.reorg(depth)
				if before == 1 && depth > 20 && (w.honest().m.acting.number() == 1 && w.honest().m.alive) {
					t.Error("the epoch acts without its transition")
				}
				if mined && depth > 20 && !inPool(w, was) {
					t.Error("the transition is not sent again")
				}
				w.release()
				w.until(1, 120)
				w.mine(15)
				if !has(w.state(), eve) {
					w.until(2, 150)
				}
				if !has(w.state(), eve) || !w.honest().m.eras[0].erased {
					t.Error("not admitted, or the old shares are not erased")
				}
			})
		}
	}
}

func inPool(w *world, r *era) bool {
	for _, tx := range append(w.mempool, flat(w.blocks)...) {
		if tx.TxIn[0].PreviousOutPoint == r.state.ThreadOutPoint() {
			return true
		}
	}
	return false
}

func flat(blocks [][]*wire.MsgTx) (out []*wire.MsgTx) {
	for _, b := range blocks {
		out = append(out, b...)
	}
	return out
}

func say(texts ...any) [][2]any {
	var out [][2]any
	for i := 0; i < len(texts); i += 2 {
		out = append(out, [2]any{texts[i], texts[i+1]})
	}
	return out
}

// liars are ways in which one of four members may be faulty.
var liars = map[string]func(w *world) func(*node, string, []byte) [][2]any{
	"silent": func(*world) func(*node, string, []byte) [][2]any {
		return func(*node, string, []byte) [][2]any { return nil }
	},
	"no promises": dropping(topicPromise),
	"no values":   dropping(topicValue),
	"no votes":    dropping(topicPre, topicCommit),
	"garbage": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any { return say(text, []byte{1, 2, 3}) }
	},
	"votes for anything": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			if tp, _ := parseTopic(text); tp.kind == topicPre || tp.kind == topicCommit {
				fake := append([]byte(nil), payload...)
				fake[w.rng.IntN(32)] ^= byte(w.rng.IntN(3))
				return say(text, fake)
			}
			return say(text, payload)
		}
	},
	// Wants to abandon whatever is decided, in rounds that it leads and others.
	"offers without end": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			out := say(text, payload)
			tp, _ := parseTopic(text)
			for i := range maxRounds {
				switch tp.kind {
				case topicPre:
					tp.kind = topicValue
				case topicPromise:
					tp.kind, tp.slot = topicValue, tp.slot+1
				}
				if tp.kind == topicValue {
					tp.round = i
					out = append(out, [2]any{tp.String(), append([]byte{noRound}, (&value{kind: valueAbandon}).encode()...)})
				}
			}
			return out
		}
	},
	"sweeps what is not there": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			if tp, _ := parseTopic(text); tp.kind == topicValue && payload[1] == valueSeal {
				v, err := decodeValue(payload[1:])
				w.must(err)
				v.seal.Sweep = []bitcoin.Coin{{OutPoint: wire.OutPoint{Index: 3}, Amount: 1e6}}
				return say(text, append([]byte{noRound}, v.encode()...))
			}
			return say(text, payload)
		}
	},
	"fee beyond bounds": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			if tp, _ := parseTopic(text); tp.kind == topicValue && payload[1] == valueSeal {
				v, err := decodeValue(payload[1:])
				w.must(err)
				v.seal.FeeRate = bitcoin.PerVByte(16)
				return say(text, append([]byte{noRound}, v.encode()...))
			}
			return say(text, payload)
		}
	},
	// A key that the liar made alone.
	"another key": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			tp, _ := parseTopic(text)
			if tp.kind != topicValue || payload[1] != valueSeal {
				return say(text, payload)
			}
			v, err := decodeValue(payload[1:])
			w.must(err)
			d := v.seal.Next.Descriptor
			d.Key = w.draw("mallory")
			v.seal.Next, err = epoch.New(d)
			w.must(err)
			return say(text, append([]byte{noRound}, v.encode()...))
		}
	},
	// A batch without anybody's proposals, and one with a member that nobody removed.
	"other rosters": func(w *world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			tp, _ := parseTopic(text)
			if tp.kind != topicValue {
				return say(text, payload)
			}
			v, err := decodeValue(payload[1:])
			w.must(err)
			switch v.kind {
			case valueBatch:
				v.batch.exited = [][32]byte{{1}}
			case valueSeal:
				d := v.seal.Next.Descriptor
				d.Threshold = 1
				v.seal.Next, err = epoch.New(d)
				w.must(err)
			}
			return say(text, append([]byte{noRound}, v.encode()...))
		}
	},
}

func dropping(kinds ...string) func(*world) func(*node, string, []byte) [][2]any {
	return func(*world) func(*node, string, []byte) [][2]any {
		return func(_ *node, text string, payload []byte) [][2]any {
			for _, k := range kinds {
				if tp, _ := parseTopic(text); tp.kind == k {
					return nil
				}
			}
			return say(text, payload)
		}
	}
}

// One of four lies, whichever place it has: the others go on, and agree.
func TestOneOfFourIsFaulty(t *testing.T) {
	for name, liar := range liars {
		for evil := range 4 {
			t.Run(fmt.Sprintf("%s/%d", name, evil), func(t *testing.T) {
				w := newWorld(t, 4, uint64(evil))
				w.order[evil].evil = true
				w.tamper = liar(w)
				eve := w.applicant(10)
				w.until(1, 80)
				if !has(w.state(), eve) || w.state().Key == w.draw("mallory") {
					t.Error("not admitted, or not by the key that all made")
				}
				for _, nd := range w.order {
					for _, f := range nd.faults {
						if !w.nodes[f.Culprit].evil {
							t.Errorf("node %d blames honest %d: %+v", nd.id, w.nodes[f.Culprit].id, f)
						}
					}
				}
			})
		}
	}
}

// Seven members, two of which lie in different ways, crashes, reorganisations and
// members that are away for a while: the epoch changes.
func TestAnythingGoes(t *testing.T) {
	var names []string
	for _, name := range []string{"silent", "no promises", "no values", "no votes", "garbage", "votes for anything", "offers without end", "other rosters"} {
		if liars[name] == nil {
			t.Fatal(name)
		}
		names = append(names, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(quiet{t, rt}, 7, rapid.Uint64().Draw(rt, "seed"))
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 2, 2, rapid.ID).Draw(rt, "evil") {
			w.order[i].evil = true
		}
		pick := func(i int) func(*node, string, []byte) [][2]any {
			return liars[rapid.SampledFrom(names).Draw(rt, fmt.Sprintf("lie %d", i))](w)
		}
		first, second := pick(0), pick(1)
		w.tamper = func(nd *node, text string, payload []byte) [][2]any {
			if nd.id%2 == 0 {
				return first(nd, text, payload)
			}
			return second(nd, text, payload)
		}
		w.applicant(10)
		w.tellMoves = true
		if rapid.Bool().Draw(rt, "two come, one leaves") {
			w.applicant(11)
			w.leave(w.honest())
		}
		crashes := rapid.IntRange(0, 5).Draw(rt, "crashes")
		w.crash = func(nd *node) crashAt {
			if crashes > 0 && w.rng.IntN(40) == 0 {
				crashes--
				return crashAt(1 + w.rng.IntN(2))
			}
			return noCrash
		}
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				w.reorg(rapid.IntRange(1, 8).Draw(rt, "depth"))
			case 1:
				nd := w.order[rapid.IntRange(0, 6).Draw(rt, "who")]
				if nd.down = !nd.down; !nd.down {
					w.tip(nd)
					w.settle()
				}
			default:
				w.mine(rapid.IntRange(1, 5).Draw(rt, "blocks"))
			}
		}
		for _, nd := range w.order {
			if nd.down {
				nd.down = false
				w.tip(nd)
			}
		}
		w.settle()
		w.until(1, 250)
		// Of fewer members two may be too many liars.
		evil := 0
		for _, nd := range w.order {
			if nd.evil && has(w.state(), nd) {
				evil++
			}
		}
		if evil <= protocols.MaxFaulty(len(w.state().Members)) {
			w.until(2, 350) // renewed
		}
	})
}

// quiet is a test that fails in rapid's way.
type quiet struct {
	testing.TB
	rt *rapid.T
}

func (q quiet) Helper()                      {}
func (q quiet) Fatal(args ...any)            { q.rt.Fatal(args...) }
func (q quiet) Fatalf(f string, args ...any) { q.rt.Fatalf(f, args...) }
func (q quiet) Error(args ...any)            { q.rt.Error(args...) }
func (q quiet) Errorf(f string, args ...any) { q.rt.Errorf(f, args...) }

// A member that is gone is removed by rule, and pays what silence costs.
func TestSilence(t *testing.T) {
	w := newWorld(t, 4, 3)
	gone := w.order[2]
	gone.down = true
	w.mine(3)
	w.silent = []protocols.NodeID{gone.cfg.Self}
	w.until(1, 80)
	if has(w.state(), gone) {
		t.Fatal("still a member")
	}
	c := w.state().Changes
	if len(c) != 1 || c[0].Class != epoch.Silence || c[0].Kind != epoch.Removed {
		t.Fatalf("changes %+v", c)
	}
	for _, out := range w.transaction(w.state()).TxOut {
		if string(out.PkScript) == string(script(gone.id)) && out.Value != int64(epoch.MinBond)*95/100 {
			t.Errorf("refund of %d", out.Value)
		}
	}
}

func (w *world) transaction(s *epoch.State) *wire.MsgTx {
	for _, tx := range flat(w.blocks) {
		if tx.TxHash() == s.TxID {
			return tx
		}
	}
	w.Fatal("not mined")
	return nil
}

// Two cut-off halves decide nothing; together again they do. No round is used up.
func TestPartition(t *testing.T) {
	w := newWorld(t, 4, 5, func(terms *Terms) { terms.Keygen = 80 })
	w.holdKeys = true
	eve := w.applicant(10)
	for i := 0; w.honest().m.acting.phase != generating; i++ {
		if w.mine(1); i > 60 {
			t.Fatal("no batch")
		}
	}
	cut := []*node{w.order[0], w.order[1]}
	decided := len(w.order[3].m.acting.decided)
	for _, nd := range cut {
		nd.down = true
	}
	w.release() // half of them have a key and want to go on
	w.mine(40)
	r := w.order[3].m.acting
	if len(r.decided) != decided || r.slot(len(r.decided)).round > 1 {
		t.Errorf("half of the members decided %d, in round %d", len(r.decided), r.slot(len(r.decided)).round)
	}
	for _, nd := range cut {
		nd.down = false
	}
	w.tips()
	w.settle()
	w.release()
	w.until(1, 60)
	if !has(w.state(), eve) {
		t.Error("not admitted")
	}
}

// A flood of applications costs deposits to be heard of at all, and of proposals only
// the first few count.
func TestFlood(t *testing.T) {
	w := newWorld(t, 4, 6)
	m := w.order[0].m
	state := w.state()
	for id := range byte(60) {
		nd := w.person(20 + id)
		keys := keysOf(t, nd.id, 0)
		a, err := NewApplication(state.Hash(), Application{Card: nd.card, Refund: script(1), Value: epoch.MinBond}, &keys.Bond, [32]byte{})
		w.must(err)
		e, err := m.Apply(0, a.Bytes())
		w.must(err)
		w.apply(w.order[0], e)
		if len(m.waiting) > maxWaiting {
			t.Fatalf("%d applications", len(m.waiting))
		}
	}
	eve := w.applicant(10)
	w.until(1, 60)
	if !has(w.state(), eve) {
		t.Error("crowded out")
	}
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = w.order[1].m.Renew(0)
	}
	if n != maxProposals+1 {
		t.Errorf("%d proposals, %v", n-1, err)
	}
	evil := w.order[2]
	for i := range maxVotes + 1 {
		id := ID{byte(i), byte(i >> 8)}
		w.apply(w.order[3], w.order[3].m.Delivered(0, evil.cfg.Self, topic{epoch: 1, kind: topicVote, id: id}.String(), []byte{1}))
	}
	if f := w.order[3].faults; len(f) == 0 || f[len(f)-1].Kind != FaultTooMany || !strings.Contains(f[len(f)-1].Detail, "votes") {
		t.Errorf("faults %+v", f)
	}
}
