package roast

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"slices"
	"strconv"

	"frostfed/crypto/memberkey"
	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

type effects = protocols.Effects[Event]

// Machine is signer and coordinator for one member, over any number of keys.
type Machine struct {
	cfg   Config
	self  int
	index map[protocols.NodeID]int
	now   protocols.Time

	keys     map[[32]byte]*key
	requests map[requestID]*request
	order    []*request           // the same, oldest first
	refusals map[requestID]string // by own validation; bounded by Config.Requests
	refused  []requestID          // the same, oldest first
	early    [][]offer            // by member: READY for requests not approved here yet
	history  history

	local   []message // to this member itself, handled before an input ends
	jobs    map[string]func(*effects, any)
	lastJob uint64
	sid     uint32 // of the last session started, of any request
}

// key is a Key, with the members as indices.
type key struct {
	id      [32]byte
	public  *rfc9591.Key
	share   *rfc9591.Share
	members []int // that have shares, ascending: place i is participant i
}

// participant returns a member's place in the key, and whether it can sign.
func (k *key) participant(member int) (int, bool) {
	p, ok := slices.BinarySearch(k.members, member)
	return p, ok && k.public.PublicShare(p) != nil
}

// request is a request this member has approved and that is not finished.
type request struct {
	id      requestID
	key     *key
	message []byte
	digest  [32]byte
	since   protocols.Time
	ranks   []int // members in their order as coordinators
	turns   int   // of them, those this member has offered itself to
	answers map[int]*answer

	run      *run
	checking map[int]bool // members whose DONE is being verified: one at a time
}

// offer is a READY of a member for a request not approved here yet.
type offer struct {
	request requestID
	msg     message
}

// maxEarly bounds the offers held per member: 9 KiB for a hostile one.
const maxEarly = 64

// New returns a machine without keys or requests. Errors wrap ErrConfig.
func New(cfg Config) (*Machine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Members = slices.Clone(cfg.Members)
	m := &Machine{
		cfg: cfg, index: make(map[protocols.NodeID]int), keys: make(map[[32]byte]*key),
		requests: make(map[requestID]*request), refusals: make(map[requestID]string),
		early: make([][]offer, len(cfg.Members)), history: newHistory(cfg.History),
		jobs: make(map[string]func(*effects, any)),
	}
	for i, id := range cfg.Members {
		m.index[id] = i
	}
	m.self = m.index[cfg.Self]
	return m, nil
}

// AddKey makes a key usable. A key added twice stays as it was. It panics if the
// participants are not the key's: both come from one recovery data.
func (m *Machine) AddKey(k Key) {
	if m.keys[k.ID] != nil {
		return
	}
	added := &key{id: k.ID, public: k.Public, share: k.Share}
	for _, id := range k.Participants {
		i, member := m.index[id]
		if !member {
			panic("roast: a participant is no member")
		}
		added.members = append(added.members, i)
	}
	if len(added.members) != k.Public.N() || !slices.IsSorted(added.members) {
		panic("roast: the participants are not the key's")
	}
	if own, ok := slices.BinarySearch(added.members, m.self); k.Share != nil && (!ok || own != k.Share.ID()) {
		panic("roast: the share is not this member's")
	}
	m.keys[k.ID] = added
}

// input runs one input to its end: messages to oneself are handled before it
// returns.
func (m *Machine) input(now protocols.Time, f func(*effects)) effects {
	var fx effects
	m.now = max(m.now, now)
	f(&fx)
	for len(m.local) > 0 {
		msg := m.local[0]
		m.local = m.local[1:]
		m.handle(&fx, m.self, msg, msg.encode())
	}
	return fx
}

// Approve says that this member's own validation accepted the request, and that
// this is durable: message may be signed from now on. The first approval stands;
// a request that is finished is answered Signed again.
func (m *Machine) Approve(now protocols.Time, id, keyID [32]byte, message []byte) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		k := m.keys[keyID]
		digest := m.digest(id, keyID, message)
		f := m.history.byID[id]
		switch {
		case m.requests[id] != nil:
		case k == nil:
			fx.Out = append(fx.Out, Failed{id, ReasonUnknownKey})
		case f != nil && f.digest != digest:
			fx.Out = append(fx.Out, Failed{id, ReasonInconsistent})
		case f != nil:
			fx.Out = append(fx.Out, Signed{id, keyID, slices.Clone(f.signature)})
		case len(m.requests) >= m.cfg.Requests:
			fx.Out = append(fx.Out, Failed{id, ReasonBusy})
		default:
			m.accept(fx, id, k, message, digest)
		}
	})
}

