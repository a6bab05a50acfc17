package federation

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/evidence"
	"frostfed/policy"
	"frostfed/protocols"
)

// Records of this package, all below "f/":
//
//	b/<height>      block hash of the chain view
//	c/<outpoint>    coin
//	p/<ceremony>    proposer, height to search from, proposal as broadcast
//	a/<key>         public key and address counters
//	s/<key>         1: this key outside Bitcoin was active
//	l/<list>        payout list
//	q/<list>        transaction that paid it, once the request is forgotten
//	r/<request>     proposer, order, arrival, and the request as broadcast
//	v/<request>     own verdict; if it allows, what was approved
//	x/<request>     signatures, transaction, where it was confirmed
//	w               spending window
//	m               count of own promises, and the fence after a restore
//	e/<evidence>    a proof against a member
//	k/<index>       the highest count that another member signed of its own
//
// Values of our own making begin with a version byte.
const recordVersion = 1

var errRecord = errors.New("malformed record")

func (c *Core) persist(out *Effects, key string, value []byte) {
	out.Persist = append(out.Persist, protocols.Record{Key: ownPrefix + "/" + key, Value: value})
}

func (c *Core) persistAll(out *Effects, records []protocols.Record) {
	for _, r := range records {
		c.persist(out, r.Key, r.Value)
	}
}

func (c *Core) saveRequest(out *Effects, r *request) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(recordVersion)
	b.AddUint8(uint8(c.cfg.Charter.Index(r.proposer)))
	b.AddUint64(r.order)
	b.AddUint32(uint32(r.arrivedAt))
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(r.raw) })
	c.persist(out, "r/"+r.id.String(), b.BytesOrPanic())
}

func (c *Core) loadRequest(id RequestID, value []byte) error {
	s := cryptobyte.String(value)
	var version, proposer uint8
	var order uint64
	var arrived uint32
	var raw cryptobyte.String
	if !s.ReadUint8(&version) || version != recordVersion || !s.ReadUint8(&proposer) || int(proposer) >= len(c.members) ||
		!s.ReadUint64(&order) || !s.ReadUint32(&arrived) || !s.ReadUint24LengthPrefixed(&raw) || !s.Empty() {
		return errRecord
	}
	r, err := newRequest(id, c.members[proposer], order, bitcoin.Height(arrived), raw)
	if err != nil {
		return err
	}
	c.requests.all[id] = r
	c.requests.next = max(c.requests.next, order+1)
	return nil
}

// approval is what a member approved: enough to sign it again after a restart,
// whatever has become of the coins meanwhile.
type approval struct {
	tx    []byte
	coins []bitcoin.Coin
}

func (c *Core) saveVerdict(out *Effects, r *request) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(recordVersion)
	b.AddUint8(boolByte(r.verdict.Allow))
	addText(b, string(r.verdict.Rule))
	addText(b, r.verdict.Reason)
	if r.spend != nil {
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(r.spend.Bytes()) })
		b.AddUint16(uint16(len(r.spend.Inputs)))
		for _, in := range r.spend.Inputs {
			b.AddUint64(uint64(in.Coin.Amount))
			b.AddUint32(uint32(in.Coin.Path.Branch))
			b.AddUint32(in.Coin.Path.Index)
			b.AddUint32(uint32(in.Coin.Height))
		}
	}
	c.persist(out, "v/"+r.id.String(), b.BytesOrPanic())
}

func (c *Core) loadVerdict(r *request, value []byte) error {
	s := cryptobyte.String(value)
	var version, allow uint8
	var rule, reason, tx cryptobyte.String
	if !s.ReadUint8(&version) || version != recordVersion || !s.ReadUint8(&allow) ||
		!s.ReadUint16LengthPrefixed(&rule) || !s.ReadUint16LengthPrefixed(&reason) {
		return errRecord
	}
	r.verdict = policy.Verdict{Allow: allow == 1, Rule: policy.Rule(rule), Reason: string(reason)}
	if s.Empty() {
		if r.verdict.Allow && r.kind != KindMessage {
			return errRecord
		}
		return nil
	}
	var count uint16
	if !s.ReadUint24LengthPrefixed(&tx) || !s.ReadUint16(&count) {
		return errRecord
	}
	a := &approval{tx: tx}
	unsigned, err := bitcoin.DecodeTx(tx)
	if err != nil || len(unsigned.TxIn) != int(count) {
		return errRecord
	}
	for _, in := range unsigned.TxIn {
		var amount uint64
		var branch, index, height uint32
		if !s.ReadUint64(&amount) || !s.ReadUint32(&branch) || !s.ReadUint32(&index) || !s.ReadUint32(&height) {
			return errRecord
		}
		a.coins = append(a.coins, bitcoin.Coin{OutPoint: in.PreviousOutPoint, Amount: bitcoin.Sat(amount),
			Path: bitcoin.Path{Branch: bitcoin.Branch(branch), Index: index}, Height: bitcoin.Height(height)})
	}
	if !s.Empty() {
		return errRecord
	}
	r.approval = a
	c.requests.lock(r)
	return nil
}

func (c *Core) saveSignatures(out *Effects, r *request) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(recordVersion)
	b.AddUint32(uint32(r.confirmedAt))
	b.AddUint32(uint32(r.replacedAt))
	b.AddUint16(uint16(len(r.signatures)))
	for _, sig := range r.signatures {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(sig) })
	}
	if r.signed != nil {
		b.AddBytes(encodeSigned(r.signed))
	}
	c.persist(out, "x/"+r.id.String(), b.BytesOrPanic())
}

