package bitcoin

import (
	"fmt"

	"github.com/btcsuite/btcd/txscript/v2"
)

// WithLeaf is the output with the internal key of d that one script can spend
// besides the key: a tree of a single leaf of version 0xc0. The last tweak commits
// to the script. control is what a spend by script puts behind it in the witness, 33
// bytes. It returns ErrIndex where Derive would.
func (d Derived) WithLeaf(network Network, script []byte) (out Derived, control []byte, err error) {
	root := txscript.NewBaseTapLeaf(script).TapHash()
	key, tweak, err := taproot(d.InternalKey, root[:])
	if err != nil {
		return Derived{}, nil, err
	}
	out = d.clone()
	out.OutputKey = [32]byte(key[1:])
	out.Script = p2tr(out.OutputKey)
	out.Tweaks[len(out.Tweaks)-1] = tweak
	if out.Address, err = EncodeAddress(network, out.Script); err != nil {
		return Derived{}, nil, err
	}
	parity := key[0] & 1
	return out, append([]byte{byte(txscript.BaseLeafVersion) | parity}, d.InternalKey[:]...), nil
}

// WithChecksum appends the checksum of BIP 380 to an output descriptor.
func WithChecksum(descriptor string) (string, error) {
	sum, ok := descriptorChecksum(descriptor)
	if !ok {
		return "", fmt.Errorf("%w: a character that no descriptor has", ErrFormat)
	}
	return descriptor + "#" + sum, nil
}
