package federation

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/echo"
	"frostfed/test/alloc"
)

func FuzzDecodePayload(f *testing.F) {
	f.Add((&payload{kind: KindMessage, body: []byte("hello")}).encode())
	f.Add((&payload{kind: KindPayout, body: policy.Proposal{Network: bitcoin.Regtest, Coins: []wire.OutPoint{{}}, Tx: []byte{1}}.Encode()}).encode())
	f.Add((&payload{kind: KindTransaction, body: []byte("psbt\xff")}).encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p *payload
		var err error
		alloc.Limit(t, len(raw), 16, 0, func() { p, err = decodePayload(raw) })
		if err == nil && !bytes.Equal(p.encode(), raw) {
			t.Errorf("read %x, wrote %x", raw, p.encode())
		}
		if r, err := newRequest(RequestID{}, "", 0, 0, raw); err == nil {
			_ = r.inputs()
		}
	})
}

func FuzzDecodeCeremony(f *testing.F) {
	f.Add((&ceremony{Label: "main", T: 4, Birth: 800_000, Nonce: [16]byte{1}}).encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := decodeCeremony(raw); err == nil && !bytes.Equal(p.encode(), raw) {
			t.Errorf("read %x, wrote %x", raw, p.encode())
		}
	})
}

func FuzzSplitTopic(f *testing.F) {
	f.Add(topic(topicKey, [32]byte{1}))
	f.Add(topic(topicDKG, [32]byte{2}) + "/m1")
	f.Fuzz(func(t *testing.T, s string) {
		kind, id := splitTopic(s)
		if kind == "" {
			return
		}
		want := topic(kind, id)
		if kind == topicDKG {
			want += "/m1"
		}
		if s != want {
			t.Errorf("%q is read as %q", s, want)
		}
	})
}

// FuzzNotice gives a core the notices of a hostile member. A verdict that is read
// is written the same.
func FuzzNotice(f *testing.F) {
	w := newWorld(f, 4, nil)
	core, from := w.cores[0], w.configs[1].Self
	f.Add(encodeVerdict(RequestID{1}, policy.Verdict{Rule: policy.Dust, Reason: "too small"}))
	f.Add([]byte{noticeHello, 0, 3, '1', '.', '0'})
	f.Add([]byte{noticeHeard, 0})
	b := cryptobyte.NewBuilder([]byte{noticeHeard, 1})
	(&mark{promises: 1, height: 2}).append(b)
	f.Add(b.BytesOrPanic())
	f.Fuzz(func(t *testing.T, raw []byte) {
		var out Effects
		core.fromPeer(w.now, &out, from, raw)
		for _, fault := range out.Faults {
			if fault.Culprit != from || fault.Kind != FaultBadNotice {
				t.Errorf("%+v", fault)
			}
		}
		if early := core.peers[from].early; len(out.Faults) == 0 && len(raw) > 0 && raw[0] == noticeVerdict {
			last := early[len(early)-1]
			if got := encodeVerdict(last.request, last.verdict); !bytes.Equal(got, raw) {
				t.Errorf("read %x, wrote %x", raw, got)
			}
		}
	})
}

