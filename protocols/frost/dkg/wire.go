package dkg

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Sizes in bytes, of ChillDKG draft 0.3.0 with the nonce proof added to the
// first message. Points take 33, scalars 32, signatures 64.
const (
	pointSize = 33
	sigSize   = 64

	// maxM1 is the first message at t = n = MaxMembers, of any suite. It bounds what is held
	// for a member before the session, and with it t, is known.
	maxM1 = 1 + pointSize*(protocols.MaxMembers+1) + 32 + pointSize + 32*protocols.MaxMembers + sigSize
	// maxEarlySize is the largest broadcast of any session, a first message or a
	// complaint about everybody.
	maxEarlySize = max(maxM1, pointSize+accusationSize*(protocols.MaxMembers-1))
	// maxRecovery is the recovery data at t = n = MaxMembers, of any suite.
	maxRecovery = 36 + pointSize*protocols.MaxMembers + 162*protocols.MaxMembers
)

// recoverySize: t, t summed commitments, n host keys, n encryption nonces, n
// summed encrypted shares, n certificate signatures.
func recoverySize(t, n int) int { return 4 + pointSize*t + (pointSize+pointSize+32+sigSize)*n }

// nonceOfM1 is the encryption nonce within a first message of the right size.
func nonceOfM1(m1 []byte, t int) []byte {
	at := pointSize*t + sigSize
	return m1[at : at+pointSize]
}

// nonceOfRecovery is member i's encryption nonce within recovery data of the
// right size.
func nonceOfRecovery(data []byte, t, n, i int) []byte {
	at := 4 + pointSize*t + pointSize*n + pointSize*i
	return data[at : at+pointSize]
}

// splitRecovery returns the part the certificate signs, and the certificate.
func splitRecovery(data []byte, n int) (eqInput, cert []byte) {
	at := len(data) - sigSize*n
	return data[:at], data[at:]
}

// errMalformed reports bytes that no correct member sends.
var errMalformed = errors.New("malformed message")

func (m message) encode() []byte {
	var b cryptobyte.Builder
	b.AddUint8(m.kind)
	b.AddBytes(m.session[:])
	switch m.kind {
	case kindCertSig:
		b.AddBytes(m.sig[:])
	case kindAck:
		b.AddBytes(m.digest[:])
		b.AddBytes(m.sig[:])
	case kindWant:
		b.AddUint8(byte(m.want))
	case kindRecovery:
		b.AddUint32(uint32(len(m.data)))
		b.AddBytes(m.data)
	case kindExclude:
		b.AddUint8(m.culprit)
		b.AddUint8(uint8(len(m.votes)))
		for i := range m.votes {
			b.AddUint8(m.votes[i].voter)
			b.AddUint8(uint8(m.votes[i].reason))
			b.AddBytes(m.votes[i].sig[:])
		}
	case kindRelay:
		b.AddUint8(uint8(len(m.certs)))
		for i := range m.certs {
			b.AddUint8(m.certs[i].participant)
			b.AddBytes(m.certs[i].sig[:])
		}
	}
	return b.BytesOrPanic() // a Builder without a fixed size or children cannot fail
}

// decode parses one point-to-point message. It accepts exactly one encoding of
// each message, so what decodes encodes to the same bytes. The data of a
// RECOVERY aliases b.
func decode(b []byte) (message, error) {
	var m message
	s := cryptobyte.String(b)
	if !s.ReadUint8(&m.kind) || !s.CopyBytes(m.session[:]) {
		return m, fmt.Errorf("%w: header", errMalformed)
	}
	ok := false
	switch m.kind {
	case kindCertSig:
		ok = s.CopyBytes(m.sig[:])
	case kindAck:
		ok = s.CopyBytes(m.digest[:]) && s.CopyBytes(m.sig[:])
	case kindWant:
		var w uint8
		ok = s.ReadUint8(&w) && want(w) >= wantCertificate && want(w) <= wantExclusions
		m.want = want(w)
	case kindRecovery:
		var n uint32
		ok = s.ReadUint32(&n) && n <= maxRecovery && s.ReadBytes(&m.data, int(n))
	case kindExclude:
		var count uint8
		if ok = s.ReadUint8(&m.culprit) && s.ReadUint8(&count) && count > 0 && len(s) == int(count)*(2+sigSize); ok {
			m.votes = make([]ballot, count)
		}
		for i := range m.votes {
			b := &m.votes[i]
			var reason uint8
			s.ReadUint8(&b.voter)
			s.ReadUint8(&reason)
			s.CopyBytes(b.sig[:]) // the length was checked
			b.reason = VoteReason(reason)
			ok = ok && b.reason.valid() && b.voter != m.culprit && (i == 0 || b.voter > m.votes[i-1].voter)
		}
	case kindRelay:
		var count uint8
		if ok = s.ReadUint8(&count) && count > 0 && len(s) == int(count)*(1+sigSize); ok {
			m.certs = make([]relayed, count)
		}
		for i := range m.certs {
			s.ReadUint8(&m.certs[i].participant)
			s.CopyBytes(m.certs[i].sig[:])
			ok = ok && (i == 0 || m.certs[i].participant > m.certs[i-1].participant)
		}
	}
	if !ok || !s.Empty() {
		return message{}, fmt.Errorf("%w: kind %d", errMalformed, m.kind)
	}
	return m, nil
}
