//go:build !toygroup

package secp

import (
	"flag"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

var timing = flag.Int("timing", 0, "measurements of each multiplication in TestTiming, at least 1000; 100000 on an idle machine mean something")

// leak is the t beyond which Reparaz, Balasch and Verbauwhede ("Dude, is my code
// constant time?", DATE 2017) call code variable time.
const leak = 10

// TestTiming times multiplications with one extreme secret and with random ones,
// in random order, and compares the two means by Welch's t-test, on all
// measurements and on the fastest ones, where noise is smaller. Multiplications
// by secrets must show no difference; one by public data must, or the
// measurement could not see anything.
func TestTiming(t *testing.T) {
	if *timing < 1000 {
		t.Skip("measures time: go test ./crypto/internal/secp -run TestTiming -timing=100000 -v")
	}
	p := SecretBaseMul(benchScalar)
	one, sparse := ScalarFromUint(1), ReduceScalar([32]byte{16: 1})
	for _, c := range []struct {
		name     string
		mul      func(Scalar) Point
		fixed    Scalar
		variable bool
	}{
		{"SecretBaseMul, 1", SecretBaseMul, one, false},
		{"SecretBaseMul, -1", SecretBaseMul, one.Neg(), false},
		{"SecretBaseMul, one bit", SecretBaseMul, sparse, false},
		{"SecretBaseMul, 0", SecretBaseMul, Scalar{}, false},
		{"SecretMul, 1", func(k Scalar) Point { return SecretMul(k, p) }, one, false},
		{"SecretMul, -1", func(k Scalar) Point { return SecretMul(k, p) }, one.Neg(), false},
		{"SecretMul, one bit", func(k Scalar) Point { return SecretMul(k, p) }, sparse, false},
		{"SecretMul, 0", func(k Scalar) Point { return SecretMul(k, p) }, Scalar{}, false},
		{"MulVartime, 1", func(k Scalar) Point { return MulVartime(k, p) }, one, true},
		{"MultiMulVartime, one bit", func(k Scalar) Point { return MultiMulVartime([]Scalar{k, one}, []Point{p, p}) }, sparse, true},
	} {
		got := timeDifference(c.mul, c.fixed, *timing)
		t.Logf("%-26s |t| = %.1f", c.name, got)
		if (got > leak) != c.variable {
			t.Errorf("%s: |t| = %.1f, want it above %d: %v", c.name, got, leak, c.variable)
		}
	}
}

// timeDifference returns the largest |t| between the times of n multiplications,
// half of them by fixed and half by random scalars.
func timeDifference(mul func(Scalar) Point, fixed Scalar, n int) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	rng := rand.New(rand.NewPCG(1, 2))
	type measurement struct {
		d      time.Duration
		random bool
	}
	all := make([]measurement, n)
	secrets := make([]Scalar, 1000) // a copy for each: both classes are read alike
	var sink Point
	for i := range all {
		j := i % len(secrets)
		if j == 0 {
			for k := range secrets {
				secrets[k] = fixed
				if all[min(i+k, n-1)].random = rng.IntN(2) == 1; all[min(i+k, n-1)].random {
					var b [32]byte
					for x := range b {
						b[x] = byte(rng.Uint32())
					}
					secrets[k] = ReduceScalar(b)
				}
			}
			debug.FreeOSMemory() // collects the garbage of the last thousand
		}
		begin := time.Now()
		sink = mul(secrets[j])
		all[i].d = time.Since(begin)
	}
	_ = sink
	slices.SortFunc(all, func(a, b measurement) int { return int(a.d - b.d) })
	worst := 0.0
	for _, percent := range []int{25, 50, 75, 90, 99, 100} {
		var fixedTimes, randomTimes []float64
		for _, m := range all[:n*percent/100] {
			if m.random {
				randomTimes = append(randomTimes, float64(m.d))
			} else {
				fixedTimes = append(fixedTimes, float64(m.d))
			}
		}
		worst = max(worst, math.Abs(welch(fixedTimes, randomTimes)))
	}
	return worst
}

// welch is the t statistic of two samples of unequal variance. A class that is
// missing among the fastest has nothing to be compared with: infinitely far.
func welch(a, b []float64) float64 {
	if len(a) < 2 || len(b) < 2 {
		return math.Inf(1)
	}
	moments := func(v []float64) (mean, variance float64) {
		for _, x := range v {
			mean += x / float64(len(v))
		}
		for _, x := range v {
			variance += (x - mean) * (x - mean) / float64(len(v)-1)
		}
		return mean, variance
	}
	ma, va := moments(a)
	mb, vb := moments(b)
	if va+vb == 0 {
		return 0
	}
	return (ma - mb) / math.Sqrt(va/float64(len(a))+vb/float64(len(b)))
}
