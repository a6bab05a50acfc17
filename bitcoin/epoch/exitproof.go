package epoch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
)

// consensusFlags are the rules of blocks, not of relay: a member may hand its exit
// to a miner in any form that is valid, and that must not stop the chain of epochs.
const consensusFlags = txscript.ScriptBip16 | txscript.ScriptVerifyDERSignatures |
	txscript.ScriptVerifyCheckLockTimeVerify | txscript.ScriptVerifyCheckSequenceVerify |
	txscript.ScriptVerifyWitness | txscript.ScriptVerifyTaproot | txscript.ScriptStrictMultiSig

const (
	anyoneCanPay    = 0x80 // bit of a signature's type byte: it covers one input alone
	annexTag        = 0x50 // first byte of an annex, the last witness element (BIP 341)
	maxPrevout      = 10_000
	maxElements     = 4         // signature, script, control block, annex: consensus wants a clean stack
	maxProofWitness = 4_000_000 // a block has no room for more
)

// ExitProof shows that a bond was taken by script, and so by its owner.
type ExitProof struct {
	Tx      []byte   // without witness
	Witness [][]byte // of the input that spends the bond

	// Prevouts are the outputs that the other inputs spend, in order: the owner's
	// signature covers them. None if it covers its own input alone.
	Prevouts  []*wire.TxOut
	Inclusion Inclusion
}

// NewExitProof finds the transaction of block, at height, that spends bond. prevout
// returns what its other inputs spend; it is not called if there are none.
func NewExitProof(block *wire.MsgBlock, height bitcoin.Height, bond wire.OutPoint, prevout func(wire.OutPoint) (*wire.TxOut, error)) (*ExitProof, error) {
	for _, tx := range block.Transactions {
		own := spender(tx, bond)
		if own < 0 {
			continue
		}
		var raw bytes.Buffer
		_ = tx.SerializeNoWitness(&raw) // a bytes.Buffer does not fail
		p := &ExitProof{Tx: raw.Bytes(), Witness: tx.TxIn[own].Witness}
		for i, in := range tx.TxIn {
			if i == own || p.single() {
				continue
			}
			out, err := prevout(in.PreviousOutPoint)
			if err != nil {
				return nil, fmt.Errorf("prove exit: %w", err)
			}
			p.Prevouts = append(p.Prevouts, out)
		}
		inclusion, err := NewInclusion(block, height, tx.TxHash())
		if err != nil {
			return nil, err
		}
		p.Inclusion = *inclusion
		return p, nil
	}
	return nil, fmt.Errorf("%w: no exit of %v in block %v", ErrInclusion, bond, block.BlockHash())
}

// spender is the index of the input of tx that spends op, or -1.
func spender(tx *wire.MsgTx, op wire.OutPoint) int {
	for i, in := range tx.TxIn {
		if in.PreviousOutPoint == op {
			return i
		}
	}
	return -1
}

// single reports whether the signature covers its own input alone. The type is the
// 65th byte of a signature, if there is one.
func (p *ExitProof) single() bool {
	return len(p.Witness) > 0 && len(p.Witness[0]) == 65 && p.Witness[0][64]&anyoneCanPay != 0
}

// byScript reports whether the witness is that of a script: more than one element,
// not counting an annex.
func (p *ExitProof) byScript() bool {
	n := len(p.Witness)
	if n > 1 && len(p.Witness[n-1]) > 0 && p.Witness[n-1][0] == annexTag {
		n--
	}
	return n > 1
}

// check verifies that the bond was spent by its only script, in the best chain.
// Errors are ErrProof and ErrInclusion.
func (p *ExitProof) check(bond wire.OutPoint, out *wire.TxOut, depth uint16, headers Headers) error {
	tx, err := decodeTx(p.Tx)
	if err != nil {
		return fmt.Errorf("%w: exit: %w", ErrProof, err)
	}
	own := spender(tx, bond)
	if own < 0 || !p.byScript() {
		return fmt.Errorf("%w: %v does not spend %v by script", ErrProof, tx.TxHash(), bond)
	}
	others := len(tx.TxIn) - 1
	if p.single() {
		others = 0
	}
	if len(p.Prevouts) != others {
		return fmt.Errorf("%w: exit with %d prevouts, it needs %d", ErrProof, len(p.Prevouts), others)
	}
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	rest := p.Prevouts
	for i, in := range tx.TxIn {
		prevout := &wire.TxOut{}
		if i == own {
			prevout = out
		} else if len(rest) > 0 {
			prevout, rest = rest[0], rest[1:]
		}
		fetcher.AddPrevOut(in.PreviousOutPoint, prevout)
	}
	tx.TxIn[own].Witness = p.Witness
	engine, err := txscript.NewEngine(out.PkScript, tx, own, consensusFlags, nil,
		txscript.NewTxSigHashes(tx, fetcher), out.Value, fetcher)
	if err == nil {
		err = engine.Execute()
	}
	if err != nil {
		return fmt.Errorf("%w: exit of %v: %w", ErrProof, bond, err)
	}
	return p.Inclusion.check(tx.TxHash(), depth, headers)
}

