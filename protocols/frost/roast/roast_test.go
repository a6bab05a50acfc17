package roast

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
)

func all(n int) (members []int) {
	for i := range n {
		members = append(members, i)
	}
	return members
}

// TestSign: members that approve at different times all get a signature, in every
// suite.
func TestSign(t *testing.T) {
	for _, suite := range rfc9591.Suites() {
		t.Run(suite.String(), func(t *testing.T) {
			w := newWorld(t, 1, suite, 3, 4)
			for k := range 3 {
				for i := range 4 {
					w.run(protocols.Time(w.rng.IntN(300)))
					w.approve(i, reqID(k))
				}
			}
			w.run(60_000)
			for k := range 3 {
				w.wantSigned(reqID(k), all(4)...)
			}
			w.wantBlameless()
		})
	}
}

// TestSilence: n-t members that are never there cost turns, not the signature;
// they get it when they come back.
func TestSilence(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(t, seed, rfc9591.Ed25519, 3, 5)
		away := []int{int(seed) % 5, int(seed+2) % 5}
		for _, i := range away {
			w.kill(i)
		}
		for i := range 5 {
			if !slices.Contains(away, i) {
				w.approve(i, reqID(1))
			}
		}
		w.run(60_000)
		for i := range 5 {
			if !slices.Contains(away, i) {
				w.wantSigned(reqID(1), i)
			}
		}
		for _, i := range away {
			w.restart(i, reqID(1))
		}
		w.run(60_000)
		w.wantSigned(reqID(1), all(5)...)
		w.wantBlameless()
	}
}

// TestRestarts: members that crash in the middle of it, coordinators among them,
// forget their nonces, and nobody is blamed for it.
func TestRestarts(t *testing.T) {
	for seed := range uint64(40) {
		w := newWorld(t, seed, rfc9591.Ristretto255, 3, 4)
		for i := range 4 {
			w.approve(i, reqID(1))
		}
		for range 1 + w.rng.IntN(6) {
			w.run(protocols.Time(w.rng.IntN(120)))
			w.restart(w.rng.IntN(4), reqID(1))
		}
		w.run(120_000)
		w.wantSigned(reqID(1), all(4)...)
		w.wantBlameless()
	}
}

// liars are what a hostile member sends instead of an honest one's message.
var liars = map[string]func(w *world, to int, m message) []message{
	"mute": func(*world, int, message) []message { return nil },
	"bad share": func(_ *world, _ int, m message) []message {
		if m.kind == kindShare {
			m.share = bytes.Repeat([]byte{1}, 32)
			m.share[0] = 0
		}
		return []message{m}
	},
	"share not a scalar": func(_ *world, _ int, m message) []message {
		if m.kind == kindShare {
			m.share = bytes.Repeat([]byte{0xff}, 32)
		}
		return []message{m}
	},
	"bad commitments": func(_ *world, _ int, m message) []message {
		if m.kind == kindReady {
			m.commitment = bytes.Repeat([]byte{0xff}, len(m.commitment))
		}
		return []message{m}
	},
	"bad next commitments": func(_ *world, _ int, m message) []message {
		if m.kind == kindShare {
			m.commitment = make([]byte, len(m.commitment))
		}
		return []message{m}
	},
	"refuses, then offers": func(_ *world, _ int, m message) []message {
		return []message{{kind: kindNo, request: m.request, code: "no"}, m}
	},
	"false signature": func(_ *world, _ int, m message) []message {
		return []message{m, {kind: kindDone, request: m.request, signature: make([]byte, 64)}}
	},
	"unasked shares": func(w *world, to int, m message) []message {
		return []message{m, {kind: kindShare, request: m.request, session: sessionID{w.nodes[to].m.cfg.Epoch, 99}, share: make([]byte, 32),
			commitment: make([]byte, 64)}}
	},
	"lying coordinator": func(_ *world, _ int, m message) []message {
		if m.kind == kindSign {
			m.all = slices.Clone(m.all)
			for i := range m.all {
				if i > 0 {
					m.all[i] = m.all[0]
				}
			}
		}
		return []message{m}
	},
	"garbled coordinator": func(_ *world, to int, m message) []message {
		if m.kind == kindSign {
			m.all = slices.Clone(m.all)
			for i, member := range m.signers {
				if member != to {
					m.all[i] = bytes.Repeat([]byte{0xff}, len(m.all[i]))
				}
			}
		}
		return []message{m}
	},
	"restarts for ever": func(w *world, _ int, m message) []message {
		if m.kind != kindShare {
			return []message{m}
		}
		_, commitment, err := w.outs[0].Key.NewNonce(w.outs[0].Share, reader{w.rng})
		must(w.tb, err)
		return []message{{kind: kindReady, request: m.request, digest: w.nodes[0].m.digest(m.request, keyID, text(m.request)), commitment: commitment}}
	},
	"repeats": func(_ *world, _ int, m message) []message { return []message{m, m, m} },
}

