package federation

import (
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
)

// MemberView is what this member knows of one member of the charter.
type MemberView struct {
	Index     int
	ID        protocols.NodeID
	Name      string
	Self      bool
	Connected bool
	Stalled   bool           // does not acknowledge messages
	LastSeen  protocols.Time // on the driver's clock; 0 is never
	Version   string         // as it says
	Height    bitcoin.Height // of its chain view, as it says
	Nonces    int            // pairs of it that this member can coordinate with
	NoncesLow bool           // they have been too few for some seconds
}

// Members lists the members in order of index.
func (c *Core) Members() []MemberView {
	pools := c.sign.Pools()
	out := make([]MemberView, len(c.members))
	for i, id := range c.members {
		v := MemberView{Index: i, ID: id, Name: c.cfg.Charter.Cards[i].Name, Self: id == c.cfg.Self}
		if p := c.peers[id]; p != nil {
			v.Connected, v.Stalled, v.LastSeen, v.Version, v.Height = p.connected, p.stalled, p.lastSeen, p.version, p.height
		} else {
			v.Version, v.Height = c.cfg.Version, c.height()
		}
		for _, pool := range pools {
			if pool.Member == id {
				v.Nonces, v.NoncesLow = pool.Available, pool.Low
			}
		}
		out[i] = v
	}
	return out
}

// Status is this member in short.
type Status struct {
	Federation string
	Name       string
	Network    bitcoin.Network
	Self       protocols.NodeID
	Index      int
	N, T       int
	Connected  int // members, this one included
	Tip        BlockID
	ChainReady bool
	Keys       int            // that may be used
	Open       int            // requests that are not finished
	Fence      bitcoin.Height // up to which forgotten promises may bind coins; 0: none
	Heard      bool           // enough members have told what they know of this one's promises
}

// Status returns the short view.
func (c *Core) Status() Status {
	tip, _ := c.ledger.tip()
	s := Status{Federation: c.id.String(), Name: c.cfg.Charter.Name, Network: c.network, Self: c.cfg.Self, Index: c.index,
		N: c.cfg.Charter.N(), T: c.cfg.Charter.Threshold, Connected: 1, Tip: tip, ChainReady: c.chainReady}
	if s.Heard = c.heardEnough(); c.fenced() {
		s.Fence = c.own.fence
	}
	for _, k := range c.keys.keys {
		if k.ready() {
			s.Keys++
		}
	}
	s.Keys += len(c.keys.suites)
	for _, p := range c.peers {
		if p.connected {
			s.Connected++
		}
	}
	for _, r := range c.requests.all {
		if !r.finished(tip.Height) {
			s.Open++
		}
	}
	return s
}

// RequestView is what an operator sees of a request.
type RequestView struct {
	ID         RequestID
	Kind       Kind
	State      State
	Proposer   protocols.NodeID
	Suite      dkg.Suite
	PublicKey  []byte // nil for a key outside Bitcoin that this member does not have
	KeyLabel   string
	TxID       chainhash.Hash
	List       bitcoin.PayoutID // of a payout
	Message    []byte           // of a message
	Leaving    bitcoin.Sat      // what this member approved to leave, fee included
	Verdicts   []MemberVerdict  // in order of index; those that are known
	Signatures [][]byte
	Tx         *wire.MsgTx // signed
	Height     bitcoin.Height
	Depth      int // confirmations
}

// MemberVerdict is the word of one member about a request.
type MemberVerdict struct {
	Member  protocols.NodeID
	Verdict policy.Verdict
}

// Requests lists all requests in the order in which they came.
func (c *Core) Requests() []RequestView {
	var out []RequestView
	for _, r := range c.requests.sorted() {
		out = append(out, c.requestView(r))
	}
	return out
}

// Request returns one request by the beginning of its ID.
func (c *Core) Request(prefix string) (RequestView, error) {
	r, err := c.requests.find(prefix)
	if err != nil {
		return RequestView{}, err
	}
	return c.requestView(r), nil
}

func (c *Core) requestView(r *request) RequestView {
	v := RequestView{ID: r.id, Kind: r.kind, State: r.state(c.height()), Proposer: r.proposer, TxID: r.txid,
		Leaving: r.leaving, Signatures: slices.Clone(r.signatures), Tx: r.signed, Height: r.confirmedAt,
		Depth: c.ledger.confirmations(r.confirmedAt)}
	if !outsideBitcoin(r.key) {
		v.PublicKey = slices.Clone(r.key[:])
	}
	if k, ok := c.keyOf(r.key); ok {
		v.KeyLabel = k.label
	}
	if k, ok := c.suiteOf(r.key); ok {
		v.Suite, v.PublicKey, v.KeyLabel = k.public.Suite(), k.public.PublicKey(), k.label
	}
	if r.proposal != nil {
		v.List = r.proposal.List
	}
	if r.kind == KindMessage {
		v.Message = slices.Clone(r.body)
	}
	for _, id := range c.members {
		verdict, known := r.verdicts[id]
		if id == c.cfg.Self {
			verdict, known = r.verdict, r.verdict.Rule != ""
		}
		if known {
			v.Verdicts = append(v.Verdicts, MemberVerdict{id, verdict})
		}
	}
	return v
}

// Coins lists the unspent coins of the chain view, by outpoint.
func (c *Core) Coins() []Coin {
	var out []Coin
	for _, coin := range c.ledger.sorted() {
		if !coin.Spent() {
			out = append(out, *coin)
		}
	}
	return out
}

// PayoutListView is a list this member holds.
type PayoutListView struct {
	ID        bitcoin.PayoutID
	Reference string
	Payees    int
	Total     bitcoin.Sat
	State     State // of the request that pays it, or "" if there is none
}

// PayoutLists lists the payout lists, by ID.
func (c *Core) PayoutLists() []PayoutListView {
	var out []PayoutListView
	for id, list := range c.requests.lists {
		v := PayoutListView{ID: id, Reference: list.Reference, Payees: len(list.Payees), Total: list.Total()}
		for _, r := range c.requests.attempts(id) {
			if v.State != StateConfirmed {
				v.State = r.state(c.height())
			}
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b PayoutListView) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
}
