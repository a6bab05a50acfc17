package chilldkg

import (
	"crypto/sha256"

	"frostfed/crypto/internal/secp"
)

// Shares travel encrypted by one-time pads from a multi-recipient hashed ElGamal
// KEM (Pinto, Poettering, Schuldt, AsiaCCS 2014): the sender's nonce key nu
// serves all recipients and every pad hashes the recipient's id and key and the
// whole context of the session.

var (
	tagECDH    = secp.NewTag("BIP DKG/encpedpop ecdh")
	tagSelfPad = secp.NewTag("BIP DKG/encaps_multi self_pad")
)

// ecdhPad returns the pad for the share of recipient from the Diffie-Hellman
// point shared = nu*H_recipient = h_recipient*N.
func (p *SessionParams) ecdhPad(shared secp.Point, nonce [33]byte, recipient int) secp.Scalar {
	enc := shared.Bytes()
	key := sha256.Sum256(enc[:])
	defer clear(key[:])
	return secp.ReduceScalar(tagECDH.Hash(key[:], nonce[:], p.pubkeys[recipient][:], b4(recipient), p.context))
}

// selfPad returns the pad for a participant's share to itself, which needs no
// key agreement.
func (p *SessionParams) selfPad(h secp.Scalar, nonce [33]byte, id int) secp.Scalar {
	key := h.Bytes()
	defer clear(key[:])
	return secp.ReduceScalar(tagSelfPad.Hash(key[:], nonce[:], b4(id), p.context))
}

// padsTo returns the pads of all senders' shares for the participant id with
// host secret key h. nonces and points are the same values encoded and decoded.
func (p *SessionParams) padsTo(id int, h secp.Scalar, nonces [][33]byte, points []secp.Point) []secp.Scalar {
	pads := make([]secp.Scalar, len(nonces))
	for j := range nonces {
		if j == id {
			pads[j] = p.selfPad(h, nonces[j], id)
		} else {
			pads[j] = p.ecdhPad(secp.SecretMul(h, points[j]), nonces[j], id)
		}
	}
	return pads
}

func wipe(scalars []secp.Scalar) {
	for i := range scalars {
		scalars[i].Wipe()
	}
}
