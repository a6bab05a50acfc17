package bitcoin

import "testing"

func BenchmarkDerive(b *testing.B) {
	key := testKey(b)
	for i := 0; b.Loop(); i++ {
		if _, err := key.Derive(Path{Receive, uint32(i)}); err != nil {
			b.Fatal(err)
		}
	}
}

// A payout to 1,000 payees from 100 coins.
func BenchmarkBuildPayout(b *testing.B) {
	p := testPayout(b)
	p.List = testList(b, 1000, 10_000)
	p.Coins = nil
	for i := range 100 {
		p.Coins = append(p.Coins, testCoin(i, 200_000))
	}
	for b.Loop() {
		if _, err := BuildPayout(p); err != nil {
			b.Fatal(err)
		}
	}
}
