package sign

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// A pool of nonces exists per signer and coordinator, so that no two
// coordinators can name the same pair. It lives in memory only and dies with the
// process: what was never written cannot be restored and used twice. There is no
// encoder for a secret nonce, here or below.

// issued is the secret side: the pairs this member has handed to one
// coordinator and that have not been named in a SIGN yet.
type issued struct {
	next    uint64 // index of the next pair; the first is 1
	secrets map[uint64]*bip445.SecNonce
	live    []uint64       // keys of secrets, ascending
	evicted uint64         // pairs up to here may have been dropped unused
	making  int            // pairs that a Job is computing
	force   protocols.Time // earliest time of the next eviction at the coordinator's wish

	budget  int            // pairs that may be made now without a signature for it, see grant
	granted protocols.Time // when budget last grew
	owed    bool           // less was granted than wanted
}

// has reports whether all named pairs are here. reused says that one of the
// others was taken before, or never issued: an honest coordinator names none such.
func (p *issued) has(slots []slot) (here, reused bool) {
	here = true
	for i := range slots {
		if index := slots[i].index; p.secrets[index] == nil {
			here = false
			reused = reused || index > p.evicted
		}
	}
	return here, reused
}

// take removes the named pairs, all or, if one is missing, those that are here
// with ok false. They are gone whatever follows, answered or not: a pair is thus
// in at most one session.
func (p *issued) take(slots []slot) (secrets []*bip445.SecNonce, ok bool) {
	for i := range slots {
		index := slots[i].index
		s := p.secrets[index]
		if s == nil {
			continue
		}
		secrets = append(secrets, s)
		delete(p.secrets, index)
		at, _ := slices.BinarySearch(p.live, index)
		p.live = slices.Delete(p.live, at, at+1)
	}
	if len(secrets) < len(slots) {
		wipeAll(secrets)
		return nil, false
	}
	return secrets, true
}

// drop forgets the oldest pairs beyond the newest keep.
func (p *issued) drop(keep int) {
	for len(p.live) > keep {
		index := p.live[0]
		p.secrets[index].Wipe()
		delete(p.secrets, index)
		p.live = slices.Delete(p.live, 0, 1)
		p.evicted = index
	}
}

func wipeAll(secrets []*bip445.SecNonce) {
	for _, s := range secrets {
		s.Wipe()
	}
}

// batch is a number of fresh pairs, before they are handed out.
type batch struct {
	secrets []*bip445.SecNonce
	pubs    [][pubnonceSize]byte
}

// prepare reads the randomness of count pairs now, so that what a driver does
// with the work cannot change it, and returns the computation of the pairs.
//
// The share of the first key is mixed in against a bad random source; the pairs
// serve any key. The first handle and the coordinator go into extra.
func (m *Machine) prepare(to int, count int) (func() batch, error) {
	random := make([]byte, 32*count)
	if _, err := io.ReadFull(m.cfg.Rand, random); err != nil {
		return nil, err
	}
	first := m.issued[to].next
	m.issued[to].next += uint64(count)
	key, id, epoch := m.hedge, m.self, m.cfg.Epoch
	return func() (b batch) {
		xonly := key.plain.XonlyPK()
		in := bip445.NonceInput{SecShare: key.secshare, SignerID: &id, PubShare: key.pubshare, XonlyPK: xonly[:]}
		source := bytes.NewReader(random)
		for i := range count {
			in.Extra = binary.BigEndian.AppendUint64(append(epoch[:len(epoch):len(epoch)], byte(to)), first+uint64(i))
			secret, pub, err := bip445.NonceGen(source, in)
			if err != nil {
				break // probability 2^-255; the pool is merely short
			}
			b.secrets = append(b.secrets, secret)
			b.pubs = append(b.pubs, pub.Bytes())
		}
		clear(random)
		return b
	}, nil
}

// hand makes the pairs of b, whose indices begin at first, usable by to.
func (m *Machine) hand(to int, first uint64, b batch) nonces {
	p := m.issued[to]
	n := nonces{epoch: m.cfg.Epoch, gone: p.evicted}
	for i, s := range b.secrets {
		index := first + uint64(i)
		p.secrets[index] = s
		p.live = append(p.live, index)
		n.pairs = append(n.pairs, pair{index, b.pubs[i]})
	}
	// Jobs may finish out of order.
	slices.Sort(p.live)
	return n
}

