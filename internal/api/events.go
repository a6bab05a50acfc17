package api

import (
	"context"
	"encoding/hex"
	"time"

	"connectrpc.com/connect"

	"google.golang.org/protobuf/types/known/timestamppb"

	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/daemon"
)

// StreamEvents sends news until the caller leaves or the server stops.
func (s *service) StreamEvents(ctx context.Context, _ *connect.Request[v1.StreamEventsRequest], stream *connect.ServerStream[v1.StreamEventsResponse]) error {
	sub := s.Daemon.Subscribe()
	defer sub.Close()
	send := func(at time.Time, e *v1.StreamEventsResponse) error {
		e.Time = timestamppb.New(at)
		return stream.Send(e)
	}
	if err := send(time.Now(), &v1.StreamEventsResponse{Event: &v1.StreamEventsResponse_Opened{Opened: &v1.Opened{}}}); err != nil {
		return err
	}
	for {
		select {
		case e := <-sub.C:
			if lost := sub.Lost(); lost > 0 {
				err := send(e.At, &v1.StreamEventsResponse{Event: &v1.StreamEventsResponse_Lost{Lost: &v1.Lost{Count: int64(lost)}}})
				if err != nil {
					return err
				}
			}
			if err := send(e.At, s.event(e)); err != nil {
				return err
			}
		case <-ctx.Done():
			return asError(context.Cause(ctx))
		}
	}
}

func (s *service) event(e daemon.Event) *v1.StreamEventsResponse {
	out := &v1.StreamEventsResponse{}
	switch {
	case e.Fault != nil:
		out.Event = &v1.StreamEventsResponse_Fault{Fault: &v1.Fault{Culprit: s.member(e.Fault.Culprit), Kind: e.Fault.Kind,
			Detail: e.Fault.Detail, Proof: len(e.Fault.Proof) > 0}}
	case e.Submitted != nil:
		m := &v1.Submitted{RequestId: e.Submitted.Request.String(), Txid: txid(e.Submitted.TxID)}
		if e.Submitted.Err != nil {
			m.Error = e.Submitted.Err.Error()
		}
		out.Event = &v1.StreamEventsResponse_Submitted{Submitted: m}
	default:
		s.decision(out, e.Decision)
	}
	return out
}

