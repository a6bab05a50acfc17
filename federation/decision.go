package federation

import (
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/evidence"
	"frostfed/policy"
	"frostfed/protocols"
)

// Decision is what a Core decided. The driver acts on Submit, AskExternal and
// Rescan; the others are news for the operator.
type Decision interface{ decision() }

// Submit asks to hand a signed transaction to the chain backend. It comes again
// with every block until one holds the transaction.
type Submit struct {
	Request RequestID
	TxID    chainhash.Hash
	Tx      *wire.MsgTx
}

// AskExternal asks to run the operator's command with Input on its standard
// input, and to bring the answer through ExternalVerdict.
type AskExternal struct {
	Request RequestID
	Input   []byte // JSON, see policy.ExternalRequest
}

// Rescan asks to follow the chain again from a height on: a key turned active
// that older blocks may have paid.
type Rescan struct{ From bitcoin.Height }

// PeerChanged says that a member came or went.
type PeerChanged struct {
	Peer      protocols.NodeID
	Connected bool
}

// PeerStalled says that a member stopped acknowledging messages, or began again.
type PeerStalled struct {
	Peer    protocols.NodeID
	Stalled bool
}

// RestoredOlder says that this member's database is older than its promises: it
// holds Known of the Made that it signed for, as Witness can prove. Nothing that
// spends coins is approved while one up to Fence may be bound.
type RestoredOlder struct {
	Witness     protocols.NodeID
	Known, Made uint64
	Fence       bitcoin.Height
}

// NoncesLow says that too few nonces of a member have been here for some seconds,
// or that this is over. This member can ask it for few signatures.
type NoncesLow struct {
	Peer      protocols.NodeID // maybe this member itself
	Available int
	Low       bool
}

// KeyProposed says that a key generation begins.
type KeyProposed struct {
	Ceremony [32]byte
	Label    string
	Proposer protocols.NodeID
}

// KeyProgress says how far a key generation is.
type KeyProgress struct {
	Ceremony   [32]byte
	Phase      string
	Have, Need int
	Waiting    []protocols.NodeID
}

// KeyFailed says that a key generation ended without a key.
type KeyFailed struct {
	Ceremony [32]byte
	Reason   string
	Culprits []protocols.NodeID
}

// KeyReady says that a key may be used: its members have signed with it. Fresh is
// false after a restart.
type KeyReady struct {
	Key   KeyID
	Label string
	Acks  int
	Fresh bool
}

// PayoutListAdded says that this member holds a list.
type PayoutListAdded struct {
	List   bitcoin.PayoutID
	Payees int
	Total  bitcoin.Sat
}

// RequestProposed says that a request arrived.
type RequestProposed struct {
	Request  RequestID
	Kind     Kind
	Proposer protocols.NodeID
	TxID     chainhash.Hash // zero for a message
}

// RequestJudged says how a member judged a request; for others than this one it
// is their word.
type RequestJudged struct {
	Request RequestID
	Member  protocols.NodeID
	Verdict policy.Verdict
}

// SigningProgress reports a signing session that this member coordinates.
type SigningProgress struct {
	Request    RequestID
	Session    int
	Have, Need int
	Waiting    []protocols.NodeID
}

// SigningFailed says that too few members are left that could sign.
type SigningFailed struct {
	Request RequestID
	Reason  string
}

// RequestSigned says that all signatures are there.
type RequestSigned struct {
	Request    RequestID
	Kind       Kind
	TxID       chainhash.Hash
	Signatures [][]byte // 64 bytes each; 65 for some keys outside Bitcoin
}

// RequestConfirmed says that a block holds the transaction.
type RequestConfirmed struct {
	Request RequestID
	TxID    chainhash.Hash
	Height  bitcoin.Height
}

// CoinReceived says that a block pays one of the federation's addresses.
type CoinReceived struct {
	Key    KeyID
	Amount bitcoin.Sat
	Height bitcoin.Height
	TxID   chainhash.Hash
}

// TipChanged says that the chain view moved.
type TipChanged struct {
	Block BlockID
	Reorg bool
}

// EvidenceFound says that this member holds a proof against a member that it did
// not hold before. Witness is who found it: this member, or the one that told.
type EvidenceFound struct {
	ID      evidence.ID
	Kind    string
	Culprit protocols.NodeID
	Place   string // topic, session or request in which it happened
	Witness protocols.NodeID
}

func (Submit) decision()           {}
func (AskExternal) decision()      {}
func (Rescan) decision()           {}
func (PeerChanged) decision()      {}
func (PeerStalled) decision()      {}
func (RestoredOlder) decision()    {}
func (NoncesLow) decision()        {}
func (KeyProposed) decision()      {}
func (KeyProgress) decision()      {}
func (KeyFailed) decision()        {}
func (KeyReady) decision()         {}
func (PayoutListAdded) decision()  {}
func (RequestProposed) decision()  {}
func (RequestJudged) decision()    {}
func (SigningProgress) decision()  {}
func (SigningFailed) decision()    {}
func (RequestSigned) decision()    {}
func (RequestConfirmed) decision() {}
func (CoinReceived) decision()     {}
func (TipChanged) decision()       {}
func (EvidenceFound) decision()    {}
