package membership

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/crypto/memberkey"
)

const (
	tagApplication = "frostfed/v1/membership/application"
	tagProposal    = "frostfed/v1/membership/proposal"

	maxRefund = 34 // P2WSH and P2TR, the longest that bitcoin.TypeOf takes
	// MaxEvidence bounds what a removal carries; proofs of key generation are the
	// largest.
	MaxEvidence = 256 << 10
	// MaxApplication bounds what DecodeApplication reads, in bytes.
	MaxApplication = 2 + maxCard + 1 + maxRefund + 36 + 8 + 64
	maxProposal    = 1 + 4 + max(MaxApplication, 32+1+3+MaxEvidence)
)

// Errors of what people propose.
var (
	ErrApplication = errors.New("bad application")
	ErrProposal    = errors.New("bad membership proposal")
)

// Application is what somebody who wants to join sends to members. It is good for one
// epoch, as its deposit is.
type Application struct {
	Card    *Card
	Refund  []byte        // scriptPubKey for an orderly refund, fixed for ever
	Deposit wire.OutPoint // pays Value and the entry fee to epoch.Deposit(Card.Bond)
	Value   bitcoin.Sat   // of the bond to be
	sig     [64]byte      // by the bond key: it is its money
}

// BondSigner signs with the bond key of an applicant (BIP 340).
type BondSigner interface {
	Sign(msg []byte, aux [32]byte) ([64]byte, error)
}

// NewApplication signs an application to be admitted by the epoch with that
// descriptor hash.
func NewApplication(descriptor [32]byte, a Application, bond BondSigner, aux [32]byte) (*Application, error) {
	msg := a.preimage(descriptor)
	var err error
	if a.sig, err = bond.Sign(msg[:], aux); err != nil {
		return nil, fmt.Errorf("sign application: %w", err)
	}
	return DecodeApplication(descriptor, a.Bytes())
}

func (a *Application) preimage(descriptor [32]byte) [32]byte {
	return memberkey.Hash(tagApplication, descriptor[:], a.unsigned())
}

// Bytes is the canonical encoding, integers big-endian:
//
//	card u16+bytes | refund u8+bytes | deposit [36] | value u64 | signature [64]
//
// The signature is of the bond key, over the tagged hash of the descriptor's hash and
// what is before it.
func (a *Application) Bytes() []byte { return append(a.unsigned(), a.sig[:]...) }

func (a *Application) unsigned() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a.Card.encode()) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a.Refund) })
	b.AddBytes(a.Deposit.Hash[:])
	b.AddUint32(a.Deposit.Index)
	b.AddUint64(uint64(a.Value))
	return b.BytesOrPanic() // a card and a script that were checked
}

// DecodeApplication reads what Bytes wrote and verifies all signatures. Errors are
// ErrApplication and those of cards.
func DecodeApplication(descriptor [32]byte, raw []byte) (*Application, error) {
	damaged := fmt.Errorf("%w: damaged", ErrApplication)
	a := new(Application)
	s := cryptobyte.String(raw)
	var card, refund cryptobyte.String
	var value uint64
	if len(raw) > MaxApplication || !s.ReadUint16LengthPrefixed(&card) || !s.ReadUint8LengthPrefixed(&refund) ||
		!s.CopyBytes(a.Deposit.Hash[:]) || !s.ReadUint32(&a.Deposit.Index) || !s.ReadUint64(&value) ||
		!s.CopyBytes(a.sig[:]) || !s.Empty() {
		return nil, damaged
	}
	a.Refund, a.Value = append([]byte(nil), refund...), bitcoin.Sat(value)
	if _, err := bitcoin.TypeOf(a.Refund); err != nil {
		return nil, fmt.Errorf("%w: refund: %w", ErrApplication, err)
	}
	if !a.Value.Valid() {
		return nil, fmt.Errorf("%w: a bond of %v", ErrApplication, a.Value)
	}
	var err error
	if a.Card, err = decodeCard(card); err != nil {
		return nil, err
	}
	msg := a.preimage(descriptor)
	if !memberkey.Verify(append([]byte{2}, a.Card.Bond[:]...), msg[:], a.sig[:]) {
		return nil, fmt.Errorf("%w: signature of the bond key", ErrApplication)
	}
	return a, nil
}

