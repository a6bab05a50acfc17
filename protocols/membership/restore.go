package membership

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// Records, relative to the machine:
//
//	e/<epoch>                      state: txid, pot, descriptor
//	d/<iii>/<topic>                what member iii broadcast
//	o/<topic>                      what this member broadcast, before it did
//	p/<epoch>/<slot>               what this member promised to sign, before it said so
//	t/<epoch>/<slot>/<variant>     signatures of a transition, by input
//	x/<epoch>                      shares are erased
const recordVersion = 1

// ErrRecords reports records that this package did not write.
var ErrRecords = errors.New("corrupt membership records")

func stateRecord(s *epoch.State) protocols.Record {
	b := cryptobyte.NewBuilder([]byte{recordVersion})
	b.AddBytes(s.TxID[:])
	b.AddUint64(uint64(s.Pot))
	b.AddBytes(s.Descriptor.Bytes())
	return protocols.Record{Key: stateKey(s.Number), Value: b.BytesOrPanic()}
}

func stateKey(number uint32) string  { return "e/" + strconv.FormatUint(uint64(number), 10) }
func erasedKey(number uint32) string { return "x/" + strconv.FormatUint(uint64(number), 10) }

func deliveredKey(from int, text string) string { return fmt.Sprintf("d/%03d/%s", from, text) }

func deliveredRecord(from int, text string, payload []byte) protocols.Record {
	return protocols.Record{Key: deliveredKey(from, text), Value: append([]byte{recordVersion}, payload...)}
}

func ownRecord(text string, payload []byte) protocols.Record {
	return protocols.Record{Key: "o/" + text, Value: append([]byte{recordVersion}, payload...)}
}

func promiseKey(r *era, s *seal) string { return fmt.Sprintf("p/%d/%d", r.number(), s.slot) }

func promiseRecord(r *era, s *seal) protocols.Record {
	b := cryptobyte.NewBuilder([]byte{recordVersion})
	b.AddUint32(uint32(s.promised))
	b.AddBytes(s.proposal.Bytes())
	return protocols.Record{Key: promiseKey(r, s), Value: b.BytesOrPanic()}
}

func signedKey(r *era, s *seal, variant int) string {
	return fmt.Sprintf("t/%d/%d/%d", r.number(), s.slot, variant)
}

func signedRecord(r *era, s *seal, variant int) protocols.Record {
	v := []byte{recordVersion}
	for _, in := range s.signed[variant].TxIn {
		v = append(v, in.Witness[0]...)
	}
	return protocols.Record{Key: signedKey(r, s, variant), Value: v}
}

func del(key string) protocols.Record { return protocols.Record{Key: key} }

