package epoch

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
)

// ErrProposal means bytes that are no proposal.
var ErrProposal = errors.New("bad proposal")

const (
	// maxSweep is more coins than a standard transaction has room for: each takes
	// 36 + 1 + 4 bytes, four weight units each, and a witness of 66 bytes.
	maxSweep  = int(bitcoin.MaxStandardWeight) / (4*41 + 66)
	sweptSize = outPointSize + 8 + 1 + 4

	// MaxProposal bounds what DecodeProposal reads, in bytes.
	MaxProposal = 1 + 3 + MaxDescriptor + 8 + 8 + 1 + MaxMembers*(32+outPointSize) + 2 + maxSweep*sweptSize
)

// Deposit is an applicant's unspent output of Epoch.Deposit. Its value is always
// that of the bond and the entry fee.
type Deposit struct {
	Bond     [32]byte // whose: the applicant's bond key
	OutPoint wire.OutPoint
}

// Proposal is all that a transition is made from besides the state it continues.
type Proposal struct {
	Next     *Epoch
	Deposits []Deposit      // one for each who joins, in any order
	Sweep    []bitcoin.Coin // receive and change coins of the old key, in any order
	TopUp    bitcoin.Sat    // how much of the swept coins goes to the pot
	FeeRate  bitcoin.SatPerKWU
}

// Bytes is the canonical encoding, the same for every order of deposits and coins.
// Integers are big-endian:
//
//	version u8=1 | descriptor u24+bytes | fee rate u64 | top-up u64 |
//	d u8 | d * (bond [32] | outpoint [36]), ascending by bond |
//	s u16 | s * (outpoint [36] | amount u64 | branch u8 | index u32), ascending by outpoint
func (p *Proposal) Bytes() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(version)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Next.Bytes()) })
	b.AddUint64(uint64(p.FeeRate))
	b.AddUint64(uint64(p.TopUp))
	deposits := slices.SortedFunc(slices.Values(p.Deposits), compareDeposits)
	b.AddUint8(uint8(len(deposits)))
	for _, d := range deposits {
		b.AddBytes(d.Bond[:])
		addOutPoint(b, d.OutPoint)
	}
	addSweep(b, slices.SortedFunc(slices.Values(p.Sweep), compareCoins))
	return b.BytesOrPanic() // what Build accepts fits its prefixes
}

// DecodeProposal reads what Bytes wrote. Whatever it accepts encodes to the same
// bytes again; Build says whether it is any good. Errors are ErrProposal and
// ErrDescriptor.
func DecodeProposal(raw []byte) (*Proposal, error) {
	damaged := fmt.Errorf("%w: damaged", ErrProposal)
	p := new(Proposal)
	s := cryptobyte.String(raw)
	var v, deposits uint8
	var rate uint64
	var descriptor cryptobyte.String
	if len(raw) > MaxProposal || !s.ReadUint8(&v) || v != version || !s.ReadUint24LengthPrefixed(&descriptor) ||
		!s.ReadUint64(&rate) || !readSat(&s, &p.TopUp) || !s.ReadUint8(&deposits) || deposits > MaxMembers {
		return nil, damaged
	}
	p.FeeRate = bitcoin.SatPerKWU(rate)
	for i := range deposits {
		var d Deposit
		if !s.CopyBytes(d.Bond[:]) || !readOutPoint(&s, &d.OutPoint) || i > 0 && compareDeposits(p.Deposits[i-1], d) >= 0 {
			return nil, damaged
		}
		p.Deposits = append(p.Deposits, d)
	}
	if !readSweep(&s, &p.Sweep) || !s.Empty() {
		return nil, damaged
	}
	// Last, for it is the slow part.
	d, err := Decode(descriptor)
	if err != nil {
		return nil, err
	}
	p.Next, err = New(*d)
	return p, err
}

func compareDeposits(a, b Deposit) int { return bytes.Compare(a.Bond[:], b.Bond[:]) }

func compareCoins(a, b bitcoin.Coin) int { return compareOutPoints(a.OutPoint, b.OutPoint) }

// compareOutPoints orders by the bytes of the encoding.
func compareOutPoints(a, b wire.OutPoint) int {
	return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Index, b.Index))
}

func addSweep(b *cryptobyte.Builder, coins []bitcoin.Coin) {
	b.AddUint16(uint16(len(coins)))
	for _, c := range coins {
		addOutPoint(b, c.OutPoint)
		b.AddUint64(uint64(c.Amount))
		b.AddUint8(uint8(c.Path.Branch))
		b.AddUint32(c.Path.Index)
	}
}

// readSweep wants coins in order.
func readSweep(s *cryptobyte.String, coins *[]bitcoin.Coin) bool {
	var n uint16
	if !s.ReadUint16(&n) || int(n) > maxSweep {
		return false
	}
	for i := range n {
		var c bitcoin.Coin
		var branch uint8
		if !readOutPoint(s, &c.OutPoint) || !readSat(s, &c.Amount) || !s.ReadUint8(&branch) || !s.ReadUint32(&c.Path.Index) ||
			i > 0 && compareCoins((*coins)[i-1], c) >= 0 {
			return false
		}
		c.Path.Branch = bitcoin.Branch(branch)
		*coins = append(*coins, c)
	}
	return true
}
