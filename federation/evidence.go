package federation

import (
	"cmp"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/evidence"
	"frostfed/protocols"
)

// Proofs of faults are kept for good, and shown to the other members where these
// cannot have found them: what broadcast proves in a key generation all see alike,
// but two signatures under one topic, or a wrong partial signature, may have been
// shown to one member only. Suspicion is not kept; the driver counts it.
//
//	struct { uint8 kind = 7; uint8 source; opaque id[32]; opaque proof<1..2^24-1>; } Proof;
const (
	noticeProof = 7

	// maxProofs bounds the proofs that are kept against one member, of one kind: one
	// convicts, some more show that it was no accident, and a member that goes on
	// must not fill our disk.
	maxProofs = 4
	// maxProofBytes bounds them again, per member and over all kinds: a single one
	// can hold the largest broadcast there is.
	maxProofBytes = 2 * evidence.MaxProof
	// maxTold bounds what is shown to others. A proof of partial signatures has up
	// to 30 kB, one of equivocation 0.4 kB.
	maxTold = 64 << 10
)

// Errors of commands about evidence.
var (
	ErrEvidenceUnknown = errors.New("no such evidence; 'frostfed evidence' shows what there is")
	ErrEvidenceAmbig   = errors.New("more than one piece of evidence matches; give more digits of the ID")
)

// EvidenceView is a proof that this member holds.
type EvidenceView struct {
	ID      evidence.ID
	Kind    string
	Culprit protocols.NodeID
	Place   string         // topic, session or request in which it happened
	Height  bitcoin.Height // of the chain view when it was found
	Own     bool           // found by this member, not told by another one
}

// heldProof is a verified proof.
type heldProof struct {
	EvidenceView
	culprit int
	source  evidence.Source
	proof   []byte
}

// proofBook holds the proofs against all members.
type proofBook map[evidence.ID]*heldProof

// room says whether another proof against a member is kept.
func (b proofBook) room(culprit int, kind string, size int) bool {
	count, bytes := 0, 0
	for _, h := range b {
		if h.culprit == culprit {
			bytes += len(h.proof)
			if h.Kind == kind {
				count++
			}
		}
	}
	return count < maxProofs && bytes+size <= maxProofBytes
}

func (b proofBook) sorted() []*heldProof {
	out := make([]*heldProof, 0, len(b))
	for _, h := range b {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *heldProof) int {
		return cmp.Or(cmp.Compare(a.culprit, b.culprit), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Place, b.Place))
	})
	return out
}

// sources are the parts of the Core whose faults may be proved.
var sources = map[string]evidence.Source{echoPrefix: evidence.Echo, dkgPrefix: evidence.DKG, signPrefix: evidence.Sign}

// noteProof keeps the proof of a fault that a machine of this member reports.
func (c *Core) noteProof(now protocols.Time, out *Effects, prefix string, f protocols.Fault) {
	culprit := c.cfg.Charter.Index(f.Culprit)
	if !c.proofs.room(culprit, f.Kind, len(f.Proof)) {
		return // before it costs a verification
	}
	h, err := c.judgeProof(sources[prefix], f.Proof)
	if err != nil || h.Culprit != f.Culprit {
		return // a bug of the machine: what convinces no stranger must not convince us
	}
	c.sign.Distrust(f.Culprit)
	if c.proofs[h.ID] != nil {
		return
	}
	h.Own = true
	c.keepProof(out, h, c.cfg.Self)
	if c.tellable(h) {
		c.sendAll(now, protocols.Federation, encodeProof(h))
	}
}

// judgeProof verifies a proof as any stranger would.
func (c *Core) judgeProof(source evidence.Source, proof []byte) (*heldProof, error) {
	v, err := (&evidence.Evidence{Charter: c.cfg.Charter, Source: source, Proof: proof}).Verify()
	if err != nil {
		return nil, err
	}
	return &heldProof{EvidenceView: EvidenceView{ID: v.ID, Kind: v.Kind, Culprit: v.Peer, Place: v.Place, Height: c.height()},
		culprit: v.Culprit, source: source, proof: slices.Clone(proof)}, nil
}

func (c *Core) keepProof(out *Effects, h *heldProof, witness protocols.NodeID) {
	c.proofs[h.ID] = h
	c.persist(out, "e/"+h.ID.String(), h.encode())
	out.Out = append(out.Out, EvidenceFound{ID: h.ID, Kind: h.Kind, Culprit: h.Culprit, Place: h.Place, Witness: witness})
}

