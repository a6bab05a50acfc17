package sign

import (
	"slices"

	"frostfed/protocols"
)

// finished is a request whose signatures are known. It is kept, also on disk:
// members that were away get it from here, and a restart signs nothing again.
type finished struct {
	id     requestID
	seq    uint64 // order of finishing
	key    [32]byte
	digest [32]byte
	sigs   [][sigSize]byte
	served map[int]int // DONE sent in answer, by member; bounds what asking costs us
}

// history is the newest finished requests.
type history struct {
	limit  int
	byID   map[requestID]*finished
	oldest []*finished
	seq    uint64
}

func newHistory(limit int) history {
	return history{limit: limit, byID: make(map[requestID]*finished)}
}

func (h *history) get(id requestID) *finished { return h.byID[id] }

// add appends f and returns those that no longer fit.
func (h *history) add(f *finished) (evicted []*finished) {
	h.byID[f.id] = f
	h.oldest = append(h.oldest, f)
	h.seq = max(h.seq, f.seq)
	for len(h.oldest) > h.limit {
		evicted = append(evicted, h.oldest[0])
		delete(h.byID, h.oldest[0].id)
		h.oldest = slices.Delete(h.oldest, 0, 1)
	}
	return evicted
}

// finish records verified signatures and says so; the coordinator tells all.
func (m *Machine) finish(fx *effects, r *request, sigs [][sigSize]byte, coordinator bool) {
	m.forget(r)
	f := &finished{id: r.id, seq: m.history.seq + 1, key: r.key.id, digest: r.digest, sigs: sigs, served: make(map[int]int)}
	fx.Persist = append(fx.Persist, f.record())
	for _, old := range m.history.add(f) {
		fx.Persist = append(fx.Persist, protocols.Record{Key: recordKey(old.id)})
	}
	fx.Out = append(fx.Out, Signed{Request: r.id, Key: r.key.id, Signatures: slices.Clone(sigs)})
	if coordinator {
		for i := range m.peers {
			if i != m.self {
				m.send(fx, i, doneMsg{r.id, sigs})
			}
		}
	}
}

// serve sends a finished request to a member that still works on it.
func (m *Machine) serve(fx *effects, to int, id requestID) {
	f := m.history.get(id)
	if to == m.self || f.served[to] >= maxServed {
		return
	}
	f.served[to]++
	m.send(fx, to, doneMsg{id, f.sigs})
}

// onDone takes finished signatures. They count only if they verify under the
// keys and messages this member computed itself.
func (m *Machine) onDone(fx *effects, from int, msg doneMsg) {
	if m.history.get(msg.request) != nil {
		return
	}
	r := m.requests[msg.request]
	if r == nil {
		// Not validated here yet: the signatures are asked for again when it is.
		n, _ := m.peers[from].notes.get(msg.request)
		n.done = true
		m.peers[from].notes.put(msg.request, n)
		return
	}
	if r.checking[from] {
		return // one at a time per member
	}
	if len(msg.sigs) != len(r.items) {
		m.fault(fx, from, FaultBadSignature, "wrong number of signatures", nil)
		return
	}
	r.checking[from] = true
	m.work(fx, len(r.items), func() any {
		for i := range r.items {
			if !r.contexts[i].Verify(r.items[i].Message[:], msg.sigs[i][:]) {
				return false
			}
		}
		return true
	}, func(fx *effects, result any) {
		if m.requests[r.id] != r {
			return
		}
		delete(r.checking, from)
		if !result.(bool) {
			m.fault(fx, from, FaultBadSignature, "signatures do not verify", nil)
			return
		}
		m.finish(fx, r, msg.sigs, false)
	})
}

// Resync brings a member up to date that lost what was sent to it: it restarted,
// or was away for so long that messages to it were dropped.
func (m *Machine) Resync(now protocols.Time, peer protocols.NodeID) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		i, member := m.index[peer]
		if !member || i == m.self {
			return
		}
		m.replace(fx, i) // first: the refill of a kept PSIG is then known to be old
		for _, r := range m.order {
			// As signer: the last answer. As coordinator: the open session. As
			// neither: that this member is ready.
			if a := r.answers[i]; a != nil && a.reply != nil {
				m.reply(fx, i, a.reply)
			}
			if r.run != nil && r.run.seats[i].state == pending && r.run.seats[i].session.values != nil {
				m.send(fx, i, m.signMsg(r, r.run.seats[i].session, i))
			}
			if m.lead(r) == i {
				m.send(fx, i, readyMsg{r.id})
			}
		}
		m.held[i].asked = false
		m.markStarved()
		size := 0
		for _, f := range slices.Backward(m.history.oldest) {
			if size += len(f.sigs) * sigSize; size > maxResync {
				break // older ones are served when asked for
			}
			m.send(fx, i, doneMsg{f.id, f.sigs})
		}
	})
}

// maxResync is how many bytes of finished signatures a returning member gets
// from each other one: the largest request, or some thousand small ones.
const maxResync = maxItems * sigSize
