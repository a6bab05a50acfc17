package sign

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"frostfed/protocols"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
)

// world runs n machines over a virtual network: links keep their order, as the
// machine for acknowledged messages does, and have random delays, so messages of
// different links overtake each other. One seed is one run.
type world struct {
	tb     testing.TB
	rng    *rand.ChaCha8
	now    protocols.Time
	seq    uint64
	nodes  []*node
	keys   []Key // by member
	queue  []*event
	links  map[[2]int]protocols.Time // arrival of the last message
	delay  func(from, to int) protocols.Time
	config func(*Config)
	trace  [32]byte

	sent, bytes int // messages on the network, and their length

	asked map[requestID][]Item
	pubs  map[string][66]byte // public nonces in sight, by signer, coordinator, epoch and index
	signs map[string]signMsg  // SIGN in sight, by coordinator, signer, request and session
	spent map[string]string   // handle -> what it signed
}

type node struct {
	id       int
	m        *Machine
	dead     bool
	disk     map[string][]byte
	tamper   func(to int, body []byte) [][]byte // what a hostile member sends instead
	signed   map[requestID][][64]byte
	failed   map[requestID]Failed
	refused  []PeerRefused
	faults   []protocols.Fault
	sessions map[requestID]int // started as coordinator
	boots    byte
}

type event struct {
	at   protocols.Time
	seq  uint64
	node int
	link bool // a message, of from
	from int
	run  func() protocols.Effects[Event]
}

func newWorld(tb testing.TB, seed uint64, t, n int, config func(*Config)) *world {
	return newPartWorld(tb, seed, t, n, config, nil)
}

// newPartWorld is a world in which the given members only have shares; nil: all.
func newPartWorld(tb testing.TB, seed uint64, t, n int, config func(*Config), participants []int) *world {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	w := &world{
		tb: tb, rng: rand.NewChaCha8(s), config: config,
		links: make(map[[2]int]protocols.Time),
		asked: make(map[requestID][]Item), pubs: make(map[string][66]byte),
		signs: make(map[string]signMsg), spent: make(map[string]string),
	}
	w.delay = func(int, int) protocols.Time { return protocols.Time(1 + w.rng.Uint64()%50) }
	if w.keys = deal(w.rng, t, n); participants != nil {
		w.keys = make([]Key, n)
		for i, k := range deal(w.rng, t, len(participants)) {
			for _, p := range participants {
				k.Participants = append(k.Participants, name(p))
			}
			w.keys[participants[i]] = k
		}
	}
	for i := range n {
		w.nodes = append(w.nodes, &node{
			id: i, disk: make(map[string][]byte),
			signed: make(map[requestID][][64]byte), failed: make(map[requestID]Failed), sessions: make(map[requestID]int),
		})
	}
	for i := range n {
		w.boot(i)
	}
	w.run(5000)
	return w
}

// fullPools is the default size of pools, and with it of lots.
func fullPools(c *Config) { c.Pool = 0 }

// boot starts a member's process from its disk.
func (w *world) boot(i int) {
	nd := w.nodes[i]
	nd.boots++
	nd.dead = false
	cfg := Config{Self: name(i), Rand: w.rng, Federation: [32]byte{1}, Epoch: epochID{byte(i + 1), nd.boots}, Sign: w.hostSign(i), Verify: verifyHost}
	for j := range len(w.keys) {
		cfg.Members = append(cfg.Members, name(j))
	}
	cfg.Pool = 6 // most of a small world's time is filling pools
	if w.config != nil {
		w.config(&cfg)
	}
	var records []protocols.Record
	for _, k := range slices.Sorted(maps.Keys(nd.disk)) {
		records = append(records, protocols.Record{Key: k, Value: nd.disk[k]})
	}
	m, fx, err := Restore(cfg, records)
	if err != nil {
		w.tb.Fatal(err)
	}
	nd.m = m
	w.apply(i, fx)
	if w.keys[i].SecShare != nil {
		w.apply(i, m.AddKey(w.now, w.keys[i]))
	}
}

// restart is a crash and a start: what was on its way to the member is lost, and
// the others are told so.
func (w *world) restart(i int) {
	w.kill(i)
	w.boot(i)
	for j, other := range w.nodes {
		if j != i && !other.dead {
			w.apply(j, other.m.Resync(w.now, name(i)))
		}
	}
}

func (w *world) kill(i int) {
	w.nodes[i].dead = true
	w.queue = slices.DeleteFunc(w.queue, func(e *event) bool { return e.node == i })
}

func name(i int) protocols.NodeID { return protocols.NodeID(fmt.Sprintf("member-%03d", i)) }

func (w *world) at(t protocols.Time, node int, run func() protocols.Effects[Event]) {
	w.seq++
	w.queue = append(w.queue, &event{at: t, seq: w.seq, node: node, run: run})
}

