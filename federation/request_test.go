package federation

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"
	"pgregory.net/rapid"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
)

// bury adds blocks without waiting for what members say about them.
func (w *world) bury(blocks int) {
	w.t.Helper()
	for range blocks {
		w.addBlock(nil, 0)
	}
	w.run()
}

func (w *world) message(i int, text string, force bool) (RequestID, error) {
	id, e, err := w.cores[i].SignMessage(w.now, "main", []byte(text), force)
	w.settle(i, e)
	return id, err
}

func verdictOf(core *Core, id RequestID) policy.Verdict { return core.requests.all[id].verdict }

// That a list was paid outlives the request that paid it: its proposer could fill
// the history with other requests and have the list paid again.
func TestForgottenPayoutIsNotPaidAgain(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	id := w.pay(0, list)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	w.bury(forgetSpent + 1)
	for i, core := range w.cores {
		r := core.requests.all[id]
		if !r.forgettable(core.height()) {
			t.Fatalf("member %d keeps a settled request", i)
		}
		var out Effects
		core.forget(w.now, &out, r)
		w.settle(i, out)
	}
	for i := range w.cores {
		w.kill(i)
	}
	for i := range w.cores {
		w.start(i)
	}
	w.run()
	for i, core := range w.cores {
		_, _, err := core.Pay(w.now, PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
		if refused := new(RefusedError); !errors.As(err, &refused) || refused.Verdict.Rule != policy.PayoutPaid {
			t.Errorf("member %d: %v", i, err)
		}
	}
}

// The oldest settled requests of a proposer go, from memory, disk and broadcast.
func TestHistoryIsBounded(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	const more = 10
	for batch := range 2 {
		for i := range (maxFinished + more) / 2 {
			if _, err := w.message(1, fmt.Sprintf("message %d of %d", i, batch), true); err != nil {
				t.Fatal(err)
			}
		}
		w.run()
		w.bury(expiry + 2)
	}
	for i, core := range w.cores {
		onDisk := 0
		for key := range w.disks[i] {
			if strings.HasPrefix(key, "f/r/") {
				onDisk++
			}
		}
		if len(core.requests.all) != maxFinished || onDisk != maxFinished {
			t.Errorf("member %d holds %d requests, %d on disk", i, len(core.requests.all), onDisk)
		}
		for _, r := range core.Requests() {
			if _, live := core.echo.Status(r.Proposer, topic(topicRequest, r.ID)); !live {
				t.Errorf("member %d forgot the broadcast of a request it holds", i)
			}
		}
	}
}

// A member that was away hears of more requests at once than one may have open:
// nobody is blamed and none is lost, but only the first are computed on.
func TestManyRequestsAfterAnAbsence(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	core, sender := w.cores[0], w.configs[1].Self
	k, _ := core.keys.find("main")
	var out Effects
	for i := range maxOpenPerMember + 5 {
		raw := (&payload{kind: KindMessage, key: k.threshPK, nonce: [16]byte{byte(i)}, body: []byte("m")}).encode()
		core.requestProposed(w.now, &out, sender, core.proposalID(requestTag, sender, raw), raw)
	}
	judged := 0
	for _, r := range core.requests.all {
		if r.verdict.Rule != "" {
			judged++
		}
	}
	if len(out.Faults) != 0 || len(core.requests.all) != maxOpenPerMember+5 || judged != maxOpenPerMember {
		t.Fatalf("%d faults, %d requests, %d judged", len(out.Faults), len(core.requests.all), judged)
	}
	w.settle(0, out)
	w.bury(expiry + 2)
	for _, r := range core.requests.all {
		if !r.finished(core.height()) {
			t.Fatal("a request does not expire")
		}
	}
}

func TestProposerLimits(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	for i := range maxOpenPerMember {
		if _, err := w.message(0, fmt.Sprint(i), true); err != nil {
			t.Fatal(err)
		}
	}
	w.run()
	if _, err := w.message(0, "one more", true); !errors.Is(err, ErrTooManyOpen) {
		t.Fatalf("got %v", err)
	}
	if _, err := w.message(1, "another member", true); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.bury(expiry + 2)
	if _, err := w.message(0, "after they expired", true); err != nil {
		t.Fatal(err)
	}
}

func TestOperatorErrors(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	core := w.cores[0]
	huge := w.payTo(make([]byte, bitcoin.MaxTxSize), 1)
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0)
	pay := PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)}
	for name, r := range map[string]struct {
		try  func() error
		want error
	}{
		"no message":      {func() error { _, err := w.message(0, "", true); return err }, ErrMessageSize},
		"long message":    {func() error { _, err := w.message(0, strings.Repeat("x", MaxMessage+1), true); return err }, ErrMessageSize},
		"message refused": {func() error { _, err := w.message(0, "x", false); return err }, nil},
		"no key":          {func() error { _, _, err := core.SignMessage(w.now, "other", []byte("x"), true); return err }, ErrKeyUnknown},
		"no psbt":         {func() error { _, _, err := core.SignTransaction(w.now, "main", []byte("x"), true); return err }, bitcoin.ErrPSBT},
		"label":           {func() error { _, _, err := core.NewKey(w.now, "a b"); return err }, ErrLabel},
		"long label":      {func() error { _, _, err := core.NewKey(w.now, strings.Repeat("x", MaxLabel+1)); return err }, ErrLabel},
		"used label":      {func() error { _, _, err := core.NewKey(w.now, "main"); return err }, ErrLabelUsed},
		"no request":      {func() error { _, err := core.Request("ffffffff"); return err }, ErrRequestUnknown},
		"short prefix":    {func() error { _, err := core.Request("f"); return err }, ErrRequestUnknown},
		"no list":         {func() error { _, _, err := core.Pay(w.now, PayoutRequest{Key: "main"}); return err }, ErrListUnknown},
		"huge transaction": {func() error {
			req := pay
			req.Tx, req.Force = huge, true
			_, _, err := core.Pay(w.now, req)
			return err
		}, ErrTooLarge},
		"no inputs": {func() error {
			req := pay
			req.Tx, req.Force = wire.NewMsgTx(2), true
			_, _, err := core.Pay(w.now, req)
			return err
		}, policy.ErrProposal},
	} {
		err := r.try()
		if refused := new(RefusedError); r.want == nil && !errors.As(err, &refused) || r.want != nil && !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", name, err, r.want)
		}
	}
	if n := len(core.Requests()); n != 0 {
		t.Errorf("%d requests were proposed", n)
	}
}

