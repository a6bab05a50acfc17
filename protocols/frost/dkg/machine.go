package dkg

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"frostfed/crypto/chilldkg"
	"frostfed/protocols"
)

// Limits on what is held. The first two stop a member that proposes or
// broadcasts without end; both are far above what a federation needs.
const (
	// MaxOpen is how many ceremonies may be under way at once. They start in
	// different orders at different members, and each needs all of them, so a
	// limit that honest members reach could leave everybody waiting for ceremonies
	// that others refused. It is a bound on memory only: the composer must accept
	// fewer ceremonies than this, by a rule that depends on the proposer alone.
	MaxOpen = protocols.MaxMembers
	// maxEarly is how many broadcasts of sessions not yet started are kept per
	// sender; the oldest is dropped, so a sender can only displace its own.
	maxEarly = MaxOpen
	// DefaultSilence is the time-out of Config.Silence: ten minutes.
	DefaultSilence protocols.Time = 600_000
	// maxFailed is how many failed sessions are kept for the operator; the
	// oldest is forgotten.
	maxFailed = 32
)

// Member is one participant. Its place in Config.Members is its index.
type Member struct {
	ID      protocols.NodeID
	HostKey [33]byte // compressed public key
}

// Config is what a machine needs to know. All fields but Silence are required.
type Config struct {
	Self    protocols.NodeID
	Members []Member // in the order all members agreed on
	// HostSecret returns a copy of the 32-byte secret of the own host key; the
	// machine wipes each copy. Jobs call it too, at the same time as others.
	HostSecret func() [32]byte
	Rand       io.Reader
	Notary     Notary // of the broadcasts that Delivered takes
	// Silence is how long a phase lasts before this member votes to exclude those
	// from whom it has nothing; 0 means DefaultSilence. Nothing but the end of a
	// ceremony rests on it.
	Silence protocols.Time
	// Lie replaces the own first message. It is nil in every correct member, and
	// exists to show that the others cope.
	Lie func(params *chilldkg.SessionParams, id chilldkg.SessionID, m1 []byte) []byte
}

// ErrConfig reports a Config that no session can be run with.
var ErrConfig = errors.New("invalid dkg config")

// Machine runs key generation sessions for one member.
type Machine struct {
	cfg      Config
	self     int
	index    map[protocols.NodeID]int
	hostKeys [][]byte

	runs     map[SessionID]*run // by their first session
	sessions map[SessionID]*session
	early    [][]early // by sender, oldest first
	order    uint64    // next order of starting or arriving
}

// early is a broadcast that was delivered before its session was started.
type early struct {
	session   SessionID
	complaint bool // else a first message
	order     uint64
	sig       [sigSize]byte // of the sender
	payload   []byte        // empty: of a size no session has
}

// effects is short for what every entry point returns.
type effects = protocols.Effects[Event]

