package policy

import (
	"fmt"

	"frostfed/bitcoin"
)

// Config is what the operator wants. The keys are those of the configuration file.
type Config struct {
	FeeMin           int64       `toml:"fee_min"`           // sat/vB, at least 1
	FeeMax           int64       `toml:"fee_max"`           // sat/vB, at least fee_min
	MinConfirmations uint32      `toml:"min_confirmations"` // of every coin spent; 1 is the block that holds it
	MaxWeight        int64       `toml:"max_weight"`        // weight units of a signed transaction, at most 400,000
	DailyLimit       bitcoin.Sat `toml:"daily_limit"`       // satoshi leaving within 144 blocks, fees included; 0 is no limit
	AllowList        []string    `toml:"allow_list"`        // addresses that Transaction may pay
	External         []string    `toml:"external"`          // command and arguments asked last; empty is none
	ExternalTimeout  int64       `toml:"external_timeout"`  // seconds until silence counts as refusal
}

// Limits of Config.
const (
	maxAllowList       = 1000 // compared one by one, each time a transaction is checked
	maxExternalTimeout = 600  // s; a signing request does not live longer
)

// DefaultConfig is cautious on every network: six confirmations, and a fee ceiling
// that a busy day does not reach.
func DefaultConfig() Config {
	return Config{
		FeeMin:           1,
		FeeMax:           500,
		MinConfirmations: 6,
		MaxWeight:        int64(bitcoin.MaxStandardWeight),
		ExternalTimeout:  10,
	}
}

// ConfigError names the key whose value is not usable.
type ConfigError struct {
	Key    string
	Reason string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("policy.%s: %s", e.Key, e.Reason) }

// Validate returns a *ConfigError for the first unusable value.
func (c Config) Validate(network bitcoin.Network) error {
	highest := int64(bitcoin.MaxFeeRate / bitcoin.PerVByte(1))
	switch {
	case c.FeeMin < 1 || c.FeeMin > highest:
		return &ConfigError{"fee_min", fmt.Sprintf("%d sat/vB is not within 1 and %d", c.FeeMin, highest)}
	case c.FeeMax < c.FeeMin || c.FeeMax > highest:
		return &ConfigError{"fee_max", fmt.Sprintf("%d sat/vB is not within fee_min (%d) and %d", c.FeeMax, c.FeeMin, highest)}
	case c.MinConfirmations < 1:
		return &ConfigError{"min_confirmations", "must be at least 1: an unconfirmed coin may never exist"}
	case c.MaxWeight < 1 || c.MaxWeight > int64(bitcoin.MaxStandardWeight):
		return &ConfigError{"max_weight", fmt.Sprintf("%d is not within 1 and %d", c.MaxWeight, bitcoin.MaxStandardWeight)}
	case c.DailyLimit < 0 || c.DailyLimit > bitcoin.MaxMoney:
		return &ConfigError{"daily_limit", fmt.Sprintf("%d is not a number of satoshi (0 is no limit)", int64(c.DailyLimit))}
	case c.ExternalTimeout < 1 || c.ExternalTimeout > maxExternalTimeout:
		return &ConfigError{"external_timeout", fmt.Sprintf("%d is not within 1 and %d seconds", c.ExternalTimeout, maxExternalTimeout)}
	case len(c.External) > 0 && c.External[0] == "":
		return &ConfigError{"external", "the command is empty"}
	case len(c.AllowList) > maxAllowList:
		return &ConfigError{"allow_list", fmt.Sprintf("%d addresses, at most %d", len(c.AllowList), maxAllowList)}
	}
	for _, a := range c.AllowList {
		if _, err := bitcoin.ParseAddress(network, a); err != nil {
			return &ConfigError{"allow_list", fmt.Sprintf("%q: %v", a, err)}
		}
	}
	return nil
}
