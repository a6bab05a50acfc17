package sim

import (
	"fmt"
	"math/rand/v2"
)

// Knobs is everything that is drawn from a seed before a world begins. A failing
// seed prints them: a number alone explains nothing. Times are virtual
// milliseconds, rates are probabilities.
type Knobs struct {
	N, T, Faulty int

	// Network.
	Latency, Jitter int64   // of one frame; each link has its own latency up to this
	Detect          int64   // until a process notices that a connection came or went
	Loss, Dup, Swap float64 // per frame; Swap lets it overtake others of its stream
	Late            bool    // frames of a dead connection may still arrive
	Cuts            int     // partitions during the fault period

	// Processes.
	CrashRate float64 // per commit, at a random effect boundary
	Crashes   int     // at most, over all members
	Downtime  int64   // until a crashed member starts again
	Batch     int64   // how long inputs wait to share a commit
	JobTime   int64   // of a slow computation

	Pool int // nonce pairs per coordinator

	// Chain.
	BlockTime     int64
	NodeLag       int64 // until a member's node knows a new tip
	Reorgs        int
	Confirmations uint32 // that policy asks of coins

	// Workload.
	Keys, Lists, Fundings int
	Contend               bool // operators do not wait for each other
	Tamper                bool // somebody proposes transactions that do not fit their list

	Adversary string // of each faulty member
	FaultTime int64  // length of the fault period
	CalmTime  int64  // after it, within which everything must be done
}

// String lists the knobs in one line.
func (k Knobs) String() string { return fmt.Sprintf("%+v", struct{ Knobs }{k}.Knobs.plain()) }

// plain has no String method, so that printing it does not recurse.
func (k Knobs) plain() any {
	type knobs Knobs
	return knobs(k)
}

func draw(r *rand.Rand) Knobs {
	between := func(low, high int64) int64 { return low + r.Int64N(high-low+1) }
	// chance is 0 in half of the worlds, so that faults are also seen alone.
	chance := func(most float64) float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return r.Float64() * most
	}
	k := Knobs{
		N:       []int{4, 4, 4, 5, 5, 5, 7, 7, 1, 2, 3, 6}[r.IntN(12)],
		Latency: []int64{1, 20, 100, 400}[r.IntN(4)], Jitter: between(0, 200), Detect: between(10, 5000),
		Loss: chance(0.2), Dup: chance(0.2), Swap: chance(0.3), Late: r.IntN(2) == 0, Cuts: r.IntN(6),
		CrashRate: chance(0.06), Crashes: r.IntN(16), Downtime: between(10, 40_000),
		Batch: []int64{0, 0, 5, 50}[r.IntN(4)], JobTime: []int64{0, 10, 500, 5000}[r.IntN(4)], Pool: []int{2, 3, 4, 5, 6, 8, 8, 64}[r.IntN(8)],
		BlockTime: between(4_000, 20_000), NodeLag: between(10, 6_000), Reorgs: r.IntN(5), Confirmations: uint32(between(1, 3)),
		Keys: 1, Lists: 1 + r.IntN(3), Fundings: 2 + r.IntN(4), Contend: r.IntN(3) == 0, Tamper: r.IntN(3) == 0,
		FaultTime: between(60_000, 180_000), CalmTime: 600_000,
	}
	if r.IntN(8) == 0 {
		k.Keys = 2
	}
	if f := (k.N - 1) / 3; f > 0 && r.IntN(2) == 0 {
		k.Faulty = 1 + r.IntN(f)
		k.Adversary = adversaries[r.IntN(len(adversaries))]
	}
	// More than half must sign: two smaller quorums could pay one list twice, of
	// which no honest member would know. And those that answer must be enough.
	low, high := k.N/2+1, k.N-k.Faulty
	k.T = min(2*k.N/3+1, high)
	if r.IntN(4) == 0 {
		k.T = low + r.IntN(high-low+1)
	}
	return k
}
