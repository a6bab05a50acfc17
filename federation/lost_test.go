package federation

import "testing"

// A member that has nothing left but its seed and the charter gets its keys back
// from the others, and signs.
func TestLostDatabase(t *testing.T) {
	w := newWorld(t, 5, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	w.kill(2)
	clear(w.disks[2])
	w.configs[2].ScanFrom = 1
	w.start(2)
	w.run()
	for _, i := range []int{0, 2} {
		if k := w.cores[i].Keys(); len(k) != 1 || k[0].Phase != "complete" || k[0].Xpub != w.cores[1].Keys()[0].Xpub {
			t.Fatalf("member %d: %+v", i, k)
		}
	}
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, all...)
	w.kill(4) // so that it is needed
	w.wantState(w.pay(0, list), StateSigned)
}

// After a reorg that is deeper than its memory a member reads the chain again.
func TestForgetChain(t *testing.T) {
	w := newWorld(t, 4, nil)
	w.newKey("main")
	w.fund("main", 1_000_000)
	list := payouts(t, "week 1", 3, 10_000)
	w.addList(list, 0, 1, 2, 3)
	id := w.pay(0, list)
	v, _ := w.cores[0].Request(id.String())
	w.mine(nil, 0, v.Tx)
	before := w.cores[1].Coins()
	e := w.cores[1].ForgetChain(w.now)
	if w.state(1, id) != StateSigned || len(w.cores[1].Coins()) != 0 || len(w.cores[1].Blocks()) != 0 {
		t.Fatal("the chain is not forgotten")
	}
	w.settle(1, e)
	w.run()
	w.wantState(id, StateConfirmed)
	if after := w.cores[1].Coins(); len(after) != len(before) || after[0] != before[0] {
		t.Fatalf("coins %v, before %v", after, before)
	}
}
