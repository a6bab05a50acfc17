package epoch

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

// digest is reproducible noise.
func digest(name string, numbers ...uint64) [32]byte {
	b := []byte(name)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return sha256.Sum256(b)
}

// secret is a key that signs with BIP 340: the key of a member, or one that stands
// for a threshold key.
type secret struct{ *btcec.PrivateKey }

func newSecret(name string, n uint64) secret {
	seed := digest(name, n)
	priv, _ := btcec.PrivKeyFromBytes(seed[:])
	return secret{priv}
}

func (s secret) plain() [33]byte { return [33]byte(s.PubKey().SerializeCompressed()) }
func (s secret) xonly() [32]byte { return [32]byte(schnorr.SerializePubKey(s.PubKey())) }

func (s secret) Sign(msg []byte, _ [32]byte) ([64]byte, error) {
	sig, err := schnorr.Sign(s.PrivateKey, msg)
	if err != nil {
		return [64]byte{}, err
	}
	return [64]byte(sig.Serialize()), nil
}

// thresholdKey signs as t members of an epoch do together.
type thresholdKey interface {
	plain() [33]byte
	sign(t testing.TB, d bitcoin.Derived, msg [32]byte) [64]byte
}

// sign applies the tweaks to the secret as BIP 445 applies them to shares: an x-only
// tweak first makes the key even.
func (s secret) sign(t testing.TB, d bitcoin.Derived, msg [32]byte) [64]byte {
	t.Helper()
	k := s.Key
	for i := range d.Tweaks {
		priv := btcec.PrivateKey{Key: k}
		if d.XOnly[i] && priv.PubKey().SerializeCompressed()[0] == 3 {
			k.Negate()
		}
		var tweak btcec.ModNScalar
		tweak.SetBytes(&d.Tweaks[i])
		k.Add(&tweak)
	}
	sig, err := secret{&btcec.PrivateKey{Key: k}}.Sign(msg[:], [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func testTerms() Terms {
	return Terms{
		Delay: 144, DepositDelay: 72, Depth: 6,
		MinBond: MinBond, EntryFee: 50_000,
		MaxFeeRate: bitcoin.PerVByte(200),
		Penalties:  [3]uint16{500, 2_000, 10_000},
	}
}

// p2trOf is the key-path-only address of a member's own wallet.
func p2trOf(s secret) []byte {
	key, err := bitcoin.NewKey(bitcoin.Regtest, s.plain(), [32]byte{})
	if err != nil {
		panic(err) // a key made here
	}
	d, err := key.Derive(bitcoin.Path{})
	if err != nil {
		panic(err) // /0/0 of a fixed key
	}
	return d.Script
}

// bondKey is the bond key of person number id.
func bondKey(id int) secret { return newSecret("bond", uint64(id)) }

// person is member number id with the host key of an epoch.
func person(id int, epoch uint32, value bitcoin.Sat) Member {
	peer := digest("peer", uint64(id))
	return Member{
		Host:   newSecret("host", uint64(id)<<32|uint64(epoch)).plain(),
		Peer:   "\x00\x24\x08\x01\x12\x20" + string(peer[:]),
		Bond:   bondKey(id).xonly(),
		Refund: p2trOf(newSecret("refund", uint64(id))),
		Value:  value,
	}
}

// founding is the descriptor of epoch 0 with persons 0 to n-1.
func founding(key thresholdKey, n int) Descriptor {
	d := Descriptor{Network: bitcoin.Regtest, Federation: digest("charter"), Key: key.plain(), Threshold: n/2 + 1, Terms: testTerms()}
	for id := range n {
		d.Members = append(d.Members, person(id, 0, MinBond+bitcoin.Sat(id)*1000))
	}
	d.Sort()
	return d
}

// successor is the descriptor after s with the changes made to its members: joined
// are new ones, the others name members who go.
func successor(s *State, key thresholdKey, joined []Member, changes ...Change) Descriptor {
	var members []Member
	for _, m := range s.Members {
		if !slices.ContainsFunc(changes, func(c Change) bool { return c.Bond == m.Bond }) {
			m.Host = newSecret("next host "+string(m.Bond[:]), uint64(s.Number)+1).plain()
			members = append(members, m)
		}
	}
	changes = slices.Clone(changes)
	for _, m := range joined {
		members = append(members, m)
		changes = append(changes, Change{Bond: m.Bond, Kind: Joined, Evidence: digest("application")})
	}
	return s.Successor(key.plain(), len(members)/2+1, members, changes)
}

func mustNew(t testing.TB, d Descriptor) *Epoch {
	t.Helper()
	e, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustBuild(t testing.TB, prev *State, p Proposal) *Transition {
	t.Helper()
	tr, err := Build(prev, p)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// outPoint is an outpoint that no other name has.
func outPoint(name string, n uint64) wire.OutPoint {
	return wire.OutPoint{Hash: chainhash.Hash(digest(name, n)), Index: uint32(n % 3)}
}

// depositsOf are made-up deposits of all who join.
func depositsOf(e *Epoch) []Deposit {
	var out []Deposit
	for _, i := range e.joiners() {
		out = append(out, Deposit{e.Members[i].Bond, outPoint("deposit "+string(e.Members[i].Bond[:]), uint64(e.Number))})
	}
	return out
}

// signAll makes the signed transaction of tr with the key of the old epoch.
func signAll(t testing.TB, tr *Transition, key thresholdKey) *wire.MsgTx {
	t.Helper()
	hashes, err := tr.Spend.Sighashes()
	if err != nil {
		t.Fatal(err)
	}
	sigs := make([][64]byte, len(hashes))
	for i, h := range hashes {
		sigs[i] = key.sign(t, tr.Spend.Inputs[i].Derived, h)
	}
	tx, err := tr.Spend.Finish(sigs)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// ledger is a best chain of blocks without work: enough for whoever trusts its
// headers, as Verify does.
type ledger []*wire.MsgBlock

func (l ledger) header(h bitcoin.Height) (wire.BlockHeader, bool) {
	if int(h) >= len(l) {
		return wire.BlockHeader{}, false
	}
	return l[h].Header, true
}

// add puts transactions in a block of their own, among filler others, and n empty
// blocks on top. It returns the height of the first.
func (l *ledger) add(n, filler int, txs ...*wire.MsgTx) bitcoin.Height {
	height := len(*l)
	for i := range n + 1 {
		block := &wire.MsgBlock{}
		coinbase := wire.NewMsgTx(2)
		coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff},
			SignatureScript: binary.LittleEndian.AppendUint32([]byte{4}, uint32(height+i))})
		coinbase.AddTxOut(wire.NewTxOut(50e8, []byte{0x51}))
		block.Transactions = []*wire.MsgTx{coinbase}
		if i == 0 {
			for j := range filler {
				tx := wire.NewMsgTx(2)
				op := outPoint("filler", uint64(height)<<16|uint64(j))
				tx.AddTxIn(&wire.TxIn{PreviousOutPoint: op})
				tx.AddTxOut(wire.NewTxOut(1, []byte{0x51}))
				block.Transactions = append(block.Transactions, tx)
			}
			block.Transactions = append(block.Transactions, txs...)
		}
		level := make([][32]byte, len(block.Transactions))
		for j, tx := range block.Transactions {
			level[j] = tx.TxHash()
		}
		root := level[0]
		for _, sibling := range branch(level, 0) {
			root = parent(root, sibling)
		}
		block.Header.MerkleRoot = root
		*l = append(*l, block)
	}
	return bitcoin.Height(height)
}
