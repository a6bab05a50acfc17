package epoch

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
)

// ErrProof means that a proof of an epoch proves nothing.
var ErrProof = errors.New("bad proof of an epoch")

// MaxProof bounds what DecodeProof reads: a federation whose exits fill more than
// a few blocks is no more.
const MaxProof = 16 << 20

// Proof shows an outsider that an epoch began. It holds no transaction: the
// verifier builds that from the rest.
type Proof struct {
	Descriptor *Descriptor
	Pot        bitcoin.Sat
	TopUp      bitcoin.Sat
	Deposits   []wire.OutPoint // one for each who joins, in order of members
	Sweep      []bitcoin.Coin  // by outpoint; Height is not used
	Signatures [][64]byte      // by input
	Inclusion  Inclusion
	Exits      []*ExitProof // one for each change of kind Exited, in order of changes
}

// NewProof finds t, signed, in block at height.
func NewProof(t *Transition, block *wire.MsgBlock, height bitcoin.Height, exits []*ExitProof) (*Proof, error) {
	txid := t.Spend.TxID()
	inclusion, err := NewInclusion(block, height, txid)
	if err != nil {
		return nil, err
	}
	p := &Proof{
		Descriptor: &t.Next.Descriptor,
		Pot:        bitcoin.Sat(t.Spend.Tx.TxOut[0].Value),
		TopUp:      t.topUp,
		Inclusion:  *inclusion,
		Exits:      exits,
	}
	for i, in := range block.Transactions[inclusion.Index].TxIn {
		if len(in.Witness) != 1 || len(in.Witness[0]) != 64 {
			return nil, fmt.Errorf("%w: input %d is no key-path spend", ErrProof, i)
		}
		p.Signatures = append(p.Signatures, [64]byte(in.Witness[0]))
	}
	for _, in := range t.Spend.Inputs {
		switch in.Coin.Path.Branch {
		case bitcoin.Deposit:
			p.Deposits = append(p.Deposits, in.Coin.OutPoint)
		case bitcoin.Receive, bitcoin.Change:
			p.Sweep = append(p.Sweep, in.Coin)
		}
	}
	return p, nil
}

// Bytes is the canonical encoding, integers big-endian:
//
//	version u8=1 | descriptor u24+bytes | pot u64 | top-up u64 |
//	d u8 | d * deposit [36] |
//	s u16 | s * (outpoint [36] | amount u64 | branch u8 | index u32) |
//	i u16 | i * signature [64] | inclusion |
//	e u8 | e * (tx u24+bytes | w u8 | w * witness u24+bytes |
//	            o u24 | o * (value u64 | script u16+bytes) | inclusion)
//
//	inclusion: height u32 | index u32 | k u8 | k * branch [32] | k * coinbase branch [32] |
//	coinbase u24+bytes
func (p *Proof) Bytes() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(version)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Descriptor.Bytes()) })
	b.AddUint64(uint64(p.Pot))
	b.AddUint64(uint64(p.TopUp))
	b.AddUint8(uint8(len(p.Deposits)))
	for _, op := range p.Deposits {
		addOutPoint(b, op)
	}
	addSweep(b, p.Sweep)
	b.AddUint16(uint16(len(p.Signatures)))
	for _, sig := range p.Signatures {
		b.AddBytes(sig[:])
	}
	p.Inclusion.encode(b)
	b.AddUint8(uint8(len(p.Exits)))
	for _, x := range p.Exits {
		x.encode(b)
	}
	return b.BytesOrPanic() // what NewProof and DecodeProof return fits its prefixes
}

// DecodeProof reads what Bytes wrote. Whatever it accepts encodes to the same bytes
// again. Errors are ErrProof and ErrDescriptor.
func DecodeProof(raw []byte) (*Proof, error) {
	damaged := fmt.Errorf("%w: damaged", ErrProof)
	p := new(Proof)
	s := cryptobyte.String(raw)
	var v, deposits, exits uint8
	var signatures uint16
	var descriptor cryptobyte.String
	if len(raw) > MaxProof || !s.ReadUint8(&v) || v != version || !s.ReadUint24LengthPrefixed(&descriptor) {
		return nil, damaged
	}
	var err error
	if p.Descriptor, err = Decode(descriptor); err != nil {
		return nil, err
	}
	if !readSat(&s, &p.Pot) || !readSat(&s, &p.TopUp) || !s.ReadUint8(&deposits) || deposits > MaxMembers {
		return nil, damaged
	}
	p.Deposits = make([]wire.OutPoint, deposits)
	for i := range p.Deposits {
		if !readOutPoint(&s, &p.Deposits[i]) {
			return nil, damaged
		}
	}
	if !readSweep(&s, &p.Sweep) || !s.ReadUint16(&signatures) || int(signatures)*64 > len(s) {
		return nil, damaged
	}
	p.Signatures = make([][64]byte, signatures)
	for i := range p.Signatures {
		s.CopyBytes(p.Signatures[i][:])
	}
	if !p.Inclusion.decode(&s) || !s.ReadUint8(&exits) || exits > MaxMembers {
		return nil, damaged
	}
	for range exits {
		x := new(ExitProof)
		if !x.decode(&s) {
			return nil, damaged
		}
		p.Exits = append(p.Exits, x)
	}
	if !s.Empty() {
		return nil, damaged
	}
	return p, nil
}
