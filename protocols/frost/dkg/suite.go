package dkg

import (
	"bytes"
	"fmt"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/rfc9591"
)

// Suite says what kind of key a ceremony makes: Bitcoin, which is ChillDKG and
// BIP 445, or a ciphersuite of RFC 9591. Nothing else of the protocol depends on
// it. Session IDs of different suites never meet.
type Suite = rfc9591.Suite

// Bitcoin is the zero Suite.
const Bitcoin Suite = 0

// scheme is the cryptography of one session: its parameters, and what can be done
// with them. All byte strings have the sizes it says.
type scheme interface {
	suite() Suite
	hosts() *chilldkg.SessionParams // for votes, which do not depend on the suite
	T() int
	N() int
	SessionID(ceremony [32]byte, attempt uint32) chilldkg.SessionID

	DealingSize() int
	deal(host []byte, id chilldkg.SessionID, random []byte) ([]byte, error)
	openOne(id chilldkg.SessionID, participant int, dealing []byte) error
	open(id chilldkg.SessionID, dealings [][]byte) (round, error)
	nonceOfM1(dealing []byte) []byte
	judge(id chilldkg.SessionID, author int, complaint, dealing []byte) (guilty int, err error)

	recoverySize() int
	nonceOfRecovery(data []byte, participant int) []byte
	verifyCertSig(participant int, eqInput, sig []byte) error
	recover(host, data []byte) (*output, error) // host nil: without share
	signAck(host, data, aux []byte) ([sigSize]byte, error)
	verifyAck(participant int, data, sig []byte) error
}

// round is a session whose first messages are all sound.
type round interface {
	EqInput() []byte
	Complain(host []byte, accused int, aux []byte) ([]byte, error)
	certify(host, own, aux []byte) ([sigSize]byte, error)
}

// output is the key that a session made: of the one kind or of the other. Their
// shares have different types, so that neither can be used as the other.
type output struct {
	bitcoin *chilldkg.Output
	other   *rfc9591.Output
}

// newScheme returns the scheme of sessions among the owners of the host keys.
func newScheme(suite Suite, hostKeys [][]byte, t int) (scheme, error) {
	hosts, err := chilldkg.NewSessionParams(hostKeys, t)
	if err != nil {
		return nil, err
	}
	if suite == Bitcoin {
		return chill{hosts}, nil
	}
	params, err := rfc9591.NewParams(suite, hosts)
	if err != nil {
		return nil, err
	}
	return other{params}, nil
}

// chill is the scheme of Bitcoin keys.
type chill struct{ *chilldkg.SessionParams }

func (chill) suite() Suite                      { return Bitcoin }
func (c chill) hosts() *chilldkg.SessionParams  { return c.SessionParams }
func (c chill) recoverySize() int               { return recoverySize(c.T(), c.N()) }
func (c chill) nonceOfM1(dealing []byte) []byte { return nonceOfM1(dealing, c.T()) }

func (c chill) nonceOfRecovery(data []byte, i int) []byte {
	return nonceOfRecovery(data, c.T(), c.N(), i)
}

func (c chill) deal(host []byte, id chilldkg.SessionID, random []byte) ([]byte, error) {
	return chilldkg.Deal(host, c.SessionParams, id, random)
}

func (c chill) openOne(id chilldkg.SessionID, i int, dealing []byte) error {
	_, err := chilldkg.OpenDealing(c.SessionParams, id, i, dealing)
	return err
}

func (c chill) open(id chilldkg.SessionID, dealings [][]byte) (round, error) {
	opened, err := chilldkg.OpenDealings(c.SessionParams, id, dealings)
	if err != nil {
		return nil, err
	}
	r, err := chilldkg.Combine(opened)
	if err != nil {
		return nil, err
	}
	return chillRound{r}, nil
}

func (c chill) judge(id chilldkg.SessionID, author int, complaint, dealing []byte) (int, error) {
	return chilldkg.Judge(c.SessionParams, id, author, complaint, dealing)
}