// Kind is what a proposal is about.
type Kind uint8

// The kinds of proposals, in the order in which a transition takes them: a liar goes
// before it can do more, who asked to leave is not held, and nobody comes at the
// price of either. The numbers are part of the encoding.
const (
	Remove  Kind = iota + 1 // put a member out
	Leave                   // the proposer leaves
	Join                    // admit an applicant
	Refresh                 // renew the epoch before its time
	kinds
)

func (k Kind) String() string {
	if k == 0 || k >= kinds {
		return "unknown"
	}
	return [...]string{Remove: "remove", Leave: "leave", Join: "join", Refresh: "refresh"}[k]
}

// ID names a proposal.
type ID [32]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Proposal is a change of membership that a member asks the others to approve.
type Proposal struct {
	Kind        Kind
	Expires     bitcoin.Height // last height at which a batch may take it
	Application *Application   // of Join
	Bond        [32]byte       // of Remove: whose. Leave: filled in with the proposer's
	Class       epoch.Class    // of Remove
	Evidence    []byte         // of Remove, unless for silence

	id ID
}

// ID is the hash of the proposal, the epoch it is made in, and for Leave its author.
func (p *Proposal) ID() ID { return p.id }

// encode is the payload of a proposal's broadcast, integers big-endian:
//
//	kind u8 | expires u32 | nothing for Leave and Refresh,
//	                        the application for Join,
//	                        bond [32] | class u8 | evidence u24+bytes for Remove
func (p *Proposal) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(uint8(p.Kind))
	b.AddUint32(uint32(p.Expires))
	switch p.Kind {
	case Join:
		b.AddBytes(p.Application.Bytes())
	case Remove:
		b.AddBytes(p.Bond[:])
		b.AddUint8(uint8(p.Class))
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Evidence) })
	}
	return b.BytesOrPanic() // sizes were checked
}

// decodeProposal reads a proposal that the member with that bond key broadcast in the
// epoch with that descriptor hash.
func decodeProposal(descriptor, author [32]byte, raw []byte) (*Proposal, error) {
	damaged := fmt.Errorf("%w: damaged", ErrProposal)
	s := cryptobyte.String(raw)
	p := new(Proposal)
	var expires uint32
	if len(raw) > maxProposal || !s.ReadUint8((*uint8)(&p.Kind)) || !s.ReadUint32(&expires) {
		return nil, damaged
	}
	p.Expires = bitcoin.Height(expires)
	salt := []byte{}
	switch p.Kind {
	case Join:
		a, err := DecodeApplication(descriptor, s)
		if err != nil {
			return nil, err
		}
		p.Application, p.Bond, s = a, a.Card.Bond, nil
	case Remove:
		var evidence cryptobyte.String
		if !s.CopyBytes(p.Bond[:]) || !s.ReadUint8((*uint8)(&p.Class)) || !s.ReadUint24LengthPrefixed(&evidence) ||
			len(evidence) > MaxEvidence || p.Class < epoch.Silence || p.Class > epoch.Equivocation ||
			(p.Class == epoch.Silence) != (len(evidence) == 0) {
			return nil, damaged
		}
		p.Evidence = append([]byte(nil), evidence...)
	case Leave:
		p.Bond, salt = author, author[:]
	case Refresh:
	default:
		return nil, damaged
	}
	if !s.Empty() {
		return nil, damaged
	}
	p.id = memberkey.Hash(tagProposal, descriptor[:], raw, salt)
	return p, nil
}

// evidence is what the change in the descriptor names: the hash of the proof, or of
// the proposal where there is none.
func (p *Proposal) evidence() [32]byte {
	if len(p.Evidence) > 0 {
		return sha256.Sum256(p.Evidence)
	}
	return p.id
}
