package epoch

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
)

// ErrInclusion means that a transaction is not shown to be in the best chain, deep
// enough. It may be there all the same, or come to be.
var ErrInclusion = errors.New("not in the chain")

const (
	// maxBranch is the depth of a tree with more leaves than a block has room for:
	// 1,000,000 bytes without witnesses, 60 for the smallest transaction.
	maxBranch = 15
	// maxStripped is the largest transaction, and so the largest block, without
	// witnesses: 4,000,000 weight units.
	maxStripped = 1_000_000
)

// Headers returns the header of the best chain at a height, and false if the chain
// is shorter or the header is not known.
type Headers func(bitcoin.Height) (wire.BlockHeader, bool)

// Inclusion shows that a block holds a transaction. The coinbase is there for its
// branch, which has the length that every branch of the block must have: one that
// is longer ends in a 64-byte transaction which was taken for an inner node.
type Inclusion struct {
	Height         bitcoin.Height
	Index          uint32     // of the transaction in the block
	Branch         [][32]byte // siblings, from the leaf up
	Coinbase       []byte     // without witness
	CoinbaseBranch [][32]byte
}

// NewInclusion proves that block, at height, holds the transaction. It returns
// ErrInclusion if it does not.
func NewInclusion(block *wire.MsgBlock, height bitcoin.Height, txid chainhash.Hash) (*Inclusion, error) {
	leaves := make([][32]byte, len(block.Transactions))
	index := -1
	for i, tx := range block.Transactions {
		leaves[i] = tx.TxHash()
		if leaves[i] == txid {
			index = i
		}
	}
	if index < 0 {
		return nil, fmt.Errorf("%w: %v is not in block %v", ErrInclusion, txid, block.BlockHash())
	}
	var coinbase bytes.Buffer
	_ = block.Transactions[0].SerializeNoWitness(&coinbase) // a bytes.Buffer does not fail
	return &Inclusion{
		Height: height, Index: uint32(index), Branch: branch(leaves, index),
		Coinbase: coinbase.Bytes(), CoinbaseBranch: branch(leaves, 0),
	}, nil
}

// branch lists the siblings on the way from leaf i to the root. An odd level
// repeats its last node.
func branch(level [][32]byte, i int) [][32]byte {
	var out [][32]byte
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		out = append(out, level[i^1])
		up := make([][32]byte, len(level)/2)
		for j := range up {
			up[j] = parent(level[2*j], level[2*j+1])
		}
		level, i = up, i/2
	}
	return out
}

func parent(left, right [32]byte) [32]byte {
	return chainhash.DoubleHashH(append(left[:], right[:]...))
}

// check follows both branches to the header at the height, below which the best
// chain must go on to depth confirmations. Errors are ErrInclusion.
func (c *Inclusion) check(txid chainhash.Hash, depth uint16, headers Headers) error {
	header, ok := headers(c.Height)
	if !ok {
		return fmt.Errorf("%w: no block at height %d", ErrInclusion, c.Height)
	}
	if _, ok := headers(c.Height + bitcoin.Height(depth) - 1); !ok || depth == 0 {
		return fmt.Errorf("%w: fewer than %d confirmations at height %d", ErrInclusion, depth, c.Height)
	}
	if !isCoinbase(c.Coinbase) || len(c.CoinbaseBranch) != len(c.Branch) {
		return fmt.Errorf("%w: branches of different depth", ErrInclusion)
	}
	coinbase, ok1 := climb(chainhash.DoubleHashH(c.Coinbase), 0, c.CoinbaseBranch)
	root, ok2 := climb(txid, c.Index, c.Branch)
	if !ok1 || !ok2 || coinbase != header.MerkleRoot || root != header.MerkleRoot {
		return fmt.Errorf("%w: branch of %v does not end in block %v", ErrInclusion, txid, header.BlockHash())
	}
	return nil
}

// climb computes the root above a leaf. Each transaction has one position and one
// branch: an index with bits to spare, and a right node that repeats its left
// sibling (CVE-2012-2459), are refused.
func climb(node [32]byte, index uint32, branch [][32]byte) (chainhash.Hash, bool) {
	for _, sibling := range branch {
		switch {
		case index&1 == 0:
			node = parent(node, sibling)
		case node == sibling:
			return chainhash.Hash{}, false
		default:
			node = parent(sibling, node)
		}
		index >>= 1
	}
	return node, index == 0
}

// isCoinbase recognizes the one input that spends nothing, in a serialization
// without witness: version, count 1, an outpoint of zeros and 0xffffffff. A leaf
// below a real coinbase of 64 bytes would have to hash to its first 32, of which 28
// are fixed; and an inner node, of 64 bytes, is never taken for a coinbase.
func isCoinbase(raw []byte) bool {
	null := append(append([]byte{1}, make([]byte, 32)...), 0xff, 0xff, 0xff, 0xff)
	return len(raw) > 4+len(null) && len(raw) != 64 && bytes.HasPrefix(raw[4:], null)
}

func (c *Inclusion) encode(b *cryptobyte.Builder) {
	b.AddUint32(uint32(c.Height))
	b.AddUint32(c.Index)
	b.AddUint8(uint8(len(c.Branch)))
	for _, branch := range [][][32]byte{c.Branch, c.CoinbaseBranch} {
		for _, h := range branch {
			b.AddBytes(h[:])
		}
	}
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.Coinbase) })
}

func (c *Inclusion) decode(s *cryptobyte.String) bool {
	var n uint8
	var coinbase cryptobyte.String
	if !s.ReadUint32((*uint32)(&c.Height)) || !s.ReadUint32(&c.Index) || !s.ReadUint8(&n) || n > maxBranch {
		return false
	}
	c.Branch, c.CoinbaseBranch = make([][32]byte, n), make([][32]byte, n)
	for _, branch := range [][][32]byte{c.Branch, c.CoinbaseBranch} {
		for i := range branch {
			if !s.CopyBytes(branch[i][:]) {
				return false
			}
		}
	}
	if !s.ReadUint24LengthPrefixed(&coinbase) || len(coinbase) > maxStripped {
		return false
	}
	c.Coinbase = append([]byte(nil), coinbase...)
	return true
}
