package bitcoin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/txscript/v2"
)

// What can be wrong with a payee or an amount.
var (
	ErrAddress = errors.New("bad address")
	ErrNetwork = errors.New("address of another network")
	ErrAmount  = errors.New("bad amount")
	ErrDust    = errors.New("amount is dust")
)

// ScriptType is one of the five standard output types that are paid.
type ScriptType uint8

// The output types.
const (
	P2PKH ScriptType = iota + 1
	P2SH
	P2WPKH
	P2WSH
	P2TR
)

var scriptTypes = map[txscript.ScriptClass]ScriptType{
	txscript.PubKeyHashTy:          P2PKH,
	txscript.ScriptHashTy:          P2SH,
	txscript.WitnessV0PubKeyHashTy: P2WPKH,
	txscript.WitnessV0ScriptHashTy: P2WSH,
	txscript.WitnessV1TaprootTy:    P2TR,
}

func (t ScriptType) String() string {
	return [...]string{"unknown", "P2PKH", "P2SH", "P2WPKH", "P2WSH", "P2TR"}[t]
}

// Dust is the smallest amount that nodes relay in an output of type t: three
// times what spending it costs at 1 sat/vB (3 sat per byte of output and input).
func (t ScriptType) Dust() Sat {
	// (8 amount + 1 length + script + input) * 3; input is 148 or, with a
	// witness, 67.
	return [...]Sat{0, 3 * (34 + 148), 3 * (32 + 148), 3 * (31 + 67), 3 * (43 + 67), 3 * (43 + 67)}[t]
}

// TypeOf classifies a scriptPubKey. It returns ErrAddress for anything that must
// not be paid: non-standard scripts, OP_RETURN, anyone-can-spend anchors, and
// Taproot keys that are no point of the curve, which nobody can ever spend.
func TypeOf(script []byte) (ScriptType, error) {
	t, ok := scriptTypes[txscript.GetScriptClass(script)]
	if !ok {
		return 0, fmt.Errorf("%w: not a standard payment script", ErrAddress)
	}
	if t == P2TR && !onCurve(script[2:]) {
		return 0, fmt.Errorf("%w: its Taproot key is not on the curve, coins sent there are lost", ErrAddress)
	}
	return t, nil
}

// p2tr is the scriptPubKey of a Taproot output key: OP_1, push of 32 bytes.
func p2tr(outputKey [32]byte) []byte {
	return append([]byte{txscript.OP_1, txscript.OP_DATA_32}, outputKey[:]...)
}

// ParseAddress returns the scriptPubKey of an address of the network. Errors are
// ErrAddress and ErrNetwork.
func ParseAddress(network Network, s string) ([]byte, error) {
	if len(s) > 90 { // the longest bech32 string (BIP 173)
		return nil, fmt.Errorf("%w: longer than any address", ErrAddress)
	}
	decoded, err := address.DecodeAddress(s, network.Params())
	if err != nil {
		if other := networkOf(s); other != 0 && other != network {
			return nil, fmt.Errorf("%w: it is for %v, this federation is on %v", ErrNetwork, other, network)
		}
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if !decoded.IsForNet(network.Params()) {
		return nil, fmt.Errorf("%w: it is for %v, this federation is on %v", ErrNetwork, networkOf(s), network)
	}
	script, err := txscript.PayToAddrScript(decoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if _, err := TypeOf(script); err != nil {
		return nil, err
	}
	// The decoder reads a version 1 program of 20 bytes as version 0. What does
	// not encode to the same address is not what its owner wrote.
	again, err := EncodeAddress(network, script)
	if err != nil || (again != s && again != strings.ToLower(s)) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrAddress)
	}
	return script, nil
}

// networkOf guesses the network of an address that is not of ours, 0 if none.
func networkOf(s string) Network {
	for n := Mainnet; n.Valid(); n++ {
		if a, err := address.DecodeAddress(s, n.Params()); err == nil && a.IsForNet(n.Params()) {
			return n
		}
	}
	return 0
}

// EncodeAddress is the address of a standard scriptPubKey.
func EncodeAddress(network Network, script []byte) (string, error) {
	if _, ok := scriptTypes[txscript.GetScriptClass(script)]; !ok {
		return "", fmt.Errorf("%w: script has no address", ErrAddress)
	}
	_, addrs, _, err := txscript.ExtractPkScriptAddrs(script, network.Params())
	if err != nil || len(addrs) != 1 {
		return "", fmt.Errorf("%w: script has no address", ErrAddress)
	}
	return addrs[0].EncodeAddress(), nil
}
