package bitcoin

import (
	"fmt"

	"github.com/btcsuite/btcd/txscript/v2"
)

// DeriveLeaf is Derive for an output that has one script besides the key: a tree of
// a single leaf of version 0xc0. The last tweak commits to the script; control is
// what a spend by script puts behind it in the witness (33 bytes). Errors are those
// of Derive.
func (k Key) DeriveLeaf(p Path, script []byte) (d Derived, control []byte, err error) {
	if d, err = k.Derive(p); err != nil {
		return Derived{}, nil, err
	}
	root := txscript.NewBaseTapLeaf(script).TapHash()
	out, tweak, err := taproot(d.InternalKey, root[:])
	if err != nil {
		return Derived{}, nil, err
	}
	d.OutputKey = [32]byte(out[1:])
	d.Script = p2tr(d.OutputKey)
	d.Tweaks[len(d.Tweaks)-1] = tweak
	if d.Address, err = EncodeAddress(k.network, d.Script); err != nil {
		return Derived{}, nil, err
	}
	parity := out[0] & 1
	control = append([]byte{byte(txscript.BaseLeafVersion) | parity}, d.InternalKey[:]...)
	return d, control, nil
}

// WithChecksum appends the checksum of BIP 380 to an output descriptor.
func WithChecksum(descriptor string) (string, error) {
	sum, ok := descriptorChecksum(descriptor)
	if !ok {
		return "", fmt.Errorf("%w: a character that no descriptor has", ErrFormat)
	}
	return descriptor + "#" + sum, nil
}
