package sign

import (
	"errors"
	"fmt"

	"frostfed/protocols"

	"golang.org/x/crypto/cryptobyte"
)

// Wire form, all integers big-endian. The first byte is the kind.
//
//	NONCES 1 | pool
//	SIGN   2 | request 32 | run 16 | sid 4 | digest 32 | first 4 | u 1 | u * id 1 | epoch 16 | k 2 | k * (aggnonce 66, index 8)
//	PSIG   3 | request 32 | run 16 | sid 4 | k 2 | k * psig 32 | vouch 64 | pool
//	NO     4 | request 32 | run 16 | sid 4 | reason 1 | epoch 16 | code 1+len
//	NEED   5 | count 2
//	READY  6 | request 32
//	DONE   7 | request 32 | k 2 | k * signature 64
//	pool   epoch 16 | gone 8 | count 2 | count * (index 8, pubnonce 66)
//
// Decoding accepts exactly what encoding produces: ids and indices of a pool
// ascend, counts are within limits, nothing trails.
const (
	kindNonces byte = 1 + iota
	kindSign
	kindPSig
	kindNo
	kindNeed
	kindReady
	kindDone
)

const (
	maxPairs = 1024 // pairs in one pool message: 74 KiB, and a bound on what a signer makes us hold
	maxLot   = 64   // items in one session: SIGN stays under 5 KiB, PSIG under 7 KiB plus refill
	maxItems = 8192 // items in one request: DONE and record stay under 513 KiB, of the 1 MiB a message may have
	maxCode  = 64   // bytes of a refusal code, which reaches logs and screens
)

// ErrMalformed is wrapped by every decoding error.
var ErrMalformed = errors.New("malformed message")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, a...)...)
}

func (n nonces) put(b *cryptobyte.Builder) {
	b.AddBytes(n.epoch[:])
	b.AddUint64(n.gone)
	b.AddUint16(uint16(len(n.pairs)))
	for i := range n.pairs {
		b.AddUint64(n.pairs[i].index)
		b.AddBytes(n.pairs[i].pubnonce[:])
	}
}

func (s sessionID) put(b *cryptobyte.Builder) {
	b.AddBytes(s.run[:])
	b.AddUint32(s.sid)
}

// message is what can be encoded. Encoding cannot fail: the machine builds
// messages within the limits only.
type message interface{ encode() []byte }

func build(kind byte, f func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddUint8(kind)
	f(&b)
	return b.BytesOrPanic() // fixed-width fields and checked lengths: no error to return
}

func (n nonces) encode() []byte { return build(kindNonces, n.put) }

func (m signMsg) encode() []byte {
	return build(kindSign, func(b *cryptobyte.Builder) {
		b.AddBytes(m.request[:])
		m.session.put(b)
		b.AddBytes(m.digest[:])
		b.AddUint32(m.first)
		b.AddUint8(uint8(len(m.signers)))
		for _, id := range m.signers {
			b.AddUint8(uint8(id))
		}
		b.AddBytes(m.epoch[:])
		b.AddUint16(uint16(len(m.slots)))
		for i := range m.slots {
			b.AddBytes(m.slots[i].aggnonce[:])
			b.AddUint64(m.slots[i].index)
		}
	})
}

func (m psigMsg) encode() []byte {
	return build(kindPSig, func(b *cryptobyte.Builder) {
		b.AddBytes(m.request[:])
		m.session.put(b)
		b.AddUint16(uint16(len(m.psigs)))
		for i := range m.psigs {
			b.AddBytes(m.psigs[i][:])
		}
		b.AddBytes(m.vouch[:])
		m.refill.put(b)
	})
}

func (m noMsg) encode() []byte {
	return build(kindNo, func(b *cryptobyte.Builder) {
		b.AddBytes(m.request[:])
		m.session.put(b)
		b.AddUint8(byte(m.reason))
		b.AddBytes(m.epoch[:])
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.code)) })
	})
}

func (m needMsg) encode() []byte {
	return build(kindNeed, func(b *cryptobyte.Builder) { b.AddUint16(m.count) })
}

func (m readyMsg) encode() []byte {
	return build(kindReady, func(b *cryptobyte.Builder) { b.AddBytes(m.request[:]) })
}

func (m doneMsg) encode() []byte {
	return build(kindDone, func(b *cryptobyte.Builder) {
		b.AddBytes(m.request[:])
		b.AddUint16(uint16(len(m.sigs)))
		for i := range m.sigs {
			b.AddBytes(m.sigs[i][:])
		}
	})
}

// decode parses one message, or returns an error wrapping ErrMalformed.
func decode(raw []byte) (message, error) {
	s := cryptobyte.String(raw)
	var kind byte
	if !s.ReadUint8(&kind) {
		return nil, malformed("empty")
	}
	var m message
	var err error
	switch kind {
	case kindNonces:
		var n nonces
		if n, err = getNonces(&s); err == nil && len(n.pairs) == 0 {
			err = malformed("no nonces")
		}
		m = n
	case kindSign:
		m, err = getSign(&s)
	case kindPSig:
		m, err = getPSig(&s)
	case kindNo:
		m, err = getNo(&s)
	case kindNeed:
		var n needMsg
		if !s.ReadUint16(&n.count) || n.count == 0 || n.count > maxPairs {
			err = malformed("count of NEED")
		}
		m = n
	case kindReady:
		var r readyMsg
		if !s.CopyBytes(r.request[:]) {
			err = malformed("short READY")
		}
		m = r
	case kindDone:
		m, err = getDone(&s)
	default:
		err = malformed("unknown kind")
	}
	if err != nil {
		return nil, err
	}
	if !s.Empty() {
		return nil, malformed("trailing bytes")
	}
	return m, nil
}

