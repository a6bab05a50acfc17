package echo

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"frostfed/protocols"
)

// Defaults of Config. Each bound is per sender, because only a sender's signature
// opens an instance: a malicious sender fills its own share, nobody else's.
const (
	// DefaultMaxInstances stops a sender from opening instances without end.
	DefaultMaxInstances = 512
	// DefaultMaxBytes stops the same with large payloads. 42 malicious senders
	// of 128 members together make us hold 672 MiB.
	DefaultMaxBytes = 16 << 20
	// DefaultPullAfter, in milliseconds, is the silence after which the next
	// member is asked for a payload: two round trips of a poor line.
	DefaultPullAfter = 2_000
)

// Errors of New, Broadcast and Restore.
var (
	ErrConfig   = errors.New("invalid configuration")
	ErrTopic    = errors.New("invalid topic")
	ErrPayload  = errors.New("payload too large")
	ErrLimit    = errors.New("too many live broadcasts")
	ErrConflict = errors.New("another payload was already broadcast for this topic")
	ErrRecord   = errors.New("corrupt record")
)

// Faults a member can commit. Only FaultEquivocation carries a proof.
const (
	FaultMalformed     = "malformed_message"   // does not decode
	FaultNotMember     = "not_member"          // comes from, or names as sender, no member
	FaultBadSignature  = "bad_signature"       // the sender did not sign this
	FaultEquivocation  = "equivocation"        // the sender signed two payloads for one topic
	FaultConflict      = "conflicting_vote"    // two different ECHOs or READYs of one member
	FaultInstanceLimit = "too_many_broadcasts" // more live instances than Config allows
	FaultByteLimit     = "too_many_bytes"      // more payload bytes than Config allows
	FaultBadPayload    = "bad_payload"         // answers a PULL with something else
)

// Config of a Machine.
type Config struct {
	Federation [32]byte // federation ID: signatures of one mean nothing in another
	Self       protocols.NodeID
	Members    []protocols.NodeID // with Self, in the order of the roster; at most protocols.MaxMembers

	// Sign signs preimage with the key that Verify checks, in SignatureSize
	// bytes. Both get the whole preimage, not a hash of it.
	Sign   func(preimage []byte) ([]byte, error)
	Verify Verify

	// Admit rejects instances that are over: every topic that was ever forgotten,
	// and nothing that may still come, for what is rejected is not asked for
	// again. Without it a late message would open a forgotten instance afresh, and
	// this member would vote a second time. nil admits all: then never Forget.
	Admit func(sender protocols.NodeID, topic string) bool

	MaxInstances int            // live instances per sender; 0: default
	MaxBytes     int            // payload bytes in live instances per sender; 0: default
	PullAfter    protocols.Time // 0: default
}

// Delivered is a decision: every honest member delivers this Payload for (Sender,
// Topic), and no honest member another one. Restore reports it again for each
// instance that was delivered and not forgotten.
type Delivered struct {
	Sender  protocols.NodeID
	Topic   string
	Payload []byte // shared with the machine: do not change it
	// Hash is HashPayload of Payload, and Signature the sender's for it, which
	// VerifyBroadcast checks: with them a stranger can be shown who broadcast this.
	// Signatures are not unique: another member may hold another one.
	Hash      Hash
	Signature [SignatureSize]byte
}

// Effects of this machine. Work is always empty.
type Effects = protocols.Effects[Delivered]

// Machine is one member's part in all broadcasts. It is not safe for concurrent
// use.
type Machine struct {
	cfg       Config
	self      int
	index     map[protocols.NodeID]int
	instances map[key]*instance
	usage     []usage           // by sender
	pulling   map[key]*instance // those that wait for a payload
	replays   []replay          // by member: votes to say again
	now       protocols.Time

	echoQuorum, amplification, deliveryQuorum int
}

type key struct {
	sender protocols.NodeID
	topic  string
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.sender, o.sender), cmp.Compare(k.topic, o.topic))
}

// usage is what live instances of one sender hold.
type usage struct{ instances, bytes int }

