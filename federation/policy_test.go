package federation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/chilldkg"
	"frostfed/policy"
)

// outside is an address of somebody else, as script and text.
func outside(t testing.TB) ([]byte, string) {
	t.Helper()
	script := append([]byte{0x00, 0x14}, bytes.Repeat([]byte{0x77}, 20)...)
	address, err := bitcoin.EncodeAddress(bitcoin.Regtest, script)
	if err != nil {
		t.Fatal(err)
	}
	return script, address
}

// psbtSpending makes a PSBT that spends the only coin to script.
func (w *world) psbtSpending(script []byte, fee int64) []byte {
	w.t.Helper()
	coin := w.cores[0].Coins()[0]
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: coin.Outpoint, Sequence: bitcoin.Sequence})
	tx.AddTxOut(wire.NewTxOut(int64(coin.Amount)-fee, script))
	packet, err := psbt.NewFromUnsignedTx(tx)
	if err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := packet.Serialize(&b); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) signTransaction(i int, raw []byte) RequestID {
	w.t.Helper()
	var id RequestID
	w.do(i, func(core *Core) (Effects, error) {
		var e Effects
		var err error
		id, e, err = core.SignTransaction(w.now, "main", raw, true)
		return e, err
	})
	return id
}

func TestForeignTransaction(t *testing.T) {
	script, address := outside(t)
	w := newWorld(t, 4, func(_ int, cfg *Config) { cfg.Policy.AllowList = []string{address} })
	w.newKey("main")
	w.fund("main", 1_000_000)
	id := w.signTransaction(1, w.psbtSpending(script, 1000))
	w.wantState(id, StateSigned)
	v, _ := w.cores[2].Request(id.String())
	if v.Leaving != 1_000_000 || v.Tx.TxHash() != v.TxID {
		t.Errorf("leaving %v", v.Leaving)
	}
	// The coin is promised: to nobody else, at another fee neither.
	other := w.signTransaction(2, w.psbtSpending(script, 2000))
	w.wantState(other, StateRefused)
	if got := verdictOf(w.cores[0], other); got.Rule != policy.CoinLocked {
		t.Errorf("verdict %v", got)
	}
	w.mine(nil, 0, v.Tx)
	w.wantState(id, StateConfirmed)
	w.wantState(other, StateReplaced)
}

func TestForeignTransactionBesideTheAllowList(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	script, _ := outside(t)
	id := w.signTransaction(1, w.psbtSpending(script, 1000))
	w.wantState(id, StateRefused)
	if got := verdictOf(w.cores[0], id); got.Rule != policy.NotAllowListed {
		t.Errorf("verdict %v", got)
	}
}

// The limit holds over 144 blocks, across restarts, and passes with the time.
func TestDailyLimit(t *testing.T) {
	w := newWorld(t, 4, func(_ int, cfg *Config) { cfg.Policy.DailyLimit = 50_000 })
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.fund("main", 1_000_000)
	first, second := payouts(t, "week 1", 3, 10_000), payouts(t, "week 2", 3, 10_000)
	w.addList(first, 0, 1, 2, 3)
	w.addList(second, 0, 1, 2, 3)
	id := w.pay(0, first)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	for i := range w.cores {
		w.kill(i)
	}
	for i := range w.cores {
		w.start(i)
	}
	w.run()
	request := PayoutRequest{Key: "main", List: second.ID(), FeeRate: bitcoin.PerVByte(2)}
	plan, _, err := w.cores[0].PlanPayout(request)
	if err != nil {
		t.Fatal(err)
	}
	w.do(0, func(core *Core) (Effects, error) {
		var e Effects
		var err error
		id, e, err = core.propose(w.now, KindPayout, plan.Key, plan.Encode(), true)
		return e, err
	})
	w.wantState(id, StateWaiting)
	if got := verdictOf(w.cores[3], id); got.Rule != policy.DailyLimit {
		t.Fatalf("verdict %v", got)
	}
	w.bury(policy.DayBlocks - 2) // the first was approved a block before the last one
	w.wantState(id, StateWaiting)
	w.bury(1)
	w.wantState(id, StateSigned)
}

