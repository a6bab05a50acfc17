package sign

import (
	"flag"
	"slices"
	"testing"

	"frostfed/protocols"
)

var full = flag.Bool("full", false, "the long forms of tests")

// load counts what a member holds for signing, in pairs of nonces and sessions:
// what must not grow with the size of a request.
type load struct{ issued, held, live, parked, jobs int }

func (m *Machine) load() (s load) {
	for i := range m.peers {
		s.issued += len(m.issued[i].secrets)
		s.held += len(m.held[i].pairs)
		s.parked += len(m.peers[i].parked)
	}
	for _, r := range m.order {
		if r.run == nil {
			continue
		}
		sessions := make(map[*session]bool)
		for _, live := range r.run.live {
			sessions[live] = true
		}
		for i := range r.run.seats {
			if s := r.run.seats[i].session; s != nil {
				sessions[s] = true
			}
		}
		s.live += len(sessions)
	}
	s.jobs = len(m.jobs)
	return s
}

// watchLoad runs the world and returns the most that any member held.
func (w *world) watchLoad(d protocols.Time, done func() bool) (most load) {
	for end := w.now + d; w.now < end && !done(); {
		w.run(20)
		for _, nd := range w.nodes {
			s := nd.m.load()
			most = load{max(most.issued, s.issued), max(most.held, s.held), max(most.live, s.live),
				max(most.parked, s.parked), max(most.jobs, s.jobs)}
		}
	}
	return most
}

// Fifteen hundred messages, with -full five thousand, one member lies and one is
// silent: all are signed, and nobody holds more than its pools and a few sessions.
func TestBatchOfThousands(t *testing.T) {
	t.Parallel()
	items := 1500
	if *full {
		items = 5000
	}
	w := newWorld(t, 40, 3, 7, fullPools)
	w.delay = func(int, int) protocols.Time { return protocols.Time(1 + w.rng.Uint64()%5) }
	id := reqID(1)
	first := w.ranked(id)[0]
	silent, liar := (first+1)%7, (first+2)%7 // both are in the first session
	w.nodes[liar].tamper = w.liar(liar, func(_ int, m *psigMsg) bool { m.psigs[0][9] ^= 1; return true })
	w.nodes[silent].tamper = mute
	want := w.items(items)
	w.approveAll(id, want)
	honest := []int{first, (first + 3) % 7, (first + 4) % 7, (first + 5) % 7, (first + 6) % 7}
	most := w.watchLoad(600_000, func() bool { return w.nodes[honest[4]].signed[id] != nil })
	for _, i := range honest {
		if len(w.nodes[i].signed[id]) != items {
			t.Fatalf("member %d has %d signatures", i, len(w.nodes[i].signed[id]))
		}
	}
	for j := 0; j < items; j += 97 { // each is verified by the members; some again by btcec
		if !w.valid(want[j], w.nodes[honest[2]].signed[id][j]) {
			t.Errorf("signature %d is invalid", j)
		}
	}
	pools := 7 * maxLot
	if most.issued > pools || most.held > 2*pools || most.live > 8 || most.jobs > 20 {
		t.Errorf("most held by one member: %+v", most)
	}
	if got := w.blamed(FaultBadPartial); len(got) != 1 || got[0] != liar {
		t.Errorf("blamed %v, want %d", got, liar)
	}
}

// A small request is signed while a huge one runs, also several of them, and also
// if huge ones wait for their turn.
func TestSmallRequestsPassHugeOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 41, 2, 3, fullPools)
	w.delay = func(int, int) protocols.Time { return 10 }
	coordinator := -1
	var huge, small []requestID
	for b := byte(0); len(huge) < 3 || len(small) < 3; b++ { // all of one coordinator
		id := reqID(b)
		switch first := w.ranked(id)[0]; {
		case coordinator < 0:
			coordinator = first
		case first != coordinator:
		case len(huge) < 3:
			huge = append(huge, id)
		case len(small) < 3:
			small = append(small, id)
		}
	}
	many, few := w.items(1200), w.items(2)
	for _, id := range huge {
		w.approveAll(id, many)
	}
	w.run(60)
	for _, id := range small {
		w.approveAll(id, few)
		w.run(120)
		w.mustSign(id, few)
	}
	signed := func(id requestID) int {
		if r := w.nodes[coordinator].m.requests[id]; r != nil && r.run != nil {
			return r.run.lot
		}
		return -1
	}
	for _, id := range huge { // they share alike
		if a, b := signed(id), signed(huge[0]); a < 0 || a < b/2 || a > 2*b {
			t.Errorf("%d and %d items signed of two like requests", a, b)
		}
	}
	w.run(60_000)
	for _, id := range huge {
		if len(w.nodes[0].signed[id]) != len(many) {
			t.Error("a huge request is not finished")
		}
	}
	w.mustNotBlame()
}