// New makes a machine without instances. It returns ErrConfig if cfg contradicts
// itself.
func New(cfg Config) (*Machine, error) {
	if cfg.MaxInstances == 0 {
		cfg.MaxInstances = DefaultMaxInstances
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.PullAfter == 0 {
		cfg.PullAfter = DefaultPullAfter
	}
	n := len(cfg.Members)
	switch {
	case n < 1 || n > protocols.MaxMembers:
		return nil, fmt.Errorf("echo: %w: %d members", ErrConfig, n)
	case cfg.Sign == nil || cfg.Verify == nil:
		return nil, fmt.Errorf("echo: %w: no signatures", ErrConfig)
	case cfg.MaxInstances < 0 || cfg.MaxBytes < 0 || cfg.PullAfter < 0:
		return nil, fmt.Errorf("echo: %w: negative limit", ErrConfig)
	}
	cfg.Members = slices.Clone(cfg.Members)
	m := &Machine{
		cfg:            cfg,
		index:          make(map[protocols.NodeID]int, n),
		instances:      make(map[key]*instance),
		usage:          make([]usage, n),
		pulling:        make(map[key]*instance),
		replays:        make([]replay, n),
		echoQuorum:     protocols.EchoQuorum(n),
		amplification:  protocols.ReadyAmplification(n),
		deliveryQuorum: protocols.DeliveryQuorum(n),
	}
	for i, id := range cfg.Members {
		if _, twice := m.index[id]; twice || len(id) == 0 || len(id) > MaxNodeID {
			return nil, fmt.Errorf("echo: %w: member %d", ErrConfig, i)
		}
		m.index[id] = i
		m.replays[i].at = protocols.Never
	}
	self, ok := m.index[cfg.Self]
	if !ok {
		return nil, fmt.Errorf("echo: %w: not a member", ErrConfig)
	}
	m.self = self
	return m, nil
}

// Broadcast sends payload (0 to MaxPayload bytes, owned by the machine from now on)
// to all members under topic (1 to MaxTopic bytes, used once). Repeating a
// broadcast has no effect; another payload for the same topic is ErrConflict. Other
// errors are ErrTopic (also for one that Admit rejects), ErrPayload, ErrLimit, and
// those of Sign.
func (m *Machine) Broadcast(now protocols.Time, topic string, payload []byte) (Effects, error) {
	m.now = now
	k := key{m.cfg.Self, topic}
	switch {
	case len(topic) == 0 || len(topic) > MaxTopic || !m.admits(k):
		return Effects{}, fmt.Errorf("echo: broadcast: %w", ErrTopic)
	case len(payload) > MaxPayload:
		return Effects{}, fmt.Errorf("echo: broadcast: %w: %d bytes", ErrPayload, len(payload))
	}
	hash := HashPayload(payload)
	in := m.instances[k]
	if in != nil {
		// Also when others show us a signature of ours that this disk does not
		// know, as after restoring an old backup: then we must not sign again.
		if len(in.values) != 1 || in.values[0].hash != hash {
			return Effects{}, fmt.Errorf("echo: broadcast: %w", ErrConflict)
		}
		if in.sendSeen {
			return Effects{}, nil
		}
	}
	u := m.usage[m.self]
	if in == nil && u.instances >= m.cfg.MaxInstances || u.bytes+len(payload) > m.cfg.MaxBytes {
		return Effects{}, fmt.Errorf("echo: broadcast: %w", ErrLimit)
	}
	if in == nil {
		sig, err := m.cfg.Sign(preimage(m.cfg.Federation, k.sender, k.topic, hash))
		if err != nil {
			return Effects{}, fmt.Errorf("echo: sign: %w", err)
		}
		if len(sig) != SignatureSize {
			return Effects{}, fmt.Errorf("echo: sign: %w: signature of %d bytes", ErrConfig, len(sig))
		}
		in = m.open(k, signed{hash, [SignatureSize]byte(sig)})
	}
	var e Effects
	m.toOthers(&e, in.sendMessage(0, payload))
	m.receivePayload(in, 0, payload, &e)
	in.save(m.self, &e)
	return e, nil
}

// Step takes a message that arrived from a member, and owns its bytes from now on.
func (m *Machine) Step(now protocols.Time, from protocols.NodeID, raw []byte) Effects {
	m.now = now
	var e Effects
	peer, ok := m.index[from]
	if !ok {
		fault(&e, from, FaultNotMember, "")
		return e
	}
	if peer == m.self {
		return e // own messages are handled where they arise
	}
	msg, err := decode(raw)
	if err != nil {
		fault(&e, from, FaultMalformed, err.Error())
		return e
	}
	if msg.kind == kindSend {
		msg.sender = from
		msg.hash = HashPayload(msg.payload)
	}
	if _, ok := m.index[msg.sender]; !ok {
		fault(&e, from, FaultNotMember, "sender")
		return e
	}
	k := key{msg.sender, msg.topic}
	in := m.instances[k]
	if in == nil {
		if !msg.hasSig() || !m.admits(k) {
			return e
		}
		if in = m.openFor(peer, k, msg, &e); in == nil {
			return e
		}
	}
	switch msg.kind {
	case kindSend:
		m.onSend(in, msg, &e)
	case kindEcho, kindReady:
		m.onVote(in, peer, msg, &e)
	case kindPull:
		m.onPull(in, peer, msg, &e)
	case kindPayload:
		m.onPayload(in, peer, msg, &e)
	}
	in.save(m.self, &e)
	return e
}

// Forget ends an instance: it leaves memory and disk, and Config.Admit must reject
// it from now on. Unknown instances are ignored.
func (m *Machine) Forget(now protocols.Time, sender protocols.NodeID, topic string) Effects {
	m.now = now
	var e Effects
	k := key{sender, topic}
	in := m.instances[k]
	if in == nil {
		return e
	}
	delete(m.instances, k)
	delete(m.pulling, k)
	m.usage[in.sender].instances--
	m.usage[in.sender].bytes -= len(in.payload)
	in.erase(&e)
	return e
}

// Status is the state of one instance, for humans: who is missing.
type Status struct {
	Delivered       bool
	Echoed, Readied []protocols.NodeID // in the order of the roster
}

// Status reports on one live instance; false if there is none.
func (m *Machine) Status(sender protocols.NodeID, topic string) (Status, bool) {
	in := m.instances[key{sender, topic}]
	if in == nil {
		return Status{}, false
	}
	s := Status{Delivered: in.delivered != none}
	for i, id := range m.cfg.Members {
		if in.echoes[i] >= 0 {
			s.Echoed = append(s.Echoed, id)
		}
		if in.readies[i] >= 0 {
			s.Readied = append(s.Readied, id)
		}
	}
	return s, true
}

func (m *Machine) admits(k key) bool {
	return m.cfg.Admit == nil || m.cfg.Admit(k.sender, k.topic)
}

func (m *Machine) verify(k key, hash Hash, sig [SignatureSize]byte) bool {
	return m.cfg.Verify(k.sender, preimage(m.cfg.Federation, k.sender, k.topic, hash), sig[:])
}

// openFor opens an instance for the first message of peer in it, if it shows the
// sender's signature and the sender's share is not used up.
func (m *Machine) openFor(peer int, k key, msg message, e *Effects) *instance {
	if !m.verify(k, msg.hash, msg.sig) {
		fault(e, m.cfg.Members[peer], FaultBadSignature, "")
		return nil
	}
	if m.usage[m.index[k.sender]].instances >= m.cfg.MaxInstances {
		fault(e, k.sender, FaultInstanceLimit, "")
		return nil
	}
	return m.open(k, signed{msg.hash, msg.sig})
}

func (m *Machine) open(k key, first signed) *instance {
	in := newInstance(k, m.index[k.sender], len(m.cfg.Members))
	in.values = append(in.values, value{signed: first})
	m.instances[k] = in
	m.usage[in.sender].instances++
	return in
}

// toOthers sends one message to every member but ourselves.
func (m *Machine) toOthers(e *Effects, msg message) {
	body := msg.encode()
	for i, id := range m.cfg.Members {
		if i != m.self {
			e.Send = append(e.Send, protocols.Envelope{To: id, Protocol: protocols.Echo, Body: body})
		}
	}
}

func (m *Machine) to(e *Effects, peer int, msg message) {
	e.Send = append(e.Send, protocols.Envelope{To: m.cfg.Members[peer], Protocol: protocols.Echo, Body: msg.encode()})
}

func fault(e *Effects, culprit protocols.NodeID, kind, detail string) {
	e.Faults = append(e.Faults, protocols.Fault{Culprit: culprit, Kind: kind, Detail: detail})
}
