package roast

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"frostfed/crypto/rfc9591"
	"frostfed/protocols"

	"golang.org/x/crypto/cryptobyte"
)

// finished is a request whose signature is known.
type finished struct {
	id        requestID
	seq       uint64 // order of finishing
	key       [32]byte
	digest    [32]byte
	signature []byte
	served    map[int]int // DONE sent in answer, by member; bounds what asking costs us
}

const maxServed = 4

// history is the newest finished requests.
type history struct {
	limit  int
	byID   map[requestID]*finished
	oldest []*finished
	seq    uint64
}

func newHistory(limit int) history { return history{limit: limit, byID: make(map[requestID]*finished)} }

// add appends f and returns those that no longer fit.
func (h *history) add(f *finished) (evicted []*finished) {
	h.byID[f.id] = f
	h.oldest = append(h.oldest, f)
	h.seq = max(h.seq, f.seq)
	for len(h.oldest) > h.limit {
		evicted = append(evicted, h.oldest[0])
		delete(h.byID, h.oldest[0].id)
		h.oldest = slices.Delete(h.oldest, 0, 1)
	}
	return evicted
}

// finish records a verified signature and says so; the coordinator tells all.
func (m *Machine) finish(fx *effects, r *request, signature []byte, coordinator bool) {
	m.forget(r.id)
	f := &finished{id: r.id, seq: m.history.seq + 1, key: r.key.id, digest: r.digest,
		signature: slices.Clone(signature), served: make(map[int]int)}
	fx.Persist = append(fx.Persist, f.record())
	for _, old := range m.history.add(f) {
		fx.Persist = append(fx.Persist, protocols.Record{Key: recordKey(old.id)})
	}
	fx.Out = append(fx.Out, Signed{r.id, r.key.id, slices.Clone(signature)})
	if !coordinator {
		return
	}
	for i := range m.cfg.Members {
		if i != m.self {
			m.send(fx, i, message{kind: kindDone, request: r.id, signature: f.signature})
		}
	}
}

// serve sends a finished request to a member that still works on it.
func (m *Machine) serve(fx *effects, to int, id requestID) {
	f := m.history.byID[id]
	if to == m.self || f.served[to] >= maxServed {
		return
	}
	f.served[to]++
	m.send(fx, to, message{kind: kindDone, request: id, signature: f.signature})
}

// onDone takes a finished signature. It counts only if it verifies under the key
// and the message that this member approved. One that comes before the approval
// is asked for again by READY.
func (m *Machine) onDone(fx *effects, from int, msg message) {
	r := m.requests[msg.request]
	if r == nil || r.checking[from] {
		return
	}
	r.checking[from] = true
	key, signature := r.key.public, slices.Clone(msg.signature)
	m.work(fx, func() any {
		return rfc9591.Verify(key.Suite(), key.PublicKey(), r.message, signature)
	}, func(fx *effects, result any) {
		delete(r.checking, from)
		switch {
		case m.requests[r.id] != r:
		case !result.(bool):
			m.fault(fx, from, FaultSignature, "signature does not verify")
		default:
			m.finish(fx, r, signature, false)
		}
	})
}

// A record holds one finished request:
//
//	key    d/<request, hex>
//	value  1 | seq 8 | key 32 | digest 32 | signature 1+len
const (
	recordPrefix  = "d/"
	recordVersion = 1
)

// ErrRecords reports records that this package did not write.
var ErrRecords = errors.New("corrupt roast records")

func recordKey(id requestID) string { return recordPrefix + hex.EncodeToString(id[:]) }

func (f *finished) record() protocols.Record {
	var b cryptobyte.Builder
	b.AddUint8(recordVersion)
	b.AddUint64(f.seq)
	b.AddBytes(f.key[:])
	b.AddBytes(f.digest[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(f.signature) })
	return protocols.Record{Key: recordKey(f.id), Value: b.BytesOrPanic()}
}

func parseRecord(rec protocols.Record) (*finished, bool) {
	f := &finished{served: make(map[int]int)}
	name, found := strings.CutPrefix(rec.Key, recordPrefix)
	id, err := hex.DecodeString(name)
	if !found || err != nil || len(id) != len(f.id) || recordKey(requestID(id)) != rec.Key {
		return nil, false // two spellings of a key would be two records of one request
	}
	f.id = requestID(id)
	s := cryptobyte.String(rec.Value)
	var version byte
	ok := s.ReadUint8(&version) && version == recordVersion && s.ReadUint64(&f.seq) && s.CopyBytes(f.key[:]) &&
		s.CopyBytes(f.digest[:]) && readBytes(&s, &f.signature, 64, maxSignature) && s.Empty()
	f.signature = bytes.Clone(f.signature)
	return f, ok
}

// Restore returns the machine of an earlier process, from the records it
// persisted. Keys and unfinished requests are not among them: AddKey and Approve
// bring them again. The effects delete what no longer fits History.
func Restore(cfg Config, records []protocols.Record) (*Machine, protocols.Effects[Event], error) {
	var fx effects
	m, err := New(cfg)
	if err != nil {
		return nil, fx, err
	}
	var all []*finished
	for _, rec := range records {
		f, ok := parseRecord(rec)
		if !ok {
			return nil, fx, fmt.Errorf("%w: %q", ErrRecords, rec.Key)
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *finished) int {
		if a.seq < b.seq {
			return -1
		}
		return 1 // sequence numbers are distinct
	})
	for _, f := range all {
		for _, old := range m.history.add(f) {
			fx.Persist = append(fx.Persist, protocols.Record{Key: recordKey(old.id)})
		}
	}
	return m, fx, nil
}
