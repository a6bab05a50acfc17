package acked

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"testing"

	"frostfed/protocols"
)

// The world: three nodes, a network that loses, repeats, delays and reorders
// frames, keeps those of dead processes, and nodes that restart with or without
// their peers' connections breaking. One seed is one history.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	now   protocols.Time
	nodes []*node
	air   []flying
	boots uint64
	trace hash.Hash
	calm  bool
}

type node struct {
	*Machine
	id   protocols.NodeID
	sent map[stream]uint32 // messages so far, by destination
	from map[stream]uint32 // first message the current boot of the destination may see
	got  map[stream]uint32 // the next message expected, by source and its boot
}

// stream is what is ordered: one protocol between this process and a boot of the
// peer; on the sending side boot is 0.
type stream struct {
	peer     protocols.NodeID
	boot     uint64
	protocol protocols.Protocol
}

type flying struct {
	from, to int
	env      protocols.Envelope
}

var lanes = []protocols.Protocol{protocols.Echo, protocols.Sign}

func newWorld(t *testing.T, seed uint64) *world {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	w := &world{t: t, rng: rand.New(rand.NewChaCha8(key)), trace: sha256.New()}
	for _, id := range []protocols.NodeID{"alice", "bob", "carol"} {
		w.nodes = append(w.nodes, &node{id: id})
	}
	for i := range w.nodes {
		w.boot(i)
	}
	return w
}

func (w *world) boot(i int) {
	n := w.nodes[i]
	var peers []protocols.NodeID
	for _, o := range w.nodes {
		if o != n {
			peers = append(peers, o.id)
		}
	}
	w.boots++
	m, err := New(Config{Self: n.id, Peers: peers, Protocols: lanes, Boot: w.boots})
	if err != nil {
		w.t.Fatal(err)
	}
	n.Machine = m
	n.sent, n.from, n.got = map[stream]uint32{}, map[stream]uint32{}, map[stream]uint32{}
	for _, p := range peers {
		m.PeerUp(w.now, p)
	}
}

