package epoch

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
)

var keyA, keyB, keyC = newSecret("K", 0), newSecret("K", 1), newSecret("K", 2)

// foundedState is epoch 0 of n members, begun by a transaction that is not on any
// chain.
func foundedState(t testing.TB, n int) *State {
	t.Helper()
	e := mustNew(t, founding(keyA, n))
	return mustBuild(t, nil, Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.MinFeeRate}).State()
}

func TestSizesAreExact(t *testing.T) {
	for _, n := range []int{1, 3, 5, 15, 50, 100, MaxMembers} {
		e := mustNew(t, founding(keyA, n))
		genesis := mustBuild(t, nil, Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.PerVByte(5)})
		state := genesis.State()
		// One leaves: a refund; one joins; two coins are swept.
		d := successor(state, keyB, []Member{person(1000, 1, MinBond)}, Change{Bond: state.Members[0].Bond, Kind: Left})
		next := mustNew(t, d)
		join := mustBuild(t, state, Proposal{Next: next, Deposits: depositsOf(next), FeeRate: bitcoin.PerVByte(2),
			Sweep: []bitcoin.Coin{{OutPoint: outPoint("coin", 1), Amount: 40_000}, {OutPoint: outPoint("coin", 2), Amount: 9000, Path: bitcoin.Path{Branch: bitcoin.Change, Index: 7}}}})
		for _, c := range []struct {
			name    string
			tr      *Transition
			in, out int
			rate    bitcoin.SatPerKWU
		}{
			{"founding", genesis, n, n + 1, bitcoin.PerVByte(5)},
			{"join", join, 1 + n + 1 + 2, 1 + n + 1 + 1, bitcoin.PerVByte(2)},
		} {
			var tx *wire.MsgTx
			if n <= 15 {
				tx = signAll(t, c.tr, keyA)
			} else { // a signature weighs the same whatever it is
				tx = c.tr.Spend.Tx.Copy()
				for _, in := range tx.TxIn {
					in.Witness = wire.TxWitness{make([]byte, 64)}
				}
			}
			got := blockchain.GetTransactionWeight(btcutil.NewTx(tx))
			// 10.5 + 57.5 per input + 43 per output, in weight units
			if want := int64(42 + 230*c.in + 172*c.out); got != want || int64(c.tr.Spend.Weight()) != want {
				t.Errorf("%s of %d: weight %d, computed %d, formula %d", c.name, n, got, c.tr.Spend.Weight(), want)
			}
			if fee, want := c.tr.Spend.Fee(), c.rate.Fee(c.tr.Spend.Weight()); fee != want {
				t.Errorf("%s of %d: fee %v, want %v", c.name, n, fee, want)
			}
		}
	}
	// The table of the design: vB of founding plus the thread input makes a refresh.
	for n, want := range map[int]int64{5: 513, 15: 1518, 50: 5036, 100: 10061} {
		e := mustNew(t, founding(keyA, n))
		w := mustBuild(t, nil, Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.MinFeeRate}).Spend.Weight()
		if got := (w - 172).VBytes(); got != want {
			t.Errorf("%d members without thread: %d vB, want %d", n, got, want)
		}
	}
}

