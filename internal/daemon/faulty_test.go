package daemon

import (
	"bytes"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/bitcoin/chain/chaintest"
	"frostfed/federation"
	"frostfed/protocols"
)

// TestFaultyChain: while the chain backend hangs or lies, the member is not ready,
// says why, and signs nothing; when it is well again, the member goes on from where
// it stood.
func TestFaultyChain(t *testing.T) {
	for _, fault := range chaintest.Faults {
		if fault == chaintest.StaleTip {
			continue // shows only by its age, which is the backend's to judge, or beside another
		}
		t.Run(string(fault), func(t *testing.T) {
			inBubble(t, 1, func(t *testing.T, r *rig) {
				if err := r.Stop(); err != nil {
					t.Fatal(err)
				}
				faulty := chaintest.NewFaulty(r.chain)
				r.cfg.Chain = faulty
				r.run()
				list := r.funded()
				set := func(fault chaintest.Fault) {
					t.Helper()
					if err := faulty.Set(t.Context(), fault); err != nil {
						t.Fatal(err)
					}
				}
				good := r.status().Tip

				set(fault)
				r.chain.mine()
				r.pass(2*time.Minute + readyPeriod) // more than a follower waits for an answer
				s := r.status()
				if s.ChainReady || r.ChainTrouble() == nil {
					t.Errorf("ready: %v, trouble: %v", s.ChainReady, r.ChainTrouble())
				}
				if s.Tip != good {
					t.Errorf("the core was told of block %v", s.Tip)
				}
				r.pay(list)
				r.pass(time.Minute)
				if n := r.chain.submissions(); n != 0 {
					t.Errorf("a payout was signed meanwhile")
				}

				set(chaintest.Healthy)
				r.pass(2*time.Minute + readyPeriod)
				if s := r.status(); !s.ChainReady || r.ChainTrouble() != nil || s.Tip.Height != good.Height+1 {
					t.Errorf("afterwards: ready %v, trouble %v, tip %v", s.ChainReady, r.ChainTrouble(), s.Tip)
				}
				r.pay(list)
				r.pass(time.Minute)
				if r.chain.submissions() == 0 {
					t.Error("nothing is paid afterwards")
				}
			})
		})
	}
}

// funded makes a key with a coin, and returns a list that it could pay.
func (r *rig) funded() bitcoin.PayoutList {
	r.t.Helper()
	if err := r.newKey("main"); err != nil {
		r.t.Fatal(err)
	}
	r.pass(time.Second)
	var address bitcoin.Derived
	if err := r.Do(r.t.Context(), func(now protocols.Time, core *federation.Core) (e federation.Effects, err error) {
		address, e, err = core.NewAddress(now, "main")
		return e, err
	}); err != nil {
		r.t.Fatal(err)
	}
	fund := wire.NewMsgTx(2)
	fund.AddTxIn(&wire.TxIn{})
	fund.AddTxOut(wire.NewTxOut(1_000_000, address.Script))
	r.chain.mine(fund)
	for range 5 {
		r.chain.mine()
	}
	r.pass(5 * time.Second)
	payee := bitcoin.Payee{Script: append([]byte{0, 20}, bytes.Repeat([]byte{7}, 20)...), Amount: 5000}
	list, err := bitcoin.NewPayoutList(bitcoin.Regtest, "week 1", []bitcoin.Payee{payee})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// pay requests a payout. Whether that is refused at once is the core's choice.
func (r *rig) pay(list bitcoin.PayoutList) {
	r.t.Helper()
	_ = r.Do(r.t.Context(), func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		e := core.AddPayoutList(now, list)
		_, more, err := core.Pay(now, federation.PayoutRequest{Key: "main", List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
		e.Append(more)
		return e, err
	})
}
