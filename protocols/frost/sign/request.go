package sign

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

func sha(b []byte) [32]byte { return sha256.Sum256(b) }

// request is a request this member has approved and that is not finished.
type request struct {
	id       requestID
	key      *key
	items    []Item
	contexts []bip445.TweakCtx // by item: the key it is signed under
	digest   [32]byte
	since    protocols.Time
	ranks    []int           // indices of members in their order as coordinators
	answers  map[int]*answer // by coordinator
	checking map[int]bool    // members whose DONE is being verified
	run      *run            // nil until it is this member's turn to coordinate
	dirty    bool
}

// Approve says that this member's own validation accepted the request, and that
// whoever composes the machines has made that durable: it may be signed, and
// coordinated, from now on. items must be this member's own computation. The
// first approval of a request stands; one that is finished is answered Signed
// again.
func (m *Machine) Approve(now protocols.Time, id [32]byte, keyID [32]byte, items []Item) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		if m.requests[id] != nil {
			return
		}
		fail := func(reason string) { fx.Out = append(fx.Out, Failed{Request: id, Reason: reason}) }
		k := m.keys[keyID]
		if k == nil {
			fail(ReasonUnknownKey)
			return
		}
		contexts, ok := tweakAll(k, items)
		if !ok {
			fail(ReasonInvalid)
			return
		}
		digest := digestItems(m.cfg.Federation, id, keyID, items)
		if f := m.history.get(id); f != nil {
			if f.digest != digest {
				fail(ReasonInconsistent)
				return
			}
			fx.Out = append(fx.Out, Signed{Request: id, Key: keyID, Signatures: slices.Clone(f.sigs)})
			return
		}
		if len(m.requests) >= m.cfg.Requests {
			fail(ReasonBusy)
			return
		}
		r := &request{
			id: id, key: k, items: cloneItems(items), contexts: contexts, digest: digest, since: m.now,
			ranks:   slices.DeleteFunc(coordinators(id, m.cfg.Members), func(i int) bool { return !k.has(i) }),
			answers: make(map[int]*answer), checking: make(map[int]bool),
		}
		m.requests[id] = r
		m.order = append(m.order, r)
		m.announce(fx, r)
		m.unpark(fx, id)
		if m.requests[id] == r && m.startAt(r) <= m.now {
			m.coordinate(r)
		}
	})
}

// announce sends READY to whoever should know: the coordinator whose turn it is,
// members that said the request is done, or that were told NO before.
func (m *Machine) announce(fx *effects, r *request) {
	_, refused := m.refusals.get(r.id)
	m.refusals.remove(r.id)
	lead := m.lead(r)
	for i, p := range m.peers {
		n, _ := p.notes.get(r.id)
		if i != m.self && (i == lead || refused || n.done || p.busy) {
			m.send(fx, i, readyMsg{r.id})
		}
	}
}

// Refuse says that this member's own validation refused the request: it answers
// every coordinator with the code, which must be snake_case of at most 64 bytes.
// A later Approve overrules it. It has no effect on an approved request.
func (m *Machine) Refuse(now protocols.Time, id [32]byte, code string) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		if m.requests[id] != nil || m.history.get(id) != nil {
			return
		}
		if !validCode(code) {
			code = "refused"
		}
		m.refusals.put(id, code)
		m.unpark(fx, id)
	})
}

// Cancel drops a request: it is neither signed nor coordinated any more. What was
// signed before is not undone.
func (m *Machine) Cancel(now protocols.Time, id [32]byte) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		m.refusals.remove(id)
		for from, p := range m.peers {
			for _, held := range p.parked {
				if held.msg.request == id {
					m.burn(from, held.msg)
				}
			}
			p.parked = slices.DeleteFunc(p.parked, func(h parked) bool { return h.msg.request == id })
			p.notes.remove(id)
			m.topUp(fx, from)
		}
		if r := m.requests[id]; r != nil {
			m.forget(r)
		}
	})
}

// forget removes a request from all lists but the history.
func (m *Machine) forget(r *request) {
	if r.run != nil {
		for i := range r.run.seats {
			if r.run.seats[i].state == pending {
				m.peers[i].outstanding--
			}
		}
		r.run = nil
	}
	for _, p := range m.peers {
		p.notes.remove(r.id)
	}
	delete(m.requests, r.id)
	m.order = slices.DeleteFunc(m.order, func(o *request) bool { return o == r })
}

// startAt is when this member's turn to coordinate comes: one Delta for each
// better-ranked member that is not known to be away. n-t+1 turns reach an honest
// one.
func (m *Machine) startAt(r *request) protocols.Time {
	at := r.since
	for _, i := range r.ranks {
		if i == m.self {
			break
		}
		if !m.peers[i].down {
			at += m.cfg.Delta
		}
	}
	return at
}

// lead is the best-ranked member that is not known to be away.
func (m *Machine) lead(r *request) int {
	for _, i := range r.ranks {
		if i == m.self || !m.peers[i].down {
			return i
		}
	}
	return m.self
}

// tweakAll computes the key of each item. The inputs of a batch mostly share an
// address, so equal tweak lists are computed once.
func tweakAll(k *key, items []Item) ([]bip445.TweakCtx, bool) {
	if len(items) == 0 || len(items) > maxItems {
		return nil, false
	}
	known := make(map[string]bip445.TweakCtx)
	out := make([]bip445.TweakCtx, len(items))
	for i := range items {
		it := &items[i]
		if len(it.Tweaks) != len(it.XOnly) || len(it.Tweaks) > maxTweaks {
			return nil, false
		}
		var name bytes.Buffer
		for j := range it.Tweaks {
			name.Write(it.Tweaks[j][:])
			name.WriteByte(mode(it.XOnly[j]))
		}
		ctx, ok := known[name.String()]
		if !ok {
			var err error
			if ctx, err = applyTweaks(k.plain, it); err != nil {
				return nil, false
			}
			known[name.String()] = ctx
		}
		out[i] = ctx
	}
	return out, true
}

func applyTweaks(ctx bip445.TweakCtx, it *Item) (bip445.TweakCtx, error) {
	tweaks := make([][]byte, len(it.Tweaks))
	for j := range tweaks {
		tweaks[j] = it.Tweaks[j][:]
	}
	return ctx.ApplyAll(tweaks, it.XOnly)
}

// maxTweaks is far above any derivation path with a Taproot tweak.
const maxTweaks = 32

func cloneItems(items []Item) []Item {
	out := slices.Clone(items)
	for i := range out {
		out[i].Tweaks = slices.Clone(out[i].Tweaks)
		out[i].XOnly = slices.Clone(out[i].XOnly)
	}
	return out
}