func TestLayout(t *testing.T) {
	state := foundedState(t, 5)
	left, removed, exited, equivocated := state.Members[0], state.Members[1], state.Members[3], state.Members[4]
	newcomers := []Member{person(10, 1, 200_000), person(11, 1, 300_000)}
	d := successor(state, keyB, newcomers,
		Change{Bond: left.Bond, Kind: Left},
		Change{Bond: removed.Bond, Kind: Removed, Class: Fault},
		Change{Bond: exited.Bond, Kind: Exited},
		Change{Bond: equivocated.Bond, Kind: Removed, Class: Equivocation})
	next := mustNew(t, d)
	sweep := []bitcoin.Coin{
		{OutPoint: outPoint("x", 1), Amount: 70_000, Path: bitcoin.Path{Branch: bitcoin.Receive, Index: 3}},
		{OutPoint: outPoint("x", 2), Amount: 5_000, Path: bitcoin.Path{Branch: bitcoin.Change, Index: 0}},
	}
	p := Proposal{Next: next, Deposits: depositsOf(next), Sweep: sweep, TopUp: 10_000, FeeRate: bitcoin.PerVByte(3)}
	tr := mustBuild(t, state, p)
	tx := tr.Spend.Tx

	// thread, four bonds in order without the exited one, two deposits, two coins
	if len(tx.TxIn) != 1+4+2+2 {
		t.Fatalf("%d inputs", len(tx.TxIn))
	}
	if tx.TxIn[0].PreviousOutPoint != state.ThreadOutPoint() {
		t.Error("input 0 is not the thread")
	}
	for i, member := range []int{0, 1, 2, 4} {
		if tx.TxIn[1+i].PreviousOutPoint != state.BondOutPoint(member) {
			t.Errorf("input %d is not the bond of member %d", 1+i, member)
		}
	}
	for _, in := range tx.TxIn {
		if in.Sequence != bitcoin.Sequence {
			t.Errorf("sequence %x", in.Sequence)
		}
	}
	// thread, three bonds, two refunds (equivocation takes all), swept coins
	if len(tx.TxOut) != 1+3+2+1 {
		t.Fatalf("%d outputs", len(tx.TxOut))
	}
	for i, m := range next.Members {
		out, err := next.Bond(i)
		if err != nil {
			t.Fatal(err)
		}
		if got := tx.TxOut[1+i]; got.Value != int64(m.Value) || !bytes.Equal(got.PkScript, out.Script) {
			t.Errorf("output %d is not the bond of member %d", 1+i, i)
		}
	}
	penalty := removed.Value * 2_000 / 10_000
	for i, want := range []struct {
		amount bitcoin.Sat
		script []byte
	}{{left.Value, left.Refund}, {removed.Value - penalty, removed.Refund}} {
		if got := tx.TxOut[4+i]; got.Value != int64(want.amount) || !bytes.Equal(got.PkScript, want.script) {
			t.Errorf("refund %d: %d sat", i, got.Value)
		}
	}
	if got := tx.TxOut[6].Value; got != 65_000 {
		t.Errorf("swept %d sat", got)
	}
	wantPot := state.Pot + penalty + equivocated.Value + 2*next.Terms.EntryFee + 10_000 - bitcoin.PerVByte(3).Fee(tr.Spend.Weight())
	if tr.State().Pot != wantPot {
		t.Errorf("pot %v, want %v", tr.State().Pot, wantPot)
	}
	signAll(t, tr, keyA)

	decoded, err := DecodeProposal(p.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if again := mustBuild(t, state, *decoded); !bytes.Equal(again.Spend.Bytes(), tr.Spend.Bytes()) {
		t.Error("the decoded proposal is another")
	}
	// Every order of the same proposal makes the same bytes.
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		q := p
		q.Deposits, q.Sweep = slices.Clone(p.Deposits), slices.Clone(p.Sweep)
		rng.Shuffle(len(q.Deposits), func(i, j int) { q.Deposits[i], q.Deposits[j] = q.Deposits[j], q.Deposits[i] })
		rng.Shuffle(len(q.Sweep), func(i, j int) { q.Sweep[i], q.Sweep[j] = q.Sweep[j], q.Sweep[i] })
		if again := mustBuild(t, state, q); !bytes.Equal(again.Spend.Bytes(), tr.Spend.Bytes()) {
			t.Fatal("the order of a proposal shows in the transaction")
		}
		if !bytes.Equal(q.Bytes(), p.Bytes()) {
			t.Fatal("the order of a proposal shows in its bytes")
		}
	}
}