// What Byzantine members broadcast under topics of ours.
func TestBadProposals(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	core, mallory := w.cores[0], w.configs[1].Self
	k, _ := core.keys.find("main")
	good := func(change func(*payload)) []byte {
		p := &payload{kind: KindMessage, key: k.threshPK, body: []byte("x")}
		change(p)
		return p.encode()
	}
	proposal := policy.Proposal{Network: bitcoin.Regtest, Key: [33]byte{2}, Coins: []wire.OutPoint{{}}, Tx: []byte("no transaction")}
	rightID := func(tag string, raw []byte) [32]byte { return core.proposalID(tag, mallory, raw) }
	for name, r := range map[string]struct {
		topic string
		tag   string
		raw   []byte
		id    func(tag string, raw []byte) [32]byte
	}{
		"empty":          {topicRequest, requestTag, nil, rightID},
		"garbage":        {topicRequest, requestTag, []byte("garbage"), rightID},
		"trailing byte":  {topicRequest, requestTag, append(good(func(*payload) {}), 0), rightID},
		"other ID":       {topicRequest, requestTag, good(func(*payload) {}), func(string, []byte) [32]byte { return [32]byte{1} }},
		"other proposer": {topicRequest, requestTag, good(func(*payload) {}), func(tag string, raw []byte) [32]byte { return core.proposalID(tag, w.configs[2].Self, raw) }},
		"unknown kind":   {topicRequest, requestTag, good(func(p *payload) { p.kind = 9 }), rightID},
		"no message":     {topicRequest, requestTag, good(func(p *payload) { p.body = nil }), rightID},
		"long message":   {topicRequest, requestTag, good(func(p *payload) { p.body = make([]byte, MaxMessage+1) }), rightID},
		"huge body":      {topicRequest, requestTag, good(func(p *payload) { p.kind, p.body = KindTransaction, make([]byte, maxBody+1) }), rightID},
		"bad psbt":       {topicRequest, requestTag, good(func(p *payload) { p.kind = KindTransaction }), rightID},
		"bad proposal":   {topicRequest, requestTag, good(func(p *payload) { p.kind = KindPayout }), rightID},
		"two keys":       {topicRequest, requestTag, good(func(p *payload) { p.kind, p.body = KindPayout, proposal.Encode() }), rightID},
		"bad tx":         {topicRequest, requestTag, good(func(p *payload) { p.kind, p.key, p.body = KindPayout, proposal.Key, proposal.Encode() }), rightID},
		"bad ceremony":   {topicKey, ceremonyTag, []byte("garbage"), rightID},
		"bad label":      {topicKey, ceremonyTag, (&ceremony{Label: "\x1b[2J", T: w.charter.Threshold, MinMembers: w.charter.N()}).encode(), rightID},
		"threshold":      {topicKey, ceremonyTag, (&ceremony{Label: "x", T: w.charter.Threshold - 1, MinMembers: w.charter.N()}).encode(), rightID},
		"ceremony ID":    {topicKey, ceremonyTag, (&ceremony{Label: "x", T: w.charter.Threshold, MinMembers: w.charter.N()}).encode(), func(string, []byte) [32]byte { return [32]byte{1} }},
	} {
		var out Effects
		id := r.id(r.tag, r.raw)
		if r.topic == topicKey {
			core.ceremonyProposed(w.now, &out, mallory, id, r.raw)
		} else {
			core.requestProposed(w.now, &out, mallory, id, r.raw)
		}
		if len(out.Faults) != 1 || out.Faults[0].Culprit != mallory || out.Faults[0].Kind != FaultBadProposal || len(out.Persist)+len(out.Out) != 0 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	// A foreign key is no fault: this member may be the one that lacks it.
	var out Effects
	raw := good(func(p *payload) { p.key = [33]byte{2, 1} })
	id := rightID(requestTag, raw)
	core.requestProposed(w.now, &out, mallory, id, raw)
	if got := verdictOf(core, id); len(out.Faults) != 0 || got.Rule != policy.KeyUnknown {
		t.Errorf("foreign key: %v, faults %v", got, out.Faults)
	}
}

// One member can neither use up the keys of the others nor block a label by a
// ceremony that failed.
func TestKeysPerProposer(t *testing.T) {
	w := newWorld(t, 4, nil)
	core := w.cores[0]
	part := MaxKeys / 4
	var out Effects
	propose := func(sender protocols.NodeID, i int) {
		raw := (&ceremony{Label: fmt.Sprintf("key%d", i), T: w.charter.Threshold, MinMembers: w.charter.N(), Nonce: [16]byte{byte(i)}}).encode()
		core.ceremonyProposed(w.now, &out, sender, core.proposalID(ceremonyTag, sender, raw), raw)
	}
	for i := range part + 3 {
		propose(w.configs[1].Self, i)
	}
	propose(w.configs[2].Self, 99)
	if len(core.keys.proposals) != part+1 {
		t.Fatalf("%d ceremonies", len(core.keys.proposals))
	}
	if !core.labelUsed("key0") || core.labelUsed("key77") {
		t.Error("labels")
	}
	first := core.dkg.Sessions()[0]
	core.fromDKG(w.now, &out, core.dkg.Abandon(w.now, first.SessionID))
	if core.labelUsed(first.Label) {
		t.Errorf("the label of the failed ceremony %q is used", first.Label)
	}
}

// Without room among the broadcasts, a ceremony waits instead of ending the process.
func TestFirstMessageWaitsForRoom(t *testing.T) {
	w := newWorld(t, 4, nil)
	sound := w.cores[0].cfg.Rand
	w.cores[0].cfg.Rand = strings.NewReader("") // the broadcast cannot be signed
	w.do(1, func(core *Core) (Effects, error) {
		_, e, err := core.NewKey(w.now, "main")
		return e, err
	})
	if got := w.cores[1].Keys()[0].Phase; got != "sharing" {
		t.Fatalf("phase %s without all first messages", got)
	}
	w.cores[0].cfg.Rand = sound
	w.mine(nil, 0)
	for i, core := range w.cores {
		if got := core.Keys()[0].Phase; got != "complete" {
			t.Errorf("member %d: %s", i, got)
		}
	}
}

// A proposal is as old as the block it was made at, also for a member that hears
// of it while it is still behind.
func TestExpiry(t *testing.T) {
	payout := func(arrived, made bitcoin.Height) *request {
		return &request{arrivedAt: arrived, proposal: &policy.Proposal{Height: made}}
	}
	for _, r := range []struct {
		name string
		r    *request
		tip  bitcoin.Height
		want bool
	}{
		{"young", payout(100, 100), 100 + expiry, false},
		{"old", payout(100, 100), 101 + expiry, true},
		{"arrived while behind", payout(100, 5000), 5001, false},
		{"no end by a lie", payout(100, 100), 1 << 31, true},
		{"arrived before the first block", &request{}, 1 << 31, false},
		{"message", &request{arrivedAt: 7}, 8 + expiry, true},
		{"signed", &request{arrivedAt: 7, signatures: [][]byte{make([]byte, 64)}}, 8 + expiry, false},
		{"highest", payout(1, 1<<32-1), 1<<32 - 1, false},
	} {
		if got := r.r.expired(r.tip); got != r.want {
			t.Errorf("%s: %v", r.name, got)
		}
	}
}

// A coin of a transaction that can never confirm is free again.
func TestPromiseEndsWithItsTransaction(t *testing.T) {
	w := newWorld(t, 4, nil)
	core := w.cores[0]
	coin := wire.OutPoint{Index: 7}
	r := &request{id: RequestID{1}, payload: payload{kind: KindPayout}, proposal: &policy.Proposal{Coins: []wire.OutPoint{coin}}}
	core.requests.all[r.id] = r
	core.requests.lock(r)
	if _, promised := core.promised(coin); !promised {
		t.Fatal("the coin is free")
	}
	w.bury(3)
	r.replacedAt = 1
	if _, promised := core.promised(coin); !promised {
		t.Fatal("a reorg can still bring the transaction back")
	}
	w.bury(forgetSpent)
	if _, promised := core.promised(coin); promised {
		t.Fatal("the coin is lost")
	}
}

// What any member says about a request, every member can read.
func TestTextsOfHonestMembersAreReadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 2*maxText).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "unicode") {
			text = rapid.StringN(0, -1, 2*maxText).Draw(t, "text")
		}
		b := cryptobyte.NewBuilder(nil)
		addText(b, text)
		s := cryptobyte.String(b.BytesOrPanic())
		var got string
		if !readText(&s, &got) || !s.Empty() {
			t.Fatalf("%q is not readable", text)
		}
	})
	b := cryptobyte.NewBuilder(nil)
	addText(b, strings.Repeat("€", maxText))
	s := cryptobyte.String(b.BytesOrPanic())
	if got := ""; !readText(&s, &got) || got != strings.Repeat("€", maxText/3) {
		t.Errorf("cut to %q", got)
	}
}

