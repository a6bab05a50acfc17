package bench

import (
	"errors"
	"sync"

	"frostfed/crypto/chilldkg"
)

// Operations of key generation, of the member with the highest id.
const (
	OpDeal    = "dkg-deal"    // first message
	OpOpen    = "dkg-open"    // decode and verify the first messages of all
	OpCombine = "dkg-combine" // the coordinator's part and all public shares
	OpStep2   = "dkg-step2"   // decrypt and check the share, sign
	OpCertify = "dkg-certify" // verify the certificate, one signature after the other
	OpMember  = "dkg-member"  // all of these
	OpRecover = "dkg-recover" // the key from recovery data
	OpMachine = "dkg-machine" // protocols/frost/dkg, from Start to the last acknowledgement
)

var errIncomplete = errors.New("key generation did not finish")

// ceremony is a key generation with all its messages.
type ceremony struct {
	params   *chilldkg.SessionParams
	id       chilldkg.SessionID
	host     []byte // of the last member
	dealings [][]byte
	opened   []*chilldkg.Dealing
	round    *chilldkg.Round1
	sigs     [][]byte // certificate signatures
	recovery []byte
}

func hostSecret(i int) []byte { return bytes32("host key %d", i) }

func hostKeys(n int) ([][]byte, error) {
	list := make([][]byte, n)
	for i := range list {
		public, err := chilldkg.HostPubkeyGen(hostSecret(i))
		if err != nil {
			return nil, err
		}
		list[i] = public[:]
	}
	return list, nil
}

func newCeremony(size Size) (*ceremony, error) {
	list, err := hostKeys(size.N)
	if err != nil {
		return nil, err
	}
	c := &ceremony{host: hostSecret(size.N - 1)}
	if c.params, err = chilldkg.NewSessionParams(list, size.T); err != nil {
		return nil, err
	}
	c.id = c.params.SessionID([32]byte(bytes32("ceremony")), 0)
	for i := range size.N {
		d, err := chilldkg.Deal(hostSecret(i), c.params, c.id, bytes32("randomness %d", i))
		if err != nil {
			return nil, err
		}
		c.dealings = append(c.dealings, d)
	}
	if c.opened, err = chilldkg.OpenDealings(c.params, c.id, c.dealings); err != nil {
		return nil, err
	}
	if c.round, err = chilldkg.Combine(c.opened); err != nil {
		return nil, err
	}
	var state *chilldkg.ParticipantState2
	for i := range size.N {
		var sig []byte
		if state, sig, err = c.round.Step2(hostSecret(i), c.dealings[i], bytes32("aux")); err != nil {
			return nil, err
		}
		c.sigs = append(c.sigs, sig)
	}
	c.recovery, err = c.certify(state)
	return c, err
}

func (c *ceremony) certify(state *chilldkg.ParticipantState2) ([]byte, error) {
	for i, sig := range c.sigs {
		if err := state.AddCertSig(i, sig); err != nil {
			return nil, err
		}
	}
	_, recovery, ok := state.Finish()
	if !ok {
		return nil, errIncomplete
	}
	return recovery, nil
}

func (c *ceremony) deal() error {
	_, err := chilldkg.Deal(c.host, c.params, c.id, bytes32("fresh"))
	return err
}

func (c *ceremony) step2(round *chilldkg.Round1) (*chilldkg.ParticipantState2, error) {
	state, _, err := round.Step2(c.host, c.dealings[len(c.dealings)-1], bytes32("aux"))
	return state, err
}

// member is the whole work of one participant.
func (c *ceremony) member() error {
	if err := c.deal(); err != nil {
		return err
	}
	opened, err := chilldkg.OpenDealings(c.params, c.id, c.dealings)
	if err != nil {
		return err
	}
	round, err := chilldkg.Combine(opened)
	if err != nil {
		return err
	}
	state, err := c.step2(round)
	if err != nil {
		return err
	}
	_, err = c.certify(state)
	return err
}

func dkgCases(size Size) []Case {
	inputs := sync.OnceValues(func() (*ceremony, error) { return newCeremony(size) })
	ours := func(op string, do func(c *ceremony) error) Case {
		return Case{op, size, Ours, setup(inputs, func(c *ceremony) Round {
			return repeat(func() error { return do(c) })
		})}
	}
	return []Case{
		ours(OpDeal, (*ceremony).deal),
		ours(OpOpen, func(c *ceremony) error {
			_, err := chilldkg.OpenDealings(c.params, c.id, c.dealings)
			return err
		}),
		ours(OpCombine, func(c *ceremony) error { _, err := chilldkg.Combine(c.opened); return err }),
		ours(OpStep2, func(c *ceremony) error { _, err := c.step2(c.round); return err }),
		{OpCertify, size, Ours, setup(inputs, (*ceremony).certifyFresh)},
		ours(OpMember, (*ceremony).member),
		ours(OpRecover, func(c *ceremony) error { _, _, err := chilldkg.Recover(c.host, c.recovery); return err }),
		{OpMachine, size, Ours, func() (Round, error) { return newReplay(size) }},
	}
}

// certifyFresh verifies all signatures, on a new state each time.
func (c *ceremony) certifyFresh() Round {
	return stock(func() (*chilldkg.ParticipantState2, error) { return c.step2(c.round) },
		func(state *chilldkg.ParticipantState2) error { _, err := c.certify(state); return err })
}
