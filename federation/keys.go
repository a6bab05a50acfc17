package federation

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/sign"
)

// KeyID names a key: the ID of the session that generated it.
type KeyID [32]byte

func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

const (
	ceremonyVersion = 1
	ceremonyTag     = "frostfed/v1/ceremony"
	addressVersion  = 2

	// MaxKeys bounds the key generations a federation takes part in over its
	// life, and with it what all must store, watch and broadcast. Each member may
	// propose an equal part, at least one, so that none can use up what is left
	// to the others.
	MaxKeys = 128
	// MaxLabel is the length of a key's label in bytes.
	MaxLabel = 32
	// minPrefix is how many hex digits of an ID the operator must give.
	minPrefix = 4
)

// Errors of commands about keys.
var (
	ErrLabel       = errors.New("the label of a key has 1 to 32 characters: letters, digits, '-', '_' and '.'")
	ErrLabelUsed   = errors.New("a key of this label exists; choose another label")
	ErrTooManyKeys = errors.New("this member has proposed as many keys as it may; let another member propose one")
	ErrKeyUnknown  = errors.New("no such key; 'frostfed key list' shows the keys")
	ErrKeyAmbig    = errors.New("more than one key matches; give more digits of the ID")
	ErrKeyNotReady = errors.New("the key is not verified yet; 'frostfed key list' shows for whom it waits")
	ErrGap         = errors.New("too many addresses of this member are unused; wait until one is paid")
)

// ceremony is a proposal to generate a key, as broadcast.
type ceremony struct {
	Label string
	Suite dkg.Suite // Bitcoin, or outside
	T     int
	Birth bitcoin.Height // the proposer's tip
	Nonce [16]byte       // makes two proposals of the same label different

	// How far key generation may go without members that lie or stay away.
	MinMembers, MinSpare int
	NoExclusion          bool

	proposer protocols.NodeID
	// since is the height above which this member looks for coins of the key: its
	// own tip when it heard of the ceremony. The key is made with its help, so
	// nobody can have paid it before. A proposer's word does not count: 0 would
	// make everybody scan the chain from its beginning.
	since bitcoin.Height
}

func (p *ceremony) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(ceremonyVersion)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.Label)) })
	b.AddUint8(uint8(p.Suite))
	b.AddUint8(uint8(p.T))
	b.AddUint32(uint32(p.Birth))
	b.AddBytes(p.Nonce[:])
	b.AddUint8(uint8(p.MinMembers))
	b.AddUint8(uint8(p.MinSpare))
	b.AddUint8(boolByte(p.NoExclusion))
	return b.BytesOrPanic() // the label was checked
}

func decodeCeremony(raw []byte) (*ceremony, error) {
	p := new(ceremony)
	s := cryptobyte.String(raw)
	var version, suite, t, least, spare, manual uint8
	var birth uint32
	var label cryptobyte.String
	if !s.ReadUint8(&version) || version != ceremonyVersion || !s.ReadUint8LengthPrefixed(&label) ||
		!s.ReadUint8(&suite) || suite != 0 && !dkg.Suite(suite).Valid() || !s.ReadUint8(&t) || !s.ReadUint32(&birth) || !s.CopyBytes(p.Nonce[:]) ||
		!s.ReadUint8(&least) || !s.ReadUint8(&spare) || !s.ReadUint8(&manual) || manual > 1 || !s.Empty() || !validLabel(string(label)) {
		return nil, errors.New("malformed proposal of a key")
	}
	p.Label, p.Suite, p.T, p.Birth = string(label), dkg.Suite(suite), int(t), bitcoin.Height(birth)
	p.MinMembers, p.MinSpare, p.NoExclusion = int(least), int(spare), manual == 1
	return p, nil
}

func validLabel(s string) bool {
	if s == "" || len(s) > MaxLabel {
		return false
	}
	for _, r := range []byte(s) {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.IndexByte("-_.", r) >= 0) {
			return false
		}
	}
	return true
}

