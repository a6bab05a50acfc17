package federation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
)

// RefusedError says that this member's own policy refuses what its operator asks
// for. Nothing was proposed.
type RefusedError struct{ Verdict policy.Verdict }

func (e *RefusedError) Error() string { return "refused by policy: " + e.Verdict.String() }

// Errors of proposals.
var (
	ErrNoTip       = errors.New("the chain backend has not told its best block yet; 'frostfed status' shows why")
	ErrListUnknown = errors.New("this member has no such payout list; add it with 'frostfed payouts add FILE'")
	ErrTooLarge    = fmt.Errorf("a request has at most %d bytes; leave previous transactions out of the PSBT", maxBody)
	ErrMessageSize = fmt.Errorf("a message to sign has 1 to %d bytes", MaxMessage)
)

// AddPayoutList gives this member its own copy of a list. Requests that waited
// for it are validated again.
func (c *Core) AddPayoutList(now protocols.Time, list bitcoin.PayoutList) Effects {
	var out Effects
	id := list.ID()
	if _, known := c.requests.lists[id]; known {
		return out
	}
	c.requests.lists[id] = list
	c.persist(&out, "l/"+id.String(), list.Encode())
	out.Out = append(out.Out, PayoutListAdded{List: id, Payees: len(list.Payees), Total: list.Total()})
	c.validateAgain(now, &out)
	return out
}

// PayoutRequest says which list to pay from which key.
type PayoutRequest struct {
	Key     string // label or ID
	List    bitcoin.PayoutID
	FeeRate bitcoin.SatPerKWU
	// Tx replaces the transaction that this member would build, unsigned. Every
	// member compares it with its own.
	Tx *wire.MsgTx
	// Force proposes even what this member's own validation refuses, Tx above all;
	// the others decide for themselves. A payout that this member cannot plan
	// itself cannot be forced.
	Force bool
}

// PlanPayout builds the proposal of a payout, and the transaction, without
// proposing it. Errors are *RefusedError and those about keys.
func (c *Core) PlanPayout(req PayoutRequest) (*policy.Proposal, *bitcoin.Spend, error) {
	k, err := c.keys.find(req.Key)
	if err != nil {
		return nil, nil, err
	}
	v := &view{Core: c, key: k.threshPK, list: req.List, plan: true}
	free, held := c.candidates(k, req.List)
	// The coins of an earlier attempt first: a transaction that shares none of
	// them would be refused, since both could confirm.
	v.coins = held
	p, verdict := policy.Propose(c.cfg.Policy, v, k.threshPK, 0, req.List, held, req.FeeRate)
	if len(held) == 0 || verdict.Rule == policy.FundsMissing {
		v.coins = append(held, free...)
		p, verdict = policy.Propose(c.cfg.Policy, v, k.threshPK, 0, req.List, v.coins, req.FeeRate)
	}
	if !verdict.Allow {
		return nil, nil, refusal(verdict)
	}
	if q, spend := c.reconcile(k, p); spend != nil {
		return &q, spend, nil
	}
	v.coins = p.Coins
	verdict, spend := policy.Payout(c.cfg.Policy, v, p)
	if !verdict.Allow {
		return nil, nil, refusal(verdict)
	}
	return &p, spend, nil
}

// reconcile adds to a plan a coin of every other transaction for the same list
// that some member approved. Members that approved different ones, none of which
// got t approvals, can all approve this one: without it the list would never be
// paid. It returns no spend if own policy does not let those coins go.
func (c *Core) reconcile(k *key, p policy.Proposal) (policy.Proposal, *bitcoin.Spend) {
	p.Coins = slices.Clone(p.Coins)
	added := 0 // bounded, since members may lie about what they approve
	for _, r := range c.requests.sorted() {
		if added == maxAttempts || r.proposal == nil || r.proposal.List != p.List || !r.backed() ||
			slices.ContainsFunc(r.inputs(), func(o wire.OutPoint) bool { return slices.Contains(p.Coins, o) }) {
			continue
		}
		for _, o := range r.inputs() {
			coin, ok := c.ledger.coins[o]
			promise, promised := c.promised(o)
			if ok && coin.Key == k.id && !coin.Spent() && (!promised || promise.list == p.List) {
				p.Coins = append(p.Coins, o)
				added++
				break
			}
		}
	}
	if added == 0 {
		return p, nil
	}
	slices.SortFunc(p.Coins, compareOutpoints)
	payout := bitcoin.Payout{Key: k.root, List: c.requests.lists[p.List], FeeRate: p.FeeRate, Change: p.Change, LockTime: p.Height}
	for _, o := range p.Coins {
		coin := c.ledger.coins[o]
		payout.Coins = append(payout.Coins, bitcoin.Coin{OutPoint: o, Amount: coin.Amount, Path: coin.Path, Height: coin.Height})
	}
	built, err := bitcoin.BuildPayout(payout)
	if err != nil {
		return p, nil
	}
	p.Tx = built.Bytes()
	v := &view{Core: c, key: k.threshPK, list: p.List, plan: true, coins: p.Coins}
	_, spend := policy.Payout(c.cfg.Policy, v, p)
	return p, spend
}

