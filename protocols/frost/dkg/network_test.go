package dkg

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// network runs the machines of all members over an ideal reliable broadcast and
// a network that delivers in random order. Each member has a disk: the records
// committed so far.
type network struct {
	t     testing.TB
	nodes []*node
	queue []input
	sent  map[string][]byte // what reliable broadcast delivers, by sender and topic
	rng   *rand.Rand
	now   protocols.Time

	tamperM1   func(from int, payload []byte) []byte               // what a faulty member broadcasts instead
	tamper     func(from int, topic string, payload []byte) []byte // likewise; nil: nothing
	tamperSend func(from, to int, body []byte) []byte              // nil: lost
	crash      func(to int, before bool) bool                      // crash here? before or after the commit
	passed     func()                                              // time has passed
	onCommit   func(i int, record protocols.Record)                // sees every record
}

type node struct {
	cfg     Config
	seed    [32]byte
	boots   byte
	m       *Machine
	disk    map[string][]byte
	down    bool
	events  []Event
	faults  []protocols.Fault
	m1      map[string][][]byte // every first message it ever asked to broadcast
	signed  map[SessionID]bool  // sessions for which it sent a CERTSIG
	accused map[SessionID]bool  // sessions in which it broadcast a complaint
	batches int
}

type inputKind int

const (
	inStart inputKind = iota
	inDelivered
	inStep
	inDone
)

type input struct {
	kind     inputKind
	to, from int
	ceremony Ceremony
	topic    string
	body     []byte
	job      protocols.Job
	boot     byte // of the receiver when a job was made
}

func nodeID(i int) protocols.NodeID { return protocols.NodeID(fmt.Sprintf("member-%d", i)) }

func hostSecret(i int) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "host secret %d", i)) }

func configs(t testing.TB, n int) []Config {
	members := make([]Member, n)
	for i := range members {
		secret := hostSecret(i)
		public, err := chilldkg.HostPubkeyGen(secret[:])
		if err != nil {
			t.Fatal(err)
		}
		members[i] = Member{ID: nodeID(i), HostKey: public}
	}
	cfgs := make([]Config, n)
	for i := range cfgs {
		cfgs[i] = Config{Self: nodeID(i), Members: members, HostSecret: func() [32]byte { return hostSecret(i) },
			Silence: 1 << 40, // tests of silence set their own
			Notary:  testNotary,
		}
	}
	return cfgs
}

// signBroadcast stands in for the signatures of reliable broadcast.
func signBroadcast(sender protocols.NodeID, topic string, payload []byte) [64]byte {
	hash := testNotary.Hash(payload)
	return sha512.Sum512(fmt.Appendf(nil, "key of %s, %s, %x", sender, topic, hash))
}

var testNotary = Notary{
	Hash: func(payload []byte) [32]byte { return sha256.Sum256(payload) },
	Verify: func(sender protocols.NodeID, topic string, hash [32]byte, sig []byte) bool {
		want := sha512.Sum512(fmt.Appendf(nil, "key of %s, %s, %x", sender, topic, hash))
		return bytes.Equal(sig, want[:])
	},
}

// delivered hands node i a broadcast as its sender signed it.
func (w *network) delivered(i, from int, topic string, payload []byte) effects {
	return w.nodes[i].m.Delivered(w.now, nodeID(from), topic, payload, signBroadcast(nodeID(from), topic, payload))
}

func newNetwork(t testing.TB, n int, seed uint64) *network {
	w := &network{t: t, sent: make(map[string][]byte), rng: rand.New(rand.NewPCG(seed, 1))}
	for i, cfg := range configs(t, n) {
		nd := &node{cfg: cfg, disk: make(map[string][]byte), m1: make(map[string][][]byte),
			signed: make(map[SessionID]bool), accused: make(map[SessionID]bool)}
		nd.seed = sha256.Sum256(fmt.Appendf(nil, "randomness %d %d", seed, i))
		w.nodes = append(w.nodes, nd)
		nd.reseed()
		m, err := New(nd.cfg)
		if err != nil {
			t.Fatal(err)
		}
		nd.m = m
	}
	return w
}

// reseed gives every life of a node other randomness.
func (nd *node) reseed() {
	nd.seed[0] = nd.boots
	nd.cfg.Rand = rand.NewChaCha8(nd.seed)
}

func testCeremony(name string, t int) Ceremony {
	return Ceremony{ID: sha256.Sum256([]byte(name)), T: t, Label: name}
}

func (w *network) start(c Ceremony) {
	for i := range w.nodes {
		w.queue = append(w.queue, input{kind: inStart, to: i, ceremony: c})
	}
}