func TestReplacement(t *testing.T) {
	state := foundedState(t, 4)
	next := mustNew(t, successor(state, keyB, nil))
	at := func(rate int64) *Transition {
		return mustBuild(t, state, Proposal{Next: next, FeeRate: bitcoin.PerVByte(rate)})
	}
	if err := at(9).Replaces(at(3)); err != nil {
		t.Error(err)
	}
	low := at(3)
	if high, err := low.At(bitcoin.PerVByte(9)); err != nil || high.Spend.TxID() != at(9).Spend.TxID() || low.Spend.TxID() != at(3).Spend.TxID() {
		t.Errorf("a variant made from another one differs: %v", err)
	}
	if _, err := low.At(next.Terms.MaxFeeRate + 1); !errors.Is(err, bitcoin.ErrFeeRate) {
		t.Errorf("a rate beyond the terms: %v", err)
	}
	if err := at(4).Replaces(at(3)); err != nil {
		t.Errorf("1 sat/vB more: %v", err)
	}
	for _, rate := range []int64{2, 3} {
		if err := at(rate).Replaces(at(3)); !errors.Is(err, bitcoin.ErrFeeRate) {
			t.Errorf("%d after 3 sat/vB: %v", rate, err)
		}
	}
	other := mustBuild(t, state, Proposal{Next: mustNew(t, successor(state, keyC, nil)), FeeRate: bitcoin.PerVByte(9)})
	if err := other.Replaces(at(3)); !errors.Is(err, ErrSuccession) {
		t.Errorf("another descriptor: %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	state := foundedState(t, 4)
	joined := person(10, 1, 150_000)
	good := func() Proposal {
		next := mustNew(t, successor(state, keyB, []Member{joined}))
		return Proposal{Next: next, Deposits: depositsOf(next), FeeRate: bitcoin.PerVByte(2),
			Sweep: []bitcoin.Coin{{OutPoint: outPoint("c", 1), Amount: 10_000}}}
	}
	mustBuild(t, state, good())
	cases := map[string]struct {
		change func(*Proposal)
		want   error
	}{
		"fee rate below the minimum": {func(p *Proposal) { p.FeeRate = 249 }, bitcoin.ErrFeeRate},
		"fee rate above the terms":   {func(p *Proposal) { p.FeeRate = bitcoin.PerVByte(200) + 1 }, bitcoin.ErrFeeRate},
		"pot too small":              {func(p *Proposal) { p.FeeRate = bitcoin.PerVByte(200); p.Sweep = nil; state.Pot = 400 }, nil},
		"no deposit":                 {func(p *Proposal) { p.Deposits = nil }, ErrDeposit},
		"deposit of a stranger":      {func(p *Proposal) { p.Deposits[0].Bond = bondKey(99).xonly() }, ErrDeposit},
		"deposit too many":           {func(p *Proposal) { p.Deposits = append(p.Deposits, p.Deposits[0]) }, ErrDeposit},
		"deposit is a bond":          {func(p *Proposal) { p.Deposits[0].OutPoint = state.BondOutPoint(1) }, bitcoin.ErrDuplicateCoin},
		"coin swept twice":           {func(p *Proposal) { p.Sweep = append(p.Sweep, p.Sweep[0]) }, bitcoin.ErrDuplicateCoin},
		"coin is the thread":         {func(p *Proposal) { p.Sweep[0].OutPoint = state.ThreadOutPoint() }, bitcoin.ErrDuplicateCoin},
		"bond swept":                 {func(p *Proposal) { p.Sweep[0].Path = BondPath }, ErrSweep},
		"deposit swept":              {func(p *Proposal) { p.Sweep[0].Path = DepositPath }, ErrSweep},
		"hardened coin":              {func(p *Proposal) { p.Sweep[0].Path.Index = 1 << 31 }, ErrSweep},
		"coin of nothing":            {func(p *Proposal) { p.Sweep[0].Amount = 0 }, ErrSweep},
		"coin of all money twice":    {func(p *Proposal) { p.Sweep[0].Amount = bitcoin.MaxMoney + 1 }, ErrSweep},
		"dust swept":                 {func(p *Proposal) { p.Sweep[0].Amount = 329 }, ErrSweep},
		"negative top-up":            {func(p *Proposal) { p.TopUp = -1 }, ErrSweep},
		"top-up of more than swept":  {func(p *Proposal) { p.TopUp = 10_001 }, ErrSweep},
		"top-up leaves dust":         {func(p *Proposal) { p.TopUp = 9_900 }, ErrSweep},
		"too many coins": {func(p *Proposal) {
			for i := range 2500 {
				p.Sweep = append(p.Sweep, bitcoin.Coin{OutPoint: outPoint("many", uint64(i)), Amount: 1000})
			}
		}, bitcoin.ErrTooHeavy},
		"too heavy": {func(p *Proposal) {
			for i := range 1730 {
				p.Sweep = append(p.Sweep, bitcoin.Coin{OutPoint: outPoint("heavy", uint64(i)), Amount: 1000})
			}
		}, bitcoin.ErrTooHeavy},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.want == nil {
				c.want = ErrPot
				pot := state.Pot
				defer func() { state.Pot = pot }()
			}
			p := good()
			c.change(&p)
			if _, err := Build(state, p); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	if _, err := Build(nil, good()); !errors.Is(err, ErrSuccession) {
		t.Errorf("successor without a predecessor: %v", err)
	}
	e := mustNew(t, founding(keyB, 3))
	if _, err := Build(state, Proposal{Next: e, Deposits: depositsOf(e), FeeRate: bitcoin.MinFeeRate}); !errors.Is(err, ErrSuccession) {
		t.Errorf("founding with a predecessor: %v", err)
	}
}

// TestPotAboveDust: the pot may shrink to the dust limit and no further.
func TestPotAboveDust(t *testing.T) {
	state := foundedState(t, 2)
	next := mustNew(t, successor(state, keyB, nil))
	p := Proposal{Next: next, FeeRate: bitcoin.PerVByte(3)}
	fee := mustBuild(t, state, p).Spend.Fee()
	for _, rest := range []bitcoin.Sat{330, 329, 0, -1} {
		state.Pot = fee + rest
		if _, err := Build(state, p); (err == nil) != (rest >= 330) || err != nil && !errors.Is(err, ErrPot) {
			t.Errorf("%v left: %v", rest, err)
		}
	}
}

func TestPenalty(t *testing.T) {
	terms := testTerms()
	for _, c := range []struct {
		class      Class
		bond, want bitcoin.Sat
	}{
		{0, 1_000_000, 0}, {Silence, 1_000_000, 50_000}, {Fault, 100_001, 20_000}, {Silence, 100_039, 5_001},
		{Equivocation, 123_457, 123_457}, {Equivocation, bitcoin.MaxMoney, bitcoin.MaxMoney}, {classes, 1_000_000, 0},
	} {
		if got := terms.Penalty(c.class, c.bond); got != c.want {
			t.Errorf("class %d of %v: %v, want %v", c.class, c.bond, got, c.want)
		}
	}
}

func TestRipe(t *testing.T) {
	terms := testTerms() // depth 6, deposits return after 72
	for _, c := range []struct {
		confirmed, tip bitcoin.Height
		want           bool
	}{
		{100, 99, false}, {100, 100, false}, {100, 104, false}, {100, 105, true}, {100, 134, true}, {100, 135, false}, {100, 400, false},
	} {
		if got := terms.Ripe(c.confirmed, c.tip); got != c.want {
			t.Errorf("confirmed at %d, tip %d: %v", c.confirmed, c.tip, got)
		}
	}
}
