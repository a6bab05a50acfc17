package rpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain"
)

// Tip implements chain.Backend.
func (c *Client) Tip(ctx context.Context) (chain.BlockID, error) {
	var info struct {
		Blocks int32 `json:"blocks"`
		Best   hash  `json:"bestblockhash"` // belongs to Blocks: one call, one state
	}
	if err := c.ask(ctx, &info, "getblockchaininfo"); err != nil {
		return chain.BlockID{}, err
	}
	if info.Blocks < 0 || info.Best == (hash{}) {
		return chain.BlockID{}, fmt.Errorf("tip is malformed: %w", chain.ErrUnavailable)
	}
	return chain.BlockID{Height: info.Blocks, Hash: chainhash.Hash(info.Best)}, nil
}

// BlockHashAt implements chain.Backend.
func (c *Client) BlockHashAt(ctx context.Context, height int32) (chainhash.Hash, error) {
	if height < 0 {
		return chainhash.Hash{}, fmt.Errorf("block at height %d: %w", height, chain.ErrNotFound)
	}
	var h hash
	err := c.ask(ctx, &h, "getblockhash", height)
	return chainhash.Hash(h), notFound(err, codeMisc, codeInvalidParam)
}

// Header implements chain.Backend.
func (c *Client) Header(ctx context.Context, id chainhash.Hash) (wire.BlockHeader, error) {
	var raw hexBytes
	if err := c.ask(ctx, &raw, "getblockheader", id.String(), false); err != nil {
		return wire.BlockHeader{}, notFound(err, codeNotFound)
	}
	var header wire.BlockHeader
	r := bytes.NewReader(raw)
	if err := header.Deserialize(r); err != nil || r.Len() > 0 || header.BlockHash() != id {
		return wire.BlockHeader{}, fmt.Errorf("header %v is malformed or another: %w", id, chain.ErrUnavailable)
	}
	return header, nil
}

// Block implements chain.Backend.
func (c *Client) Block(ctx context.Context, id chainhash.Hash) (*wire.MsgBlock, error) {
	var raw hexBytes
	if err := c.ask(ctx, &raw, "getblock", id.String(), 0); err != nil {
		return nil, notFound(err, codeNotFound)
	}
	var block wire.MsgBlock
	r := bytes.NewReader(raw)
	if err := block.Deserialize(r); err != nil || r.Len() > 0 || block.BlockHash() != id {
		return nil, fmt.Errorf("block %v is malformed or another: %w", id, chain.ErrUnavailable)
	}
	return &block, nil
}

// Output implements chain.Backend.
func (c *Client) Output(ctx context.Context, op wire.OutPoint) (chain.Output, error) {
	// Without the mempool, as the two nodes disagree on what it would hide.
	var answer *struct {
		Best          hash        `json:"bestblock"`
		Confirmations int32       `json:"confirmations"`
		Value         json.Number `json:"value"`
		Script        struct {
			Hex hexBytes `json:"hex"`
		} `json:"scriptPubKey"`
		Coinbase bool `json:"coinbase"`
	}
	if err := c.ask(ctx, &answer, "gettxout", op.Hash.String(), op.Index, false); err != nil {
		return chain.Output{}, notFound(err, codeNotFound)
	}
	if answer == nil {
		return chain.Output{}, fmt.Errorf("unspent output %v: %w", op, chain.ErrNotFound)
	}
	value, err := satoshis(answer.Value)
	if err != nil || answer.Confirmations < 1 || answer.Best == (hash{}) {
		return chain.Output{}, fmt.Errorf("output %v is malformed: %w", op, chain.ErrUnavailable)
	}
	spender, err := c.spender(ctx, op)
	if err != nil {
		return chain.Output{}, err
	}
	return chain.Output{
		Value:         value,
		PkScript:      answer.Script.Hex,
		Confirmations: answer.Confirmations,
		Coinbase:      answer.Coinbase,
		Spender:       spender,
		AsOf:          chainhash.Hash(answer.Best),
	}, nil
}

// spender returns the mempool transaction that spends op, nil if none does.
func (c *Client) spender(ctx context.Context, op wire.OutPoint) (*chainhash.Hash, error) {
	type outpoint struct {
		TxID string `json:"txid"`
		Vout uint32 `json:"vout"`
	}
	var spends []struct {
		Spender *hash `json:"spendingtxid"`
	}
	query := []outpoint{{op.Hash.String(), op.Index}}
	if err := c.ask(ctx, &spends, "gettxspendingprevout", query); err != nil {
		return nil, err
	}
	if len(spends) != 1 {
		return nil, fmt.Errorf("node answers %d spends for one output: %w", len(spends), chain.ErrUnavailable)
	}
	return (*chainhash.Hash)(spends[0].Spender), nil
}

