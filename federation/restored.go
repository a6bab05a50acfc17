package federation

import (
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
	"frostfed/policy"
	"frostfed/protocols"
)

// A member whose database was replaced by an older one has forgotten promises, and
// its disk cannot tell. The others can: with each promise a member tells all, under
// its signature, how many it has made. They keep the highest and show it on every
// connection. A number that the member's disk does not account for proves that the
// disk is an older one, or that a second process runs. One honest witness is
// enough, and none can lie: the signature is the member's own.
//
// Then the member promises nothing while a coin is left that a forgotten promise
// may bind. It also promises nothing after a start until enough members have shown
// what they know of it. ADR 15 tells why, and what stays open.
//
//	struct { uint64 promises; uint32 height; opaque boot[16]; opaque sig[64]; } Mark;
//	struct { uint8 kind = 3; Mark mine; } Promised;
//	struct { uint8 kind = 4; select (uint8 known) { case 0: ; case 1: Mark yours; } } Heard;
const (
	noticePromised = 3
	noticeHeard    = 4

	markTag = "frostfed/v1/mark"
)

// RestoredRule is the rule by which a member refuses to spend while its database
// is known to be older than its promises.
const RestoredRule policy.Rule = "restored"

// mark is a member's word on how many promises it had made, and at which height
// of its chain view the last one.
type mark struct {
	promises uint64
	height   bitcoin.Height
	boot     [16]byte // of the process that said so
	sig      [64]byte // by the member's host key
}

func (m *mark) append(b *cryptobyte.Builder) {
	b.AddUint64(m.promises)
	b.AddUint32(uint32(m.height))
	b.AddBytes(m.boot[:])
	b.AddBytes(m.sig[:])
}

func (m *mark) read(s *cryptobyte.String) bool {
	var height uint32
	ok := s.ReadUint64(&m.promises) && m.promises != 0 && s.ReadUint32(&height) && s.CopyBytes(m.boot[:]) && s.CopyBytes(m.sig[:])
	m.height = bitcoin.Height(height)
	return ok
}

func (c *Core) markHash(of protocols.NodeID, m *mark) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(of)) })
	b.AddUint64(m.promises)
	b.AddUint32(uint32(m.height))
	b.AddBytes(m.boot[:])
	hash := memberkey.Hash(markTag, c.id[:], b.BytesOrPanic())
	return hash[:]
}

func (c *Core) verifyMark(of protocols.NodeID, m *mark) bool {
	host := c.cfg.Charter.Cards[c.cfg.Charter.Index(of)].Host
	return memberkey.Verify(host[:], c.markHash(of, m), m.sig[:])
}

// promiseLog is what a member knows about its own promises.
type promiseLog struct {
	count  uint64
	height bitcoin.Height // of the last one
	// fence is the highest block whose coins a forgotten promise may bind. It never
	// sinks; 0 means that none was forgotten.
	fence bitcoin.Height

	loaded uint64   // count when this process started
	boot   [16]byte // random, of this process
	signed *mark    // the present count, once it was asked for
	heard  map[protocols.NodeID]struct{}
}

func (c *Core) savePromiseLog(out *Effects) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(recordVersion)
	b.AddUint64(c.own.count)
	b.AddUint32(uint32(c.own.height))
	b.AddUint32(uint32(c.own.fence))
	c.persist(out, "m", b.BytesOrPanic())
}

func (c *Core) loadPromiseLog(value []byte) error {
	s := cryptobyte.String(value)
	var version uint8
	var count uint64
	var height, fence uint32
	if !s.ReadUint8(&version) || version != recordVersion || !s.ReadUint64(&count) || !s.ReadUint32(&height) || !s.ReadUint32(&fence) || !s.Empty() {
		return errRecord
	}
	c.own.count, c.own.loaded = count, count
	c.own.height, c.own.fence = bitcoin.Height(height), bitcoin.Height(fence)
	return nil
}

// promiseMade counts a promise and tells all members. The count is in the same
// batch of records as the promise: what is said is never ahead of the disk.
func (c *Core) promiseMade(now protocols.Time, out *Effects) {
	c.own.count, c.own.height, c.own.signed = c.own.count+1, c.height(), nil
	c.savePromiseLog(out)
	for _, id := range c.members {
		if id != c.cfg.Self {
			c.sendPromised(now, id)
		}
	}
}

