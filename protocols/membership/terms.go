package membership

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/bitcoin/epoch"
	"frostfed/protocols"
)

// Terms are what a charter with bonds says about epochs. No epoch changes them.
type Terms struct {
	epoch.Terms // what transactions and descriptors need; Depth is when an epoch acts

	// The threshold of n members is n*Num/Den + 1, rounded down and at most n.
	Num, Den uint8

	Final     uint16      // confirmations after which a transition is for good and old shares are erased
	MinEpoch  uint16      // blocks from one transition to the next batch, at least Final
	Refresh   uint16      // age in blocks at which an epoch is renewed without anybody's proposal
	Window    uint16      // blocks for which a proposal may be voted on
	Round     uint16      // blocks that a step of an agreement waits for members
	Keygen    uint16      // blocks after which a key generation counts as failed
	Bump      uint16      // blocks after which a transition that waits is signed with twice the fee
	Silent    uint16      // blocks without a sign of life after which a member may be removed
	Joins     uint8       // most members that come in one transition
	Departs   uint8       // most members that leave or are removed in one transition
	PotTarget bitcoin.Sat // swept coins fill the pot up to this
}

// termsSize: the two thresholds, eight heights, two limits, the pot, and what
// epoch.Terms holds: three heights, three amounts, three penalties, a key.
const termsSize = 2 + 8*2 + 2 + 8 + 3*2 + 3*8 + 3*2 + 32

// Threshold is the number of members needed to sign for n.
func (t *Terms) Threshold(n int) int { return min(n*int(t.Num)/int(t.Den)+1, n) }

// departures is how many may leave or be removed at once. Who goes keeps its share of
// the old key until that is erased everywhere: together with the f that may be faulty
// anyway they must not reach the threshold t. And f+1 honest ones must stay, for those
// who go follow them in what only they can judge.
func (t *Terms) departures(n, threshold int) int {
	f := protocols.MaxFaulty(n)
	return max(0, min(int(t.Departs), threshold-f-1, n-2*f-1))
}

// check says what is wrong with terms for founders of that number.
func (t *Terms) check(founders int) error {
	switch {
	case t.Den == 0 || t.Num > t.Den || 2*int(t.Num) < int(t.Den):
		return fmt.Errorf("a threshold of more than %d/%d of the members; it must be from 1/2 to 1/1", t.Num, t.Den)
	case t.Threshold(founders) < 1:
		return fmt.Errorf("no founders")
	case t.Final < t.Depth:
		return fmt.Errorf("final after %d confirmations, acting after %d", t.Final, t.Depth)
	// So at most one transition is not final, and going back means going back by one.
	case t.MinEpoch < t.Final:
		return fmt.Errorf("a next transition after %d blocks, before the last is final after %d", t.MinEpoch, t.Final)
	case t.Refresh < t.MinEpoch || t.Refresh >= t.Delay:
		return fmt.Errorf("refresh at age %d; it must be at least %d, and below the delay %d, when all may exit", t.Refresh, t.MinEpoch, t.Delay)
	case t.Window == 0 || t.Round == 0 || t.Keygen == 0 || t.Bump == 0 || t.Silent == 0 || t.Joins == 0 || t.Departs == 0:
		return fmt.Errorf("window, round, keygen, bump, silent, joins and departs must not be 0")
	case t.PotTarget < 0 || t.PotTarget > bitcoin.MaxMoney:
		return fmt.Errorf("a pot of %v", t.PotTarget)
	}
	return t.Terms.Check()
}

func (t *Terms) encode(b *cryptobyte.Builder) {
	b.AddUint8(t.Num)
	b.AddUint8(t.Den)
	for _, v := range t.heights() {
		b.AddUint16(*v)
	}
	b.AddUint8(t.Joins)
	b.AddUint8(t.Departs)
	for _, v := range t.amounts() {
		b.AddUint64(uint64(*v))
	}
	b.AddUint64(uint64(t.MaxFeeRate))
	b.AddBytes(t.Recovery[:])
}