// apply is the driver: persist, then send, run jobs, note decisions.
func (w *world) apply(i int, fx protocols.Effects[Event]) {
	nd := w.nodes[i]
	for _, rec := range fx.Persist {
		if rec.Value == nil {
			delete(nd.disk, rec.Key)
		} else {
			nd.disk[rec.Key] = rec.Value
		}
	}
	for _, env := range fx.Send {
		to := slices.Index(nd.m.cfg.Members, env.To)
		w.hash([]byte(env.To), env.Body)
		bodies := [][]byte{env.Body}
		if nd.tamper != nil {
			bodies = nd.tamper(to, env.Body)
		} else {
			w.watch(i, to, env.Body)
		}
		for _, b := range bodies {
			w.post(i, to, b)
		}
	}
	for _, job := range fx.Work {
		m := nd.m
		result := job.Run()
		w.at(w.now+w.delay(i, i), i, func() protocols.Effects[Event] {
			if nd.m != m {
				return protocols.Effects[Event]{}
			}
			return m.Done(w.now, job.ID, result)
		})
	}
	for _, f := range fx.Faults {
		nd.faults = append(nd.faults, f)
		w.hash([]byte(f.Kind), []byte(f.Culprit))
	}
	for _, out := range fx.Out {
		switch out := out.(type) {
		case Signed:
			nd.signed[out.Request] = out.Signatures
			for _, s := range out.Signatures {
				w.hash(s[:])
			}
		case Failed:
			nd.failed[out.Request] = out
		case PeerRefused:
			nd.refused = append(nd.refused, out)
		case Progress:
			nd.sessions[out.Request] = max(nd.sessions[out.Request], out.Session)
		case KeyRejected:
			w.tb.Errorf("member %d: %v", i, out.Err)
		}
	}
}

func (w *world) post(from, to int, body []byte) {
	w.sent, w.bytes = w.sent+1, w.bytes+len(body)
	if w.nodes[to].dead {
		return
	}
	link := [2]int{from, to}
	at := max(w.links[link], w.now+w.delay(from, to))
	w.links[link] = at
	w.deliver(from, to, body)
	w.at(at, to, func() protocols.Effects[Event] { return w.nodes[to].m.Step(w.now, name(from), body) })
	e := w.queue[len(w.queue)-1]
	e.link, e.from = true, from
}

// watch checks the one rule that keeps shares secret: no pair of nonces leaves an
// honest member in partial signatures of two different challenges.
func (w *world) watch(from, to int, body []byte) {
	msg, err := decode(body)
	if err != nil {
		w.tb.Fatalf("member %d sends what does not decode: %v", from, err)
	}
	if again := msg.encode(); string(again) != string(body) {
		w.tb.Fatalf("encoding of %T is not canonical", msg)
	}
	psig, ok := msg.(psigMsg)
	if !ok {
		return
	}
	w.mustVouch(from, to, psig)
	sign, ok := w.signs[signName(to, from, psig.request, psig.session)]
	if !ok {
		w.tb.Fatalf("member %d answers a SIGN nobody sent", from)
	}
	for j, s := range sign.slots {
		handle := fmt.Sprint(from, to, sign.epoch, s.index)
		signs := fmt.Sprint(sign.request, int(sign.first)+j, sign.signers, s.aggnonce)
		if before, used := w.spent[handle]; used && before != signs {
			w.tb.Fatalf("member %d used a pair of nonces for two challenges", from)
		}
		w.spent[handle] = signs
	}
}

// deliver is watch for what arrives, from honest and hostile coordinators.
func (w *world) deliver(from, to int, body []byte) {
	if msg, err := decode(body); err == nil {
		switch msg := msg.(type) {
		case nonces:
			w.note(from, to, msg)
		case psigMsg:
			w.note(from, to, msg.refill)
		}
		if s, ok := msg.(signMsg); ok {
			// The first of several for one session is the one that may be answered.
			if n := signName(from, to, s.request, s.session); w.signs[n].slots == nil {
				w.signs[n] = s
			}
		}
	}
}

func pubName(signer, coordinator int, epoch epochID, index uint64) string {
	return fmt.Sprint(signer, coordinator, epoch, index)
}

func signName(coordinator, signer int, request requestID, s sessionID) string {
	return fmt.Sprint(coordinator, signer, request, s)
}

func (w *world) hash(parts ...[]byte) {
	h := sha256.New()
	h.Write(w.trace[:])
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(w.trace[:0])
}

// run lets the time pass until nothing is left to do, for at most d milliseconds.
func (w *world) run(d protocols.Time) {
	end := w.now + d
	for {
		next, tick := protocols.Never, -1
		var e *event
		for _, q := range w.queue {
			if e == nil || q.at < e.at || q.at == e.at && q.seq < e.seq {
				e = q
			}
		}
		if e != nil {
			next = e.at
		}
		for i, nd := range w.nodes {
			if at := nd.m.Deadline(); !nd.dead && at < next {
				next, tick = at, i
			}
		}
		if next > end {
			w.now = end
			return
		}
		w.now = max(w.now, next)
		if tick >= 0 {
			w.apply(tick, w.nodes[tick].m.Tick(w.now))
			continue
		}
		w.queue = slices.DeleteFunc(w.queue, func(q *event) bool { return q == e })
		w.apply(e.node, e.run())
	}
}