// proposalID binds federation, proposer and payload, so that no two members can
// propose different things under one ID.
func (c *Core) proposalID(tag string, proposer protocols.NodeID, payload []byte) [32]byte {
	return memberkey.Hash(tag, c.id[:], []byte{byte(c.cfg.Charter.Index(proposer))}, payload)
}

// key is a key of the federation as this member knows it. Its public part is
// restored at once, so that blocks are searched for its coins; its share comes
// back later, as the result of a job.
type key struct {
	id       KeyID
	ceremony [32]byte
	attempt  uint32 // once active
	threshPK [33]byte
	label    string
	root     bitcoin.Key
	active   bool // the signing machine has the share

	verification verification

	issued     uint32    // addresses this member has given out
	paid       [2]uint32 // by branch: one above the highest index seen in a block
	nextChange uint32    // one above the highest change index seen or approved
	watched    [2]uint32
}

// watch is what a script belongs to.
type watch struct {
	key  KeyID
	path bitcoin.Path
}

type keyring struct {
	proposals map[[32]byte]*ceremony // by ceremony ID
	keys      map[KeyID]*key         // active ones, and those that were before a restart
	suites    map[KeyID]*suiteKey    // active ones outside Bitcoin
	restored  map[KeyID]bool         // those that were active before a restart
	scripts   map[string]watch

	verifications map[[32]byte]*key // by the request that has it sign, see verify.go
}

func newKeyring() keyring {
	return keyring{proposals: make(map[[32]byte]*ceremony), keys: make(map[KeyID]*key), scripts: make(map[string]watch),
		verifications: make(map[[32]byte]*key),
		suites:        make(map[KeyID]*suiteKey), restored: make(map[KeyID]bool)}
}

func (k *keyring) sorted() []*key {
	out := make([]*key, 0, len(k.keys))
	for _, v := range k.keys {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *key) int { return slices.Compare(a.id[:], b.id[:]) })
	return out
}

// find resolves a label, or the beginning of an ID.
func (k *keyring) find(name string) (*key, error) {
	var found *key
	for _, v := range k.sorted() {
		if matches(v.label, v.id, name) {
			switch {
			case found == nil:
				found = v
			case found.ceremony != v.ceremony:
				return nil, ErrKeyAmbig
			case v.ready() && (!found.ready() || v.attempt < found.attempt):
				// Two attempts may both have made a key. All members prefer the earlier
				// one; coins of the other are spent all the same.
				found = v
			}
		}
	}
	if found != nil && !found.ready() {
		return nil, ErrKeyNotReady
	}
	if found == nil {
		if other, err := k.findSuite(name); err == nil && other != nil {
			return nil, ErrOutsideBitcoin
		}
		for _, p := range k.proposals {
			if p.Label == name {
				return nil, ErrKeyNotReady
			}
		}
		return nil, ErrKeyUnknown
	}
	return found, nil
}

// matches says whether an operator means this key: by its label, or the beginning
// of its ID.
func matches(label string, id KeyID, name string) bool {
	return label == name || len(name) >= minPrefix && strings.HasPrefix(id.String(), strings.ToLower(name))
}

// NewKey proposes the generation of a Bitcoin key with the charter's threshold.
// It returns the ceremony ID.
func (c *Core) NewKey(now protocols.Time, label string) ([32]byte, Effects, error) {
	return c.NewSuiteKey(now, label, dkg.Bitcoin)
}