// FuzzStep gives a member frames and broadcasts of a hostile one: nothing but
// faults of that one may follow, and the member can be restored afterwards.
func FuzzStep(f *testing.F) {
	w := newWorld(f, 4, nil)
	w.newKey("main")
	k, _ := w.cores[0].keys.find("main")
	f.Add(uint8(0), []byte("frame"))
	f.Add(uint8(4), (&ceremony{Label: "other", T: w.charter.Threshold, MinMembers: w.charter.N()}).encode())
	f.Add(uint8(5), (&payload{kind: KindMessage, key: k.threshPK, body: []byte("x")}).encode())
	f.Add(uint8(6), []byte("first message"))
	f.Add(uint8(7), encodeVerdict(RequestID{1}, policy.Verdict{Rule: policy.Dust}))
	channels := []protocols.Protocol{protocols.Echo, protocols.DKG, protocols.Sign, protocols.Federation}
	f.Fuzz(func(t *testing.T, way uint8, raw []byte) {
		core, _, err := Restore(w.now, w.configs[0], w.records(0))
		if err != nil {
			t.Fatal(err)
		}
		mallory := w.configs[1].Self
		var e Effects
		switch way %= 8; way {
		case 4:
			core.delivered(w.now, &e, echo.Delivered{Sender: mallory, Topic: topic(topicKey, core.proposalID(ceremonyTag, mallory, raw)), Payload: raw})
		case 5:
			core.delivered(w.now, &e, echo.Delivered{Sender: mallory, Topic: topic(topicRequest, core.proposalID(requestTag, mallory, raw)), Payload: raw})
		case 6:
			session := core.dkg.Sessions()[0].SessionID
			core.delivered(w.now, &e, echo.Delivered{Sender: mallory, Topic: topic(topicDKG, session) + "/m1", Payload: raw})
		case 7:
			core.fromPeer(w.now, &e, mallory, raw)
		default:
			e.Append(core.Step(w.now, mallory, channels[way], raw))
		}
		e.Append(core.Tick(w.now))
		for _, fault := range e.Faults {
			if fault.Culprit != mallory {
				t.Errorf("an honest member is blamed: %+v", fault)
			}
		}
		disk := make(map[string][]byte)
		for _, r := range append(w.records(0), e.Persist...) {
			if disk[r.Key] = r.Value; r.Value == nil {
				delete(disk, r.Key)
			}
		}
		var records []protocols.Record
		for _, key := range sortedKeys(disk) {
			records = append(records, protocols.Record{Key: key, Value: disk[key]})
		}
		if _, _, err := Restore(w.now, w.configs[0], records); err != nil {
			t.Errorf("cannot be restored: %v", err)
		}
	})
}

// FuzzRestore damages one record: that is an error or a state, never a panic.
func FuzzRestore(f *testing.F) {
	w := newWorld(f, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(f, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.pay(0, list)
	var own []protocols.Record
	for _, r := range w.records(0) {
		if r.Key[:2] == "f/" {
			own = append(own, r)
			f.Add(r.Key, r.Value)
		}
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		damaged := slices.DeleteFunc(slices.Clone(own), func(r protocols.Record) bool { return r.Key == key })
		damaged = append(damaged, protocols.Record{Key: key, Value: value})
		slices.SortFunc(damaged, func(a, b protocols.Record) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
		c, err := newCore(w.configs[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range damaged {
			if len(r.Key) > 2 && r.Key[:2] == "f/" {
				r.Key = r.Key[2:]
			}
			if err := c.restoreRecord(r); err != nil {
				return
			}
		}
	})
}

// Everything this package persists, it reads back to the same bytes.
func TestRecordsAreCanonical(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.pay(0, list)
	core := w.cores[0]
	var out Effects
	for _, k := range core.keys.sorted() {
		core.saveKey(&out, k)
		core.saveCeremony(&out, k.ceremony, core.keys.proposals[k.ceremony])
	}
	for _, r := range core.requests.sorted() {
		core.saveRequest(&out, r)
		core.saveVerdict(&out, r)
		core.saveSignatures(&out, r)
	}
	for _, coin := range core.ledger.sorted() {
		core.persistAll(&out, []protocols.Record{coin.record()})
	}
	seen := make(map[string]bool)
	check := func(out Effects, whose string) {
		for _, r := range out.Persist {
			seen[r.Key[:3]] = true
			if !bytes.Equal(w.disks[0][r.Key], r.Value) {
				t.Errorf("%s: %s is %x on disk, %x now", whose, r.Key, w.disks[0][r.Key], r.Value)
			}
		}
	}
	check(out, "before a restart")
	w.kill(0)
	w.start(0)
	core = w.cores[0]
	out = Effects{}
	for _, k := range core.keys.sorted() {
		core.saveKey(&out, k)
		core.saveCeremony(&out, k.ceremony, core.keys.proposals[k.ceremony])
	}
	for _, r := range core.requests.sorted() {
		core.saveRequest(&out, r)
		core.saveVerdict(&out, r)
		core.saveSignatures(&out, r)
	}
	check(out, "after a restart")
	if len(seen) != 6 {
		t.Errorf("kinds of records seen: %v", seen)
	}
}
