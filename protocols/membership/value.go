package membership

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

// What a slot decides. The numbers are part of the encoding.
const (
	valueBatch   byte = 1 // begin a key generation for these proposals
	valueSeal    byte = 2 // the key is there: this is the transition
	valueDrop    byte = 3 // no key: begin anew without who is to blame
	valueAbandon byte = 4 // the sealed transition can never confirm
)

const (
	tagValue    = "frostfed/v1/membership/value"
	tagCeremony = "frostfed/v1/membership/ceremony"
)

// value is what a slot decides: one of its fields, or none for valueAbandon.
type value struct {
	kind   byte
	batch  *batch
	seal   *epoch.Proposal
	blamed [][32]byte // of valueDrop: bond keys, ascending
}

// batch is what the next epoch is to change.
type batch struct {
	height    bitcoin.Height // of the leader: decides what has expired
	proposals []ID           // ascending
	exited    [][32]byte     // bond keys of members whose bonds are gone, ascending
	hosts     [][33]byte     // next host keys of members who stay, in the order of the old epoch
}

// encode is canonical, integers big-endian:
//
//	1 | height u32 | p u8 | p * proposal [32] | x u8 | x * bond [32] | h u8 | h * host [33]
//	2 | epoch.Proposal
//	3 | b u8 | b * bond [32]
//	4
func (v *value) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(v.kind)
	switch v.kind {
	case valueBatch:
		b.AddUint32(uint32(v.batch.height))
		b.AddUint8(uint8(len(v.batch.proposals)))
		for _, id := range v.batch.proposals {
			b.AddBytes(id[:])
		}
		addKeys(b, v.batch.exited)
		b.AddUint8(uint8(len(v.batch.hosts)))
		for _, host := range v.batch.hosts {
			b.AddBytes(host[:])
		}
	case valueSeal:
		b.AddBytes(v.seal.Bytes())
	case valueDrop:
		addKeys(b, v.blamed)
	}
	return b.BytesOrPanic() // at most MaxMembers of everything
}

// decodeValue reads what encode wrote, and that only.
func decodeValue(raw []byte) (*value, error) {
	damaged := fmt.Errorf("%w: damaged value", ErrProposal)
	s := cryptobyte.String(raw)
	v := new(value)
	if len(raw) > maxValue || !s.ReadUint8(&v.kind) {
		return nil, damaged
	}
	ok := false
	switch v.kind {
	case valueBatch:
		v.batch, ok = decodeBatch(&s)
	case valueSeal:
		var err error
		if v.seal, err = epoch.DecodeProposal(s); err != nil {
			return nil, err
		}
		return v, nil
	case valueDrop:
		ok = readKeys(&s, &v.blamed)
	case valueAbandon:
		ok = true
	}
	if !ok || !s.Empty() {
		return nil, damaged
	}
	return v, nil
}

func decodeBatch(s *cryptobyte.String) (*batch, bool) {
	b := new(batch)
	var height uint32
	var ids [][32]byte
	var hosts uint8
	if !s.ReadUint32(&height) || !readKeys(s, &ids) || !readKeys(s, &b.exited) || !s.ReadUint8(&hosts) || hosts > protocols.MaxMembers {
		return nil, false
	}
	b.height = bitcoin.Height(height)
	for _, id := range ids {
		b.proposals = append(b.proposals, id)
	}
	for range hosts {
		var host [33]byte
		if !s.CopyBytes(host[:]) || !memberkey.ValidPublic(host[:]) {
			return nil, false
		}
		b.hosts = append(b.hosts, host)
	}
	return b, true
}

func addKeys(b *cryptobyte.Builder, keys [][32]byte) {
	b.AddUint8(uint8(len(keys)))
	for _, k := range keys {
		b.AddBytes(k[:])
	}
}

// readKeys wants them ascending.
func readKeys(s *cryptobyte.String, keys *[][32]byte) bool {
	var n uint8
	if !s.ReadUint8(&n) || int(n)*32 > len(*s) {
		return false
	}
	for i := range n {
		var k [32]byte
		s.CopyBytes(k[:])
		if i > 0 && bytes.Compare((*keys)[i-1][:], k[:]) >= 0 {
			return false
		}
		*keys = append(*keys, k)
	}
	return true
}

func sortKeys(keys [][32]byte) {
	slices.SortFunc(keys, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
}

// CeremonyID names the key generation that a batch began: it commits to the epoch
// before, and to what was decided and when.
func ceremonyID(descriptor [32]byte, slot int, batch []byte) [32]byte {
	return memberkey.Hash(tagCeremony, descriptor[:], []byte{byte(slot)}, batch)
}

func valueHash(raw []byte) [32]byte { return memberkey.Hash(tagValue, raw) }
