package federation

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/protocols"
	"frostfed/protocols/frost/sign"
)

// signed takes the signatures of a request that this member approved.
func (c *Core) signed(now protocols.Time, out *Effects, id RequestID, signatures [][]byte) {
	if k := c.keys.verifications[id]; k != nil {
		c.verified(now, out, k, [64]byte(signatures[0])) // of a Bitcoin key
		return
	}
	r := c.requests.all[id]
	if r == nil || r.signatures != nil {
		return
	}
	if r.spend != nil {
		bip340 := make([][64]byte, len(signatures)) // a spend has a Bitcoin key
		for i, sig := range signatures {
			bip340[i] = [64]byte(sig)
		}
		tx, err := r.spend.Finish(bip340)
		if err != nil {
			// Each signature verified under the key this member computed, so the
			// transaction must pass the script engine: anything else is a bug here.
			panic(fmt.Sprintf("federation: request %s: signatures verify but the transaction does not: %v", r.id, err))
		}
		r.signed = tx
	}
	r.signatures = signatures
	c.saveSignatures(out, r)
	out.Out = append(out.Out, RequestSigned{Request: r.id, Kind: r.kind, TxID: r.txid, Signatures: signatures})
	c.submit(out, r)
}

// submit hands the transaction to the chain backend, unless a block holds it.
func (c *Core) submit(out *Effects, r *request) {
	if r.signed != nil && r.confirmedAt == 0 && r.replacedAt == 0 {
		out.Out = append(out.Out, Submit{Request: r.id, TxID: r.txid, Tx: r.signed})
	}
}

func (c *Core) signingFailed(_ protocols.Time, out *Effects, event sign.Failed) {
	if c.keys.verifications[event.Request] != nil {
		return // others coordinate too; the key stays in verification
	}
	out.Out = append(out.Out, SigningFailed{Request: event.Request, Reason: event.Reason})
}

// ChainReady says whether the chain backend is in sync; while it is not, this
// member approves nothing.
func (c *Core) ChainReady(now protocols.Time, ready bool) Effects {
	var out Effects
	if c.chainReady == ready {
		return out
	}
	c.chainReady = ready
	if ready {
		c.validateAgain(now, &out)
	}
	return out
}

// BlockConnected takes the next block of the own chain view. It returns an error
// if the block does not follow the tip: then the driver follows the chain from
// Blocks again.
func (c *Core) BlockConnected(now protocols.Time, height bitcoin.Height, block *wire.MsgBlock) (Effects, error) {
	var out Effects
	id := BlockID{Height: height, Hash: block.BlockHash()}
	if err := c.ledger.follows(id, block); err != nil {
		return out, err
	}
	// A block may pay an address that is watched only because of another payment
	// in it, when a reorg puts into one block what was in two.
	for c.watchFurther(&out, block) {
	}
	c.persistAll(&out, c.ledger.connect(id, block, c.owner))
	for _, tx := range block.Transactions {
		for _, o := range tx.TxOut {
			if key, _, ours := c.owner(o); ours {
				out.Out = append(out.Out, CoinReceived{Key: key, Amount: bitcoin.Sat(o.Value), Height: height, TxID: tx.TxHash()})
			}
		}
	}
	for _, r := range c.requests.sorted() {
		if r.arrivedAt == 0 {
			r.arrivedAt = height
			c.saveRequest(&out, r)
		}
		if !r.finished(height) || r.confirmedAt == 0 && r.replacedAt == 0 {
			c.findConfirmation(now, &out, r)
			c.submit(&out, r) // again with every block, until one holds it
		}
	}
	out.Out = append(out.Out, TipChanged{Block: id})
	c.validateAgain(now, &out)
	c.prune(now, &out)
	c.retryBroadcasts(now, &out)
	return out, nil
}

// watchFurther notes what the block pays, and says whether more is watched now.
func (c *Core) watchFurther(out *Effects, block *wire.MsgBlock) (more bool) {
	for _, tx := range block.Transactions {
		for _, o := range tx.TxOut {
			if key, path, ours := c.owner(o); ours && c.paid(out, key, path) {
				more = true
			}
		}
	}
	return more
}

