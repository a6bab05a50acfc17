package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/policy"
)

const (
	n, threshold = 5, 4
	label        = "payouts"
	miners       = 20
)

// federation is five members and a Bitcoin node.
type federation struct {
	*testing.T
	members                       []*member
	alice, bob, carol, dave, erin *member
	node                          *btcd
	address                       string // of the key, to which btcd mines
	noise                         []net.Conn
}

// TestFederation is one story: each step goes on from where the last one ended.
func TestFederation(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five daemons and a Bitcoin node; left out by -short")
	}
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	f := &federation{T: t, node: newBtcd(t, filepath.Join(dir, "btcd"))}
	for _, m := range []struct {
		name string
		as   **member
	}{{"alice", &f.alice}, {"bob", &f.bob}, {"carol", &f.carol}, {"dave", &f.dave}, {"erin", &f.erin}} {
		*m.as = &member{t: t, name: m.name, dir: filepath.Join(dir, m.name), phrase: filepath.Join(dir, m.name+".pass"), listen: freeAddress(t)}
		f.members = append(f.members, *m.as)
	}
	for _, step := range []struct {
		name string
		play func()
	}{
		{"found", f.found},
		{"refuse to start", f.refuseStart},
		{"start", f.start},
		{"generate a key", f.generateKey},
		{"fund", f.fund},
		{"refuse a tampered payout", f.refuseTampered},
		{"pay", func() { f.pay(f.alice, 1) }},
		{"strangers", f.strangers},
		{"erin is killed", f.erin.kill},
		{"an impostor", f.impostor},
		{"pay without erin", func() { f.pay(f.bob, 2) }},
		{"erin returns", func() { f.returns(f.erin, 2) }},
		{"dave is killed", f.dave.kill},
		{"pay without dave, with erin", func() { f.pay(f.erin, 3) }},
		{"dave returns", func() { f.returns(f.dave, 3) }},
		{"bob is killed as he proposes", f.killProposer},
		{"noise is gone", f.noiseGone},
		{"stop", f.stop},
	} {
		begin := time.Now()
		step.play()
		if t.Failed() {
			t.Fatalf("%s failed", step.name)
		}
		t.Logf("%5.1fs  %s", time.Since(begin).Seconds(), step.name)
	}
}

// running are the members that are not killed.
func (f *federation) running() []*member {
	var out []*member
	for _, m := range f.members {
		if m.process != nil {
			out = append(out, m)
		}
	}
	return out
}

// found makes data folders, exchanges cards and adopts the charter.
func (f *federation) found() {
	var cards []string
	for _, m := range f.members {
		cards = append(cards, m.init(f.node))
	}
	file := f.alice.file("federation.toml.new", "")
	f.alice.fails(exitError, append([]string{"charter", "new", "--name", "pool", "-o", file}, cards...)...) // never over a file
	file = filepath.Join(f.alice.dir, "federation.toml")
	var charter struct {
		FederationID string
		T, N         int
	}
	f.alice.ok(&charter, append([]string{"charter", "new", "--name", "pool", "-o", file}, cards...)...)
	if charter.T != threshold || charter.N != n {
		f.Errorf("charter: %+v", charter)
	}
	for _, m := range f.members {
		m.fails(exitNotReady, "run") // no charter yet
		var adopted struct{ FederationID string }
		m.ok(&adopted, "charter", "adopt", file)
		if adopted.FederationID != charter.FederationID {
			f.Errorf("%s adopted %s, not %s", m.name, adopted.FederationID, charter.FederationID)
		}
	}
}

// refuseStart tries what must not start a daemon.
func (f *federation) refuseStart() {
	f.alice.fails(exitNotReady, "status") // it does not run
	f.alice.fails(exitNotReady, "pay", f.payoutFile(f.alice, 1), "--key", label)
	f.alice.fails(exitError, "run", "--passphrase-file", f.bob.phrase)
	readable := f.alice.file("readable.pass", "the passphrase of alice\n")
	if err := os.Chmod(readable, 0o644); err != nil {
		f.Fatal(err)
	}
	f.alice.fails(exitError, "run", "--passphrase-file", readable)
}

