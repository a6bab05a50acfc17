package epoch

import (
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
)

const (
	version = 1

	outPointSize = 32 + 4
	maxScript    = 34 // P2WSH and P2TR are the longest that bitcoin.TypeOf takes
	memberSize   = 33 + 1 + MaxPeer + 32 + 1 + maxScript + 8
	changeSize   = 32 + 1 + 1 + 32
	termsSize    = 3*2 + 3*8 + 2*int(classes-1) + 32

	// MaxDescriptor bounds what Decode reads, in bytes.
	MaxDescriptor = 1 + 1 + 32 + 4 + 32 + outPointSize + 33 + 1 + termsSize +
		1 + MaxMembers*memberSize + 2 + MaxChanges*changeSize
)

// Tags of BIP 340 hashes.
var (
	tagDescriptor = []byte("frostfed/v1/epoch")
	tagChainCode  = []byte("frostfed/v1/epoch/chain code")
)

// Hash names the epoch: the tagged hash of Bytes.
func (d *Descriptor) Hash() [32]byte {
	return *chainhash.TaggedHash(tagDescriptor, d.Bytes())
}

// Bytes is the canonical encoding, integers big-endian:
//
//	version u8=1 | network u8 | federation [32] | number u32 | previous [32] |
//	previous thread [36] | key [33] | threshold u8 | terms |
//	n u8 | n * (host [33] | peer u8+bytes | bond [32] | refund u8+bytes | value u64) |
//	c u16 | c * (bond [32] | kind u8 | class u8 | evidence [32])
//
//	terms: delay u16 | deposit delay u16 | depth u16 | min bond u64 | entry fee u64 |
//	max fee rate u64 | 3 * penalty u16 | recovery [32]
//
// An outpoint is the 32 bytes of the txid in the order that transactions use, and
// the output number, u32.
func (d *Descriptor) Bytes() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 512+len(d.Members)*memberSize))
	b.AddUint8(version)
	b.AddUint8(uint8(d.Network))
	b.AddBytes(d.Federation[:])
	b.AddUint32(d.Number)
	b.AddBytes(d.Previous[:])
	addOutPoint(b, d.PreviousThread)
	b.AddBytes(d.Key[:])
	b.AddUint8(uint8(d.Threshold))
	d.Terms.encode(b)
	b.AddUint8(uint8(len(d.Members)))
	for i := range d.Members {
		m := &d.Members[i]
		b.AddBytes(m.Host[:])
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.Peer)) })
		b.AddBytes(m.Bond[:])
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.Refund) })
		b.AddUint64(uint64(m.Value))
	}
	b.AddUint16(uint16(len(d.Changes)))
	for _, c := range d.Changes {
		b.AddBytes(c.Bond[:])
		b.AddUint8(uint8(c.Kind))
		b.AddUint8(uint8(c.Class))
		b.AddBytes(c.Evidence[:])
	}
	return b.BytesOrPanic() // Check bounds what is length-prefixed
}

func (t *Terms) encode(b *cryptobyte.Builder) {
	b.AddUint16(t.Delay)
	b.AddUint16(t.DepositDelay)
	b.AddUint16(t.Depth)
	b.AddUint64(uint64(t.MinBond))
	b.AddUint64(uint64(t.EntryFee))
	b.AddUint64(uint64(t.MaxFeeRate))
	for _, p := range t.Penalties {
		b.AddUint16(p)
	}
	b.AddBytes(t.Recovery[:])
}

// Decode reads what Bytes wrote and checks it. Whatever it accepts encodes to the
// same bytes again. Errors are ErrDescriptor.
func Decode(raw []byte) (*Descriptor, error) {
	if len(raw) > MaxDescriptor {
		return nil, bad("%d bytes, at most %d", len(raw), MaxDescriptor)
	}
	d := new(Descriptor)
	s := cryptobyte.String(raw)
	var v, network, threshold, members uint8
	var changes uint16
	if !s.ReadUint8(&v) || v != version {
		return nil, bad("unknown version")
	}
	if !s.ReadUint8(&network) || !s.CopyBytes(d.Federation[:]) || !s.ReadUint32(&d.Number) ||
		!s.CopyBytes(d.Previous[:]) || !readOutPoint(&s, &d.PreviousThread) || !s.CopyBytes(d.Key[:]) ||
		!s.ReadUint8(&threshold) || !d.Terms.decode(&s) || !s.ReadUint8(&members) || members > MaxMembers {
		return nil, bad("damaged")
	}
	d.Network, d.Threshold = bitcoin.Network(network), int(threshold)
	for range members {
		var m Member
		if !m.decode(&s) {
			return nil, bad("damaged")
		}
		d.Members = append(d.Members, m)
	}
	if !s.ReadUint16(&changes) || changes > MaxChanges {
		return nil, bad("damaged")
	}
	for range changes {
		var c Change
		if !s.CopyBytes(c.Bond[:]) || !s.ReadUint8((*uint8)(&c.Kind)) || !s.ReadUint8((*uint8)(&c.Class)) ||
			!s.CopyBytes(c.Evidence[:]) {
			return nil, bad("damaged")
		}
		d.Changes = append(d.Changes, c)
	}
	if !s.Empty() {
		return nil, bad("%d bytes after its end", len(s))
	}
	return d, d.Check()
}

func (t *Terms) decode(s *cryptobyte.String) bool {
	var rate uint64
	if !s.ReadUint16(&t.Delay) || !s.ReadUint16(&t.DepositDelay) || !s.ReadUint16(&t.Depth) ||
		!readSat(s, &t.MinBond) || !readSat(s, &t.EntryFee) || !s.ReadUint64(&rate) {
		return false
	}
	t.MaxFeeRate = bitcoin.SatPerKWU(rate)
	for i := range t.Penalties {
		if !s.ReadUint16(&t.Penalties[i]) {
			return false
		}
	}
	return s.CopyBytes(t.Recovery[:])
}

func (m *Member) decode(s *cryptobyte.String) bool {
	var peer, refund cryptobyte.String
	if !s.CopyBytes(m.Host[:]) || !s.ReadUint8LengthPrefixed(&peer) || !s.CopyBytes(m.Bond[:]) ||
		!s.ReadUint8LengthPrefixed(&refund) || !readSat(s, &m.Value) {
		return false
	}
	m.Peer, m.Refund = string(peer), append([]byte(nil), refund...)
	return true
}

// readSat leaves the range to Check: what does not fit an int64 becomes negative.
func readSat(s *cryptobyte.String, v *bitcoin.Sat) bool {
	var u uint64
	ok := s.ReadUint64(&u)
	*v = bitcoin.Sat(u)
	return ok
}

func addOutPoint(b *cryptobyte.Builder, op wire.OutPoint) {
	b.AddBytes(op.Hash[:])
	b.AddUint32(op.Index)
}

func readOutPoint(s *cryptobyte.String, op *wire.OutPoint) bool {
	return s.CopyBytes(op.Hash[:]) && s.ReadUint32(&op.Index)
}

// hashString shortens a hash for error texts.
func hashString(h [32]byte) string { return fmt.Sprintf("%.4x", h) }
