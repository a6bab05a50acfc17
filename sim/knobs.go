package sim

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
)

// Knobs is everything that is drawn from a seed before a world begins. A failing
// seed prints them: a number alone explains nothing. Times are virtual
// milliseconds, rates are probabilities.
type Knobs struct {
	N, T int

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
	Pool      int     // nonce pairs per coordinator
	Silence   int64   // until key generation votes against a silent member

	// Disks. At most f members, the faulty ones included, have one that forgets.
	Forget   int     // this many honest members
	Unsynced float64 // per crash of theirs: the last batches are lost
	Restored float64 // per crash of theirs: the image is an older one

	// Chain.
	BlockTime     int64
	NodeLag       int64  // until a member's node knows a new tip
	Reorgs        int    // of 1 to 6 blocks
	DeepReorgs    int    // of 7 to 12
	DoubleSpends  int    // payments to the federation taken back in a reorg
	Confirmations uint32 // that policy asks of coins

	// Workload.
	Keys, Lists, Fundings int
	Contend               bool // operators do not wait for each other
	Tamper                bool // somebody proposes transactions that do not fit their list

	// Adversaries are the kinds of the faulty members, joined by "+". The list
	// adversary.go has them.
	Adversaries string
	Early       bool // they are there before the keys
	Conspire    bool // they share victims and halves
	Adaptive    bool // whom they corrupt is chosen by what happens: see world.tempt

	FaultTime int64 // length of the fault period
	CalmTime  int64 // after it, within which everything must be done
}

// faulty counts the members that the adversary has, or will have.
func (k Knobs) faulty() int { return len(k.kinds()) }

// kinds are those of the faulty members.
func (k Knobs) kinds() []string {
	if k.Adversaries == "" {
		return nil
	}
	return strings.Split(k.Adversaries, "+")
}

func draw(seed uint64) Knobs {
	r := rand.New(rand.NewPCG(seed, 0x6b6e6f6273))
	between := func(low, high int64) int64 { return low + r.Int64N(high-low+1) }
	// chance is 0 in half of the worlds, so that faults are also seen alone.
	chance := func(most float64) float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return r.Float64() * most
	}
	rare := func(of, most int) int {
		if r.IntN(of) != 0 {
			return 0
		}
		return 1 + r.IntN(most)
	}
	k := Knobs{
		N:       []int{4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 6, 7, 7, 1, 2, 3}[r.IntN(16)],
		Latency: []int64{1, 20, 100, 400}[r.IntN(4)], Jitter: between(0, 200), Detect: between(10, 5000),
		Loss: chance(0.2), Dup: chance(0.2), Swap: chance(0.3), Late: r.IntN(2) == 0, Cuts: r.IntN(6),
		CrashRate: chance(0.06), Crashes: r.IntN(16), Downtime: between(10, 40_000),
		Batch: []int64{0, 0, 5, 50}[r.IntN(4)], JobTime: []int64{0, 10, 500, 5000}[r.IntN(4)],
		Pool: []int{2, 3, 4, 5, 6, 8, 8}[r.IntN(7)], Silence: []int64{20_000, 60_000, 60_000, 120_000}[r.IntN(4)],
		BlockTime: between(4_000, 20_000), NodeLag: between(10, 6_000), Reorgs: r.IntN(5), DeepReorgs: rare(12, 1),
		DoubleSpends: rare(4, 2), Confirmations: uint32(between(1, 3)),
		Keys: 1, Lists: 1 + r.IntN(3), Fundings: 2 + r.IntN(4), Contend: r.IntN(3) == 0, Tamper: r.IntN(3) == 0,
		FaultTime: between(60_000, 180_000), CalmTime: 900_000,
	}
	if r.IntN(48) == 0 {
		k.N = 10
	}
	if r.IntN(24) == 0 {
		k.Pool = 64
	}
	if r.IntN(8) == 0 {
		k.Keys = 2
	}
	f := (k.N - 1) / 3
	if f > 0 && r.IntN(3) != 0 {
		count := 1 + r.IntN(f)
		var kinds []string
		for range count {
			kinds = append(kinds, adversaries[r.IntN(len(adversaries))])
		}
		k.Adversaries = strings.Join(kinds, "+")
		k.Early, k.Conspire, k.Adaptive = r.IntN(3) == 0, r.IntN(2) == 0, r.IntN(4) == 0
	}
	if spare := f - k.faulty(); spare > 0 && r.IntN(2) == 0 {
		k.Forget = 1 + r.IntN(spare)
		k.Unsynced, k.Restored = chance(1), chance(1)
	}
	// More than half must sign: two smaller quorums could pay one list twice, of
	// which no honest member would know. A member whose disk forgets may be in
	// both. And those that answer and remember must be enough.
	low, high := (k.N+k.Forget)/2+1, k.N-k.faulty()-k.Forget
	k.T = min(2*k.N/3+1, high)
	if r.IntN(4) == 0 {
		k.T = low + r.IntN(high-low+1)
	}
	return k
}

// String lists the knobs as set reads them.
func (k Knobs) String() string { return k.from(Knobs{}) }

// from lists the knobs that differ from others, as set reads them.
func (k Knobs) from(base Knobs) string {
	v, b := reflect.ValueOf(k), reflect.ValueOf(base)
	var out []string
	for i := range v.NumField() {
		if !v.Field(i).Equal(b.Field(i)) {
			out = append(out, fmt.Sprintf("%s=%v", v.Type().Field(i).Name, v.Field(i)))
		}
	}
	return strings.Join(out, ",")
}

// set changes the knobs named in a list "Loss=0,N=4".
func (k *Knobs) set(list string) error {
	for _, item := range strings.Split(list, ",") {
		if item == "" {
			continue
		}
		name, text, _ := strings.Cut(item, "=")
		f := reflect.ValueOf(k).Elem().FieldByName(name)
		if !f.IsValid() {
			return fmt.Errorf("there is no knob %q", name)
		}
		var err error
		switch f.Kind() {
		case reflect.Int, reflect.Int64:
			var n int64
			n, err = strconv.ParseInt(text, 10, 64)
			f.SetInt(n)
		case reflect.Uint32:
			var n uint64
			n, err = strconv.ParseUint(text, 10, 32)
			f.SetUint(n)
		case reflect.Float64:
			var x float64
			x, err = strconv.ParseFloat(text, 64)
			f.SetFloat(x)
		case reflect.Bool:
			var b bool
			b, err = strconv.ParseBool(text)
			f.SetBool(b)
		case reflect.String:
			f.SetString(text)
		}
		if err != nil {
			return fmt.Errorf("knob %s: %w", name, err)
		}
	}
	return nil
}
