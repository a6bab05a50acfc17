package policy

import (
	"bytes"
	"errors"
	"testing"

	"frostfed/bitcoin"

	"pgregory.net/rapid"
)

// spendOf is a payout of that much (fee included) to one payee.
func spendOf(t testing.TB, n int, leaving bitcoin.Sat) *bitcoin.Spend {
	t.Helper()
	w := newWorld(t)
	op := w.addCoin(t, 1000+n, bitcoin.Path{Branch: bitcoin.Receive}, 10_000_000)
	w.proposal.Coins = w.proposal.Coins[:0]
	w.proposal.Coins = append(w.proposal.Coins, op)
	const size = 142 // 10.5 + 57.5 + 31 + 43, rounded up
	w.proposal.List = w.addList(t, []bitcoin.Payee{{Script: payeeScript(n), Amount: leaving - 5*size}})
	s := w.build(t)
	if s.Leaving() != leaving {
		t.Fatalf("%v leaves, want %v", s.Leaving(), leaving)
	}
	return s
}

func TestWindow(t *testing.T) {
	cfg := Config{DailyLimit: 100_000}
	first, second := spendOf(t, 1, 60_000), spendOf(t, 2, 40_001)
	w := Window{}.Add(1000, first)
	rows := []struct {
		name string
		tip  bitcoin.Height
		s    *bitcoin.Spend
		cfg  Config
		want Rule
	}{
		{"together one satoshi too much", 1000, second, cfg, DailyLimit},
		{"still in the window", 1000 + DayBlocks - 1, second, cfg, DailyLimit},
		{"window has passed", 1000 + DayBlocks, second, cfg, Allowed},
		{"after a reorganisation to a shorter chain", 990, second, cfg, DailyLimit},
		{"just fits", 1000, second, Config{DailyLimit: 100_001}, Allowed},
		{"retry counts once", 1001, first, Config{DailyLimit: 60_000}, Allowed},
		{"one alone is too much", 5000, first, Config{DailyLimit: 59_999}, DailyLimit},
		{"no limit", 1000, second, Config{}, Allowed},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if v := w.Check(r.cfg, r.tip, r.s); v.Rule != r.want || v.Allow != (r.want == Allowed) {
				t.Errorf("got %v, want %s", v, r.want)
			}
		})
	}
	if got := w.Add(1001, first).Spent(1001); got != 60_000 {
		t.Errorf("added twice: %v", got)
	}
	if got := w.Add(1000+DayBlocks, second); len(got.spendings) != 1 {
		t.Errorf("%d spendings kept", len(got.spendings))
	}
	if w.Spent(1000) != 60_000 {
		t.Error("Add changed its receiver")
	}
}

func TestWindowIsBounded(t *testing.T) {
	var w Window
	for i := range maxSpendings {
		w.spendings = append(w.spendings, spending{height: 1000, amount: 1, txid: blockHash(bitcoin.Height(i))})
	}
	if v := w.Check(Config{DailyLimit: bitcoin.MaxMoney}, 1000, spendOf(t, 1, 60_000)); v.Rule != DailyLimit {
		t.Errorf("got %v", v)
	}
}

// Whatever was checked before it was added, no window of DayBlocks exceeds the limit.
func TestWindowHoldsTheLimit(t *testing.T) {
	var spends []*bitcoin.Spend
	for i := range 8 {
		spends = append(spends, spendOf(t, i, bitcoin.Sat(10_000+7_000*i)))
	}
	rapid.Check(t, func(r *rapid.T) {
		cfg := Config{DailyLimit: bitcoin.Sat(rapid.IntRange(20_000, 150_000).Draw(r, "limit"))}
		var w Window
		agreed := map[int]bitcoin.Height{}
		tip := bitcoin.Height(100)
		for range 20 {
			tip += bitcoin.Height(rapid.IntRange(0, 60).Draw(r, "blocks"))
			i := rapid.IntRange(0, len(spends)-1).Draw(r, "spend")
			if !w.Check(cfg, tip, spends[i]).Allow {
				continue
			}
			w = w.Add(tip, spends[i])
			agreed[i] = tip
			var total bitcoin.Sat
			for j, h := range agreed {
				if h+DayBlocks > tip {
					total += spends[j].Leaving()
				}
			}
			if total > cfg.DailyLimit || w.Spent(tip) != total {
				r.Fatalf("%v in a day, counted %v, limit %v", total, w.Spent(tip), cfg.DailyLimit)
			}
			back, err := DecodeWindow(w.Encode())
			if err != nil || !bytes.Equal(back.Encode(), w.Encode()) || back.Spent(tip) != total {
				r.Fatalf("round trip: %v", err)
			}
		}
	})
}

func TestDecodeWindowRefuses(t *testing.T) {
	two := Window{}.Add(10, spendOf(t, 1, 60_000)).Add(11, spendOf(t, 2, 60_000)).Encode()
	swapped := append(append([]byte{1}, two[45:]...), two[1:45]...)
	twice := append(bytes.Clone(two[:45]), two[1:45]...)
	huge := bytes.Clone(two)
	huge[5] = 0xff
	for name, data := range map[string][]byte{
		"empty": nil, "version": append([]byte{2}, two[1:]...), "cut short": two[:len(two)-1],
		"unsorted": swapped, "twice": twice, "more than all bitcoin": huge,
	} {
		if _, err := DecodeWindow(data); !errors.Is(err, ErrWindow) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
