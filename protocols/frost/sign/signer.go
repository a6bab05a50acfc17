package sign

import (
	"slices"

	"frostfed/crypto/bip445"
)

// answer is the last SIGN of one coordinator for one request, and what it got.
// One is enough: a coordinator has at most one session open per signer, so its
// session numbers ascend.
type answer struct {
	session  sessionID
	raw      [32]byte // hash of the SIGN
	reply    []byte   // the PSIG or NO; nil while it is being computed
	reach    int      // items up to here have been in a session of the coordinator's process
	repeats  int      // sessions that reached no further
	restarts int      // of the coordinator: each begins at the first item
}

// onSign is the signer. The steps are those of the protocol's description: what
// can be refused without the items comes first, the nonces are taken last.
func (m *Machine) onSign(fx *effects, from int, msg signMsg, raw [32]byte) {
	if m.history.get(msg.request) != nil {
		m.burn(from, msg)
		m.serve(fx, from, msg.request)
		m.topUp(fx, from)
		return
	}
	r := m.requests[msg.request]
	// 1. A session is answered once. Asked again, the same bytes go out again.
	if r != nil && r.answers[from] != nil && r.answers[from].session.run == msg.session.run {
		a := r.answers[from]
		switch {
		case msg.session.sid < a.session.sid:
			return // overtaken by a later session
		case msg.session.sid == a.session.sid && raw == a.raw:
			if a.reply != nil {
				m.reply(fx, from, a.reply)
			}
			return
		case msg.session.sid == a.session.sid:
			m.burn(from, msg)
			m.fault(fx, from, FaultChangedSession, "two different SIGN for one session", nil)
			m.refuse(fx, from, msg, noInvalid, "")
			return
		}
	}
	// What this member's own validation refused needs no look at the handles.
	if code, refused := m.refusals.get(msg.request); refused {
		m.burn(from, msg)
		m.refuse(fx, from, msg, noPolicy, code)
		return
	}
	// 2. The handles are of this process, unused, and this coordinator's.
	if msg.epoch != m.cfg.Epoch {
		m.refuse(fx, from, msg, noStale, "")
		return
	}
	if here, reused := m.issued[from].has(msg.slots); !here {
		m.burn(from, msg)
		if reused {
			m.fault(fx, from, FaultNonceReuse, "SIGN names a pair that was used or never handed out", nil)
		}
		m.refuse(fx, from, msg, noStale, "")
		return
	}
	// 4. Until this member's own validation has spoken, the session waits: a
	// coordinator loses nothing by a slow validator, it goes on with others.
	if r == nil {
		fx.Out = append(fx.Out, Wanted{msg.request, m.cfg.Members[from]})
		m.park(fx, from, msg, raw)
		return
	}
	m.answer(fx, r, from, msg, raw)
}

