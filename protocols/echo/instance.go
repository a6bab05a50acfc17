package echo

import (
	"frostfed/protocols"
)

// instance is one broadcast as this member sees it.
type instance struct {
	key
	sender int

	// values are the distinct hashes the sender signed, as far as they count: one
	// that came in a SEND or opened the instance, and at most two per member, for
	// its ECHO and its READY.
	values []value

	// echoes and readies hold, by member, the value it voted for: an index into
	// values, or none, or void. Own votes are at the place of Self. struck holds,
	// by member, the kinds of message not looked at any more, so that repeating a
	// bad one costs us nothing.
	echoes, readies []int16
	struck          []kinds

	sendSeen  bool // the first SEND was taken
	reported  bool // equivocation was reported
	payload   []byte
	payloadOf int16 // its value, or none

	delivered int16 // the value, or none
	wanted    int16 // the value to deliver once its payload is here, or none

	// Pulling: the member asked last, and when to ask the next one.
	asked int
	askAt protocols.Time
	// served holds, by member, until when its PULLs are ignored.
	served []protocols.Time

	voted, stored bool // own votes, the payload changed since save
}

type value struct {
	signed
	echoes, readies int
}

const (
	none int16 = -1
	void int16 = -2 // voted, but with a signature the sender never made
)

// kinds is a set of message kinds.
type kinds uint8

func (s kinds) has(kind byte) bool { return s&(1<<kind) != 0 }
func (s *kinds) add(kind byte)     { *s |= 1 << kind }

func newInstance(k key, sender, n int) *instance {
	in := &instance{
		key: k, sender: sender,
		echoes: make([]int16, n), readies: make([]int16, n), struck: make([]kinds, n),
		payloadOf: none, delivered: none, wanted: none, askAt: protocols.Never,
	}
	for i := range n {
		in.echoes[i], in.readies[i] = none, none
	}
	return in
}

func (in *instance) find(hash Hash) int16 {
	for i := range in.values {
		if in.values[i].hash == hash {
			return int16(i)
		}
	}
	return none
}

func (in *instance) slots(kind byte) []int16 {
	if kind == kindEcho {
		return in.echoes
	}
	return in.readies
}

// count records a vote in an empty slot.
func (in *instance) count(kind byte, member int, v int16) {
	in.slots(kind)[member] = v
	if kind == kindEcho {
		in.values[v].echoes++
	} else {
		in.values[v].readies++
	}
}

func (in *instance) sendMessage(v int16, payload []byte) message {
	return message{kind: kindSend, topic: in.topic, sig: in.values[v].sig, payload: payload}
}

func (in *instance) voteMessage(kind byte, v int16) message {
	val := &in.values[v]
	return message{kind: kind, sender: in.key.sender, topic: in.topic, hash: val.hash, sig: val.sig}
}

// onSend takes the payload from the sender itself.
func (m *Machine) onSend(in *instance, msg message, e *Effects) {
	v := in.find(msg.hash)
	if in.sendSeen {
		if v == none || v != in.echoes[m.self] {
			m.evidence(in, msg, e)
		}
		return
	}
	if v == none {
		if v = m.addValue(in, in.sender, msg, e); v == none {
			return
		}
	}
	m.receivePayload(in, v, msg.payload, e)
}

// receivePayload follows the first SEND of an instance.
func (m *Machine) receivePayload(in *instance, v int16, payload []byte, e *Effects) {
	if in.delivered != none {
		// Everybody honest will get there without our ECHO.
		in.sendSeen = true
		return
	}
	if in.payloadOf == none {
		if m.usage[in.sender].bytes+len(payload) > m.cfg.MaxBytes {
			fault(e, in.key.sender, FaultByteLimit, "")
			return
		}
		m.hold(in, v, payload)
	}
	in.sendSeen = true
	// Bracha 1987, step 1: ECHO the first value from the sender, once. The payload
	// becomes durable with it, so that any echo quorum holds f+1 lasting copies.
	if in.echoes[m.self] == none {
		m.cast(in, kindEcho, v, e)
	}
	m.advance(in, v, e)
}

