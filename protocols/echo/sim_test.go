package echo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"frostfed/protocols"
)

// The world: n members, f of them malicious, links that reorder and repeat, links
// that break and lose what they carry (then Resync follows, as package acked makes
// it), processes that crash at any point of any step and restart from disk. One
// seed is one history; the last f members are the malicious ones.
type world struct {
	*cluster
	rng    *rand.Rand
	honest int
	calm   bool

	plan   [][2]string         // member and topic of each honest broadcast
	began  map[[2]string]bool  // ... that was begun
	votes  map[string]Hash     // what an honest member said, by member, kind and instance
	result map[string][]string // what honest members delivered, by instance and member
	liars  *liars
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	var start [32]byte
	binary.BigEndian.PutUint64(start[:], seed)
	w := &world{
		cluster: newCluster(t, n), rng: rand.New(rand.NewChaCha8(start)), honest: n - protocols.MaxFaulty(n),
		began: map[[2]string]bool{}, votes: map[string]Hash{}, result: map[string][]string{},
	}
	w.liars = &liars{w: w, known: map[key][]signed{}}
	for i := range w.honest {
		w.plan = append(w.plan, [2]string{fmt.Sprint(i), "topic"})
	}
	w.plan = append(w.plan, [2]string{"0", "second"})
	return w
}

// input gives an honest member an input and carries out the effects, unless it
// crashes before the commit, or between it and the last send.
func (w *world) input(i int, e Effects) {
	crash := !w.calm && w.rng.IntN(60) == 0
	if crash && w.rng.IntN(3) == 0 {
		w.restart(i)
		return
	}
	sends := e.Send
	if crash {
		sends = sends[:w.rng.IntN(len(sends)+1)]
	}
	w.commit(i, e)
	for _, env := range sends {
		w.transmit(i, env)
	}
	if crash {
		w.restart(i)
	}
}

func (w *world) commit(i int, e Effects) {
	for _, r := range e.Persist {
		if r.Value == nil {
			delete(w.disks[i], r.Key)
		} else {
			w.disks[i][r.Key] = bytes.Clone(r.Value)
		}
	}
	for _, d := range e.Out {
		k := fmt.Sprintf("%s/%s", d.Sender, d.Topic)
		w.result[k] = append(w.result[k], fmt.Sprintf("%d:%s", i, d.Payload))
	}
	for _, f := range e.Faults {
		if slices.Index(w.members, f.Culprit) < w.honest {
			w.t.Fatalf("%s blames %s: %+v", w.members[i], f.Culprit, f)
		}
		if f.Kind == FaultEquivocation {
			if eq, err := VerifyEquivocation(federation, f.Proof, verify); err != nil || eq.Sender != f.Culprit {
				w.t.Fatalf("proof of %s: %v", f.Culprit, err)
			}
		}
	}
}

