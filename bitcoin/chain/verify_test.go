package chain

import (
	"errors"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"
)

// blockOf seals a block of n different transactions.
func blockOf(n int) *wire.MsgBlock {
	block := &wire.MsgBlock{Header: wire.BlockHeader{Bits: 0x207fffff}}
	for i := range n {
		tx := wire.NewMsgTx(2)
		in := &wire.TxIn{Sequence: uint32(i)}
		if i == 0 {
			in.PreviousOutPoint.Index = wire.MaxPrevOutIndex
		}
		tx.AddTxIn(in)
		tx.AddTxOut(wire.NewTxOut(int64(i), []byte{0x51}))
		block.Transactions = append(block.Transactions, tx)
	}
	return seal(block)
}

func seal(block *wire.MsgBlock) *wire.MsgBlock {
	block.Header.MerkleRoot = blockchain.CalcMerkleRoot(btcutil.NewBlock(block).Transactions(), false)
	for checkHeader(block.BlockHash(), &block.Header) != nil {
		block.Header.Nonce++
	}
	return block
}

// TestCheckBlockProperty: a block passes as it is, by btcd's own Merkle root, and
// after no change that keeps the header; among those the one that even keeps the
// root (CVE-2012-2459).
func TestCheckBlockProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "transactions")
		block := blockOf(n)
		hash := block.BlockHash()
		if err := CheckBlock(hash, block); err != nil {
			t.Fatalf("good block: %v", err)
		}
		i, j := rapid.IntRange(0, n-1).Draw(t, "one"), rapid.IntRange(0, n-1).Draw(t, "other")
		txs := block.Transactions
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			txs[i].TxOut[0].Value++
		case 1:
			block.Transactions = append(txs[:i:i], txs[i+1:]...)
		case 2:
			if i == j {
				t.Skip("nothing swapped")
			}
			txs[i], txs[j] = txs[j], txs[i]
		case 3:
			txs[i].TxIn[0].Witness = wire.TxWitness{{1}}
		case 4: // repeat the last 2^k transactions where the tree does so itself
			k := 1
			for n%(2*k) == 0 {
				k *= 2
			}
			if n == 1 || k >= n {
				t.Skip("a full tree has no twin")
			}
			block.Transactions = append(txs[:n:n], txs[n-k:]...)
			if blockchain.CalcMerkleRoot(btcutil.NewBlock(block).Transactions(), false) != block.Header.MerkleRoot {
				t.Fatal("this is not the attack")
			}
		case 5:
			hash[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		}
		if err := CheckBlock(hash, block); !errors.Is(err, ErrCorrupt) || !errors.Is(err, ErrUnavailable) {
			t.Fatalf("changed block: %v", err)
		}
	})
}

func TestCheckBlockKnows(t *testing.T) {
	for _, params := range []*chaincfg.Params{
		&chaincfg.MainNetParams, &chaincfg.TestNet4Params, &chaincfg.SigNetParams, &chaincfg.RegressionNetParams,
	} {
		if err := CheckBlock(*params.GenesisHash, params.GenesisBlock); err != nil {
			t.Errorf("genesis block of %s: %v", params.Name, err)
		}
	}
	empty := &wire.MsgBlock{Header: blockOf(1).Header}
	if err := CheckBlock(empty.BlockHash(), empty); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no transactions: %v", err)
	}
	headless := blockOf(3)
	headless.Transactions = headless.Transactions[1:]
	seal(headless)
	if err := CheckBlock(headless.BlockHash(), headless); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no coinbase: %v", err)
	}
	lazy := blockOf(1)
	lazy.Header.Bits = 0x1d00ffff
	if err := CheckBlock(lazy.BlockHash(), lazy); !errors.Is(err, ErrCorrupt) {
		t.Errorf("claims the work of mainnet: %v", err)
	}
	if root, twins := merkleRoot([]chainhash.Hash{{1}}); root != (chainhash.Hash{1}) || twins {
		t.Errorf("a tree of one leaf: %v, %v", root, twins)
	}
}
