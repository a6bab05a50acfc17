package roast

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func name(i int) protocols.NodeID { return protocols.NodeID(fmt.Sprintf("member-%03d", i)) }

// shares is a key as key generation makes it, by participant.
type shares struct{ outs []*rfc9591.Output }

var generated = make(map[string]shares)

// generate makes a key of the suite, once for all tests: the tests share the
// public part, and recover shares of their own.
func generate(tb testing.TB, suite rfc9591.Suite, t, n int) []*rfc9591.Output {
	tb.Helper()
	id := fmt.Sprint(suite, t, n)
	if s, ok := generated[id]; ok {
		return s.outs
	}
	seed := func(what string, i int) []byte { return fmt.Appendf(nil, "%-28s%04d", what, i) }
	var pubs [][]byte
	for i := range n {
		pub, err := chilldkg.HostPubkeyGen(seed("host", i))
		must(tb, err)
		pubs = append(pubs, pub[:])
	}
	hosts, err := chilldkg.NewSessionParams(pubs, t)
	must(tb, err)
	params, err := rfc9591.NewParams(suite, hosts)
	must(tb, err)
	session := params.SessionID([32]byte{1}, 0)
	var dealings [][]byte
	for i := range n {
		d, err := rfc9591.Deal(seed("host", i), params, session, seed("random", i))
		must(tb, err)
		dealings = append(dealings, d)
	}
	opened, err := rfc9591.OpenDealings(params, session, dealings)
	must(tb, err)
	round, err := rfc9591.Combine(opened)
	must(tb, err)
	data := round.EqInput()
	for i := range n {
		sig, err := round.Certify(seed("host", i), dealings[i], seed("aux", i))
		must(tb, err)
		data = append(data, sig[:]...)
	}
	var s shares
	for i := range n {
		out, _, err := rfc9591.Recover(seed("host", i), data)
		must(tb, err)
		s.outs = append(s.outs, out)
	}
	generated[id] = s
	return s.outs
}

// world runs n machines over a virtual network: links keep their order and have
// random delays. Jobs take time too. One seed is one run.
type world struct {
	tb    testing.TB
	rng   *rand.Rand
	now   protocols.Time
	seq   int
	nodes []*node
	outs  []*rfc9591.Output
	queue []event
	links map[[2]int]protocols.Time

	commitments map[string]string // in sight in SHARE or READY, and whose
	spent       map[string]string // commitment of a signer -> digest of the SIGN it answered
}

type node struct {
	m      *Machine
	disk   map[string][]byte
	dead   bool
	boots  byte
	tamper func(to int, body []byte) [][]byte // what a hostile member sends instead
	signed map[requestID][]byte
	failed map[requestID]string
	faults []protocols.Fault
	opened int // sessions started
}

type event struct {
	at   protocols.Time
	seq  int
	node int
	run  func() effects
}

var keyID = [32]byte{9}

func newWorld(tb testing.TB, seed uint64, suite rfc9591.Suite, t, n int) *world {
	tb.Helper()
	w := &world{tb: tb, rng: rand.New(rand.NewPCG(seed, 1)), outs: generate(tb, suite, t, n), links: make(map[[2]int]protocols.Time),
		commitments: make(map[string]string), spent: make(map[string]string)}
	for range n {
		w.nodes = append(w.nodes, &node{disk: make(map[string][]byte), signed: make(map[requestID][]byte), failed: make(map[requestID]string)})
	}
	for i := range n {
		w.boot(i)
	}
	return w
}

type reader struct{ rng *rand.Rand }

func (r reader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.rng.Uint32())
	}
	return len(b), nil
}

func (w *world) config(i int) Config {
	cfg := Config{Self: name(i), Federation: [32]byte{1}, Rand: reader{w.rng}, Epoch: [16]byte{byte(i + 1), w.nodes[i].boots}}
	for j := range w.nodes {
		cfg.Members = append(cfg.Members, name(j))
	}
	return cfg
}

// boot starts a member's process from its disk.
func (w *world) boot(i int) {
	nd := w.nodes[i]
	nd.boots++
	nd.dead = false
	var records []protocols.Record
	for _, k := range slices.Sorted(maps.Keys(nd.disk)) {
		records = append(records, protocols.Record{Key: k, Value: nd.disk[k]})
	}
	m, fx, err := Restore(w.config(i), records)
	must(w.tb, err)
	nd.m = m
	w.apply(i, fx)
	k := Key{ID: keyID, Public: w.outs[0].Key, Share: w.outs[i].Share}
	for j := range w.nodes {
		k.Participants = append(k.Participants, name(j))
	}
	m.AddKey(k)
}

// kill loses what is on its way to a member, and its jobs.
func (w *world) kill(i int) {
	w.nodes[i].dead = true
	w.queue = slices.DeleteFunc(w.queue, func(e event) bool { return e.node == i })
}

func (w *world) restart(i int, approved ...requestID) {
	w.kill(i)
	w.boot(i)
	for j, other := range w.nodes {
		if j != i && !other.dead {
			w.apply(j, other.m.Resync(w.now, name(i)))
		}
	}
	for _, id := range approved {
		w.approve(i, id)
	}
}

func (w *world) approve(i int, id requestID) {
	w.apply(i, w.nodes[i].m.Approve(w.now, id, keyID, text(id)))
}

