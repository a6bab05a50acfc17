package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// chain is a small Bitcoin: one best chain of real blocks, a pool of waiting
// transactions, reorgs. Every transaction is run through the script engine
// against the outputs that exist on the chain. There is no proof of work, and
// coins come from outputs of the first block that anybody can spend.
type chain struct {
	w      *world
	blocks []*wire.MsgBlock // the best chain; the index is the height
	pool   []*wire.MsgTx    // in order of arrival
	forks  uint32           // makes blocks of one height differ
	faucet []wire.OutPoint  // not spent by any funding yet
}

const (
	faucetCoins  = 64
	faucetAmount = 50_000_000
	firstBlocks  = 16 // before the federation begins
)

// anyone is a script that needs no signature.
var anyone = []byte{txscript.OP_TRUE}

func newChain(w *world) *chain {
	c := &chain{w: w}
	genesis := coinbase(0, 0)
	for range faucetCoins {
		genesis.AddTxOut(wire.NewTxOut(faucetAmount, anyone))
	}
	c.extend(genesis)
	for i := range faucetCoins {
		c.faucet = append(c.faucet, wire.OutPoint{Hash: genesis.TxHash(), Index: uint32(i + 1)}) // 0 is the coinbase's own
	}
	for len(c.blocks) < firstBlocks {
		c.extend(coinbase(c.height()+1, 0))
	}
	return c
}

func coinbase(height int, fork uint32) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	script := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{8}, uint32(height)), fork)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff}, SignatureScript: script})
	tx.AddTxOut(wire.NewTxOut(0, nil))
	return tx
}

func (c *chain) height() int { return len(c.blocks) - 1 }

func (c *chain) tip() chainhash.Hash { return c.blocks[c.height()].BlockHash() }

func (c *chain) extend(txs ...*wire.MsgTx) {
	block := &wire.MsgBlock{Header: wire.BlockHeader{Version: 1, Nonce: uint32(len(c.blocks)), MerkleRoot: txs[0].TxHash()}, Transactions: txs}
	if len(c.blocks) > 0 {
		block.Header.PrevBlock = c.tip()
	}
	c.blocks = append(c.blocks, block)
}

// unspent is the set of outputs after the first count blocks.
func (c *chain) unspent(count int) map[wire.OutPoint]*wire.TxOut {
	set := make(map[wire.OutPoint]*wire.TxOut)
	for _, b := range c.blocks[:count] {
		for _, tx := range b.Transactions {
			apply(set, tx)
		}
	}
	return set
}

func apply(set map[wire.OutPoint]*wire.TxOut, tx *wire.MsgTx) {
	for _, in := range tx.TxIn {
		delete(set, in.PreviousOutPoint)
	}
	txid := tx.TxHash()
	for i, out := range tx.TxOut {
		set[wire.OutPoint{Hash: txid, Index: uint32(i)}] = out
	}
}

var (
	errMissing = errors.New("it spends what does not exist or is spent")
	errEarly   = errors.New("its lock time has not come")
	errKnown   = errors.New("the pool or the chain has it")
)

// check says whether tx may go into the block at height, after set.
func check(set map[wire.OutPoint]*wire.TxOut, tx *wire.MsgTx, height int) error {
	if int(tx.LockTime) >= height {
		return errEarly
	}
	var prevouts []*wire.TxOut
	for _, in := range tx.TxIn {
		out, ok := set[in.PreviousOutPoint]
		if !ok {
			return fmt.Errorf("%w: %v", errMissing, in.PreviousOutPoint)
		}
		prevouts = append(prevouts, out)
	}
	return bitcoin.Verify(tx, prevouts)
}

// submit offers a transaction to the pool, as any node would: the first of two
// that conflict stays.
func (c *chain) submit(tx *wire.MsgTx) error {
	set := c.unspent(len(c.blocks))
	txid := tx.TxHash()
	for _, p := range c.pool {
		if p.TxHash() == txid {
			return errKnown
		}
		apply(set, p)
	}
	if _, known := set[wire.OutPoint{Hash: txid}]; known {
		return errKnown
	}
	if err := check(set, tx, len(c.blocks)); err != nil {
		return err
	}
	c.pool = append(c.pool, tx)
	return nil
}