// NewSuiteKey is NewKey for a key of any suite.
func (c *Core) NewSuiteKey(now protocols.Time, label string, suite dkg.Suite) ([32]byte, Effects, error) {
	var out Effects
	if !validLabel(label) {
		return [32]byte{}, out, ErrLabel
	}
	if c.labelUsed(label) {
		return [32]byte{}, out, ErrLabelUsed
	}
	if !c.mayPropose(c.cfg.Self) {
		return [32]byte{}, out, ErrTooManyKeys
	}
	if suite != dkg.Bitcoin && c.cfg.Charter.Threshold < 2 {
		return [32]byte{}, out, ErrSuiteThreshold
	}
	p := &ceremony{Label: label, Suite: suite, T: c.cfg.Charter.Threshold, MinMembers: c.minMembers(), MinSpare: min(c.cfg.MinSpare, c.cfg.Charter.N()-c.cfg.Charter.Threshold),
		NoExclusion: c.cfg.NoExclusion}
	if tip, ok := c.ledger.tip(); ok {
		p.Birth = tip.Height
	}
	if _, err := io.ReadFull(c.cfg.Rand, p.Nonce[:]); err != nil {
		return [32]byte{}, out, fmt.Errorf("read randomness: %w", err)
	}
	payload := p.encode()
	id := c.proposalID(ceremonyTag, c.cfg.Self, payload)
	err := c.broadcast(now, &out, topic(topicKey, id), payload)
	return id, out, err
}

// labelUsed says whether a key, or one in the making, has the label. A ceremony
// that failed leaves its label free.
func (c *Core) labelUsed(label string) bool {
	return slices.ContainsFunc(c.dkg.Sessions(), func(s dkg.SessionView) bool {
		return s.Label == label && (s.Phase != dkg.PhaseFailed || !s.Final)
	})
}

// mayPropose says whether a member has ceremonies left.
func (c *Core) mayPropose(member protocols.NodeID) bool {
	proposed := 0
	for _, p := range c.keys.proposals {
		if p.proposer == member {
			proposed++
		}
	}
	return proposed < max(1, MaxKeys/len(c.members))
}

// minMembers is the least number of members that may share a key: n-f, so that
// f more may fail when it is used.
func (c *Core) minMembers() int { return c.cfg.Charter.N() - protocols.MaxFaulty(c.cfg.Charter.N()) }

// ceremonyProposed starts a key generation that some member proposed. All honest
// members deliver the same proposals, so all start it.
func (c *Core) ceremonyProposed(now protocols.Time, out *Effects, sender protocols.NodeID, id [32]byte, payload []byte) {
	p, err := decodeCeremony(payload)
	if err == nil && id != c.proposalID(ceremonyTag, sender, payload) {
		err = errors.New("the ID of the proposal does not fit its content")
	}
	if err == nil && (p.T != c.cfg.Charter.Threshold) {
		err = errors.New("the threshold is not the charter's")
	}
	if err == nil && p.Suite != dkg.Bitcoin && p.T < 2 {
		err = ErrSuiteThreshold
	}
	if n := c.cfg.Charter.N(); err == nil && (p.MinMembers < c.minMembers() || p.MinMembers > n || p.MinSpare > n-p.T) {
		err = errors.New("the least number of members is out of range")
	}
	if err != nil {
		out.Faults = append(out.Faults, protocols.Fault{Culprit: sender, Kind: FaultBadProposal, Detail: err.Error()})
		return
	}
	if c.keys.proposals[id] != nil || !c.mayPropose(sender) {
		return
	}
	p.proposer = sender
	p.since = p.Birth // unless this member has seen a block yet
	if tip, ok := c.ledger.tip(); ok {
		p.since = tip.Height
	}
	if c.cfg.ScanFrom != 0 {
		p.since = min(p.since, c.cfg.ScanFrom-1)
	}
	c.keys.proposals[id] = p
	out.Out = append(out.Out, KeyProposed{Ceremony: id, Label: p.Label, Proposer: sender})
	c.saveCeremony(out, id, p)
	c.fromDKG(now, out, c.dkg.Start(now, dkg.Ceremony{
		ID: id, T: p.T, Label: p.Label, Suite: p.Suite, MinMembers: p.MinMembers, MinSpare: p.MinSpare, NoExclusion: p.NoExclusion,
	}))
}

