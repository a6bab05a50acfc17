package api

import (
	"bytes"
	"encoding/hex"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/policy"
	"frostfed/protocols/frost/dkg"
)

// block returns nil for no block.
func block(id federation.BlockID) *v1.Block {
	if id.Hash == (chainhash.Hash{}) {
		return nil
	}
	return &v1.Block{Height: uint32(id.Height), Hash: id.Hash.String()}
}

func active(k federation.KeyView) bool {
	return k.ID != federation.KeyID{} && k.Phase != federation.PhaseVerifying
}

func (s *service) key(k federation.KeyView) *v1.Key {
	out := &v1.Key{Ceremony: hex.EncodeToString(k.Ceremony[:]), Label: k.Label, T: int32(k.T), N: int32(k.N), Active: active(k),
		Phase: k.Phase, Waiting: s.memberList(k.Waiting), Acks: int32(k.Acks), Issued: k.Issued, Suite: federation.SuiteName(k.Suite),
		Balance: int64(k.Balance), Pending: int64(k.Pending)}
	if out.Active {
		out.Id, out.PublicKey, out.Xpub, out.Descriptor_ = k.ID.String(), hex.EncodeToString(k.PublicKey), k.Xpub, k.Descriptor
		if k.Verification != ([64]byte{}) {
			out.Verification = hex.EncodeToString(k.Verification[:])
		}
	}
	return out
}

func coin(c federation.Coin, label, address string, tip bitcoin.Height) *v1.Coin {
	out := &v1.Coin{Txid: c.Outpoint.Hash.String(), Output: c.Outpoint.Index, Amount: int64(c.Amount), KeyId: c.Key.String(),
		KeyLabel: label, Address: address, Path: c.Path.String(), Height: uint32(c.Height), Coinbase: c.Coinbase}
	if tip >= c.Height {
		out.Confirmations = uint32(tip-c.Height) + 1
	}
	return out
}

func payoutList(v federation.PayoutListView) *v1.PayoutList {
	return &v1.PayoutList{Id: v.ID.String(), Reference: v.Reference, Payees: int32(v.Payees), Total: int64(v.Total), State: requestState(v.State)}
}

func (s *service) request(v federation.RequestView) *v1.Request {
	out := &v1.Request{
		Id: v.ID.String(), Kind: requestKind(v.Kind), State: requestState(v.State), Proposer: s.member(v.Proposer),
		PublicKey: hex.EncodeToString(v.PublicKey), KeyLabel: v.KeyLabel, Txid: txid(v.TxID), Message: v.Message,
		Leaving: int64(v.Leaving), Signatures: signatures(v.Signatures), Transaction: transaction(v.Tx),
		Height: uint32(v.Height), Confirmations: uint32(v.Depth),
	}
	if v.Kind == federation.KindPayout {
		out.ListId = v.List.String()
	}
	if len(v.PublicKey) > 0 {
		out.Suite = federation.SuiteName(v.Suite)
	}
	if v.Kind == federation.KindMessage && v.Suite == dkg.Bitcoin && len(v.PublicKey) > 0 {
		out.MessageHash = s.messageHash(v.Message)
	}
	for _, m := range v.Verdicts {
		out.Verdicts = append(out.Verdicts, &v1.MemberVerdict{Member: s.member(m.Member), Verdict: verdict(m.Verdict)})
	}
	return out
}

func verdict(v policy.Verdict) *v1.Verdict {
	return &v1.Verdict{Allow: v.Allow, Rule: string(v.Rule), Reason: v.Reason}
}

// txid returns "" for the zero hash.
func txid(hash chainhash.Hash) string {
	if hash == (chainhash.Hash{}) {
		return ""
	}
	return hash.String()
}

func signatures(sigs [][]byte) []string {
	var out []string
	for _, sig := range sigs {
		out = append(out, hex.EncodeToString(sig))
	}
	return out
}

// transaction returns "" for none.
func transaction(tx *wire.MsgTx) string {
	if tx == nil {
		return ""
	}
	var b bytes.Buffer
	_ = tx.Serialize(&b) // a bytes.Buffer does not fail
	return hex.EncodeToString(b.Bytes())
}

func requestKind(k federation.Kind) v1.RequestKind {
	switch k {
	case federation.KindPayout:
		return v1.RequestKind_REQUEST_KIND_PAYOUT
	case federation.KindTransaction:
		return v1.RequestKind_REQUEST_KIND_TRANSACTION
	case federation.KindMessage:
		return v1.RequestKind_REQUEST_KIND_MESSAGE
	}
	return v1.RequestKind_REQUEST_KIND_UNSPECIFIED
}

func requestState(s federation.State) v1.RequestState {
	switch s {
	case federation.StateWaiting:
		return v1.RequestState_REQUEST_STATE_WAITING
	case federation.StateRefused:
		return v1.RequestState_REQUEST_STATE_REFUSED
	case federation.StateApproved:
		return v1.RequestState_REQUEST_STATE_APPROVED
	case federation.StateSigned:
		return v1.RequestState_REQUEST_STATE_SIGNED
	case federation.StateConfirmed:
		return v1.RequestState_REQUEST_STATE_CONFIRMED
	case federation.StateReplaced:
		return v1.RequestState_REQUEST_STATE_REPLACED
	case federation.StateExpired:
		return v1.RequestState_REQUEST_STATE_EXPIRED
	}
	return v1.RequestState_REQUEST_STATE_UNSPECIFIED
}
