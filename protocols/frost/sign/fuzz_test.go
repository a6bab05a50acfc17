package sign

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"frostfed/protocols"
	"frostfed/test/alloc"
)

// samples has one message of each kind.
func samples() []message {
	ns := nonces{epoch: epochID{1}, pairs: []pair{{index: 1}, {index: 7, pubnonce: [66]byte{2}}}}
	s := sessionID{epochID{3}, 4}
	return []message{
		ns,
		signMsg{request: reqID(1), session: s, first: 64, signers: []int{0, 3, 127}, slots: []slot{{index: 9}, {index: 2}}},
		psigMsg{request: reqID(1), session: s, psigs: make([][32]byte, 2), vouch: [64]byte{4}, refill: ns},
		psigMsg{request: reqID(1), session: s, psigs: make([][32]byte, 1)},
		noMsg{request: reqID(1), session: s, reason: noStale, epoch: epochID{5}},
		noMsg{request: reqID(1), session: s, reason: noPolicy, code: "over_limit"},
		needMsg{64},
		readyMsg{reqID(2)},
		doneMsg{reqID(2), make([][64]byte, 3)},
	}
}

func TestWire(t *testing.T) {
	for _, m := range samples() {
		raw := m.encode()
		got, err := decode(raw)
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if !bytes.Equal(got.encode(), raw) {
			t.Errorf("%T: encodes differently", m)
		}
		for cut := range raw {
			if _, err := decode(raw[:cut]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%T cut at %d: %v", m, cut, err)
			}
		}
		if _, err := decode(append(raw, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%T with a trailing byte: %v", m, err)
		}
	}
}

func TestWireRefuses(t *testing.T) {
	s := sessionID{epochID{3}, 4}
	sign := signMsg{session: s, signers: []int{0, 1}, slots: []slot{{index: 1}}}
	with := func(change func(*signMsg)) signMsg { m := sign; change(&m); return m }
	for name, m := range map[string]message{
		"no nonces":          nonces{},
		"index repeated":     nonces{pairs: []pair{{index: 3}, {index: 3}}},
		"index descending":   nonces{pairs: []pair{{index: 3}, {index: 2}}},
		"too many nonces":    nonces{pairs: make([]pair, maxPairs+1)},
		"no signers":         with(func(m *signMsg) { m.signers = nil }),
		"signer twice":       with(func(m *signMsg) { m.signers = []int{1, 1} }),
		"signers descending": with(func(m *signMsg) { m.signers = []int{2, 1} }),
		"empty lot":          with(func(m *signMsg) { m.slots = nil }),
		"lot too long":       with(func(m *signMsg) { m.slots = make([]slot, maxLot+1) }),
		"lot too far":        with(func(m *signMsg) { m.first = maxItems }),
		"session zero":       with(func(m *signMsg) { m.session.sid = 0 }),
		"pair twice":         with(func(m *signMsg) { m.slots = []slot{{index: 5}, {index: 5}} }),
		"no psig":            psigMsg{session: s},
		"too many psigs":     psigMsg{session: s, psigs: make([][32]byte, maxLot+1)},
		"no reason":          noMsg{session: s},
		"unknown reason":     noMsg{session: s, reason: noLimit + 1},
		"code missing":       noMsg{session: s, reason: noPolicy},
		"code in excess":     noMsg{session: s, reason: noStale, code: "x"},
		"code with escapes":  noMsg{session: s, reason: noPolicy, code: "\x1b[2J"},
		"code too long":      noMsg{session: s, reason: noPolicy, code: string(bytes.Repeat([]byte{'a'}, maxCode+1))},
		"need nothing":       needMsg{},
		"need too much":      needMsg{maxPairs + 1},
		"done without":       doneMsg{},
	} {
		if _, err := decode(m.encode()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A count that claims more than follows must not allocate for it.
func TestWireAllocatesNothingForClaims(t *testing.T) {
	raw := append([]byte{kindDone}, make([]byte, 34)...)
	raw[33], raw[34] = maxItems>>8, 0 // none of the signatures is there
	if n := testing.AllocsPerRun(100, func() { decode(raw) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}

func TestRecords(t *testing.T) {
	f := &finished{id: reqID(1), seq: 5, key: [32]byte{2}, digest: [32]byte{3}, sigs: make([][64]byte, 2)}
	rec := f.record()
	got, err := parseRecord(rec)
	if err != nil {
		t.Fatal(err)
	}
	if again := got.record(); again.Key != rec.Key || !bytes.Equal(again.Value, rec.Value) {
		t.Error("record encodes differently")
	}
	bad := []protocols.Record{
		{Key: rec.Key}, {Key: "x/" + rec.Key[2:], Value: rec.Value}, {Key: rec.Key[:20], Value: rec.Value},
		{Key: rec.Key, Value: append([]byte{9}, rec.Value[1:]...)}, {Key: rec.Key, Value: append(bytes.Clone(rec.Value), 0)},
	}
	for cut := range rec.Value {
		bad = append(bad, protocols.Record{Key: rec.Key, Value: rec.Value[:cut]})
	}
	for _, b := range bad {
		if _, _, err := Restore(Config{Self: "a", Members: []protocols.NodeID{"a"}, Rand: bytes.NewReader(nil), Sign: (*world)(nil).hostSign(0), Verify: verifyHost}, []protocols.Record{b}); !errors.Is(err, ErrMalformed) {
			t.Errorf("record %q of %d bytes: %v", b.Key, len(b.Value), err)
		}
	}
}

func TestConfig(t *testing.T) {
	good := Config{Self: "a", Members: []protocols.NodeID{"a", "b"}, Rand: bytes.NewReader(nil), Sign: (*world)(nil).hostSign(0), Verify: verifyHost}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"stranger":      func(c *Config) { c.Self = "z" },
		"twice":         func(c *Config) { c.Members = []protocols.NodeID{"a", "a"} },
		"nobody":        func(c *Config) { c.Members = nil },
		"crowd":         func(c *Config) { c.Members = make([]protocols.NodeID, protocols.MaxMembers+1) },
		"no randomness": func(c *Config) { c.Rand = nil },
		"no signature":  func(c *Config) { c.Sign = nil },
		"no verifier":   func(c *Config) { c.Verify = nil },
		"long name":     func(c *Config) { c.Members = []protocols.NodeID{"a", protocols.NodeID(make([]byte, maxName+1))} },
		"pool":          func(c *Config) { c.Pool = maxPairs + 1 },
		"history":       func(c *Config) { c.History = -1 },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecode: whatever decodes encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.encode())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m message
		var err error
		alloc.Limit(t, len(raw), 32, 0, func() { m, err = decode(raw) })
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(m.encode(), raw) {
			t.Fatalf("%T is not canonical", m)
		}
	})
}

// FuzzRecord: what Restore accepts, it would write again.
func FuzzRecord(f *testing.F) {
	rec := (&finished{id: reqID(1), sigs: make([][64]byte, 1)}).record()
	f.Add(rec.Key, rec.Value)
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		got, err := parseRecord(protocols.Record{Key: key, Value: value})
		if err != nil {
			return
		}
		if !bytes.Equal(got.record().Value, value) {
			t.Fatal("not canonical")
		}
	})
}

// FuzzStep feeds a signer that also coordinates a stream of messages, as a hostile
// member would: raw bytes, and well-formed messages whose fields are patched to fit
// the state. It must not panic, must not sign one pair twice, and must stay bounded.
func FuzzStep(f *testing.F) {
	for _, m := range samples() {
		f.Add(append([]byte{0}, m.encode()...))
	}
	f.Add([]byte{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8})
	f.Fuzz(hostileStream)
}

// The same without the fuzzer, so that every run of the tests tries some.
func TestHostileStream(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	for range 15 {
		input := make([]byte, 40)
		rng.Read(input)
		input[0] |= 1
		hostileStream(t, input)
	}
}

func hostileStream(t *testing.T, input []byte) {
	if len(input) == 0 {
		return
	}
	w := newWorld(t, 21, 2, 3, func(c *Config) { c.Delta = 1 })
	id, items := reqID(1), w.items(2)
	w.asked[id] = items
	w.apply(0, w.nodes[0].m.Approve(w.now, id, w.keys[0].ID, items))
	w.nodes[1].tamper = mute
	m := w.nodes[0].m
	if input[0] == 0 {
		w.deliver(1, 0, input[1:])
		w.apply(0, m.Step(w.now, name(1), input[1:]))
	} else {
		for i := 0; i+1 < len(input); i += 2 {
			msg := patched(w, id, input[i], input[i+1])
			w.deliver(1, 0, msg.encode())
			w.apply(0, m.Step(w.now, name(1), msg.encode()))
		}
	}
	w.run(5000)
	w.approve(2, id, items)
	w.run(20000)
	for i, p := range m.issued {
		if len(p.live) != len(p.secrets) || len(p.live) > max(m.cfg.Pool, maxLot) {
			t.Fatalf("pool of member %d: %d handles, %d secrets", i, len(p.live), len(p.secrets))
		}
	}
	// Whatever the hostile member did, the two others have the signatures.
	w.mustSign(id, items, 0, 2)
}

// patched makes a message that passes some of the checks of member 0.
func patched(w *world, id requestID, kind, v byte) message {
	m := w.nodes[0].m
	s := sessionID{m.cfg.Epoch, uint32(v%4) + 1}
	digest := digestItems(m.cfg.Federation, id, w.keys[0].ID, m.requestItems(id))
	switch kind % 8 {
	case 0:
		return nonces{epoch: epochID{v % 3}, pairs: []pair{{index: uint64(v)}}}
	case 1, 2:
		msg := signMsg{request: id, session: sessionID{epochID{9}, uint32(v) + 1}, digest: digest, signers: []int{0, 1}, epoch: m.cfg.Epoch}
		msg.slots = []slot{{index: uint64(v % 16)}, {index: uint64(v%16) + 1}}
		if kind%8 == 2 {
			msg.request = reqID(v)
		}
		return msg
	case 3:
		return psigMsg{request: id, session: s, psigs: make([][32]byte, 1+v%2)}
	case 4:
		return noMsg{request: id, session: s, reason: reason(v%4) + noStale, epoch: epochID{v}}
	case 5:
		return needMsg{uint16(v) + 1}
	case 6:
		return readyMsg{id}
	}
	return doneMsg{id, make([][64]byte, 1+v%3)}
}

func (m *Machine) requestItems(id requestID) []Item {
	if r := m.requests[id]; r != nil {
		return r.items
	}
	return nil
}
