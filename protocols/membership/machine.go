package membership

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// Verdict is what a member's policy says to a proposal.
type Verdict uint8

// The verdicts. Ask leaves it to Vote.
const (
	Ask Verdict = iota
	Approve
	Reject
)

// HostSigner is a host key of this member.
type HostSigner interface {
	Public() [33]byte
	Sign(msg []byte, aux [32]byte) ([64]byte, error)
}

// Config is what a machine needs to know. All fields but Policy and Evidence are
// required.
type Config struct {
	Self    protocols.NodeID
	Charter *Charter // with Terms
	// Host returns the own host key for the epoch with that number.
	Host func(epoch uint32) (HostSigner, error)
	Rand io.Reader
	// Policy judges applications and wishes to renew. nil: Ask. What follows from
	// rules is not asked: who wants to leave may, proof convicts, silence is counted.
	Policy func(*Proposal) Verdict
	// Evidence verifies a proof against a member. nil: none convinces.
	Evidence func(proof []byte) (culprit protocols.NodeID, class epoch.Class, err error)
}

// Errors of what the operator asks for.
var (
	ErrConfig  = errors.New("invalid membership config")
	ErrEpoch   = errors.New("no such epoch or transition here")
	ErrOutside = errors.New("this member does not belong to the acting epoch")
	ErrTooMany = errors.New("too many proposals in this epoch; wait for the next one")
	ErrVoted   = errors.New("this member has voted already")
	ErrUnknown = errors.New("no such proposal")
)

// maxWaiting bounds applications that strangers sent here. With all places taken, one
// without a deposit makes room for the next: so a flood costs deposits.
const maxWaiting = 32

// waiting is an application that nobody has proposed yet.
type waiting struct {
	application *Application
	since       bitcoin.Height
}

// Machine is the membership of one federation, as one member sees it.
type Machine struct {
	cfg     Config
	eras    []*era // by number; the last but one acts or the last
	acting  *era   // nil before the first Chain
	alive   bool   // its transition is in the chain
	chain   Chain
	outs    map[outPoint]*Output
	facts   map[[32]byte]*keyFact // of the last ceremony
	waiting []waiting
	watched []outPoint
	version uint64 // of what verdicts rest on
	fresh   bool   // this input is a block
}

type effects = protocols.Effects[Event]

// New returns the machine of a member, or of somebody who watches, at an epoch that
// epoch.Verify or the founders' own agreement vouches for.
func New(cfg Config, state *epoch.State) (*Machine, protocols.Effects[Event], error) {
	var e effects
	m, err := newMachine(cfg)
	if err != nil {
		return nil, e, err
	}
	if state.Federation != [32]byte(cfg.Charter.ID()) || state.Terms != cfg.Charter.Terms.Terms {
		return nil, e, fmt.Errorf("%w: the epoch is of another charter", ErrConfig)
	}
	m.add(newEra(state, cfg.Charter, cfg.Self), &e)
	m.watch(&e)
	return m, e, nil
}

func newMachine(cfg Config) (*Machine, error) {
	if cfg.Charter == nil || cfg.Charter.Terms == nil || cfg.Host == nil || cfg.Rand == nil {
		return nil, fmt.Errorf("%w: a charter with terms, host keys and randomness are required", ErrConfig)
	}
	return &Machine{cfg: cfg, outs: make(map[outPoint]*Output), facts: make(map[[32]byte]*keyFact)}, nil
}

func (m *Machine) add(r *era, e *effects) {
	m.eras = append(m.eras, r)
	e.Persist = append(e.Persist, stateRecord(r.state))
}

func (m *Machine) era(number uint32) *era {
	for _, r := range m.eras {
		if r.number() == number {
			return r
		}
	}
	return nil
}

// Tip takes the best chain, with each block and each time the outpoints to watch
// change.
func (m *Machine) Tip(now protocols.Time, c Chain) protocols.Effects[Event] {
	var e effects
	m.chain = c
	m.outs = make(map[outPoint]*Output, len(c.Outputs))
	for _, o := range c.Outputs {
		if o.Height <= c.Height && o.SpentAt <= c.Height { // nothing happens above the tip
			m.outs[o.OutPoint] = &o
		}
	}
	m.fresh = true
	m.react(&e)
	m.fresh = false
	return e
}

// Delivered takes what echo delivered among the members of the epoch that TopicEpoch
// names. Its echo must not start before EpochActive: what is said in an epoch that is
// not known here is lost.
func (m *Machine) Delivered(now protocols.Time, sender protocols.NodeID, text string, payload []byte) protocols.Effects[Event] {
	var e effects
	t, ok := parseTopic(text)
	if !ok {
		e.Faults = append(e.Faults, protocols.Fault{Culprit: sender, Kind: FaultMalformed, Detail: "an unknown topic"})
		return e
	}
	r := m.era(t.epoch)
	if r == nil || r.erased || r.self < 0 {
		return e
	}
	from := slices.Index(r.ids, sender)
	if from < 0 {
		e.Faults = append(e.Faults, protocols.Fault{Culprit: sender, Kind: FaultStranger, Detail: "no member of epoch " + strings.SplitN(text, "/", 2)[0]})
		return e
	}
	if _, again := r.delivered[from][text]; again {
		return e
	}
	if r.full(from, t.kind) {
		e.Faults = append(e.Faults, protocols.Fault{Culprit: sender, Kind: FaultTooMany, Detail: "votes without end"})
		return e
	}
	if wrong := r.take(from, t, payload); wrong != "" {
		e.Faults = append(e.Faults, protocols.Fault{Culprit: sender, Kind: FaultMalformed, Detail: wrong})
		return e
	}
	r.delivered[from][text] = payload
	e.Persist = append(e.Persist, deliveredRecord(from, text, payload))
	m.react(&e)
	return e
}