// transmit puts a message on its way. What an honest member votes is on its disk,
// and never differs from what it voted before.
func (w *world) transmit(i int, env protocols.Envelope) {
	m, err := decode(env.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if m.kind == kindSend {
		m.sender, m.hash = w.members[i], HashPayload(m.payload)
	}
	if m.hasSig() {
		k := key{m.sender, m.topic}
		_, own, err := decodeVotes(w.disks[i][recordVotes+k.id()])
		slot := 0
		if m.kind == kindReady {
			slot = 1
		}
		if err != nil || own[slot] == nil || own[slot].hash != m.hash {
			w.t.Fatalf("%s says kind %d before it is durable", w.members[i], m.kind)
		}
		said := fmt.Sprintf("%d %d %v", i, m.kind, k)
		if before, ok := w.votes[said]; ok && before != m.hash {
			w.t.Fatalf("%s votes twice: %s", w.members[i], said)
		}
		w.votes[said] = m.hash
	}
	w.queue = append(w.queue, carried{w.members[i], env.To, env.Body})
}

// restart kills the process of i and starts it from its disk.
func (w *world) restart(i int) {
	m, e, err := Restore(w.machines[i].cfg, w.records(i))
	if err != nil {
		w.t.Fatal(err)
	}
	w.machines[i] = m
	keepSent := w.rng.IntN(2) == 0
	w.queue = slices.DeleteFunc(w.queue, func(q carried) bool {
		return q.to == w.members[i] || q.from == w.members[i] && !keepSent
	})
	w.commit(i, e)
	for j := range w.honest {
		if j != i {
			w.inputCalmly(j, w.machines[j].Resync(w.now, w.members[i]))
		}
	}
	for _, b := range w.plan {
		if b[0] == fmt.Sprint(i) && w.began[b] {
			w.begin(b)
		}
	}
}

// inputCalmly is input without crashes: a crash while others handle a crash teaches
// nothing new.
func (w *world) inputCalmly(i int, e Effects) {
	w.commit(i, e)
	for _, env := range e.Send {
		w.transmit(i, env)
	}
}

// begin makes the application call Broadcast, again after each restart.
func (w *world) begin(b [2]string) {
	w.began[b] = true
	i := int(b[0][0] - '0')
	e, err := w.machines[i].Broadcast(w.now, b[1], []byte("payload of "+b[0]+b[1]))
	if err != nil {
		w.t.Fatal(err)
	}
	w.input(i, e)
}

func (w *world) step() {
	switch r := w.rng.IntN(100); {
	case r < 4:
		w.begin(w.plan[w.rng.IntN(len(w.plan))])
	case r < 75:
		w.land()
	case r < 88:
		w.liars.act()
	case r < 96:
		i := w.rng.IntN(w.honest)
		w.now += protocols.Time(w.rng.IntN(500))
		w.input(i, w.machines[i].Tick(w.now))
	default:
		// A link breaks and what it carried is lost.
		i, j := w.rng.IntN(w.honest), w.rng.IntN(w.honest)
		w.queue = slices.DeleteFunc(w.queue, func(q carried) bool { return q.from == w.members[i] && q.to == w.members[j] })
		w.input(i, w.machines[i].Resync(w.now, w.members[j]))
	}
}

// land delivers any message on its way; sometimes it lands again.
func (w *world) land() {
	if len(w.queue) == 0 {
		return
	}
	j := w.rng.IntN(len(w.queue))
	q := w.queue[j]
	if w.calm || w.rng.IntN(8) != 0 {
		w.queue = slices.Delete(w.queue, j, j+1)
	}
	i := slices.Index(w.members, q.to)
	if i >= w.honest {
		w.liars.learn(q)
		return
	}
	w.input(i, w.machines[i].Step(w.now, q.from, bytes.Clone(q.body)))
	if w.rng.IntN(40) == 0 {
		w.compareRestored(i)
	}
}

func (w *world) settle() {
	w.calm = true
	for _, b := range w.plan {
		w.begin(b)
	}
	for range 10_000 {
		for len(w.queue) > 0 {
			w.land()
		}
		next := protocols.Never
		for i := range w.honest {
			next = min(next, w.machines[i].Deadline())
		}
		if next == protocols.Never {
			w.verdict()
			return
		}
		w.now = max(w.now, next)
		for i := range w.honest {
			w.input(i, w.machines[i].Tick(w.now))
		}
	}
	w.t.Fatal("no end")
}

func (w *world) verdict() {
	for _, b := range w.plan {
		i := int(b[0][0] - '0')
		if len(w.result[fmt.Sprintf("%s/%s", w.members[i], b[1])]) == 0 {
			w.t.Fatalf("validity: nobody delivered %v", b)
		}
	}
	for k, got := range w.result {
		payload := got[0][2:]
		who := map[byte]bool{}
		for _, g := range got {
			who[g[0]] = true
			if g[2:] != payload {
				w.t.Fatalf("agreement: %s: %q", k, got)
			}
		}
		if len(who) != w.honest {
			w.t.Fatalf("totality: %s: %q", k, got)
		}
	}
	for i := range w.honest {
		checkUsage(w.t.(*testing.T), w.machines[i])
		w.compareRestored(i)
	}
}

// durable is what must survive a restart, per instance that has any.
func durable(m *Machine) map[key]string {
	out := map[key]string{}
	for k, in := range m.instances {
		var s string
		for _, v := range in.own(m.self) {
			if v >= 0 {
				s += fmt.Sprintf("%x ", in.values[v].signed)
			} else {
				s += "- "
			}
		}
		if s != "- - - " {
			out[k] = s + string(in.payload)
		}
	}
	return out
}

// compareRestored holds Restore against the live machine.
func (w *world) compareRestored(i int) {
	m, _, err := Restore(w.machines[i].cfg, w.records(i))
	if err != nil {
		w.t.Fatal(err)
	}
	live, back := durable(w.machines[i]), durable(m)
	if fmt.Sprint(live) != fmt.Sprint(back) {
		w.t.Fatalf("live     %v\nrestored %v", live, back)
	}
	checkUsage(w.t.(*testing.T), m)
}

// liars are the malicious members: they pool what they know and say anything that
// their signatures, or those they have seen, allow, to anyone, in any order.
type liars struct {
	w     *world
	known map[key][]signed
	keys  []key
}

var lies = []string{"lie", "another lie", "payload of 0topic"}

func (l *liars) learn(q carried) {
	m, err := decode(q.body)
	if err != nil || m.kind != kindEcho && m.kind != kindReady {
		return
	}
	l.add(key{m.sender, m.topic}, signed{m.hash, m.sig})
}

func (l *liars) add(k key, s signed) {
	if len(l.known[k]) == 0 {
		l.keys = append(l.keys, k)
	}
	if !slices.Contains(l.known[k], s) {
		l.known[k] = append(l.known[k], s)
	}
}

func (l *liars) act() {
	w, rng := l.w, l.w.rng
	me := w.members[w.honest+rng.IntN(len(w.members)-w.honest)]
	to := w.members[rng.IntN(w.honest)]
	lie := lies[rng.IntN(len(lies))]
	topic := []string{"t1", "t2"}[rng.IntN(2)]
	own := signedBy(me, topic, lie)
	l.add(key{me, topic}, own)
	k := l.keys[rng.IntN(len(l.keys))]
	s := l.known[k][rng.IntN(len(l.known[k]))]
	var body []byte
	switch rng.IntN(8) {
	case 0, 1:
		body = message{kind: kindSend, topic: topic, sig: own.sig, payload: []byte(lie)}.encode()
	case 2, 3:
		body = message{kind: kindEcho, sender: k.sender, topic: k.topic, hash: s.hash, sig: s.sig}.encode()
	case 4, 5:
		body = message{kind: kindReady, sender: k.sender, topic: k.topic, hash: s.hash, sig: s.sig}.encode()
	case 6:
		body = message{kind: kindPull, sender: k.sender, topic: k.topic, hash: s.hash}.encode()
	case 7:
		body = message{kind: kindPayload, sender: k.sender, topic: k.topic, payload: []byte(lie)}.encode()
		if rng.IntN(4) == 0 {
			body[rng.IntN(len(body))] ^= byte(1 + rng.IntN(255))
		}
	}
	w.queue = append(w.queue, carried{me, to, body})
}

func TestSimulation(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 15
	}
	for _, n := range []int{4, 5, 7} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("n=%d/%d", n, seed), func(t *testing.T) {
				w := newWorld(t, seed, n)
				for range 600 {
					w.step()
				}
				w.settle()
			})
		}
	}
}