// Submit implements chain.Backend.
func (c *Client) Submit(ctx context.Context, tx *wire.MsgTx) error {
	var id hash
	err := c.ask(ctx, &id, "sendrawtransaction", encodeTx(tx))
	var answer *rpcError
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.Code {
	case codeTxKnown:
		return nil
	case codeTxMissing, codeTxRejected:
		return chain.Rejection(answer.Message)
	}
	return err
}

// maxFeeRate, in BTC per 1000 vB, is Core's own default for both ways to hand in
// a transaction. btcd insists on being told, but not for sendrawtransaction.
const maxFeeRate = 0.1

// Test implements chain.Backend.
func (c *Client) Test(ctx context.Context, tx *wire.MsgTx) error {
	var verdicts []struct {
		Allowed bool   `json:"allowed"`
		Reason  string `json:"reject-reason"`
	}
	if err := c.ask(ctx, &verdicts, "testmempoolaccept", []string{encodeTx(tx)}, maxFeeRate); err != nil {
		return err
	}
	if len(verdicts) != 1 {
		return fmt.Errorf("node answers %d verdicts for one transaction: %w", len(verdicts), chain.ErrUnavailable)
	}
	if verdicts[0].Allowed {
		return nil
	}
	return chain.Rejection(verdicts[0].Reason)
}

// FeeRate implements chain.Backend.
func (c *Client) FeeRate(ctx context.Context, target int) (bitcoin.SatPerKWU, error) {
	node, err := c.identify(ctx)
	if err != nil {
		return 0, err
	}
	if !node.smartFee {
		return 0, fmt.Errorf("estimate fee: %w", chain.ErrUnsupported)
	}
	var estimate struct {
		Rate json.Number `json:"feerate"` // BTC per 1000 vB; absent without data
	}
	if err := c.call(ctx, &estimate, "estimatesmartfee", target); err != nil {
		return 0, err
	}
	if estimate.Rate == "" {
		return 0, fmt.Errorf("fee estimate for %d blocks: %w", target, chain.ErrNotFound)
	}
	perKvB, err := satoshis(estimate.Rate)
	if err != nil {
		return 0, fmt.Errorf("fee estimate is malformed: %w", chain.ErrUnavailable)
	}
	return bitcoin.SatPerKWU((perKvB + 3) / 4), nil // 1 vB is 4 WU; round up
}

// notFound turns a negative answer with one of codes into chain.ErrNotFound.
func notFound(err error, codes ...int) error {
	var answer *rpcError
	if !errors.As(err, &answer) {
		return err
	}
	if strings.Contains(answer.Message, "pruned") { // Core: codeMisc, and it did exist
		return err
	}
	for _, code := range codes {
		if answer.Code == code {
			return fmt.Errorf("%w: %v", chain.ErrNotFound, err) // not also ErrUnavailable
		}
	}
	return err
}

func encodeTx(tx *wire.MsgTx) string {
	var buf bytes.Buffer
	_ = tx.Serialize(&buf) // writes to memory cannot fail
	return hex.EncodeToString(buf.Bytes())
}

// satoshis converts a JSON amount in BTC exactly: 21 million BTC are 2.1e15
// satoshis and a float64 is exact to 9e15, so rounding recovers the integer.
func satoshis(btc json.Number) (int64, error) {
	f, err := btc.Float64()
	if err != nil {
		return 0, err
	}
	sats := math.Round(f * 1e8)
	if !(sats >= 0 && sats <= float64(bitcoin.MaxMoney)) {
		return 0, errors.New("amount is out of range")
	}
	return int64(sats), nil
}

// hash is a block or transaction id in JSON: 64 hex digits, byte-reversed.
type hash chainhash.Hash

func (h *hash) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if len(s) != 2*chainhash.HashSize {
		return errors.New("hash is not 64 hex digits")
	}
	return chainhash.Decode((*chainhash.Hash)(h), s)
}

// hexBytes is a byte string in JSON.
type hexBytes []byte

func (x *hexBytes) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	raw, err := hex.DecodeString(s)
	*x = raw
	return err
}
