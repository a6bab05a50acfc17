package epoch

import (
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"

	"frostfed/bitcoin"
)

const (
	maxDelay = 65_535 // largest relative lock in blocks (BIP 68)
	// recoveryFactor is how many delays must pass before the recovery key may take
	// the pot: long after every member could have left.
	recoveryFactor = 3
)

// Paths of an epoch's outputs below its key. Receive and change addresses are
// /0/i and /1/i, as ever; /1/0 is where the transition puts swept coins.
var (
	BondPath    = bitcoin.Path{Branch: bitcoin.Bond}
	DepositPath = bitcoin.Path{Branch: bitcoin.Deposit}
	ThreadPath  = bitcoin.Path{Branch: bitcoin.Thread}
	SweepPath   = bitcoin.Path{Branch: bitcoin.Change}
)

// Epoch is a checked descriptor with the key that commits to it. Treat it as
// read-only.
type Epoch struct {
	Descriptor
	hash               [32]byte
	key                bitcoin.Key
	bond, deposit, pot bitcoin.Derived // without leaf; derived once, for all members
}

// New checks d and derives its key. Errors are ErrDescriptor.
func New(d Descriptor) (*Epoch, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	e := &Epoch{Descriptor: d, hash: d.Hash()}
	var err error
	if e.key, err = bitcoin.NewKey(d.Network, d.Key, ChainCode(d.Key, e.hash)); err != nil {
		return nil, bad("%v", err)
	}
	for _, out := range []struct {
		path bitcoin.Path
		to   *bitcoin.Derived
	}{{BondPath, &e.bond}, {DepositPath, &e.deposit}, {ThreadPath, &e.pot}} {
		if *out.to, err = e.key.Derive(out.path); err != nil {
			return nil, bad("%v", err)
		}
	}
	return e, nil
}

// ChainCode is the commitment: every address below a key with this chain code
// commits to the descriptor with that hash. It costs nothing on chain, and all
// tweaks stay those of BIP 32 and BIP 341.
func ChainCode(key [33]byte, descriptor [32]byte) [32]byte {
	return *chainhash.TaggedHash(tagChainCode, key[:], descriptor[:])
}

// Hash is the hash of the descriptor.
func (e *Epoch) Hash() [32]byte { return e.hash }

// Root is the epoch's key, of which all its addresses are children.
func (e *Epoch) Root() bitcoin.Key { return e.key }

// Output is a Taproot output of an epoch: the threshold key spends it at any time,
// and the holder of one other key when it is Delay blocks old.
type Output struct {
	bitcoin.Derived        // Tweaks commit to Leaf
	Leaf            []byte // <Owner> CHECKSIGVERIFY <Delay> CHECKSEQUENCEVERIFY; nil: key only
	Control         []byte // control block of Leaf
	Owner           [32]byte
	Delay           uint16

	// Descriptor is the output for wallets: tr(xpub/a/i,and_v(v:pk(Owner),older(Delay)))
	// with checksum (BIP 380, 386). A wallet that has the secret of Owner puts it in
	// the place of the public key and can spend by script.
	Descriptor string
}

// Bond is the output that locks the value of member i.
func (e *Epoch) Bond(i int) (Output, error) {
	return e.output(e.bond, e.Members[i].Bond, e.Terms.Delay)
}

// Deposit is where the applicant with that bond key pays to be admitted by this
// epoch, in the founding by itself. The same key takes it back later.
func (e *Epoch) Deposit(bond [32]byte) (Output, error) {
	if err := checkXOnly("bond key", bond); err != nil {
		return Output{}, err
	}
	return e.output(e.deposit, bond, e.Terms.DepositDelay)
}

// Thread is the first output of the epoch's transition: it links the epochs and
// holds the pot that pays for the next one.
func (e *Epoch) Thread() (Output, error) {
	if e.Terms.Recovery != ([32]byte{}) {
		return e.output(e.pot, e.Terms.Recovery, e.Terms.Delay*recoveryFactor)
	}
	text, err := bitcoin.WithChecksum(fmt.Sprintf("tr(%s%v)", e.key.Xpub(), ThreadPath))
	return Output{Derived: e.pot, Descriptor: text}, err
}

func (e *Epoch) output(internal bitcoin.Derived, owner [32]byte, delay uint16) (Output, error) {
	leaf, err := delayed(owner, delay)
	if err != nil {
		return Output{}, err
	}
	d, control, err := internal.WithLeaf(e.Network, leaf)
	if err != nil {
		return Output{}, err
	}
	text, err := bitcoin.WithChecksum(fmt.Sprintf("tr(%s%v,and_v(v:pk(%s),older(%d)))",
		e.key.Xpub(), d.Path, hex.EncodeToString(owner[:]), delay))
	return Output{Derived: d, Leaf: leaf, Control: control, Owner: owner, Delay: delay, Descriptor: text}, err
}

// delayed is the script of miniscript and_v(v:pk(owner),older(delay)).
func delayed(owner [32]byte, delay uint16) ([]byte, error) {
	return txscript.NewScriptBuilder().
		AddData(owner[:]).AddOp(txscript.OP_CHECKSIGVERIFY).
		AddInt64(int64(delay)).AddOp(txscript.OP_CHECKSEQUENCEVERIFY).
		Script()
}

// Ripe says whether a deposit confirmed at height counts when the best block is
// tip: deep enough, and too young for its owner to take it back while a transition
// waits to be confirmed.
func (t *Terms) Ripe(confirmed, tip bitcoin.Height) bool {
	if confirmed > tip {
		return false
	}
	age := tip - confirmed + 1
	return age >= bitcoin.Height(t.Depth) && age < bitcoin.Height(t.DepositDelay)/2
}
