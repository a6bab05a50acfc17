package bitcoin

import (
	"bytes"
	"errors"
	"math/rand"
	"sort"
	"testing"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/btcutil/v2/txsort"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"
)

// naiveBuild is an independent builder: another derivation, another sort, sizes
// by serializing a transaction with dummy signatures, no shared arithmetic.
func naiveBuild(t *rapid.T, p Payout) *wire.MsgTx {
	ext, err := hdkeychain.NewKeyFromString(p.Key.Xpub())
	if err != nil {
		t.Fatal(err)
	}
	branch, _ := ext.Derive(1)
	leaf, _ := branch.Derive(p.Change)
	pub, _ := leaf.ECPubKey()
	change, _ := txscript.PayToTaprootScript(txscript.ComputeTaprootKeyNoScript(pub))

	build := func(changeAmount int64) *wire.MsgTx {
		tx := wire.NewMsgTx(2)
		tx.LockTime = uint32(p.LockTime)
		for _, c := range p.Coins {
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.OutPoint, Sequence: 0xfffffffd, Witness: wire.TxWitness{make([]byte, 64)}})
		}
		for _, payee := range p.List.Payees {
			tx.AddTxOut(&wire.TxOut{Value: int64(payee.Amount), PkScript: payee.Script})
		}
		if changeAmount > 0 {
			tx.AddTxOut(&wire.TxOut{Value: changeAmount, PkScript: change})
		}
		return tx
	}
	sat := func(tx *wire.MsgTx) int64 { // vbytes times sat/kWU times 4/1000, rounded up
		weight := tx.SerializeSizeStripped()*3 + tx.SerializeSize()
		vb := weight / 4
		if weight%4 != 0 {
			vb++
		}
		milli := int64(vb) * int64(p.FeeRate) * 4
		fee := milli / 1000
		if milli%1000 != 0 {
			fee++
		}
		return fee
	}
	rest := int64(0)
	for _, c := range p.Coins {
		rest += int64(c.Amount)
	}
	for _, payee := range p.List.Payees {
		rest -= int64(payee.Amount)
	}
	if rest < sat(build(0)) {
		return nil
	}
	tx := build(0)
	if c := rest - sat(build(1)); c >= 330 {
		tx = build(c)
	}
	for _, in := range tx.TxIn {
		in.Witness = nil
	}
	txsort.InPlaceSort(tx)
	return tx
}

func drawPayout(t *rapid.T, tb testing.TB) Payout {
	payees := rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(245, 260)).Draw(t, "payees")
	coins := rapid.IntRange(1, 6).Draw(t, "coins")
	p := Payout{
		Key:      testKey(tb),
		List:     testList(tb, payees, Sat(rapid.IntRange(546, 2000).Draw(t, "amount"))),
		FeeRate:  SatPerKWU(rapid.IntRange(250, 5000).Draw(t, "rate")),
		Change:   rapid.Uint32Range(0, 100).Draw(t, "change"),
		LockTime: Height(rapid.Uint32Range(0, uint32(MaxLockHeight)).Draw(t, "lock")),
	}
	need := int64(p.List.Total()) + int64(p.FeeRate.Fee(txWeight(coins, payees, Weight(payees)*172)))
	for i := range coins { // around the edge where change begins
		p.Coins = append(p.Coins, testCoin(i+1, max(1, Sat(need/int64(coins)+int64(rapid.IntRange(-300, 800).Draw(t, "slack"))))))
	}
	return p
}

func TestBuildPayoutAgreesWithNaiveBuilder(t *testing.T) {
	built, refused := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		p := drawPayout(r, t)
		want := naiveBuild(r, p)
		got, err := BuildPayout(p)
		if want == nil {
			refused++
			var short *InsufficientError
			if !errors.As(err, &short) || short.Have >= short.Need {
				r.Fatalf("want insufficient funds, got %v", err)
			}
			return
		}
		built++
		if err != nil {
			r.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), encodeTx(want)) {
			r.Fatalf("built\n%x, want\n%x", got.Bytes(), encodeTx(want))
		}
		if !txsort.IsSorted(got.Tx) {
			r.Fatal("not in BIP 69 order")
		}
	})
	// In a short run one kind may be missing by chance.
	if built+refused >= 100 && (built == 0 || refused == 0) {
		t.Errorf("built %d, refused %d: both must occur", built, refused)
	}
}

