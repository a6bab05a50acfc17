package chaintest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
)

// minFee relays any transaction of the suite, all below 300 vB, everywhere.
const minFee = 1000

func (s *suite) testReady(t *testing.T) {
	if err := s.Backend.Ready(testContext(t)); err != nil {
		t.Error(err)
	}
	if _, err := s.Backend.Capabilities(testContext(t)); err != nil {
		t.Error(err)
	}
}

func (s *suite) testBlocks(t *testing.T) {
	ctx, b := testContext(t), s.Backend
	if got := must(b.BlockHashAt(ctx, 0))(t); got != *chaincfg.RegressionNetParams.GenesisHash {
		t.Errorf("genesis block is %v", got)
	}
	tip := s.tip(t)
	if tip.Height != 110 {
		t.Fatalf("tip at height %d, want 110", tip.Height)
	}
	var parent chainhash.Hash
	for h := range tip.Height + 1 {
		hash := must(b.BlockHashAt(ctx, h))(t)
		header := must(b.Header(ctx, hash))(t)
		block := must(b.Block(ctx, hash))(t)
		if header.BlockHash() != hash || block.Header != header {
			t.Fatalf("height %d: hash, header and block differ", h)
		}
		if header.PrevBlock != parent {
			t.Fatalf("height %d: parent is %v, want %v", h, header.PrevBlock, parent)
		}
		parent = hash
	}
	if parent != tip.Hash {
		t.Errorf("last block is %v, tip is %v", parent, tip.Hash)
	}

	for _, h := range []int32{-1, tip.Height + 1, 1 << 30} {
		_, err := b.BlockHashAt(ctx, h)
		wantErr(t, "height off the chain", err, chain.ErrNotFound)
	}
	unknown := chainhash.Hash{1, 2, 3}
	_, err := b.Header(ctx, unknown)
	wantErr(t, "unknown header", err, chain.ErrNotFound)
	_, err = b.Block(ctx, unknown)
	wantErr(t, "unknown block", err, chain.ErrNotFound)
	if errors.Is(err, chain.ErrUnavailable) {
		t.Errorf("an unknown block counts as an unavailable node: %v", err)
	}
}

func (s *suite) testFunding(t *testing.T) {
	script := append([]byte{txscript.OP_1, txscript.OP_DATA_32}, bytes.Repeat([]byte{7}, 32)...)
	const value = 123_456_789
	fund := spend(t, s.mature(t), minFee, wire.NewTxOut(value, script))
	s.submit(t, fund)
	funded := coin{outpoint(fund, 0), *fund.TxOut[0], s.tip(t).Height}
	_, err := s.output(t, funded)
	wantErr(t, "unconfirmed output", err, chain.ErrNotFound)
	for depth := int32(1); depth <= 3; depth++ {
		s.mine(t, 1)
		got := must(s.output(t, funded))(t)
		if got.Value != value || !bytes.Equal(got.PkScript, script) || got.Coinbase || got.Spender != nil {
			t.Errorf("output is %+v", got)
		}
		if got.Confirmations != depth || got.AsOf != s.tip(t).Hash {
			t.Errorf("%d confirmations as of %v, want %d as of the tip", got.Confirmations, got.AsOf, depth)
		}
	}
	coinbase := must(s.output(t, s.coins[len(s.coins)-1]))(t)
	if !coinbase.Coinbase || coinbase.Confirmations != 1 {
		t.Errorf("newest coinbase is %+v", coinbase)
	}
	for name, op := range map[string]wire.OutPoint{
		"unknown transaction": {Hash: chainhash.Hash{9}},
		"unknown index":       outpoint(fund, 7),
	} {
		_, err := s.output(t, coin{op, *fund.TxOut[0], funded.born})
		wantErr(t, name, err, chain.ErrNotFound)
	}
}

