package echo

import (
	"slices"

	"frostfed/protocols"
)

// Pace of Resync: below 64 instances or about 256 KiB of payload each 100 ms, so
// that a member with thousands of live instances neither overflows the peer's
// outbox nor delays its own signing.
const (
	replayInstances = 64
	replayBytes     = 256 << 10
	replayEvery     = 100 // milliseconds
)

// replay is the progress of saying own votes again to one member: in the order of
// keys, so that what is new in the meantime is either ahead or was sent when new.
type replay struct {
	at    protocols.Time // Never: nothing to do
	after key            // the last instance done
}

// Resync says own SENDs, ECHOs and READYs of all live instances again to peer,
// which lost what we told it before: some at once, the rest by Tick. A peer that is
// no member is ignored.
func (m *Machine) Resync(now protocols.Time, peer protocols.NodeID) Effects {
	m.now = now
	var e Effects
	i, ok := m.index[peer]
	if !ok || i == m.self {
		return e
	}
	m.replays[i] = replay{at: now}
	m.replayDue(&e)
	return e
}

func (m *Machine) replayDue(e *Effects) {
	var keys []key
	for peer := range m.replays {
		r := &m.replays[peer]
		if m.now < r.at {
			continue
		}
		if keys == nil {
			keys = m.sortedKeys()
		}
		m.replayTo(peer, r, keys, e)
	}
}

func (m *Machine) replayTo(peer int, r *replay, keys []key, e *Effects) {
	start, _ := slices.BinarySearchFunc(keys, r.after, key.compare)
	size := 0
	for i, k := range keys[start:] {
		if i == replayInstances || size >= replayBytes {
			r.at = m.now + replayEvery
			return
		}
		if k != r.after {
			size += m.replayInstance(peer, m.instances[k], e)
		}
		r.after = k
	}
	*r = replay{at: protocols.Never}
}

// replayInstance returns the payload bytes it sent.
func (m *Machine) replayInstance(peer int, in *instance, e *Effects) int {
	size := 0
	echo, ready := in.echoes[m.self], in.readies[m.self]
	if in.sender == m.self && echo != none && in.payloadOf == echo {
		m.to(e, peer, in.sendMessage(echo, in.payload))
		size = len(in.payload)
	}
	if echo != none {
		m.to(e, peer, in.voteMessage(kindEcho, echo))
	}
	if ready != none {
		m.to(e, peer, in.voteMessage(kindReady, ready))
	}
	return size
}

func (m *Machine) sortedKeys() []key {
	keys := make([]key, 0, len(m.instances))
	for k := range m.instances {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, key.compare)
	return keys
}