// Sizes are promised to be exact: the signed transaction has the weight and pays
// the fee rate asked for, and the script engine accepts it.
func TestSignedTransaction(t *testing.T) {
	rows := []struct {
		name         string
		coins, payee int
		amount       Sat
		change       bool
	}{
		{"one to one", 1, 1, 30_000, true},
		{"no change", 1, 1, 49_000, false},
		{"many types", 3, 7, 10_000, true},
		{"255 vB", 3, 0, 0, false},
		{"counts of three bytes", 1, 260, 10_000, true},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			p := testPayout(t)
			p.Coins = nil
			for i := range r.coins {
				p.Coins = append(p.Coins, testCoin(i, Sat(50_000+r.payee*10_500)))
			}
			if r.payee == 0 { // the example of three inputs and one P2TR payee with change
				p.List, _ = NewPayoutList(Regtest, "", []Payee{{Script: testScript(4), Amount: 20_000}})
			} else if r.payee == 1 {
				p.List, _ = NewPayoutList(Regtest, "", []Payee{{Script: testScript(4), Amount: r.amount + Sat(10_500)}})
			} else {
				p.List = testList(t, r.payee, r.amount)
			}
			s := mustBuild(t, p)
			if r.name == "no change" != (len(s.Tx.TxOut) == len(p.List.Payees)) {
				t.Errorf("%d outputs for %d payees", len(s.Tx.TxOut), len(p.List.Payees))
			}
			tx, err := s.Finish(signAll(t, s))
			if err != nil {
				t.Fatal(err)
			}
			weight := Weight(3*tx.SerializeSizeStripped() + tx.SerializeSize())
			if weight != s.Weight() {
				t.Errorf("weight %d, computed %d", weight, s.Weight())
			}
			if tx.TxHash() != s.TxID() {
				t.Error("signing changed the txid")
			}
			low := p.FeeRate.Fee(weight)
			if s.Fee() < low || s.Fee() > low+330+p.FeeRate.Fee(outputWeight(testScript(4))) {
				t.Errorf("fee %v, %v asked for", s.Fee(), low)
			}
			if got, want := s.Leaving(), p.List.Total()+s.Fee(); got != want {
				t.Errorf("%v leaves, want %v", got, want)
			}
		})
	}
}

// The size formula of the package comment.
func TestTaprootSizes(t *testing.T) {
	for inputs := 1; inputs < 20; inputs++ {
		for outputs := 1; outputs < 20; outputs++ {
			want := Weight(42 + 230*inputs + 172*outputs) // 4 * (10.5 + 57.5 in + 43 out)
			if got := txWeight(inputs, outputs, Weight(outputs)*outputWeight(testScript(4))); got != want {
				t.Fatalf("%d in, %d out: %d, want %d", inputs, outputs, got, want)
			}
		}
	}
}

func TestBuildPayoutGolden(t *testing.T) {
	if got := mustBuild(t, testPayout(t)).TxID().String(); got != goldenTx {
		t.Errorf("txid %s, want %s", got, goldenTx)
	}
}

// Members hold coins and rows in any order and build the same transaction.
func TestBuildPayoutIgnoresOrder(t *testing.T) {
	p := testPayout(t)
	want := mustBuild(t, p).TxID()
	r := rand.New(rand.NewSource(1))
	for range 50 {
		r.Shuffle(len(p.Coins), func(i, j int) { p.Coins[i], p.Coins[j] = p.Coins[j], p.Coins[i] })
		payees := append([]Payee(nil), p.List.Payees...)
		r.Shuffle(len(payees), func(i, j int) { payees[i], payees[j] = payees[j], payees[i] })
		var err error
		if p.List, err = NewPayoutList(Regtest, "", payees); err != nil {
			t.Fatal(err)
		}
		if got := mustBuild(t, p).TxID(); got != want {
			t.Fatalf("txid %v, want %v", got, want)
		}
	}
}

func TestBuildPayoutRefuses(t *testing.T) {
	change, _ := testKey(t).Derive(Path{Change, 4})
	rows := []struct {
		name string
		edit func(*Payout)
		want error
	}{
		{"rate too low", func(p *Payout) { p.FeeRate = MinFeeRate - 1 }, ErrFeeRate},
		{"rate negative", func(p *Payout) { p.FeeRate = -1 }, ErrFeeRate},
		{"rate too high", func(p *Payout) { p.FeeRate = MaxFeeRate + 1 }, ErrFeeRate},
		{"lock time is a time", func(p *Payout) { p.LockTime = MaxLockHeight + 1 }, ErrLockTime},
		{"no coins", func(p *Payout) { p.Coins = nil }, ErrNoCoins},
		{"coin twice", func(p *Payout) { p.Coins = append(p.Coins, p.Coins[0]) }, ErrDuplicateCoin},
		{"coin of nothing", func(p *Payout) { p.Coins[0].Amount = 0 }, ErrAmount},
		{"coins beyond 21 million", func(p *Payout) { p.Coins[0].Amount, p.Coins[1].Amount = MaxMoney, MaxMoney }, ErrAmount},
		{"coin on no path", func(p *Payout) { p.Coins[0].Path.Branch = branches }, ErrPath},
		{"hardened change", func(p *Payout) { p.Change = hardened }, ErrPath},
		{"other network", func(p *Payout) { p.List.Network = Signet }, ErrNetwork},
		{"dust", func(p *Payout) { p.List.Payees[0].Amount = 1 }, ErrDust},
		{"no payees", func(p *Payout) { p.List.Payees = nil }, ErrNoPayees},
		{"payee is change", func(p *Payout) {
			p.List, _ = NewPayoutList(Regtest, "", []Payee{{Script: change.Script, Amount: 1000}})
		}, ErrPaysItself},
		{"too many coins", func(p *Payout) {
			for i := range 1800 {
				p.Coins = append(p.Coins, testCoin(i+10, 1000))
			}
		}, ErrTooHeavy},
		{"too heavy", func(p *Payout) {
			p.List = testList(t, 2900, 1000)
			p.Coins[0].Amount = 1e9
		}, ErrTooHeavy},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			p := testPayout(t)
			r.edit(&p)
			if _, err := BuildPayout(p); !errors.Is(err, r.want) {
				t.Errorf("got %v, want %v", err, r.want)
			}
		})
	}
}

