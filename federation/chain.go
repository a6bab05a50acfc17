package federation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/protocols"
)

// keepBlocks is how many recent block hashes are remembered. A reorg deeper than
// this forces a rescan; none deeper than 53 has happened on mainnet.
const keepBlocks = 200

// forgetSpent is the depth at which a spent coin is forgotten: coinbase maturity,
// beyond which no reorg is expected to bring it back.
const forgetSpent = 100

// BlockID names a block of the member's own chain view.
type BlockID struct {
	Height bitcoin.Height
	Hash   chainhash.Hash
}

// Coin is an output of the member's own chain view that pays a federation key.
type Coin struct {
	Outpoint wire.OutPoint
	Amount   bitcoin.Sat
	Key      KeyID
	Path     bitcoin.Path
	Height   bitcoin.Height
	Coinbase bool
	// SpentBy is the transaction in the chain that spends it, at SpentAt; both
	// zero while it is unspent.
	SpentBy chainhash.Hash
	SpentAt bitcoin.Height
}

// Spent says whether a block of the chain view spends the coin.
func (c *Coin) Spent() bool { return c.SpentAt != 0 }

var errChainOrder = errors.New("a block does not connect to the tip")

// ledger is what this member has seen of the chain: recent blocks and the coins
// of the federation's keys. It believes its own backend and nobody else.
type ledger struct {
	blocks []BlockID // consecutive, oldest first, at most keepBlocks
	coins  map[wire.OutPoint]*Coin
}

func newLedger() ledger { return ledger{coins: make(map[wire.OutPoint]*Coin)} }

func (l *ledger) tip() (BlockID, bool) {
	if len(l.blocks) == 0 {
		return BlockID{}, false
	}
	return l.blocks[len(l.blocks)-1], true
}

// hashAt returns the hash at a height of the remembered chain.
func (l *ledger) hashAt(h bitcoin.Height) (chainhash.Hash, bool) {
	if len(l.blocks) == 0 || h < l.blocks[0].Height {
		return chainhash.Hash{}, false
	}
	i := int(h - l.blocks[0].Height)
	if i >= len(l.blocks) {
		return chainhash.Hash{}, false
	}
	return l.blocks[i].Hash, true
}

// confirmations counts the block of height h as one.
func (l *ledger) confirmations(h bitcoin.Height) int {
	tip, ok := l.tip()
	if !ok || h == 0 || h > tip.Height {
		return 0
	}
	return int(tip.Height-h) + 1
}

// follows says whether a block can be connected.
func (l *ledger) follows(id BlockID, block *wire.MsgBlock) error {
	if tip, ok := l.tip(); ok && (id.Height != tip.Height+1 || block.Header.PrevBlock != tip.Hash) {
		return fmt.Errorf("%w: %d after %d", errChainOrder, id.Height, tip.Height)
	}
	return nil
}

// connect applies a block that follows. owner tells which key and path an output
// belongs to.
func (l *ledger) connect(id BlockID, block *wire.MsgBlock, owner func(*wire.TxOut) (KeyID, bitcoin.Path, bool)) []protocols.Record {
	records := []protocols.Record{{Key: blockKey(id.Height), Value: id.Hash.CloneBytes()}}
	l.blocks = append(l.blocks, id)
	if len(l.blocks) > keepBlocks {
		records = append(records, protocols.Record{Key: blockKey(l.blocks[0].Height)})
		l.blocks = slices.Delete(l.blocks, 0, 1)
	}
	for i, tx := range block.Transactions {
		txid := tx.TxHash()
		if i > 0 {
			for _, in := range tx.TxIn {
				if c, ok := l.coins[in.PreviousOutPoint]; ok {
					c.SpentBy, c.SpentAt = txid, id.Height
					records = append(records, c.record())
				}
			}
		}
		for vout, out := range tx.TxOut {
			key, path, ours := owner(out)
			if !ours {
				continue
			}
			c := &Coin{Outpoint: wire.OutPoint{Hash: txid, Index: uint32(vout)}, Amount: bitcoin.Sat(out.Value),
				Key: key, Path: path, Height: id.Height, Coinbase: i == 0}
			l.coins[c.Outpoint] = c
			records = append(records, c.record())
		}
	}
	for _, c := range l.sorted() {
		if c.Spent() && l.confirmations(c.SpentAt) > forgetSpent {
			delete(l.coins, c.Outpoint)
			records = append(records, protocols.Record{Key: coinKey(c.Outpoint)})
		}
	}
	return records
}

