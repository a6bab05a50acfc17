package sim

import (
	"slices"

	"frostfed/protocols"
)

// network carries frames between members. Like p2p, it keeps the order of one
// stream (sender, receiver, protocol) while one connection lasts, and may lose
// frames; unlike p2p it may also repeat and swap them.
type network struct {
	w *world
	// conn numbers the connection of a pair, both ways alike; 0 is none.
	conn  [][]int
	conns int
	cut   [][]bool // partition: no connection between the two
	hole  [][]bool // one way: frames vanish, and nobody notices

	latency [][]int64
	last    map[stream]int64 // arrival of the newest frame in order
}

type stream struct {
	from, to, conn int
	protocol       protocols.Protocol
}

func newNetwork(w *world) *network {
	n := w.knobs.N
	net := &network{w: w, conn: square[int](n), cut: square[bool](n), hole: square[bool](n),
		latency: square[int64](n), last: make(map[stream]int64)}
	for i := range n {
		for j := range n {
			net.latency[i][j] = 1 + w.rng.Int64N(w.knobs.Latency)
		}
	}
	return net
}

func square[T any](n int) [][]T {
	out := make([][]T, n)
	for i := range out {
		out[i] = make([]T, n)
	}
	return out
}

// refresh makes and breaks connections after processes or partitions changed;
// both sides notice some time later.
func (n *network) refresh() {
	for i := range n.conn {
		for j := range i {
			up := n.w.members[i].core != nil && n.w.members[j].core != nil && !n.cut[i][j]
			if up == (n.conn[i][j] != 0) {
				continue
			}
			conn := 0
			if up {
				n.conns++
				conn = n.conns
			}
			n.conn[i][j], n.conn[j][i] = conn, conn
			for _, side := range [][2]int{{i, j}, {j, i}} {
				m := n.w.members[side[0]]
				n.w.after(1+n.w.rng.Int64N(n.w.knobs.Detect), func() { m.look(side[1]) })
			}
		}
	}
}

// drop breaks the connections of a member at once; refresh makes new ones.
func (n *network) drop(i int) {
	for j := range n.conn {
		n.conn[i][j], n.conn[j][i] = 0, 0
		if j != i {
			m := n.w.members[j]
			n.w.after(1+n.w.rng.Int64N(n.w.knobs.Detect), func() { m.look(i) })
		}
	}
}

// send plans the arrivals of one frame: none, one or two.
func (n *network) send(from int, env protocols.Envelope) {
	w := n.w
	to := w.charter.Index(env.To)
	s := stream{from, to, n.conn[from][to], env.Protocol}
	calm := w.calm
	if s.conn == 0 || !calm && (n.hole[from][to] || w.rng.Float64() < w.knobs.Loss) {
		w.trace.frame(w.now, "lost", from, to, env.Protocol, env.Body)
		return
	}
	n.plan(s, env.Body, 0)
	if !calm && w.rng.Float64() < w.knobs.Dup {
		n.plan(s, env.Body, w.rng.Int64N(2_000))
	}
}

func (n *network) plan(s stream, body []byte, delay int64) {
	w := n.w
	at := w.now + delay + n.latency[s.from][s.to] + w.rng.Int64N(w.knobs.Jitter+1)
	if w.calm || w.rng.Float64() >= w.knobs.Swap {
		at = max(at, n.last[s])
		n.last[s] = at
	}
	body = slices.Clone(body) // the receiver owns it
	w.at(at, func() {
		if n.conn[s.from][s.to] != s.conn && (!w.knobs.Late || w.rng.IntN(2) == 0) {
			w.trace.frame(w.now, "gone", s.from, s.to, s.protocol, body)
			return
		}
		w.reached(s.from, s.to).receive(s.from, s.protocol, body)
	})
}

// partition cuts the members into two groups, or opens one-way holes, for a while.
func (n *network) partition() {
	w := n.w
	group := make([]int, w.knobs.N)
	for i := range group {
		group[i] = w.rng.IntN(2)
	}
	m, kind := n.cut, "cut"
	if w.rng.IntN(3) == 0 {
		m, kind = n.hole, "hole"
	}
	w.trace.add(w.now, "%s %v", kind, group)
	for i := range group {
		for j := range group {
			m[i][j] = kind == "cut" && group[i] != group[j] || kind == "hole" && group[i] < group[j]
		}
	}
	n.refresh()
	w.after(1_000+w.rng.Int64N(40_000), func() { n.heal() })
}

func (n *network) heal() {
	n.w.trace.add(n.w.now, "heal")
	for i := range n.cut {
		clear(n.cut[i])
		clear(n.hole[i])
	}
	n.refresh()
}
