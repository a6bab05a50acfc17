package membership

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

const (
	charterVersion  = 1 // without bonds
	charterBonded   = 2 // with terms
	charterTag      = "frostfed/v1/charter"
	maxCharterName  = 64
	maxCharterBytes = 512 << 10 // 128 cards of at most 1.8 kB as base64, with room to spare

	// MaxCharter is the most bytes Bytes returns: the longest names and all cards.
	MaxCharter = 1 + 1 + maxCharterName + 1 + 255 + 1 + 1 + protocols.MaxMembers*(2+maxCard) + termsSize
)

// ErrCharter is the class of all errors about charters; the text says what to do.
var ErrCharter = errors.New("invalid charter")

// Networks are the Bitcoin networks a charter may name.
var Networks = []string{"regtest", "signet", "testnet4", "mainnet"}

// FederationID is the tagged hash of a charter, 32 bytes.
type FederationID [32]byte

func (f FederationID) String() string { return hex.EncodeToString(f[:]) }

// Charter founds a federation.
type Charter struct {
	Name      string
	Network   string
	Threshold int     // t: members needed to sign
	Cards     []*Card // sorted by host key; the position is the participant's index
	Terms     *Terms  // of bonds and epochs; nil: membership never changes
}

// NewCharter checks and sorts. A threshold of 0 means the default, more than two
// thirds of the members.
func NewCharter(name, network string, threshold int, cards []*Card) (*Charter, error) {
	if threshold == 0 {
		threshold = protocols.DefaultThreshold(len(cards))
	}
	return newCharter(name, network, threshold, cards, nil)
}

// NewBonded is NewCharter for a federation whose members lock bonds and may change.
// The threshold follows from terms.
func NewBonded(name, network string, cards []*Card, terms Terms) (*Charter, error) {
	if terms.Den == 0 {
		return nil, fmt.Errorf("%w: the threshold has denominator 0", ErrCharter)
	}
	return newCharter(name, network, terms.Threshold(len(cards)), cards, &terms)
}

func newCharter(name, network string, threshold int, cards []*Card, terms *Terms) (*Charter, error) {
	c := &Charter{Name: name, Network: network, Threshold: threshold, Cards: slices.Clone(cards), Terms: terms}
	slices.SortFunc(c.Cards, byHost)
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// N returns the number of members.
func (c *Charter) N() int { return len(c.Cards) }

// Index returns the position of a member, or -1.
func (c *Charter) Index(id protocols.NodeID) int {
	return slices.IndexFunc(c.Cards, func(card *Card) bool { return card.NodeID() == id })
}

// Members returns the peer IDs in order of index.
func (c *Charter) Members() []protocols.NodeID {
	ids := make([]protocols.NodeID, len(c.Cards))
	for i, card := range c.Cards {
		ids[i] = card.NodeID()
	}
	return ids
}

// ID hashes the canonical bytes.
func (c *Charter) ID() FederationID { return memberkey.Hash(charterTag, c.Bytes()) }

// Bytes returns the canonical bytes, which DecodeCharter reads.
func (c *Charter) Bytes() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(c.version())
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.Name)) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.Network)) })
	b.AddUint8(uint8(c.Threshold))
	b.AddUint8(uint8(len(c.Cards)))
	for _, card := range c.Cards {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(card.encode()) })
	}
	if c.Terms != nil {
		c.Terms.encode(b)
	}
	return b.BytesOrPanic() // sizes were checked
}

// DecodeCharter reads the canonical bytes of a charter and verifies every card.
// There is one encoding of a charter: what it accepts, Bytes returns again.
func DecodeCharter(raw []byte) (*Charter, error) {
	s := cryptobyte.String(raw)
	var version, threshold, count uint8
	var name, network cryptobyte.String
	if len(raw) > MaxCharter || !s.ReadUint8(&version) || version != charterVersion && version != charterBonded ||
		!s.ReadUint8LengthPrefixed(&name) || !s.ReadUint8LengthPrefixed(&network) || !s.ReadUint8(&threshold) ||
		!s.ReadUint8(&count) || count > protocols.MaxMembers {
		return nil, fmt.Errorf("%w: damaged bytes", ErrCharter)
	}
	cards := make([]*Card, count)
	for i := range cards {
		var body cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&body) {
			return nil, fmt.Errorf("%w: damaged bytes", ErrCharter)
		}
		var err error
		if cards[i], err = decodeCard(body); err != nil {
			return nil, fmt.Errorf("%w: card %d: %w", ErrCharter, i+1, err)
		}
	}
	var terms *Terms
	if version == charterBonded {
		if terms = new(Terms); !terms.decode(&s) {
			return nil, fmt.Errorf("%w: damaged bytes", ErrCharter)
		}
	}
	if !s.Empty() || threshold == 0 || !slices.IsSortedFunc(cards, byHost) {
		return nil, fmt.Errorf("%w: damaged bytes", ErrCharter)
	}
	return newCharter(string(name), string(network), int(threshold), cards, terms)
}

