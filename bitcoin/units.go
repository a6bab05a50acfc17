package bitcoin

import (
	"fmt"
	"strconv"
)

// Sat is an amount in satoshi.
type Sat int64

// MaxMoney is the largest amount that consensus allows in an output or a sum.
const MaxMoney Sat = 21_000_000 * 100_000_000

// Valid reports whether 0 < s <= MaxMoney.
func (s Sat) Valid() bool { return s > 0 && s <= MaxMoney }

func (s Sat) String() string { return strconv.FormatInt(int64(s), 10) + " sat" }

// Height is a block height; the genesis block has 0.
type Height uint32

// MaxLockHeight is the largest nLockTime that means a height and not a time.
const MaxLockHeight Height = 499_999_999

// Weight is BIP 141 weight: four units per base byte, one per witness byte.
type Weight int64

// MaxStandardWeight is the heaviest transaction that nodes relay.
const MaxStandardWeight Weight = 400_000

// VBytes rounds up to virtual bytes, as nodes do when they compute a fee rate.
func (w Weight) VBytes() int64 { return (int64(w) + 3) / 4 }

// SatPerKWU is a fee rate in satoshi per 1,000 weight units; 250 is 1 sat/vB.
type SatPerKWU int64

// Fee rates outside these bounds are a mistake whatever the policy says:
// below 1 sat/vB nothing relays everywhere, and above 10,000 sat/vB no block
// has ever asked.
const (
	MinFeeRate SatPerKWU = 250
	MaxFeeRate SatPerKWU = 10_000 * 250
)

// PerVByte converts satoshi per virtual byte.
func PerVByte(sat int64) SatPerKWU { return SatPerKWU(sat * 250) }

// Fee is what w costs at rate r, rounded up. It charges whole virtual bytes, so
// that the rate a node computes is never below r.
func (r SatPerKWU) Fee(w Weight) Sat {
	return Sat((int64(r)*4*w.VBytes() + 999) / 1000)
}

// String prints in the unit people use, e.g. "2.5 sat/vB".
func (r SatPerKWU) String() string {
	return strconv.FormatFloat(float64(r)/250, 'f', -1, 64) + " sat/vB"
}

// sum adds amounts, refusing what consensus would.
func sum(amounts ...Sat) (Sat, error) {
	var total Sat
	for _, a := range amounts {
		if a < 0 || a > MaxMoney || total+a > MaxMoney {
			return 0, fmt.Errorf("%w: the sum exceeds 21 million BTC", ErrAmount)
		}
		total += a
	}
	return total, nil
}