// keyActive takes a key into use. It comes again after each restart.
func (c *Core) keyActive(now protocols.Time, out *Effects, event dkg.KeyActive) {
	defer event.SecShare.Wipe()
	id := KeyID(event.SessionID)
	k := c.keys.keys[id]
	fresh := k == nil
	if fresh {
		var err error
		if k, err = c.newKey(id, event.CeremonyID, event.ThreshPK); err != nil {
			panic(fmt.Sprintf("federation: key generation returned an invalid key: %v", err))
		}
		c.watchAhead(k)
		c.saveKey(out, k)
	}
	if k.active {
		return
	}
	k.active, k.attempt = true, event.Attempt
	k.verification.message, k.verification.acks = c.verificationMessage(event), event.Acks
	c.fromSign(now, out, c.sign.AddKey(now, sign.Key{ID: id, T: event.T, ThreshPK: event.ThreshPK,
		Participants: event.Participants, PubShares: event.PubShares, SecShare: event.SecShare.Bytes()}))
	c.verify(now, out, k)
	if fresh {
		c.rescan(out, k)
	}
	c.resumeRequests(now, out, k)
	c.validateAgain(now, out)
}

// newKey adds the public part of a key.
func (c *Core) newKey(id KeyID, ceremony [32]byte, threshPK [33]byte) (*key, error) {
	root, err := c.cfg.Addresses.NewKey(c.network, threshPK, bitcoin.ChainCode(c.id, threshPK))
	if err != nil {
		return nil, err
	}
	k := &key{id: id, ceremony: ceremony, threshPK: threshPK, root: root}
	if p := c.keys.proposals[ceremony]; p != nil {
		k.label = p.Label
	}
	c.keys.keys[id] = k
	c.keys.verifications[VerificationRequest(id)] = k
	return k, nil
}

// rescan rewinds the chain view when a key turns active after blocks that could
// have paid it.
func (c *Core) rescan(out *Effects, k *key) {
	since := c.keys.proposals[k.ceremony].since
	rewound := false
	for {
		tip, ok := c.ledger.tip()
		if !ok || tip.Height <= since {
			break
		}
		c.unconnect(out, tip)
		rewound = true
	}
	if rewound {
		out.Out = append(out.Out, Rescan{From: since})
	}
}

func (c *Core) keyProgress(_ protocols.Time, out *Effects, event dkg.Event) {
	switch event := event.(type) {
	case dkg.Progress:
		out.Out = append(out.Out, KeyProgress{Ceremony: event.CeremonyID, Phase: event.Phase.String(),
			Have: event.Have, Need: event.Need, Waiting: event.Waiting})
	case dkg.KeyGenerated:
		out.Out = append(out.Out, KeyProgress{Ceremony: event.CeremonyID, Phase: "generated"})
	case dkg.Excluded:
		out.Out = append(out.Out, KeyProgress{Ceremony: event.CeremonyID, Phase: "excluded", Have: c.cfg.Charter.N() - len(event.Members),
			Need: c.minMembers(), Waiting: event.Members})
	case dkg.Failed:
		if !event.Final {
			return // the next attempt follows
		}
		out.Out = append(out.Out, KeyFailed{Ceremony: event.CeremonyID, Reason: event.Reason.String(), Culprits: event.Culprits})
	}
}

// NewAddress issues the next receive address of a key. Members take turns in the
// index (counter*n + own index), so that no two issue the same address.
func (c *Core) NewAddress(_ protocols.Time, name string) (bitcoin.Derived, Effects, error) {
	var out Effects
	k, err := c.keys.find(name)
	if err != nil {
		return bitcoin.Derived{}, out, err
	}
	n := uint32(c.cfg.Charter.N())
	if k.issued*n >= k.paid[bitcoin.Receive]+uint32(c.cfg.Gap)*n {
		return bitcoin.Derived{}, out, ErrGap
	}
	d, err := k.root.Derive(bitcoin.Path{Branch: bitcoin.Receive, Index: k.issued*n + uint32(c.index)})
	if err != nil {
		return bitcoin.Derived{}, out, err
	}
	k.issued++
	c.saveKey(&out, k)
	return d, out, nil
}

