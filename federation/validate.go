package federation

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/sign"
)

// MessagesOff is the rule by which a member without an external command refuses
// to sign messages: nothing else could judge them.
const MessagesOff policy.Rule = "messages_off"

// maxAttempts bounds the transactions approved for one payout list.
const maxAttempts = 8

// validate judges a request by this member's own data, and approves or refuses.
// Approval is for good, and so is the no of the operator's command, which is asked
// once; another refusal may be lifted by a later call. Before this member has heard
// from the others what it promised before, it does not judge.
func (c *Core) validate(now protocols.Time, out *Effects, r *request) {
	if r.verdict.Allow || r.verdict.Rule == policy.ExternalRefused || r.finished(c.height()) || r.external == externalAsked || !c.heardEnough() {
		return
	}
	v, spend := c.judge(r)
	if v.Allow && len(c.cfg.Policy.External) > 0 && r.external != externalAllowed {
		c.askExternal(out, r, spend)
		return
	}
	c.decide(now, out, r, v, spend)
}

// validateAgain looks at every request that is not approved yet, within the bound
// for each proposer.
func (c *Core) validateAgain(now protocols.Time, out *Effects) {
	open := make(map[protocols.NodeID]int)
	for _, r := range c.requests.sorted() {
		if r.finished(c.height()) {
			continue
		}
		if open[r.proposer]++; open[r.proposer] <= maxOpenPerMember {
			c.validate(now, out, r)
		}
	}
}

// judge asks the pure policy.
func (c *Core) judge(r *request) (policy.Verdict, *bitcoin.Spend) {
	v := c.viewOf(r)
	var verdict policy.Verdict
	var spend *bitcoin.Spend
	switch r.kind {
	case KindPayout:
		verdict, spend = policy.Payout(c.cfg.Policy, v, *r.proposal)
	case KindTransaction:
		verdict, spend = policy.Transaction(c.cfg.Policy, v, r.key, 0, r.psbt)
	case KindMessage:
		return c.judgeMessage(r), nil
	}
	if !verdict.Allow {
		return verdict, nil
	}
	return policy.All(verdict, c.requests.window.Check(c.cfg.Policy, c.height(), spend), c.checkRestored()), spend
}

func (c *Core) judgeMessage(r *request) policy.Verdict {
	_, bitcoin := c.keyOf(r.key)
	if _, other := c.suiteOf(r.key); !bitcoin && !other {
		return policy.Verdict{Rule: policy.KeyUnknown, Reason: "this member does not sign with that key"}
	}
	if len(c.cfg.Policy.External) == 0 {
		return policy.Verdict{Rule: MessagesOff, Reason: "this member signs messages only if policy.external names a command that judges them"}
	}
	return policy.Verdict{Allow: true, Rule: policy.Allowed}
}

func (c *Core) askExternal(out *Effects, r *request, spend *bitcoin.Spend) {
	request := policy.MessageRequest(r.id, SuiteName(dkg.Bitcoin), r.key[:], r.body)
	if k, ok := c.suiteOf(r.key); ok {
		request = policy.MessageRequest(r.id, k.public.Suite().String(), k.public.PublicKey(), r.body)
	}
	if spend != nil {
		request = policy.TransactionRequest(r.id, spend)
	}
	body, err := json.Marshal(request)
	if err != nil {
		panic(fmt.Sprintf("federation: a plain struct does not encode: %v", err))
	}
	r.external = externalAsked
	out.Out = append(out.Out, AskExternal{Request: r.id, Input: body})
}

// ExternalVerdict brings the answer to AskExternal. All else is judged again,
// since time has passed.
func (c *Core) ExternalVerdict(now protocols.Time, id RequestID, v policy.Verdict) Effects {
	var out Effects
	r := c.requests.all[id]
	if r == nil || r.external != externalAsked {
		return out
	}
	if !v.Allow {
		r.external = externalNotAsked
		c.decide(now, &out, r, v, nil)
		return out
	}
	r.external = externalAllowed
	c.validate(now, &out, r)
	return out
}

func (c *Core) decide(now protocols.Time, out *Effects, r *request, v policy.Verdict, spend *bitcoin.Spend) {
	if !v.Allow && v.Rule == r.verdict.Rule {
		return // nothing new
	}
	r.verdict = v
	if v.Allow {
		c.approve(now, out, r, spend)
	} else if !v.Transient() {
		c.refuseSigning(now, out, r)
	}
	c.saveVerdict(out, r)
	out.Out = append(out.Out, RequestJudged{Request: r.id, Member: c.cfg.Self, Verdict: v})
	c.sendAll(now, protocols.Federation, encodeVerdict(r.id, v))
}

// approve promises the coins and lets the signing machine sign. The promise and
// the approval are in the same batch of records as everything that follows, so
// no partial signature leaves before both are durable.
func (c *Core) approve(now protocols.Time, out *Effects, r *request, spend *bitcoin.Spend) {
	if spend != nil {
		r.spend, r.leaving = spend, spend.Leaving()
		c.requests.lock(r)
		c.requests.window = c.requests.window.Add(c.height(), spend)
		c.persist(out, "w", c.requests.window.Encode())
		c.promiseMade(now, out)
		if k, ok := c.keyOf(r.key); ok {
			for _, own := range spend.Own {
				if own != nil && own.Path.Branch == bitcoin.Change {
					c.approvedChange(out, k, own.Path.Index)
				}
			}
		}
	}
	c.startSigning(now, out, r)
}