// forget drops what the members of an epoch said, but not what they signed.
func (r *era) forget() []protocols.Record {
	var out []protocols.Record
	for text := range r.own {
		out = append(out, del("o/"+text))
	}
	for i, said := range r.delivered {
		for text := range said {
			out = append(out, del(deliveredKey(i, text)))
		}
		clear(said)
	}
	clear(r.own)
	clear(r.entries)
	r.slots = [maxSlots]*slot{}
	slices.SortFunc(out, func(a, b protocols.Record) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// remove drops an epoch for good.
func (r *era) remove() []protocols.Record {
	out := append(r.forget(), del(stateKey(r.number())), del(erasedKey(r.number())))
	for _, s := range r.seals {
		out = append(out, del(promiseKey(r, s)))
		for v := range maxVariants {
			if s.signed[v] != nil {
				out = append(out, del(signedKey(r, s, v)))
			}
		}
	}
	return out
}

// Restore rebuilds a machine from its records, in any order, and asks again for the
// broadcasts that have not come back. All else waits for Tip, KeyActive and KeyFailed:
// who restores key generation calls those again. Errors are ErrConfig and ErrRecords.
func Restore(cfg Config, records []protocols.Record) (*Machine, protocols.Effects[Event], error) {
	var e effects
	m, err := newMachine(cfg)
	if err != nil {
		return nil, e, err
	}
	records = slices.Clone(records)
	// States first, promises after what was said, transactions after promises.
	slices.SortFunc(records, func(a, b protocols.Record) int { return strings.Compare(rank(a.Key), rank(b.Key)) })
	folded := false
	for _, r := range records {
		if !folded && rank(r.Key) >= "4" {
			m.refold()
			folded = true
		}
		if len(r.Value) == 0 || r.Value[0] != recordVersion || !m.load(r.Key, r.Value[1:]) {
			return nil, effects{}, fmt.Errorf("%w: %q", ErrRecords, r.Key)
		}
	}
	if len(m.eras) == 0 {
		return nil, effects{}, fmt.Errorf("%w: no epoch", ErrRecords)
	}
	for i, r := range m.eras {
		if i > 0 && r.number() != m.eras[i-1].number()+1 {
			return nil, effects{}, fmt.Errorf("%w: epochs are missing", ErrRecords)
		}
	}
	if !folded {
		m.refold()
	}
	for _, r := range m.eras {
		m.repeat(r, &e)
	}
	m.watch(&e)
	return m, e, nil
}

func rank(key string) string {
	for i, prefix := range []string{"e/", "x/", "o/", "d/", "p/", "t/"} {
		if strings.HasPrefix(key, prefix) {
			return strconv.Itoa(i) + key
		}
	}
	return "9" + key
}

func (m *Machine) refold() {
	for _, r := range m.eras {
		for r.fold(0) {
		}
		// An own vote in a round means that this member was there.
		for k := len(r.decided); r.self >= 0 && k < maxSlots; k++ {
			for i := range maxRounds {
				if r.said(topicPre, k, i) || r.said(topicCommit, k, i) || r.said(topicValue, k, i) {
					r.slot(k).round = i
				}
			}
		}
	}
}

// repeat asks again for own broadcasts that were not delivered here.
func (m *Machine) repeat(r *era, e *effects) {
	var texts []string
	for text := range r.own {
		if _, ok := r.delivered[r.self][text]; !ok {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	for _, text := range texts {
		e.Out = append(e.Out, Broadcast{Topic: text, Payload: r.own[text]})
	}
}

func (m *Machine) load(key string, v []byte) bool {
	kind, rest, ok := strings.Cut(key, "/")
	if !ok {
		return false
	}
	switch kind {
	case "e":
		return m.loadState(rest, v)
	case "x":
		r, ok := m.loadEra(rest)
		if ok {
			r.erased = true
		}
		return ok && len(v) == 0
	case "o":
		t, ok := parseTopic(rest)
		r := m.era(t.epoch)
		if !ok || r == nil || r.self < 0 || !sound(t, v) {
			return false
		}
		r.own[rest] = v
		return true
	case "d":
		member, text, _ := strings.Cut(rest, "/")
		i, ok := below(member, protocols.MaxMembers)
		t, ok2 := parseTopic(text)
		r := m.era(t.epoch)
		if !ok || !ok2 || r == nil || i >= r.n() || fmt.Sprintf("%03d", i) != member || r.take(i, t, v) != "" {
			return false
		}
		r.delivered[i][text] = v
		return true
	case "p":
		return m.loadPromise(rest, v)
	case "t":
		return m.loadSigned(rest, v)
	}
	return false
}

// sound checks the own messages that are read again.
func sound(t topic, v []byte) bool {
	return t.kind != topicPre && t.kind != topicCommit && t.kind != topicPromise || len(v) == 32
}

func (m *Machine) loadEra(text string) (*era, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	r := m.era(uint32(n))
	return r, err == nil && r != nil && strconv.FormatUint(n, 10) == text
}

func (m *Machine) loadState(text string, v []byte) bool {
	s := cryptobyte.String(v)
	state := new(epoch.State)
	var pot uint64
	if !s.CopyBytes(state.TxID[:]) || !s.ReadUint64(&pot) {
		return false
	}
	d, err := epoch.Decode(s)
	if err != nil || text != strconv.FormatUint(uint64(d.Number), 10) || d.Federation != [32]byte(m.cfg.Charter.ID()) {
		return false
	}
	state.Pot = bitcoin.Sat(pot)
	if state.Epoch, err = epoch.New(*d); err != nil || m.era(d.Number) != nil {
		return false
	}
	m.eras = append(m.eras, newEra(state, m.cfg.Charter, m.cfg.Self))
	slices.SortFunc(m.eras, func(a, b *era) int { return int(int64(a.number()) - int64(b.number())) })
	return true
}

func (m *Machine) loadPromise(rest string, v []byte) bool {
	number, slotText, _ := strings.Cut(rest, "/")
	r, ok := m.loadEra(number)
	k, ok2 := below(slotText, maxSlots)
	s := cryptobyte.String(v)
	var height uint32
	if !ok || !ok2 || !s.ReadUint32(&height) || height == 0 {
		return false
	}
	p, err := epoch.DecodeProposal(s)
	if err != nil {
		return false
	}
	i := slices.IndexFunc(r.seals, func(o *seal) bool { return o.slot == k })
	if i < 0 {
		// What led to it is forgotten once the epoch is over, and not before.
		if !r.erased {
			return false
		}
		r.seals = append(r.seals, &seal{slot: k, proposal: p})
		i = len(r.seals) - 1
	}
	o := r.seals[i]
	o.promised, o.signed = bitcoin.Height(height), make(map[int]*wire.MsgTx)
	return fmt.Sprintf("p/%s", rest) == promiseKey(r, o) && bytes.Equal(p.Bytes(), o.proposal.Bytes())
}

func (m *Machine) loadSigned(rest string, v []byte) bool {
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return false
	}
	r, ok := m.loadEra(parts[0])
	k, ok2 := below(parts[1], maxSlots)
	variant, ok3 := below(parts[2], maxVariants)
	if !ok || !ok2 || !ok3 || len(v)%64 != 0 {
		return false
	}
	i := slices.IndexFunc(r.seals, func(o *seal) bool { return o.slot == k })
	if i < 0 || r.seals[i].promised == 0 || variant >= len(r.seals[i].build(r)) {
		return false
	}
	signatures := make([][64]byte, len(v)/64)
	for j := range signatures {
		signatures[j] = [64]byte(v[64*j:])
	}
	tx, err := r.seals[i].variants[variant].Spend.Finish(signatures)
	if err != nil {
		return false
	}
	r.seals[i].signed[variant] = tx
	return "t/"+rest == signedKey(r, r.seals[i], variant)
}
