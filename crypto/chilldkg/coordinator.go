package chilldkg

import (
	"bytes"
	"errors"
	"fmt"

	"frostfed/crypto/internal/secp"
)

// CoordinatorState is the coordinator's state between its steps. It is public.
type CoordinatorState struct {
	aggregate *aggregate
	eqInput   []byte
}

func (p *SessionParams) parsePmsgs1(pmsgs1 [][]byte) ([]*pmsg1, error) {
	if len(pmsgs1) != p.N() {
		return nil, malformed("%d first messages, want %d", len(pmsgs1), p.N())
	}
	ms := make([]*pmsg1, p.N())
	for i, b := range pmsgs1 {
		var err error
		if ms[i], err = p.parsePmsg1(b); err != nil {
			return nil, fmt.Errorf("participant %d: %w", i, err)
		}
	}
	return ms, nil
}

// combine computes the coordinator's message from all first messages.
func combine(params *SessionParams, ms []*pmsg1) *cmsg1 {
	n := params.N()
	c := &cmsg1{
		sums:   make([]secp.Point, params.t-1),
		shares: make([]secp.Scalar, n),
	}
	for _, m := range ms {
		c.com0s = append(c.com0s, m.coms[0])
		c.raw = append(c.raw, m.com0...)
		c.pops = append(c.pops, m.pop)
		c.nonces = append(c.nonces, m.nonce)
		for k := range c.sums {
			c.sums[k] = c.sums[k].Add(m.coms[k+1])
		}
		for j := range c.shares {
			c.shares[j] = c.shares[j].Add(m.shares[j])
		}
	}
	return c
}

// CoordinatorStep1 combines the n first messages, by participant id, into cmsg1
// (162*n+33*(t-1) bytes) for all participants. It returns ErrMalformed; what the
// messages claim is left to the participants to check. Source: ChillDKG,
// coordinator_step1.
func CoordinatorStep1(pmsgs1 [][]byte, params *SessionParams) (*CoordinatorState, []byte, error) {
	ms, err := params.parsePmsgs1(pmsgs1)
	if err != nil {
		return nil, nil, err
	}
	m := combine(params, ms)
	a := m.aggregate(params)
	return &CoordinatorState{aggregate: a, eqInput: a.eqInput()}, m.encode(), nil
}

// CoordinatorFinalize assembles the certificate from the n second messages. It
// returns cmsg2 (64*n bytes) for the participants, the output without a secret
// share, and the recovery data; or ErrMalformed, or *FaultyParticipantError.
// Source: ChillDKG, coordinator_finalize.
func CoordinatorFinalize(state *CoordinatorState, pmsgs2 [][]byte) (cmsg2 []byte, out *Output, recoveryData []byte, err error) {
	params := state.aggregate.params
	if len(pmsgs2) != params.N() {
		return nil, nil, nil, malformed("%d second messages, want %d", len(pmsgs2), params.N())
	}
	for i, sig := range pmsgs2 {
		if len(sig) != sigSize {
			return nil, nil, nil, malformed("pmsg2 of participant %d has %d bytes, want %d", i, len(sig), sigSize)
		}
		cmsg2 = append(cmsg2, sig...)
	}
	if id := certEq.culprit(params, state.eqInput, pmsgs2); id >= 0 {
		return nil, nil, nil, badCertSig(id)
	}
	keys, err := state.aggregate.publicKeys()
	if err != nil {
		return nil, nil, nil, convict(err)
	}
	return cmsg2, state.aggregate.output(keys, nil), append(bytes.Clone(state.eqInput), cmsg2...), nil
}

// convict turns suspicion of a participant or the coordinator into conviction of
// the participant, where no coordinator stands between.
func convict(err error) error {
	if e, ok := errors.AsType[*FaultyParticipantOrCoordinatorError](err); ok {
		return &FaultyParticipantError{Participant: e.Participant, Reason: e.Reason}
	}
	return err
}
