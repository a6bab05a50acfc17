package sign

import (
	"bytes"
	"slices"
	"testing"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// These tests play a hostile coordinator by hand: member 0 of 2-of-3, against the
// signer member 1.
type duel struct {
	*world
	id     requestID
	items  []Item
	signer *Machine
}

func newDuel(t *testing.T, items int) *duel {
	w := newWorld(t, 3, 2, 3, fullPools)
	d := &duel{world: w, id: reqID(9), signer: w.nodes[1].m}
	d.items = w.items(items)
	w.asked[d.id] = d.items
	return d
}

// craft makes the SIGN that an honest coordinator c would send to member 1 for a
// session with member 0, from c's real pools.
func (d *duel) craft(c int, sid uint32) signMsg {
	m := d.nodes[c].m
	msg := signMsg{
		request: d.id, session: sessionID{m.cfg.Epoch, sid}, signers: []int{0, 1}, epoch: m.held[1].epoch,
		digest: digestItems(m.cfg.Federation, d.id, d.keys[0].ID, d.items),
	}
	for range d.items {
		a, b := m.held[0].draw(1)[0], m.held[1].draw(1)[0]
		agg := bip445.NonceAgg([]bip445.PubNonce{a.pubnonce, b.pubnonce})
		msg.slots = append(msg.slots, slot{agg.Bytes(), b.index})
	}
	return msg
}

// ask delivers a SIGN from c and returns the answer to it, nil if there is none,
// and the faults.
func (d *duel) ask(c int, msg signMsg) (message, []protocols.Fault) {
	return d.answers(c, d.signer.Step(d.now, name(c), msg.encode()))
}

func (d *duel) answers(c int, fx protocols.Effects[Event]) (message, []protocols.Fault) {
	var out message
	for _, env := range fx.Send {
		msg, err := decode(env.Body)
		if err != nil {
			d.tb.Fatal(err)
		}
		switch msg.(type) {
		case psigMsg, noMsg:
			if env.To != name(c) || out != nil {
				d.tb.Fatalf("unexpected answer %T to %q", msg, env.To)
			}
			out = msg
		}
	}
	return out, fx.Faults
}

func wantNo(t *testing.T, msg message, why reason) {
	t.Helper()
	if no, ok := msg.(noMsg); !ok || no.reason != why {
		t.Fatalf("got %T %v, want NO(%d)", msg, msg, why)
	}
}

func wantPSig(t *testing.T, msg message) psigMsg {
	t.Helper()
	p, ok := msg.(psigMsg)
	if !ok {
		t.Fatalf("got %T %v, want a PSIG", msg, msg)
	}
	return p
}

func wantFault(t *testing.T, faults []protocols.Fault, kinds ...string) {
	t.Helper()
	var got []string
	for _, f := range faults {
		got = append(got, f.Kind)
	}
	if !slices.Equal(got, kinds) {
		t.Fatalf("faults %q, want %q", got, kinds)
	}
}

func (d *duel) approveSigner() (message, []protocols.Fault) {
	return d.answers(0, d.signer.Approve(d.now, d.id, d.keys[1].ID, d.items))
}

// A handle signs once, in whatever session it is named again.
func TestPairUsedOnce(t *testing.T) {
	d := newDuel(t, 1)
	d.approveSigner()
	msg := d.craft(0, 1)
	answer, _ := d.ask(0, msg)
	wantPSig(t, answer)
	again := msg
	again.session.sid = 2
	answer, faults := d.ask(0, again)
	wantNo(t, answer, noStale)
	wantFault(t, faults, FaultNonceReuse)
}

// Of any number of sessions with one handle, parked or not, one is answered.
func TestPairUsedOnceAcrossRequests(t *testing.T) {
	d := newDuel(t, 1)
	msg := d.craft(0, 1)
	other := msg
	other.request = reqID(10)
	other.digest = digestItems(d.signer.cfg.Federation, other.request, d.keys[0].ID, d.items)
	for _, m := range []signMsg{msg, other} { // both wait: neither request is approved yet
		if answer, _ := d.ask(0, m); answer != nil {
			t.Fatalf("answer %T before the approval", answer)
		}
	}
	answer, _ := d.approveSigner()
	wantPSig(t, answer)
	answer, faults := d.answers(0, d.signer.Approve(d.now, other.request, d.keys[1].ID, d.items))
	wantNo(t, answer, noStale)
	wantFault(t, faults, FaultNonceReuse)
}

// Nonces of a process that died are answered NO(stale), also when its disk
// is as it was before they were handed out.
func TestRestartForgetsPairs(t *testing.T) {
	d := newDuel(t, 1)
	msg := d.craft(0, 1)
	d.boot(1)
	d.signer = d.nodes[1].m
	d.approveSigner()
	answer, faults := d.ask(0, msg)
	wantNo(t, answer, noStale)
	wantFault(t, faults)
	if no := answer.(noMsg); no.epoch == msg.epoch {
		t.Error("the epoch is that of the process before")
	}
}

// The same session asked again gets the same bytes; changed, a refusal.
func TestChangedSession(t *testing.T) {
	d := newDuel(t, 2)
	d.approveSigner()
	msg := d.craft(0, 1)
	first := d.signer.Step(d.now, name(0), msg.encode())
	wantPSig(t, must(d.answers(0, first)))
	second := d.signer.Step(d.now, name(0), msg.encode())
	if len(first.Send) != 1 || len(second.Send) != 1 || !bytes.Equal(first.Send[0].Body, second.Send[0].Body) {
		t.Fatal("the repeated SIGN got other bytes")
	}
	spare := d.craft(0, 1)
	for name, change := range map[string]func(*signMsg){
		"aggregate nonce": func(m *signMsg) { m.slots = slices.Clone(m.slots); m.slots[0].aggnonce = m.slots[1].aggnonce },
		"signers":         func(m *signMsg) { m.signers = []int{1, 2} },
		"items":           func(m *signMsg) { m.digest[0] ^= 1 },
		"fresh pairs":     func(m *signMsg) { m.slots = spare.slots },
	} {
		changed := msg
		change(&changed)
		answer, faults := d.ask(0, changed)
		if wantNo(t, answer, noInvalid); len(faults) != 1 || faults[0].Kind != FaultChangedSession {
			t.Errorf("%s changed: faults %v", name, faults)
		}
	}
}

func must(m message, _ []protocols.Fault) message { return m }

// A pair is usable by the coordinator it was handed to only, and no two
// coordinators ever get the same.
func TestPairsBelongToACoordinator(t *testing.T) {
	d := newDuel(t, 1)
	d.approveSigner()
	seen := make(map[[66]byte]bool)
	for c := range d.nodes {
		for _, p := range d.nodes[c].m.held[1].pairs {
			if seen[p.pubnonce.Bytes()] {
				t.Fatal("one public nonce in two pools")
			}
			seen[p.pubnonce.Bytes()] = true
		}
	}
	// Member 2 names the pair handed to member 0. The signer's pair with this
	// handle in the pool of member 2 is another one, so the result is useless.
	msg := d.craft(0, 1)
	msg.session.run = d.nodes[2].m.cfg.Epoch
	psig := wantPSig(t, must(d.ask(2, msg)))
	agg, err := bip445.ParseAggNonce(msg.slots[0].aggnonce[:])
	if err != nil {
		t.Fatal(err)
	}
	r := d.signer.requests[d.id]
	set, _ := r.key.set(msg.signers)
	session, err := bip445.NewSession(set, r.contexts[0], agg, d.items[0].Message[:])
	if err != nil {
		t.Fatal(err)
	}
	mine, err := bip445.ParsePubNonce(d.drawn(0, msg.slots[0].index))
	if err != nil {
		t.Fatal(err)
	}
	if session.PartialSigVerify(1, mine, psig.psigs[0]) == nil {
		t.Error("the pair of another coordinator was used")
	}
	// A handle beyond what member 2 was given is refused.
	next := d.craft(2, 2)
	next.slots[0].index += 1 << 20
	answer, faults := d.ask(2, next)
	wantNo(t, answer, noStale)
	wantFault(t, faults, FaultNonceReuse)
}

// drawn returns the public nonce that the signer sent to c under an index; the
// test has drawn it from the pool, so it is made again from the wire.
func (d *duel) drawn(c int, index uint64) []byte {
	w := newWorld(d.tb, 3, 2, 3, fullPools) // the same seed: the same nonces
	for _, p := range w.nodes[c].m.held[1].pairs {
		if p.index == index {
			b := p.pubnonce.Bytes()
			return b[:]
		}
	}
	d.tb.Fatal("no such pair")
	return nil
}

// One pair for two items of a batch does not even decode.
func TestOnePairForTwoItems(t *testing.T) {
	d := newDuel(t, 2)
	d.approveSigner()
	msg := d.craft(0, 1)
	msg.slots[1].index = msg.slots[0].index
	answer, faults := d.ask(0, msg)
	if answer != nil {
		t.Fatalf("answer %T", answer)
	}
	wantFault(t, faults, FaultMalformed)
	if _, reused := d.signer.issued[0].has(msg.slots); reused {
		t.Error("the malformed SIGN took pairs")
	}
}

// Other items, another key, another
// request: the digest differs, nothing is signed, nobody is accused.
func TestOtherItems(t *testing.T) {
	d := newDuel(t, 2)
	d.approveSigner()
	mine := d.items
	for _, change := range []func([]Item){
		func(it []Item) { it[0].Message[5] ^= 1 },
		func(it []Item) { it[1].Tweaks = [][32]byte{{1}} },
		func(it []Item) { it[1].XOnly = []bool{false} },
		func(it []Item) { it[0], it[1] = it[1], it[0] },
	} {
		d.items = cloneItems(mine)
		change(d.items)
		answer, faults := d.ask(0, d.craft(0, d.signer.answersOf(d.id)+1))
		wantNo(t, answer, noInconsistent)
		wantFault(t, faults)
	}
}

func (m *Machine) answersOf(id requestID) uint32 {
	if a := m.requests[id].answers[0]; a != nil {
		return a.session.sid
	}
	return 0
}

// A lie about the aggregate nonce gets a partial signature that is of no
// use, and the pair is gone.
func TestLyingAggregate(t *testing.T) {
	d := newDuel(t, 1)
	d.approveSigner()
	honest := d.craft(0, 1)
	lie := honest
	lie.slots = []slot{{d.craft(0, 1).slots[0].aggnonce, honest.slots[0].index}}
	answer, faults := d.ask(0, lie)
	wantPSig(t, answer)
	wantFault(t, faults)
	honest.session.sid = 2
	answer, faults = d.ask(0, honest)
	wantNo(t, answer, noStale)
	wantFault(t, faults, FaultNonceReuse)
}

// Steps 3 and 5 of the signer: impossible sessions are refused, the pairs gone.
func TestImpossibleSessions(t *testing.T) {
	garbage := func(m *signMsg) { m.slots[0].aggnonce[0] = 7 }
	hidden := func(m *signMsg) { m.slots[0].aggnonce = [66]byte{65: 1} } // infinity is all zeros or nothing
	for name, change := range map[string]func(*signMsg){
		"too many signers":   func(m *signMsg) { m.signers = []int{0, 1, 2} },
		"too few signers":    func(m *signMsg) { m.signers = []int{1} },
		"without me":         func(m *signMsg) { m.signers = []int{0, 2} },
		"no such member":     func(m *signMsg) { m.signers = []int{1, 3} },
		"lot out of range":   func(m *signMsg) { m.first = 1 },
		"garbage aggregate":  garbage,
		"infinity in excess": hidden,
	} {
		d := newDuel(t, 1)
		d.approveSigner()
		msg := d.craft(0, 1)
		change(&msg)
		answer, faults := d.ask(0, msg)
		wantNo(t, answer, noInvalid)
		if wantFault(t, faults, FaultBadSession); t.Failed() {
			t.Error(name)
		}
		if here, _ := d.signer.issued[0].has(msg.slots); here {
			t.Errorf("%s: the pair is still there", name)
		}
	}
}

// An infinite aggregate nonce is legal: the session goes on with R = G, and the one
// who cancelled the others is found by its partial signature.
func TestInfiniteAggregate(t *testing.T) {
	d := newDuel(t, 1)
	d.approveSigner()
	msg := d.craft(0, 1)
	msg.slots[0].aggnonce = [66]byte{}
	wantPSig(t, must(d.ask(0, msg)))
}

// A coordinator cannot make a signer work without end.
func TestSessionsPerCoordinator(t *testing.T) {
	d := newDuel(t, 1)
	d.approveSigner()
	limit := 1 + d.signer.maxRepeats(d.signer.requests[d.id])
	for sid := range limit {
		wantPSig(t, must(d.ask(0, d.craft(0, uint32(sid+1)))))
	}
	answer, faults := d.ask(0, d.craft(0, uint32(limit+1)))
	wantNo(t, answer, noLimit)
	wantFault(t, faults, FaultTooManySession)
}

// A coordinator's SIGN for unknown requests wait in a bounded buffer; the oldest is
// answered NO(limit) and its pairs are gone.
func TestParkedAreBounded(t *testing.T) {
	d := newDuel(t, 1)
	given := len(d.signer.issued[0].live)
	for i := range maxParked + 5 {
		d.id = reqID(byte(100 + i))
		answer, faults := d.ask(0, d.craft(0, 1))
		wantFault(t, faults)
		if i < maxParked {
			if answer != nil {
				t.Fatalf("answer %T", answer)
			}
			continue
		}
		wantNo(t, answer, noLimit)
	}
	p := d.signer.peers[0]
	if len(p.parked) != maxParked || !p.busy {
		t.Errorf("%d parked", len(p.parked))
	}
	if got := len(d.signer.issued[0].live); got != given-5 {
		t.Errorf("%d pairs live, want %d", got, given-5)
	}
	for range 3 * maxNotes {
		d.id[1]++
		d.signer.Step(d.now, name(0), readyMsg{d.id}.encode())
	}
	if n := len(p.notes.keys); n > maxNotes {
		t.Errorf("%d notes", n)
	}
	// Who was told NO(limit) hears of the next approval.
	fx := d.signer.Approve(d.now, d.id, d.keys[1].ID, d.items)
	if !slices.ContainsFunc(fx.Send, func(e protocols.Envelope) bool {
		return e.To == name(0) && bytes.Equal(e.Body, readyMsg{d.id}.encode())
	}) {
		t.Error("no READY to a coordinator that was put off")
	}
}

// NEED fills the pool up and no more, whatever is asked how often.
func TestNeedIsBounded(t *testing.T) {
	d := newDuel(t, 1)
	made := d.signer.issued[0].next
	for range 100 {
		d.signer.Step(d.now, name(0), needMsg{maxPairs}.encode())
	}
	if got := d.signer.issued[0].next - made; got > maxLot {
		t.Errorf("%d pairs made within a second", got)
	}
	if got := len(d.signer.issued[0].live); got > max(d.signer.cfg.Pool, maxLot) {
		t.Errorf("%d pairs live", got)
	}
	if got, want := len(d.signer.issued[0].secrets), len(d.signer.issued[0].live); got != want {
		t.Errorf("%d secrets for %d handles", got, want)
	}
}

// Nonces of a replaced epoch mean that two processes of a member are alive.
func TestOldEpoch(t *testing.T) {
	d := newDuel(t, 1)
	first := d.signer.refill(0, 2)
	coordinator := d.nodes[0].m
	coordinator.Step(d.now, name(1), nonces{epoch: epochID{99}, pairs: first.pairs[:1]}.encode())
	if h := coordinator.held[1]; len(h.pairs) != 1 || h.epoch != (epochID{99}) {
		t.Fatal("the pool of the dead process was kept")
	}
	fx := coordinator.Step(d.now, name(1), first.encode())
	wantFault(t, fx.Faults, FaultOldEpoch)
	// A half at infinity, or no point at all, is a fault at once.
	bad := first
	bad.epoch = epochID{99}
	bad.pairs = slices.Clone(first.pairs)
	bad.pairs[1].pubnonce = [66]byte{}
	fx = coordinator.Step(d.now, name(1), bad.encode())
	wantFault(t, fx.Faults, FaultBadNonce)
}