// backed says whether this member approved the request, or another one says so.
func (r *request) backed() bool {
	if r.verdict.Allow {
		return true
	}
	for _, v := range r.verdicts {
		if v.Allow {
			return true
		}
	}
	return false
}

// refusal turns a verdict of this member's own policy into an error.
func refusal(v policy.Verdict) error {
	if v.Rule == policy.TipUnknown || v.Rule == policy.TipStale {
		return fmt.Errorf("%w: %s", ErrNoTip, v.Reason)
	}
	if v.Rule == policy.PayoutUnknown {
		return ErrListUnknown
	}
	return &RefusedError{v}
}

// candidates lists the coins of k that nothing is promised, and those promised to
// the list already.
func (c *Core) candidates(k *key, list bitcoin.PayoutID) (free, held []wire.OutPoint) {
	for _, coin := range c.ledger.sorted() {
		if coin.Key != k.id || coin.Spent() {
			continue
		}
		promise, promised := c.promised(coin.Outpoint)
		switch {
		case !promised:
			free = append(free, coin.Outpoint)
		case promise.list == list:
			held = append(held, coin.Outpoint)
		}
	}
	return free, held
}

// Pay proposes to pay a list. It returns *RefusedError if this member itself
// refuses and Force is not set.
func (c *Core) Pay(now protocols.Time, req PayoutRequest) (RequestID, Effects, error) {
	p, _, err := c.PlanPayout(req)
	if err != nil {
		return RequestID{}, Effects{}, err
	}
	if req.Tx != nil {
		if p.Coins, p.Tx, err = foreignTx(req.Tx); err != nil {
			return RequestID{}, Effects{}, err
		}
	}
	return c.propose(now, KindPayout, p.Key, p.Encode(), req.Force)
}

// foreignTx returns the coins that tx spends, sorted, and its unsigned bytes.
func foreignTx(tx *wire.MsgTx) ([]wire.OutPoint, []byte, error) {
	if tx.SerializeSizeStripped() > bitcoin.MaxTxSize {
		return nil, nil, ErrTooLarge
	}
	var b bytes.Buffer
	if err := tx.SerializeNoWitness(&b); err != nil {
		return nil, nil, fmt.Errorf("encode transaction: %w", err)
	}
	spent := make([]wire.OutPoint, len(tx.TxIn))
	for i, in := range tx.TxIn {
		spent[i] = in.PreviousOutPoint
	}
	slices.SortFunc(spent, compareOutpoints)
	return slices.Compact(spent), b.Bytes(), nil
}

// SignTransaction proposes to sign a transaction that was composed elsewhere.
func (c *Core) SignTransaction(now protocols.Time, name string, psbt []byte, force bool) (RequestID, Effects, error) {
	k, err := c.keys.find(name)
	if err != nil {
		return RequestID{}, Effects{}, err
	}
	if _, err := bitcoin.DecodePSBT(psbt); err != nil {
		return RequestID{}, Effects{}, err
	}
	return c.propose(now, KindTransaction, k.threshPK, psbt, force)
}

// SignMessage proposes to sign a message. What a Bitcoin key signs is its hash
// under a tag of our own (bitcoin.MessageHash), with the untweaked key; what
// another one signs is rfc9591.SignedBytes.
func (c *Core) SignMessage(now protocols.Time, name string, message []byte, force bool) (RequestID, Effects, error) {
	key, err := c.keys.signer(name)
	if err != nil {
		return RequestID{}, Effects{}, err
	}
	if len(message) == 0 || len(message) > MaxMessage {
		return RequestID{}, Effects{}, ErrMessageSize
	}
	return c.propose(now, KindMessage, key, message, force)
}