// TestLiars: f = n-t of them at once, everywhere, in every way.
func TestLiars(t *testing.T) {
	for what, lie := range liars {
		t.Run(what, func(t *testing.T) {
			for seed := range uint64(8) {
				w := newWorld(t, seed, rfc9591.Ed25519, 3, 5)
				bad := []int{int(seed) % 5, int(seed+1+seed/5) % 5}
				for _, i := range bad {
					w.nodes[i].tamper = func(to int, body []byte) (out [][]byte) {
						m, err := decode(body)
						must(t, err)
						for _, m := range lie(w, to, m) {
							out = append(out, m.encode())
						}
						return out
					}
				}
				for i := range 5 {
					w.approve(i, reqID(1))
				}
				w.run(120_000)
				for i, nd := range w.nodes {
					if !slices.Contains(bad, i) {
						w.wantSigned(reqID(1), i)
						limit := 5 - 3 + 1
						if strings.HasPrefix(what, "re") {
							limit += maxStrikes * len(bad) // restarts and changed minds
						}
						if nd.opened > limit {
							t.Errorf("seed %d: coordinator %d started %d sessions, ROAST needs %d", seed, i, nd.opened, limit)
						}
					}
				}
				w.wantBlameless(bad...)
			}
		})
	}
}

// TestLostShare: with t = n every share counts; one that got lost is sent again on
// resync.
func TestLostShare(t *testing.T) {
	w := newWorld(t, 11, rfc9591.Ed25519, 3, 3)
	lost := 0
	w.nodes[1].tamper = func(_ int, body []byte) [][]byte {
		if body[0] == kindShare {
			lost++
			return nil
		}
		return [][]byte{body}
	}
	for _, i := range []int{0, 2} { // else member 1 coordinates itself, and has its own share
		w.nodes[i].tamper = func(to int, body []byte) [][]byte {
			if to == 1 && body[0] == kindReady {
				return nil
			}
			return [][]byte{body}
		}
	}
	for i := range 3 {
		w.approve(i, reqID(1))
	}
	w.run(60_000)
	if lost == 0 || w.nodes[0].signed[reqID(1)] != nil {
		t.Fatalf("%d shares lost", lost)
	}
	w.nodes[1].tamper = nil
	before := w.nodes[0].opened + w.nodes[2].opened
	for i := range 3 {
		w.apply(1, w.nodes[1].m.Resync(w.now, name(i)))
	}
	w.run(60_000)
	w.wantSigned(reqID(1), all(3)...)
	w.wantBlameless()
	if after := w.nodes[0].opened + w.nodes[2].opened; after != before {
		t.Errorf("%d sessions more for a share that was only lost", after-before)
	}
}