// decision fills in out. A test holds that no decision is left out.
func (s *service) decision(out *v1.StreamEventsResponse, d federation.Decision) {
	switch d := d.(type) {
	case federation.Submit:
		out.Event = &v1.StreamEventsResponse_Submitting{Submitting: &v1.Submitting{RequestId: d.Request.String(), Txid: txid(d.TxID)}}
	case federation.AskExternal:
		out.Event = &v1.StreamEventsResponse_ExternalAsked{ExternalAsked: &v1.ExternalAsked{RequestId: d.Request.String()}}
	case federation.Rescan:
		out.Event = &v1.StreamEventsResponse_Rescan{Rescan: &v1.Rescan{FromHeight: uint32(d.From)}}
	case federation.PeerChanged:
		out.Event = &v1.StreamEventsResponse_PeerChanged{PeerChanged: &v1.PeerChanged{Peer: s.member(d.Peer), Connected: d.Connected}}
	case federation.NoncesLow:
		out.Event = &v1.StreamEventsResponse_NoncesLow{NoncesLow: &v1.NoncesLow{Peer: s.member(d.Peer), Available: int32(d.Available), Low: d.Low}}
	case federation.PeerStalled:
		out.Event = &v1.StreamEventsResponse_PeerStalled{PeerStalled: &v1.PeerStalled{Peer: s.member(d.Peer), Stalled: d.Stalled}}
	case federation.RestoredOlder:
		out.Event = &v1.StreamEventsResponse_RestoredOlder{RestoredOlder: &v1.RestoredOlder{Witness: s.member(d.Witness),
			Known: int64(d.Known), Made: int64(d.Made), Fence: uint32(d.Fence)}}
	case federation.KeyProposed:
		out.Event = &v1.StreamEventsResponse_KeyProposed{KeyProposed: &v1.KeyProposed{Ceremony: hex.EncodeToString(d.Ceremony[:]),
			Label: d.Label, Proposer: s.member(d.Proposer)}}
	case federation.KeyProgress:
		out.Event = &v1.StreamEventsResponse_KeyProgress{KeyProgress: &v1.KeyProgress{Ceremony: hex.EncodeToString(d.Ceremony[:]),
			Phase: d.Phase, Have: int32(d.Have), Need: int32(d.Need), Waiting: s.memberList(d.Waiting)}}
	case federation.KeyFailed:
		out.Event = &v1.StreamEventsResponse_KeyFailed{KeyFailed: &v1.KeyFailed{Ceremony: hex.EncodeToString(d.Ceremony[:]),
			Reason: d.Reason, Culprits: s.memberList(d.Culprits)}}
	case federation.KeyReady:
		out.Event = &v1.StreamEventsResponse_KeyReady{KeyReady: &v1.KeyReady{KeyId: d.Key.String(), Label: d.Label, Acks: int32(d.Acks), Fresh: d.Fresh}}
	case federation.PayoutListAdded:
		out.Event = &v1.StreamEventsResponse_PayoutListAdded{PayoutListAdded: &v1.PayoutListAdded{ListId: d.List.String(),
			Payees: int32(d.Payees), Total: int64(d.Total)}}
	case federation.RequestProposed:
		out.Event = &v1.StreamEventsResponse_RequestProposed{RequestProposed: &v1.RequestProposed{RequestId: d.Request.String(),
			Kind: requestKind(d.Kind), Proposer: s.member(d.Proposer), Txid: txid(d.TxID)}}
	case federation.RequestJudged:
		out.Event = &v1.StreamEventsResponse_RequestJudged{RequestJudged: &v1.RequestJudged{RequestId: d.Request.String(),
			Member: s.member(d.Member), Verdict: verdict(d.Verdict)}}
	case federation.SigningProgress:
		out.Event = &v1.StreamEventsResponse_SigningProgress{SigningProgress: &v1.SigningProgress{RequestId: d.Request.String(),
			Session: int32(d.Session), Have: int32(d.Have), Need: int32(d.Need), Waiting: s.memberList(d.Waiting)}}
	case federation.SigningFailed:
		out.Event = &v1.StreamEventsResponse_SigningFailed{SigningFailed: &v1.SigningFailed{RequestId: d.Request.String(), Reason: d.Reason}}
	case federation.RequestSigned:
		out.Event = &v1.StreamEventsResponse_RequestSigned{RequestSigned: &v1.RequestSigned{RequestId: d.Request.String(),
			Kind: requestKind(d.Kind), Txid: txid(d.TxID), Signatures: signatures(d.Signatures)}}
	case federation.RequestConfirmed:
		out.Event = &v1.StreamEventsResponse_RequestConfirmed{RequestConfirmed: &v1.RequestConfirmed{RequestId: d.Request.String(),
			Txid: txid(d.TxID), Height: uint32(d.Height)}}
	case federation.CoinReceived:
		out.Event = &v1.StreamEventsResponse_CoinReceived{CoinReceived: &v1.CoinReceived{KeyId: d.Key.String(), Amount: int64(d.Amount),
			Height: uint32(d.Height), Txid: txid(d.TxID)}}
	case federation.EvidenceFound:
		out.Event = &v1.StreamEventsResponse_EvidenceFound{EvidenceFound: &v1.EvidenceFound{EvidenceId: d.ID.String(), Kind: d.Kind,
			Culprit: s.member(d.Culprit), Place: d.Place, Witness: s.member(d.Witness)}}
	case federation.TipChanged:
		out.Event = &v1.StreamEventsResponse_TipChanged{TipChanged: &v1.TipChanged{Block: block(d.Block), Reorg: d.Reorg}}
	}
}
