package federation

import (
	"errors"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"

	"github.com/btcsuite/btcd/chainhash/v2"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
)

// Notices among members, on protocols.Federation. They inform operators and
// decide nothing: each member believes its own data only.
//
//	struct { uint8 kind = 1; opaque version<0..2^16-1>; uint32 height; opaque tip[32]; } Hello;
//	struct { uint8 kind = 2; opaque request[32]; uint8 allow; opaque rule<..>; opaque reason<..>; } Verdict;
//
// Kinds 3 and 4 are about promises, see restored.go; kind 5 is about keys, see
// verify.go; kind 7 is about proofs, see evidence.go.
const (
	noticeHello   = 1
	noticeVerdict = 2

	// helloPeriod is the least time between two HELLOs to all, in milliseconds.
	helloPeriod protocols.Time = 1_000

	// maxText bounds every text of a notice.
	maxText = 512
	// maxEarlyVerdicts bounds the verdicts held for requests that this member has
	// not delivered yet, per sender.
	maxEarlyVerdicts = 16
)

// Kinds of faults this package reports.
const (
	FaultBadNotice   = "bad_notice"
	FaultBadProposal = "bad_proposal"
)

// peerState is what this member knows of another.
type peerState struct {
	connected bool
	stalled   bool
	lastSeen  protocols.Time
	version   string
	height    bitcoin.Height
	tip       chainhash.Hash
	early     []earlyVerdict
	proofs    int   // that it showed and that had to be verified
	mark      *mark // the highest it said of its promises; nil if nothing
}

type earlyVerdict struct {
	request RequestID
	verdict policy.Verdict
}

func (c *Core) sendHello(now protocols.Time, to protocols.NodeID) {
	tip, _ := c.ledger.tip()
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(noticeHello)
	addText(b, c.cfg.Version)
	b.AddUint32(uint32(tip.Height))
	b.AddBytes(tip.Hash[:])
	c.send(now, to, protocols.Federation, b.BytesOrPanic())
}

// introduce begins a conversation, after a connection or when the other end has
// lost the last one.
func (c *Core) introduce(now protocols.Time, to protocols.NodeID) {
	c.sendHello(now, to)
	c.sendHeard(now, to)
	c.sendPromised(now, to)
}

// tellTip tells all members when this member's chain view has moved, but not for
// each block while it catches up.
func (c *Core) tellTip(now protocols.Time) {
	tip, _ := c.ledger.tip()
	if tip == c.told || now < c.helloAt {
		return
	}
	c.told, c.helloAt = tip, now+helloPeriod
	for _, id := range c.members {
		if id != c.cfg.Self {
			c.sendHello(now, id)
		}
	}
}

func encodeVerdict(id RequestID, v policy.Verdict) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(noticeVerdict)
	b.AddBytes(id[:])
	b.AddUint8(boolByte(v.Allow))
	addText(b, string(v.Rule))
	addText(b, v.Reason)
	return b.BytesOrPanic()
}

var errNotice = errors.New("malformed notice")

// fromPeer takes a notice of another member.
func (c *Core) fromPeer(now protocols.Time, out *Effects, from protocols.NodeID, body []byte) {
	if err := c.takeNotice(now, out, from, body); err != nil {
		out.Faults = append(out.Faults, protocols.Fault{Culprit: from, Kind: FaultBadNotice, Detail: err.Error()})
	}
}

func (c *Core) takeNotice(now protocols.Time, out *Effects, from protocols.NodeID, body []byte) error {
	s := cryptobyte.String(body)
	p := c.peers[from]
	var kind uint8
	if p == nil || !s.ReadUint8(&kind) {
		return errNotice
	}
	switch kind {
	case noticeHello:
		var version string
		var height uint32
		var tip chainhash.Hash
		if !readText(&s, &version) || !s.ReadUint32(&height) || !s.CopyBytes(tip[:]) || !s.Empty() {
			return errNotice
		}
		p.version, p.height, p.tip = version, bitcoin.Height(height), tip
	case noticeVerdict:
		var id RequestID
		var allow uint8
		var rule, reason string
		if !s.CopyBytes(id[:]) || !s.ReadUint8(&allow) || allow > 1 || !readText(&s, &rule) || !readText(&s, &reason) || !s.Empty() {
			return errNotice
		}
		c.noteVerdict(out, from, id, policy.Verdict{Allow: allow == 1, Rule: policy.Rule(rule), Reason: reason})
	case noticePromised:
		return c.takePromised(now, out, from, &s)
	case noticeHeard:
		return c.takeHeard(now, out, from, &s)
	case noticeProof:
		return c.takeProof(out, from, &s)
	case noticeVerified:
		return c.takeVerified(now, out, &s)
	default:
		return errNotice
	}
	return nil
}

func (c *Core) noteVerdict(out *Effects, from protocols.NodeID, id RequestID, v policy.Verdict) {
	r := c.requests.all[id]
	if r == nil {
		p := c.peers[from]
		p.early = append(p.early, earlyVerdict{id, v})
		p.early = p.early[max(0, len(p.early)-maxEarlyVerdicts):]
		return
	}
	if r.verdicts[from] == v {
		return
	}
	r.verdicts[from] = v
	out.Out = append(out.Out, RequestJudged{Request: id, Member: from, Verdict: v})
}

// takeEarlyVerdicts applies the verdicts that came before the request did.
func (c *Core) takeEarlyVerdicts(out *Effects, r *request) {
	for _, id := range c.members {
		p := c.peers[id]
		if p == nil {
			continue
		}
		kept := p.early[:0]
		for _, e := range p.early {
			if e.request == r.id {
				c.noteVerdict(out, id, r.id, e.verdict)
			} else {
				kept = append(kept, e)
			}
		}
		p.early = kept
	}
}

// resendVerdicts tells a member that came back how this one judged open requests.
func (c *Core) resendVerdicts(now protocols.Time, to protocols.NodeID) {
	for _, r := range c.requests.sorted() {
		if r.verdict.Rule != "" && !r.finished(c.height()) {
			c.send(now, to, protocols.Federation, encodeVerdict(r.id, r.verdict))
		}
	}
}

// readText reads a text of readable characters.
func readText(s *cryptobyte.String, out *string) bool {
	var raw cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&raw) || len(raw) > maxText {
		return false
	}
	for _, r := range string(raw) {
		if !readable(r) {
			return false
		}
	}
	*out = string(raw)
	return true
}

// readable keeps from terminals and logs what controls them or reorders text, and
// bytes that are not UTF-8.
func readable(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
