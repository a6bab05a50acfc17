package acked

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"frostfed/protocols"
	"frostfed/test/alloc"
)

// seeds are one valid frame of each shape, and near misses.
func seeds() [][]byte {
	data := frame{kind: kindData, from: 7, to: 9, ack: 3, held: 5, seq: 4,
		segments: []segment{{false, []byte("whole")}, {true, []byte("begin")}}}.encode()
	return [][]byte{
		frame{kind: kindHello, from: 7, ping: 1}.encode(),
		frame{kind: kindHello, from: 7, to: 9, ping: 1, pong: 2}.encode(),
		frame{kind: kindAck, from: 7, to: 9, ack: 3, held: 1}.encode(),
		data,
		data[:len(data)-1],
		append(bytes.Clone(data), 0),
		{},
		{kindData},
	}
}

// Whatever parses re-encodes to the same bytes: a frame has one form.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr frame
		var err error
		alloc.Limit(t, len(b), 32, 0, func() { fr, err = decode(b) })
		if err != nil {
			return
		}
		if again := fr.encode(); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, but re-encodes to %x", b, again)
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	hello := frame{kind: kindHello, from: 7, to: 9, ping: 1, pong: 2}.encode()
	ack := frame{kind: kindAck, from: 7, to: 9, ack: 3, held: 1}.encode()
	data := frame{kind: kindData, from: 7, to: 9, seq: 4, segments: []segment{{false, []byte("whole")}}}.encode()
	with := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	zero := make([]byte, 8)
	rows := []struct {
		name string
		b    []byte
	}{
		{"empty", nil},
		{"kind 0", with(hello, 0, 0)},
		{"kind 4", with(hello, 0, 4)},
		{"no sender boot", with(hello, 1, zero...)},
		{"answer to nobody", with(hello, 9, zero...)},
		{"hello short", hello[:len(hello)-1]},
		{"hello long", append(bytes.Clone(hello), 0)},
		{"ack short", ack[:len(ack)-1]},
		{"ack long", append(bytes.Clone(ack), 0)},
		{"ack to nobody", with(ack, 9, zero...)},
		{"ack too high", with(ack, 17, 0x80)},
		{"held beyond the window", with(ack, 25, 0x80)},
		{"seq too high", with(data, 29, 0x80)},
		{"no segment", data[:dataHeader]},
		{"more is 2", with(data, dataHeader, 2)},
		{"empty segment", with(data[:dataHeader+segmentHeader], dataHeader+1, 0, 0)},
		{"segment cut", data[:len(data)-1]},
		{"segment after an unfinished one", append(with(data, dataHeader, 1), data[dataHeader:]...)},
		{"too long", make([]byte, MaxFrame+1)},
	}
	for _, r := range rows {
		if _, err := decode(r.b); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
	for _, b := range [][]byte{hello, ack, data} {
		if _, err := decode(b); err != nil {
			t.Errorf("%x: %v", b, err)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := frame{kind: kindData, from: rapid.Uint64Min(1).Draw(t, "from"), to: rapid.Uint64Min(1).Draw(t, "to"),
			ack: rapid.Uint64Max(maxSeq-1).Draw(t, "ack"), held: rapid.Uint32Max(1<<(window-1)-1).Draw(t, "held"),
			seq: rapid.Uint64Max(maxSeq-1).Draw(t, "seq")}
		for i := range rapid.IntRange(1, 5).Draw(t, "segments") {
			want.segments = append(want.segments, segment{false, bytes.Repeat([]byte{byte(i)}, rapid.IntRange(1, 300).Draw(t, "len"))})
		}
		want.segments[len(want.segments)-1].more = rapid.Bool().Draw(t, "more")
		got, err := decode(want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if got.from != want.from || got.to != want.to || got.ack != want.ack || got.held != want.held || got.seq != want.seq || len(got.segments) != len(want.segments) {
			t.Fatalf("got %+v want %+v", got, want)
		}
		for i := range got.segments {
			if got.segments[i].more != want.segments[i].more || !bytes.Equal(got.segments[i].data, want.segments[i].data) {
				t.Fatalf("segment %d differs", i)
			}
		}
	})
}

// Step survives any sequence of frames, stays within its bounds, and answers at
// most with one hello and one burst.
func FuzzStep(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		m := mustNew(t, "alice", 9, "mallory")
		m.PeerUp(0, "mallory")
		m.Tick(0)
		greet(m, "mallory", 7)
		if err := m.Send(0, "mallory", protocols.Echo, []byte("x")); err != nil {
			t.Fatal(err)
		}
		m.Tick(0)
		for i, raw := range [][]byte{a, b, a} {
			now := protocols.Time(i)
			e := m.Step(now, "mallory", protocols.Echo, raw)
			if len(e.Send) != 0 || len(e.Persist) != 0 || len(e.Work) != 0 {
				t.Fatalf("effects %+v", e)
			}
			if out := m.Tick(now); len(out.Send) > 3 {
				t.Fatalf("%d envelopes for one frame", len(out.Send))
			}
			if p := m.peers["mallory"]; p.messages < 0 || p.bytes < 0 || p.early < 0 || p.early > earlyBytes {
				t.Fatalf("accounts: %d messages, %d bytes, %d early", p.messages, p.bytes, p.early)
			}
		}
	})
}