// say queues the next message of a stream. It begins with the sender's boot, the
// protocol and its number, so that the receiver knows what it should be.
func (w *world) say(from, to int) {
	n := w.nodes[from]
	if s, _ := n.Stats(w.nodes[to].id); s.OutboxMessages > 200 || s.OutboxBytes > MaxOutboxBytes/2 {
		return // overflow has its own test
	}
	k := stream{w.nodes[to].id, 0, lanes[w.rng.IntN(len(lanes))]}
	size := 1 + w.rng.IntN(50)
	switch w.rng.IntN(40) {
	case 0:
		size = 1 + w.rng.IntN(200<<10)
	case 1:
		size = 1 + w.rng.IntN(2<<10)
	}
	b := binary.BigEndian.AppendUint64(nil, n.cfg.Boot)
	b = binary.BigEndian.AppendUint32(b, n.sent[k])
	b = append(b, k.protocol...)
	b = append(b, bytes.Repeat([]byte{byte(size)}, size)...)
	n.sent[k]++
	if err := n.Send(w.now, k.peer, k.protocol, b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) absorb(i int, e Effects) {
	n := w.nodes[i]
	for _, f := range e.Faults {
		w.t.Fatalf("%s blames an honest peer: %+v", n.id, f)
	}
	for _, ev := range e.Out {
		fmt.Fprintf(w.trace, "%d %s %T", w.now, n.id, ev)
		switch ev := ev.(type) {
		case Received:
			w.check(n, ev)
		case Resumed:
			for _, l := range lanes {
				k := stream{ev.Peer, 0, l}
				n.from[k] = n.sent[k]
			}
		}
	}
	for _, env := range e.Send {
		w.trace.Write(env.Body)
		to := slices.IndexFunc(w.nodes, func(o *node) bool { return o.id == env.To })
		w.air = append(w.air, flying{i, to, env})
	}
}

// check is the guarantee: without gaps, without repetitions, per pair of boots.
func (w *world) check(n *node, r Received) {
	boot, number := binary.BigEndian.Uint64(r.Body), binary.BigEndian.Uint32(r.Body[8:])
	body := r.Body[12:]
	if !bytes.HasPrefix(body, []byte(r.Protocol)) {
		w.t.Fatalf("message of another protocol on %s", r.Protocol)
	}
	pad := body[len(r.Protocol):]
	if !bytes.Equal(pad, bytes.Repeat(pad[:1], len(pad))) || byte(len(pad)) != pad[0] {
		w.t.Fatal("message damaged")
	}
	k := stream{r.From, boot, r.Protocol}
	want, known := n.got[k]
	if !known {
		sender := w.nodes[slices.IndexFunc(w.nodes, func(o *node) bool { return o.id == r.From })]
		if sender.cfg.Boot != boot {
			want = number // its process is gone, and what it meant with it
		} else {
			want = sender.from[stream{n.id, 0, r.Protocol}]
		}
	}
	if number != want {
		w.t.Fatalf("%s got message %d of %v, want %d", n.id, number, k, want)
	}
	n.got[k] = want + 1
}

func (w *world) step() {
	i := w.rng.IntN(len(w.nodes))
	o := (i + 1 + w.rng.IntN(len(w.nodes)-1)) % len(w.nodes)
	switch r := w.rng.IntN(200); {
	case r < 60:
		w.say(i, o)
	case r < 100:
		w.absorb(i, w.nodes[i].Tick(w.now))
	case r < 180:
		w.fly()
	case r < 190:
		w.now += protocols.Time(w.rng.IntN(1500))
	case r < 194:
		w.nodes[i].PeerDown(w.now, w.nodes[o].id)
	case r < 199:
		w.nodes[i].PeerUp(w.now, w.nodes[o].id)
	default:
		w.boot(i)
		if w.rng.IntN(2) == 0 {
			for _, p := range w.nodes {
				p.PeerUp(w.now, w.nodes[i].id)
			}
		}
	}
}

// fly lands one frame, of any age, unless it is lost; sometimes it lands again.
func (w *world) fly() {
	if len(w.air) == 0 {
		return
	}
	j := 0
	if !w.calm {
		j = w.rng.IntN(len(w.air))
		switch w.rng.IntN(8) {
		case 0:
			w.air = slices.Delete(w.air, j, j+1)
			return
		case 1:
			w.air = append(w.air, w.air[j])
		}
	}
	f := w.air[j]
	w.air = slices.Delete(w.air, j, j+1)
	w.absorb(f.to, w.nodes[f.to].Step(w.now, w.nodes[f.from].id, f.env.Protocol, bytes.Clone(f.env.Body)))
}

// settle ends the storm: all peers in contact, no more losses. Then everything
// said since the last Resumed must have arrived, and silence follow.
func (w *world) settle() {
	w.calm = true
	for _, n := range w.nodes {
		for _, o := range w.nodes {
			n.PeerUp(w.now, o.id)
		}
	}
	for range 100_000 {
		for len(w.air) > 0 {
			w.fly()
		}
		next := protocols.Never
		for _, n := range w.nodes {
			next = min(next, n.Deadline())
		}
		if next == protocols.Never {
			break
		}
		w.now = max(w.now, next)
		for i, n := range w.nodes {
			w.absorb(i, n.Tick(w.now))
		}
	}
	for _, n := range w.nodes {
		if d := n.Deadline(); d != protocols.Never {
			w.t.Fatalf("%s is still busy", n.id)
		}
		for k, sent := range n.sent {
			to := w.nodes[slices.IndexFunc(w.nodes, func(o *node) bool { return o.id == k.peer })]
			if got := to.got[stream{n.id, n.cfg.Boot, k.protocol}]; sent > n.from[k] && got != sent {
				w.t.Fatalf("%s got %d of %d messages of %s on %s", k.peer, got, sent, n.id, k.protocol)
			}
		}
		for _, p := range n.order {
			if p.messages != 0 || p.bytes != 0 || p.early != 0 || p.lost || p.stalled {
				w.t.Fatalf("%s keeps something for %s: %+v", n.id, p.id, p)
			}
		}
	}
}

func run(t *testing.T, seed uint64) []byte {
	w := newWorld(t, seed)
	for range 1500 {
		w.step()
	}
	w.settle()
	return w.trace.Sum(nil)
}

func TestSimulation(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			first := run(t, seed)
			if seed%10 == 0 && !bytes.Equal(first, run(t, seed)) {
				t.Fatal("two runs differ")
			}
		})
	}
}