func (m *Machine) accept(fx *effects, id requestID, k *key, message []byte, digest [32]byte) {
	r := &request{
		id: id, key: k, message: slices.Clone(message), digest: digest, since: m.now,
		ranks: m.coordinators(id, k), answers: make(map[int]*answer), run: newRun(m.n()), checking: make(map[int]bool),
	}
	m.requests[id] = r
	m.order = append(m.order, r)
	_, refused := m.refusals[id]
	m.unrefuse(id)
	m.offerDue(fx, r)
	for i := range m.early {
		// Who offered itself to us in vain thinks we coordinate, and may have
		// been told NO by us.
		for _, o := range m.takeEarly(i, id) {
			m.onReady(fx, i, o.msg)
		}
	}
	if refused {
		for i := range r.ranks { // they took us for gone
			m.offer(fx, r, r.ranks[i])
		}
	}
}

func (m *Machine) takeEarly(member int, id requestID) (taken []offer) {
	m.early[member] = slices.DeleteFunc(m.early[member], func(o offer) bool {
		if o.request == id {
			taken = append(taken, o)
		}
		return o.request == id
	})
	return taken
}

// Refuse says that this member's own validation refused the request: coordinators
// are told the code, which must be snake_case of at most 64 bytes. A later
// Approve overrules it. It has no effect on an approved request.
func (m *Machine) Refuse(now protocols.Time, id [32]byte, code string) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		if m.requests[id] != nil || m.history.byID[id] != nil {
			return
		}
		if !validCode(code) {
			code = "refused"
		}
		m.unrefuse(id)
		m.refusals[id] = code
		m.refused = append(m.refused, id)
		if len(m.refused) > m.cfg.Requests {
			m.unrefuse(m.refused[0])
		}
		for i := range m.early {
			m.takeEarly(i, id)
		}
		for i := range m.cfg.Members {
			if i != m.self {
				m.send(fx, i, message{kind: kindNo, request: id, code: code})
			}
		}
	})
}

func (m *Machine) unrefuse(id requestID) {
	delete(m.refusals, id)
	m.refused = slices.DeleteFunc(m.refused, func(o requestID) bool { return o == id })
}

// Cancel drops a request: it is neither signed nor coordinated any more.
func (m *Machine) Cancel(now protocols.Time, id [32]byte) protocols.Effects[Event] {
	return m.input(now, func(*effects) {
		m.unrefuse(id)
		m.forget(id)
	})
}

// forget removes a request from all lists but the history. Its nonces are wiped.
func (m *Machine) forget(id requestID) {
	if r := m.requests[id]; r != nil {
		for _, a := range r.answers {
			a.drop()
		}
	}
	for i := range m.early {
		m.takeEarly(i, id)
	}
	delete(m.requests, id)
	m.order = slices.DeleteFunc(m.order, func(o *request) bool { return o.id == id })
}

// Step takes a message of a member.
func (m *Machine) Step(now protocols.Time, from protocols.NodeID, raw []byte) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		i, member := m.index[from]
		if !member || i == m.self {
			fx.Faults = append(fx.Faults, protocols.Fault{Culprit: from, Kind: FaultStranger, Detail: "sender is no other member"})
			return
		}
		msg, err := decode(raw)
		if err != nil {
			m.fault(fx, i, FaultMalformed, err.Error())
			return
		}
		m.handle(fx, i, msg, raw)
	})
}

func (m *Machine) handle(fx *effects, from int, msg message, raw []byte) {
	if m.history.byID[msg.request] != nil {
		if msg.kind == kindReady || msg.kind == kindSign {
			m.serve(fx, from, msg.request)
		}
		return
	}
	switch msg.kind {
	case kindReady:
		m.onReady(fx, from, msg)
	case kindSign:
		m.onSign(fx, from, msg, sha256.Sum256(raw))
	case kindShare:
		m.onShare(fx, from, msg, sha256.Sum256(raw))
	case kindNo:
		m.onNo(fx, from, msg)
	case kindDone:
		m.onDone(fx, from, msg)
	}
}

// Tick offers this member to the coordinators whose turn has come.
func (m *Machine) Tick(now protocols.Time) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		for _, r := range slices.Clone(m.order) {
			m.offerDue(fx, r)
		}
	})
}

