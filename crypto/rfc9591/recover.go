package rfc9591

import (
	"fmt"

	"github.com/bytemare/ecc"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/secp"
)

// Recovery data, public and proving itself:
//
//	version (1) | suite (1) | t (1) | n (1) | session (32)
//	K_0..K_{t-1}: sums of commitments, elements; zeros for the identity
//	H_0..H_{n-1}: host public keys (33 each)
//	N_0..N_{n-1}: encryption nonces (33 each)
//	E_0..E_{n-1}: sums of encrypted shares, scalars
//	certificate: n signatures (64 each) by the host keys
//
// All before the certificate is what every participant signs. It begins with 1,
// as no recovery data of ChillDKG does.
const (
	recoveryVersion = 1
	headSize        = 4 + 32
)

var (
	tagCert = secp.NewTag("frostfed/v1/rfc9591 certificate")
	tagAck  = secp.NewTag("frostfed/v1/rfc9591 acknowledgement")
)

// RecoverySize is the length of a session's recovery data in bytes.
func (p *Params) RecoverySize() int {
	return headSize + p.suite.PublicKeySize()*p.T() + (33+33+scalarSize+secp.SignatureSize)*p.N()
}

// aggregate is what the participants of a session must agree on.
type aggregate struct {
	params  *Params
	session chilldkg.SessionID
	coms    []*ecc.Element // K_0..K_t-1
	nonces  [][33]byte     // N_0..N_n-1
	points  []secp.Point   // nonces decoded
	shares  []*ecc.Scalar  // E_0..E_n-1
}

func (a *aggregate) eqInput() []byte {
	p := a.params
	b := make([]byte, 0, p.RecoverySize())
	b = append(b, recoveryVersion, byte(p.suite), byte(p.T()), byte(p.N()))
	b = append(b, a.session[:]...)
	for _, com := range a.coms {
		b = append(b, p.suite.encodeSum(com)...)
	}
	for id := range p.N() {
		host := p.hosts.HostPubkey(id)
		b = append(b, host[:]...)
	}
	for _, nonce := range a.nonces {
		b = append(b, nonce[:]...)
	}
	for _, share := range a.shares {
		b = append(b, share.Encode()...)
	}
	return b
}

// decrypt returns E_id minus all pads, the share of id, and the pads by sender.
// The caller wipes both.
func (a *aggregate) decrypt(id int, h secp.Scalar) (share *ecc.Scalar, pads []*ecc.Scalar) {
	share = a.shares[id].Copy()
	for j, nonce := range a.nonces {
		if j == id {
			pads = append(pads, a.params.selfPad(h, a.session, nonce, id))
		} else {
			pads = append(pads, a.params.pad(secp.SecretMul(h, a.points[j]), a.session, nonce, id))
		}
		share.Subtract(pads[j])
	}
	return share, pads
}

// reader takes fields of known total length off the front of a message.
type reader struct {
	suite Suite
	rest  []byte
	err   error
}

func (r *reader) bytes(n int) []byte {
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) elements(n int, decode func([]byte) (*ecc.Element, error)) (es []*ecc.Element) {
	for i := range n {
		e, err := decode(r.bytes(r.suite.PublicKeySize()))
		if err != nil && r.err == nil {
			r.err = malformed("commitment %d is %v", i, err)
		}
		es = append(es, e)
	}
	return es
}

func (r *reader) scalars(n int) (ss []*ecc.Scalar) {
	for i := range n {
		s, err := r.suite.scalar(r.bytes(scalarSize))
		if err != nil && r.err == nil {
			r.err = malformed("encrypted share %d is %v", i, err)
		}
		ss = append(ss, s)
	}
	return ss
}

// parseRecovery splits recovery data into the aggregate it certifies and the
// certificate. t and n are at most 255, and the length is checked, before
// anything is allocated.
func parseRecovery(b []byte) (*aggregate, [][]byte, error) {
	if len(b) < headSize || b[0] != recoveryVersion || !Suite(b[1]).Valid() {
		return nil, nil, malformed("version or suite")
	}
	suite, t, n := Suite(b[1]), int(b[2]), int(b[3])
	if want := headSize + suite.PublicKeySize()*t + (33+33+scalarSize+secp.SignatureSize)*n; len(b) != want {
		return nil, nil, malformed("recovery data has %d bytes, want %d", len(b), want)
	}
	a := &aggregate{session: chilldkg.SessionID(b[4:headSize])}
	r := reader{suite: suite, rest: b[headSize:]}
	a.coms = r.elements(t, suite.elementOrIdentity)
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = r.bytes(33)
	}
	for i := range n {
		a.nonces = append(a.nonces, [33]byte(r.bytes(33)))
		point, err := secp.ParsePoint(a.nonces[i][:])
		if err != nil && r.err == nil {
			r.err = malformed("public nonce %d does not decode", i)
		}
		a.points = append(a.points, point)
	}
	a.shares = r.scalars(n)
	if r.err != nil {
		return nil, nil, r.err
	}
	cert := make([][]byte, n)
	for i := range cert {
		cert[i] = r.bytes(secp.SignatureSize)
	}
	hosts, err := chilldkg.NewSessionParams(keys, t)
	if err != nil {
		return nil, nil, err
	}
	a.params, err = NewParams(suite, hosts)
	return a, cert, err
}

