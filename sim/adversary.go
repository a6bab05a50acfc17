package sim

import (
	"slices"

	"frostfed/protocols"
)

// adversary makes a member faulty. The member runs the same core as the others,
// so it can also be asked to act honestly towards some of them; what leaves it
// passes through here.
type adversary interface {
	// outgoing returns what the network gets in place of a frame of the member.
	outgoing(w *world, from int, env protocols.Envelope) []parcel
}

// parcel is an envelope that leaves after a delay in ms.
type parcel struct {
	env   protocols.Envelope
	delay int64
}

// adversaries are the names that a seed draws from.
var adversaries = []string{"crash", "mute", "slow", "liar"}

func newAdversary(name string) adversary {
	switch name {
	case "crash":
		return nil // the world stops it for good; there is nothing to change in frames
	case "mute":
		return mute{}
	case "slow":
		return slow{}
	case "liar":
		return &liar{}
	}
	panic("sim: unknown adversary " + name)
}

// mute hears everything and says nothing.
type mute struct{}

func (mute) outgoing(*world, int, protocols.Envelope) []parcel { return nil }

// slow answers after seconds.
type slow struct{}

func (slow) outgoing(w *world, _ int, env protocols.Envelope) []parcel {
	return []parcel{{env, 1_000 + w.rng.Int64N(8_000)}}
}

// liar sends garbage beside and in place of what it should: random bytes, its own
// frames with bits flipped or cut short, and old frames again, to anybody.
type liar struct{ past []protocols.Envelope }

const liarMemory = 64

func (l *liar) outgoing(w *world, from int, env protocols.Envelope) []parcel {
	out := []parcel{{env, 0}}
	if len(l.past) < liarMemory {
		l.past = append(l.past, env)
	} else {
		l.past[w.rng.IntN(liarMemory)] = env
	}
	if w.rng.IntN(4) != 0 {
		return out
	}
	bad := env
	bad.Body = slices.Clone(env.Body)
	switch w.rng.IntN(5) {
	case 0:
		bad.Body = make([]byte, 1+w.rng.IntN(200))
		for i := range bad.Body {
			bad.Body[i] = byte(w.rng.Uint32())
		}
	case 1, 2:
		bit := w.rng.IntN(8 * len(bad.Body))
		bad.Body[bit/8] ^= 1 << (bit % 8)
	case 3:
		bad.Body = bad.Body[:1+w.rng.IntN(len(bad.Body)-1)]
	case 4:
		bad = l.past[w.rng.IntN(len(l.past))]
		if to := w.rng.IntN(w.knobs.N); to != from {
			bad.To = w.charter.Members()[to]
		}
	}
	if w.rng.IntN(2) == 0 {
		return []parcel{{bad, 0}} // in place of the truth, which comes again when it is missed
	}
	return append(out, parcel{bad, w.rng.Int64N(5_000)})
}