// start runs all members, before there is a Bitcoin node.
func (f *federation) start() {
	for _, m := range f.members {
		m.start()
	}
	f.connected()
	f.alice.fails(exitError, "address", "new", label) // no such key
	if out := f.alice.run(f.Context(), "status", "--check"); out.code != exitNotReady {
		f.Errorf("status --check without a Bitcoin node: exit code %d", out.code)
	}
	// A second process on the same folder.
	f.alice.fails(exitError, "run")
	f.alice.await("goes on", func(s *v1.GetStatusResponse) bool { return s.Connected == n })
}

// connected waits until every running member is connected to every other.
func (f *federation) connected() {
	want := int32(len(f.running()))
	for _, m := range f.running() {
		m.await(fmt.Sprintf("%d members are connected", want), func(s *v1.GetStatusResponse) bool {
			return s.Connected == want && s.T == threshold && s.N == n && s.Self.Name == m.name
		})
	}
}

// generateKey makes the key, and an address of it.
func (f *federation) generateKey() {
	var key v1.Key
	f.alice.ok(&key, "key", "new", label, "--wait")
	if !key.Active || key.T != threshold || key.N != n {
		f.Errorf("key: %v", &key)
	}
	for _, m := range f.members {
		m.await("the key is active", func(s *v1.GetStatusResponse) bool { return s.ActiveKeys == 1 })
		var list v1.ListKeysResponse
		m.ok(&list, "key", "list")
		if len(list.Keys) != 1 || list.Keys[0].PublicKey != key.PublicKey {
			f.Errorf("%s has another key: %v", m.name, &list)
		}
	}
	var address v1.NewAddressResponse
	f.carol.ok(&address, "address", "new", label)
	if f.address = address.Address; !strings.HasPrefix(f.address, "bcrt1p") {
		f.Errorf("not a Taproot address of regtest: %s", f.address)
	}
}

// fund starts the Bitcoin node, mines coinbase rewards to the key and lets them
// mature.
func (f *federation) fund() {
	f.alice.fails(exitNotReady, "pay", f.payoutFile(f.alice, 1), "--key", label)
	f.node.start(f.T, f.address)
	f.mine(3) // few at first, so that members that begin to follow only now see them
	f.mine(100)
	for _, m := range f.members {
		m.await("it can sign", func(s *v1.GetStatusResponse) bool { return s.Ready })
		var coins v1.ListCoinsResponse
		m.ok(&coins, "coins", "--key", label)
		if len(coins.Coins) != 103 || !coins.Coins[0].Coinbase || coins.Coins[0].Address != f.address {
			f.Errorf("%s sees %d coins, want 103", m.name, len(coins.Coins))
		}
	}
}

// mine adds blocks, waits until all running members have seen them, and returns
// the hash of the last.
func (f *federation) mine(blocks int) string {
	f.Helper()
	hashes := f.node.mine(f.T, blocks)
	tip := hashes[len(hashes)-1]
	for _, m := range f.running() {
		m.await("block "+tip, func(s *v1.GetStatusResponse) bool { return s.Tip.GetHash() == tip })
	}
	return tip
}

// payees are paid by the list of a week. Nobody can spend what they get.
func payees(week int) []bitcoin.Payee {
	var out []bitcoin.Payee
	for i := range miners {
		hash := bytes.Repeat([]byte{byte(week), byte(i)}, 10)
		out = append(out, bitcoin.Payee{Script: append([]byte{0x00, 0x14}, hash...), Amount: bitcoin.Sat(1_000_000 + 1000*i*week),
			Label: fmt.Sprintf("miner-%02d", i)})
	}
	return out
}