// A coordinator that restarts in the middle of a huge request begins again, and
// the signers bear it.
func TestHugeRequestSurvivesItsCoordinator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 42, 2, 3, fullPools)
	w.delay = func(int, int) protocols.Time { return 10 }
	id, items := reqID(1), w.items(1000)
	c := w.ranked(id)[0]
	w.approveAll(id, items)
	w.run(150)
	if r := w.nodes[c].m.requests[id]; r == nil || r.run == nil || r.run.lot < 2*maxLot {
		t.Fatal("not in the middle")
	}
	w.restart(c)
	w.approve(c, id, items)
	w.run(1700) // before another one takes over
	if len(w.nodes[c].signed[id]) != len(items) {
		t.Error("not signed")
	}
	w.mustNotBlame()
}

// A request that runs beside another takes half a pool at a time.
func TestHalfAPoolBesideOthers(t *testing.T) {
	w := newWorld(t, 43, 2, 3, fullPools)
	w.delay = func(int, int) protocols.Time { return 10 }
	huge, other := reqID(0), reqID(1)
	for w.ranked(other)[0] != w.ranked(huge)[0] {
		other[0]++
	}
	many := w.items(400)
	w.approveAll(huge, many)
	w.run(30)
	w.approveAll(other, many[:100])
	w.run(1500)
	w.mustSign(other, many[:100])
	alone, beside := 0, 0
	for _, s := range w.signs {
		if s.request == huge {
			alone = max(alone, len(s.slots))
		} else {
			beside = max(beside, len(s.slots))
		}
	}
	if alone != maxLot || beside != maxLot/2 {
		t.Errorf("lots of %d alone and %d beside another, want %d and %d", alone, beside, maxLot, maxLot/2)
	}
}

// Of requests that wait for nonces, the one served longest ago goes first.
func TestTurns(t *testing.T) {
	m := newWorld(t, 44, 2, 3, nil).nodes[0].m
	for _, turn := range []uint64{5, 3, 9} {
		m.order = append(m.order, &request{run: &run{starved: true, turn: turn}})
	}
	m.order = append(m.order, &request{run: &run{turn: 1}})
	m.markStarved()
	if len(m.dirty) != 3 || m.dirty[0].run.turn != 3 || m.dirty[1].run.turn != 5 || m.dirty[2].run.turn != 9 {
		t.Errorf("%d runs, in another order", len(m.dirty))
	}
}

// The must-test of signing: of 50 members 16 are faulty, whoever leads: silent,
// lying to all, lying to some, lying without vouching for it. A thousand messages are
// signed all the same, liars are named, and nobody else. Without -full, 5 of 16 and a
// hundred messages.
func TestM2ThousandSignatures(t *testing.T) {
	n, faulty, items := 16, 5, 100
	if *full {
		n, faulty, items = 50, 16, 1000
	}
	w := newWorld(t, 2, protocols.DefaultThreshold(n), n, fullPools)
	w.delay = func(int, int) protocols.Time { return protocols.Time(1 + w.rng.Uint64()%20) }
	id := reqID(1)
	ranked := w.ranked(id)
	bad := make(map[int]bool)
	for k := range faulty {
		i := ranked[k] // the first coordinators are all faulty
		bad[i] = true
		flip := func(_ int, m *psigMsg) bool { m.psigs[len(m.psigs)-1][9] ^= 1; return true }
		switch k % 4 {
		case 0:
			w.nodes[i].tamper = mute
		case 1:
			w.nodes[i].tamper = w.liar(i, flip)
		case 2:
			w.nodes[i].tamper = w.liar(i, func(to int, m *psigMsg) bool { return to%2 == 0 || flip(to, m) })
		case 3:
			w.nodes[i].tamper = onPSig(func(to int, m *psigMsg) bool { m.psigs[0][0] ^= 0x40; return true }) // not vouched for
		}
		lie := w.nodes[i].tamper
		w.nodes[i].tamper = func(to int, body []byte) [][]byte {
			if body[0] == kindSign {
				return nil // they lead nobody
			}
			return lie(to, body)
		}
	}
	want := w.items(items)
	w.approveAll(id, want)
	done := func() bool {
		for i := range w.nodes {
			if !bad[i] && w.nodes[i].signed[id] == nil {
				return false
			}
		}
		return true
	}
	w.watchLoad(3_600_000, done)
	for i := range w.nodes {
		if bad[i] {
			continue
		}
		if len(w.nodes[i].signed[id]) != items {
			t.Fatalf("member %d has %d signatures", i, len(w.nodes[i].signed[id]))
		}
	}
	if len(w.blamed(FaultBadPartial)) == 0 {
		t.Error("no liar was named")
	}
	for i, nd := range w.nodes {
		for _, f := range nd.faults {
			if !bad[i] && !slices.ContainsFunc(ranked[:faulty], func(liar int) bool { return name(liar) == f.Culprit }) {
				t.Fatalf("member %d blames %s: %s", i, f.Culprit, f.Kind)
			}
		}
	}
	for j := 0; j < items; j += 37 {
		if !w.valid(want[j], w.nodes[ranked[n-1]].signed[id][j]) {
			t.Errorf("signature %d is invalid", j)
		}
	}
	t.Logf("%d of %d faulty, %d signatures after %d s of the members' clock", faulty, n, items, w.now/1000)
}
