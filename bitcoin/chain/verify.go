package chain

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// ErrCorrupt means that a block is not what its hash commits to. It matches
// ErrUnavailable: the right block is still out there.
var ErrCorrupt = fmt.Errorf("block does not match its hash: %w", ErrUnavailable)

// CheckBlock checks that block is, byte for byte, the one that hash names: the
// header has that hash, and the work it claims; the transactions have the
// header's Merkle root, the witnesses the commitment in the coinbase. It does
// not check what only the chain can tell (inputs, scripts, difficulty): that is
// the node's job. Errors match ErrCorrupt.
//
// The hash says which block, so a backend, or the line to it, cannot make the
// consumer see other transactions than those in the chain it claims to follow.
func CheckBlock(hash chainhash.Hash, block *wire.MsgBlock) error {
	if err := checkBlock(hash, block); err != nil {
		return fmt.Errorf("block %v: %w: %w", hash, ErrCorrupt, err)
	}
	return nil
}

func checkBlock(hash chainhash.Hash, block *wire.MsgBlock) error {
	if err := checkHeader(hash, &block.Header); err != nil {
		return err
	}
	// All inner nodes of one level, taken for transactions of 64 bytes, would hide
	// the transactions below. The first is no coinbase, whose input begins with 32
	// zero bytes, except by 2^200 of work.
	if len(block.Transactions) == 0 || !blockchain.IsCoinBaseTx(block.Transactions[0]) {
		return errors.New("its first transaction is not a coinbase")
	}
	leaves := make([]chainhash.Hash, len(block.Transactions))
	for i, tx := range block.Transactions {
		leaves[i] = tx.TxHash()
	}
	root, twins := merkleRoot(leaves)
	if root != block.Header.MerkleRoot {
		return errors.New("its transactions have another Merkle root")
	}
	if twins {
		return errors.New("it repeats transactions at its end") // CVE-2012-2459
	}
	if err := blockchain.ValidateWitnessCommitment(btcutil.NewBlock(block)); err != nil {
		return fmt.Errorf("its witnesses: %w", err)
	}
	return nil
}

// checkHeader checks the hash, and that it meets the target that the header
// itself claims: a branch is weighed by such claims, so they must be earned.
func checkHeader(hash chainhash.Hash, header *wire.BlockHeader) error {
	if header.BlockHash() != hash {
		return errors.New("its header has another hash")
	}
	if target := blockchain.CompactToBig(header.Bits); blockchain.HashToBig(&hash).Cmp(target) > 0 {
		return errors.New("its header lacks the work that it claims")
	}
	return nil
}

// merkleRoot folds leaves, which it overwrites, pairwise to the root; an odd last
// node is paired with itself. twins tells of two equal neighbours: the same root
// has then a shorter list of leaves too.
func merkleRoot(level []chainhash.Hash) (root chainhash.Hash, twins bool) {
	for len(level) > 1 {
		next := level[:0]
		for i := 0; i < len(level); i += 2 {
			left, right := level[i], level[min(i+1, len(level)-1)]
			twins = twins || i+1 < len(level) && left == right
			next = append(next, chainhash.DoubleHashH(append(left[:], right[:]...)))
		}
		level = next
	}
	return level[0], twins
}