// apply commits and carries out the effects of node i.
func (w *network) apply(i int, e effects) {
	nd := w.nodes[i]
	for _, r := range e.Persist {
		if w.onCommit != nil {
			w.onCommit(i, r)
		}
		if r.Value == nil {
			delete(nd.disk, r.Key)
		} else {
			nd.disk[r.Key] = bytes.Clone(r.Value)
		}
	}
	nd.batches++
	if w.crash != nil && w.crash(i, false) {
		w.restart(i)
		return
	}
	for _, env := range e.Send {
		to := nd.m.index[env.To]
		body := env.Body
		if body[0] == kindCertSig {
			nd.signed[SessionID(body[1:33])] = true
		}
		if w.tamperSend != nil {
			body = w.tamperSend(i, to, body)
		}
		if body != nil && !w.nodes[to].down {
			w.queue = append(w.queue, input{kind: inStep, to: to, from: i, body: body})
		}
	}
	for _, job := range e.Work {
		w.queue = append(w.queue, input{kind: inDone, to: i, job: job, boot: nd.boots})
	}
	for _, event := range e.Out {
		nd.events = append(nd.events, event)
		if b, ok := event.(Broadcast); ok {
			w.broadcast(i, b)
		}
	}
	nd.faults = append(nd.faults, e.Faults...)
	for _, f := range e.Faults {
		if f.Proof == nil {
			continue
		}
		if got, err := VerifyProof(nd.cfg.Members, testNotary, f.Proof); err != nil || got.Culprit != f.Culprit || got.Kind != f.Kind {
			w.t.Fatalf("node %d: %+v is proved by %+v, %v", i, f, got, err)
		}
	}
}

func (w *network) broadcast(i int, b Broadcast) {
	w.nodes[i].m1[b.Topic] = append(w.nodes[i].m1[b.Topic], b.Payload)
	if id, complaint, _ := ParseTopic(b.Topic); complaint {
		w.nodes[i].accused[id] = true
	}
	key := fmt.Sprint(i, b.Topic)
	if _, again := w.sent[key]; again {
		return // reliable broadcast delivers one message per sender and topic
	}
	payload := b.Payload
	if w.tamperM1 != nil {
		payload = w.tamperM1(i, payload)
	}
	if w.tamper != nil {
		if payload = w.tamper(i, b.Topic, payload); payload == nil {
			return
		}
	}
	w.sent[key] = payload
	for to := range w.nodes {
		w.queue = append(w.queue, input{kind: inDelivered, to: to, from: i, topic: b.Topic, body: payload})
	}
}

// restart is kill -9: all that was in memory and on the way is gone.
func (w *network) restart(i int) {
	nd := w.nodes[i]
	nd.boots++
	nd.reseed()
	w.queue = slices.DeleteFunc(w.queue, func(in input) bool {
		return in.to == i && (in.kind == inStep || in.kind == inDone)
	})
	m, e, err := Restore(nd.cfg, nd.records())
	if err != nil {
		w.t.Fatalf("node %d: %v", i, err)
	}
	nd.m = m
	nd.down = false
	w.apply(i, e)
	for p := range w.nodes {
		if p != i && !w.nodes[p].down {
			w.apply(p, w.nodes[p].m.Resync(w.now, nodeID(i)))
		}
	}
}

func (nd *node) records() []protocols.Record {
	var records []protocols.Record
	for key, value := range nd.disk { // in any order: Restore must not care
		records = append(records, protocols.Record{Key: key, Value: value})
	}
	return records
}

// deliver hands one input to its node.
func (w *network) deliver(in input) {
	nd := w.nodes[in.to]
	if w.crash != nil && w.crash(in.to, true) {
		if in.kind == inStart || in.kind == inDelivered {
			w.queue = append(w.queue, in) // whoever gave it in will give it in again
		}
		w.restart(in.to)
		return
	}
	var e effects
	switch in.kind {
	case inStart:
		e = nd.m.Start(w.now, in.ceremony)
	case inDelivered:
		e = w.delivered(in.to, in.from, in.topic, in.body)
	case inStep:
		e = nd.m.Step(w.now, nodeID(in.from), in.body)
	case inDone:
		e = nd.m.Done(w.now, in.job.ID, in.job.Run())
	}
	w.apply(in.to, e)
}

// settle delivers until nothing is on the way. Inputs of nodes that are down
// wait.
func (w *network) settle() {
	for steps := 0; ; steps++ {
		if steps > 200_000 {
			w.t.Fatal("network does not settle")
		}
		var up []int
		for k, in := range w.queue {
			if !w.nodes[in.to].down {
				up = append(up, k)
			}
		}
		if len(up) == 0 {
			return
		}
		k := up[w.rng.IntN(len(up))]
		in := w.queue[k]
		w.queue = slices.Delete(w.queue, k, k+1)
		w.deliver(in)
	}
}

// pass lets time pass for as many deadlines as given, settling after each.
func (w *network) pass(deadlines int) {
	for range deadlines {
		next := protocols.Never
		for _, nd := range w.nodes {
			if !nd.down {
				next = min(next, nd.m.Deadline())
			}
		}
		if next == protocols.Never {
			return
		}
		w.now = max(w.now, next)
		if w.passed != nil {
			w.passed()
		}
		for i, nd := range w.nodes {
			if !nd.down && nd.m.Deadline() <= w.now {
				w.apply(i, nd.m.Tick(w.now))
			}
		}
		w.settle()
	}
}