// disconnect takes the tip away again.
func (l *ledger) disconnect(id BlockID) ([]protocols.Record, error) {
	tip, ok := l.tip()
	if !ok || tip != id {
		return nil, fmt.Errorf("%w: disconnecting %d", errChainOrder, id.Height)
	}
	records := []protocols.Record{{Key: blockKey(id.Height)}}
	l.blocks = l.blocks[:len(l.blocks)-1]
	for _, c := range l.sorted() {
		switch {
		case c.Height == id.Height:
			delete(l.coins, c.Outpoint)
			records = append(records, protocols.Record{Key: coinKey(c.Outpoint)})
		case c.SpentAt == id.Height:
			c.SpentBy, c.SpentAt = chainhash.Hash{}, 0
			records = append(records, c.record())
		}
	}
	return records, nil
}

// sorted returns all coins by outpoint, so that nothing depends on map order.
func (l *ledger) sorted() []*Coin {
	out := make([]*Coin, 0, len(l.coins))
	for _, c := range l.coins {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Coin) int { return compareOutpoints(a.Outpoint, b.Outpoint) })
	return out
}

func compareOutpoints(a, b wire.OutPoint) int {
	if c := slices.Compare(a.Hash[:], b.Hash[:]); c != 0 {
		return c
	}
	return int(int64(a.Index) - int64(b.Index))
}

// Records of the ledger: "b/<height>" holds a block hash, "c/<outpoint>" a coin.

func blockKey(h bitcoin.Height) string { return fmt.Sprintf("b/%010d", h) }

func coinKey(o wire.OutPoint) string {
	return "c/" + hex.EncodeToString(o.Hash[:]) + "/" + strconv.FormatUint(uint64(o.Index), 10)
}

const coinVersion = 1

func (c *Coin) record() protocols.Record {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(coinVersion)
	b.AddBytes(c.Outpoint.Hash[:])
	b.AddUint32(c.Outpoint.Index)
	b.AddUint64(uint64(c.Amount))
	b.AddBytes(c.Key[:])
	b.AddUint32(uint32(c.Path.Branch))
	b.AddUint32(c.Path.Index)
	b.AddUint32(uint32(c.Height))
	b.AddUint8(boolByte(c.Coinbase))
	b.AddBytes(c.SpentBy[:])
	b.AddUint32(uint32(c.SpentAt))
	return protocols.Record{Key: coinKey(c.Outpoint), Value: b.BytesOrPanic()}
}

// load restores one record of the ledger; records come in order of their keys.
func (l *ledger) load(r protocols.Record) error {
	switch kind, rest, _ := strings.Cut(r.Key, "/"); kind {
	case "b":
		h, err := strconv.ParseUint(rest, 10, 32)
		if err != nil || len(r.Value) != chainhash.HashSize {
			return fmt.Errorf("block record %q is malformed", r.Key)
		}
		l.blocks = append(l.blocks, BlockID{Height: bitcoin.Height(h), Hash: chainhash.Hash(r.Value)})
	case "c":
		c := new(Coin)
		s := cryptobyte.String(r.Value)
		var version, coinbase uint8
		var amount uint64
		var branch, height, spentAt uint32
		if !s.ReadUint8(&version) || version != coinVersion || !s.CopyBytes(c.Outpoint.Hash[:]) || !s.ReadUint32(&c.Outpoint.Index) ||
			!s.ReadUint64(&amount) || !s.CopyBytes(c.Key[:]) || !s.ReadUint32(&branch) || !s.ReadUint32(&c.Path.Index) ||
			!s.ReadUint32(&height) || !s.ReadUint8(&coinbase) || !s.CopyBytes(c.SpentBy[:]) || !s.ReadUint32(&spentAt) || !s.Empty() {
			return fmt.Errorf("coin record %q is malformed", r.Key)
		}
		c.Amount, c.Path.Branch, c.Coinbase = bitcoin.Sat(amount), bitcoin.Branch(branch), coinbase == 1
		c.Height, c.SpentAt = bitcoin.Height(height), bitcoin.Height(spentAt)
		l.coins[c.Outpoint] = c
	}
	return nil
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