// TestSignGuards: a SIGN that is not of what this member approved, or not of its
// nonce, gets no share, and one that is gets the same share again.
func TestSignGuards(t *testing.T) {
	w := newWorld(t, 12, rfc9591.Ed25519, 2, 3)
	m := w.nodes[0].m
	coordinator := -1
	var offered message
	w.nodes[0].tamper = func(to int, body []byte) [][]byte {
		msg, err := decode(body)
		must(t, err)
		if msg.kind == kindReady && coordinator < 0 {
			coordinator, offered = to, msg
		}
		return nil
	}
	w.approve(0, reqID(1))
	w.run(10_000)
	_, commitment, err := w.outs[2].Key.NewNonce(w.outs[2].Share, reader{w.rng})
	must(t, err)
	other := 3 - coordinator // the third member
	sign := message{kind: kindSign, request: reqID(1), session: sessionID{sid: 1}, digest: offered.digest,
		signers: []int{0, other}, all: [][]byte{offered.commitment, commitment}}
	step := func(change func(*message)) []byte {
		msg := sign
		msg.all, msg.signers = slices.Clone(sign.all), slices.Clone(sign.signers)
		change(&msg)
		fx := m.Step(w.now, name(coordinator), msg.encode())
		for _, job := range fx.Work {
			fx.Append(m.Done(w.now, job.ID, job.Run()))
		}
		for _, env := range fx.Send {
			if env.Body[0] == kindShare {
				return env.Body
			}
		}
		return nil
	}
	for what, change := range map[string]func(*message){
		"another message":  func(s *message) { s.digest[0]++ },
		"another nonce":    func(s *message) { s.all[0] = commitment },
		"not a signer":     func(s *message) { s.signers, s.all = s.signers[1:], s.all[1:] },
		"another request":  func(s *message) { s.request[5]++ },
		"unknown encoding": func(s *message) { s.kind = kindNo; s.code = "no" },
	} {
		if step(change) != nil {
			t.Errorf("%s: signed", what)
		}
	}
	share := step(func(*message) {})
	if share == nil {
		t.Fatal("no share")
	}
	if again := step(func(*message) {}); !bytes.Equal(again, share) {
		t.Error("another answer to the same SIGN")
	}
	for what, change := range map[string]func(*message){
		"another session": func(s *message) { s.session.sid++ },
		"another set": func(s *message) {
			s.signers = []int{0, coordinator}
		},
	} {
		if step(change) != nil {
			t.Errorf("%s: the nonce signed twice", what)
		}
	}
}

// TestSessionsWithoutEnd: a coordinator that asks for ever gets no more than a run
// can need.
func TestSessionsWithoutEnd(t *testing.T) {
	w := newWorld(t, 13, rfc9591.Ed25519, 2, 3)
	m := w.nodes[0].m
	w.nodes[0].tamper = func(int, []byte) [][]byte { return nil }
	w.approve(0, reqID(1))
	w.run(10_000)
	r := m.requests[reqID(1)]
	_, foreign, err := w.outs[1].Key.NewNonce(w.outs[1].Share, reader{w.rng})
	must(t, err)
	shares, faults := 0, 0
	for sid := range uint32(100) {
		fx := m.Step(w.now, name(1), message{kind: kindSign, request: reqID(1), session: sessionID{sid: sid}, digest: r.digest,
			signers: []int{0, 1}, all: [][]byte{r.answers[1].commitment, foreign}}.encode())
		for _, job := range fx.Work {
			fx.Append(m.Done(w.now, job.ID, job.Run()))
		}
		for _, env := range fx.Send {
			if env.Body[0] == kindShare {
				shares++
			}
		}
		faults += len(fx.Faults)
	}
	if shares != m.maxSessions(r) || faults != 1 || r.answers[1].nonce != nil {
		t.Errorf("%d shares, %d faults, limit %d", shares, faults, m.maxSessions(r))
	}
}

// TestRefusals: too few that approve end a run, and an approval later begins it
// again.
func TestRefusals(t *testing.T) {
	w := newWorld(t, 3, rfc9591.Ed25519, 3, 4)
	for i := range 2 {
		w.approve(i, reqID(1))
	}
	for i := 2; i < 4; i++ {
		w.apply(i, w.nodes[i].m.Refuse(w.now, reqID(1), "messages_off"))
	}
	w.run(30_000)
	for i := range 2 {
		if w.nodes[i].failed[reqID(1)] != ReasonRefused || w.nodes[i].signed[reqID(1)] != nil {
			t.Errorf("member %d: failed %q", i, w.nodes[i].failed[reqID(1)])
		}
	}
	w.approve(2, reqID(1))
	w.run(30_000)
	w.wantSigned(reqID(1), 0, 1, 2)
	w.approve(3, reqID(1))
	w.run(30_000)
	w.wantSigned(reqID(1), all(4)...)
	w.wantBlameless()
}

