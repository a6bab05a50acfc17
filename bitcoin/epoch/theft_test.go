package epoch

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// TestTheftIsNoExit: t members take a bond by key path and present the spend as the
// member's own exit, with and without an annex that makes it look like a script's.
func TestTheftIsNoExit(t *testing.T) {
	for _, annex := range [][]byte{nil, {annexTag}, {annexTag, 1, 2}} {
		h := newHistory(t, 3, 1)
		victim := h.state.Members[1]
		bond, err := h.state.Bond(1)
		if err != nil {
			t.Fatal(err)
		}
		tx := wire.NewMsgTx(2)
		at := h.state.BondOutPoint(1)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: at, Sequence: uint32(bond.Delay)})
		tx.AddTxOut(wire.NewTxOut(int64(victim.Value)-1000, p2trOf(newSecret("thief", 0))))
		prevout := wire.NewTxOut(int64(victim.Value), bond.Script)
		fetcher := txscript.NewCannedPrevOutputFetcher(bond.Script, int64(victim.Value))
		hashes := txscript.NewTxSigHashes(tx, fetcher)
		msg, err := txscript.CalcTaprootSignatureHash(hashes, txscript.SigHashDefault, tx, 0, fetcher)
		if err != nil {
			t.Fatal(err)
		}
		if annex != nil {
			msg = keyPathHash(tx, prevout, annex)
		}
		sig := h.key.sign(t, bond.Derived, [32]byte(msg))
		tx.TxIn[0].Witness = wire.TxWitness{sig[:]}
		if annex != nil {
			tx.TxIn[0].Witness = append(tx.TxIn[0].Witness, annex)
		}
		engine, err := txscript.NewEngine(bond.Script, tx, 0, consensusFlags, nil, hashes, prevout.Value, fetcher)
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.Execute(); err != nil {
			t.Fatalf("annex %x: the theft itself is invalid: %v", annex, err)
		}
		height := h.chain.add(6, 1, tx)
		p, err := NewExitProof(h.chain[height], height, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.check(at, prevout, 6, h.chain.header); !errors.Is(err, ErrProof) {
			t.Errorf("annex %x: %v", annex, err)
		}
	}
}

// TestExitNeedsItsSequence: a chain of headers that nobody checked may hold a block
// that consensus refuses. The proof does not lean on it.
func TestExitNeedsItsSequence(t *testing.T) {
	h := newHistory(t, 3, 1)
	bond, err := h.state.Bond(1)
	if err != nil {
		t.Fatal(err)
	}
	prevout := wire.NewTxOut(int64(h.state.Members[1].Value), bond.Script)
	for _, late := range []int{0, -1} {
		x, err := h.state.Exit(1, h.state.Members[1].Refund, 500)
		if err != nil {
			t.Fatal(err)
		}
		x.Tx.TxIn[0].Sequence = uint32(int(bond.Delay) + late)
		msg, err := x.Sighash()
		if err != nil {
			t.Fatal(err)
		}
		sig, err := h.owner(bond.Owner).Sign(msg[:], [32]byte{})
		if err != nil {
			t.Fatal(err)
		}
		x.Tx.TxIn[0].Witness = wire.TxWitness{sig[:], bond.Leaf, bond.Control}
		height := h.chain.add(6, 0, x.Tx)
		p, err := NewExitProof(h.chain[height], height, h.state.BondOutPoint(1), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.check(h.state.BondOutPoint(1), prevout, 6, h.chain.header); (err == nil) != (late == 0) {
			t.Errorf("sequence %+d: %v", late, err)
		}
	}
}

// keyPathHash is the message of a key-path spend of the only input with an annex,
// written out from BIP 341 since the library computes it for scripts alone.
func keyPathHash(tx *wire.MsgTx, prevout *wire.TxOut, annex []byte) []byte {
	in, out := tx.TxIn[0], tx.TxOut[0]
	sha := func(parts ...[]byte) []byte {
		h := sha256.New()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	le := binary.LittleEndian
	outpoint := le.AppendUint32(append([]byte{}, in.PreviousOutPoint.Hash[:]...), in.PreviousOutPoint.Index)
	var m []byte
	m = append(m, 0, 0) // epoch of the hash, SIGHASH_DEFAULT
	m = le.AppendUint32(m, uint32(tx.Version))
	m = le.AppendUint32(m, tx.LockTime)
	m = append(m, sha(outpoint)...)
	m = append(m, sha(le.AppendUint64(nil, uint64(prevout.Value)))...)
	m = append(m, sha([]byte{byte(len(prevout.PkScript))}, prevout.PkScript)...)
	m = append(m, sha(le.AppendUint32(nil, in.Sequence))...)
	m = append(m, sha(le.AppendUint64(nil, uint64(out.Value)), []byte{byte(len(out.PkScript))}, out.PkScript)...)
	m = append(m, 1) // spend type: key path with annex
	m = le.AppendUint32(m, 0)
	m = append(m, sha([]byte{byte(len(annex))}, annex)...)
	h := chainhash.TaggedHash(chainhash.TagTapSighash, m)
	return h[:]
}
