package federation

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"golang.org/x/crypto/cryptobyte"

	"frostfed/bitcoin"
	"frostfed/policy"
	"frostfed/protocols"
)

// RequestID names a request to sign: the tagged hash of federation, proposer and
// payload.
type RequestID [32]byte

func (id RequestID) String() string { return hex.EncodeToString(id[:]) }

// Kind is what a request asks to sign.
type Kind uint8

// The kinds of requests.
const (
	KindPayout      Kind = 1 // a payout list, paid from the federation's coins
	KindTransaction Kind = 2 // a transaction composed elsewhere, as PSBT
	KindMessage     Kind = 3 // a message under our own tag, never a transaction
)

func (k Kind) String() string {
	switch k {
	case KindPayout:
		return "payout"
	case KindTransaction:
		return "transaction"
	case KindMessage:
		return "message"
	}
	return "unknown"
}

const (
	requestVersion = 1
	requestTag     = "frostfed/v1/request"

	// MaxMessage bounds a message to sign, in bytes.
	MaxMessage = 4096
	// maxBody bounds the body of a request: the largest standard transaction in a
	// proposal, with its coins.
	maxBody = 256 << 10
	// maxOpenPerMember bounds the unfinished requests that one member proposes, and
	// of each proposer those that are validated, the oldest first: what a member
	// that proposes without end can make the others compute. More are held, as far
	// as reliable broadcast holds them (512, 16 MiB per sender): to refuse them
	// would lose honest ones at a member that has been away and does not know yet
	// that the first are confirmed.
	maxOpenPerMember = 64
	// maxFinished and maxFinishedBytes bound the history of one proposer, the
	// others what it may have under way. Together with its keys that keeps an
	// honest member below the limits of its broadcasts.
	maxFinished      = 64
	maxFinishedBytes = 2 << 20
	maxLivePerMember = 192
	maxLiveBytes     = 8 << 20
)

// payload is a request as broadcast.
type payload struct {
	kind  Kind
	nonce [16]byte // makes a repeated request a new one
	key   [33]byte // plain threshold key, or 0 and the ID of a key outside Bitcoin
	body  []byte   // policy.Proposal, PSBT or message
}

func (p *payload) encode() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(requestVersion)
	b.AddUint8(uint8(p.kind))
	b.AddBytes(p.nonce[:])
	b.AddBytes(p.key[:])
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.body) })
	return b.BytesOrPanic() // the body was checked
}

var errRequest = errors.New("malformed request")

func decodePayload(raw []byte) (*payload, error) {
	p := new(payload)
	s := cryptobyte.String(raw)
	var version, kind uint8
	var body cryptobyte.String
	if !s.ReadUint8(&version) || version != requestVersion || !s.ReadUint8(&kind) || !s.CopyBytes(p.nonce[:]) ||
		!s.CopyBytes(p.key[:]) || !s.ReadUint24LengthPrefixed(&body) || !s.Empty() || len(body) > maxBody {
		return nil, errRequest
	}
	p.kind, p.body = Kind(kind), body
	if p.kind == KindMessage && (len(body) == 0 || len(body) > MaxMessage) {
		return nil, fmt.Errorf("%w: message of %d bytes", errRequest, len(body))
	}
	return p, nil
}

// State is where a request stands at this member.
type State string

// The states of a request.
const (
	StateWaiting   State = "waiting"   // own validation lacks something that may still come
	StateRefused   State = "refused"   // own validation says no
	StateApproved  State = "approved"  // own validation says yes; being signed
	StateSigned    State = "signed"    // signatures complete; a transaction is on its way
	StateConfirmed State = "confirmed" // a block of the own chain view holds it
	StateReplaced  State = "replaced"  // a block spends one of its coins otherwise
	StateExpired   State = "expired"   // too old, and not signed
)

// expiry is how many blocks a request may stay unsigned: policy refuses older
// proposals, so no further member would approve.
const expiry = 144

// request is a request as this member knows it.
type request struct {
	id       RequestID
	proposer protocols.NodeID
	order    uint64 // in which this member came to know it
	raw      []byte
	payload

	proposal *policy.Proposal // of a payout
	psbt     *bitcoin.PSBT    // of a transaction
	txid     chainhash.Hash   // as proposed; zero for a message

	verdict  policy.Verdict // own; Rule is empty before the first validation
	spend    *bitcoin.Spend // what this member approved
	leaving  bitcoin.Sat
	approval *approval // restored, until the key is active
	external externalState
	verdicts map[protocols.NodeID]policy.Verdict // of the others, as they say

	arrivedAt   bitcoin.Height // own tip when it came; 0 while there is none
	signatures  [][]byte
	signed      *wire.MsgTx
	confirmedAt bitcoin.Height
	replacedAt  bitcoin.Height // block in which another transaction spends its coins
}

type externalState uint8

const (
	externalNotAsked externalState = iota
	externalAsked
	externalAllowed
)

func (r *request) state(tip bitcoin.Height) State {
	switch {
	case r.confirmedAt != 0:
		return StateConfirmed
	case r.replacedAt != 0:
		return StateReplaced
	case r.signatures != nil:
		return StateSigned
	case r.expired(tip):
		return StateExpired
	case r.verdict.Allow:
		return StateApproved
	case r.verdict.Rule == "" || r.verdict.Transient():
		return StateWaiting
	}
	return StateRefused
}

