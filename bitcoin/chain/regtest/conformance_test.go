package regtest_test

import (
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin/chain/chaintest"
	"frostfed/bitcoin/chain/regtest"
)

func TestConformance(t *testing.T) {
	for name, dir := range map[string]string{"temporary": "", "kept": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			chaintest.Run(t, func(t *testing.T) *chaintest.Node {
				c, err := regtest.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() }) // closed by the suite if all went well
				return &chaintest.Node{
					Backend:    c,
					Generate:   func(n int) ([]chainhash.Hash, error) { return c.Mine(n, chaintest.Script()) },
					Invalidate: c.Invalidate,
					Stop:       c.Close,
				}
			})
		})
	}
}