// Output is the result of a session: the key, and this participant's share.
type Output struct {
	Session chilldkg.SessionID
	Key     *Key
	Share   *Share // nil without a host secret key
}

// Recover computes the output of a successful session from its recovery data and
// a participant's host secret key, or without share for a nil key.
//
// It returns chilldkg.ErrRecoveryData, ErrMalformed for a key that has not 32
// bytes, or ErrHostSeckey if the key is not one of the session's.
func Recover(hostseckey, recoveryData []byte) (*Output, *Params, error) {
	a, cert, err := parseRecovery(recoveryData)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", chilldkg.ErrRecoveryData, err)
	}
	p := a.params
	eqInput := recoveryData[:len(recoveryData)-secp.SignatureSize*p.N()]
	items := make([]secp.BatchItem, p.N())
	for id, sig := range cert {
		items[id] = secp.BatchItem{Pubkey: p.points[id], Msg: signedBytes(tagCert, id, eqInput), Sig: sig}
	}
	if !secp.BIP340.VerifyBatch(items) {
		return nil, nil, fmt.Errorf("%w: a signature of the certificate is invalid", chilldkg.ErrRecoveryData)
	}
	keys, err := a.publicKeys()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", chilldkg.ErrRecoveryData, err)
	}
	key, err := newKey(p.suite, p.T(), keys)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", chilldkg.ErrRecoveryData, err)
	}
	out := &Output{Session: a.session, Key: key}
	if hostseckey == nil {
		return out, p, nil
	}
	h, id, err := p.member(hostseckey)
	if err != nil {
		return nil, nil, err
	}
	defer h.Wipe()
	share, pads := a.decrypt(id, h)
	defer wipe(append(pads, share))
	if !keys.fits(id, share) {
		return nil, nil, fmt.Errorf("%w: it does not contain the share of participant %d", chilldkg.ErrRecoveryData, id)
	}
	out.Share = newShare(p.suite, id, share)
	return out, p, nil
}

// signedBytes is what a host key signs of data, under a tag.
func signedBytes(tag secp.Tag, id int, data []byte) []byte {
	h := tag.Hash(b4(id), data)
	return h[:]
}

func signCert(h secp.Scalar, id int, eqInput []byte, auxRand [32]byte) ([64]byte, error) {
	return secp.BIP340.Sign(h, signedBytes(tagCert, id, eqInput), auxRand)
}

// VerifyCertSig checks a participant's certificate signature on what the session
// agreed on. It returns *chilldkg.FaultyParticipantError.
func VerifyCertSig(p *Params, id int, eqInput, sig []byte) error {
	if !secp.BIP340.VerifyPoint(p.points[id], signedBytes(tagCert, id, eqInput), sig) {
		return &chilldkg.FaultyParticipantError{Participant: id, Reason: "invalid signature for the certificate"}
	}
	return nil
}

// RecoveryAckSign signs that the owner of the host secret key has stored the
// recovery data. auxRand is 32 bytes of fresh randomness.
func RecoveryAckSign(hostseckey []byte, p *Params, recoveryData, auxRand []byte) ([64]byte, error) {
	if len(auxRand) != 32 {
		return [64]byte{}, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := p.member(hostseckey)
	if err != nil {
		return [64]byte{}, err
	}
	defer h.Wipe()
	return secp.BIP340.Sign(h, signedBytes(tagAck, id, recoveryData), [32]byte(auxRand))
}

// RecoveryAckVerify checks an acknowledgement. It returns
// *chilldkg.FaultyParticipantError.
func RecoveryAckVerify(p *Params, id int, recoveryData, sig []byte) error {
	if !secp.BIP340.VerifyPoint(p.points[id], signedBytes(tagAck, id, recoveryData), sig) {
		return &chilldkg.FaultyParticipantError{Participant: id, Reason: "invalid recovery acknowledgement"}
	}
	return nil
}

// RecoveryNonce returns participant id's encryption nonce (33 bytes) within
// recovery data, or the part of it that is signed.
func (p *Params) RecoveryNonce(recoveryData []byte, id int) []byte {
	at := headSize + p.suite.PublicKeySize()*p.T() + 33*p.N() + 33*id
	return recoveryData[at : at+33]
}