// The command is asked about what the rules allow; each answer counts, a crash
// before the answer means asking again, and a no is final.
func TestExternalCommand(t *testing.T) {
	w := newWorld(t, 4, func(_ int, cfg *Config) { cfg.Policy.External = []string{"judge"} })
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	id := w.pay(0, list)
	asked := func(i int) (n int) {
		for _, d := range w.out[i] {
			ask, ok := d.(AskExternal)
			if !ok {
				continue
			}
			n++
			var request policy.ExternalRequest
			if err := json.Unmarshal(ask.Input, &request); err != nil || request.Request != id.String() || len(request.Outputs) != 4 {
				t.Errorf("asked %s, %v", ask.Input, err)
			}
		}
		return n
	}
	for i := range w.cores {
		if asked(i) != 1 {
			t.Errorf("member %d asked %d times", i, asked(i))
		}
	}
	w.wantState(id, StateWaiting)
	answer := func(i int, v policy.Verdict) {
		w.do(i, func(core *Core) (Effects, error) { return core.ExternalVerdict(w.now, id, v), nil })
	}
	yes := policy.Verdict{Allow: true, Rule: policy.Allowed}
	answer(3, policy.Verdict{Rule: policy.ExternalRefused, Reason: "not today"})
	w.kill(2)
	w.start(2)
	w.run()
	if asked(2) != 2 {
		t.Fatalf("after a crash: asked %d times", asked(2))
	}
	answer(0, yes)
	answer(1, policy.Verdict{Rule: policy.ExternalTimeout})
	answer(2, yes)
	w.mine(nil, 0)
	if asked(0) != 1 || asked(1) != 2 || asked(3) != 1 {
		t.Errorf("with the next block: asked %d, %d, %d times", asked(0), asked(1), asked(3))
	}
	if got := w.state(0, id); got != StateApproved {
		t.Errorf("two of four: %s", got)
	}
	answer(3, yes) // nobody asked
	if got := w.state(3, id); got != StateRefused {
		t.Errorf("the no: %s", got)
	}
	answer(1, yes)
	for i := range 3 {
		if got := w.state(i, id); got != StateSigned {
			t.Errorf("member %d: %s", i, got)
		}
	}
	w.kill(3)
	w.start(3)
	w.run()
	if asked(3) != 1 {
		t.Errorf("asked again for a no")
	}
}

// A crash between the promise and everything that follows loses nothing: what is
// on disk is either no promise, or one with all it takes to sign.
func TestApprovalIsDurableBeforeAnythingLeaves(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	plan, _, err := w.cores[0].PlanPayout(PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
	if err != nil {
		t.Fatal(err)
	}
	core := w.cores[1]
	raw := (&payload{kind: KindPayout, key: plan.Key, body: plan.Encode()}).encode()
	id := core.proposalID(requestTag, w.configs[0].Self, raw)
	var out Effects
	core.requestProposed(w.now, &out, w.configs[0].Self, id, raw)
	if len(out.Send) != 0 {
		t.Error("something left before the batch could be committed")
	}
	written := make(map[string]bool)
	for _, r := range out.Persist {
		written[r.Key] = r.Value != nil
	}
	hexID := hex.EncodeToString(id[:])
	for _, key := range []string{"f/r/" + hexID, "f/v/" + hexID, "f/w"} {
		if !written[key] {
			t.Errorf("%s is not in the batch of the approval", key)
		}
	}
	// A copy that knows no more than this disk keeps the promise.
	w.settle(1, out)
	again, _, err := Restore(w.now, w.configs[1], w.records(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range plan.Coins {
		if p, promised := again.promised(o); !promised || p.request != id || p.list != list.ID() {
			t.Errorf("coin %v is promised to %v", o, p)
		}
	}
	if again.requests.window.Spent(again.height()) == 0 {
		t.Error("the daily window forgot the approval")
	}
}

// Records hold no secret: neither host keys nor shares, in no form.
func TestRecordsHoldNoSecret(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	w.wantState(w.pay(0, list), StateSigned)
	for i, cfg := range w.configs {
		secret := cfg.Host.Secret()
		hashed := sha256.Sum256(secret[:])
		for _, form := range [][]byte{secret[:], hashed[:], []byte(hex.EncodeToString(secret[:]))} {
			for key, value := range w.disks[i] {
				if bytes.Contains(value, form) || bytes.Contains([]byte(key), form) {
					t.Errorf("member %d: record %q holds the host secret", i, key)
				}
			}
		}
	}
	for i := range w.cores {
		secret := w.configs[i].Host.Secret()
		output, _, err := chilldkg.Recover(secret[:], w.cores[i].dkg.Keys()[0].Recovery)
		if err != nil {
			t.Fatal(err)
		}
		share := output.SecShare.Bytes()
		for key, value := range w.disks[i] {
			if bytes.Contains(value, share) {
				t.Errorf("member %d: record %q holds its share", i, key)
			}
		}
	}
}