// payoutFile gives a member its own copy of a list: CSV or JSON, as the member
// likes.
func (f *federation) payoutFile(m *member, week int) string {
	f.Helper()
	var rows []string
	for _, p := range payees(week) {
		address, err := bitcoin.EncodeAddress(bitcoin.Regtest, p.Script)
		if err != nil {
			f.Fatal(err)
		}
		if m == f.bob {
			rows = append(rows, fmt.Sprintf(`{"address": %q, "sats": %d, "label": %q}`, address, p.Amount, p.Label))
		} else {
			rows = append(rows, fmt.Sprintf("%s,%d,%s", address, p.Amount, p.Label))
		}
	}
	if m == f.bob {
		return m.file(fmt.Sprintf("week-%d.json", week), fmt.Sprintf(`{"reference": "week %d", "payouts": [%s]}`, week, strings.Join(rows, ",\n")))
	}
	return m.file(fmt.Sprintf("week-%d.csv", week), fmt.Sprintf("reference,week %d\naddress,sats,label\n%s\n", week, strings.Join(rows, "\n")))
}

// addLists gives the running members their copies.
func (f *federation) addLists(week int) {
	f.Helper()
	var first string
	for _, m := range f.running() {
		var added v1.AddPayoutListResponse
		m.ok(&added, "payouts", "add", f.payoutFile(m, week))
		if first == "" {
			first = added.List.Id
		}
		if added.List.Id != first || added.List.Payees != miners {
			f.Errorf("%s: list %v, others have %s", m.name, added.List, first)
		}
	}
}

// refuseTampered lets bob propose a payout with one payment redirected: first to
// his own daemon, then past it. A payout file with a mistake comes before.
func (f *federation) refuseTampered() {
	bad := f.bob.file("bad.csv", "address,sats\n"+f.address+",10\n")
	f.bob.fails(exitError, "payouts", "add", bad)
	f.addLists(1)
	list := f.payoutFile(f.bob, 1)
	var plan v1.PayResponse
	f.bob.ok(&plan, "pay", list, "--key", label, "--dry-run")
	packet, err := bitcoin.DecodePSBT(plan.GetPlan().GetPsbt())
	if err != nil {
		f.Fatal(err)
	}
	tx := packet.Tx().Copy()
	tx.TxOut[0].PkScript = append([]byte{0x00, 0x14}, bytes.Repeat([]byte{0x66}, 20)...)
	var raw bytes.Buffer
	if err := tx.SerializeNoWitness(&raw); err != nil {
		f.Fatal(err)
	}
	tampered := f.bob.file("tampered.hex", hex.EncodeToString(raw.Bytes())+"\n")
	said := f.bob.fails(exitRefused, "pay", list, "--key", label, "--psbt", tampered)
	if !strings.Contains(said, string(policy.OutputsDiffer)) {
		f.Errorf("the refusal does not name its rule: %s", said)
	}
	var forced v1.PayResponse
	f.bob.ok(&forced, "pay", list, "--key", label, "--psbt", tampered, "--force")
	for _, m := range f.members {
		f.eventually(m, forced.RequestId, "everybody refuses", func(r *v1.Request) bool {
			refused := 0
			for _, v := range r.Verdicts {
				if !v.Verdict.Allow && v.Verdict.Rule == string(policy.OutputsDiffer) {
					refused++
				}
			}
			return refused == n && r.State == v1.RequestState_REQUEST_STATE_REFUSED
		})
	}
}

// eventually waits until a request is as wanted at a member.
func (f *federation) eventually(m *member, id, what string, holds func(*v1.Request) bool) {
	f.Helper()
	eventually(f.T, m.name+": "+what, func(ctx context.Context) error {
		var list v1.ListRequestsResponse
		if err := m.try(ctx, &list, "requests"); err != nil {
			return err
		}
		for _, r := range list.Requests {
			if r.Id == id && holds(r) {
				return nil
			}
		}
		return fmt.Errorf("requests are %v", &list)
	})
}

// pay pays the list of a week, at the proposal of one member, and makes sure that
// a block pays every miner what is due, with one signature for each coin.
func (f *federation) pay(proposer *member, week int) {
	f.settle(proposer, f.propose(proposer, week), week)
}

