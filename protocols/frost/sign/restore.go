package sign

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"frostfed/protocols"

	"golang.org/x/crypto/cryptobyte"
)

// A record holds one finished request:
//
//	key    d/<request, hex>
//	value  1 | seq 8 | key 32 | digest 32 | k 2 | k * signature 64
//
// Nothing else is durable. Secret nonces must not be; sessions and partial
// signatures cannot outlive them; approvals are the composer's.
const (
	recordPrefix  = "d/"
	recordVersion = 1
)

func recordKey(id requestID) string { return recordPrefix + hex.EncodeToString(id[:]) }

func (f *finished) record() protocols.Record {
	return protocols.Record{Key: recordKey(f.id), Value: build(recordVersion, func(b *cryptobyte.Builder) {
		b.AddUint64(f.seq)
		b.AddBytes(f.key[:])
		b.AddBytes(f.digest[:])
		b.AddUint16(uint16(len(f.sigs)))
		for i := range f.sigs {
			b.AddBytes(f.sigs[i][:])
		}
	})}
}

func parseRecord(rec protocols.Record) (*finished, error) {
	f := &finished{served: make(map[int]int)}
	name, found := strings.CutPrefix(rec.Key, recordPrefix)
	id, err := hex.DecodeString(name)
	if !found || err != nil || len(id) != len(f.id) {
		return nil, malformed("record key")
	}
	f.id = requestID(id)
	s := cryptobyte.String(rec.Value)
	var version byte
	if !s.ReadUint8(&version) || version != recordVersion {
		return nil, malformed("record version")
	}
	if !s.ReadUint64(&f.seq) || !s.CopyBytes(f.key[:]) || !s.CopyBytes(f.digest[:]) {
		return nil, malformed("short record")
	}
	k, err := count(&s, maxItems, sigSize)
	if err != nil {
		return nil, err
	}
	if k == 0 || len(s) != k*sigSize {
		return nil, malformed("length of record")
	}
	f.sigs = make([][sigSize]byte, k)
	for i := range f.sigs {
		s.CopyBytes(f.sigs[i][:]) // length checked above
	}
	return f, nil
}

// Restore returns the machine of an earlier process, from the records it
// persisted. Keys and unfinished requests are not among them: AddKey and Approve
// bring them again, and nonce pools start empty under the new epoch. The effects
// delete what no longer fits History.
func Restore(cfg Config, records []protocols.Record) (*Machine, protocols.Effects[Event], error) {
	m, err := New(cfg)
	if err != nil {
		return nil, effects{}, err
	}
	var all []*finished
	for _, rec := range records {
		f, err := parseRecord(rec)
		if err != nil {
			return nil, effects{}, fmt.Errorf("restore signatures: %w", err)
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *finished) int {
		if a.seq < b.seq {
			return -1
		}
		return 1 // sequence numbers are distinct
	})
	var fx effects
	for _, f := range all {
		for _, old := range m.history.add(f) {
			fx.Persist = append(fx.Persist, protocols.Record{Key: recordKey(old.id)})
		}
	}
	return m, fx, nil
}