func (c *Core) propose(now protocols.Time, kind Kind, key [33]byte, body []byte, force bool) (RequestID, Effects, error) {
	var out Effects
	if !c.roomForOwn() {
		return RequestID{}, out, ErrTooManyOpen
	}
	if len(body) > maxBody {
		return RequestID{}, out, ErrTooLarge
	}
	p := payload{kind: kind, key: key, body: body}
	if _, err := io.ReadFull(c.cfg.Rand, p.nonce[:]); err != nil {
		return RequestID{}, out, fmt.Errorf("read randomness: %w", err)
	}
	raw := p.encode()
	id := RequestID(c.proposalID(requestTag, c.cfg.Self, raw))
	r, err := newRequest(id, c.cfg.Self, 0, c.height(), raw)
	if err != nil {
		return RequestID{}, out, err
	}
	if v, _ := c.judge(r); !v.Allow && !force {
		return RequestID{}, out, refusal(v)
	}
	err = c.broadcast(now, &out, topic(topicRequest, id), raw)
	return id, out, err
}

// requestProposed takes a request that some member broadcast.
func (c *Core) requestProposed(now protocols.Time, out *Effects, sender protocols.NodeID, id [32]byte, raw []byte) {
	r, err := newRequest(id, sender, c.requests.next, c.height(), raw)
	if err == nil && id != c.proposalID(requestTag, sender, raw) {
		err = errors.New("the ID of the request does not fit its content")
	}
	if err != nil {
		out.Faults = append(out.Faults, protocols.Fault{Culprit: sender, Kind: FaultBadProposal, Detail: err.Error()})
		return
	}
	if c.requests.all[r.id] != nil {
		return
	}
	c.requests.next++
	c.requests.all[r.id] = r
	c.saveRequest(out, r)
	out.Out = append(out.Out, RequestProposed{Request: r.id, Kind: r.kind, Proposer: sender, TxID: r.txid})
	c.takeEarlyVerdicts(out, r)
	c.findConfirmation(now, out, r)
	if c.requests.open(sender, c.height()) <= maxOpenPerMember {
		c.validate(now, out, r)
	}
	c.prune(now, out)
}

// roomForOwn says whether this member may propose one more: what it proposed and
// cannot forget yet takes up its share of everybody's broadcasts.
func (c *Core) roomForOwn() bool {
	var live, size int
	for _, r := range c.requests.all {
		if r.proposer == c.cfg.Self && !r.forgettable(c.height()) {
			live, size = live+1, size+len(r.raw)
		}
	}
	return c.requests.open(c.cfg.Self, c.height()) < maxOpenPerMember && live < maxLivePerMember && size < maxLiveBytes
}

// prune forgets the oldest settled requests of each proposer, but not that a list
// was paid: its request could be broadcast again.
func (c *Core) prune(now protocols.Time, out *Effects) {
	type usage struct{ count, bytes int }
	kept := make(map[protocols.NodeID]usage)
	for _, r := range slices.Backward(c.requests.sorted()) {
		if !r.forgettable(c.height()) {
			continue
		}
		u := kept[r.proposer]
		u.count, u.bytes = u.count+1, u.bytes+len(r.raw)
		kept[r.proposer] = u
		if u.count > maxFinished || u.bytes > maxFinishedBytes {
			c.forget(now, out, r)
		}
	}
}

func (c *Core) forget(now protocols.Time, out *Effects, r *request) {
	if r.proposal != nil && r.confirmedAt != 0 && c.mayHavePaid(r) {
		c.requests.paid[r.proposal.List] = r.txid
		c.persist(out, "q/"+r.proposal.List.String(), r.txid.CloneBytes())
	}
	delete(c.requests.all, r.id)
	for _, o := range r.inputs() {
		if c.requests.locks[o].request == r.id {
			delete(c.requests.locks, o)
		}
	}
	for _, kind := range []string{"r/", "v/", "x/"} {
		c.persist(out, kind+r.id.String(), nil)
	}
	c.fromSign(now, out, c.sign.Cancel(now, r.id))
	c.fromRoast(now, out, c.roast.Cancel(now, r.id))
	absorb(c, now, out, echoPrefix, c.echo.Forget(now, r.proposer, topic(topicRequest, r.id)))
}