// answer signs a session of an approved request.
func (m *Machine) answer(fx *effects, r *request, from int, msg signMsg, raw [32]byte) {
	a := r.answers[from]
	if a == nil {
		a = new(answer)
		r.answers[from] = a
	}
	if a.session.run != msg.session.run && a.restarts <= maxStrikes {
		a.reach, a.restarts = 0, a.restarts+1
	}
	*a = answer{session: msg.session, raw: raw, reach: a.reach, repeats: a.repeats + 1, restarts: a.restarts}
	if end := int(msg.first) + len(msg.slots); end > a.reach && end <= len(r.items) {
		a.reach, a.repeats = end, a.repeats-1
	}
	refuse := func(why reason, fault, detail string) {
		m.burn(from, msg)
		if fault != "" {
			m.fault(fx, from, fault, detail, nil)
		}
		no := m.refuse(fx, from, msg, why, "")
		if a.session == msg.session { // else a later session has replaced this one
			a.reply = no.encode()
		}
	}
	// A coordinator goes through the items once and loses at most n-t sessions, plus
	// those spoiled by restarts. Beyond that it only burns nonces and time.
	if a.repeats > m.maxRepeats(r) {
		refuse(noLimit, FaultTooManySession, "more sessions than a run can need")
		return
	}
	// 3. T is a signer set of this key with this member in it, the lot is within
	// the request. That T ascends is decoding's rule.
	k := len(msg.slots)
	if len(msg.signers) != r.key.t || slices.ContainsFunc(msg.signers, func(i int) bool { return !r.key.has(i) }) ||
		!slices.Contains(msg.signers, m.self) || int(msg.first)+k > len(r.items) {
		refuse(noInvalid, FaultBadSession, "signer set or lot")
		return
	}
	// 4. The coordinator means the items this member computed itself. A
	// difference is nobody's proven fault: either side may be the odd one.
	if msg.digest != r.digest {
		refuse(noInconsistent, "", "")
		return
	}
	set, err := r.key.set(msg.signers)
	if err != nil {
		refuse(noInvalid, "", "")
		return
	}
	// 5. Aggregate nonces decode. They cannot be checked further: a coordinator
	// that lies about them gets useless partial signatures.
	aggs := make([]bip445.AggNonce, k)
	for i := range aggs {
		if aggs[i], err = bip445.ParseAggNonce(msg.slots[i].aggnonce[:]); err != nil {
			refuse(noInvalid, FaultBadSession, "aggregate nonce does not decode")
			return
		}
	}
	// 6. Take the pairs. They are this closure's alone now.
	secrets, ok := m.issued[from].take(msg.slots)
	if !ok {
		refuse(noStale, "", "")
		return
	}
	// 7. Sign each item; BIP 445 Sign verifies its own result.
	signer, first := r.key.signer, int(msg.first)
	items, contexts := r.items[first:first+k], r.contexts[first:first+k]
	m.work(fx, 2*k, func() any {
		defer wipeAll(secrets)
		psigs := make([]part, k)
		for i := range psigs {
			session, err := bip445.NewSession(set, contexts[i], aggs[i], items[i].Message[:])
			if err != nil {
				return err
			}
			p := &psigs[i]
			p.item, p.aggnonce, p.pubnonce = items[i], aggs[i].Bytes(), secrets[i].PubNonce().Bytes()
			if p.psig, err = signer.Sign(&session, secrets[i]); err != nil {
				return err
			}
			if m.cfg.Lie != nil && from != m.self {
				m.cfg.Lie(&p.psig)
			}
		}
		return psigs
	}, func(fx *effects, result any) {
		parts, ok := result.([]part)
		switch {
		case m.requests[r.id] != r:
			return // finished or cancelled meanwhile
		case !ok:
			refuse(noInvalid, "", "")
			return
		}
		// 9. The approval is durable (Approve's contract); nothing else needs to
		// be: after a crash these pairs do not exist any more.
		out := psigMsg{request: msg.request, session: msg.session, refill: m.refill(from, m.missing(from))}
		for i := range parts {
			out.psigs = append(out.psigs, parts[i].psig)
		}
		if from != m.self { // nobody proves anything against itself
			st := m.newStatement(r, m.self, msg.session, msg.signers, first, k)
			st.parts, st.refill = parts, out.refill.hash()
			if out.vouch, err = m.vouch(st); err != nil {
				refuse(noInvalid, "", "") // no randomness; the refill is lost with it
				return
			}
		}
		m.respond(fx, from, a, out)
	})
}

// respond sends a PSIG and keeps it, in case it is asked for again.
func (m *Machine) respond(fx *effects, from int, a *answer, msg psigMsg) {
	if a.session == msg.session { // else a later session has replaced this one
		a.reply = msg.encode()
	}
	m.send(fx, from, msg)
}

// reply sends a kept PSIG again.
func (m *Machine) reply(fx *effects, to int, body []byte) {
	if to != m.self { // a run of our own never asks twice
		m.sendRaw(fx, to, body)
	}
}

// refuse answers a SIGN with NO. Its handles are gone by now, so the pool may
// need a refill; it goes out first, for the coordinator to use next.
func (m *Machine) refuse(fx *effects, to int, msg signMsg, why reason, code string) noMsg {
	m.topUp(fx, to)
	no := noMsg{request: msg.request, session: msg.session, reason: why, epoch: m.cfg.Epoch, code: code}
	m.send(fx, to, no)
	return no
}

// burn drops the pairs a SIGN names without using them. The coordinator has
// removed them from its side too, so keeping them would leak the pool away.
func (m *Machine) burn(from int, msg signMsg) {
	if msg.epoch == m.cfg.Epoch {
		secrets, _ := m.issued[from].take(msg.slots)
		wipeAll(secrets)
	}
}

// maxRepeats bounds the sessions of one coordinator for one request that cover no
// items but those of sessions before.
func (m *Machine) maxRepeats(r *request) int { return m.n() - r.key.t + maxStrikes*m.n() }

// park keeps a SIGN until this member's validation has spoken. A coordinator has
// one session per signer and request, so a newer one replaces an older one.
func (m *Machine) park(fx *effects, from int, msg signMsg, raw [32]byte) {
	p := m.peers[from]
	for i := range p.parked {
		if old := &p.parked[i]; old.msg.request == msg.request {
			if old.raw != raw {
				m.burn(from, old.msg)
				*old = parked{msg, raw}
			}
			return
		}
	}
	if len(p.parked) >= maxParked {
		oldest := p.parked[0].msg
		p.parked = slices.Delete(p.parked, 0, 1)
		p.busy = true
		m.burn(from, oldest)
		m.refuse(fx, from, oldest, noLimit, "")
	}
	p.parked = append(p.parked, parked{msg, raw})
}

// unpark handles again the SIGN that waited for a request.
func (m *Machine) unpark(fx *effects, id requestID) {
	for from, p := range m.peers {
		i := slices.IndexFunc(p.parked, func(h parked) bool { return h.msg.request == id })
		if i < 0 {
			continue
		}
		h := p.parked[i]
		p.parked = slices.Delete(p.parked, i, i+1)
		m.onSign(fx, from, h.msg, h.raw)
	}
}
