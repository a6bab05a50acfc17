package chilldkg

import (
	"slices"

	"frostfed/crypto/internal/secp"
)

// CertEq is the equality check of ChillDKG: every participant signs what it
// believes the session agreed on, and n signatures of the same bytes are the
// certificate that makes the session a success for everybody who sees it. An
// acknowledgement signs recovery data the same way.

// purpose separates the messages signed by host keys: an ASCII text padded with
// zeros to 33 bytes.
type purpose [33]byte

var (
	certEq      = newPurpose("BIP DKG/certeq message")
	recoveryAck = newPurpose("BIP DKG/recovery acknowledgment")
)

func newPurpose(s string) (p purpose) {
	copy(p[:], s)
	return p
}

// message returns purpose || b4(id) || data.
func (p purpose) message(id int, data []byte) []byte {
	b := make([]byte, 0, len(p)+4+len(data))
	b = append(b, p[:]...)
	b = append(b, b4(id)...)
	return append(b, data...)
}

func (p purpose) sign(h secp.Scalar, id int, data []byte, auxRand [32]byte) ([64]byte, error) {
	return secp.BIP340.Sign(h, p.message(id, data), auxRand)
}

func (p purpose) verify(params *SessionParams, id int, data, sig []byte) bool {
	return secp.BIP340.VerifyPoint(params.points[id], p.message(id, data), sig)
}

// culprit verifies the signatures of all participants, by id, in one batch. It
// returns the first id with an invalid one, found singly, or -1.
func (p purpose) culprit(params *SessionParams, data []byte, sigs [][]byte) int {
	items := make([]secp.BatchItem, len(sigs))
	for id, sig := range sigs {
		items[id] = secp.BatchItem{Pubkey: params.points[id], Msg: p.message(id, data), Sig: sig}
	}
	return firstInvalid(secp.BIP340, items)
}

// firstInvalid returns the index of the first invalid signature, or -1. The
// result does not depend on the batch.
func firstInvalid(s secp.Schnorr, items []secp.BatchItem) int {
	if s.VerifyBatch(items) {
		return -1
	}
	return slices.IndexFunc(items, func(it secp.BatchItem) bool {
		return !s.VerifyPoint(it.Pubkey, it.Msg, it.Sig)
	})
}

// VerifyCertSig checks the 64-byte CertEq signature of participant id on
// eqInput. It returns *FaultyParticipantError.
func VerifyCertSig(params *SessionParams, id int, eqInput, sig []byte) error {
	if !certEq.verify(params, id, eqInput, sig) {
		return badCertSig(id)
	}
	return nil
}

func badCertSig(id int) error {
	return &FaultyParticipantError{Participant: id, Reason: "invalid signature for the certificate"}
}

// RecoveryAckSign signs that the owner of the host secret key has stored the
// recovery data of a session. auxRand is 32 bytes of fresh randomness. It
// returns ErrMalformed, or ErrHostSeckey if the key is not one of params.
// Source: ChillDKG, recovery acknowledgment.
func RecoveryAckSign(hostseckey []byte, params *SessionParams, recoveryData, auxRand []byte) ([64]byte, error) {
	if len(auxRand) != 32 {
		return [64]byte{}, malformed("auxiliary randomness has %d bytes, want 32", len(auxRand))
	}
	h, id, err := params.member(hostseckey)
	if err != nil {
		return [64]byte{}, err
	}
	defer h.Wipe()
	return recoveryAck.sign(h, id, recoveryData, [32]byte(auxRand))
}

// RecoveryAckVerify checks the 64-byte acknowledgement of participant id. It
// returns *FaultyParticipantError.
func RecoveryAckVerify(params *SessionParams, id int, recoveryData, sig []byte) error {
	if !recoveryAck.verify(params, id, recoveryData, sig) {
		return &FaultyParticipantError{Participant: id, Reason: "invalid recovery acknowledgement"}
	}
	return nil
}
