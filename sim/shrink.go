package sim

import (
	"errors"
	"fmt"
	"strings"
)

// maxShrink bounds the worlds that shrink tries, all of them small ones at the end.
const maxShrink = 200

// shrink looks for a smaller world that breaks the same invariant: it turns off
// one fault after another and makes the rest smaller, as long as that helps. It
// returns the knobs that differ from those of the seed.
func shrink(seed uint64, list string, failure error) (smallest string, tried int) {
	var want *Violation
	if !errors.As(failure, &want) {
		return list, 0
	}
	drawn := draw(seed)
	best := drawn
	if best.set(list) != nil {
		return list, 0
	}
	for progress := true; progress && tried < maxShrink; {
		progress = false
		for _, change := range smaller(best) {
			next := best
			if err := next.set(change); err != nil {
				panic(err) // the changes are spelled right
			}
			if next == best || next.T > next.N-next.faulty() {
				continue
			}
			tried++
			var got *Violation
			if errors.As(Run(seed, Options{Knobs: next.from(drawn)}).Err, &got) && got.Invariant == want.Invariant {
				best, progress = next, true
			}
		}
	}
	return best.from(drawn), tried
}

// smaller lists changes that make a world simpler, the greatest first.
func smaller(k Knobs) (changes []string) {
	change := func(format string, args ...any) { changes = append(changes, fmt.Sprintf(format, args...)) }
	if kinds := k.kinds(); len(kinds) > 0 {
		change("Adversaries=,Early=false,Conspire=false,Adaptive=false")
		for i := range kinds {
			change("Adversaries=%s", strings.Join(append(append([]string{}, kinds[:i]...), kinds[i+1:]...), "+"))
		}
	}
	for _, n := range []int{1, 4, 7} {
		if n < k.N {
			change("N=%d,T=%d", n, min(2*n/3+1, n-k.faulty()))
		}
	}
	for _, off := range []string{
		"CrashRate=0,Crashes=0", "Cuts=0", "Loss=0", "Dup=0", "Swap=0", "Late=false", "Forget=0,Unsynced=0,Restored=0",
		"Reorgs=0", "DeepReorgs=0", "DoubleSpends=0", "Tamper=false", "Contend=false", "Keys=1", "Lists=1", "Fundings=2",
		"Jitter=0", "Latency=1", "Detect=10", "Batch=0", "JobTime=0", "NodeLag=10", "Confirmations=1", "Conspire=false", "Adaptive=false",
		"Early=false", "Downtime=10", "BlockTime=10000", "Silence=60000",
	} {
		change("%s", off)
	}
	if k.FaultTime > 15_000 {
		change("FaultTime=%d", k.FaultTime/2)
	}
	if k.Crashes > 1 {
		change("Crashes=%d", k.Crashes/2)
	}
	if k.Cuts > 1 {
		change("Cuts=1")
	}
	if k.Reorgs > 1 {
		change("Reorgs=1")
	}
	return changes
}
