package membership

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
	"frostfed/test/alloc"
)

// FuzzDecodeApplication: what is read has one encoding.
func FuzzDecodeApplication(f *testing.F) {
	hash := [32]byte{1}
	card := card(f, 9, "eve")
	a, err := NewApplication(hash, Application{Card: card, Refund: script(9), Value: epoch.MinBond}, &keysOf(f, 8, 0).Bond, [32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a *Application
		var err error
		alloc.Limit(t, len(raw), 64, 0, func() { a, err = DecodeApplication(hash, raw) })
		if err == nil && !bytes.Equal(a.Bytes(), raw) {
			t.Errorf("read %x, wrote %x", raw, a.Bytes())
		}
		if err != nil && !errors.Is(err, ErrApplication) && !errors.Is(err, ErrCard) && !errors.Is(err, ErrCardSignature) {
			t.Errorf("untyped error %v", err)
		}
	})
}

func FuzzDecodeProposal(f *testing.F) {
	hash, author := [32]byte{1}, [32]byte{2}
	a, err := NewApplication(hash, Application{Card: card(f, 9, "eve"), Refund: script(9), Value: epoch.MinBond}, &keysOf(f, 8, 0).Bond, [32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range []Proposal{
		{Kind: Leave, Expires: 7}, {Kind: Refresh, Expires: 8}, {Kind: Join, Application: a, Expires: 9},
		{Kind: Remove, Bond: [32]byte{3}, Class: epoch.Silence},
		{Kind: Remove, Bond: [32]byte{3}, Class: epoch.Equivocation, Evidence: []byte("proof")},
	} {
		f.Add(p.encode())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p *Proposal
		var err error
		alloc.Limit(t, len(raw), 64, 0, func() { p, err = decodeProposal(hash, author, raw) })
		if err != nil {
			return
		}
		if !bytes.Equal(p.encode(), raw) {
			t.Errorf("read %x, wrote %x", raw, p.encode())
		}
		// Two members that want to leave do not share a proposal, nor do two epochs.
		other, err := decodeProposal(hash, [32]byte{4}, raw)
		if err != nil || (other.ID() == p.ID()) == (p.Kind == Leave) {
			t.Errorf("%v by another: %v, %v", p.Kind, other.ID(), err)
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	for _, v := range seeds(f) {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := decodeValue(raw)
		if err == nil && !bytes.Equal(v.encode(), raw) {
			t.Errorf("read %x, wrote %x", raw, v.encode())
		}
	})
}

// seeds are the values of a life with everything in it.
func seeds(f *testing.F) [][]byte {
	w := newWorld(f, 4, 1)
	w.applicant(10)
	w.leave(w.order[0])
	w.until(1, 60)
	out := [][]byte{
		(&value{kind: valueDrop, blamed: [][32]byte{{1}, {2}}}).encode(), (&value{kind: valueAbandon}).encode(),
	}
	for _, o := range w.order[1].m.eras[0].decided {
		out = append(out, o.raw)
	}
	return out
}

// FuzzParseTopic: a topic has one text.
func FuzzParseTopic(f *testing.F) {
	for _, text := range []string{"0/host", "7/proposal/3", "1/promise/31", "4294967295/value/0/63", "2/pre/1/2", "2/commit/1/2",
		"1/vote/" + ID{1}.String(), "01/host", "1/pre/1/64", "1/pre/32/1", "1/promise/32", "1/proposal/8", "1/promise/-1", "1/vote/" + strings.ToUpper(ID{0xab}.String())} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tp, ok := parseTopic(text)
		if limit := map[string]int{topicProposal: maxProposals}[tp.kind]; ok && (tp.round >= maxRounds || tp.slot >= maxSlots || limit > 0 && tp.slot >= limit) {
			t.Errorf("%q is out of range", text)
		}
		if ok && tp.String() != text {
			t.Errorf("read %q, wrote %q", text, tp)
		}
		if number, same := TopicEpoch(text); same != ok || number != tp.epoch {
			t.Errorf("TopicEpoch: %d, %v", number, same)
		}
	})
}

// FuzzDelivered: whatever members broadcast, a machine goes on, blames only who said
// it, and comes back from its records as it was.
func FuzzDelivered(f *testing.F) {
	w := newWorld(f, 4, 1)
	w.applicant(10)
	state := w.state()
	cfg, watch := w.order[0].cfg, w.order[0].watch
	chain := w.view(watch)
	w.until(1, 60)
	f.Add(byte(1), "0/promise/99", make([]byte, 32))
	for key, payload := range w.sent {
		if at := strings.LastIndex(key, "|0/"); at > 0 {
			f.Add(byte(slices.Index(w.honest().m.eras[0].ids, protocols.NodeID(key[:at]))), key[at+1:], payload)
		}
	}
	f.Fuzz(func(t *testing.T, from byte, text string, payload []byte) {
		m, e, err := New(cfg, state)
		if err != nil {
			t.Fatal(err)
		}
		sender := m.eras[0].ids[int(from)%4]
		e.Append(m.Tip(0, chain))
		got := m.Delivered(0, sender, text, payload)
		for _, fault := range got.Faults {
			if fault.Culprit != sender {
				t.Errorf("blames %x", fault.Culprit)
			}
		}
		e.Append(got)
		nd := &node{disk: map[string][]byte{}}
		for _, r := range e.Persist {
			nd.disk[r.Key] = r.Value
		}
		again, _, err := Restore(cfg, records(nd))
		if err != nil {
			t.Fatalf("restore: %v", err)
		}
		if len(got.Faults) == 0 && len(again.eras[0].delivered[int(from)%4]) != len(m.eras[0].delivered[int(from)%4]) {
			t.Error("a message was not kept")
		}
	})
}

// FuzzRestore: records that this package did not write are refused, and never more.
func FuzzRestore(f *testing.F) {
	w := newWorld(f, 4, 1)
	w.applicant(10)
	w.until(1, 60)
	nd := w.order[0]
	keep := records(nd)
	for _, r := range keep {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		changed := slices.Clone(keep)
		i := slices.IndexFunc(changed, func(r protocols.Record) bool { return r.Key == key })
		if i < 0 {
			changed = append(changed, protocols.Record{Key: key, Value: value})
		} else {
			changed[i].Value = value
		}
		m, _, err := Restore(nd.cfg, changed)
		if err != nil {
			if !errors.Is(err, ErrRecords) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		m.Tip(0, w.view(nd.watch))
	})
}
