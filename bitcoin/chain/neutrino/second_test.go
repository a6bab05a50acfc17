package neutrino

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"frostfed/bitcoin/chain"
	"frostfed/bitcoin/chain/chaintest"
	"frostfed/bitcoin/chain/rpc"
)

// TestSecondOpinion: a light client beside a full node, first on the same chain,
// then on another.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	binary := chaintest.Btcd(t)
	one, two := startBtcd(t, binary), startBtcd(t, binary)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := rpc.New(rpc.Config{URL: "http://" + one.rpc, Params: regtest, User: user, PasswordFile: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = full.Close() }) // never fails
	same := open(t, Config{Params: regtest, Peers: []string{one.peer}})
	other := open(t, Config{Params: regtest, Peers: []string{two.peer}})
	first, second := one.mine(t, 12), two.mine(t, 10)
	if err := errors.Join(awaitTip(t, same, first[11]), awaitTip(t, other, second[9])); err != nil {
		t.Fatal(err)
	}
	if err := chain.CrossCheck(full, same).Ready(t.Context()); err != nil {
		t.Errorf("in agreement: %v", err)
	}
	var notReady *chain.NotReadyError
	if err := chain.CrossCheck(full, other).Ready(t.Context()); !errors.As(err, &notReady) || notReady.Kind != chain.Disputed {
		t.Errorf("on two chains: %v", err)
	}

	if err := two.stop(); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t.Context(), func() (bool, error) {
		err := chain.CrossCheck(full, other).Ready(t.Context())
		return errors.As(err, &notReady) && notReady.Kind == chain.Unreachable, nil
	}); err != nil {
		t.Errorf("the second opinion is gone: %v", notReady)
	}
}
