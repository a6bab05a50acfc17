package api

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"frostfed/bitcoin"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/policy"
)

// TestFromKeyToConfirmation drives the life of a payout over the socket.
func TestFromKeyToConfirmation(t *testing.T) {
	m := newMember(t, nil)
	ctx := t.Context()
	events := m.watch()

	status := ok[v1.GetStatusResponse](t)(m.client.GetStatus(ctx, ask(&v1.GetStatusRequest{})))
	if status.Ready || status.N != 1 || status.T != 1 || status.Connected != 1 || status.Network != "regtest" ||
		status.FederationId != m.deps.Charter.ID().String() || status.Self.Name != "alice" || status.Version != "test" {
		t.Fatalf("status %v", status)
	}
	if last := status.Unready[len(status.Unready)-1]; last.Check != "key" || !strings.Contains(last.Action, "frostfed key new") {
		t.Fatalf("not ready because of %v", status.Unready)
	}

	id := m.newKey("main")
	if got := events(func(e *v1.StreamEventsResponse) bool { return e.GetKeyReady() != nil }).GetKeyReady(); got.KeyId != id || !got.Fresh {
		t.Fatalf("event %v", got)
	}
	keys := ok[v1.ListKeysResponse](t)(m.client.ListKeys(ctx, ask(&v1.ListKeysRequest{}))).Keys
	if len(keys) != 1 || keys[0].Id != id || !keys[0].Active || keys[0].Label != "main" || keys[0].T != 1 || len(keys[0].PublicKey) != 66 {
		t.Fatalf("keys %v", keys)
	}

	m.fund("main")
	received := events(func(e *v1.StreamEventsResponse) bool { return e.GetCoinReceived() != nil }).GetCoinReceived()
	if received.KeyId != id || received.Amount != 50e8 || received.Height != 1 {
		t.Fatalf("event %v", received)
	}
	coins := ok[v1.ListCoinsResponse](t)(m.client.ListCoins(ctx, ask(&v1.ListCoinsRequest{Key: id[:8]}))).Coins
	if len(coins) != 1 || coins[0].Txid != received.Txid || coins[0].Confirmations != 101 || !coins[0].Coinbase || coins[0].KeyLabel != "main" {
		t.Fatalf("coins %v", coins)
	}
	if script, err := bitcoin.ParseAddress(bitcoin.Regtest, coins[0].Address); err != nil || len(script) != 34 {
		t.Fatalf("address %q: %v", coins[0].Address, err)
	}
	status = ok[v1.GetStatusResponse](t)(m.client.GetStatus(ctx, ask(&v1.GetStatusRequest{})))
	if !status.Ready || len(status.Unready) > 0 || status.Tip.Height != 101 || !status.ChainReady || status.ActiveKeys != 1 {
		t.Fatalf("status %v", status)
	}

	file := payees(t, "week 1", 3)
	list := ok[v1.AddPayoutListResponse](t)(m.client.AddPayoutList(ctx, ask(&v1.AddPayoutListRequest{File: file}))).List
	if list.Payees != 3 || list.Total != 30_003 || list.Reference != "week 1" || list.State != v1.RequestState_REQUEST_STATE_UNSPECIFIED {
		t.Fatalf("list %v", list)
	}
	order := &v1.PayRequest{Key: "main", List: &v1.PayRequest_ListId{ListId: list.Id[:6]}, FeeRate: 2.5, DryRun: true}
	dry := ok[v1.PayResponse](t)(m.client.Pay(ctx, ask(order)))
	packet, err := bitcoin.DecodePSBT(dry.Plan.Psbt)
	if err != nil || packet.Tx().TxHash().String() != dry.Txid || dry.RequestId != "" || dry.Plan.Total != list.Total ||
		dry.Plan.Inputs != 1 || dry.Plan.Change != coins[0].Amount-list.Total-dry.Plan.Fee || dry.Plan.Fee != (dry.Plan.Vbytes*5+1)/2 {
		t.Fatalf("plan %v: %v", dry, err)
	}
	if got := ok[v1.ListRequestsResponse](t)(m.client.ListRequests(ctx, ask(&v1.ListRequestsRequest{}))).Requests; len(got) != 0 {
		t.Fatalf("a dry run proposed %v", got)
	}

	order.DryRun, order.IdempotencyKey = false, "first"
	paid := ok[v1.PayResponse](t)(m.client.Pay(ctx, ask(order)))
	if again := ok[v1.PayResponse](t)(m.client.Pay(ctx, ask(order))); again.RequestId != paid.RequestId || paid.Txid != dry.Txid {
		t.Fatalf("proposed %v, then %v, after the plan %v", paid, again, dry)
	}
	wait := &v1.WaitRequestRequest{Id: paid.RequestId[:10]}
	signed := ok[v1.WaitRequestResponse](t)(m.client.WaitRequest(ctx, ask(wait)))
	if !signed.Reached || len(signed.Request.Signatures) != 1 || signed.Request.ListId != list.Id || signed.Request.Txid != paid.Txid {
		t.Fatalf("waited for %v", signed)
	}
	events(func(e *v1.StreamEventsResponse) bool { return e.GetRequestSigned().GetRequestId() == paid.RequestId })
	taken := events(func(e *v1.StreamEventsResponse) bool { return e.GetSubmitted() != nil }).GetSubmitted()
	if taken.Txid != paid.Txid || taken.Error != "" {
		t.Fatalf("submitted %v", taken)
	}
	m.mine(1)
	wait.Until = v1.RequestState_REQUEST_STATE_CONFIRMED
	if got := ok[v1.WaitRequestResponse](t)(m.client.WaitRequest(ctx, ask(wait))); !got.Reached || got.Request.Height != 102 {
		t.Fatalf("waited for %v", got)
	}
	events(func(e *v1.StreamEventsResponse) bool { return e.GetRequestConfirmed().GetTxid() == paid.Txid })

	all := ok[v1.ListRequestsResponse](t)(m.client.ListRequests(ctx, ask(&v1.ListRequestsRequest{}))).Requests
	if len(all) != 1 || all[0].State != v1.RequestState_REQUEST_STATE_CONFIRMED || all[0].Transaction != "" {
		t.Fatalf("requests %v", all)
	}
	one := ok[v1.GetRequestResponse](t)(m.client.GetRequest(ctx, ask(&v1.GetRequestRequest{Id: paid.RequestId}))).Request
	if raw, err := hex.DecodeString(one.Transaction); err != nil || len(raw) == 0 || one.Confirmations != 1 || !one.Verdicts[0].Verdict.Allow {
		t.Fatalf("request %v: %v", one, err)
	}
	lists := ok[v1.ListPayoutListsResponse](t)(m.client.ListPayoutLists(ctx, ask(&v1.ListPayoutListsRequest{}))).Lists
	if len(lists) != 1 || lists[0].State != v1.RequestState_REQUEST_STATE_CONFIRMED {
		t.Fatalf("lists %v", lists)
	}
}

