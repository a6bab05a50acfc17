package epoch

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chainhash/v2"
)

// ErrFounders means that a founding is not shown to be that of a charter.
var ErrFounders = errors.New("founders did not agree")

var tagFounding = []byte("frostfed/v1/epoch/founding")

// FoundingMessage is what each founder signs with its host key (BIP 340) when key
// generation is done. A charter is older than the key and cannot name it: without
// these signatures anybody could found the same federation under another key, with
// the founders' names in it and the bonds in reach.
func FoundingMessage(descriptor [32]byte) [32]byte {
	return *chainhash.TaggedHash(tagFounding, descriptor[:])
}

// CheckFounders verifies that d is the founding of the federation whose charter has
// that hash and those host keys, ascending; signatures are in the same order. Errors
// are ErrFounders.
func (d *Descriptor) CheckFounders(federation [32]byte, hosts [][33]byte, signatures [][64]byte) error {
	if d.Number != 0 || d.Federation != federation {
		return fmt.Errorf("%w: epoch %d of federation %s", ErrFounders, d.Number, hashString(d.Federation))
	}
	if len(hosts) != len(d.Members) || len(signatures) != len(d.Members) {
		return fmt.Errorf("%w: %d members, %d founders, %d signatures", ErrFounders, len(d.Members), len(hosts), len(signatures))
	}
	msg := FoundingMessage(d.Hash())
	for i := range d.Members {
		if d.Members[i].Host != hosts[i] {
			return fmt.Errorf("%w: member %d is no founder", ErrFounders, i)
		}
		key, err := schnorr.ParsePubKey(hosts[i][1:])
		if err != nil {
			return fmt.Errorf("%w: founder %d: %w", ErrFounders, i, err)
		}
		sig, err := schnorr.ParseSignature(signatures[i][:])
		if err != nil || !sig.Verify(msg[:], key) {
			return fmt.Errorf("%w: the signature of founder %d does not verify", ErrFounders, i)
		}
	}
	return nil
}
