package rfc9591

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bytemare/ecc"
	"github.com/bytemare/frost"
)

// Suite is a ciphersuite of RFC 9591. Its number is part of encodings and never
// changes.
type Suite byte

// The ciphersuites. RFC 9591 has FROST(Ed448, SHAKE256) too, which the library
// below does not.
const (
	Ed25519      Suite = 1 // FROST(Ed25519, SHA-512): signatures of RFC 8032
	Ristretto255 Suite = 2 // FROST(ristretto255, SHA-512)
	P256         Suite = 3 // FROST(P-256, SHA-256)
	Secp256k1    Suite = 4 // FROST(secp256k1, SHA-256): not BIP 340
)

// ErrSuite reports a ciphersuite that does not exist.
var ErrSuite = errors.New("unknown ciphersuite")

var suites = [...]struct {
	name    string
	frost   frost.Ciphersuite
	element int // bytes of an encoded element
}{
	Ed25519:      {"ed25519", frost.Ed25519, 32},
	Ristretto255: {"ristretto255", frost.Ristretto255, 32},
	P256:         {"p256", frost.P256, 33},
	Secp256k1:    {"secp256k1", frost.Secp256k1, 33},
}

// Suites lists the ciphersuites.
func Suites() []Suite { return []Suite{Ed25519, Ristretto255, P256, Secp256k1} }

// ParseSuite is the inverse of String. It returns ErrSuite.
func ParseSuite(name string) (Suite, error) {
	for _, s := range Suites() {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%w %q", ErrSuite, name)
}

// Valid says whether the suite exists.
func (s Suite) Valid() bool { return s > 0 && int(s) < len(suites) }

// String returns the suite's name, as commands take it.
func (s Suite) String() string {
	if !s.Valid() {
		return fmt.Sprintf("suite %d", byte(s))
	}
	return suites[s].name
}

// PublicKeySize is the length of an encoded public key in bytes: 32 or 33.
func (s Suite) PublicKeySize() int { return suites[s].element }

// SignatureSize is the length of a signature in bytes: an element and a scalar.
func (s Suite) SignatureSize() int { return suites[s].element + scalarSize }

// CommitmentSize is the length of a signer's commitments to its two nonces.
func (s Suite) CommitmentSize() int { return 2 * suites[s].element }

// ShareSize is the length of a signature share in bytes, the same in all suites.
const ShareSize = scalarSize

// scalarSize is the length of an encoded scalar in bytes. The byte order is that
// of the suite.
const scalarSize = 32

func (s Suite) group() ecc.Group { return suites[s].frost.Group() }

var (
	errElement = errors.New("not the canonical encoding of an element of the group")
	errScalar  = errors.New("not the canonical encoding of a scalar")
)

// element decodes one element of the prime-order group, strictly: no identity,
// no second encoding of the same element, and on the curve with cofactor 8 no
// point outside the group, of which crypto/ed25519 and a batch would judge
// signatures differently.
func (s Suite) element(b []byte) (*ecc.Element, error) {
	e := s.group().NewElement()
	if len(b) != suites[s].element || e.Decode(b) != nil || e.IsIdentity() || !bytes.Equal(e.Encode(), b) {
		return nil, errElement
	}
	if s == Ed25519 {
		// (q-1)*P = -P exactly if q*P = O. The scalar q itself would be 0.
		if !e.Copy().Multiply(s.group().NewScalar().MinusOne()).Equal(e.Copy().Negate()) {
			return nil, errElement
		}
	}
	return e, nil
}

// elementOrIdentity is element for sums, where zeros stand for the identity. No
// suite encodes another element of the group as zeros.
func (s Suite) elementOrIdentity(b []byte) (*ecc.Element, error) {
	if len(b) == suites[s].element && allZero(b) {
		return s.group().NewElement(), nil
	}
	return s.element(b)
}

func (s Suite) encodeSum(e *ecc.Element) []byte {
	if e.IsIdentity() {
		return make([]byte, suites[s].element)
	}
	return e.Encode()
}

// scalar decodes a scalar below the group order; it may be zero.
func (s Suite) scalar(b []byte) (*ecc.Scalar, error) {
	x := s.group().NewScalar()
	if len(b) != scalarSize || x.Decode(b) != nil || !bytes.Equal(x.Encode(), b) {
		return nil, errScalar
	}
	return x, nil
}

// hash returns a uniform scalar from parts of fixed lengths, by the hash_to_field
// of RFC 9380, under a tag of its own for each purpose and suite.
func (s Suite) hash(purpose string, parts ...[]byte) *ecc.Scalar {
	x, err := s.group().HashToScalar(bytes.Join(parts, nil), []byte("frostfed/v1/rfc9591 "+purpose+"/"+s.String()))
	if err != nil {
		panic("rfc9591: hash to scalar: " + err.Error()) // fails for an empty tag only
	}
	return x
}

func allZero(b []byte) bool {
	var acc byte
	for _, v := range b {
		acc |= v
	}
	return acc == 0
}

// evalSecret returns the polynomial's value at the coordinate of participant id.
func evalSecret(coeffs []*ecc.Scalar, id int) *ecc.Scalar {
	x := coeffs[0].Group().NewScalar().SetUInt64(uint64(identifier(id)))
	y := coeffs[len(coeffs)-1].Copy()
	for k := len(coeffs) - 2; k >= 0; k-- {
		y.Multiply(x).Add(coeffs[k])
	}
	return y
}

// evalPublic returns the value of a committed polynomial at the coordinate of
// participant id. All is public.
func evalPublic(coms []*ecc.Element, id int) *ecc.Element {
	y := coms[len(coms)-1].Copy()
	for k := len(coms) - 2; k >= 0; k-- {
		y = mulSmall(identifier(id), y).Add(coms[k])
	}
	return y
}

// mulSmall returns x*p for x > 0 in a few doublings and additions: coordinates
// have at most 8 bits, a tenth of the work of a multiplication by a scalar.
func mulSmall(x uint16, p *ecc.Element) *ecc.Element {
	sum := p.Group().NewElement()
	for bit := 7; bit >= 0; bit-- {
		sum.Double()
		if x>>bit&1 == 1 {
			sum.Add(p)
		}
	}
	return sum
}

// identifier maps a participant to the identifier RFC 9591 gives it, which is
// the coordinate of its share: 1..n.
func identifier(id int) uint16 { return uint16(id) + 1 }