func TestMembersAndFaults(t *testing.T) {
	m := newMember(t, nil)
	reply := ok[v1.ListMembersResponse](t)(m.client.ListMembers(t.Context(), ask(&v1.ListMembersRequest{})))
	if len(reply.Members) != 1 || !reply.Members[0].Self || !reply.Members[0].Up || reply.Members[0].Member.Name != "alice" ||
		!strings.HasPrefix(reply.Members[0].Member.PeerId, "12D3KooW") {
		t.Fatalf("members %v", reply.Members)
	}
	if len(reply.Seeds) != 1 || reply.Seeds[0].LastError != "no route" || len(reply.Seeds[0].Addresses) != 1 {
		t.Fatalf("seeds %v", reply.Seeds)
	}
	if faults := ok[v1.ListFaultsResponse](t)(m.client.ListFaults(t.Context(), ask(&v1.ListFaultsRequest{}))).Faults; len(faults) != 0 {
		t.Fatalf("faults %v", faults)
	}
}

func TestRefusalCarriesItsRule(t *testing.T) {
	m := newMember(t, func(c *policy.Config) { c.FeeMax = 1 })
	m.newKey("main")
	m.fund("main")
	order := &v1.PayRequest{Key: "main", List: &v1.PayRequest_File{File: payees(t, "week 1", 2)}, FeeRate: 100, IdempotencyKey: "k"}
	_, err := m.client.Pay(t.Context(), ask(order))
	wantCode(t, err, connect.CodeFailedPrecondition, ExitRefused)
	if r := refusal(err); r.Rule != string(policy.FeeTooHigh) || r.Reason == "" {
		t.Fatalf("refusal %v", r)
	}
	if !strings.Contains(Hint(err), "[policy]") {
		t.Fatalf("hint %q", Hint(err))
	}

	// A refusal is not remembered: the same key may be used again.
	call := &v1.SignMessageRequest{Key: "main", Message: []byte("hello"), IdempotencyKey: "k"}
	_, err = m.client.SignMessage(t.Context(), ask(call))
	wantCode(t, err, connect.CodeFailedPrecondition, ExitRefused)
	if r := refusal(err); r.Rule != string(federation.MessagesOff) {
		t.Fatalf("refusal %v", r)
	}
	call.Force = true
	forced := ok[v1.SignMessageResponse](t)(m.client.SignMessage(t.Context(), ask(call)))
	r := ok[v1.WaitRequestResponse](t)(m.client.WaitRequest(t.Context(), ask(&v1.WaitRequestRequest{Id: forced.RequestId, TimeoutSeconds: 1})))
	if r.Reached || r.Request.State != v1.RequestState_REQUEST_STATE_REFUSED {
		t.Fatalf("own policy let %v through", r)
	}
}