// count reads a 16-bit count of elements of the given size, and checks that
// they are there before anything is allocated for them.
func count(s *cryptobyte.String, limit, size int) (int, error) {
	var k uint16
	if !s.ReadUint16(&k) || int(k) > limit || len(*s) < int(k)*size {
		return 0, malformed("count")
	}
	return int(k), nil
}

func getNonces(s *cryptobyte.String) (nonces, error) {
	var n nonces
	if !s.CopyBytes(n.epoch[:]) || !s.ReadUint64(&n.gone) {
		return n, malformed("short pool")
	}
	k, err := count(s, maxPairs, 8+pubnonceSize)
	if err != nil {
		return n, err
	}
	if k > 0 {
		n.pairs = make([]pair, k)
	}
	for i := range n.pairs {
		p := &n.pairs[i]
		if !s.ReadUint64(&p.index) || !s.CopyBytes(p.pubnonce[:]) {
			return n, malformed("short pair")
		}
		if p.index <= n.gone || (i > 0 && p.index <= n.pairs[i-1].index) {
			return n, malformed("indices not ascending")
		}
	}
	return n, nil
}

// getSession reads the fields SIGN, PSIG and NO begin with.
func getSession(s *cryptobyte.String, request *requestID, session *sessionID) error {
	if !s.CopyBytes(request[:]) || !s.CopyBytes(session.run[:]) || !s.ReadUint32(&session.sid) || session.sid == 0 {
		return malformed("session")
	}
	return nil
}

// getIDs reads a set of ids, ascending.
func getIDs(s *cryptobyte.String) ([]int, error) {
	var u uint8
	if !s.ReadUint8(&u) || u == 0 || u > protocols.MaxMembers || len(*s) < int(u) {
		return nil, malformed("signers")
	}
	ids := make([]int, u)
	for i := range ids {
		var id uint8
		s.ReadUint8(&id) // length checked above
		if ids[i] = int(id); i > 0 && ids[i] <= ids[i-1] {
			return nil, malformed("signers not ascending")
		}
	}
	return ids, nil
}

func getSign(s *cryptobyte.String) (signMsg, error) {
	var m signMsg
	if err := getSession(s, &m.request, &m.session); err != nil {
		return m, err
	}
	if !s.CopyBytes(m.digest[:]) || !s.ReadUint32(&m.first) || m.first >= maxItems {
		return m, malformed("lot")
	}
	var err error
	if m.signers, err = getIDs(s); err != nil {
		return m, err
	}
	if !s.CopyBytes(m.epoch[:]) {
		return m, malformed("short epoch")
	}
	k, err := count(s, maxLot, pubnonceSize+8)
	if err != nil {
		return m, err
	}
	if k == 0 {
		return m, malformed("empty lot")
	}
	m.slots = make([]slot, k)
	used := make(map[uint64]bool, k)
	for i := range m.slots {
		p := &m.slots[i]
		if !s.CopyBytes(p.aggnonce[:]) || !s.ReadUint64(&p.index) {
			return m, malformed("short slot")
		}
		if used[p.index] {
			return m, malformed("one pair for two items") // would reveal the share
		}
		used[p.index] = true
	}
	return m, nil
}

func getPSig(s *cryptobyte.String) (psigMsg, error) {
	var m psigMsg
	if err := getSession(s, &m.request, &m.session); err != nil {
		return m, err
	}
	k, err := count(s, maxLot, psigSize)
	if err != nil {
		return m, err
	}
	if k == 0 {
		return m, malformed("no partial signature")
	}
	m.psigs = make([][psigSize]byte, k)
	for i := range m.psigs {
		if !s.CopyBytes(m.psigs[i][:]) {
			return m, malformed("short PSIG")
		}
	}
	if !s.CopyBytes(m.vouch[:]) {
		return m, malformed("short PSIG")
	}
	m.refill, err = getNonces(s)
	return m, err
}

func getNo(s *cryptobyte.String) (noMsg, error) {
	var m noMsg
	if err := getSession(s, &m.request, &m.session); err != nil {
		return m, err
	}
	var r uint8
	var code cryptobyte.String
	if !s.ReadUint8(&r) || !s.CopyBytes(m.epoch[:]) || !s.ReadUint8LengthPrefixed(&code) {
		return m, malformed("short NO")
	}
	if m.reason = reason(r); m.reason < noPolicy || m.reason > noLimit {
		return m, malformed("unknown reason")
	}
	if m.code = string(code); (m.reason == noPolicy) != validCode(m.code) || (m.reason != noPolicy && m.code != "") {
		return m, malformed("refusal code")
	}
	return m, nil
}

func getDone(s *cryptobyte.String) (doneMsg, error) {
	var m doneMsg
	if !s.CopyBytes(m.request[:]) {
		return m, malformed("short DONE")
	}
	k, err := count(s, maxItems, sigSize)
	if err != nil {
		return m, err
	}
	if k == 0 {
		return m, malformed("no signature")
	}
	m.sigs = make([][sigSize]byte, k)
	for i := range m.sigs {
		if !s.CopyBytes(m.sigs[i][:]) {
			return m, malformed("short DONE")
		}
	}
	return m, nil
}

// validCode accepts snake_case of bounded length: a refusal code comes from a
// peer and ends up in logs and on screens.
func validCode(c string) bool {
	if len(c) == 0 || len(c) > maxCode {
		return false
	}
	for i := range len(c) {
		if b := c[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' {
			return false
		}
	}
	return true
}