// expired counts from the proposal's block if there is one: a member that was away
// is far behind it when the request arrives.
func (r *request) expired(tip bitcoin.Height) bool {
	made := r.arrivedAt
	if r.proposal != nil {
		made = max(made, r.proposal.Height)
	}
	return r.signatures == nil && made != 0 && uint64(tip) > uint64(made)+expiry
}

// finished says that nothing more will happen but a reorg.
func (r *request) finished(tip bitcoin.Height) bool {
	return r.confirmedAt != 0 || r.replacedAt != 0 || r.expired(tip) || r.kind == KindMessage && r.signatures != nil
}

// forgettable says that no reorg is expected to bring it back, and that no coin
// hangs on it.
func (r *request) forgettable(tip bitcoin.Height) bool {
	switch settled := max(r.confirmedAt, r.replacedAt); {
	case settled != 0:
		return tip > settled+forgetSpent
	case r.kind == KindMessage:
		return r.finished(tip)
	}
	return r.expired(tip) && !r.verdict.Allow
}

// newRequest decodes what a proposer broadcast.
func newRequest(id RequestID, proposer protocols.NodeID, order uint64, arrivedAt bitcoin.Height, raw []byte) (*request, error) {
	p, err := decodePayload(raw)
	if err != nil {
		return nil, err
	}
	r := &request{id: id, proposer: proposer, order: order, arrivedAt: arrivedAt, raw: raw, payload: *p, verdicts: make(map[protocols.NodeID]policy.Verdict)}
	switch p.kind {
	case KindPayout:
		proposal, err := policy.DecodeProposal(p.body)
		if err != nil {
			return nil, err
		}
		if proposal.Key != p.key {
			return nil, fmt.Errorf("%w: two keys", errRequest)
		}
		tx, err := bitcoin.DecodeTx(proposal.Tx)
		if err != nil {
			return nil, err
		}
		r.proposal, r.txid = &proposal, tx.TxHash()
	case KindTransaction:
		packet, err := bitcoin.DecodePSBT(p.body)
		if err != nil {
			return nil, err
		}
		r.psbt, r.txid = packet, packet.Tx().TxHash()
	case KindMessage:
	default:
		return nil, fmt.Errorf("%w: unknown kind %d", errRequest, p.kind)
	}
	return r, nil
}

// promise binds a coin: to a payout list for good, or to one transaction.
type promise struct {
	request RequestID
	txid    chainhash.Hash
	list    bitcoin.PayoutID // zero unless a payout
}

// requestBook holds all requests and what follows from the approved ones.
type requestBook struct {
	all    map[RequestID]*request
	lists  map[bitcoin.PayoutID]bitcoin.PayoutList
	locks  map[wire.OutPoint]promise
	paid   map[bitcoin.PayoutID]chainhash.Hash // lists whose confirmed request is forgotten
	window policy.Window
	next   uint64
}

func newRequestBook() requestBook {
	return requestBook{all: make(map[RequestID]*request), lists: make(map[bitcoin.PayoutID]bitcoin.PayoutList),
		locks: make(map[wire.OutPoint]promise), paid: make(map[bitcoin.PayoutID]chainhash.Hash)}
}

// sorted returns all requests in the order in which they came.
func (b *requestBook) sorted() []*request {
	out := make([]*request, 0, len(b.all))
	for _, r := range b.all {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *request) int { return cmp.Compare(a.order, b.order) })
	return out
}

// attempts returns the approved transactions for a list, in order.
func (b *requestBook) attempts(list bitcoin.PayoutID) []*request {
	var out []*request
	for _, r := range b.sorted() {
		if r.verdict.Allow && r.proposal != nil && r.proposal.List == list {
			out = append(out, r)
		}
	}
	return out
}

func (b *requestBook) open(proposer protocols.NodeID, tip bitcoin.Height) int {
	n := 0
	for _, r := range b.all {
		if r.proposer == proposer && !r.finished(tip) {
			n++
		}
	}
	return n
}

// lock promises the coins of an approved request. What was approved is, byte for
// byte, the transaction that was proposed.
func (b *requestBook) lock(r *request) {
	p := promise{request: r.id, txid: r.txid}
	if r.proposal != nil {
		p.list = r.proposal.List
	}
	for _, o := range r.inputs() {
		b.locks[o] = p
	}
}

// promised returns what binds a coin. A transaction that a settled one has made
// impossible binds nothing any more.
func (c *Core) promised(o wire.OutPoint) (promise, bool) {
	p, ok := c.requests.locks[o]
	if r := c.requests.all[p.request]; ok && r != nil && r.replacedAt != 0 && r.forgettable(c.height()) {
		return promise{}, false
	}
	return p, ok
}

// Errors of commands about requests.
var (
	ErrRequestUnknown = errors.New("no such request; 'frostfed requests' shows them")
	ErrRequestAmbig   = errors.New("more than one request matches; give more digits of the ID")
	ErrTooManyOpen    = errors.New("too many requests of this member are under way; wait until some are confirmed deeply or expire")
)

func (b *requestBook) find(prefix string) (*request, error) {
	var found *request
	for _, r := range b.sorted() {
		if len(prefix) >= minPrefix && strings.HasPrefix(r.id.String(), strings.ToLower(prefix)) {
			if found != nil {
				return nil, ErrRequestAmbig
			}
			found = r
		}
	}
	if found == nil {
		return nil, ErrRequestUnknown
	}
	return found, nil
}