func (t *Terms) decode(s *cryptobyte.String) bool {
	ok := s.ReadUint8(&t.Num) && s.ReadUint8(&t.Den)
	for _, v := range t.heights() {
		ok = ok && s.ReadUint16(v)
	}
	ok = ok && s.ReadUint8(&t.Joins) && s.ReadUint8(&t.Departs)
	for _, v := range t.amounts() {
		var u uint64
		ok = ok && s.ReadUint64(&u)
		*v = bitcoin.Sat(u) // check refuses what became negative
	}
	var rate uint64
	ok = ok && s.ReadUint64(&rate) && s.CopyBytes(t.Recovery[:])
	t.MaxFeeRate = bitcoin.SatPerKWU(rate)
	return ok
}

// heights are all fields of two bytes, in the order of the encoding.
func (t *Terms) heights() []*uint16 {
	out := []*uint16{&t.Delay, &t.DepositDelay, &t.Depth, &t.Final, &t.MinEpoch, &t.Refresh,
		&t.Window, &t.Round, &t.Keygen, &t.Bump, &t.Silent}
	for i := range t.Penalties {
		out = append(out, &t.Penalties[i])
	}
	return out
}

func (t *Terms) amounts() []*bitcoin.Sat {
	return []*bitcoin.Sat{&t.MinBond, &t.EntryFee, &t.PotTarget}
}

// termsFile is the text form.
type termsFile struct {
	Num          uint8    `toml:"threshold_num"`
	Den          uint8    `toml:"threshold_den"`
	Delay        uint16   `toml:"delay_blocks"`
	DepositDelay uint16   `toml:"deposit_delay_blocks"`
	Depth        uint16   `toml:"acting_confirmations"`
	Final        uint16   `toml:"final_confirmations"`
	MinEpoch     uint16   `toml:"min_epoch_blocks"`
	Refresh      uint16   `toml:"refresh_blocks"`
	Window       uint16   `toml:"vote_blocks"`
	Round        uint16   `toml:"round_blocks"`
	Keygen       uint16   `toml:"keygen_blocks"`
	Bump         uint16   `toml:"fee_bump_blocks"`
	Silent       uint16   `toml:"silent_blocks"`
	Joins        uint8    `toml:"max_joins"`
	Departs      uint8    `toml:"max_departures"`
	Bond         int64    `toml:"min_bond_sat"`
	EntryFee     int64    `toml:"entry_fee_sat"`
	PotTarget    int64    `toml:"pot_target_sat"`
	MaxFeeRate   uint64   `toml:"max_fee_rate_sat_per_kwu"`
	Penalties    []uint16 `toml:"penalties_basis_points"` // silence, fault, equivocation
	Recovery     string   `toml:"recovery_key,omitempty"`
}

func (t *Terms) file() *termsFile {
	f := &termsFile{t.Num, t.Den, t.Delay, t.DepositDelay, t.Depth, t.Final, t.MinEpoch, t.Refresh, t.Window, t.Round,
		t.Keygen, t.Bump, t.Silent, t.Joins, t.Departs, int64(t.MinBond), int64(t.EntryFee), int64(t.PotTarget),
		uint64(t.MaxFeeRate), t.Penalties[:], ""}
	if t.Recovery != [32]byte{} {
		f.Recovery = hex.EncodeToString(t.Recovery[:])
	}
	return f
}

func (f *termsFile) terms() (*Terms, error) {
	t := &Terms{
		Terms: epoch.Terms{Delay: f.Delay, DepositDelay: f.DepositDelay, Depth: f.Depth, MinBond: bitcoin.Sat(f.Bond),
			EntryFee: bitcoin.Sat(f.EntryFee), MaxFeeRate: bitcoin.SatPerKWU(f.MaxFeeRate)},
		Num: f.Num, Den: f.Den, Final: f.Final, MinEpoch: f.MinEpoch, Refresh: f.Refresh, Window: f.Window, Round: f.Round,
		Keygen: f.Keygen, Bump: f.Bump, Silent: f.Silent, Joins: f.Joins, Departs: f.Departs, PotTarget: bitcoin.Sat(f.PotTarget),
	}
	if len(f.Penalties) != len(t.Penalties) {
		return nil, fmt.Errorf("%w: %d penalties; give one each for silence, fault and equivocation", ErrCharter, len(f.Penalties))
	}
	copy(t.Penalties[:], f.Penalties)
	if f.Recovery != "" {
		key, err := hex.DecodeString(f.Recovery)
		if err != nil || len(key) != len(t.Recovery) {
			return nil, fmt.Errorf("%w: recovery_key must have 64 hex digits", ErrCharter)
		}
		t.Recovery = [32]byte(key)
	}
	return t, nil
}