// watchAhead extends the watched scripts so far that no member can have issued
// an address beyond, Gap turns of n members above the highest one paid, nor
// approved change beyond.
func (c *Core) watchAhead(k *key) {
	ahead := [2]uint32{bitcoin.Receive: uint32(c.cfg.Gap+1) * uint32(c.cfg.Charter.N()), bitcoin.Change: changeAhead}
	for _, branch := range []bitcoin.Branch{bitcoin.Receive, bitcoin.Change} {
		for ; k.watched[branch] < k.paid[branch]+ahead[branch]; k.watched[branch]++ {
			path := bitcoin.Path{Branch: branch, Index: k.watched[branch]}
			if d, err := k.root.Derive(path); err == nil { // an index without a key has no address either
				c.keys.scripts[string(d.Script)] = watch{k.id, path}
			}
		}
	}
}

// Change indices rise with every approval, and not every approved transaction
// confirms. A member that was away knows those in blocks only: so no member
// approves one further above these than changeSpread (and the gap policy grants
// on top, 20), and all watch changeAhead.
const (
	changeSpread = 32
	changeAhead  = 64
)

// owner is the ledger's question: whose output is this? One without value is
// nobody's: anyone can make it, no transaction of ours can spend it, and policy
// would stumble over it.
func (c *Core) owner(o *wire.TxOut) (KeyID, bitcoin.Path, bool) {
	w, ok := c.keys.scripts[string(o.PkScript)]
	return w.key, w.path, ok && o.Value > 0
}

// paid notes that a block pays an address, and watches further. It says whether
// it does.
func (c *Core) paid(out *Effects, id KeyID, path bitcoin.Path) bool {
	k := c.keys.keys[id]
	if path.Index < k.paid[path.Branch] {
		return false
	}
	k.paid[path.Branch] = path.Index + 1
	k.nextChange = max(k.nextChange, k.paid[bitcoin.Change])
	c.watchAhead(k)
	c.saveKey(out, k)
	return true
}

// approvedChange notes that a change address will be used.
func (c *Core) approvedChange(out *Effects, k *key, index uint32) {
	if index >= k.nextChange {
		k.nextChange = index + 1
		c.saveKey(out, k)
	}
}

func (c *Core) saveKey(out *Effects, k *key) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(addressVersion)
	b.AddBytes(k.ceremony[:])
	b.AddBytes(k.threshPK[:])
	for _, v := range []uint32{k.issued, k.paid[bitcoin.Receive], k.paid[bitcoin.Change], k.nextChange} {
		b.AddUint32(v)
	}
	b.AddUint8(boolByte(k.verification.done))
	b.AddBytes(k.verification.sig[:])
	c.persist(out, "a/"+k.id.String(), b.BytesOrPanic())
}

// loadKey restores the public part of a key.
func (c *Core) loadKey(id KeyID, raw []byte) error {
	s := cryptobyte.String(raw)
	var version uint8
	var ceremony [32]byte
	var threshPK [33]byte
	var issued, receive, change, next uint32
	if !s.ReadUint8(&version) || version < 1 || version > addressVersion || !s.CopyBytes(ceremony[:]) || !s.CopyBytes(threshPK[:]) ||
		!s.ReadUint32(&issued) || !s.ReadUint32(&receive) || !s.ReadUint32(&change) || !s.ReadUint32(&next) {
		return errRecord
	}
	done, sig := uint8(1), [64]byte{} // version 1: addresses are in use without
	if version > 1 && (!s.ReadUint8(&done) || done > 1 || !s.CopyBytes(sig[:])) || !s.Empty() {
		return errRecord
	}
	k, err := c.newKey(id, ceremony, threshPK)
	if err != nil {
		return err
	}
	k.verification.done, k.verification.sig = done == 1, sig
	k.issued, k.paid, k.nextChange = issued, [2]uint32{receive, change}, next
	c.watchAhead(k)
	return nil
}

func (c *Core) saveCeremony(out *Effects, id [32]byte, p *ceremony) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(recordVersion)
	b.AddUint8(uint8(c.cfg.Charter.Index(p.proposer)))
	b.AddUint32(uint32(p.since))
	b.AddBytes(p.encode())
	c.persist(out, "p/"+hex.EncodeToString(id[:]), b.BytesOrPanic())
}