// refill makes count pairs for a coordinator here and now. It is empty before
// the first key, while a Job makes others (indices must reach the coordinator in
// order), and when randomness runs dry.
func (m *Machine) refill(to, count int) nonces {
	first := m.issued[to].next
	if count <= 0 || m.hedge == nil || m.issued[to].making > 0 {
		return nonces{epoch: m.cfg.Epoch}
	}
	make, err := m.prepare(to, count)
	if err != nil {
		return nonces{epoch: m.cfg.Epoch}
	}
	return m.hand(to, first, make())
}

// fill hands a whole pool to a coordinator that has none, as a Job: it takes
// some milliseconds, for each member at once when the first key arrives.
func (m *Machine) fill(fx *effects, to int) {
	p := m.issued[to]
	first := p.next
	make, err := m.prepare(to, m.cfg.Pool)
	if err != nil {
		return
	}
	p.making = m.cfg.Pool
	m.work(fx, 2*m.cfg.Pool, func() any { return make() }, func(fx *effects, made any) {
		p.making = 0
		m.send(fx, to, m.hand(to, first, made.(batch)))
	})
}

// missing is how many pairs top up the pool of a coordinator.
func (m *Machine) missing(to int) int {
	p := m.issued[to]
	return max(0, m.cfg.Pool-len(p.live)-p.making)
}

// topUp refills a pool that is below half, when no PSIG carries the refill.
func (m *Machine) topUp(fx *effects, to int) {
	if lack := m.missing(to); 2*lack > m.cfg.Pool {
		m.offer(fx, to, lack)
	}
}

// grant bounds the pairs made for one coordinator, but for those that a PSIG
// brings: these follow signatures, which are bounded by what this member approves.
// All else, asking and naming pairs in sessions of requests that nobody knows, costs
// the coordinator nothing, and us 60 µs a pair. So it gets two pools at once and
// another one each second, at most: half a percent of a processor.
func (m *Machine) grant(to, want int) int {
	p, full := m.issued[to], max(m.cfg.Pool, maxLot)
	if seconds := (m.now - p.granted) / second; seconds > 0 {
		p.granted += seconds * second
		p.budget = min(2*full, p.budget+int(min(seconds, 2))*full)
	}
	got := min(want, p.budget)
	p.budget -= got
	p.owed = got < want
	return got
}

const second protocols.Time = 1000

// grantedAt is when a coordinator that did not get enough gets more.
func (p *issued) grantedAt() protocols.Time {
	if !p.owed {
		return protocols.Never
	}
	return p.granted + second
}

func (m *Machine) offer(fx *effects, to, count int) {
	if count <= 0 || m.hedge == nil {
		m.issued[to].owed = false
		return
	}
	if n := m.refill(to, m.grant(to, count)); len(n.pairs) > 0 {
		m.send(fx, to, n)
	}
}

// replace wipes what a coordinator holds and hands it a new pool. A coordinator
// that lost its memory gets new pairs: none is ever announced twice.
func (m *Machine) replace(fx *effects, to int) {
	p := m.issued[to]
	p.drop(0)
	p.evicted = p.next - 1 - uint64(p.making) // also those used: an old PSIG may announce them once more
	m.offer(fx, to, m.missing(to))
}

// onNeed tops the pool up. A coordinator that wants more than a full pool has
// lost count of some pairs: the oldest then make room, once a second at most, so
// that asking costs us no more than that.
func (m *Machine) onNeed(fx *effects, from int, msg needMsg) {
	p := m.issued[from]
	if p.making > 0 {
		return // a whole pool is on its way
	}
	lack, want := m.missing(from), min(int(msg.count), max(m.cfg.Pool, maxLot))
	if lack < want && m.now >= p.force {
		p.force = m.now + second
		lack = want
	}
	p.drop(max(m.cfg.Pool, maxLot) - lack)
	m.offer(fx, from, lack)
}
