package sign

import (
	"fmt"
	"slices"
	"testing"

	"frostfed/protocols"
)

func impatient(c *Config) { c.Patience = -1 }

func mute(int, []byte) [][]byte { return nil }

// The first coordinator is dead: the next one takes over after Delta, or at once if
// the death is known.
func TestTakeover(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := newWorld(t, 4, 3, 4, nil)
		id, items := reqID(1), w.items(3)
		first := w.ranked(id)[0]
		w.kill(first)
		if known {
			for i, nd := range w.nodes {
				if i != first {
					w.apply(i, nd.m.PeerDown(w.now, name(first)))
				}
			}
		}
		w.approveAll(id, items)
		w.run(1500)
		if known {
			w.mustSign(id, items)
			continue
		}
		w.mustNotSign(id)
		w.run(1500)
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// A coordinator dies in the middle of its run, at every possible moment.
func TestCoordinatorDiesMidRun(t *testing.T) {
	for after := range protocols.Time(30) {
		w := newWorld(t, 5, 3, 5, nil)
		id, items := reqID(1), w.items(2)
		w.approveAll(id, items)
		w.run(5 * after)
		w.kill(w.ranked(id)[0])
		w.run(20000)
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// Everybody coordinates at once. watch checks that no pair is used twice.
func TestAllCoordinateAtOnce(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, seed, 4, 5, func(c *Config) { c.Delta = 1 })
		var ids []requestID
		items := w.items(3)
		for i := range 5 {
			ids = append(ids, reqID(byte(i)))
			w.approveAll(ids[i], items)
		}
		w.run(30000)
		for _, id := range ids {
			w.mustSign(id, items)
		}
		w.mustNotBlame()
	}
}

// Up to n-t members are silent: nobody notices but the retry.
func TestSilentMembers(t *testing.T) {
	for _, config := range []func(*Config){nil, impatient} {
		for _, size := range [][2]int{{2, 3}, {3, 5}, {5, 7}, {1, 3}} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				w := newWorld(t, 7, size[0], size[1], config)
				id, items := reqID(1), w.items(2)
				order := w.ranked(id)
				for i := range size[1] - size[0] {
					w.nodes[order[i]].tamper = mute // the first coordinators, too
				}
				w.approveAll(id, items)
				w.run(60000)
				for i, nd := range w.nodes {
					if nd.tamper == nil {
						w.mustSign(id, items, i)
						if limit := size[1] - size[0] + 1; nd.sessions[id] > limit {
							t.Errorf("member %d started %d sessions, the bound is %d", i, nd.sessions[id], limit)
						}
					}
				}
				w.mustNotBlame()
			})
		}
	}
}

// T-1 members never finish, never crash, and hold no more and more.
func TestTooFew(t *testing.T) {
	w := newWorld(t, 10, 4, 5, impatient)
	id, items := reqID(1), w.items(2)
	for _, i := range []int{0, 1} {
		w.nodes[i].tamper = mute
	}
	w.approveAll(id, items)
	w.run(600000)
	w.mustNotSign(id)
	for i, nd := range w.nodes {
		if nd.sessions[id] > 2 {
			t.Errorf("member %d started %d sessions", i, nd.sessions[id])
		}
		if at := nd.m.Deadline(); at != protocols.Never {
			t.Errorf("member %d still wants a tick at %d", i, at)
		}
	}
}

// A signer restarts before, during and after a run, and recovers.
func TestSignerRestarts(t *testing.T) {
	for after := range protocols.Time(25) {
		w := newWorld(t, 12, 4, 4, nil) // everyone is needed
		id, items := reqID(1), w.items(2)
		victim := w.ranked(id)[2]
		w.approveAll(id, items)
		w.run(7 * after)
		w.restart(victim)
		w.approve(victim, id, items) // as its composer has it on disk
		w.run(1700)                  // no other coordinator is needed
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// Messages from and to a member are lost while it is away, at any moment, and it
// comes back with its memory: what it missed is said again.
func TestAway(t *testing.T) {
	for after := range protocols.Time(25) {
		for rank := range 3 {
			w := newWorld(t, 22, 3, 3, func(c *Config) { c.Pool = 16 })
			id, items := reqID(1), w.items(2)
			victim := w.ranked(id)[rank]
			w.approveAll(id, items)
			w.run(7 * after)
			w.queue = slices.DeleteFunc(w.queue, func(e *event) bool { return e.link && (e.node == victim || e.from == victim) })
			for i, nd := range w.nodes {
				if i != victim {
					w.apply(i, nd.m.Resync(w.now, name(victim)))
					w.apply(victim, w.nodes[victim].m.Resync(w.now, name(i)))
				}
			}
			w.run(1700)
			w.mustSign(id, items)
			w.mustNotBlame()
		}
	}
}

// The coordinator restarts in the middle of its run and runs again.
func TestCoordinatorRestarts(t *testing.T) {
	for after := range protocols.Time(25) {
		w := newWorld(t, 13, 3, 3, nil)
		id, items := reqID(1), w.items(2)
		victim := w.ranked(id)[0]
		w.approveAll(id, items)
		w.run(7 * after)
		w.restart(victim)
		w.approve(victim, id, items)
		w.run(60000)
		w.mustSign(id, items)
		w.mustNotBlame()
	}
}

// Everything at once: a liar, a member that restarts at random moments, another that
// is cut off, several requests large enough for jobs.
func TestChaos(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t, 100+seed, 3, 5, func(c *Config) { c.Pool, c.Patience = 40, 100 })
		w.nodes[4].tamper = w.liar(4, func(_ int, m *psigMsg) bool { m.psigs[0][5] ^= 1; return w.rng.Uint64()%2 == 0 })
		items := w.items(45)
		for i := range byte(3) {
			w.approveAll(reqID(i), items)
		}
		for range 4 {
			w.run(protocols.Time(w.rng.Uint64() % 300))
			w.restart(0)
			for i := range byte(3) {
				w.approve(0, reqID(i), items)
			}
			w.queue = slices.DeleteFunc(w.queue, func(e *event) bool { return e.link && (e.node == 1 || e.from == 1) })
			for i, nd := range w.nodes {
				if i != 1 {
					w.apply(i, nd.m.Resync(w.now, name(1)))
					w.apply(1, w.nodes[1].m.Resync(w.now, name(i)))
				}
			}
		}
		w.run(60000)
		for i := range byte(3) {
			w.mustSign(reqID(i), items, 0, 1, 2, 3)
		}
		for _, nd := range w.nodes[:4] {
			for _, f := range nd.faults {
				if f.Culprit != name(4) {
					t.Errorf("seed %d: member %d blames %q: %s", seed, nd.id, f.Culprit, f.Kind)
				}
			}
		}
	}
}