func (c *Core) loadCeremony(id [32]byte, raw []byte) error {
	s := cryptobyte.String(raw)
	var version, proposer uint8
	var since uint32
	if !s.ReadUint8(&version) || version != recordVersion || !s.ReadUint8(&proposer) ||
		int(proposer) >= len(c.members) || !s.ReadUint32(&since) {
		return errRecord
	}
	p, err := decodeCeremony(s)
	if err != nil {
		return err
	}
	p.proposer, p.since = c.members[proposer], bitcoin.Height(since)
	c.keys.proposals[id] = p
	for _, k := range c.keys.keys {
		if k.ceremony == id {
			k.label = p.Label
		}
	}
	return nil
}

// KeyView is what an operator sees of a key or a key in the making.
type KeyView struct {
	ID         KeyID // zero until the key was active
	Ceremony   [32]byte
	Label      string
	Suite      dkg.Suite
	T, N       int
	Phase      string
	Waiting    []protocols.NodeID
	Acks       int
	PublicKey  []byte   // of a Bitcoin key ThreshPK
	ThreshPK   [33]byte // of a Bitcoin key: compressed, untweaked
	Xpub       string
	Descriptor string
	// Verification is the members' signature of the key's verification message;
	// zero while there is none.
	Verification [64]byte
	Issued       uint32 // addresses this member gave out
	Balance      bitcoin.Sat
	Pending      bitcoin.Sat // promised to payouts, not confirmed as spent
}

// Keys lists keys and ceremonies, by label.
func (c *Core) Keys() []KeyView {
	var out []KeyView
	for _, s := range c.dkg.Sessions() {
		if s.Phase == dkg.PhaseFailed && !s.Final {
			continue // the next attempt is listed, or the one that made the key
		}
		v := KeyView{Ceremony: s.CeremonyID, Label: s.Label, T: s.T, N: len(s.Members), Phase: s.Phase.String(), Waiting: s.Waiting}
		if p := c.keys.proposals[s.CeremonyID]; p != nil {
			v.Suite = p.Suite
		}
		if s.Phase >= dkg.PhaseAcknowledging && s.Phase != dkg.PhaseFailed {
			v.Acks = v.N - len(s.Waiting)
		}
		if other := c.keys.suites[KeyID(s.SessionID)]; other != nil {
			v.ID, v.PublicKey = other.id, other.public.PublicKey()
			out = append(out, v)
			continue
		}
		k := c.keys.keys[KeyID(s.SessionID)]
		if k == nil {
			out = append(out, v)
			continue
		}
		if k.active && !k.ready() {
			v.Phase = PhaseVerifying
		}
		v.Verification = k.verification.sig
		v.ID, v.ThreshPK, v.PublicKey, v.Xpub, v.Descriptor, v.Issued = k.id, k.threshPK, slices.Clone(k.threshPK[:]), k.root.Xpub(), k.root.Descriptor(), k.issued
		for _, coin := range c.ledger.sorted() {
			if coin.Key != k.id || coin.Spent() {
				continue
			}
			v.Balance += coin.Amount
			if _, promised := c.promised(coin.Outpoint); promised {
				v.Pending += coin.Amount
			}
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b KeyView) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), slices.Compare(a.Ceremony[:], b.Ceremony[:]))
	})
	return out
}

// OldestBirth is the height up to which no key of this member, finished or in the
// making, can have coins. It is false if there is none.
func (c *Core) OldestBirth() (oldest bitcoin.Height, ok bool) {
	for _, s := range c.dkg.Sessions() {
		p := c.keys.proposals[s.CeremonyID]
		if s.Phase != dkg.PhaseFailed && p != nil && p.Suite == dkg.Bitcoin && (!ok || p.since < oldest) {
			oldest, ok = p.since, true
		}
	}
	return oldest, ok
}