func text(id requestID) []byte { return fmt.Appendf(nil, "message %d", id[0]) }

func (w *world) at(t protocols.Time, node int, run func() effects) {
	w.seq++
	w.queue = append(w.queue, event{t, w.seq, node, run})
}

func (w *world) apply(i int, fx effects) {
	nd := w.nodes[i]
	for _, r := range fx.Persist {
		if r.Value == nil {
			delete(nd.disk, r.Key)
		} else {
			nd.disk[r.Key] = r.Value
		}
	}
	for _, job := range fx.Work {
		m := nd.m
		w.at(w.now+protocols.Time(1+w.rng.IntN(20)), i, func() effects {
			if nd.m != m {
				return effects{}
			}
			return m.Done(w.now, job.ID, job.Run())
		})
	}
	for _, env := range fx.Send {
		to := slices.IndexFunc(w.nodes, func(o *node) bool { return o.m.cfg.Self == env.To })
		bodies := [][]byte{env.Body}
		if nd.tamper != nil {
			bodies = nd.tamper(to, env.Body)
		} else {
			w.watch(i, env.Body)
		}
		for _, body := range bodies {
			w.deliver(i, to, body)
		}
	}
	for _, event := range fx.Out {
		switch event := event.(type) {
		case Signed:
			if old := nd.signed[event.Request]; old != nil && !bytes.Equal(old, event.Signature) {
				w.tb.Errorf("member %d has two signatures of one request", i)
			}
			nd.signed[event.Request] = event.Signature
			key := w.outs[0].Key
			if !rfc9591.Verify(key.Suite(), key.PublicKey(), text(event.Request), event.Signature) {
				w.tb.Errorf("member %d: signature does not verify", i)
			}
		case Failed:
			nd.failed[event.Request] = event.Reason
		case Progress:
			if event.Have == 0 {
				nd.opened++
			}
		}
	}
	nd.faults = append(nd.faults, fx.Faults...)
}

func (w *world) deliver(from, to int, body []byte) {
	link := [2]int{from, to}
	at := max(w.links[link], w.now+protocols.Time(1+w.rng.IntN(60)))
	w.links[link] = at
	if w.nodes[to].dead {
		return
	}
	w.at(at, to, func() effects { return w.nodes[to].m.Step(w.now, name(from), body) })
}

// watch holds honest members to the one rule of nonces: commitments are fresh,
// and one is answered for one session only.
func (w *world) watch(from int, body []byte) {
	msg, err := decode(body)
	must(w.tb, err)
	if again := msg.encode(); !bytes.Equal(again, body) {
		w.tb.Errorf("%x re-encodes to %x", body, again)
	}
	if len(msg.commitment) > 0 {
		whose := fmt.Sprint(from, " ", msg.request)
		if old, seen := w.commitments[string(msg.commitment)]; seen && old != whose {
			w.tb.Errorf("commitment of %s again for %s", old, whose)
		}
		w.commitments[string(msg.commitment)] = whose
	}
	if msg.kind == kindShare {
		answer := fmt.Sprint(from, msg.session)
		if old, seen := w.spent[string(msg.share)]; seen && old != answer {
			w.tb.Errorf("share of %s again for %s", old, answer)
		}
		w.spent[string(msg.share)] = answer
	}
}

// run lets time pass until nothing happens any more, or the limit.
func (w *world) run(limit protocols.Time) {
	end := w.now + limit
	for {
		next, who := end+1, -1
		for i, nd := range w.nodes {
			if d := nd.m.Deadline(); !nd.dead && d < next {
				next, who = max(d, w.now), i
			}
		}
		best := -1
		for k, e := range w.queue {
			if e.at <= next && (best < 0 || e.at < w.queue[best].at || e.at == w.queue[best].at && e.seq < w.queue[best].seq) {
				best = k
			}
		}
		switch {
		case best >= 0:
			e := w.queue[best]
			w.queue = slices.Delete(w.queue, best, best+1)
			w.now = max(w.now, e.at)
			w.apply(e.node, e.run())
		case who >= 0 && next <= end:
			w.now = next
			w.apply(who, w.nodes[who].m.Tick(w.now))
		default:
			w.now = end
			return
		}
	}
}

func reqID(i int) requestID {
	var id requestID
	binary.BigEndian.PutUint16(id[1:], uint16(i))
	id[0] = byte(i)
	return id
}

// wantSigned asserts that the members have the signature, the same one unless
// several coordinators finished, and that no honest member was blamed.
func (w *world) wantSigned(id requestID, members ...int) {
	w.tb.Helper()
	for _, i := range members {
		if w.nodes[i].signed[id] == nil {
			w.tb.Errorf("member %d has no signature of request %d; failed: %q", i, id[0], w.nodes[i].failed[id])
		}
	}
}

// wantBlameless asserts that nobody but the given members was ever blamed by an
// honest one.
func (w *world) wantBlameless(liars ...int) {
	w.tb.Helper()
	for i, nd := range w.nodes {
		if slices.Contains(liars, i) {
			continue
		}
		for _, f := range nd.faults {
			if !slices.ContainsFunc(liars, func(l int) bool { return name(l) == f.Culprit }) {
				w.tb.Errorf("member %d blames %s: %s, %s", i, f.Culprit, f.Kind, f.Detail)
			}
		}
	}
}
