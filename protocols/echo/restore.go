package echo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// Two records per instance, id being SHA-256 of sender u8+bytes, topic u8+bytes:
//
//	v/<hex id>  version u8=1 | sender u8+bytes | topic u8+bytes | set u8 | (hash [32] | sig [64]) for each bit of set
//	p/<hex id>  version u8=1 | payload
//
// set says what follows, in this order: 1 own ECHO, 2 own READY, 4 what was
// delivered. The payload is the one delivered, or before that the one of own ECHO.
// The records are apart so that a vote does not write a MiB again.
const (
	recordVotes   = "v/"
	recordPayload = "p/"
	recordVersion = 1
)

func (k key) id() string {
	var b cryptobyte.Builder
	addShort(&b, string(k.sender))
	addShort(&b, k.topic)
	h := sha256.Sum256(b.BytesOrPanic()) // lengths were checked by New, Broadcast and decode
	return hex.EncodeToString(h[:])
}

// own returns the three values of the votes record, none where absent.
func (in *instance) own(self int) [3]int16 {
	return [3]int16{in.echoes[self], in.readies[self], in.delivered}
}

// save persists what changed in this step.
func (in *instance) save(self int, e *Effects) {
	if in.stored {
		in.stored = false
		v := append([]byte{recordVersion}, in.payload...)
		e.Persist = append(e.Persist, protocols.Record{Key: recordPayload + in.id(), Value: v})
	}
	if !in.voted {
		return
	}
	in.voted = false
	var b cryptobyte.Builder
	b.AddUint8(recordVersion)
	addShort(&b, string(in.key.sender))
	addShort(&b, in.topic)
	var set uint8
	for i, v := range in.own(self) {
		if v >= 0 {
			set |= 1 << i
		}
	}
	b.AddUint8(set)
	for _, v := range in.own(self) {
		if v >= 0 {
			b.AddBytes(in.values[v].hash[:])
			b.AddBytes(in.values[v].sig[:])
		}
	}
	e.Persist = append(e.Persist, protocols.Record{Key: recordVotes + in.id(), Value: b.BytesOrPanic()})
}

// erase deletes the records of an instance. Deleting what is not there is fine.
func (in *instance) erase(e *Effects) {
	id := in.id()
	e.Persist = append(e.Persist,
		protocols.Record{Key: recordVotes + id},
		protocols.Record{Key: recordPayload + id})
}

// Restore rebuilds the machine from its records, in any order. Votes of others are
// not among them: they come again by their Resync, because a restart is a new boot
// to package acked. Effects repeat Delivered for each delivered instance, name
// equivocators again, and delete instances of senders that are no longer members;
// own votes are said again to all members by the next Ticks. It returns ErrRecord
// if records do not fit together, and the errors of New.
func Restore(cfg Config, records []protocols.Record) (*Machine, Effects, error) {
	m, err := New(cfg)
	if err != nil {
		return nil, Effects{}, err
	}
	payloads := make(map[string][]byte)
	var votes []protocols.Record
	for _, r := range records {
		switch {
		case strings.HasPrefix(r.Key, recordVotes):
			votes = append(votes, r)
		case strings.HasPrefix(r.Key, recordPayload) && len(r.Value) > 0 && r.Value[0] == recordVersion:
			payloads[r.Key[len(recordPayload):]] = r.Value[1:]
		default:
			return nil, Effects{}, fmt.Errorf("echo: restore %q: %w", r.Key, ErrRecord)
		}
	}
	slices.SortFunc(votes, func(a, b protocols.Record) int { return strings.Compare(a.Key, b.Key) })
	var e Effects
	for _, r := range votes {
		if err := m.restoreInstance(r, payloads, &e); err != nil {
			return nil, Effects{}, fmt.Errorf("echo: restore %q: %w", r.Key, err)
		}
	}
	if len(payloads) > 0 {
		return nil, Effects{}, fmt.Errorf("echo: restore: %w: payload without votes", ErrRecord)
	}
	if len(m.instances) > 0 {
		for i := range m.replays {
			if i != m.self {
				m.replays[i].at = 0
			}
		}
	}
	return m, e, nil
}

// restoreInstance takes its payload out of payloads.
func (m *Machine) restoreInstance(r protocols.Record, payloads map[string][]byte, e *Effects) error {
	k, own, err := decodeVotes(r.Value)
	if err != nil {
		return err
	}
	id := k.id()
	if r.Key != recordVotes+id {
		return fmt.Errorf("%w: key of another instance", ErrRecord)
	}
	payload, stored := payloads[id]
	delete(payloads, id)
	if _, ok := m.index[k.sender]; !ok {
		(&instance{key: k}).erase(e)
		return nil
	}
	in := newInstance(k, m.index[k.sender], len(m.cfg.Members))
	for i, s := range own {
		if s == nil {
			continue
		}
		v := in.find(s.hash)
		if v == none {
			v = int16(len(in.values))
			in.values = append(in.values, value{signed: *s})
			if v == 1 {
				m.report(in, *s, e)
			}
		}
		switch i {
		case 0:
			in.count(kindEcho, m.self, v)
			in.sendSeen = true
		case 1:
			in.count(kindReady, m.self, v)
		case 2:
			in.delivered = v
		}
	}
	m.instances[k] = in
	m.usage[in.sender].instances++
	holds := in.delivered
	if holds == none {
		holds = in.echoes[m.self]
	}
	if stored != (holds != none) || stored && in.values[holds].hash != HashPayload(payload) {
		return fmt.Errorf("%w: payload does not match the votes", ErrRecord)
	}
	if stored {
		m.hold(in, holds, payload)
		in.stored = false
	}
	if in.delivered != none {
		e.Out = append(e.Out, in.decision())
	}
	return nil
}

func decodeVotes(b []byte) (k key, own [3]*signed, err error) {
	s := cryptobyte.String(b)
	var version, set uint8
	if !s.ReadUint8(&version) || version != recordVersion {
		return k, own, fmt.Errorf("%w: version", ErrRecord)
	}
	sender, ok := readShort(&s, MaxNodeID)
	topic, ok2 := readShort(&s, MaxTopic)
	if !ok || !ok2 || !s.ReadUint8(&set) || set == 0 || set > 7 {
		return k, own, fmt.Errorf("%w: header", ErrRecord)
	}
	for i := range own {
		if set&(1<<i) == 0 {
			continue
		}
		own[i] = new(signed)
		if !s.CopyBytes(own[i].hash[:]) || !s.CopyBytes(own[i].sig[:]) {
			return k, own, fmt.Errorf("%w: length", ErrRecord)
		}
	}
	if !s.Empty() {
		return k, own, fmt.Errorf("%w: trailing bytes", ErrRecord)
	}
	return key{protocols.NodeID(sender), topic}, own, nil
}