// version is that of the encoding: charters without bonds keep their bytes, and with
// them their ID.
func (c *Charter) version() uint8 {
	if c.Terms != nil {
		return charterBonded
	}
	return charterVersion
}

func byHost(a, b *Card) int { return bytes.Compare(a.Host[:], b.Host[:]) }

func (c *Charter) check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrCharter, fmt.Sprintf(format, args...))
	}
	if len(c.Name) == 0 || len(c.Name) > maxCharterName {
		return fail("the name must have 1 to %d bytes", maxCharterName)
	}
	for _, r := range []byte(c.Name) {
		if r < ' ' || r > '~' {
			return fail("the name may hold printable ASCII only")
		}
	}
	if !slices.Contains(Networks, c.Network) {
		return fail("network %q is unknown; use one of %v", c.Network, Networks)
	}
	n := len(c.Cards)
	if n < 1 || n > protocols.MaxMembers {
		return fail("%d members; a federation has 1 to %d", n, protocols.MaxMembers)
	}
	if c.Threshold < 1 || c.Threshold > n {
		return fail("threshold %d of %d members; it must be 1 to %d", c.Threshold, n, n)
	}
	if c.Terms != nil {
		if err := c.Terms.check(n); err != nil {
			return fail("terms: %v", err)
		}
		if want := c.Terms.Threshold(n); c.Threshold != want {
			return fail("threshold %d of %d members; by the terms it is %d", c.Threshold, n, want)
		}
	}
	// Every key of a member must be its own: with a shared one, one member could
	// speak for two. Host keys are compared x-only, as their signatures are.
	type seen = map[string]string
	names, identities, hosts, overlays, bonds := seen{}, seen{}, seen{}, seen{}, seen{}
	for _, card := range c.Cards {
		for _, f := range []struct {
			what  string
			in    seen
			value string
		}{
			{"name", names, card.Name},
			{"identity key", identities, string(card.Identity[:])},
			{"host key", hosts, string(card.Host[1:])},
			{"overlay key", overlays, string(card.Overlay[:])},
			{"bond key", bonds, string(card.Bond[:])},
		} {
			if other, dup := f.in[f.value]; dup {
				return fail("the cards of %q and %q have the same %s; each member gives one card of its own",
					other, card.Name, f.what)
			}
			f.in[f.value] = card.Name
		}
	}
	return nil
}

// charterFile is the text form.
type charterFile struct {
	Version   int        `toml:"version"`
	Name      string     `toml:"name"`
	Network   string     `toml:"network"`
	Threshold int        `toml:"threshold"`
	Cards     []string   `toml:"cards,multiline"`
	Terms     *termsFile `toml:"terms,omitempty"`
}

// ParseCharter reads the text form (TOML), refusing unknown keys.
func ParseCharter(text []byte) (*Charter, error) {
	if len(text) > maxCharterBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrCharter, maxCharterBytes)
	}
	var f charterFile
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCharter, tomlError(err))
	}
	if f.Version != charterVersion && f.Version != charterBonded {
		return nil, fmt.Errorf("%w: version %d; this program reads versions %d and %d", ErrCharter, f.Version, charterVersion, charterBonded)
	}
	if (f.Version == charterBonded) != (f.Terms != nil) {
		return nil, fmt.Errorf("%w: version %d has [terms], version %d has none", ErrCharter, charterBonded, charterVersion)
	}
	if len(f.Cards) > protocols.MaxMembers {
		return nil, fmt.Errorf("%w: %d cards; at most %d", ErrCharter, len(f.Cards), protocols.MaxMembers)
	}
	cards := make([]*Card, len(f.Cards))
	for i, line := range f.Cards {
		card, err := ParseCard(line)
		if err != nil {
			return nil, fmt.Errorf("%w: card %d: %w; ask the member to run 'frostfed card' again", ErrCharter, i+1, err)
		}
		cards[i] = card
	}
	if f.Threshold == 0 {
		return nil, fmt.Errorf("%w: threshold is missing", ErrCharter)
	}
	var terms *Terms
	if f.Terms != nil {
		var err error
		if terms, err = f.Terms.terms(); err != nil {
			return nil, err
		}
	}
	return newCharter(f.Name, f.Network, f.Threshold, cards, terms)
}

// Text returns the text form that ParseCharter reads.
func (c *Charter) Text() ([]byte, error) {
	f := charterFile{Version: int(c.version()), Name: c.Name, Network: c.Network, Threshold: c.Threshold}
	for _, card := range c.Cards {
		f.Cards = append(f.Cards, card.String())
	}
	if c.Terms != nil {
		f.Terms = c.Terms.file()
	}
	body, err := toml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("write charter: %w", err)
	}
	head := fmt.Sprintf("# Charter of the federation %q. Every member uses the same file;\n# compare the federation ID with the others: %s\n\n", c.Name, c.ID())
	return append([]byte(head), body...), nil
}

// tomlError names line and key, which the library keeps out of Error().
func tomlError(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %v", row, strict.Errors[0].Key())
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		row, col := decode.Position()
		return fmt.Errorf("line %d, column %d: %w", row, col, err)
	}
	return err
}