// TestOtherMessage: members whose messages differ sign neither, unless t have the
// same.
func TestOtherMessage(t *testing.T) {
	w := newWorld(t, 4, rfc9591.Ed25519, 3, 4)
	w.apply(0, w.nodes[0].m.Approve(w.now, reqID(1), keyID, []byte("something else")))
	for i := 1; i < 4; i++ {
		w.approve(i, reqID(1))
	}
	w.run(60_000)
	w.wantSigned(reqID(1), 1, 2, 3)
	if w.nodes[0].signed[reqID(1)] != nil {
		t.Error("a signature of a message that was not approved here")
	}
}

// TestAnswers covers what Approve says besides signing.
func TestAnswers(t *testing.T) {
	w := newWorld(t, 5, rfc9591.Ed25519, 3, 4)
	w.apply(0, w.nodes[0].m.Approve(w.now, reqID(1), [32]byte{77}, text(reqID(1))))
	if got := w.nodes[0].failed[reqID(1)]; got != ReasonUnknownKey {
		t.Errorf("unknown key: %q", got)
	}
	for i := range 4 {
		w.approve(i, reqID(2))
	}
	w.run(30_000)
	w.wantSigned(reqID(2), all(4)...)
	delete(w.nodes[0].signed, reqID(2))
	w.restart(0, reqID(2))
	if w.nodes[0].signed[reqID(2)] == nil {
		t.Error("a finished request is not answered after a restart")
	}
	w.apply(0, w.nodes[0].m.Approve(w.now, reqID(2), keyID, []byte("changed")))
	if got := w.nodes[0].failed[reqID(2)]; got != ReasonInconsistent {
		t.Errorf("another message under a finished request: %q", got)
	}
	for i := range 300 {
		w.apply(0, w.nodes[0].m.Approve(w.now, reqID(1000+i), keyID, []byte("many")))
	}
	if got := w.nodes[0].failed[reqID(1299)]; got != ReasonBusy {
		t.Errorf("beyond the limit: %q", got)
	}
	w.apply(0, w.nodes[0].m.Cancel(w.now, reqID(1000)))
	if len(w.nodes[0].m.requests) != 255 {
		t.Errorf("%d requests after a cancel", len(w.nodes[0].m.requests))
	}
	if fx := w.nodes[0].m.Step(w.now, "stranger", []byte{1}); len(fx.Faults) != 1 || fx.Faults[0].Kind != FaultStranger {
		t.Errorf("stranger: %v", fx.Faults)
	}
	if fx := w.nodes[0].m.Step(w.now, name(1), []byte{1}); len(fx.Faults) != 1 || fx.Faults[0].Kind != FaultMalformed {
		t.Errorf("malformed: %v", fx.Faults)
	}
}

