package bench

import (
	"regexp"
	"testing"
)

var everything = regexp.MustCompile(`.*`)

func Benchmark(b *testing.B) {
	for _, c := range Cases(everything, Sizes) {
		b.Run(c.Name(), func(b *testing.B) {
			round, err := c.Setup()
			if err != nil {
				b.Fatal(err)
			}
			do, err := round(b.N)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCases runs every case a few times: an operation that fails or consumes its
// inputs would measure nothing.
func TestCases(t *testing.T) {
	for _, c := range Cases(everything, []Size{{3, 5}}) {
		t.Run(c.Name(), func(t *testing.T) {
			round, err := c.Setup()
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 2; n++ {
				do, err := round(n)
				if err != nil {
					t.Fatal(err)
				}
				for range n {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestCasesSelects(t *testing.T) {
	cases := Cases(regexp.MustCompile("sign"), []Size{{3, 5}, {7, 10}})
	if len(cases) != 4 {
		t.Errorf("%d cases, want ours and a peer's in two sizes", len(cases))
	}
	for _, c := range cases {
		if c.Op != OpSign {
			t.Errorf("%s matches only in part", c.Op)
		}
	}
}

func TestFloor(t *testing.T) {
	size := Size{67, 100}
	for op, want := range map[string]Counts{
		OpNonce: {BaseMul: 2, Encode: 1, HashBlock: 5},
		// 2u square roots, 2u+1 additions, one multiplication, one verification.
		OpCoordinator: {Decode: 134, Add: 135, MulPublic: 1, DoubleMul: 1, Encode: 4, ScalarMul: 3, HashBlock: 7 + 2 + 2},
		// A first message of 5508 bytes is 87 blocks.
		OpOpen: {Decode: 6800, DoubleMul: 200, Encode: 200, HashBlock: 100 * (2 + 3 + 87)},
	} {
		if got, ok := Floor(op, size); !ok || got != want {
			t.Errorf("%s: got %v, want %v", op, got, want)
		}
	}
	// t commitments, the nonce, the tweak, the check of the share, and two for each of
	// three signatures: public key and R.
	member, _ := Floor(OpMember, size)
	if got := member[BaseMul]; got != 67+3+2*3 {
		t.Errorf("%d base multiplications", got)
	}
	if got := member[Mul]; got != 2*99 {
		t.Errorf("%d key agreements", got)
	}
	if _, ok := Floor(OpMachine, size); ok {
		t.Error("a floor for the machine")
	}
}

func TestCost(t *testing.T) {
	var each Costs
	each[BaseMul], each[Encode], each[HashBlock] = 10, 2, 0.5
	counts, _ := Floor(OpNonce, Size{3, 5})
	if got := counts.Cost(each); got != 24.5 {
		t.Errorf("cost %v, want 2·10 + 2 + 5·0.5", got)
	}
}
