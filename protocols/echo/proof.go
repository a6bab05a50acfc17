package echo

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Verify checks the signature of a member over preimage.
type Verify func(member protocols.NodeID, preimage, sig []byte) bool

// ErrProof is returned for a proof that proves nothing.
var ErrProof = errors.New("invalid equivocation proof")

// Equivocation is what a proof shows: Sender signed two payloads for one topic.
type Equivocation struct {
	Sender protocols.NodeID
	Topic  string
	Hashes [2]Hash // of the payloads, ascending
}

// VerifyBroadcast says whether sender signed the payload of this hash for topic in
// federation, as Delivered reports. One who did has broadcast it, to somebody at
// least; that all delivered it does not follow.
func VerifyBroadcast(federation [32]byte, sender protocols.NodeID, topic string, hash Hash, sig []byte, verify Verify) bool {
	return len(sender) > 0 && len(sender) <= MaxNodeID && len(topic) > 0 && len(topic) <= MaxTopic && len(sig) == SignatureSize &&
		verify(sender, preimage(federation, sender, topic, hash), sig)
}

// A proof of equivocation:
//
//	version u8=1 | sender u8+bytes | topic u8+bytes | hash [32] | sig [64] | hash [32] | sig [64]
//
// The first hash is the smaller one. sig is as in SEND.
const proofVersion = 1

type signed struct {
	hash Hash
	sig  [SignatureSize]byte
}

func encodeProof(sender protocols.NodeID, topic string, a, b signed) []byte {
	if bytes.Compare(a.hash[:], b.hash[:]) > 0 {
		a, b = b, a
	}
	var w cryptobyte.Builder
	w.AddUint8(proofVersion)
	addShort(&w, string(sender))
	addShort(&w, topic)
	for _, v := range []signed{a, b} {
		w.AddBytes(v.hash[:])
		w.AddBytes(v.sig[:])
	}
	return w.BytesOrPanic() // the instance's sender and topic fit
}

// VerifyEquivocation checks the Proof of a FaultEquivocation from scratch: anyone
// who can verify a member's signature can be convinced by it. It returns ErrProof
// if proof is malformed, or does not show two payloads signed by one member for one
// topic of federation.
func VerifyEquivocation(federation [32]byte, proof []byte, verify Verify) (Equivocation, error) {
	var version uint8
	var v [2]signed
	s := cryptobyte.String(proof)
	if !s.ReadUint8(&version) || version != proofVersion {
		return Equivocation{}, fmt.Errorf("%w: version", ErrProof)
	}
	sender, ok := readShort(&s, MaxNodeID)
	if !ok {
		return Equivocation{}, fmt.Errorf("%w: sender", ErrProof)
	}
	topic, ok := readShort(&s, MaxTopic)
	if !ok {
		return Equivocation{}, fmt.Errorf("%w: topic", ErrProof)
	}
	for i := range v {
		if !s.CopyBytes(v[i].hash[:]) || !s.CopyBytes(v[i].sig[:]) {
			return Equivocation{}, fmt.Errorf("%w: length", ErrProof)
		}
	}
	if !s.Empty() {
		return Equivocation{}, fmt.Errorf("%w: trailing bytes", ErrProof)
	}
	if bytes.Compare(v[0].hash[:], v[1].hash[:]) >= 0 {
		return Equivocation{}, fmt.Errorf("%w: hashes not ascending", ErrProof)
	}
	for i := range v {
		if !verify(protocols.NodeID(sender), preimage(federation, protocols.NodeID(sender), topic, v[i].hash), v[i].sig[:]) {
			return Equivocation{}, fmt.Errorf("%w: signature %d", ErrProof, i)
		}
	}
	return Equivocation{protocols.NodeID(sender), topic, [2]Hash{v[0].hash, v[1].hash}}, nil
}
