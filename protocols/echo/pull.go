package echo

import (
	"slices"

	"frostfed/protocols"
)

// A member that has 2f+1 READYs but not the payload asks those who sent ECHO for
// it. An echo quorum has f+1 honest members and an ECHO promises that the payload is
// stored, so asking one after the other ends well whoever stays silent.

// want begins to ask for the payload of v.
func (m *Machine) want(in *instance, v int16, e *Effects) {
	in.wanted, in.asked = v, m.self // the one after us: so that not all ask the same
	m.pulling[in.key] = in
	m.ask(in, e)
}

// ask sends a PULL to the next member, after the one asked last, that sent ECHO for
// the payload. If none did so far, the first ECHO to come will ask again.
func (m *Machine) ask(in *instance, e *Effects) {
	n := len(m.cfg.Members)
	in.askAt = protocols.Never
	for i := 1; i <= n; i++ {
		peer := (in.asked + i) % n
		if peer == m.self || !m.holds(in, peer) {
			continue
		}
		in.asked, in.askAt = peer, m.now+m.cfg.PullAfter
		m.to(e, peer, message{kind: kindPull, sender: in.key.sender, topic: in.topic, hash: in.values[in.wanted].hash})
		return
	}
}

// holds says whether peer claims to hold the wanted payload and has not been caught
// lying about it.
func (m *Machine) holds(in *instance, peer int) bool {
	return in.echoes[peer] == in.wanted && !in.struck[peer].has(kindPayload)
}

// onPull answers with the payload, if it is here.
func (m *Machine) onPull(in *instance, peer int, msg message, e *Effects) {
	if in.payloadOf == none || in.values[in.payloadOf].hash != msg.hash {
		return
	}
	if in.served == nil {
		in.served = make([]protocols.Time, len(m.cfg.Members))
	}
	if m.now < in.served[peer] {
		// A PULL is small and its answer up to a MiB: without this a member
		// could make us flood it, or the line we share.
		return
	}
	in.served[peer] = m.now + m.cfg.PullAfter/2 // half, so that an honest repetition is never too early
	m.to(e, peer, message{kind: kindPayload, sender: in.key.sender, topic: in.topic, payload: in.payload})
}

// onPayload takes an answer to a PULL.
func (m *Machine) onPayload(in *instance, peer int, msg message, e *Effects) {
	if in.wanted == none || !m.holds(in, peer) {
		return // late, or never asked for
	}
	if HashPayload(msg.payload) != in.values[in.wanted].hash {
		in.struck[peer].add(kindPayload)
		fault(e, m.cfg.Members[peer], FaultBadPayload, "")
		if peer == in.asked {
			m.ask(in, e)
		}
		return
	}
	// Not refused for MaxBytes: f+1 honest members hold it within theirs, so this
	// exceeds ours at most n/(f+1) times.
	m.hold(in, in.wanted, msg.payload)
	m.deliver(in, in.wanted, e)
}

// Tick asks the next member for payloads that did not come, and continues
// Resync.
func (m *Machine) Tick(now protocols.Time) Effects {
	m.now = now
	var e Effects
	var due []*instance
	for _, in := range m.pulling {
		if now >= in.askAt {
			due = append(due, in)
		}
	}
	slices.SortFunc(due, func(a, b *instance) int { return a.key.compare(b.key) })
	for _, in := range due {
		m.ask(in, &e)
	}
	m.replayDue(&e)
	return e
}

// Deadline is when Tick must be called next.
func (m *Machine) Deadline() protocols.Time {
	d := protocols.Never
	for _, in := range m.pulling {
		d = min(d, in.askAt)
	}
	for i := range m.replays {
		d = min(d, m.replays[i].at)
	}
	return d
}