func TestSignMessage(t *testing.T) {
	m := newMember(t, func(c *policy.Config) { c.External = []string{"/bin/sh", "-c", "cat >/dev/null"} })
	m.newKey("main")
	signed := ok[v1.SignMessageResponse](t)(m.client.SignMessage(t.Context(), ask(&v1.SignMessageRequest{Key: "main", Message: []byte("hello")})))
	r := ok[v1.WaitRequestResponse](t)(m.client.WaitRequest(t.Context(), ask(&v1.WaitRequestRequest{Id: signed.RequestId}))).Request
	hash := bitcoin.MessageHash(m.deps.Charter.ID(), []byte("hello"))
	if r.Kind != v1.RequestKind_REQUEST_KIND_MESSAGE || string(r.Message) != "hello" || r.MessageHash != hex.EncodeToString(hash[:]) ||
		signed.MessageHash != r.MessageHash || r.Txid != "" {
		t.Fatalf("request %v", r)
	}
	verifyBIP340(t, r.PublicKey, hash[:], r.Signatures)
	_, err := m.client.WaitRequest(t.Context(), ask(&v1.WaitRequestRequest{Id: signed.RequestId, Until: v1.RequestState_REQUEST_STATE_CONFIRMED}))
	wantCode(t, err, connect.CodeInvalidArgument, ExitUsage)
}

// TestForeignTransactions proposes what was composed elsewhere.
func TestForeignTransactions(t *testing.T) {
	m := newMember(t, nil)
	ctx := t.Context()
	m.newKey("main")
	m.fund("main")
	file := payees(t, "week 1", 1)
	ok[v1.AddPayoutListResponse](t)(m.client.AddPayoutList(ctx, ask(&v1.AddPayoutListRequest{File: file})))
	order := &v1.PayRequest{Key: "main", List: &v1.PayRequest_File{File: file}, DryRun: true}
	plan := ok[v1.PayResponse](t)(m.client.Pay(ctx, ask(order)))
	order.Transaction = plan.Plan.Psbt
	_, err := m.client.Pay(ctx, ask(order))
	wantCode(t, err, connect.CodeInvalidArgument, ExitUsage)
	order.DryRun = false
	paid := ok[v1.PayResponse](t)(m.client.Pay(ctx, ask(order)))
	if paid.Txid != plan.Txid || paid.Plan != nil {
		t.Fatalf("proposed %v", paid)
	}
	if r := ok[v1.WaitRequestResponse](t)(m.client.WaitRequest(ctx, ask(&v1.WaitRequestRequest{Id: paid.RequestId}))); !r.Reached {
		t.Fatalf("waited for %v", r)
	}

	// As a PSBT by itself it pays strangers, whom the policy does not list.
	_, err = m.client.SignTransaction(ctx, ask(&v1.SignTransactionRequest{Key: "main", Psbt: plan.Plan.Psbt}))
	wantCode(t, err, connect.CodeFailedPrecondition, ExitRefused)
	forced := ok[v1.SignTransactionResponse](t)(m.client.SignTransaction(ctx, ask(&v1.SignTransactionRequest{Key: "main", Psbt: plan.Plan.Psbt, Force: true})))
	if forced.Txid != plan.Txid || len(forced.RequestId) != 64 {
		t.Fatalf("proposed %v", forced)
	}

	packet, err := bitcoin.DecodePSBT(plan.Plan.Psbt)
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if err := packet.Tx().SerializeNoWitness(&raw); err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string][]byte{
		"binary PSBT": plan.Plan.Psbt, "base64 PSBT": []byte(base64.StdEncoding.EncodeToString(plan.Plan.Psbt) + "\n"),
		"hex PSBT": []byte(hex.EncodeToString(plan.Plan.Psbt)), "raw": raw.Bytes(), "hex": []byte(hex.EncodeToString(raw.Bytes()) + "\n"),
	} {
		if tx, err := parseTransaction(form); err != nil || tx.TxHash().String() != plan.Txid {
			t.Errorf("%s: %v, %v", name, tx, err)
		}
	}
}