// startSigning hands the items of an approved request to the signing machine.
func (c *Core) startSigning(now protocols.Time, out *Effects, r *request) {
	if c.approveMessage(now, out, r) {
		return
	}
	k, ok := c.keyOf(r.key)
	if !ok {
		return // the key was forgotten; nothing can be signed with it
	}
	var items []sign.Item
	if r.spend == nil {
		items = []sign.Item{{Message: bitcoin.MessageHash(c.id, r.body)}}
	} else {
		hashes, err := r.spend.Sighashes()
		if err != nil {
			panic(fmt.Sprintf("federation: a transaction that was built has no sighash: %v", err))
		}
		for i, in := range r.spend.Inputs {
			items = append(items, sign.Item{Message: hashes[i], Tweaks: in.Derived.Tweaks, XOnly: in.Derived.XOnly})
		}
	}
	c.fromSign(now, out, c.sign.Approve(now, r.id, k.id, items))
}

func (c *Core) keyOf(pub [33]byte) (*key, bool) {
	for _, k := range c.keys.sorted() {
		if k.active && k.threshPK == pub {
			return k, true
		}
	}
	return nil, false
}

func (c *Core) height() bitcoin.Height {
	tip, _ := c.ledger.tip()
	return tip.Height
}

// view answers the policy's questions about one proposal from this member's own
// data.
type view struct {
	*Core
	key   [33]byte
	list  bitcoin.PayoutID // zero unless a payout
	coins []wire.OutPoint  // that the proposal would spend
	plan  bool             // the proposal is this member's own, yet to be made
}

func (c *Core) viewOf(r *request) *view {
	v := &view{Core: c, key: r.key, coins: r.inputs()}
	if r.proposal != nil {
		v.list = r.proposal.List
	}
	return v
}

func (v *view) Key(pub [33]byte, epoch uint64) (bitcoin.Key, bool) {
	k, ok := v.keyOf(pub)
	if !ok || epoch != 0 {
		return bitcoin.Key{}, false
	}
	return k.root, true
}

func (v *view) Tip() (policy.Tip, bool) {
	tip, ok := v.ledger.tip()
	return policy.Tip{Hash: tip.Hash, Height: tip.Height, Synced: v.chainReady}, ok
}

func (v *view) BlockHash(h bitcoin.Height) (chainhash.Hash, bool) { return v.ledger.hashAt(h) }

func (v *view) List(id bitcoin.PayoutID) (bitcoin.PayoutList, bool) {
	list, ok := v.requests.lists[id]
	return list, ok
}

// Paid hides earlier attempts that the request would make impossible: it shares
// a coin with each of them, so at most one of all can ever confirm.
func (v *view) Paid(list bitcoin.PayoutID) (chainhash.Hash, bool) {
	if txid, ok := v.requests.paid[list]; ok {
		return txid, true
	}
	for _, r := range v.requests.sorted() {
		if r.proposal != nil && r.proposal.List == list && !r.verdict.Allow && v.mayHavePaid(r) {
			return r.txid, true
		}
	}
	attempts := v.requests.attempts(list)
	for _, a := range attempts {
		if a.confirmedAt != 0 || len(attempts) >= maxAttempts || !v.conflicts(a) {
			return a.txid, true
		}
	}
	return chainhash.Hash{}, false
}

// conflicts says whether the proposal spends a coin that a spends too.
func (v *view) conflicts(a *request) bool {
	return slices.ContainsFunc(a.inputs(), func(o wire.OutPoint) bool { return slices.Contains(v.coins, o) })
}

func (v *view) Coin(o wire.OutPoint) (policy.Coin, bool) {
	coin, ok := v.ledger.coins[o]
	if !ok {
		return policy.Coin{}, false
	}
	out := policy.Coin{
		Coin:      bitcoin.Coin{OutPoint: o, Amount: coin.Amount, Path: coin.Path, Height: coin.Height},
		Confirmed: true, Coinbase: coin.Coinbase, Spent: coin.Spent(),
	}
	k := v.keys.keys[coin.Key]
	if k == nil || k.threshPK != v.key {
		return policy.Coin{}, false // of another key: unknown under this one
	}
	d, err := k.root.Derive(coin.Path)
	if err != nil {
		return policy.Coin{}, false
	}
	out.Script = d.Script
	// A promise to the same payout list is judged by Paid.
	p, promised := v.promised(o)
	if promised && (v.list == (bitcoin.PayoutID{}) || p.list != v.list) {
		out.Promised = p.txid
	}
	return out, true
}

func (v *view) Own(script []byte) (bitcoin.Path, bool) {
	w, ok := v.keys.scripts[string(script)]
	if !ok || v.keys.keys[w.key].threshPK != v.key {
		return bitcoin.Path{}, false
	}
	return w.path, true
}

// NextChange is, for a plan, the index to use: the next one, or again the lowest
// that no block has seen if too many approved ones were never confirmed. For the
// plans of others it is as far as these may be.
func (v *view) NextChange() uint32 {
	k, ok := v.keyOf(v.key)
	if !ok {
		return 0
	}
	seen := k.paid[bitcoin.Change]
	if !v.plan {
		return seen + changeSpread
	}
	if k.nextChange >= seen+changeSpread {
		return seen
	}
	return k.nextChange
}