// TestHistory: the oldest are forgotten, on disk too; corrupt records are refused.
func TestHistory(t *testing.T) {
	w := newWorld(t, 6, rfc9591.Ed25519, 2, 3)
	cfg := w.config(0)
	cfg.History = 2
	var records []protocols.Record
	for i := range 4 {
		f := &finished{id: reqID(i), seq: uint64(i + 1), signature: make([]byte, 64)}
		records = append(records, f.record())
	}
	m, fx, err := Restore(cfg, records)
	must(t, err)
	if len(m.history.byID) != 2 || len(fx.Persist) != 2 || fx.Persist[0].Key != recordKey(reqID(0)) || fx.Persist[0].Value != nil {
		t.Errorf("history %d, deleted %v", len(m.history.byID), fx.Persist)
	}
	for _, bad := range []protocols.Record{{Key: "x", Value: records[0].Value}, {Key: records[0].Key, Value: records[0].Value[1:]}, {Key: records[0].Key}} {
		if _, _, err := Restore(cfg, []protocols.Record{bad}); !errors.Is(err, ErrRecords) {
			t.Errorf("%q: %v", bad.Key, err)
		}
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t, 7, rfc9591.Ed25519, 2, 3)
	for what, change := range map[string]func(*Config){
		"no members":      func(c *Config) { c.Members = nil },
		"self no member":  func(c *Config) { c.Self = "x" },
		"member twice":    func(c *Config) { c.Members[1] = c.Members[0] },
		"no randomness":   func(c *Config) { c.Rand = nil },
		"negative limit":  func(c *Config) { c.Requests = -1 },
		"negative delta":  func(c *Config) { c.Delta = -1 },
		"too many":        func(c *Config) { c.Members = make([]protocols.NodeID, 129) },
		"negative memory": func(c *Config) { c.History = -1 },
	} {
		cfg := w.config(0)
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestBounds: what a hostile member can make this one hold.
func TestBounds(t *testing.T) {
	w := newWorld(t, 8, rfc9591.Ed25519, 2, 3)
	m := w.nodes[0].m
	for i := range 500 {
		ready := message{kind: kindReady, request: reqID(i), commitment: make([]byte, 64)}
		m.Step(w.now, name(1), ready.encode())
	}
	if len(m.early[1]) != maxEarly || m.early[1][maxEarly-1].request != reqID(499) {
		t.Errorf("%d offers held", len(m.early[1]))
	}
	for i := range 500 {
		w.apply(0, m.Refuse(w.now, reqID(i), "no"))
	}
	if len(m.refusals) != m.cfg.Requests || len(m.refused) != m.cfg.Requests || len(m.early[1]) != 0 {
		t.Errorf("%d refusals, %d offers", len(m.refusals), len(m.early[1]))
	}
	w.approve(0, reqID(600))
	jobs := 0
	for range 50 {
		fx := m.Step(w.now, name(1), message{kind: kindDone, request: reqID(600), signature: make([]byte, 64)}.encode())
		jobs += len(fx.Work)
	}
	if jobs != 1 {
		t.Errorf("%d verifications of signatures of one member at a time", jobs)
	}
}

// FuzzDecode holds that what decodes re-encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	com := bytes.Repeat([]byte{7}, 66)
	for _, m := range []message{
		{kind: kindReady, commitment: com[:64]}, {kind: kindNo, code: "no"}, {kind: kindDone, signature: com[:65]},
		{kind: kindSign, signers: []int{0, 3}, all: [][]byte{com, com}}, {kind: kindShare, share: com[:32], commitment: com},
	} {
		f.Add(m.encode())
	}
	f.Add([]byte{kindSign})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err == nil && !bytes.Equal(m.encode(), b) {
			t.Errorf("%x re-encodes to %x", b, m.encode())
		}
		if err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("error %v", err)
		}
	})
}

// FuzzStep feeds a machine in the middle of a request.
func FuzzStep(f *testing.F) {
	w := newWorld(f, 9, rfc9591.Ed25519, 2, 3)
	for i := range 3 {
		w.approve(i, reqID(1))
	}
	w.run(100)
	id := reqID(1)
	f.Add(message{kind: kindReady, request: id, commitment: make([]byte, 64)}.encode(), true)
	f.Add(message{kind: kindSign, request: id, signers: []int{0, 1}, all: [][]byte{make([]byte, 64), make([]byte, 64)}}.encode(), false)
	f.Add(message{kind: kindDone, request: id, signature: make([]byte, 64)}.encode(), true)
	f.Fuzz(func(t *testing.T, b []byte, finish bool) {
		fx := w.nodes[0].m.Step(w.now, name(1), b)
		for _, job := range fx.Work {
			if result := job.Run(); finish {
				w.nodes[0].m.Done(w.now, job.ID, result)
			}
		}
		for _, fault := range fx.Faults {
			if fault.Culprit != name(1) {
				t.Errorf("blames %s", fault.Culprit)
			}
		}
	})
}