// approve lets a member approve after a random moment.
func (w *world) approve(i int, id requestID, items []Item) {
	w.asked[id] = items
	w.at(w.now+w.delay(i, i), i, func() protocols.Effects[Event] { return w.nodes[i].m.Approve(w.now, id, w.keys[i].ID, items) })
}

func (w *world) approveAll(id requestID, items []Item) {
	for i, nd := range w.nodes {
		if !nd.dead {
			w.approve(i, id, items)
		}
	}
}

// mustSign checks that the members have valid signatures, by btcec's judgement.
func (w *world) mustSign(id requestID, items []Item, members ...int) {
	w.tb.Helper()
	if members == nil {
		for i, nd := range w.nodes {
			if !nd.dead {
				members = append(members, i)
			}
		}
	}
	for _, i := range members {
		sigs := w.nodes[i].signed[id]
		if len(sigs) != len(items) {
			w.tb.Fatalf("member %d has %d signatures, want %d", i, len(sigs), len(items))
		}
		for j := range items {
			if !w.valid(items[j], sigs[j]) {
				w.tb.Fatalf("member %d: signature %d is invalid", i, j)
			}
		}
	}
}

func (w *world) mustNotSign(id requestID) {
	w.tb.Helper()
	for i, nd := range w.nodes {
		if nd.signed[id] != nil {
			w.tb.Fatalf("member %d has a signature", i)
		}
	}
}

func (w *world) mustNotBlame() {
	w.tb.Helper()
	for i, nd := range w.nodes {
		for _, f := range nd.faults {
			w.tb.Errorf("member %d blames %q: %s (%s)", i, f.Culprit, f.Kind, f.Detail)
		}
	}
}

// blamed lists the members that honest ones accuse of a kind of fault.
func (w *world) blamed(kind string) []int {
	var out []int
	for _, nd := range w.nodes {
		if nd.tamper != nil {
			continue
		}
		for _, f := range nd.faults {
			if f.Kind == kind {
				var i int
				fmt.Sscanf(string(f.Culprit), "member-%d", &i)
				out = append(out, i)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// threshPK is the key of whoever has a share.
func (w *world) threshPK() []byte {
	i := slices.IndexFunc(w.keys, func(k Key) bool { return k.SecShare != nil })
	return w.keys[i].ThreshPK[:]
}

func (w *world) valid(it Item, sig [64]byte) bool {
	pub, err := btcec.ParsePubKey(w.threshPK())
	if err != nil {
		w.tb.Fatal(err)
	}
	if len(it.Tweaks) > 0 { // the only tweak of these tests is BIP 86's
		pub = txscript.ComputeTaprootKeyNoScript(pub)
	}
	s, err := schnorr.ParseSignature(sig[:])
	return err == nil && s.Verify(it.Message[:], pub)
}

// items makes k items, every second one under the BIP 86 output key.
func (w *world) items(k int) []Item {
	out := make([]Item, k)
	tweak := chainhash.TaggedHash(chainhash.TagTapTweak, w.threshPK()[1:])
	for i := range out {
		w.rng.Read(out[i].Message[:])
		if i%2 == 1 {
			out[i].Tweaks, out[i].XOnly = [][32]byte{*tweak}, []bool{true}
		}
	}
	return out
}

// ranked returns the order of coordinators for a request.
func (w *world) ranked(id requestID) []int { return coordinators(id, w.nodes[0].m.cfg.Members) }

// deal shares a random key by Shamir: a dealer that only tests may have.
func deal(rng *rand.ChaCha8, t, n int) []Key {
	order := btcec.S256().N
	poly := make([]*big.Int, t)
	for i := range poly {
		var b [32]byte
		rng.Read(b[:])
		poly[i] = new(big.Int).Mod(new(big.Int).SetBytes(b[:]), order)
	}
	at := func(x int64) []byte {
		y := new(big.Int)
		for i := len(poly) - 1; i >= 0; i-- {
			y.Mod(y.Add(y.Mul(y, big.NewInt(x)), poly[i]), order)
		}
		return y.FillBytes(make([]byte, 32))
	}
	public := func(secret []byte) [33]byte {
		_, pub := btcec.PrivKeyFromBytes(secret)
		return [33]byte(pub.SerializeCompressed())
	}
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = Key{ID: [32]byte{7}, T: t, ThreshPK: public(at(0)), SecShare: at(int64(i + 1))}
		for j := range n {
			keys[i].PubShares = append(keys[i].PubShares, public(at(int64(j+1))))
		}
	}
	return keys
}

func reqID(b byte) requestID { return sha256.Sum256([]byte{b}) }

func (w *world) traceString() string { return hex.EncodeToString(w.trace[:]) }
