package bitcoin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// MaxPSBT bounds a binary PSBT. A standard transaction has at most 1,738 key-path
// inputs; wallets add about 200 bytes to each, or the whole previous transaction.
const MaxPSBT = 4 << 20

// What can be wrong with a PSBT besides its transaction.
var (
	ErrPSBT        = errors.New("bad PSBT")
	ErrSighashType = errors.New("sighash type is not SIGHASH_DEFAULT")
)

// PSBT is a decoded partially signed transaction from elsewhere (BIP 174 version
// 0 with the Taproot fields of BIP 371). Nothing in it is believed: Spend and
// Extract check what it claims.
type PSBT struct{ packet *psbt.Packet }

// DecodePSBT reads a PSBT, binary or base64 (surrounding white space allowed).
// Errors are ErrPSBT and ErrTx.
func DecodePSBT(data []byte) (*PSBT, error) {
	if len(data) > base64.StdEncoding.EncodedLen(MaxPSBT) {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrPSBT, MaxPSBT)
	}
	if !bytes.HasPrefix(data, []byte("psbt\xff")) {
		text := bytes.TrimSpace(data)
		binary := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Strict().Decode(binary, text)
		if err != nil {
			return nil, fmt.Errorf("%w: neither binary nor base64", ErrPSBT)
		}
		data = binary[:n]
	}
	if len(data) > MaxPSBT {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrPSBT, MaxPSBT)
	}
	r := bytes.NewReader(data)
	packet, err := psbt.NewFromRawBytes(r, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %w (version 2 of the format is not supported)", ErrPSBT, err)
	}
	if r.Len() != 0 {
		return nil, fmt.Errorf("%w: %d bytes after its end", ErrPSBT, r.Len())
	}
	if packet.UnsignedTx.SerializeSizeStripped() > MaxTxSize {
		return nil, fmt.Errorf("%w: %d bytes, nodes relay at most %d", ErrTx, packet.UnsignedTx.SerializeSizeStripped(), MaxTxSize)
	}
	return &PSBT{packet}, checkUnsigned(packet.UnsignedTx)
}

// Tx is the unsigned transaction. Do not modify it.
func (p *PSBT) Tx() *wire.MsgTx { return p.packet.UnsignedTx }

// Spend maps the PSBT to our own coins, as NewSpend does, and refuses one that
// says otherwise: its author would believe another fee than the one paid. Errors
// are those of NewSpend, ErrPSBT and ErrSighashType.
func (p *PSBT) Spend(key Key, coin func(wire.OutPoint) (Coin, bool), own func(script []byte) (Path, bool)) (*Spend, error) {
	s, err := NewSpend(key, p.packet.UnsignedTx, coin, own)
	if err != nil {
		return nil, err
	}
	prevouts := s.Prevouts()
	for i, in := range p.packet.Inputs {
		switch {
		case in.SighashType != txscript.SigHashDefault:
			return nil, fmt.Errorf("%w: input %d asks for %#x", ErrSighashType, i, uint32(in.SighashType))
		case in.TaprootKeySpendSig != nil || in.FinalScriptWitness != nil || in.FinalScriptSig != nil || len(in.PartialSigs) > 0:
			return nil, fmt.Errorf("%w: input %d is signed already", ErrPSBT, i)
		case in.TaprootMerkleRoot != nil || len(in.TaprootLeafScript) > 0 || len(in.TaprootScriptSpendSig) > 0:
			return nil, fmt.Errorf("%w: input %d claims a script path, our coins have none", ErrPSBT, i)
		case in.WitnessUtxo != nil && !equalOutputs(in.WitnessUtxo, prevouts[i]):
			return nil, fmt.Errorf("%w: input %d claims another amount or script than our coin has", ErrPSBT, i)
		}
	}
	return s, nil
}

func equalOutputs(a, b *wire.TxOut) bool {
	return a.Value == b.Value && bytes.Equal(a.PkScript, b.PkScript)
}

// Extract returns the signed transaction of a finished PSBT, after the script
// engine has accepted every input. The spent outputs are the PSBT's own claim,
// which is safe: each signature commits to all of them. Inputs must be Taproot
// key-path spends. Errors are ErrPSBT, ErrTx and *SignatureError.
func (p *PSBT) Extract() (*wire.MsgTx, error) {
	var signatures [][64]byte
	var prevouts []*wire.TxOut
	for i, in := range p.packet.Inputs {
		if in.WitnessUtxo == nil {
			return nil, fmt.Errorf("%w: input %d does not say what it spends", ErrPSBT, i)
		}
		prevouts = append(prevouts, in.WitnessUtxo)
		sig := in.TaprootKeySpendSig
		if w := in.FinalScriptWitness; len(w) == 66 && w[0] == 1 && w[1] == 64 {
			sig = w[2:] // one element of 64 bytes
		} else if w != nil {
			return nil, fmt.Errorf("%w: input %d has a witness that is not one 64-byte signature", ErrPSBT, i)
		}
		if len(sig) != 64 {
			return nil, fmt.Errorf("%w: input %d has no 64-byte signature", ErrPSBT, i)
		}
		signatures = append(signatures, [64]byte(sig))
	}
	return finish(p.packet.UnsignedTx, prevouts, signatures)
}

// PSBT writes s for other software, in binary: unsigned if signatures is nil,
// else finished, and then the signatures are verified first as Finish does. It
// carries WITNESS_UTXO and, while unsigned, TAP_INTERNAL_KEY and
// TAP_BIP32_DERIVATION of inputs and of outputs to ourselves.
func (s *Spend) PSBT(signatures [][64]byte) ([]byte, error) {
	if signatures != nil {
		if _, err := s.Finish(signatures); err != nil {
			return nil, err
		}
	}
	packet, err := psbt.NewFromUnsignedTx(s.Tx)
	if err != nil {
		return nil, fmt.Errorf("write PSBT: %w", err)
	}
	for i, prevout := range s.Prevouts() {
		in := &packet.Inputs[i]
		in.WitnessUtxo = prevout
		if signatures != nil {
			in.FinalScriptWitness = append([]byte{1, 64}, signatures[i][:]...)
			continue
		}
		in.TaprootInternalKey = s.Inputs[i].Derived.InternalKey[:]
		in.TaprootBip32Derivation = s.derivation(&s.Inputs[i].Derived)
	}
	for i, own := range s.Own {
		if own != nil && signatures == nil {
			packet.Outputs[i].TaprootInternalKey = own.InternalKey[:]
			packet.Outputs[i].TaprootBip32Derivation = s.derivation(own)
		}
	}
	var b bytes.Buffer
	if err := packet.Serialize(&b); err != nil {
		return nil, fmt.Errorf("write PSBT: %w", err)
	}
	return b.Bytes(), nil
}

func (s *Spend) derivation(d *Derived) []*psbt.TaprootBip32Derivation {
	return []*psbt.TaprootBip32Derivation{{
		XOnlyPubKey:          d.InternalKey[:],
		MasterKeyFingerprint: s.key.fingerprint(),
		Bip32Path:            []uint32{uint32(d.Path.Branch), d.Path.Index},
	}}
}