// all returns the events of type E that node i emitted, in order.
func all[E Event](nd *node) (events []E) {
	for _, event := range nd.events {
		if e, ok := event.(E); ok {
			events = append(events, e)
		}
	}
	return events
}

func (w *network) sessionID(c Ceremony) SessionID {
	params, err := newScheme(c.Suite, w.nodes[0].m.hostKeys, c.T)
	if err != nil {
		w.t.Fatal(err)
	}
	return SessionID(params.SessionID(c.ID, 0))
}

// view returns what node i shows of the session of c.
func (w *network) view(i int, c Ceremony) SessionView {
	id := w.sessionID(c)
	for _, v := range w.nodes[i].m.Sessions() {
		if v.SessionID == id {
			return v
		}
	}
	w.t.Fatalf("node %d does not know session %s", i, id)
	return SessionView{}
}

// key returns the last KeyActive of node i for c, of the earliest attempt: that
// is the one all prefer, should two attempts have made a key.
func (w *network) key(i int, c Ceremony) KeyActive {
	if k, ok := w.preferred(i, c); ok {
		return k
	}
	w.t.Fatalf("node %d has no key of %q; it is %+v", i, c.Label, w.view(i, c))
	return KeyActive{}
}

func (w *network) preferred(i int, c Ceremony) (found KeyActive, ok bool) {
	for _, k := range append(all[KeyActive](w.nodes[i]), suiteKeys(w.nodes[i])...) {
		if k.CeremonyID == c.ID && (!ok || cmp.Or(cmp.Compare(k.Attempt, found.Attempt), bytes.Compare(k.SessionID[:], found.SessionID[:])) <= 0) {
			found, ok = k, true
		}
	}
	return found, ok
}

// requireKey checks that all nodes agree on the key of c, and that it is one:
// each share fits its public share, and any t shares (here the last t) are
// shares of the secret key of ThreshPK.
func (w *network) requireKey(c Ceremony) {
	w.t.Helper()
	all := make([]int, len(w.nodes))
	for i := range all {
		all[i] = i
	}
	w.requireKeyOf(c, all)
}

// requireKeyOf checks that the given nodes, all participants, agree on the key of
// c. Those of the participants that are not given may have none.
func (w *network) requireKeyOf(c Ceremony, nodes []int) {
	w.t.Helper()
	first := w.key(nodes[0], c)
	shares := make([][]byte, len(first.Participants))
	for _, node := range nodes {
		k := w.key(node, c)
		i := slices.Index(first.Participants, nodeID(node))
		if i < 0 {
			w.t.Fatalf("node %d has a share but is no participant of %v", node, first.Participants)
		}
		if k.ThreshPK != first.ThreshPK || !slices.Equal(k.PubShares, first.PubShares) || !slices.Equal(k.Participants, first.Participants) || k.T != c.T || k.Label != c.Label {
			w.t.Fatalf("nodes %d and %d disagree on the key", nodes[0], node)
		}
		if c.Suite != Bitcoin {
			continue
		}
		share := k.SecShare.Bytes()
		public, err := chilldkg.HostPubkeyGen(share)
		if err != nil || public != k.PubShares[i] {
			w.t.Fatalf("share of node %d does not fit its public share", node)
		}
		shares[i] = share
	}
	if c.Suite != Bitcoin {
		w.requireSigns(c, first, nodes)
		return
	}
	secret := interpolate(shares, c.T)
	public, err := chilldkg.HostPubkeyGen(secret)
	if err != nil || public != first.ThreshPK {
		w.t.Fatal("shares do not interpolate to the threshold key")
	}
}

var groupOrder, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)

// interpolate computes f(0) from the shares f(i+1), of which it takes the last t
// that are there.
func interpolate(shares [][]byte, t int) []byte {
	var ids []int
	for i := len(shares) - 1; i >= 0 && len(ids) < t; i-- {
		if shares[i] != nil {
			ids = append(ids, i)
		}
	}
	sum := new(big.Int)
	for _, i := range ids {
		num, den := big.NewInt(1), big.NewInt(1)
		for _, k := range ids {
			if k != i {
				num.Mul(num, big.NewInt(int64(k+1)))
				den.Mul(den, big.NewInt(int64(k-i)))
			}
		}
		den.Mod(den, groupOrder)
		term := new(big.Int).SetBytes(shares[i])
		term.Mul(term, num).Mul(term, den.ModInverse(den, groupOrder))
		sum.Add(sum, term)
	}
	return sum.Mod(sum, groupOrder).FillBytes(make([]byte, 32))
}

func (w *network) requireNoFaults() {
	w.t.Helper()
	for i, nd := range w.nodes {
		if len(nd.faults) > 0 {
			w.t.Fatalf("node %d blames %+v", i, nd.faults[0])
		}
	}
}