// tellable says whether other members may not have found the same.
func (c *Core) tellable(h *heldProof) bool {
	return h.Own && h.source != evidence.DKG && len(h.proof) <= maxTold
}

// tellProofs shows a member that lost our messages what we found.
func (c *Core) tellProofs(now protocols.Time, to protocols.NodeID) {
	for _, h := range c.proofs.sorted() {
		if c.tellable(h) {
			c.send(now, to, protocols.Federation, encodeProof(h))
		}
	}
}

func encodeProof(h *heldProof) []byte {
	var b cryptobyte.Builder
	b.AddUint8(noticeProof)
	b.AddUint8(uint8(h.source))
	b.AddBytes(h.ID[:])
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.proof) })
	return b.BytesOrPanic() // at most maxTold
}

// takeProof takes a proof that another member found. It convinces by itself. Who
// shows one that does not is not listened to again, and nobody can show more than
// there can be: each costs us a verification.
func (c *Core) takeProof(out *Effects, from protocols.NodeID, s *cryptobyte.String) error {
	var source uint8
	var id evidence.ID
	var proof cryptobyte.String
	if !s.ReadUint8(&source) || !s.CopyBytes(id[:]) || !s.ReadUint24LengthPrefixed(&proof) || !s.Empty() || len(proof) > maxTold {
		return errNotice
	}
	p := c.peers[from]
	limit := 2 * maxProofs * len(c.members) // of two kinds
	if c.proofs[id] != nil || p.proofs >= limit {
		return nil
	}
	p.proofs++
	h, err := c.judgeProof(evidence.Source(source), proof)
	if err != nil || h.ID != id {
		p.proofs = limit
		return errors.New("a proof that proves nothing")
	}
	if c.proofs.room(h.culprit, h.Kind, len(proof)) {
		c.sign.Distrust(h.Culprit)
		c.keepProof(out, h, from)
	}
	return nil
}

func (h *heldProof) encode() []byte {
	var b cryptobyte.Builder
	b.AddUint8(recordVersion)
	b.AddUint8(uint8(h.source))
	b.AddUint8(boolByte(h.Own))
	b.AddUint8(uint8(h.culprit))
	b.AddUint32(uint32(h.Height))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.Kind)) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.Place)) })
	b.AddBytes(h.proof)
	return b.BytesOrPanic() // kinds and places are bounded by package evidence
}

// loadProof reads a record. It was verified before it was written.
func (c *Core) loadProof(id evidence.ID, value []byte) error {
	s := cryptobyte.String(value)
	var version, source, own, culprit uint8
	var height uint32
	var kind, place cryptobyte.String
	if !s.ReadUint8(&version) || version != recordVersion || !s.ReadUint8(&source) || !s.ReadUint8(&own) || own > 1 ||
		!s.ReadUint8(&culprit) || int(culprit) >= len(c.members) || !s.ReadUint32(&height) ||
		!s.ReadUint8LengthPrefixed(&kind) || !s.ReadUint16LengthPrefixed(&place) || s.Empty() {
		return errRecord
	}
	c.proofs[id] = &heldProof{EvidenceView: EvidenceView{ID: id, Kind: string(kind), Culprit: c.members[culprit], Place: string(place),
		Height: bitcoin.Height(height), Own: own == 1}, culprit: int(culprit), source: evidence.Source(source), proof: s}
	return nil
}

// resumeDistrust tells the signing machine, which forgets it, who was proved to lie.
func (c *Core) resumeDistrust() {
	for _, h := range c.proofs.sorted() {
		c.sign.Distrust(h.Culprit)
	}
}

// Evidence lists the proofs that this member holds, by culprit.
func (c *Core) Evidence() []EvidenceView {
	var out []EvidenceView
	for _, h := range c.proofs.sorted() {
		out = append(out, h.EvidenceView)
	}
	return out
}

// EvidenceFile returns a proof, by the beginning of its ID, as the file that
// evidence.Parse reads.
func (c *Core) EvidenceFile(prefix string) (EvidenceView, []byte, error) {
	var found *heldProof
	for id, h := range c.proofs {
		if len(prefix) < minPrefix || !strings.HasPrefix(hex.EncodeToString(id[:]), strings.ToLower(prefix)) {
			continue
		}
		if found != nil {
			return EvidenceView{}, nil, ErrEvidenceAmbig
		}
		found = h
	}
	if found == nil {
		return EvidenceView{}, nil, ErrEvidenceUnknown
	}
	e := evidence.Evidence{Charter: c.cfg.Charter, Source: found.source, Proof: found.proof}
	return found.EvidenceView, e.PEM(), nil
}
