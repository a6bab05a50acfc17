package sim

import (
	"strings"
	"testing"
	"time"
)

// As many liars as there may be, of many kinds, from before the first key on: the
// honest members make the key and pay, and nobody honest is blamed.
func TestMostLiars(t *testing.T) {
	kinds := []string{"badshare", "badpsig", "mute", "coordinator", "lastmover", "equivocator", "complainer", "voter",
		"withholder", "badm1", "unsolicited", "replayer", "drainer", "liar", "slow", "crash"}
	for _, test := range []struct {
		name, size string
		liars      int
		long       bool
	}{
		{"5 of 16", "N=16,T=11", 5, false},
		{"16 of 50", "N=50,T=34", 16, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.long && !*full {
				t.Skip("takes minutes; -full runs it")
			}
			begin := time.Now()
			r := Run(1, Options{Knobs: small + ",Fundings=4,Lists=3,Early=true," + test.size + ",Adversaries=" + strings.Join(kinds[:test.liars], "+")})
			if r.Err != nil {
				t.Fatalf("%v\nknobs %v", r.Err, r.Knobs)
			}
			if r.Stats.Keys == 0 || r.Stats.Paid != 3 {
				t.Fatalf("%+v", r.Stats)
			}
			t.Logf("%v: %d events, %d frames, %+v", time.Since(begin).Round(time.Millisecond), r.Events, r.Stats.Frames, r.Stats)
		})
	}
}