// KeyActive takes the key of a ceremony: n-f participants can restore it.
func (m *Machine) KeyActive(now protocols.Time, ceremony [32]byte, key [33]byte, participants []protocols.NodeID) protocols.Effects[Event] {
	return m.learn(ceremony, &keyFact{key: key, participants: slices.Clone(participants)})
}

// KeyFailed says that a ceremony ended without a key, and whose fault that is.
func (m *Machine) KeyFailed(now protocols.Time, ceremony [32]byte, culprits []protocols.NodeID) protocols.Effects[Event] {
	return m.learn(ceremony, &keyFact{culprits: slices.Clone(culprits)})
}

// learn keeps only what the last ceremony of an epoch said: all others are over.
func (m *Machine) learn(ceremony [32]byte, fact *keyFact) effects {
	var e effects
	for id := range m.facts {
		if !slices.ContainsFunc(m.eras, func(r *era) bool { return r.begun != nil && r.begun.ceremony == id }) {
			delete(m.facts, id)
		}
	}
	if !slices.ContainsFunc(m.eras, func(r *era) bool { return r.begun != nil && r.begun.ceremony == ceremony }) {
		return e
	}
	m.facts[ceremony] = fact
	m.react(&e)
	return e
}

func (m *Machine) fact(r *era) *keyFact { return m.facts[r.begun.ceremony] }

// Deadline is never: membership knows heights, and no clock.
func (m *Machine) Deadline() protocols.Time { return protocols.Never }

// Tick does nothing.
func (m *Machine) Tick(now protocols.Time) protocols.Effects[Event] { return effects{} }

// react does all that follows from an input.
func (m *Machine) react(e *effects) {
	m.version++
	if m.chain.Height == 0 {
		return // nothing is known of the chain yet
	}
	r := m.walk(e)
	for _, o := range m.eras {
		for o.fold(m.chain.Height) {
			m.walk(e) // a seal that was decided late may be mined already
			r = m.acting
		}
	}
	if r.self >= 0 && m.alive && !r.erased {
		m.announce(r, e)
		m.sponsor(r, e)
		m.vote(r, e)
		m.ceremony(r, e)
		m.agree(r, e)
		m.promise(r, e)
	}
	m.transitions(e)
	m.watch(e)
}

// say broadcasts, durably and once.
func (m *Machine) say(r *era, kind string, k, round int, payload []byte, e *effects) {
	m.sayUnder(r, r.topic(kind, k, round), payload, e)
}

func (m *Machine) sayUnder(r *era, text string, payload []byte, e *effects) {
	payload = slices.Clone(payload)
	r.own[text] = payload
	e.Persist = append(e.Persist, ownRecord(text, payload))
	e.Out = append(e.Out, Broadcast{Topic: text, Payload: payload})
}

// watch tells which outpoints matter, if that changed.
func (m *Machine) watch(e *effects) {
	if now := m.watching(); !slices.Equal(now, m.watched) {
		m.watched = now
		e.Out = append(e.Out, Watch{OutPoints: slices.Clone(now)})
	}
}

// announce says which host key this member takes to the next epoch.
func (m *Machine) announce(r *era, e *effects) {
	if r.said(topicHost, 0, 0) {
		return
	}
	key, err := m.cfg.Host(r.number() + 1)
	if err != nil {
		return
	}
	var aux [32]byte
	if _, err := io.ReadFull(m.cfg.Rand, aux[:]); err != nil {
		return
	}
	host := key.Public()
	msg := r.hostPreimage(r.self, host)
	sig, err := key.Sign(msg[:], aux)
	if err != nil {
		return
	}
	m.say(r, topicHost, 0, 0, append(host[:], sig[:]...), e)
}

// ceremony starts the key generation of a batch, once per process, and stops it.
func (m *Machine) ceremony(r *era, e *effects) {
	if r.begun != nil && r.started != ([32]byte{}) && (r.started != r.begun.ceremony || r.phase == collecting) {
		e.Out = append(e.Out, StopCeremony{ID: r.started})
		r.started = [32]byte{}
	}
	if r.phase != generating || r.started == r.begun.ceremony {
		return
	}
	if r.begun.since == 0 {
		r.begun.since = m.chain.Height
	}
	p := m.settled(r, r.begun)
	if p == nil {
		return
	}
	r.started = r.begun.ceremony
	start := StartCeremony{Epoch: r.number() + 1, ID: r.started, Threshold: r.terms.Threshold(len(p.members)),
		MinMembers: max(len(p.members)-len(p.joins), r.terms.Threshold(len(p.members)))}
	for _, o := range p.members {
		part := Participant{Peer: protocols.NodeID(o.Peer), Host: o.Host}
		if i := slices.IndexFunc(p.joins, func(q *Proposal) bool { return q.Bond == o.Bond }); i >= 0 {
			part.Card = p.joins[i].Application.Card
		}
		start.Participants = append(start.Participants, part)
	}
	e.Out = append(e.Out, start)
}