func TestNotices(t *testing.T) {
	w := newWorld(t, 4, nil)
	core, from := w.cores[0], w.configs[1].Self
	text := func(s string) []byte {
		return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...)
	}
	verdict := func(allow byte, rule, reason string) []byte {
		return bytes.Join([][]byte{{noticeVerdict}, make([]byte, 32), {allow}, text(rule), text(reason)}, nil)
	}
	hello := func(version string) []byte {
		return bytes.Join([][]byte{{noticeHello}, text(version), make([]byte, 4+32)}, nil)
	}
	for name, r := range map[string]struct {
		body []byte
		ok   bool
	}{
		"hello":         {hello("1.0"), true},
		"verdict":       {verdict(1, "allowed", ""), true},
		"empty":         {nil, false},
		"unknown kind":  {[]byte{9}, false},
		"truncated":     {hello("1.0")[:20], false},
		"trailing byte": {append(hello("1.0"), 0), false},
		"allow is 2":    {verdict(2, "allowed", ""), false},
		"escape":        {verdict(0, "x", "\x1b[2J"), false},
		"newline":       {verdict(0, "x", "a\nb"), false},
		"right to left": {verdict(0, "x", "a\u202eb"), false},
		"line break":    {verdict(0, "x", "a\u2028b"), false},
		"not UTF-8":     {hello("\xff"), false},
		"too long":      {hello(strings.Repeat("x", maxText+1)), false},
	} {
		var out Effects
		core.fromPeer(w.now, &out, from, r.body)
		if (len(out.Faults) == 0) != r.ok {
			t.Errorf("%s: faults %v", name, out.Faults)
		}
	}
	for i := range 3 * maxEarlyVerdicts {
		var out Effects
		core.noteVerdict(&out, from, RequestID{byte(i)}, policy.Verdict{})
	}
	if n := len(core.peers[from].early); n != maxEarlyVerdicts {
		t.Errorf("%d early verdicts are held", n)
	}
}
