package bitcoin

import "github.com/btcsuite/btcd/wire/v2"

// The size of a Taproot key-path input in weight units: outpoint 36, empty script
// 1 and sequence 4, times four; then witness count 1, length 1, signature 64.
const inputWeight Weight = 4*(36+1+4) + 1 + 1 + 64

// outputWeight is amount 8, script length and script, times four.
func outputWeight(script []byte) Weight {
	return 4 * Weight(8+wire.VarIntSerializeSize(uint64(len(script)))+len(script))
}

// txWeight is version 4, counts, lock time 4, times four; marker and flag 2; then
// inputs and outputs.
func txWeight(inputs, outputs int, outputsWeight Weight) Weight {
	counts := wire.VarIntSerializeSize(uint64(inputs)) + wire.VarIntSerializeSize(uint64(outputs))
	return 4*Weight(4+counts+4) + 2 + Weight(inputs)*inputWeight + outputsWeight
}

// SignedWeight is the weight tx has once every input carries one 64-byte
// signature as its witness.
func SignedWeight(tx *wire.MsgTx) Weight {
	var outputs Weight
	for _, out := range tx.TxOut {
		outputs += outputWeight(out.PkScript)
	}
	return txWeight(len(tx.TxIn), len(tx.TxOut), outputs)
}