func (c chill) verifyCertSig(i int, eqInput, sig []byte) error {
	return chilldkg.VerifyCertSig(c.SessionParams, i, eqInput, sig)
}

func (c chill) recover(host, data []byte) (*output, error) {
	out, _, err := chilldkg.Recover(host, data)
	return &output{bitcoin: out}, err
}

func (c chill) signAck(host, data, aux []byte) ([sigSize]byte, error) {
	return chilldkg.RecoveryAckSign(host, c.SessionParams, data, aux)
}

func (c chill) verifyAck(i int, data, sig []byte) error {
	return chilldkg.RecoveryAckVerify(c.SessionParams, i, data, sig)
}

type chillRound struct{ *chilldkg.Round1 }

// certify leaves the share for later: it is computed again when the certificate
// is complete, by the one path that also serves restarts and late members.
func (r chillRound) certify(host, own, aux []byte) ([sigSize]byte, error) {
	state, sig, err := r.Step2(host, own, aux)
	if err != nil {
		return [sigSize]byte{}, err
	}
	state.Wipe()
	return [sigSize]byte(sig), nil
}

// other is the scheme of keys outside Bitcoin.
type other struct{ *rfc9591.Params }

func (o other) suite() Suite                    { return o.Suite() }
func (o other) hosts() *chilldkg.SessionParams  { return o.Hosts() }
func (o other) recoverySize() int               { return o.RecoverySize() }
func (o other) nonceOfM1(dealing []byte) []byte { return o.DealingNonce(dealing) }

func (o other) nonceOfRecovery(data []byte, i int) []byte { return o.RecoveryNonce(data, i) }

func (o other) deal(host []byte, id chilldkg.SessionID, random []byte) ([]byte, error) {
	return rfc9591.Deal(host, o.Params, id, random)
}

func (o other) openOne(id chilldkg.SessionID, i int, dealing []byte) error {
	_, err := rfc9591.OpenDealing(o.Params, id, i, dealing)
	return err
}

func (o other) open(id chilldkg.SessionID, dealings [][]byte) (round, error) {
	opened, err := rfc9591.OpenDealings(o.Params, id, dealings)
	if err != nil {
		return nil, err
	}
	r, err := rfc9591.Combine(opened)
	if err != nil {
		return nil, err
	}
	return otherRound{r}, nil
}

func (o other) judge(id chilldkg.SessionID, author int, complaint, dealing []byte) (int, error) {
	return rfc9591.Judge(o.Params, id, author, complaint, dealing)
}

func (o other) verifyCertSig(i int, eqInput, sig []byte) error {
	return rfc9591.VerifyCertSig(o.Params, i, eqInput, sig)
}

func (o other) recover(host, data []byte) (*output, error) {
	out, params, err := rfc9591.Recover(host, data)
	if err == nil && params.Suite() != o.Suite() {
		return nil, fmt.Errorf("%w: of another suite", chilldkg.ErrRecoveryData)
	}
	return &output{other: out}, err
}

func (o other) signAck(host, data, aux []byte) ([sigSize]byte, error) {
	return rfc9591.RecoveryAckSign(host, o.Params, data, aux)
}

func (o other) verifyAck(i int, data, sig []byte) error {
	return rfc9591.RecoveryAckVerify(o.Params, i, data, sig)
}

type otherRound struct{ *rfc9591.Round1 }

func (r otherRound) certify(host, own, aux []byte) ([sigSize]byte, error) {
	return r.Certify(host, own, aux)
}

// publicKey is the encoded public key, whatever its kind: 32 or 33 bytes.
func (o *output) publicKey() []byte {
	if o.bitcoin != nil {
		return bytes.Clone(o.bitcoin.ThreshPK[:])
	}
	return o.other.Key.PublicKey()
}

// takeShare hands over the secret share, once.
func (o *output) takeShare() (share *chilldkg.SecShare, other *rfc9591.Share) {
	if o.bitcoin != nil {
		share, o.bitcoin.SecShare = o.bitcoin.SecShare, nil
		return share, nil
	}
	other, o.other.Share = o.other.Share, nil
	return nil, other
}