// hold keeps a payload and charges it to the sender's share.
func (m *Machine) hold(in *instance, v int16, payload []byte) {
	m.usage[in.sender].bytes += len(payload) - len(in.payload)
	in.payload, in.payloadOf, in.stored = payload, v, true
}

// onVote counts an ECHO or a READY: one each per member and instance.
func (m *Machine) onVote(in *instance, peer int, msg message, e *Effects) {
	if in.struck[peer].has(msg.kind) {
		return
	}
	v := in.find(msg.hash)
	slot := in.slots(msg.kind)[peer]
	if slot != none {
		if v == slot {
			return // again
		}
		in.struck[peer].add(msg.kind)
		fault(e, m.cfg.Members[peer], FaultConflict, "")
		m.evidence(in, msg, e)
		return
	}
	if v == none {
		if v = m.addValue(in, peer, msg, e); v == none {
			in.slots(msg.kind)[peer] = void
			in.struck[peer].add(msg.kind)
			return
		}
	}
	in.count(msg.kind, peer, v)
	m.advance(in, v, e)
	if msg.kind == kindEcho && v == in.wanted && in.askAt == protocols.Never {
		m.ask(in, e) // the first member known to hold the payload
	}
}

// addValue admits another hash to the instance if the sender signed it. That the
// signatures are checked once per hash, not once per vote, is what makes it
// affordable for each vote to carry one.
func (m *Machine) addValue(in *instance, peer int, msg message, e *Effects) int16 {
	if !m.verify(in.key, msg.hash, msg.sig) {
		fault(e, m.cfg.Members[peer], FaultBadSignature, "")
		return none
	}
	in.values = append(in.values, value{signed: signed{msg.hash, msg.sig}})
	m.report(in, signed{msg.hash, msg.sig}, e)
	return int16(len(in.values) - 1)
}

// evidence looks at a message that no longer counts, but may show that the sender
// signed another hash.
func (m *Machine) evidence(in *instance, msg message, e *Effects) {
	if in.reported || in.values[0].hash == msg.hash || !m.verify(in.key, msg.hash, msg.sig) {
		return
	}
	m.report(in, signed{msg.hash, msg.sig}, e)
}

// report turns a signature for a hash other than the first into a fault, once.
func (m *Machine) report(in *instance, other signed, e *Effects) {
	if in.reported {
		return
	}
	in.reported = true
	e.Faults = append(e.Faults, protocols.Fault{
		Culprit: in.key.sender, Kind: FaultEquivocation,
		Proof: encodeProof(in.key.sender, in.topic, in.values[0].signed, other),
	})
}

// advance applies Bracha's rules after something was counted for v.
func (m *Machine) advance(in *instance, v int16, e *Effects) {
	val := &in.values[v]
	// Bracha 1987, steps 2 and 3: READY after more than (n+f)/2 ECHOs or f+1
	// READYs for the same value, once.
	if in.readies[m.self] == none && (val.echoes >= m.echoQuorum || val.readies >= m.amplification) {
		m.cast(in, kindReady, v, e)
	}
	// Step 3: accept after 2f+1 READYs.
	if in.delivered != none || val.readies < m.deliveryQuorum {
		return
	}
	if in.payloadOf == v {
		m.deliver(in, v, e)
	} else if in.wanted == none {
		m.want(in, v, e)
	}
}

// cast votes: counted here, said to the others, saved at the end of the step.
func (m *Machine) cast(in *instance, kind byte, v int16, e *Effects) {
	in.count(kind, m.self, v)
	in.voted = true
	m.toOthers(e, in.voteMessage(kind, v))
}

func (m *Machine) deliver(in *instance, v int16, e *Effects) {
	in.delivered, in.wanted, in.askAt, in.voted = v, none, protocols.Never, true
	delete(m.pulling, in.key)
	e.Out = append(e.Out, in.decision())
}

// decision is what a delivered instance tells the caller.
func (in *instance) decision() Delivered {
	v := &in.values[in.delivered]
	return Delivered{Sender: in.key.sender, Topic: in.topic, Payload: in.payload, Hash: v.hash, Signature: v.sig}
}