func (c *Core) loadSignatures(r *request, value []byte) error {
	s := cryptobyte.String(value)
	var version uint8
	var confirmed, replaced uint32
	var count uint16
	if !s.ReadUint8(&version) || version != recordVersion || !s.ReadUint32(&confirmed) || !s.ReadUint32(&replaced) || !s.ReadUint16(&count) {
		return errRecord
	}
	r.confirmedAt, r.replacedAt = bitcoin.Height(confirmed), bitcoin.Height(replaced)
	for range count {
		var sig cryptobyte.String
		if !s.ReadUint8LengthPrefixed(&sig) || len(sig) != 64 && (len(sig) != 65 || !outsideBitcoin(r.key)) {
			return errRecord
		}
		r.signatures = append(r.signatures, bytes.Clone(sig))
	}
	if s.Empty() {
		return nil
	}
	r.signed = new(wire.MsgTx)
	if err := r.signed.Deserialize(bytes.NewReader(s)); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	return nil
}

// restoreOwn reads the records of this package, in order of their keys: requests
// ("r/") come before what hangs on them ("v/", "x/").
func (c *Core) restoreOwn(records []protocols.Record) error {
	for _, r := range records {
		if err := c.restoreRecord(r); err != nil {
			return fmt.Errorf("record %q: %w", r.Key, err)
		}
	}
	return nil
}

func (c *Core) restoreRecord(r protocols.Record) error {
	if r.Key == "w" {
		window, err := policy.DecodeWindow(r.Value)
		c.requests.window = window
		return err
	}
	if r.Key == "m" {
		return c.loadPromiseLog(r.Value)
	}
	kind, rest, _ := strings.Cut(r.Key, "/")
	if kind == "b" || kind == "c" {
		return c.ledger.load(r)
	}
	if kind == "k" {
		return c.loadMark(rest, r.Value)
	}
	id, err := hex.DecodeString(rest)
	if err != nil || len(id) != 32 {
		return errRecord
	}
	switch kind {
	case "p":
		return c.loadCeremony([32]byte(id), r.Value)
	case "a":
		return c.loadKey(KeyID(id), r.Value)
	case "s":
		c.keys.restored[KeyID(id)] = true
	case "l":
		list, err := bitcoin.DecodePayoutList(r.Value)
		if err != nil {
			return err
		}
		c.requests.lists[list.ID()] = list
	case "q":
		if len(r.Value) != chainhash.HashSize {
			return errRecord
		}
		c.requests.paid[bitcoin.PayoutID(id)] = chainhash.Hash(r.Value)
	case "e":
		return c.loadProof(evidence.ID(id), r.Value)
	case "r":
		return c.loadRequest(RequestID(id), r.Value)
	case "v", "x":
		req := c.requests.all[RequestID(id)]
		if req == nil {
			return ErrRequestUnknown
		}
		if kind == "v" {
			return c.loadVerdict(req, r.Value)
		}
		return c.loadSignatures(req, r.Value)
	}
	return nil
}

// resumeRefusals tells the signing machine, which forgets them, what this member
// refused before a restart, so that coordinators get an answer.
func (c *Core) resumeRefusals(now protocols.Time, out *Effects) {
	for _, r := range c.requests.sorted() {
		if r.state(c.height()) == StateRefused {
			c.refuseSigning(now, out, r)
		}
	}
}

// resumeRequests goes on with what was approved for a key before a restart, now
// that the key is there again. Promises hold from the moment of loading.
func (c *Core) resumeRequests(now protocols.Time, out *Effects, k *key) {
	for _, r := range c.requests.sorted() {
		if r.key != k.threshPK || !r.verdict.Allow {
			continue
		}
		if r.approval != nil {
			c.resumeApproval(r, k)
		}
		if r.signatures == nil && !r.finished(c.height()) {
			c.startSigning(now, out, r)
		}
		c.submit(out, r)
	}
}

func (c *Core) resumeApproval(r *request, k *key) {
	a := r.approval
	tx, err := bitcoin.DecodeTx(a.tx)
	if err != nil {
		panic(fmt.Sprintf("federation: request %s: %v", r.id, err)) // loadVerdict decoded it
	}
	coin := func(o wire.OutPoint) (bitcoin.Coin, bool) {
		for _, coin := range a.coins {
			if coin.OutPoint == o {
				return coin, true
			}
		}
		return bitcoin.Coin{}, false
	}
	own := c.viewOf(r).Own
	if r.spend, err = bitcoin.NewSpend(k.root, tx, coin, own); err != nil {
		panic(fmt.Sprintf("federation: request %s was approved but cannot be built again: %v", r.id, err))
	}
	r.leaving, r.approval = r.spend.Leaving(), nil
}

// addText writes a text for people so that readText of any member takes it: cut
// between characters, and without those that do not print.
func addText(b *cryptobyte.Builder, s string) {
	var out []byte
	for _, r := range s {
		if !readable(r) {
			r = '?'
		}
		if len(out)+utf8.RuneLen(r) > maxText {
			break
		}
		out = utf8.AppendRune(out, r)
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(out) })
}
