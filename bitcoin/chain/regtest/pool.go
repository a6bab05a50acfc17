package regtest

import (
	"math"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/mempool"
)

// newPool makes a mempool with the relay policy of a mainnet node of today, as
// far as btcd has it.
func newPool(c *Chain) *mempool.TxPool {
	return mempool.New(&mempool.Config{
		Policy: mempool.Policy{
			MaxTxVersion: 2,
			// Regtest's own default would accept anything; then tests would not
			// notice what mainnet refuses to relay.
			AcceptNonStd: false,
			// btcd still relays some transactions without a fee, which no other
			// node does: a limit of zero ends it.
			FreeTxRelayLimit:     0,
			DisableRelayPriority: true,
			MaxOrphanTxs:         0, // Submit refuses transactions whose inputs are missing
			MaxSigOpCostPerTx:    blockchain.MaxBlockSigOpsCost / 4,
			MinRelayTxFee:        mempool.DefaultMinRelayTxFee,
		},
		ChainParams:    c.params,
		FetchUtxoView:  c.chain.FetchUtxoView,
		BestHeight:     func() int32 { return c.chain.BestSnapshot().Height },
		MedianTimePast: func() time.Time { return c.chain.BestSnapshot().MedianTime },
		CalcSequenceLock: func(tx *btcutil.Tx, view *blockchain.UtxoViewpoint) (*blockchain.SequenceLock, error) {
			return c.chain.CalcSequenceLock(tx, view, true)
		},
		IsDeploymentActive: c.chain.IsDeploymentActive,
		SigCache:           c.sigs,
		HashCache:          c.hashes,
	})
}

// onBlock keeps the pool in step with the chain. The consensus code calls it
// without holding its own lock, from inside a call of ours that holds c.mu.
func (c *Chain) onBlock(n *blockchain.Notification) {
	block, ok := n.Data.(*btcutil.Block)
	if !ok {
		return
	}
	switch n.Type {
	case blockchain.NTBlockConnected:
		for _, tx := range block.Transactions()[1:] {
			// What spends its outputs stays: it is still valid.
			c.pool.RemoveTransaction(tx, false)
			c.pool.RemoveDoubleSpends(tx)
		}
	case blockchain.NTBlockDisconnected:
		for _, tx := range block.Transactions()[1:] {
			if _, _, err := c.pool.MaybeAcceptTransaction(tx, false, false); err != nil {
				c.pool.RemoveTransaction(tx, true)
			}
		}
	}
}

// recheckPool drops what a reorg made invalid: spends of coins that no longer
// exist, of coinbases that are young again, of relative locks that are not
// reached any more. It empties the pool and offers everything again.
func (c *Chain) recheckPool() {
	var waiting []*btcutil.Tx
	for _, desc := range c.pool.TxDescs() {
		waiting = append(waiting, desc.Tx)
	}
	for _, tx := range waiting {
		c.pool.RemoveTransaction(tx, false)
	}
	// A child can enter only after its parent, so go round until nothing moves.
	for last := math.MaxInt; len(waiting) < last; {
		last = len(waiting)
		refused := waiting[:0]
		for _, tx := range waiting {
			missing, _, err := c.pool.MaybeAcceptTransaction(tx, false, false)
			if err != nil || len(missing) > 0 {
				refused = append(refused, tx)
			}
		}
		waiting = refused
	}
}
