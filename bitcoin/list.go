package bitcoin

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"golang.org/x/crypto/cryptobyte"
)

// Limits of a payout list. A transaction of 400,000 weight units holds at most
// 3,225 outputs of the smallest type (31 bytes, 124 units), so a longer list
// cannot be paid; the other limits bound what a decoder allocates.
const (
	MaxPayees    = 3225
	MaxReference = 64      // bytes
	MaxListFile  = 1 << 20 // bytes of a CSV or JSON file
)

// What can be wrong with a list besides its payees.
var (
	ErrDuplicatePayee = errors.New("duplicate payee")
	ErrTooManyPayees  = errors.New("too many payees")
	ErrNoPayees       = errors.New("no payees")
	ErrFormat         = errors.New("bad format")
)

// Payee is one output to be made.
type Payee struct {
	Script []byte // standard scriptPubKey
	Amount Sat    // at least the dust limit of the script's type
	Label  string // for people; not part of the list's identity
}

// PayoutList says who is paid what. Make it with ParseList, NewPayoutList or
// DecodePayoutList; Payees are then valid, distinct and sorted by script.
type PayoutList struct {
	Network Network
	// Reference makes two lists of the same amounts different, e.g. "week 47":
	// a list is paid once, so a repeated payment needs a reference of its own.
	Reference string
	Payees    []Payee
}

// PayoutID identifies a payout list.
type PayoutID [32]byte

func (id PayoutID) String() string { return hex.EncodeToString(id[:]) }

// NewPayoutList checks and sorts payees. Errors are ErrAddress, ErrAmount,
// ErrDust, ErrDuplicatePayee, ErrNoPayees, ErrTooManyPayees and ErrFormat.
func NewPayoutList(network Network, reference string, payees []Payee) (PayoutList, error) {
	l := PayoutList{network, reference, slices.Clone(payees)}
	slices.SortFunc(l.Payees, func(a, b Payee) int { return bytes.Compare(a.Script, b.Script) })
	return l, l.check()
}

// check holds for every list that this package returns.
func (l PayoutList) check() error {
	switch {
	case !l.Network.Valid():
		return fmt.Errorf("%w: %v", ErrFormat, l.Network)
	case len(l.Payees) == 0:
		return ErrNoPayees
	case len(l.Payees) > MaxPayees:
		return fmt.Errorf("%w: %d, at most %d fit into a transaction", ErrTooManyPayees, len(l.Payees), MaxPayees)
	}
	if err := checkReference(l.Reference); err != nil {
		return err
	}
	amounts := make([]Sat, len(l.Payees))
	for i, p := range l.Payees {
		if err := checkPayee(p.Script, p.Amount); err != nil {
			return err
		}
		if i > 0 && bytes.Compare(l.Payees[i-1].Script, p.Script) >= 0 {
			return ErrDuplicatePayee
		}
		amounts[i] = p.Amount
	}
	_, err := sum(amounts...)
	return err
}

func checkReference(s string) error {
	for _, r := range []byte(s) {
		if r < ' ' || r > '~' {
			return fmt.Errorf("%w: the reference may hold only printable ASCII", ErrFormat)
		}
	}
	if len(s) > MaxReference {
		return fmt.Errorf("%w: the reference is longer than %d characters", ErrFormat, MaxReference)
	}
	return nil
}

func checkPayee(script []byte, amount Sat) error {
	t, err := TypeOf(script)
	if err != nil {
		return err
	}
	if !amount.Valid() {
		return fmt.Errorf("%w: %v", ErrAmount, amount)
	}
	if amount < t.Dust() {
		return fmt.Errorf("%w: %v, nodes relay no less than %v to %v", ErrDust, amount, t.Dust(), t)
	}
	return nil
}

// Total is the sum of all amounts.
func (l PayoutList) Total() Sat {
	var total Sat
	for _, p := range l.Payees {
		total += p.Amount
	}
	return total
}

// Encode is the canonical form: version 1, network, reference (1-byte length),
// 2-byte count, then per payee in order of script its amount (8 bytes) and script
// (1-byte length). Labels are left out: members may annotate their own files.
func (l PayoutList) Encode() []byte {
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddUint8(uint8(l.Network))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(l.Reference)) })
	b.AddUint16(uint16(len(l.Payees)))
	for _, p := range l.Payees {
		b.AddUint64(uint64(p.Amount))
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Script) })
	}
	return b.BytesOrPanic() // lengths were checked when the list was made
}

// DecodePayoutList reads what Encode writes and accepts nothing else.
func DecodePayoutList(data []byte) (PayoutList, error) {
	var (
		s                cryptobyte.String = data
		version, network uint8
		reference        cryptobyte.String
		count            uint16
	)
	if !s.ReadUint8(&version) || version != 1 || !s.ReadUint8(&network) ||
		!s.ReadUint8LengthPrefixed(&reference) || !s.ReadUint16(&count) {
		return PayoutList{}, fmt.Errorf("%w: payout list header", ErrFormat)
	}
	l := PayoutList{Network: Network(network), Reference: string(reference)}
	for range count { // grows with the bytes that are there, not with what count claims
		var amount uint64
		var script cryptobyte.String
		if !s.ReadUint64(&amount) || !s.ReadUint8LengthPrefixed(&script) {
			return PayoutList{}, fmt.Errorf("%w: payout list is cut short", ErrFormat)
		}
		l.Payees = append(l.Payees, Payee{Script: bytes.Clone(script), Amount: Sat(amount)})
	}
	if !s.Empty() {
		return PayoutList{}, fmt.Errorf("%w: %d bytes after the payout list", ErrFormat, len(s))
	}
	return l, l.check()
}

// ID is the tagged hash of the canonical form.
func (l PayoutList) ID() PayoutID {
	return PayoutID(*chainhash.TaggedHash([]byte("frostfed/v1/payout list"), l.Encode()))
}

// compareOutputs is the output order of BIP 69: by amount, then script.
func compareOutputs(amountA Sat, scriptA []byte, amountB Sat, scriptB []byte) int {
	return cmp.Or(cmp.Compare(amountA, amountB), bytes.Compare(scriptA, scriptB))
}
