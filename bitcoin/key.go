package bitcoin

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/chainhash/v2"
)

// Branch is the first step of a Path: what the address is for.
type Branch uint32

// The branches of a federation key. Bond, deposit and thread outputs carry a
// script path as well, so only their internal keys come from Derive.
const (
	Receive Branch = iota // /0/i, addresses given to payers
	Change                // /1/i, change of our own transactions
	Bond                  // /2/0
	Deposit               // /3/i
	Thread                // /4/0
)

const (
	branches = 5
	hardened = 1 << 31 // first hardened index of BIP 32
)

// Path is an unhardened derivation path of two steps.
type Path struct {
	Branch Branch
	Index  uint32 // < 2^31
}

// ErrPath means a path that is not /branch/index of this federation.
var ErrPath = errors.New("bad derivation path")

// ErrIndex means an index without a key. It happens with probability 2^-127;
// use the next index.
var ErrIndex = errors.New("derivation index has no key")

func (p Path) String() string { return fmt.Sprintf("/%d/%d", p.Branch, p.Index) }

// ParsePath reads the form that String writes.
func ParsePath(s string) (Path, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] != "" {
		return Path{}, fmt.Errorf("%w %q: want /branch/index", ErrPath, s)
	}
	branch, err1 := strconv.ParseUint(parts[1], 10, 32)
	index, err2 := strconv.ParseUint(parts[2], 10, 32)
	p := Path{Branch(branch), uint32(index)}
	if err := errors.Join(err1, err2); err != nil || p.check() != nil || p.String() != s {
		return Path{}, fmt.Errorf("%w %q: want /branch/index", ErrPath, s)
	}
	return p, nil
}

func (p Path) check() error {
	if p.Branch >= branches || p.Index >= hardened {
		return fmt.Errorf("%w %v", ErrPath, p)
	}
	return nil
}

// Key is a threshold public key as the root of unhardened derivation.
type Key struct {
	network  Network
	root     node
	branches [branches]step // computed once: it halves the cost of Derive
	cache    *derivations   // nil: none
}

// step is a child with the tweak that led to it.
type step struct {
	node
	tweak [32]byte
}

// node is an extended public key: a point and its chain code.
type node struct {
	point point
	chain [32]byte
}

// ChainCode is the chain code of a federation's key: the tagged hash of federation
// id and key. A commitment in this place costs nothing on chain, and it keeps
// apart the addresses of two federations that were ever to hold the same key.
func ChainCode(federation [32]byte, key [33]byte) [32]byte {
	return *chainhash.TaggedHash([]byte("frostfed/v1/chain code"), federation[:], key[:])
}

// NewKey makes the root from the plain (33-byte, parity kept) threshold key. It
// returns an error if pub is not a point of the curve.
func NewKey(network Network, pub [33]byte, chainCode [32]byte) (Key, error) {
	if !network.Valid() {
		return Key{}, fmt.Errorf("threshold key: %v is unknown", network)
	}
	root, err := parsePoint(pub)
	if err != nil {
		return Key{}, fmt.Errorf("threshold key: %w", err)
	}
	k := Key{network: network, root: node{root, chainCode}}
	for i := range k.branches {
		if k.branches[i], err = k.root.child(uint32(i)); err != nil {
			return Key{}, fmt.Errorf("threshold key: branch %d: %w", i, err)
		}
	}
	return k, nil
}

// Network is the network of the key's addresses.
func (k Key) Network() Network { return k.network }

// PublicKey is the plain threshold key.
func (k Key) PublicKey() [33]byte { return k.root.point.bytes() }

// Xpub is the BIP 32 serialization with depth 0, parent fingerprint 0 and child
// number 0 (BIP 328).
func (k Key) Xpub() string {
	// version 4 + depth 1 + fingerprint 4 + child 4 + chain code 32 + key 33 = 78
	b := make([]byte, 0, 78+4)
	b = append(b, k.network.Params().HDPublicKeyID[:]...)
	b = append(b, make([]byte, 1+4+4)...)
	b = append(b, k.root.chain[:]...)
	pub := k.PublicKey()
	b = append(b, pub[:]...)
	return base58.Encode(append(b, chainhash.DoubleHashB(b)[:4]...))
}

// fingerprint identifies the root in BIP 371 derivation fields.
func (k Key) fingerprint() uint32 {
	pub := k.PublicKey()
	return binary.LittleEndian.Uint32(address.Hash160(pub[:])[:4])
}

// Derived is one output of a Key.
type Derived struct {
	Path        Path
	InternalKey [32]byte // x-only
	OutputKey   [32]byte // x-only, after the Taproot tweak
	Script      []byte   // scriptPubKey: OP_1 <OutputKey>
	Address     string   // bech32m

	// Tweaks and XOnly are the tweak lists of BIP 445 that turn the threshold
	// key into OutputKey, in order of application.
	Tweaks [][32]byte
	XOnly  []bool
}

// Derive returns the key-path-only Taproot output at p. Errors are ErrPath and
// ErrIndex.
func (k Key) Derive(p Path) (Derived, error) {
	if err := p.check(); err != nil {
		return Derived{}, err
	}
	if d, ok := k.cache.get(p); ok {
		return d, nil
	}
	branch := k.branches[p.Branch]
	leaf, err := branch.child(p.Index)
	if err != nil {
		return Derived{}, err
	}
	d := Derived{Path: p, InternalKey: leaf.point.x()}
	// Without a script tree the key is tweaked all the same: an internal key
	// used bare could hide a script path (BIP 341, constructing outputs).
	tapTweak := *chainhash.TaggedHash(chainhash.TagTapTweak, d.InternalKey[:])
	out, err := leaf.point.even().addBase(tapTweak)
	if err != nil {
		return Derived{}, err
	}
	d.OutputKey = out.x()
	d.Script = p2tr(d.OutputKey)
	d.Tweaks = [][32]byte{branch.tweak, leaf.tweak, tapTweak}
	d.XOnly = []bool{false, false, true}
	if d.Address, err = EncodeAddress(k.network, d.Script); err != nil {
		return Derived{}, err
	}
	k.cache.put(d)
	return d, nil
}

// child is CKDpub of BIP 32: (I_L*G + K, I_R), and the tweak I_L.
func (n node) child(index uint32) (step, error) {
	mac := hmac.New(sha512.New, n.chain[:])
	parent := n.point.bytes()
	mac.Write(parent[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	i := mac.Sum(nil)
	tweak := [32]byte(i[:32])
	child, err := n.point.addBase(tweak)
	return step{node{child, [32]byte(i[32:])}, tweak}, err
}

// taproot returns the output key Q = even(P) + t*G, compressed so that its first
// byte tells the parity a control block needs, and t = TapTweak(P || root).
// root is empty for outputs without scripts. Source: BIP 341, taproot_tweak_pubkey.
func taproot(internal [32]byte, root []byte) (out [33]byte, tweak [32]byte, err error) {
	tweak = *chainhash.TaggedHash(chainhash.TagTapTweak, internal[:], root)
	even, err := parsePoint([33]byte(append([]byte{2}, internal[:]...)))
	if err != nil {
		return [33]byte{}, tweak, err
	}
	q, err := even.addBase(tweak)
	if err != nil {
		return [33]byte{}, tweak, err
	}
	return q.bytes(), tweak, nil
}

// MessageHash is what signers sign for a message that is no transaction: a hash
// under a tag of its own, so that it can never be the sighash of a transaction.
func MessageHash(federation [32]byte, message []byte) [32]byte {
	digest := sha256.Sum256(message)
	return *chainhash.TaggedHash([]byte("frostfed/v1/message"), federation[:], digest[:])
}