func (s *suite) testSubmit(t *testing.T) {
	ctx, b := testContext(t), s.Backend
	caps := must(b.Capabilities(ctx))(t)
	c := s.mature(t)
	tx := spend(t, c, minFee)
	if caps.TestAccept {
		if err := b.Test(ctx, tx); err != nil {
			t.Errorf("test: %v", err)
		}
	}
	for range 2 { // the second time the node has it already
		s.submit(t, tx)
	}
	if caps.TestAccept {
		if err := b.Test(ctx, tx); err != nil {
			t.Errorf("test of a pooled transaction: %v", err)
		}
	}
	if got := must(s.output(t, c))(t); caps.Mempool && (got.Spender == nil || *got.Spender != tx.TxHash()) {
		t.Errorf("spender is %v, want %v", got.Spender, tx.TxHash())
	}

	block := must(b.Block(ctx, s.mine(t, 1)[0]))(t)
	if len(block.Transactions) != 2 || block.Transactions[1].TxHash() != tx.TxHash() {
		t.Fatalf("the transaction was not mined: block has %d", len(block.Transactions))
	}
	if !bytes.Equal(block.Transactions[1].TxIn[0].Witness[0], tx.TxIn[0].Witness[0]) {
		t.Error("the block lost the witness")
	}
	change := coin{outpoint(tx, 0), *tx.TxOut[0], s.tip(t).Height}
	_, err := s.output(t, c)
	wantErr(t, "spent output", err, chain.ErrNotFound)
	if err := b.Submit(ctx, tx); err != nil {
		t.Errorf("submit of a mined transaction: %v", err)
	}
	s.mine(t, 5)
	if got := must(s.output(t, change))(t); got.Confirmations != 6 {
		t.Errorf("%d confirmations, want 6", got.Confirmations)
	}
}

// refused checks that Test and Submit reject tx with kind, as far as the backend
// can tell.
func (s *suite) refused(t *testing.T, tx *wire.MsgTx, kind chain.RejectKind) {
	t.Helper()
	ctx := testContext(t)
	check := func(call string, err error) {
		t.Helper()
		var rejected *chain.RejectedError
		if !errors.As(err, &rejected) || rejected.Kind != kind {
			t.Errorf("%s: error %v, want a rejection as %q", call, err, kind)
		} else if rejected.Reason == "" {
			t.Errorf("%s: no reason given", call)
		}
	}
	caps := must(s.Backend.Capabilities(ctx))(t)
	if caps.TestAccept {
		check("test", s.Backend.Test(ctx, tx))
	} else {
		wantErr(t, "test without the capability", s.Backend.Test(ctx, tx), chain.ErrUnsupported)
	}
	err := s.Backend.Submit(ctx, tx)
	if caps.Verdict || err != nil {
		check("submit", err)
	}
}

func (s *suite) testDoubleSpend(t *testing.T) {
	c := s.mature(t)
	first := spend(t, c, 10*minFee)
	second := spend(t, c, minFee, wire.NewTxOut(10_000, Script()))
	s.submit(t, first)
	s.refused(t, second, chain.RejectConflict)
	block := must(s.Backend.Block(testContext(t), s.mine(t, 1)[0]))(t)
	if len(block.Transactions) != 2 || block.Transactions[1].TxHash() != first.TxHash() {
		t.Error("the first spend was not what was mined")
	}
	s.refused(t, second, chain.RejectMissingInputs)
}

func (s *suite) testReplacement(t *testing.T) {
	ctx, c := testContext(t), s.mature(t)
	cheap, dear := spend(t, c, minFee), spend(t, c, 10*minFee)
	for _, tx := range []*wire.MsgTx{cheap, dear} {
		s.submit(t, tx)
	}
	block := must(s.Backend.Block(ctx, s.mine(t, 1)[0]))(t)
	if len(block.Transactions) != 2 || block.Transactions[1].TxHash() != dear.TxHash() {
		t.Error("the replacement was not what was mined")
	}
}