func TestInsufficientFundsSaysHowMuch(t *testing.T) {
	p := testPayout(t)
	p.Coins = p.Coins[:1]
	_, err := BuildPayout(p)
	var short *InsufficientError
	if !errors.As(err, &short) {
		t.Fatal(err)
	}
	p.Coins[0].Amount = short.Need
	if _, err := BuildPayout(p); err != nil {
		t.Errorf("with exactly what was needed: %v", err)
	}
	p.Coins[0].Amount--
	if _, err := BuildPayout(p); !errors.As(err, &short) {
		t.Errorf("with one less: %v", err)
	}
}

func TestSelectCoins(t *testing.T) {
	var coins []Coin
	for i, a := range []Sat{5_000, 90_000, 20_000, 90_000, 300, 60_000} {
		coins = append(coins, testCoin(i, a))
	}
	rows := []struct {
		name   string
		amount Sat
		want   []int // indices into coins, nil: insufficient
	}{
		{"one is enough, the older of equals", 80_000, []int{1}},
		{"two", 150_000, []int{1, 3}},
		{"three", 200_000, []int{1, 3, 5}},
		{"nearly all", 258_000, []int{1, 3, 5, 2}},
		{"too much", 266_000, nil},
	}
	r := rand.New(rand.NewSource(2))
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			list, _ := NewPayoutList(Regtest, "", []Payee{{Script: testScript(4), Amount: row.amount}})
			for range 20 {
				shuffled := append([]Coin(nil), coins...)
				r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				got, err := SelectCoins(shuffled, list, PerVByte(5))
				var short *InsufficientError
				if row.want == nil {
					if !errors.As(err, &short) || short.Have >= short.Need {
						t.Fatalf("got %v, %v", got, err)
					}
					continue
				}
				if err != nil || len(got) != len(row.want) {
					t.Fatalf("got %v, %v", got, err)
				}
				for i, w := range row.want {
					if got[i] != coins[w] {
						t.Fatalf("coin %d is %v, want %v", i, got[i], coins[w])
					}
				}
			}
		})
	}
	if _, err := SelectCoins(coins, testList(t, 1, 1000), 0); !errors.Is(err, ErrFeeRate) {
		t.Errorf("rate 0: %v", err)
	}
	var short *InsufficientError
	if _, err := SelectCoins(nil, testList(t, 1, 1000), PerVByte(5)); !errors.As(err, &short) || short.Have != 0 || short.Need <= 1000 {
		t.Errorf("no coins: %v", err)
	}
	if _, err := SelectCoins(append(coins, coins[0]), testList(t, 1, 1000), PerVByte(1)); !errors.Is(err, ErrDuplicateCoin) {
		t.Errorf("coin twice: %v", err)
	}
}

// Whatever SelectCoins picks, BuildPayout can build, and no smaller prefix will do.
func TestSelectCoinsSuffices(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := drawPayout(r, t)
		got, err := SelectCoins(p.Coins, p.List, p.FeeRate)
		if err != nil {
			return
		}
		p.Coins = got
		if _, err := BuildPayout(p); err != nil {
			r.Fatal(err)
		}
		if !sort.SliceIsSorted(got, func(i, j int) bool { return got[i].Amount > got[j].Amount }) {
			r.Fatal("not the largest first")
		}
		if p.Coins = got[:len(got)-1]; len(p.Coins) > 0 {
			var short *InsufficientError
			if _, err := BuildPayout(p); !errors.As(err, &short) {
				r.Fatalf("one coin fewer would do: %v", err)
			}
		}
	})
}

// Change of exactly the dust limit is kept, one satoshi less goes to the fee.
func TestChangeAtTheDustLimit(t *testing.T) {
	p := testPayout(t)
	p.List, _ = NewPayoutList(Regtest, "", []Payee{{Script: testScript(4), Amount: 20_000}})
	fee := p.FeeRate.Fee(txWeight(1, 2, 2*outputWeight(testScript(4))))
	for _, r := range []struct {
		rest    Sat
		outputs int
		fee     Sat
	}{{330, 2, fee}, {329, 1, fee + 329}} {
		p.Coins = []Coin{testCoin(1, 20_000+fee+r.rest)}
		s := mustBuild(t, p)
		if len(s.Tx.TxOut) != r.outputs || s.Fee() != r.fee {
			t.Errorf("rest %v: %d outputs, fee %v, want %d and %v", r.rest, len(s.Tx.TxOut), s.Fee(), r.outputs, r.fee)
		}
	}
}
