// Package chain is how the federation sees Bitcoin: one Backend interface, a
// reorg-aware follower above it, and the errors every backend speaks.
//
// Backends live in subpackages: regtest is a whole chain inside the process
// (tests and the demo), rpc talks to btcd or Bitcoin Core, neutrino asks peers for
// headers, compact filters and blocks. Package chaintest is the contract as a test
// suite; a backend is right when the suite passes on it.
//
// A backend reports its own node's view. The node is trusted to follow the rules
// of consensus, and a member that signs payouts runs its own. What is checked here
// is what does not need those rules: Follow passes on no block that is not what
// its hash commits to, gives up no chain for one with less work, and waits for no
// answer without end; CrossCheck compares two backends. What goes wrong without
// malice is for the backends to notice: another network, a node still syncing, an
// answer to a different question.
package chain

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// BlockID names a block and where it stands. Height 0 is the genesis block.
type BlockID struct {
	Height int32
	Hash   chainhash.Hash
}

// Output is an unspent output of the best chain.
type Output struct {
	Value         int64  // satoshis
	PkScript      []byte // owned by the caller
	Confirmations int32  // 1 means in the tip; counted at AsOf
	Coinbase      bool   // spendable in a block only 100 blocks after its own

	// Spender is the transaction of the node's mempool that spends this output,
	// nil if there is none or the backend has no mempool.
	Spender *chainhash.Hash

	// AsOf is the tip this answer belongs to. Two answers with different AsOf
	// must not be combined into one decision.
	AsOf chainhash.Hash
}

// Capabilities says what a backend can do beyond following the best chain.
// Everything above this package must be correct when all are false.
//
// There is no method to get a transaction by its id, hence no flag for it: Bitcoin
// Core needs an index for that which many nodes lack, and neutrino cannot. A
// transaction is found in its block.
type Capabilities struct {
	Verdict      bool // nil from Submit means that the node took the transaction
	Outputs      bool // Output can answer; without it, FindOutput can
	Mempool      bool // Output.Spender is meaningful
	Fees         bool // FeeRate can answer
	TestAccept   bool // Test can answer
	BlocksByHash bool // Block answers for blocks off the best chain too
}

// Backend is one view of one Bitcoin network. It is safe for concurrent use.
//
// Every method honours its context and returns within a bounded time even if
// the node is dead. Errors are *RejectedError, *NotReadyError, or match
// ErrNotFound, ErrUnavailable or ErrUnsupported with errors.Is. No method answers
// from a node on another network: that is a *NotReadyError of kind WrongNetwork.
type Backend interface {
	// Ready returns nil if the node is on the right network and in step with it,
	// otherwise a *NotReadyError that says what to do.
	Ready(ctx context.Context) error

	// Capabilities may need the node to find out what it is.
	Capabilities(ctx context.Context) (Capabilities, error)

	// Tip returns the last block of the best chain.
	Tip(ctx context.Context) (BlockID, error)

	// BlockHashAt returns the hash of the best chain's block at height;
	// ErrNotFound if the chain is shorter.
	BlockHashAt(ctx context.Context, height int32) (chainhash.Hash, error)

	// Header returns the header with this hash; ErrNotFound if it is unknown.
	Header(ctx context.Context, hash chainhash.Hash) (wire.BlockHeader, error)

	// Block returns the block with this hash, which the caller must not modify;
	// ErrNotFound if it is unknown.
	Block(ctx context.Context, hash chainhash.Hash) (*wire.MsgBlock, error)

	// Output returns an output created in the best chain and not spent in it;
	// ErrNotFound if it never existed, is unconfirmed, or is spent. A spend that
	// only the mempool knows does not hide it but is named in Spender.
	// ErrUnsupported without the capability Outputs.
	Output(ctx context.Context, op wire.OutPoint) (Output, error)

	// Submit hands a transaction to the node for relay. It is idempotent: nil
	// means the node has it, in its mempool or in its chain, even if it had it
	// before. A refusal is a *RejectedError. Without the capability Verdict nil
	// means only that the transaction was sent to peers, which may have dropped it:
	// only a block tells, and the caller sends again until one does.
	Submit(ctx context.Context, tx *wire.MsgTx) error

	// Test is Submit without the effect; ErrUnsupported without TestAccept.
	Test(ctx context.Context, tx *wire.MsgTx) error

	// FeeRate estimates what confirms within target blocks (1..1008).
	// ErrNotFound means the node has no estimate yet, ErrUnsupported that it never
	// has one: the capability Fees is missing.
	FeeRate(ctx context.Context, target int) (bitcoin.SatPerKWU, error)
}

// Notifier is a Backend that can tell when its tip changes.
type Notifier interface {
	// Subscribe returns a channel that receives a value soon after the tip
	// changes. Changes coalesce: one pending value stands for any number of
	// them, so a slow reader costs nothing. stop releases it.
	Subscribe() (changed <-chan struct{}, stop func())
}
