package policy

import (
	"bytes"
	"errors"
	"fmt"

	"frostfed/bitcoin"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"
)

// ErrProposal means bytes that are not a proposal.
var ErrProposal = errors.New("bad proposal")

// MaxCoins is the number of key-path inputs that fit into a standard transaction:
// (400,000 - 42 of overhead) / 230.
const MaxCoins = 1738

// Proposal asks the members to sign a payout. It names what the transaction is
// made from; the transaction itself is included only so that a member that would
// build another one can say where it differs.
type Proposal struct {
	Network bitcoin.Network
	Key     [33]byte // plain threshold key
	Epoch   uint64
	List    bitcoin.PayoutID
	Coins   []wire.OutPoint // sorted by hash bytes, then index
	FeeRate bitcoin.SatPerKWU
	Change  uint32         // index on branch /1
	Block   chainhash.Hash // proposer's best block
	Height  bitcoin.Height // of Block; also the transaction's lock time
	Tx      []byte         // unsigned, as bitcoin.Spend.Bytes writes it
}

// Encode is the canonical form: version 1, network 1, key 33, epoch 8, list 32,
// count 2 and 36 per coin, fee rate 8, change 4, block 32, height 4, transaction
// with a 3-byte length. Integers are big-endian. It sorts a copy of Coins.
func (p Proposal) Encode() []byte {
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddUint8(uint8(p.Network))
	b.AddBytes(p.Key[:])
	b.AddUint64(p.Epoch)
	b.AddBytes(p.List[:])
	b.AddUint16(uint16(len(p.Coins)))
	for _, op := range sortedOutPoints(p.Coins) {
		b.AddBytes(op.Hash[:])
		b.AddUint32(op.Index)
	}
	b.AddUint64(uint64(p.FeeRate))
	b.AddUint32(p.Change)
	b.AddBytes(p.Block[:])
	b.AddUint32(uint32(p.Height))
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Tx) })
	return b.BytesOrPanic() // a transaction of ours is far below 2^24 bytes
}

// DecodeProposal reads what Encode writes and accepts nothing else. Errors are
// ErrProposal.
func DecodeProposal(data []byte) (Proposal, error) {
	var (
		p                Proposal
		s                cryptobyte.String = data
		version, network uint8
		count            uint16
		rate             uint64
		height           uint32
		tx               cryptobyte.String
	)
	if !s.ReadUint8(&version) || version != 1 || !s.ReadUint8(&network) ||
		!s.CopyBytes(p.Key[:]) || !s.ReadUint64(&p.Epoch) || !s.CopyBytes(p.List[:]) ||
		!s.ReadUint16(&count) || count == 0 || count > MaxCoins {
		return Proposal{}, fmt.Errorf("%w: header", ErrProposal)
	}
	p.Network = bitcoin.Network(network)
	if !p.Network.Valid() {
		return Proposal{}, fmt.Errorf("%w: %v", ErrProposal, p.Network)
	}
	for i := range int(count) {
		var op wire.OutPoint
		if !s.CopyBytes(op.Hash[:]) || !s.ReadUint32(&op.Index) {
			return Proposal{}, fmt.Errorf("%w: coins", ErrProposal)
		}
		if i > 0 && compareOutPoints(p.Coins[i-1], op) >= 0 {
			return Proposal{}, fmt.Errorf("%w: coins are not sorted", ErrProposal)
		}
		p.Coins = append(p.Coins, op)
	}
	if !s.ReadUint64(&rate) || rate > uint64(bitcoin.MaxFeeRate) || !s.ReadUint32(&p.Change) ||
		!s.CopyBytes(p.Block[:]) || !s.ReadUint32(&height) ||
		!s.ReadUint24LengthPrefixed(&tx) || len(tx) > bitcoin.MaxTxSize || !s.Empty() {
		return Proposal{}, fmt.Errorf("%w: terms", ErrProposal)
	}
	p.FeeRate, p.Height = bitcoin.SatPerKWU(rate), bitcoin.Height(height)
	p.Tx = bytes.Clone(tx)
	return p, nil
}