func (s *suite) testRejections(t *testing.T) {
	c := s.mature(t)
	young := s.coins[len(s.coins)-1]
	height := s.tip(t).Height
	confirmations := must(s.output(t, c))(t).Confirmations
	change := func(edit func(*wire.MsgTx)) *wire.MsgTx {
		tx := spend(t, c, minFee)
		edit(tx)
		return sign(t, tx, c)
	}
	badSig := spend(t, c, minFee)
	badSig.TxIn[0].Witness[0][40] ^= 1
	nowhere := c
	nowhere.Hash = chainhash.Hash{1}

	for _, test := range []struct {
		name string
		tx   *wire.MsgTx
		kind chain.RejectKind
	}{
		{"immature coinbase", spend(t, young, minFee), chain.RejectImmature},
		{"unknown input", spend(t, nowhere, minFee), chain.RejectMissingInputs},
		{"bad signature", badSig, chain.RejectInvalid},
		{"spends more than it has", spend(t, c, -minFee), chain.RejectInvalid},
		{"no fee", spend(t, c, 0), chain.RejectFee},
		{"dust", spend(t, c, minFee, wire.NewTxOut(100, Script())), chain.RejectNonstandard},
		{"unknown script form", spend(t, c, minFee, wire.NewTxOut(10_000, []byte{txscript.OP_NOP, txscript.OP_TRUE})), chain.RejectNonstandard},
		{"lock time ahead", change(func(tx *wire.MsgTx) { tx.LockTime = uint32(height) + 1 }), chain.RejectNotFinal},
		{"relative lock ahead", change(func(tx *wire.MsgTx) { tx.TxIn[0].Sequence = uint32(confirmations) + 1 }), chain.RejectNotFinal},
	} {
		t.Run(test.name, func(t *testing.T) { s.refused(t, test.tx, test.kind) })
	}
	// At the boundary both locks are open.
	tx := change(func(tx *wire.MsgTx) { tx.LockTime, tx.TxIn[0].Sequence = uint32(height), uint32(confirmations) })
	s.submit(t, tx)
	s.mine(t, 1)
}

func (s *suite) testFeeRate(t *testing.T) {
	ctx := testContext(t)
	fees := must(s.Backend.Capabilities(ctx))(t).Fees
	rate, err := s.Backend.FeeRate(ctx, 6)
	switch {
	case !fees:
		wantErr(t, "fee rate without the capability", err, chain.ErrUnsupported)
	case err == nil && (rate < bitcoin.MinFeeRate/10 || rate > bitcoin.MaxFeeRate):
		t.Errorf("fee rate %v is absurd", rate)
	case err != nil:
		wantErr(t, "fee rate of a young node", err, chain.ErrNotFound)
	}
}

func (s *suite) testCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Backend.Tip(ctx)
	wantErr(t, "tip", err, context.Canceled)
	wantErr(t, "submit", s.Backend.Submit(ctx, wire.NewMsgTx(2)), context.Canceled)
	if err := s.Backend.Ready(testContext(t)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func (s *suite) testWrongNetwork(t *testing.T) {
	if s.AsNetwork == nil {
		t.Skip("this backend makes its own network")
	}
	b := must(s.AsNetwork(&chaincfg.MainNetParams))(t)
	calls := map[string]error{"ready": b.Ready(testContext(t))}
	_, calls["tip"] = b.Tip(testContext(t))
	_, calls["output"] = b.Output(testContext(t), s.coins[0].OutPoint)
	calls["submit"] = b.Submit(testContext(t), spend(t, s.coins[0], minFee))
	for name, err := range calls {
		var notReady *chain.NotReadyError
		if !errors.As(err, &notReady) || notReady.Kind != chain.WrongNetwork {
			t.Errorf("%s on another network: %v", name, err)
		}
	}
}

func (s *suite) testDead(t *testing.T) {
	op, tx := s.coins[0].OutPoint, spend(t, s.coins[0], minFee)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	b, calls := s.Backend, map[string]error{}
	ctx := testContext(t) // for all calls together: none may take long
	_, calls["tip"] = b.Tip(ctx)
	_, calls["block hash"] = b.BlockHashAt(ctx, 1)
	_, calls["header"] = b.Header(ctx, op.Hash)
	_, calls["block"] = b.Block(ctx, op.Hash)
	_, calls["output"] = b.Output(ctx, op)
	calls["submit"] = b.Submit(ctx, tx)
	calls["test"] = b.Test(ctx, tx)
	_, calls["fee rate"] = b.FeeRate(ctx, 6)
	ready := b.Ready(ctx)
	calls["ready"] = ready
	for name, err := range calls {
		wantErr(t, name, err, chain.ErrUnavailable)
	}
	var notReady *chain.NotReadyError
	if !errors.As(ready, &notReady) || notReady.Kind != chain.Unreachable || notReady.Detail == "" {
		t.Errorf("ready: %v, want unreachable with a reason", ready)
	}
}