func (p *ExitProof) encode(b *cryptobyte.Builder) {
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Tx) })
	b.AddUint8(uint8(len(p.Witness)))
	for _, w := range p.Witness {
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(w) })
	}
	b.AddUint24(uint32(len(p.Prevouts)))
	for _, out := range p.Prevouts {
		b.AddUint64(uint64(out.Value))
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(out.PkScript) })
	}
	p.Inclusion.encode(b)
}

// decode never allocates more than a small multiple of what is there to read.
func (p *ExitProof) decode(s *cryptobyte.String) bool {
	var tx cryptobyte.String
	var elements uint8
	var prevouts uint32
	if !s.ReadUint24LengthPrefixed(&tx) || len(tx) > maxStripped || !s.ReadUint8(&elements) || elements > maxElements {
		return false
	}
	p.Tx = append([]byte(nil), tx...)
	for range elements {
		var w cryptobyte.String
		if !s.ReadUint24LengthPrefixed(&w) || len(w) > maxProofWitness {
			return false
		}
		p.Witness = append(p.Witness, append([]byte{}, w...))
	}
	if !s.ReadUint24(&prevouts) {
		return false
	}
	for range prevouts {
		var value uint64
		var script cryptobyte.String
		if !s.ReadUint64(&value) || !s.ReadUint16LengthPrefixed(&script) || len(script) > maxPrevout {
			return false
		}
		p.Prevouts = append(p.Prevouts, wire.NewTxOut(int64(value), append([]byte{}, script...)))
	}
	return p.Inclusion.decode(s)
}

var errTx = errors.New("not a transaction in canonical form")

// decodeTx reads a transaction without witness from a stranger. The parser
// allocates by the counts it reads, 100 bytes for an input that takes 41, so those
// are compared with what is there first.
func decodeTx(raw []byte) (*wire.MsgTx, error) {
	if len(raw) > maxStripped || len(raw) == 64 || !countsFit(raw) {
		return nil, errTx
	}
	tx := new(wire.MsgTx)
	r := bytes.NewReader(raw)
	if err := tx.DeserializeNoWitness(r); err != nil {
		return nil, errTx
	}
	var again bytes.Buffer
	_ = tx.SerializeNoWitness(&again) // a bytes.Buffer does not fail
	if r.Len() != 0 || !bytes.Equal(again.Bytes(), raw) {
		return nil, errTx
	}
	return tx, nil
}

// countsFit walks over a transaction without witness: version 4, inputs of
// 36 + script + 4 bytes, outputs of 8 + script, lock time 4.
func countsFit(raw []byte) bool {
	s := cryptobyte.String(raw)
	for _, part := range []struct{ before, after int }{{36, 4}, {8, 0}} {
		if part.before == 36 && !s.Skip(4) {
			return false
		}
		count, ok := readCompact(&s)
		if !ok || count > uint64(len(s)/(part.before+1+part.after)) {
			return false
		}
		for range count {
			if !s.Skip(part.before) {
				return false
			}
			size, ok := readCompact(&s)
			if !ok || size > uint64(len(s)) || !s.Skip(int(size)) || !s.Skip(part.after) {
				return false
			}
		}
	}
	return s.Skip(4) && s.Empty()
}

// readCompact reads the length prefix of Bitcoin: one byte, or a marker and two,
// four or eight, little-endian.
func readCompact(s *cryptobyte.String) (uint64, bool) {
	var first uint8
	if !s.ReadUint8(&first) {
		return 0, false
	}
	if first < 0xfd {
		return uint64(first), true
	}
	var rest []byte
	if !s.ReadBytes(&rest, 2<<(first-0xfd)) {
		return 0, false
	}
	var b [8]byte
	copy(b[:], rest)
	return binary.LittleEndian.Uint64(b[:]), true
}