// Deadline is when Tick wants to be called.
func (m *Machine) Deadline() protocols.Time {
	at := protocols.Never
	for _, r := range m.order {
		if r.turns < len(r.ranks) {
			at = min(at, r.since+protocols.Time(r.turns)*m.cfg.Delta)
		}
	}
	return at
}

// Done brings the result of a Job.
func (m *Machine) Done(now protocols.Time, jobID string, result any) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		if then := m.jobs[jobID]; then != nil {
			delete(m.jobs, jobID)
			then(fx, result)
		}
	})
}

// Resync says again to a member that lost messages what is still open between it
// and this one.
func (m *Machine) Resync(now protocols.Time, peer protocols.NodeID) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		i, member := m.index[peer]
		if !member || i == m.self {
			return
		}
		for _, id := range m.refused {
			m.send(fx, i, message{kind: kindNo, request: id, code: m.refusals[id]})
		}
		for _, r := range m.order {
			// The reply first: if it is still wanted, the offer is what it says
			// already; if not, the coordinator has restarted and needs the offer.
			if a := r.answers[i]; a != nil && a.reply != nil {
				m.send(fx, i, *a.reply)
			}
			if slices.Contains(r.ranks[:r.turns], i) {
				m.offer(fx, r, i)
			}
			if seat := &r.run.seats[i]; seat.state == pending {
				m.send(fx, i, seat.session.message(r))
			}
		}
		for _, f := range m.history.oldest[max(0, len(m.history.oldest)-maxResync):] {
			m.send(fx, i, message{kind: kindDone, request: f.id, signature: f.signature})
		}
	})
}

// maxResync is how many of the newest signatures a returning member gets from
// each other one; older ones are served when asked for.
const maxResync = 16

// work runs a pure function as a Job of the driver; then gets the result as part
// of a later input.
func (m *Machine) work(fx *effects, run func() any, then func(*effects, any)) {
	m.lastJob++
	id := strconv.FormatUint(m.lastJob, 10)
	m.jobs[id] = then
	fx.Work = append(fx.Work, protocols.Job{ID: id, Run: run})
}

func (m *Machine) send(fx *effects, to int, msg message) {
	if to == m.self {
		m.local = append(m.local, msg)
		return
	}
	fx.Send = append(fx.Send, protocols.Envelope{To: m.cfg.Members[to], Protocol: protocols.Roast, Body: msg.encode()})
}

func (m *Machine) fault(fx *effects, culprit int, kind, detail string) {
	fx.Faults = append(fx.Faults, protocols.Fault{Culprit: m.cfg.Members[culprit], Kind: kind, Detail: detail})
}

func (m *Machine) n() int { return len(m.cfg.Members) }

func (m *Machine) names(members []int) (names []protocols.NodeID) {
	for _, i := range members {
		names = append(names, m.cfg.Members[i])
	}
	return names
}

// digest is what coordinator and signers compare before they sign: only the
// digest travels, the message is each member's own.
func (m *Machine) digest(request, key [32]byte, message []byte) [32]byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(message)))
	return memberkey.Hash("frostfed/v1/roast message", m.cfg.Federation[:], request[:], key[:], length, message)
}

// coordinators orders the participants of a key by a hash over request and
// member: no member can place itself first without choosing the request.
func (m *Machine) coordinators(request requestID, k *key) []int {
	order := slices.Clone(k.members)
	slices.SortFunc(order, func(a, b int) int {
		ha := memberkey.Hash("frostfed/v1/roast coordinator", request[:], []byte(m.cfg.Members[a]))
		hb := memberkey.Hash("frostfed/v1/roast coordinator", request[:], []byte(m.cfg.Members[b]))
		return bytes.Compare(ha[:], hb[:])
	})
	return order
}

// nonceSeed draws what one pair of nonces takes, for a job, which wipes it.
func (m *Machine) nonceSeed() (*[64]byte, error) {
	seed := new([64]byte)
	_, err := io.ReadFull(m.cfg.Rand, seed[:])
	return seed, err
}

// nonce makes a pair of nonces from a seed.
func (k *key) nonce(seed *[64]byte) (*rfc9591.Nonce, []byte, error) {
	defer clear(seed[:])
	return k.public.NewNonce(k.share, bytes.NewReader(seed[:]))
}