// mine adds a block with some of the pool; all of it, if everything is true.
func (c *chain) mine(everything bool) {
	set := c.unspent(len(c.blocks))
	c.forks++
	txs := []*wire.MsgTx{coinbase(len(c.blocks), c.forks)}
	var rest []*wire.MsgTx
	for _, tx := range c.pool {
		err := check(set, tx, len(c.blocks))
		switch {
		case err == nil && (everything || c.w.rng.IntN(4) != 0):
			apply(set, tx)
			txs = append(txs, tx)
		case err == nil || errors.Is(err, errEarly) || c.mayReturn(tx):
			rest = append(rest, tx)
		}
	}
	c.pool = rest
	c.extend(txs...)
	c.w.trace.add(c.w.now, "block %d %s with %d transactions", c.height(), c.tip().String()[56:], len(txs)-1)
	c.w.check.chain()
}

// mayReturn says that a parent in the pool is missing only for now.
func (c *chain) mayReturn(tx *wire.MsgTx) bool {
	for _, in := range tx.TxIn {
		for _, p := range c.pool {
			if p.TxHash() == in.PreviousOutPoint.Hash {
				return true
			}
		}
	}
	return false
}

// reorg replaces the last blocks by one more of other ones. What was in them
// goes back to the pool, and may be mined again in another order; but with
// thieves the payers take back what they have paid in these blocks or are about
// to, by spending it otherwise.
func (c *chain) reorg(depth int, thieves bool) {
	fork := len(c.blocks) - depth
	if fork < firstBlocks/2 {
		return
	}
	var back []*wire.MsgTx
	for _, b := range c.blocks[fork:] {
		back = append(back, b.Transactions[1:]...)
	}
	c.w.trace.add(c.w.now, "reorg of %d blocks, %d transactions go back", depth, len(back))
	c.blocks = c.blocks[:fork:fork]
	c.pool = append(back, c.pool...)
	if thieves {
		for i, tx := range c.pool {
			if len(tx.TxIn) == 1 && c.fromFaucet(tx.TxIn[0].PreviousOutPoint) {
				c.pool[i] = stolen(tx)
				c.w.work.stolen(tx.TxOut[0].PkScript)
			}
		}
	}
	for range depth + 1 {
		c.mine(false)
	}
}

// gone says that a transaction can never confirm: an input is neither on the
// chain, unspent or spent by itself, nor on its way there.
func (c *chain) gone(tx *wire.MsgTx) bool {
	exists := make(map[chainhash.Hash]bool)
	for _, b := range c.blocks {
		for _, t := range b.Transactions {
			exists[t.TxHash()] = true
		}
	}
	for _, t := range c.pool {
		exists[t.TxHash()] = true
	}
	return slices.ContainsFunc(tx.TxIn, func(in *wire.TxIn) bool { return !exists[in.PreviousOutPoint.Hash] })
}

func (c *chain) fromFaucet(o wire.OutPoint) bool {
	return o.Hash == c.blocks[0].Transactions[0].TxHash()
}

// stolen spends what tx spends, and pays nobody.
func stolen(tx *wire.MsgTx) *wire.MsgTx {
	other := wire.NewMsgTx(2)
	other.AddTxIn(tx.TxIn[0])
	other.AddTxOut(wire.NewTxOut(tx.TxOut[0].Value, anyone))
	return other
}

// fund pays an amount to a script, from the faucet.
func (c *chain) fund(script []byte, amount int64) {
	if len(c.faucet) == 0 {
		return
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.faucet[0], Sequence: wire.MaxTxInSequenceNum})
	tx.AddTxOut(wire.NewTxOut(amount, script))
	c.faucet = c.faucet[1:]
	if err := c.submit(tx); err != nil {
		panic(fmt.Sprintf("sim: funding: %v", err))
	}
}
