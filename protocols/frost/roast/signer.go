package roast

import (
	"slices"

	"frostfed/crypto/rfc9591"
)

// answer is what this member, as signer, has between itself and one coordinator
// of one request: one nonce on offer, or the last reply.
type answer struct {
	nonce      *rfc9591.Nonce
	commitment []byte
	offering   bool // a job makes a nonce
	signing    bool // a job signs
	last       [32]byte
	reply      *message // to the SIGN with hash last; nil if none
	sessions   int
}

func (a *answer) drop() {
	if a.nonce != nil {
		a.nonce.Wipe()
		a.nonce = nil
	}
}

// offerDue offers this member to the coordinators whose turn has come.
func (m *Machine) offerDue(fx *effects, r *request) {
	for r.turns < len(r.ranks) && m.now >= r.since+m.cfg.Delta*timeOf(r.turns) {
		r.turns++
		m.offer(fx, r, r.ranks[r.turns-1])
	}
}

// offer sends READY with a nonce for a coordinator; the same as before if that was
// not used yet.
func (m *Machine) offer(fx *effects, r *request, to int) {
	if _, can := r.key.participant(m.self); !can || r.key.share == nil {
		return
	}
	a := r.answers[to]
	if a == nil {
		a = new(answer)
		r.answers[to] = a
	}
	ready := func(fx *effects) {
		m.send(fx, to, message{kind: kindReady, request: r.id, digest: r.digest, commitment: a.commitment})
	}
	switch {
	case a.offering || a.signing:
		return // READY or SHARE follows
	case a.sessions > m.maxSessions(r):
		return // it has had all it can need
	case a.nonce != nil:
		ready(fx)
		return
	}
	seed, err := m.nonceSeed()
	if err != nil {
		return // others must do
	}
	a.offering = true
	m.work(fx, func() any {
		var n made
		n.nonce, n.commitment, n.err = r.key.nonce(seed)
		return n
	}, func(fx *effects, result any) {
		n := result.(made)
		a.offering = false
		if n.err != nil || m.requests[r.id] != r {
			if n.nonce != nil {
				n.nonce.Wipe()
			}
			return
		}
		a.nonce, a.commitment = n.nonce, n.commitment
		ready(fx)
	})
}

// made is the result of a job that made a nonce, and perhaps a share before.
type made struct {
	share      []byte
	nonce      *rfc9591.Nonce
	commitment []byte
	err        error
}

// onSign is the signer. What can be refused without the nonce comes first; the
// nonce is gone from then on, whatever the answer is.
func (m *Machine) onSign(fx *effects, from int, msg message, hash [32]byte) {
	r := m.requests[msg.request]
	if r == nil {
		if code, refused := m.refusals[msg.request]; refused {
			m.send(fx, from, message{kind: kindNo, request: msg.request, code: code})
		}
		return // of an earlier life of ours: READY comes with our approval
	}
	a := r.answers[from]
	switch {
	case a != nil && a.last == hash:
		if a.reply != nil {
			m.send(fx, from, *a.reply)
		}
		return
	case a == nil || a.nonce == nil:
		m.offer(fx, r, from) // after a restart: it holds a nonce that is no more
		return
	case msg.digest != r.digest:
		m.send(fx, from, message{kind: kindNo, request: r.id, code: ReasonInconsistent})
		return
	}
	pos, listed := slices.BinarySearch(msg.signers, m.self)
	if !listed || !slices.Equal(msg.all[pos], a.commitment) {
		m.offer(fx, r, from) // as above; or it lies, which costs nothing
		return
	}
	nonce := a.nonce
	a.nonce, a.last, a.reply = nil, hash, nil
	if a.sessions++; a.sessions > m.maxSessions(r) {
		nonce.Wipe()
		m.fault(fx, from, FaultSessions, "more sessions than a run can need")
		return
	}
	ids, ok := r.key.ids(msg.signers)
	if !ok || len(ids) != r.key.public.T() {
		nonce.Wipe()
		m.fault(fx, from, FaultBadSession, "not t members with a share")
		return
	}
	seed, err := m.nonceSeed()
	if err != nil {
		nonce.Wipe()
		return
	}
	all := make([][]byte, len(msg.all)) // the job outlives the message
	for i := range all {
		all[i] = slices.Clone(msg.all[i])
	}
	a.signing = true
	m.work(fx, func() any {
		defer nonce.Wipe()
		var n made
		session, err := r.key.public.NewSession(ids, all, r.message)
		if err == nil {
			n.share, err = session.Sign(r.key.share, nonce)
		}
		if err == nil {
			n.nonce, n.commitment, err = r.key.nonce(seed)
		}
		n.err = err
		return n
	}, func(fx *effects, result any) {
		n := result.(made)
		a.signing = false
		switch {
		case m.requests[r.id] != r:
			if n.nonce != nil {
				n.nonce.Wipe() // finished or cancelled meanwhile
			}
		case n.err != nil:
			m.fault(fx, from, FaultBadSession, "commitments in a SIGN are invalid")
			m.offer(fx, r, from)
		default:
			a.nonce, a.commitment = n.nonce, n.commitment
			a.reply = &message{kind: kindShare, request: r.id, session: msg.session, share: n.share, commitment: n.commitment}
			m.send(fx, from, *a.reply)
		}
	})
}

// ids maps members to participants; false if one has no share that can sign.
func (k *key) ids(members []int) ([]int, bool) {
	ids := make([]int, len(members))
	for i, member := range members {
		var ok bool
		if ids[i], ok = k.participant(member); !ok {
			return nil, false
		}
	}
	return ids, true
}

// maxSessions bounds the sessions of one coordinator for one request: ROAST's
// n-t+1, and what restarts of signers can spoil.
func (m *Machine) maxSessions(r *request) int {
	return m.n() - r.key.public.T() + 1 + maxStrikes*m.n()
}