// sendPromised tells a member how many promises this one has made, if any.
func (c *Core) sendPromised(now protocols.Time, to protocols.NodeID) {
	if c.own.count == 0 {
		return
	}
	if c.own.signed == nil {
		m := &mark{promises: c.own.count, height: c.own.height, boot: c.own.boot}
		var aux [32]byte
		_, _ = io.ReadFull(c.cfg.Rand, aux[:]) // BIP 340 is as safe without
		sig, err := c.cfg.Host.Sign(c.markHash(c.cfg.Self, m), aux)
		if err != nil {
			return // a wrong signature must not leave; the next promise tries again
		}
		m.sig, c.own.signed = sig, m
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(noticePromised)
	c.own.signed.append(b)
	c.send(now, to, protocols.Federation, b.BytesOrPanic())
}

// sendHeard shows a member the last it said about its promises.
func (c *Core) sendHeard(now protocols.Time, to protocols.NodeID) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(noticeHeard)
	m := c.peers[to].mark
	b.AddUint8(boolByte(m != nil))
	if m != nil {
		m.append(b)
	}
	c.send(now, to, protocols.Federation, b.BytesOrPanic())
}

// takePromised keeps the highest that a member says about itself, durably: the
// moment in which it counts may be years away.
func (c *Core) takePromised(now protocols.Time, out *Effects, from protocols.NodeID, s *cryptobyte.String) error {
	m := new(mark)
	if !m.read(s) || !s.Empty() || !c.verifyMark(from, m) {
		return errNotice
	}
	p := c.peers[from]
	if p.mark != nil && m.promises <= p.mark.promises {
		if m.promises < p.mark.promises {
			c.sendHeard(now, from) // it does not know, or there are two of it
		}
		return nil
	}
	p.mark = m
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(recordVersion)
	m.append(b)
	c.persist(out, fmt.Sprintf("k/%03d", c.cfg.Charter.Index(from)), b.BytesOrPanic())
	return nil
}

// loadMark reads what takePromised stored. The signature was checked then.
func (c *Core) loadMark(index string, value []byte) error {
	s := cryptobyte.String(value)
	var version uint8
	var i int
	m := new(mark)
	if _, err := fmt.Sscanf(index, "%03d", &i); err != nil || i < 0 || i >= len(c.members) || i == c.index ||
		!s.ReadUint8(&version) || version != recordVersion || !m.read(&s) || !s.Empty() {
		return errRecord
	}
	c.peers[c.members[i]].mark = m
	return nil
}

// takeHeard learns what a member knows of this one.
func (c *Core) takeHeard(now protocols.Time, out *Effects, from protocols.NodeID, s *cryptobyte.String) error {
	var known uint8
	m := new(mark)
	if !s.ReadUint8(&known) || known > 1 || known == 1 && !m.read(s) || !s.Empty() || known == 1 && !c.verifyMark(c.cfg.Self, m) {
		return errNotice
	}
	// What an earlier process of this database said was on disk before, and so in
	// the count that this one loaded.
	if known == 1 && m.boot != c.own.boot && m.promises > c.own.loaded {
		c.forgot(out, from, m)
	}
	ready := c.heardEnough()
	c.own.heard[from] = struct{}{}
	if !ready && c.heardEnough() {
		c.validateAgain(now, out)
	}
	return nil
}

// forgot raises the fence over everything that the mark accounts for. The count
// goes on from the highest, so that the others take the next one as news.
func (c *Core) forgot(out *Effects, witness protocols.NodeID, m *mark) {
	if m.promises <= c.own.count && m.height <= c.own.fence {
		return
	}
	out.Out = append(out.Out, RestoredOlder{Witness: witness, Known: c.own.loaded, Made: m.promises, Fence: max(c.own.fence, m.height)})
	if m.promises > c.own.count {
		c.own.count, c.own.height, c.own.signed = m.promises, m.height, nil
	}
	c.own.fence = max(c.own.fence, m.height)
	c.savePromiseLog(out)
}

// heardEnough says whether so many members have shown what they know of this one
// that it may promise: as many others as it takes to sign.
func (c *Core) heardEnough() bool { return len(c.own.heard) >= c.cfg.Charter.Threshold-1 }

// fenced says whether a forgotten promise may still bind a coin: until each coin up
// to the fence is spent so deep that the ledger has dropped it. Without those, no
// transaction that was promised can still confirm.
func (c *Core) fenced() bool {
	if c.own.fence <= c.cfg.SettledTo {
		return false
	}
	if c.height() < c.own.fence {
		return true
	}
	for _, coin := range c.ledger.coins {
		if coin.Height <= c.own.fence {
			return true
		}
	}
	return false
}

func (c *Core) checkRestored() policy.Verdict {
	if c.fenced() {
		return policy.Verdict{Rule: RestoredRule, Reason: fmt.Sprintf(
			"this member's database is older than its promises, which may bind coins up to block %d", c.own.fence)}
	}
	return policy.Verdict{Allow: true, Rule: policy.Allowed}
}

// mayHavePaid says whether a confirmed request that this member does not remember
// to have approved may be the one to which it promised the list. That is believed
// only of what a restored member may have forgotten: else anybody could have a list
// taken for paid by proposing an old transaction for it.
func (c *Core) mayHavePaid(r *request) bool {
	return r.verdict.Allow || r.confirmedAt != 0 && r.proposal != nil && r.proposal.Height <= c.own.fence && c.own.fence != 0
}