// New returns a machine without sessions. It returns an error wrapping
// ErrConfig if the members cannot form a session or the own secret is not
// theirs.
func New(cfg Config) (*Machine, error) {
	if cfg.HostSecret == nil || cfg.Rand == nil || cfg.Notary.Hash == nil || cfg.Notary.Verify == nil {
		return nil, fmt.Errorf("%w: HostSecret, Rand and Notary are required", ErrConfig)
	}
	m := &Machine{
		cfg:      cfg,
		self:     -1,
		index:    make(map[protocols.NodeID]int, len(cfg.Members)),
		runs:     make(map[SessionID]*run),
		sessions: make(map[SessionID]*session),
		early:    make([][]early, len(cfg.Members)),
	}
	if m.cfg.Silence == 0 {
		m.cfg.Silence = DefaultSilence
	}
	m.cfg.Members = append([]Member(nil), cfg.Members...)
	for i, member := range m.cfg.Members {
		if _, dup := m.index[member.ID]; dup {
			return nil, fmt.Errorf("%w: member %d is listed twice", ErrConfig, i)
		}
		m.index[member.ID] = i
		m.hostKeys = append(m.hostKeys, m.cfg.Members[i].HostKey[:])
		if member.ID == cfg.Self {
			m.self = i
		}
	}
	if m.self < 0 {
		return nil, fmt.Errorf("%w: self is not a member", ErrConfig)
	}
	// t = 1 is valid for every n: this checks the count and the keys.
	if _, err := chilldkg.NewSessionParams(m.hostKeys, 1); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	secret := cfg.HostSecret()
	defer clear(secret[:])
	if public, err := chilldkg.HostPubkeyGen(secret[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	} else if public != m.cfg.Members[m.self].HostKey {
		return nil, fmt.Errorf("%w: host secret does not belong to the own host key", ErrConfig)
	}
	return m, nil
}

// Start begins ceremony c. Every member must start it; starting it again has no
// effect. A ceremony of which a Failed was Final must not be started again: people
// who want another try agree on another ceremony.
func (m *Machine) Start(now protocols.Time, c Ceremony) protocols.Effects[Event] {
	var e effects
	params, err := newScheme(c.Suite, m.hostKeys, c.T)
	if err != nil || len(c.Label) > MaxLabel || c.MinMembers < 0 || c.MinMembers > m.n() || c.MinSpare < 0 || c.MinSpare > m.n() {
		e.Out = append(e.Out, Failed{CeremonyID: c.ID, Reason: ReasonInvalid, Final: true})
		return e
	}
	r := m.newRun(c, params)
	if m.runs[r.root] != nil {
		return e
	}
	open := 0
	for _, other := range m.runs {
		if other.live() {
			open++
		}
	}
	if open == MaxOpen {
		e.Out = append(e.Out, Failed{SessionID: r.root, CeremonyID: c.ID, Reason: ReasonBusy, Final: true})
		return e
	}
	m.runs[r.root] = r
	m.begin(now, m.open(r, nil, &e), &e)
	return e
}

// takeEarly hands s the broadcasts that came before it was started.
func (m *Machine) takeEarly(s *session, e *effects) {
	for member := range m.early {
		m.early[member] = slices.DeleteFunc(slices.Clone(m.early[member]), func(held early) bool {
			if held.session != s.id {
				return false
			}
			e.Persist = append(e.Persist, del(earlyKey(member, s.id, held.complaint)))
			if i, ok := s.participant(member); ok && held.complaint {
				m.takeComplaint(s, i, held.payload, held.sig, e)
			} else if ok {
				m.takeM1(s, i, held.payload, held.sig, e)
			}
			return true
		})
	}
}

// Delivered takes a message that reliable broadcast delivered from sender, and the
// signature it came with, which Config.Notary verifies.
func (m *Machine) Delivered(now protocols.Time, sender protocols.NodeID, topic string, payload []byte, sig [64]byte) protocols.Effects[Event] {
	var e effects
	member, ok := m.index[sender]
	if !ok {
		return fault(FaultStranger, sender, "broadcast by someone who is not a member")
	}
	id, complaint, ok := ParseTopic(topic)
	if !ok {
		return fault(FaultMalformed, sender, "broadcast under an unknown topic")
	}
	s := m.sessions[id]
	if s == nil {
		m.holdEarly(member, early{session: id, complaint: complaint, sig: sig, payload: payload}, &e)
		return e
	}
	i, ok := s.participant(member)
	switch {
	case !ok:
		return e // broadcast before its sender learnt that it is out
	case complaint:
		m.takeComplaint(s, i, payload, sig, &e)
	case s.m1[i] == nil && (s.phase() == PhaseSharing || s.convicting()):
		m.takeM1(s, i, payload, sig, &e)
	default:
		return e
	}
	m.judge(s, &e)
	m.advance(now, s, &e)
	m.progress(now, s, &e)
	return e
}

func (m *Machine) holdEarly(member int, h early, e *effects) {
	held := m.early[member]
	for _, o := range held {
		if o.session == h.session && o.complaint == h.complaint {
			return
		}
	}
	if len(held) == maxEarly {
		e.Persist = append(e.Persist, del(earlyKey(member, held[0].session, held[0].complaint)))
		held = held[1:]
	}
	if len(h.payload) > maxEarlySize {
		kind := FaultFirstMessage
		if h.complaint {
			kind = FaultComplaint
		}
		e.Faults = append(e.Faults, m.proved(kind, member, "too long for any session", proveOversize(member, h)))
		h.payload = nil
	}
	h.order, h.payload = m.nextOrder(), append([]byte{}, h.payload...)
	m.early[member] = append(held[:len(held):len(held)], h)
	e.Persist = append(e.Persist, put(earlyKey(member, h.session, h.complaint), encodeOrder(h.order), h.sig[:], h.payload))
}

// takeM1 stores a delivered first message. A message of a wrong size is stored as
// empty, and proved at once: every honest member delivered the same bytes and will
// convict the sender when all messages are here.
func (m *Machine) takeM1(s *session, i int, payload []byte, sig [sigSize]byte, e *effects) {
	if len(payload) != s.params.DealingSize() {
		// What came early and too long is proved, and not here any more.
		if i != s.self && m.cfg.Notary.signed(m.cfg.Members[s.members[i]].ID, M1Topic(s.id), payload, sig[:]) {
			e.Faults = append(e.Faults, m.proved(FaultFirstMessage, s.members[i], "first message of a wrong size",
				m.hearing(s).proof(formFirst, i, sig, payload)))
		}
		payload = nil
	}
	s.m1[i], s.m1Sigs[i] = append([]byte{}, payload...), sig
	e.Persist = append(e.Persist, put(sessionKey(s.id, memberPart(partM1, i)), sig[:], s.m1[i]))
}

// Step takes a point-to-point message of a member.
func (m *Machine) Step(now protocols.Time, from protocols.NodeID, msg []byte) protocols.Effects[Event] {
	i, ok := m.index[from]
	if !ok || i == m.self {
		return fault(FaultStranger, from, "message from someone who is not another member")
	}
	body, err := decode(msg)
	if err != nil {
		return fault(FaultMalformed, from, err.Error())
	}
	if r := m.runs[body.session]; body.kind == kindExclude || body.kind == kindWant && body.want == wantExclusions {
		switch {
		case r == nil:
			return effects{}
		case body.kind == kindExclude:
			return m.stepExclude(now, r, i, body)
		}
		return m.tellExcluded(now, r, i)
	}
	s := m.sessions[body.session]
	if s == nil {
		return effects{} // another attempt, or one long finished: stale, not wrong
	}
	if i, ok = s.participant(i); !ok {
		return effects{}
	}
	switch body.kind {
	case kindCertSig:
		return m.stepCertSig(now, s, i, body.sig)
	case kindAck:
		return m.stepAck(now, s, i, ack{digest: body.digest, sig: body.sig})
	case kindWant:
		return m.stepWant(now, s, i, body.want)
	case kindRelay:
		return m.stepRelay(now, s, i, body.certs)
	default:
		return m.stepRecovery(now, s, i, body.data)
	}
}

// stepCertSig keeps a certificate signature until all are here. Members ahead
// of us may send theirs before we have delivered every first message. Only the
// first one counts: whether it is right is judged with all the others, or at once
// if its author has given us a wrong one before.
func (m *Machine) stepCertSig(now protocols.Time, s *session, i int, sig [sigSize]byte) effects {
	var e effects
	switch {
	case !s.open() || s.certs[i] != nil:
		return e
	case s.cheated[i] && (!s.signed() || s.params.verifyCertSig(i, s.choice.eqInput, sig[:]) != nil):
		return e
	}
	s.certs[i] = sig[:]
	e.Persist = append(e.Persist, put(sessionKey(s.id, memberPart(partCert, i)), sig[:]))
	m.advance(now, s, &e)
	m.progress(now, s, &e)
	return e
}

// Abandon gives up the ceremony of a session, so that it no longer takes a place.
// A session this member has signed for can still become a key.
func (m *Machine) Abandon(now protocols.Time, id SessionID) protocols.Effects[Event] {
	var e effects
	if s := m.sessions[id]; s != nil && s.run.live() {
		m.fail(now, s.run.current(), ReasonAbandoned, nil, &e)
	}
	return e
}

// Resync sends a peer that lost our messages what we had to say to it alone.
func (m *Machine) Resync(_ protocols.Time, peer protocols.NodeID) protocols.Effects[Event] {
	var e effects
	member, ok := m.index[peer]
	if !ok || member == m.self {
		return e
	}
	for _, s := range m.sorted() {
		// In a complete session the peer holds the recovery data; should it lack
		// our acknowledgement, it asks for it.
		if i, ok := s.participant(member); ok && s.phase() != PhaseComplete {
			m.resend(s, i, &e)
		}
		if s == s.run.current() && s.run.live() {
			m.resendVotes(s.run, member, &e)
		}
	}
	return e
}

// resend sends participant i our certificate signature, unless it has
// acknowledged, and our acknowledgement.
func (m *Machine) resend(s *session, i int, e *effects) {
	if s.recovery != nil {
		if s.acks[i] == nil {
			_, cert := splitRecovery(s.recovery, s.n())
			m.send(s.members[i], message{kind: kindCertSig, session: s.id, sig: [sigSize]byte(cert[sigSize*s.self:])}, e)
		}
		m.sendAck(s, i, e)
	} else if s.signed() {
		m.send(s.members[i], message{kind: kindCertSig, session: s.id, sig: s.choice.sig}, e)
	}
}

func (m *Machine) sendAll(s *session, e *effects) {
	for i := range s.members {
		if i != s.self {
			m.resend(s, i, e)
		}
	}
}

// resendVotes sends a member our own votes in r, and the others' that exclude.
func (m *Machine) resendVotes(r *run, to int, e *effects) {
	out := m.out(r)
	for culprit := range r.votes {
		if slices.Contains(out, culprit) {
			m.sendVotes(r, culprit, to, -1, e)
		} else {
			m.sendVotes(r, culprit, to, m.self, e)
		}
	}
}

// send sends msg to a member.
func (m *Machine) send(to int, msg message, e *effects) {
	e.Send = append(e.Send, protocols.Envelope{To: m.cfg.Members[to].ID, Protocol: protocols.DKG, Body: msg.encode()})
}

func (m *Machine) ids(members []int) (ids []protocols.NodeID) {
	for _, i := range members {
		ids = append(ids, m.cfg.Members[i].ID)
	}
	return ids
}

func (m *Machine) nextOrder() uint64 {
	m.order++
	return m.order
}

func (m *Machine) fault(kind string, i int, detail string) protocols.Fault {
	return protocols.Fault{Culprit: m.cfg.Members[i].ID, Kind: kind, Detail: detail}
}

// proved is a fault with a proof that VerifyProof takes, or nil.
func (m *Machine) proved(kind string, i int, detail string, proof []byte) protocols.Fault {
	f := m.fault(kind, i, detail)
	f.Proof = proof
	return f
}

func fault(kind string, culprit protocols.NodeID, detail string) effects {
	return effects{Faults: []protocols.Fault{{Culprit: culprit, Kind: kind, Detail: detail}}}
}
