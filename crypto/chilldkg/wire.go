package chilldkg

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"frostfed/crypto/internal/secp"
)

// reader takes fields of known total length off the front of a message. The
// length is checked before the first field, hence no field can be short.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) bytes(n int) []byte {
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// points reads n compressed points, 33 zero bytes being O.
func (r *reader) points(n int) []secp.Point {
	ps := make([]secp.Point, n)
	for i := range ps {
		var err error
		if ps[i], err = secp.ParsePointOrInfinity(r.bytes(pointSize)); err != nil && r.err == nil {
			r.err = malformed("point %d does not decode", i)
			return nil
		}
	}
	return ps
}

func (r *reader) scalars(n int) []secp.Scalar {
	ss := make([]secp.Scalar, n)
	for i := range ss {
		var err error
		if ss[i], err = secp.ParseScalar(r.bytes(scalarSize)); err != nil && r.err == nil {
			r.err = malformed("scalar %d is not below the group order", i)
			return nil
		}
	}
	return ss
}

func (r *reader) fixed33(n int) [][33]byte {
	bs := make([][33]byte, n)
	for i := range bs {
		bs[i] = [33]byte(r.bytes(pointSize))
	}
	return bs
}

// pmsg1 is a participant's first message. Public nonces stay undecoded in it:
// the draft blames a bad one in step 2, not when parsing.
type pmsg1 struct {
	coms   []secp.Point // C_i0..C_i,t-1, each may be O
	com0   []byte       // C_i0 encoded
	pop    []byte
	nonce  [33]byte
	shares []secp.Scalar // encrypted, for ids 0..n-1
}

// pmsg1Size is 33*t + 64 + 33 + 32*n bytes: commitments, proof of possession,
// nonce, encrypted shares.
func (p *SessionParams) pmsg1Size() int {
	return pointSize*p.t + sigSize + pointSize + scalarSize*p.N()
}

func (p *SessionParams) parsePmsg1(b []byte) (*pmsg1, error) {
	if len(b) != p.pmsg1Size() {
		return nil, malformed("pmsg1 has %d bytes, want %d", len(b), p.pmsg1Size())
	}
	r := reader{rest: b}
	m := &pmsg1{com0: b[:pointSize:pointSize]}
	m.coms = r.points(p.t)
	if r.err != nil {
		return nil, fmt.Errorf("pmsg1 commitments: %w", r.err)
	}
	m.pop = r.bytes(sigSize)
	m.nonce = [33]byte(r.bytes(pointSize))
	m.shares = r.scalars(p.N())
	if r.err != nil {
		return nil, fmt.Errorf("pmsg1 encrypted shares: %w", r.err)
	}
	return m, nil
}

// cmsg1 is the coordinator's first message: commitments to the secrets, sums of
// the other commitments, proofs of possession, nonces, sums of encrypted shares.
type cmsg1 struct {
	com0s  []secp.Point // C_00..C_n-1,0, each may be O
	raw    []byte       // their encodings
	sums   []secp.Point // K_1..K_t-1, each may be O
	pops   [][]byte
	nonces [][33]byte
	shares []secp.Scalar // E_0..E_n-1
}

// cmsg1Size is (33+64+33+32)*n + 33*(t-1) bytes.
func (p *SessionParams) cmsg1Size() int {
	return (pointSize+sigSize+pointSize+scalarSize)*p.N() + pointSize*(p.t-1)
}

func (p *SessionParams) parseCmsg1(b []byte) (*cmsg1, error) {
	n := p.N()
	if len(b) != p.cmsg1Size() {
		return nil, malformed("cmsg1 has %d bytes, want %d", len(b), p.cmsg1Size())
	}
	r := reader{rest: b}
	m := &cmsg1{raw: b[:pointSize*n]}
	m.com0s = r.points(n)
	m.sums = r.points(p.t - 1)
	for range n {
		m.pops = append(m.pops, r.bytes(sigSize))
	}
	m.nonces = r.fixed33(n)
	m.shares = r.scalars(n)
	if r.err != nil {
		return nil, fmt.Errorf("cmsg1: %w", r.err)
	}
	return m, nil
}

func (m *cmsg1) com0(id int) []byte { return m.raw[pointSize*id : pointSize*(id+1)] }

func (m *cmsg1) encode() []byte {
	b := bytes.Clone(m.raw)
	b = appendPoints(b, m.sums)
	for _, pop := range m.pops {
		b = append(b, pop...)
	}
	for _, nonce := range m.nonces {
		b = append(b, nonce[:]...)
	}
	return appendScalars(b, m.shares)
}

// Recovery data has 4 + 33*t + (33+33+32+64)*n bytes: t, commitments, host public
// keys, nonces, encrypted shares (together eq_input), certificate.
const recoveryPerParticipant = pointSize + pointSize + scalarSize + sigSize

// parseRecovery splits recovery data into the aggregate it certifies and the
// certificate. n follows from the length. Memory is bounded by the checks of t
// and n that come first.
func parseRecovery(b []byte) (*aggregate, [][]byte, error) {
	if len(b) < 4 {
		return nil, nil, malformed("recovery data has %d bytes", len(b))
	}
	t := binary.BigEndian.Uint32(b)
	if t < 1 || t > MaxParticipants {
		return nil, nil, fmt.Errorf("%w: t = %d", ErrThresholdOrCount, t)
	}
	rest := len(b) - 4 - pointSize*int(t)
	if rest <= 0 || rest%recoveryPerParticipant != 0 || rest/recoveryPerParticipant > MaxParticipants {
		return nil, nil, malformed("recovery data has %d bytes for t = %d", len(b), t)
	}
	n := rest / recoveryPerParticipant
	r := reader{rest: b[4:]}
	a := &aggregate{raw: b[4 : 4+pointSize*int(t)]}
	a.coms = r.points(int(t))
	if r.err != nil {
		return nil, nil, fmt.Errorf("sum of commitments: %w", r.err)
	}
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = r.bytes(pointSize)
	}
	a.nonces = r.fixed33(n)
	a.shares = r.scalars(n)
	if r.err != nil {
		return nil, nil, fmt.Errorf("encrypted shares: %w", r.err)
	}
	cert := make([][]byte, n)
	for i := range cert {
		cert[i] = r.bytes(sigSize)
	}
	var err error
	if a.params, err = NewSessionParams(keys, int(t)); err != nil {
		return nil, nil, err
	}
	if id, err := a.decodeNonces(); err != nil {
		return nil, nil, malformed("public nonce %d does not decode", id)
	}
	return a, cert, nil
}

func appendPoints(b []byte, points []secp.Point) []byte {
	for _, point := range points {
		enc := point.BytesOrInfinity()
		b = append(b, enc[:]...)
	}
	return b
}

func appendScalars(b []byte, scalars []secp.Scalar) []byte {
	for _, s := range scalars {
		enc := s.Bytes()
		b = append(b, enc[:]...)
	}
	return b
}
