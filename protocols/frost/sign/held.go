package sign

import (
	"slices"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// held is the public side: the pairs a signer has handed to this member as
// coordinator. They are decoded on arrival, which is most of the coordinator's
// work per signature.
type held struct {
	epoch, previous epochID
	highest         uint64 // of the indices seen in epoch: an older one is a repeat
	pairs           []heldPair
	asked           bool // a NEED is on its way
}

// gauge watches the pool of one signer.
type gauge struct {
	filled bool           // it was above low water once
	since  protocols.Time // when it fell below; Never if it is above
	low    bool           // PoolLow said so
}

// lowWater is the pool of a signer below which a coordinator may soon have to wait:
// a quarter. Sessions go below it all the time and the answers fill it again, so it
// counts only after lowDelay.
func (m *Machine) lowWater() int { return (m.cfg.Pool + 3) / 4 }

const lowDelay = 5 * second

// measure notes which pools are below low water; Tick says so when it lasts.
func (m *Machine) measure(fx *effects) {
	for i, p := range m.peers {
		g, have := &p.gauge, len(m.held[i].pairs)
		switch {
		case have >= m.lowWater():
			if g.low {
				fx.Out = append(fx.Out, PoolLow{Member: m.cfg.Members[i], Available: have})
			}
			*g = gauge{filled: true, since: protocols.Never}
		case g.filled && g.since == protocols.Never:
			g.since = m.now
		}
	}
}

// reportLow says which pools stay below low water.
func (m *Machine) reportLow(fx *effects) {
	for i, p := range m.peers {
		if m.now >= p.gauge.reportAt() {
			p.gauge.low = true
			fx.Out = append(fx.Out, PoolLow{Member: m.cfg.Members[i], Available: len(m.held[i].pairs), Low: true})
		}
	}
}

func (g *gauge) reportAt() protocols.Time {
	if g.low || g.since == protocols.Never {
		return protocols.Never
	}
	return g.since + lowDelay
}

type heldPair struct {
	index    uint64
	pubnonce bip445.PubNonce
}

// absorb adds fresh pairs from a signer.
func (m *Machine) absorb(fx *effects, from int, n nonces) {
	if len(n.pairs) == 0 {
		return
	}
	h := m.held[from]
	if n.epoch != h.epoch {
		if n.epoch == h.previous && h.previous != (epochID{}) {
			m.fault(fx, from, FaultOldEpoch, "nonces of a replaced epoch", nil)
			return
		}
		*h = held{epoch: n.epoch, previous: h.epoch} // the old process is dead, and its nonces with it
	}
	h.asked = false
	h.pairs = slices.DeleteFunc(h.pairs, func(p heldPair) bool { return p.index <= n.gone })
	for i := range n.pairs {
		p := &n.pairs[i]
		if p.index <= h.highest {
			continue
		}
		h.highest = p.index
		if len(h.pairs) >= 2*max(m.cfg.Pool, maxLot) {
			continue // a signer cannot fill our memory with nonces (0.4 KiB each)
		}
		pub, err := bip445.ParsePubNonce(p.pubnonce[:])
		if err != nil {
			m.fault(fx, from, FaultBadNonce, "public nonce does not decode", nil)
			m.condemn(from)
			return
		}
		h.pairs = append(h.pairs, heldPair{p.index, pub})
	}
}

// draw removes k pairs for good.
func (h *held) draw(k int) []heldPair {
	out := slices.Clone(h.pairs[:k])
	h.pairs = slices.Delete(h.pairs, 0, k)
	return out
}
