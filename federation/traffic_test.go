package federation

import (
	"fmt"
	"testing"

	"frostfed/protocols"
)

// traffic counts what the members send, acknowledgements included.
type traffic struct {
	frames, bytes [4]float64 // by place in channels
}

var channels = [...]protocols.Protocol{protocols.Echo, protocols.DKG, protocols.Sign, protocols.Federation}

func (tr *traffic) add(env protocols.Envelope) {
	for i, p := range channels {
		if p == env.Protocol {
			tr.frames[i]++
			tr.bytes[i] += float64(len(env.Body))
		}
	}
}

// report reports the mean of one member.
func (tr *traffic) report(b *testing.B, what string, n int) {
	frames, bytes := 0.0, 0.0
	for i, p := range channels {
		frames += tr.frames[i]
		bytes += tr.bytes[i]
		if tr.frames[i] > 0 {
			b.Logf("n=%d %s: %s: %.0f frames, %.1f kB of each member", n, what, p, tr.frames[i]/float64(n), tr.bytes[i]/float64(n)/1000)
		}
	}
	b.ReportMetric(frames/float64(n), what+"-frames/member")
	b.ReportMetric(bytes/float64(n)/1000, what+"-kB/member")
}

// BenchmarkTraffic counts messages and bytes of a key generation, until addresses
// are given out, and of a payout of one coin, from proposal to signature. Time is
// that of all members on one thread.
//
//	go test ./federation -run '^$' -bench Traffic -benchtime 1x -v
func BenchmarkTraffic(b *testing.B) {
	for _, n := range []int{5, 10, 50, 100} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				w := newWorld(b, n, func(_ int, cfg *Config) { cfg.Pool = 4 })
				list := payouts(b, "week 1", 20, 100_000)
				for i := range n {
					w.do(i, func(core *Core) (Effects, error) { return core.AddPayoutList(w.now, list), nil })
				}
				var keygen, payout traffic
				b.StartTimer()
				w.sent = keygen.add
				w.newKey("main")
				b.StopTimer()
				w.sent = nil
				w.fund("main", 100_000_000)
				w.sent = payout.add
				w.wantState(w.pay(0, list), StateSigned)
				keygen.report(b, "keygen", n)
				payout.report(b, "payout", n)
			}
		})
	}
}
