package rfc9591

import (
	"encoding/binary"
	"fmt"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/secp"
)

// Params are the common parameters of a session: the ciphersuite, and the host
// public keys and threshold of ChillDKG's. They are immutable.
type Params struct {
	suite  Suite
	hosts  *chilldkg.SessionParams
	points []secp.Point // decoded host keys
}

var tagSession = secp.NewTag("frostfed/v1/rfc9591 session")

// NewParams returns the parameters of sessions for keys of a suite. It returns
// ErrSuite, or chilldkg.ErrThresholdOrCount for t = 1, by which all shares would
// be the same, and the key.
func NewParams(suite Suite, hosts *chilldkg.SessionParams) (*Params, error) {
	if !suite.Valid() {
		return nil, fmt.Errorf("%w: %d", ErrSuite, byte(suite))
	}
	if hosts.T() < 2 {
		return nil, fmt.Errorf("%w: t = %d, RFC 9591 keys need 2", chilldkg.ErrThresholdOrCount, hosts.T())
	}
	p := &Params{suite: suite, hosts: hosts, points: make([]secp.Point, hosts.N())}
	for id := range p.points {
		key := hosts.HostPubkey(id)
		var err error
		if p.points[id], err = secp.ParsePoint(key[:]); err != nil {
			return nil, &chilldkg.InvalidHostPubkeyError{Participant: id}
		}
	}
	return p, nil
}

// Suite returns the ciphersuite.
func (p *Params) Suite() Suite { return p.suite }

// Hosts returns the parameters without the suite.
func (p *Params) Hosts() *chilldkg.SessionParams { return p.hosts }

// T returns the threshold.
func (p *Params) T() int { return p.hosts.T() }

// N returns the number of participants.
func (p *Params) N() int { return p.hosts.N() }

// SessionID identifies one attempt at one ceremony for a key of this suite. No
// session of ChillDKG or of another suite has the same.
func (p *Params) SessionID(ceremony [32]byte, attempt uint32) chilldkg.SessionID {
	hash := p.hosts.Hash()
	return tagSession.Hash([]byte{byte(p.suite)}, hash[:], ceremony[:], b4(attempt))
}

// member decodes a host secret key and finds its participant. The caller wipes
// the scalar.
func (p *Params) member(hostseckey []byte) (h secp.Scalar, id int, err error) {
	pub, err := chilldkg.HostPubkeyGen(hostseckey)
	if err != nil {
		return secp.Scalar{}, 0, err
	}
	id, ok := p.hosts.Index(pub)
	if !ok {
		return secp.Scalar{}, 0, fmt.Errorf("%w: it matches no host public key", chilldkg.ErrHostSeckey)
	}
	h, err = secp.ParseScalarNonZero(hostseckey)
	return h, id, err
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", chilldkg.ErrMalformed, fmt.Sprintf(format, args...))
}

// b4 returns v as four big-endian bytes.
func b4[T int | uint32](v T) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(v))
}
