package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// small is a world without faults: one key, two payments, one payout.
const small = "N=4,T=3,Latency=20,Jitter=5,Detect=50,Loss=0,Dup=0,Swap=0,Late=false,Cuts=0,CrashRate=0,Crashes=0,Downtime=1000," +
	"Batch=5,JobTime=10,Pool=3,Silence=60000,Forget=0,Unsynced=0,Restored=0,BlockTime=8000,NodeLag=50,Reorgs=0,DeepReorgs=0," +
	"DoubleSpends=0,Confirmations=1,Keys=1,Lists=1,Fundings=2,Contend=false,Tamper=false,Adversaries=,Early=false,Conspire=false," +
	"Adaptive=false,FaultTime=20000,CalmTime=900000"

// each runs a world for every step-th number below count, all with -full.
func each(t *testing.T, count, sample int, run func(i int) Report) {
	t.Helper()
	step := max(1, count/sample)
	if *full {
		step = 1
	}
	worlds := 0
	for i := 0; i < count; i += step {
		if r := run(i); r.Err != nil {
			t.Fatalf("point %d of %d: %v", i, count, r.Err)
		}
		worlds++
	}
	t.Logf("%d worlds, points of %d", worlds, count)
}

// M4: a member dies at every boundary between two effects, from its first start to
// the end: before and after each commit, between any two sends.
func TestM4CrashEverywhere(t *testing.T) {
	for member := range 2 {
		t.Run(fmt.Sprint(member), func(t *testing.T) {
			t.Parallel()
			whole := Run(1, Options{Knobs: small})
			if whole.Err != nil {
				t.Fatal(whole.Err)
			}
			each(t, whole.Boundaries[member], 60, func(i int) Report {
				return Run(1, Options{Knobs: small, Crash: &Crash{Member: member, Boundary: i, Image: -1}})
			})
		})
	}
}

// M5: the same, and the folder comes back as it was at some earlier time: at every
// boundary a drawn image, and for every image a drawn boundary.
func TestM5RestoreEverything(t *testing.T) {
	whole := Run(1, Options{Knobs: small})
	if whole.Err != nil {
		t.Fatal(whole.Err)
	}
	const member = 1
	boundaries, batches := whole.Boundaries[member], whole.Batches[member]
	t.Run("boundaries", func(t *testing.T) {
		t.Parallel()
		each(t, boundaries, 60, func(i int) Report {
			image := rand.New(rand.NewPCG(uint64(i), 5)).IntN(1 + i*batches/boundaries)
			return Run(1, Options{Knobs: small, Crash: &Crash{Member: member, Boundary: i, Image: image}})
		})
	})
	t.Run("images", func(t *testing.T) {
		t.Parallel()
		each(t, batches, 60, func(i int) Report {
			least := i * boundaries / batches
			at := least + rand.New(rand.NewPCG(uint64(i), 6)).IntN(boundaries-least)
			return Run(1, Options{Knobs: small, Crash: &Crash{Member: member, Boundary: at, Image: i}})
		})
	})
}

// M6: two processes of one member at once, from one folder, in worlds of all kinds.
// Nothing unsafe follows, and when one of them ends the other goes on.
func TestM6Clone(t *testing.T) {
	worlds := 30
	if *full {
		worlds = 1000
	}
	r := rand.New(rand.NewPCG(6, 6))
	for seed := uint64(1); seed <= uint64(worlds); seed++ {
		begin := 5_000 + r.Int64N(50_000)
		o := Options{Knobs: "N=4,T=3,Forget=0,Unsynced=0,Restored=0,Adversaries=,DoubleSpends=0,Keys=1", Clone: &Clone{Member: 1 + r.IntN(3), Begin: begin, End: begin + 1_000 + r.Int64N(40_000)}}
		if report := Run(seed, o); report.Err != nil {
			t.Errorf("seed %d, %+v: %v", seed, *o.Clone, report.Err)
		}
	}
}
