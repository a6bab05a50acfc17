package bitcoin

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// Network is a Bitcoin network. The zero value is none of them. The numbers are
// part of canonical encodings and never change.
type Network uint8

// The networks. Testnet is testnet4.
const (
	Mainnet Network = iota + 1
	Testnet
	Signet
	Regtest
	Simnet
)

var networks = [...]struct {
	name   string
	params *chaincfg.Params
}{
	Mainnet: {"mainnet", &chaincfg.MainNetParams},
	Testnet: {"testnet4", &chaincfg.TestNet4Params},
	Signet:  {"signet", &chaincfg.SigNetParams},
	Regtest: {"regtest", &chaincfg.RegressionNetParams},
	Simnet:  {"simnet", &chaincfg.SimNetParams},
}

// ParseNetwork returns the network of that name.
func ParseNetwork(name string) (Network, error) {
	var known []string
	for n := Mainnet; n.Valid(); n++ {
		if name == networks[n].name {
			return n, nil
		}
		known = append(known, networks[n].name)
	}
	return 0, fmt.Errorf("unknown network %q: use one of %s", name, strings.Join(known, ", "))
}

// Valid reports whether n is one of the networks.
func (n Network) Valid() bool { return n >= Mainnet && int(n) < len(networks) }

func (n Network) String() string {
	if !n.Valid() {
		return fmt.Sprintf("network(%d)", uint8(n))
	}
	return networks[n].name
}

// Params returns btcd's parameters of n, shared and not to be modified. It panics
// if n is not Valid: a Network is checked where it enters the program.
func (n Network) Params() *chaincfg.Params { return networks[n].params }