// propose gives everybody the list of a week, and lets one member propose to pay
// it.
func (f *federation) propose(proposer *member, week int) *v1.PayResponse {
	f.Helper()
	f.addLists(week)
	var proposed v1.PayResponse
	proposer.ok(&proposed, "pay", f.payoutFile(proposer, week), "--key", label)
	return &proposed
}

// settle waits until a payout is signed, mines it and looks into the block.
func (f *federation) settle(proposer *member, proposed *v1.PayResponse, week int) {
	f.Helper()
	f.eventually(proposer, proposed.RequestId, "its broadcast is delivered", func(*v1.Request) bool { return true })
	var signed v1.Request
	proposer.ok(&signed, "request", proposed.RequestId, "--wait")
	if signed.Txid != proposed.Txid {
		f.Errorf("proposed %s and signed %s", proposed.Txid, signed.Txid)
	}
	eventually(f.T, "btcd has the payout", func(ctx context.Context) error { return f.node.inMempool(ctx, signed.Txid) })
	block := f.node.block(f.T, f.mine(1))
	paid := findTx(block, signed.Txid)
	if paid == nil {
		f.Fatalf("the block does not hold %s", signed.Txid)
	}
	for _, p := range payees(week) {
		if !pays(paid, p) {
			f.Errorf("%s does not pay %s", signed.Txid, p.Label)
		}
	}
	for i, in := range paid.TxIn {
		if len(in.Witness) != 1 || hex.EncodeToString(in.Witness[0]) != signed.Signatures[i] {
			f.Errorf("input %d carries %x, not the signature %s", i, in.Witness, signed.Signatures[i])
		}
	}
	for _, m := range f.running() {
		f.eventually(m, signed.Id, "the payout is confirmed", func(r *v1.Request) bool {
			return r.State == v1.RequestState_REQUEST_STATE_CONFIRMED && r.Txid == signed.Txid
		})
	}
}

func findTx(block *wire.MsgBlock, txid string) *wire.MsgTx {
	for _, tx := range block.Transactions {
		if tx.TxID() == txid {
			return tx
		}
	}
	return nil
}

func pays(tx *wire.MsgTx, p bitcoin.Payee) bool {
	for _, out := range tx.TxOut {
		if bytes.Equal(out.PkScript, p.Script) && out.Value == int64(p.Amount) {
			return true
		}
	}
	return false
}

// killProposer kills bob in the moment in which he has answered that his proposal
// is made. It is paid once he is back, however little of it had left his machine.
func (f *federation) killProposer() {
	proposed := f.propose(f.bob, 4)
	f.bob.kill()
	f.bob.start()
	f.settle(f.bob, proposed, 4)
	f.connected()
}

// returns starts a killed member and waits until it knows the payout that it
// missed, and everybody is connected.
func (f *federation) returns(m *member, missed int) {
	m.fails(exitError, "run", "--passphrase-file", f.alice.phrase)
	m.start()
	f.connected()
	var payout string
	for _, other := range f.running() {
		if other != m {
			payout = f.confirmed(other)[missed-1]
			break
		}
	}
	f.eventually(m, payout, "it knows the payout that it missed", func(r *v1.Request) bool {
		return r.State == v1.RequestState_REQUEST_STATE_CONFIRMED
	})
}

// confirmed lists the confirmed requests of a member, in order.
func (f *federation) confirmed(m *member) []string {
	f.Helper()
	var list v1.ListRequestsResponse
	m.ok(&list, "requests")
	var ids []string
	for _, r := range list.Requests {
		if r.State == v1.RequestState_REQUEST_STATE_CONFIRMED {
			ids = append(ids, r.Id)
		}
	}
	return ids
}

// stop ends the members in good order, one by command, the others by signal.
func (f *federation) stop() {
	for _, m := range f.members {
		if m == f.alice {
			m.ok(&v1.StopResponse{}, "stop")
		}
		if code := m.process.terminate(f.T); code != exitOK {
			f.Errorf("%s ended with exit code %d:\n%s", m.name, code, tail(m.process.log, 15))
		}
	}
	f.alice.fails(exitNotReady, "status")
}
