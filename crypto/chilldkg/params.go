package chilldkg

import (
	"encoding/binary"
	"fmt"

	"frostfed/crypto/internal/secp"
)

// MaxParticipants bounds n. BIP 445 caps it at 128 because FROST is provably
// secure against adaptive corruption only for small groups.
const MaxParticipants = 128

// Version is the draft of ChillDKG that this package follows. Members with
// different versions cannot generate a key together.
const Version = "0.3.0"

const (
	scalarSize = 32
	pointSize  = 33
	sigSize    = 64
)

var (
	tagParamsHash = secp.NewTag("BIP DKG/params_hash")
	tagSession    = secp.NewTag("frostfed/v1/dkg session")
)

// HostPubkeyGen returns the compressed public key of a 32-byte host secret key.
// It returns ErrMalformed for another length and ErrHostSeckey if the key is 0
// or not below the group order. Source: ChillDKG, hostpubkey_gen.
func HostPubkeyGen(hostseckey []byte) ([33]byte, error) {
	h, err := parseHostSeckey(hostseckey)
	if err != nil {
		return [33]byte{}, err
	}
	defer h.Wipe()
	return secp.SecretBaseMul(h).Bytes(), nil
}

func parseHostSeckey(hostseckey []byte) (secp.Scalar, error) {
	if len(hostseckey) != scalarSize {
		return secp.Scalar{}, malformed("host secret key has %d bytes, want %d", len(hostseckey), scalarSize)
	}
	h, err := secp.ParseScalarNonZero(hostseckey)
	if err != nil {
		return secp.Scalar{}, fmt.Errorf("%w: out of range", ErrHostSeckey)
	}
	return h, nil
}

// SessionParams are the validated common parameters of a session: the ordered
// host public keys and the threshold. The position of a key in the list is its
// participant's id. SessionParams are immutable.
type SessionParams struct {
	t       int
	pubkeys [][33]byte
	points  []secp.Point // decoded pubkeys
	context []byte       // b4(t) || H_0 || ... || H_{n-1}
}

// NewSessionParams checks, in the draft's order: 1 <= t <= n <= 128
// (ErrThresholdOrCount), every key decodes (*InvalidHostPubkeyError), no two
// keys are the same (*DuplicateHostPubkeyError). Two keys with equal x and
// different parity count as the same, which goes beyond the draft: a BIP 340
// signature cannot tell them apart.
func NewSessionParams(hostpubkeys [][]byte, t int) (*SessionParams, error) {
	n := len(hostpubkeys)
	if t < 1 || t > n || n > MaxParticipants {
		return nil, fmt.Errorf("%w: t = %d, n = %d", ErrThresholdOrCount, t, n)
	}
	p := &SessionParams{
		t:       t,
		pubkeys: make([][33]byte, n),
		points:  make([]secp.Point, n),
		context: binary.BigEndian.AppendUint32(make([]byte, 0, 4+pointSize*n), uint32(t)),
	}
	for i, key := range hostpubkeys {
		point, err := secp.ParsePoint(key)
		if err != nil {
			return nil, &InvalidHostPubkeyError{Participant: i}
		}
		p.points[i] = point
		p.pubkeys[i] = [33]byte(key)
		p.context = append(p.context, key...)
	}
	seen := make(map[[32]byte]int, n)
	for i, key := range p.pubkeys {
		x := [32]byte(key[1:])
		if first, ok := seen[x]; ok {
			return nil, &DuplicateHostPubkeyError{Participant1: first, Participant2: i}
		}
		seen[x] = i
	}
	return p, nil
}

// T returns the threshold.
func (p *SessionParams) T() int { return p.t }

// N returns the number of participants.
func (p *SessionParams) N() int { return len(p.pubkeys) }

// HostPubkey returns the host public key of participant id.
func (p *SessionParams) HostPubkey(id int) [33]byte { return p.pubkeys[id] }

// Index returns the id of the participant with the given host public key.
func (p *SessionParams) Index(hostpubkey [33]byte) (id int, ok bool) {
	for i, key := range p.pubkeys {
		if key == hostpubkey {
			return i, true
		}
	}
	return 0, false
}

// Hash returns the 32-byte hash that the humans behind the participants compare
// before a session. Source: ChillDKG, params_hash.
func (p *SessionParams) Hash() [32]byte { return tagParamsHash.Hash(p.context) }

// member decodes a host secret key and finds its participant. The caller wipes
// the scalar.
func (p *SessionParams) member(hostseckey []byte) (h secp.Scalar, id int, err error) {
	h, err = parseHostSeckey(hostseckey)
	if err != nil {
		return secp.Scalar{}, 0, err
	}
	id, ok := p.Index(secp.SecretBaseMul(h).Bytes())
	if !ok {
		h.Wipe()
		return secp.Scalar{}, 0, fmt.Errorf("%w: it matches no host public key", ErrHostSeckey)
	}
	return h, id, nil
}

// SessionID identifies one attempt at one ceremony among fixed participants.
// Every frame, proof and complaint of the coordinator-less protocol is bound to
// it, so that nothing of one attempt means anything in another.
type SessionID [32]byte

// SessionID returns H[frostfed/v1/dkg session](params_hash || ceremony || b4(attempt)).
func (p *SessionParams) SessionID(ceremony [32]byte, attempt uint32) SessionID {
	hash := p.Hash()
	return tagSession.Hash(hash[:], ceremony[:], b4(attempt))
}

// b4 returns v as four big-endian bytes.
func b4[T int | uint32](v T) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(v))
}