// BlockDisconnected takes the tip away again after a reorg.
func (c *Core) BlockDisconnected(now protocols.Time, height bitcoin.Height, hash chainhash.Hash) (Effects, error) {
	var out Effects
	id := BlockID{Height: height, Hash: hash}
	if tip, ok := c.ledger.tip(); !ok || tip != id {
		return out, fmt.Errorf("%w: disconnecting %d", errChainOrder, height)
	}
	c.unconnect(&out, id)
	tip, _ := c.ledger.tip()
	out.Out = append(out.Out, TipChanged{Block: tip, Reorg: true})
	for _, r := range c.requests.sorted() {
		if r.spend != nil && r.signatures == nil && !r.finished(c.height()) {
			c.startSigning(now, &out, r) // it may have been given up for a transaction that is gone now
		}
		c.submit(&out, r)
	}
	return out, nil
}

// ForgetChain drops the chain view, after a reorg below the blocks it remembers.
// The driver then follows the chain from OldestBirth, and everything the chain
// says is found again; promises and signatures stay.
func (c *Core) ForgetChain(now protocols.Time) Effects {
	var out Effects
	for {
		tip, ok := c.ledger.tip()
		if !ok {
			break
		}
		c.unconnect(&out, tip)
	}
	for _, coin := range c.ledger.sorted() {
		delete(c.ledger.coins, coin.Outpoint)
		c.persist(&out, coinKey(coin.Outpoint), nil)
	}
	for _, r := range c.requests.sorted() {
		if r.confirmedAt != 0 || r.replacedAt != 0 {
			r.confirmedAt, r.replacedAt = 0, 0
			c.saveSignatures(&out, r)
		}
	}
	from, _ := c.OldestBirth()
	out.Out = append(out.Out, Rescan{From: from})
	return out
}

// unconnect undoes the tip, which id names.
func (c *Core) unconnect(out *Effects, id BlockID) {
	records, err := c.ledger.disconnect(id)
	if err != nil {
		panic(fmt.Sprintf("federation: undoing the tip: %v", err))
	}
	c.persistAll(out, records)
	// The blocks that come instead may pay a key that is made meanwhile.
	for _, s := range c.dkg.Sessions() {
		p := c.keys.proposals[s.CeremonyID]
		if p != nil && p.since >= id.Height && c.keys.keys[KeyID(s.SessionID)] == nil {
			p.since = id.Height - min(id.Height, 1)
			c.saveCeremony(out, s.CeremonyID, p)
		}
	}
	for _, r := range c.requests.sorted() {
		if r.confirmedAt == id.Height || r.replacedAt == id.Height {
			r.confirmedAt, r.replacedAt = 0, 0
			c.saveSignatures(out, r)
		}
	}
}

// findConfirmation looks whether the chain spends the coins of r, by its own
// transaction or another. Coins tell it even to a member that was away.
func (c *Core) findConfirmation(now protocols.Time, out *Effects, r *request) {
	if r.confirmedAt != 0 || r.replacedAt != 0 {
		return
	}
	for _, o := range r.inputs() {
		coin, ok := c.ledger.coins[o]
		if !ok || !coin.Spent() {
			continue
		}
		if coin.SpentBy == r.txid {
			r.confirmedAt = coin.SpentAt
			out.Out = append(out.Out, RequestConfirmed{Request: r.id, TxID: r.txid, Height: coin.SpentAt})
		} else {
			r.replacedAt = coin.SpentAt
			c.fromSign(now, out, c.sign.Cancel(now, r.id))
		}
		c.saveSignatures(out, r)
		return
	}
}

// inputs lists the coins that the request as proposed would spend.
func (r *request) inputs() []wire.OutPoint {
	if r.proposal != nil {
		return r.proposal.Coins
	}
	if r.psbt == nil {
		return nil
	}
	var out []wire.OutPoint
	for _, in := range r.psbt.Tx().TxIn {
		out = append(out, in.PreviousOutPoint)
	}
	return out
}

// Blocks returns the remembered blocks of the chain view, oldest first: where to
// follow the chain from. It is empty before the first block.
func (c *Core) Blocks() []BlockID { return slices.Clone(c.ledger.blocks) }

func encodeSigned(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.Serialize(&b) // a bytes.Buffer does not fail
	return b.Bytes()
}