func TestBadCalls(t *testing.T) {
	m := newMember(t, nil)
	ctx, c := t.Context(), m.client
	m.newKey("main")
	m.mine(1)
	file := payees(t, "week 1", 1)
	bad := &v1.PayoutFile{Name: "week.csv", Content: []byte("address,sats\nnonsense,1000\n")}
	id := &v1.PayRequest_ListId{ListId: ok[v1.AddPayoutListResponse](t)(c.AddPayoutList(ctx, ask(&v1.AddPayoutListRequest{File: file}))).List.Id}
	key := func(name string) func() error {
		return func() error { _, err := c.NewAddress(ctx, ask(&v1.NewAddressRequest{Key: name})); return err }
	}
	pay := func(r *v1.PayRequest) func() error {
		return func() error { _, err := c.Pay(ctx, ask(r)); return err }
	}
	get := func(id string) func() error {
		return func() error { _, err := c.GetRequest(ctx, ask(&v1.GetRequestRequest{Id: id})); return err }
	}
	newKey := func(label, idempotency string) func() error {
		return func() error {
			_, err := c.NewKey(ctx, ask(&v1.NewKeyRequest{Label: label, IdempotencyKey: idempotency}))
			return err
		}
	}
	for _, tc := range []struct {
		name string
		call func() error
		code connect.Code
		exit int
	}{
		{"unknown key", key("other"), connect.CodeNotFound, ExitError},
		{"coins of an unknown key", func() error { _, err := c.ListCoins(ctx, ask(&v1.ListCoinsRequest{Key: "other"})); return err }, connect.CodeNotFound, ExitError},
		{"bad label", newKey("two words", ""), connect.CodeInvalidArgument, ExitUsage},
		{"label taken", newKey("main", ""), connect.CodeAlreadyExists, ExitError},
		{"long idempotency key", newKey("other", strings.Repeat("k", 65)), connect.CodeInvalidArgument, ExitUsage},
		{"unknown request", get("0123456789"), connect.CodeNotFound, ExitError},
		{"no request", get(""), connect.CodeNotFound, ExitError},
		{"wait in vain for a request named in full", func() error {
			_, err := c.WaitRequest(ctx, ask(&v1.WaitRequestRequest{Id: strings.Repeat("01", 32), TimeoutSeconds: 1}))
			return err
		}, connect.CodeNotFound, ExitError},
		{"wait for an unknown request", func() error { _, err := c.WaitRequest(ctx, ask(&v1.WaitRequestRequest{Id: "0123"})); return err }, connect.CodeNotFound, ExitError},
		{"long wait", func() error {
			_, err := c.WaitRequest(ctx, ask(&v1.WaitRequestRequest{TimeoutSeconds: 3601}))
			return err
		}, connect.CodeInvalidArgument, ExitUsage},
		{"no file", func() error { _, err := c.AddPayoutList(ctx, ask(&v1.AddPayoutListRequest{})); return err }, connect.CodeInvalidArgument, ExitUsage},
		{"bad file", func() error { _, err := c.AddPayoutList(ctx, ask(&v1.AddPayoutListRequest{File: bad})); return err }, connect.CodeInvalidArgument, ExitUsage},
		{"no list", pay(&v1.PayRequest{Key: "main"}), connect.CodeInvalidArgument, ExitUsage},
		{"unknown list", pay(&v1.PayRequest{Key: "main", List: &v1.PayRequest_ListId{ListId: "0123456789"}}), connect.CodeNotFound, ExitError},
		{"short list ID", pay(&v1.PayRequest{Key: "main", List: &v1.PayRequest_ListId{ListId: id.ListId[:3]}}), connect.CodeNotFound, ExitError},
		{"dry run of an unknown list", pay(&v1.PayRequest{Key: "main", List: &v1.PayRequest_File{File: payees(t, "week 2", 1)}, DryRun: true}), connect.CodeFailedPrecondition, ExitError},
		{"fee rate too low", pay(&v1.PayRequest{Key: "main", List: id, FeeRate: 0.5}), connect.CodeInvalidArgument, ExitUsage},
		{"negative fee rate", pay(&v1.PayRequest{Key: "main", List: id, FeeRate: -2}), connect.CodeInvalidArgument, ExitUsage},
		{"no coins", pay(&v1.PayRequest{Key: "main", List: id}), connect.CodeFailedPrecondition, ExitRefused},
		{"no transaction", pay(&v1.PayRequest{Key: "main", List: id, Transaction: []byte("nonsense")}), connect.CodeInvalidArgument, ExitUsage},
		{"no PSBT", func() error {
			_, err := c.SignTransaction(ctx, ask(&v1.SignTransactionRequest{Key: "main", Psbt: []byte("psbt\xff")}))
			return err
		}, connect.CodeInvalidArgument, ExitUsage},
		{"empty message", func() error { _, err := c.SignMessage(ctx, ask(&v1.SignMessageRequest{Key: "main"})); return err }, connect.CodeInvalidArgument, ExitUsage},
		{"unknown suite", func() error {
			_, err := c.NewKey(ctx, ask(&v1.NewKeyRequest{Label: "other", Suite: "ed448"}))
			return err
		}, connect.CodeInvalidArgument, ExitUsage},
		{"suite of a federation of one", func() error {
			_, err := c.NewKey(ctx, ask(&v1.NewKeyRequest{Label: "other", Suite: "ed25519"}))
			return err
		}, connect.CodeFailedPrecondition, ExitError},
		{"message under no key", func() error {
			_, err := c.SignMessage(ctx, ask(&v1.SignMessageRequest{Key: "nokey", Message: []byte("x")}))
			return err
		}, connect.CodeNotFound, ExitError},
		{"oversized", func() error {
			_, err := c.SignTransaction(ctx, ask(&v1.SignTransactionRequest{Key: "main", Psbt: make([]byte, maxRequest+1)}))
			return err
		}, connect.CodeResourceExhausted, ExitError},
	} {
		t.Run(tc.name, func(t *testing.T) { wantCode(t, tc.call(), tc.code, tc.exit) })
	}

	_, err := c.AddPayoutList(ctx, ask(&v1.AddPayoutListRequest{File: bad}))
	if !strings.Contains(err.Error(), "week.csv:2: bad address") || Hint(err) == "" {
		t.Errorf("%v; hint %q", err, Hint(err))
	}
	if err := newKey("second", "once")(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, newKey("third", "once")(), connect.CodeInvalidArgument, ExitUsage)
	for range 3 {
		if err := key("main")(); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, key("main")(), connect.CodeResourceExhausted, ExitError)
}

// verifyBIP340 checks one signature with btcd, under the x coordinate of a key.
func verifyBIP340(t *testing.T, publicKey string, hash []byte, sigs []string) {
	t.Helper()
	pub, err := hex.DecodeString(publicKey)
	if err != nil || len(pub) != 33 || len(sigs) != 1 {
		t.Fatalf("key %q, %d signatures: %v", publicKey, len(sigs), err)
	}
	key, err := schnorr.ParsePubKey(pub[1:])
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(sigs[0])
	if err != nil {
		t.Fatal(err)
	}
	sig, err := schnorr.ParseSignature(raw)
	if err != nil || !sig.Verify(hash, key) {
		t.Fatalf("the signature does not verify: %v", err)
	}
}
