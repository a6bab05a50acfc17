// Package complaint lets everybody decide who is at fault when an encrypted
// share is bad: the complainant j reveals the Diffie-Hellman point S = h_j*N_i
// with a proof that it is that (BIP 374), so that all can decrypt the one share
// from i to j. It reveals nothing to the accused i that i cannot compute, if i
// has proved to know the logarithm of N_i: check that first.
//
// What a decrypted share must fit is the business of the key generation that
// uses this package.
package complaint

import (
	"encoding/binary"

	"frostfed/crypto/internal/secp"
)

var tag = secp.NewTag("frostfed/v1/complaint")

// Size is the length of a complaint in bytes: complainant (4), accused (4), S
// (33), proof (64).
const Size = head + 33 + 64

const head = 4 + 4

// message returns H[frostfed/v1/complaint](session || b4(j) || b4(i)).
func message(session [32]byte, complainant, accused int) [32]byte {
	return tag.Hash(session[:], parties(complainant, accused))
}

func parties(complainant, accused int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(complainant))
	return binary.BigEndian.AppendUint32(b, uint32(accused))
}

// Make returns the complaint of the owner of h about the dealer of nonce, and S,
// with which the caller makes sure that it is justified before it is sent.
func Make(h secp.Scalar, session [32]byte, complainant, accused int, nonce secp.Point, aux [32]byte) ([]byte, secp.Point, error) {
	msg := message(session, complainant, accused)
	proof, _, shared, err := secp.DLEQProve(h, nonce, aux, &msg)
	if err != nil {
		return nil, secp.Point{}, err
	}
	enc := shared.BytesOrInfinity()
	b := append(parties(complainant, accused), enc[:]...)
	return append(b, proof[:]...), shared, nil
}

// Parties decodes who of n complains about whom; false for a complaint of the
// wrong length, by or about nobody, or about oneself.
func Parties(n int, complaint []byte) (complainant, accused int, ok bool) {
	if len(complaint) != Size {
		return 0, 0, false
	}
	// Compared as uint32: an int would be negative on 32-bit machines.
	j, i := binary.BigEndian.Uint32(complaint), binary.BigEndian.Uint32(complaint[4:])
	if j >= uint32(n) || i >= uint32(n) || i == j {
		return 0, 0, false
	}
	return int(j), int(i), true
}

// Open returns S of a complaint with valid Parties if its proof holds for the
// complainant's host key and the accused's nonce. If not, it convicts its author.
func Open(session [32]byte, complaint []byte, host, nonce secp.Point) (shared secp.Point, ok bool) {
	shared, err := secp.ParsePoint(complaint[head : head+33])
	if err != nil {
		return secp.Point{}, false
	}
	j, i := binary.BigEndian.Uint32(complaint), binary.BigEndian.Uint32(complaint[4:])
	msg := message(session, int(j), int(i))
	return shared, secp.DLEQVerify(host, nonce, shared, complaint[head+33:], &msg)
}
