package federation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"frostfed/crypto/rfc9591"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/roast"
)

// Keys outside Bitcoin have no addresses and no coins; they sign messages. What
// names one in a request is 0 and its ID, in the place of a Bitcoin key's point,
// which never begins with 0.

// ErrSuiteThreshold refuses a key by which every member could sign alone.
var ErrSuiteThreshold = errors.New("keys outside Bitcoin need a threshold of at least 2")

// ErrOutsideBitcoin reports a command about coins for a key that has none.
var ErrOutsideBitcoin = errors.New("the key is not a Bitcoin key: it signs messages only")

// suiteKey is an active key outside Bitcoin. The signing machine has the share.
type suiteKey struct {
	id       KeyID
	ceremony [32]byte
	attempt  uint32
	label    string
	public   *rfc9591.Key
}

// name is what requests call the key.
func (k *suiteKey) name() (name [33]byte) {
	copy(name[1:], k.id[:])
	return name
}

// suiteKeyActive takes a key into use. It comes again after each restart.
func (c *Core) suiteKeyActive(now protocols.Time, out *Effects, event dkg.SuiteKeyActive) {
	id := KeyID(event.SessionID)
	if c.keys.suites[id] != nil {
		event.Share.Wipe()
		return
	}
	k := &suiteKey{id: id, ceremony: event.CeremonyID, attempt: event.Attempt, label: event.Label, public: event.Key}
	c.keys.suites[id] = k
	if !c.keys.restored[id] {
		c.persist(out, "s/"+id.String(), []byte{recordVersion})
	}
	c.roast.AddKey(roast.Key{ID: id, Public: event.Key, Share: event.Share, Participants: event.Participants})
	out.Out = append(out.Out, KeyReady{Key: id, Label: k.label, Acks: event.Acks, Fresh: !c.keys.restored[id]})
	c.resumeMessages(now, out, k)
	c.validateAgain(now, out)
}

// suiteOf returns the key outside Bitcoin that a request names.
func (c *Core) suiteOf(name [33]byte) (*suiteKey, bool) {
	if !outsideBitcoin(name) {
		return nil, false
	}
	k, ok := c.keys.suites[KeyID(name[1:])]
	return k, ok
}

func outsideBitcoin(name [33]byte) bool { return name[0] == 0 }

// findSuite resolves a label, or the beginning of an ID, among active keys outside
// Bitcoin. Of two attempts at one key the earlier one counts, as for all keys.
func (k *keyring) findSuite(name string) (found *suiteKey, err error) {
	for _, v := range k.sortedSuites() {
		if !matches(v.label, v.id, name) {
			continue
		}
		switch {
		case found == nil || found.ceremony == v.ceremony && v.attempt < found.attempt:
			found = v
		case found.ceremony != v.ceremony:
			return nil, ErrKeyAmbig
		}
	}
	return found, nil
}

func (k *keyring) sortedSuites() []*suiteKey {
	out := make([]*suiteKey, 0, len(k.suites))
	for _, v := range k.suites {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *suiteKey) int { return bytes.Compare(a.id[:], b.id[:]) })
	return out
}

// signer resolves the name of a key that is to sign a message: of either kind.
func (k *keyring) signer(name string) (key [33]byte, err error) {
	other, err := k.findSuite(name)
	if err != nil {
		return key, err
	}
	bitcoin, err := k.find(name)
	switch {
	case err == nil && other != nil, errors.Is(err, ErrKeyAmbig):
		return key, ErrKeyAmbig
	case err == nil:
		return bitcoin.threshPK, nil
	case other != nil:
		return other.name(), nil
	}
	return key, err
}

// SuiteOf returns what kind of key a name means, of those that can sign.
func (c *Core) SuiteOf(name string) (dkg.Suite, error) {
	key, err := c.keys.signer(name)
	if k, ok := c.suiteOf(key); err == nil && ok {
		return k.public.Suite(), nil
	}
	return dkg.Bitcoin, err
}

// approveMessage hands an approved message to the machine that signs for its key.
// It returns false for a Bitcoin key.
func (c *Core) approveMessage(now protocols.Time, out *Effects, r *request) bool {
	if !outsideBitcoin(r.key) {
		return false
	}
	if k, ok := c.suiteOf(r.key); ok && r.kind == KindMessage {
		c.fromRoast(now, out, c.roast.Approve(now, r.id, k.id, r.body))
	}
	return true
}

// resumeMessages goes on with what was approved for a key before a restart.
func (c *Core) resumeMessages(now protocols.Time, out *Effects, k *suiteKey) {
	for _, r := range c.requests.sorted() {
		if r.key == k.name() && r.verdict.Allow && r.signatures == nil && !r.finished(c.height()) {
			c.startSigning(now, out, r)
		}
	}
}

// refuseSigning tells the signing machine what this member refused.
func (c *Core) refuseSigning(now protocols.Time, out *Effects, r *request) {
	if outsideBitcoin(r.key) {
		c.fromRoast(now, out, c.roast.Refuse(now, r.id, string(r.verdict.Rule)))
	} else {
		c.fromSign(now, out, c.sign.Refuse(now, r.id, string(r.verdict.Rule)))
	}
}

func (c *Core) fromRoast(now protocols.Time, out *Effects, e protocols.Effects[roast.Event]) {
	absorb(c, now, out, roastPrefix, e)
	for _, event := range e.Out {
		switch event := event.(type) {
		case roast.Signed:
			c.signed(now, out, event.Request, [][]byte{event.Signature})
		case roast.Progress:
			out.Out = append(out.Out, SigningProgress{Request: event.Request, Session: event.Session,
				Have: event.Have, Need: event.Need, Waiting: event.Waiting})
		case roast.Failed:
			out.Out = append(out.Out, SigningFailed{Request: event.Request, Reason: event.Reason})
		}
	}
}

func (c *Core) roastConfig(epoch [16]byte) roast.Config {
	return roast.Config{Self: c.cfg.Self, Members: c.members, Federation: c.id, Rand: c.cfg.Rand, Epoch: epoch}
}

// SuiteName names what kind of key it is, for people: "bitcoin", or the suite.
func SuiteName(s dkg.Suite) string {
	if s == dkg.Bitcoin {
		return "bitcoin"
	}
	return s.String()
}

// ParseSuite is the inverse of SuiteName; empty is Bitcoin.
func ParseSuite(name string) (dkg.Suite, error) {
	if name == "" || name == SuiteName(dkg.Bitcoin) {
		return dkg.Bitcoin, nil
	}
	s, err := rfc9591.ParseSuite(name)
	if err != nil {
		return 0, fmt.Errorf("%w %q; there are bitcoin, ed25519, ristretto255, p256 and secp256k1", ErrSuite, name)
	}
	return s, nil
}

// ErrSuite reports a kind of key that does not exist.
var ErrSuite = errors.New("unknown kind of key")
