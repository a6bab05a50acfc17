package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math"
	"strings"

	"connectrpc.com/connect"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/rfc9591"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
)

const defaultFeeRate = 2 // sat/vB

// command changes state. It does not end with the caller's patience: a caller
// that hangs up must not leave the outcome open, least of all for once.
func (s *service) command(ctx context.Context, apply func(now protocols.Time, core *federation.Core) (federation.Effects, error)) error {
	return s.Daemon.Do(context.WithoutCancel(ctx), apply)
}

// answered wraps what a handler returns.
func answered[R any](reply *R, err error) (*connect.Response[R], error) {
	if err != nil {
		return nil, asError(err)
	}
	return connect.NewResponse(reply), nil
}

func (s *service) NewKey(ctx context.Context, req *connect.Request[v1.NewKeyRequest]) (*connect.Response[v1.NewKeyResponse], error) {
	return answered(once(ctx, s.answers, req.Spec().Procedure, req.Msg.IdempotencyKey, req.Msg, func() (*v1.NewKeyResponse, error) {
		var ceremony [32]byte
		suite, err := federation.ParseSuite(req.Msg.Suite)
		if err != nil {
			return nil, err
		}
		err = s.command(ctx, func(now protocols.Time, core *federation.Core) (effects federation.Effects, err error) {
			ceremony, effects, err = core.NewSuiteKey(now, req.Msg.Label, suite)
			return effects, err
		})
		return &v1.NewKeyResponse{Ceremony: hex.EncodeToString(ceremony[:])}, err
	}))
}

func (s *service) NewAddress(ctx context.Context, req *connect.Request[v1.NewAddressRequest]) (*connect.Response[v1.NewAddressResponse], error) {
	var d bitcoin.Derived
	err := s.command(ctx, func(now protocols.Time, core *federation.Core) (effects federation.Effects, err error) {
		d, effects, err = core.NewAddress(now, req.Msg.Key)
		return effects, err
	})
	return answered(&v1.NewAddressResponse{Address: d.Address, Path: d.Path.String()}, err)
}

func (s *service) AddPayoutList(ctx context.Context, req *connect.Request[v1.AddPayoutListRequest]) (*connect.Response[v1.AddPayoutListResponse], error) {
	if req.Msg.File == nil {
		return nil, asError(errNoList)
	}
	list, err := s.parseList(req.Msg.File)
	if err != nil {
		return nil, asError(err)
	}
	err = s.command(ctx, func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		return core.AddPayoutList(now, list), nil
	})
	if err != nil {
		return nil, asError(err)
	}
	views, err := s.payoutLists(ctx)
	if err != nil {
		return nil, asError(err)
	}
	view, err := findList(views, list.ID().String())
	return answered(&v1.AddPayoutListResponse{List: payoutList(view)}, err)
}

func (s *service) parseList(file *v1.PayoutFile) (bitcoin.PayoutList, error) {
	return bitcoin.ParseList(s.Network, file.Name, file.Content)
}

func (s *service) Pay(ctx context.Context, req *connect.Request[v1.PayRequest]) (*connect.Response[v1.PayResponse], error) {
	return answered(once(ctx, s.answers, req.Spec().Procedure, req.Msg.IdempotencyKey, req.Msg, func() (*v1.PayResponse, error) {
		return s.pay(ctx, req.Msg)
	}))
}

func (s *service) pay(ctx context.Context, req *v1.PayRequest) (*v1.PayResponse, error) {
	order, file, err := s.payoutRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.DryRun {
		return s.dryRun(ctx, order, file)
	}
	var id federation.RequestID
	var plan *bitcoin.Spend
	err = s.command(ctx, func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		var out federation.Effects
		if file != nil {
			out.Append(core.AddPayoutList(now, *file))
		}
		var err error
		if order.Tx == nil {
			// The same plan that Pay makes a moment later from the same state.
			if _, plan, err = core.PlanPayout(order); err != nil {
				return out, err
			}
		}
		var effects federation.Effects
		id, effects, err = core.Pay(now, order)
		out.Append(effects)
		return out, err
	})
	if err != nil {
		return nil, err
	}
	if order.Tx != nil {
		return &v1.PayResponse{RequestId: id.String(), Txid: order.Tx.TxHash().String()}, nil
	}
	reply, err := planned(plan)
	if err != nil {
		return nil, err
	}
	reply.RequestId = id.String()
	return reply, nil
}

// payoutRequest reads a request, with the list to add before it is paid.
func (s *service) payoutRequest(ctx context.Context, req *v1.PayRequest) (federation.PayoutRequest, *bitcoin.PayoutList, error) {
	order := federation.PayoutRequest{Key: req.Key, Force: req.Force}
	var err error
	if order.FeeRate, err = feeRate(req.FeeRate); err != nil {
		return order, nil, err
	}
	if len(req.Transaction) > 0 {
		if order.Tx, err = parseTransaction(req.Transaction); err != nil {
			return order, nil, err
		}
	}
	switch list := req.List.(type) {
	case *v1.PayRequest_File:
		file, err := s.parseList(list.File)
		order.List = file.ID()
		return order, &file, err
	case *v1.PayRequest_ListId:
		views, err := s.payoutLists(ctx)
		if err != nil {
			return order, nil, err
		}
		view, err := findList(views, list.ListId)
		order.List = view.ID
		return order, nil, err
	}
	return order, nil, errNoList
}

func (s *service) dryRun(ctx context.Context, order federation.PayoutRequest, file *bitcoin.PayoutList) (*v1.PayResponse, error) {
	if order.Tx != nil {
		return nil, errDryRunTx
	}
	var plan *bitcoin.Spend
	err := s.command(ctx, func(_ protocols.Time, core *federation.Core) (_ federation.Effects, err error) {
		_, plan, err = core.PlanPayout(order)
		return federation.Effects{}, err
	})
	if errors.Is(err, federation.ErrListUnknown) && file != nil {
		err = errDryRunList
	}
	if err != nil {
		return nil, err
	}
	return planned(plan)
}

func planned(plan *bitcoin.Spend) (*v1.PayResponse, error) {
	psbt, err := plan.PSBT(nil)
	if err != nil {
		return nil, err
	}
	p := &v1.Plan{Psbt: psbt, Fee: int64(plan.Fee()), Vbytes: plan.Weight().VBytes(),
		Total: int64(plan.Leaving() - plan.Fee()), Inputs: int32(len(plan.Inputs))}
	for i, own := range plan.Own {
		if own != nil {
			p.Change += plan.Tx.TxOut[i].Value
		}
	}
	return &v1.PayResponse{Txid: plan.TxID().String(), Plan: p}, nil
}

// feeRate converts from sat/vB, in steps of 0.004.
func feeRate(satPerVByte float64) (bitcoin.SatPerKWU, error) {
	if satPerVByte == 0 {
		return bitcoin.PerVByte(defaultFeeRate), nil
	}
	rate := math.Round(satPerVByte * float64(bitcoin.PerVByte(1)))
	if !(rate >= float64(bitcoin.MinFeeRate) && rate <= float64(bitcoin.MaxFeeRate)) { // also NaN
		return 0, errFeeRate
	}
	return bitcoin.SatPerKWU(rate), nil
}

// parseTransaction reads a PSBT or an unsigned transaction, binary or as base64
// or hex. An unsigned transaction begins with its version, 02 00 00 00, and is
// never text.
func parseTransaction(data []byte) (*wire.MsgTx, error) {
	if raw, err := hex.DecodeString(string(bytes.TrimSpace(data))); err == nil {
		data = raw
	}
	if isPSBT(data) {
		packet, err := bitcoin.DecodePSBT(data)
		if err != nil {
			return nil, err
		}
		return packet.Tx(), nil
	}
	return bitcoin.DecodeTx(data)
}

// isPSBT looks for the magic of BIP 174, plain or in base64.
func isPSBT(data []byte) bool {
	return bytes.HasPrefix(data, []byte("psbt\xff")) || bytes.HasPrefix(bytes.TrimSpace(data), []byte("cHNidP"))
}

// findList finds a list by the beginning of its ID, at least 4 hex digits.
func findList(views []federation.PayoutListView, prefix string) (federation.PayoutListView, error) {
	var found []federation.PayoutListView
	for _, v := range views {
		if len(prefix) >= 4 && strings.HasPrefix(v.ID.String(), strings.ToLower(prefix)) {
			found = append(found, v)
		}
	}
	switch len(found) {
	case 0:
		return federation.PayoutListView{}, federation.ErrListUnknown
	case 1:
		return found[0], nil
	}
	return federation.PayoutListView{}, errListAmbig
}

func (s *service) SignTransaction(ctx context.Context, req *connect.Request[v1.SignTransactionRequest]) (*connect.Response[v1.SignTransactionResponse], error) {
	return answered(once(ctx, s.answers, req.Spec().Procedure, req.Msg.IdempotencyKey, req.Msg, func() (*v1.SignTransactionResponse, error) {
		packet, err := bitcoin.DecodePSBT(req.Msg.Psbt)
		if err != nil {
			return nil, err
		}
		var id federation.RequestID
		err = s.command(ctx, func(now protocols.Time, core *federation.Core) (effects federation.Effects, err error) {
			id, effects, err = core.SignTransaction(now, req.Msg.Key, req.Msg.Psbt, req.Msg.Force)
			return effects, err
		})
		return &v1.SignTransactionResponse{RequestId: id.String(), Txid: packet.Tx().TxHash().String()}, err
	}))
}

func (s *service) SignMessage(ctx context.Context, req *connect.Request[v1.SignMessageRequest]) (*connect.Response[v1.SignMessageResponse], error) {
	return answered(once(ctx, s.answers, req.Spec().Procedure, req.Msg.IdempotencyKey, req.Msg, func() (*v1.SignMessageResponse, error) {
		var id federation.RequestID
		var suite dkg.Suite
		err := s.command(ctx, func(now protocols.Time, core *federation.Core) (effects federation.Effects, err error) {
			if suite, err = core.SuiteOf(req.Msg.Key); err != nil {
				return effects, err
			}
			id, effects, err = core.SignMessage(now, req.Msg.Key, req.Msg.Message, req.Msg.Force)
			return effects, err
		})
		res := &v1.SignMessageResponse{RequestId: id.String()}
		if suite == dkg.Bitcoin {
			res.MessageHash = s.messageHash(req.Msg.Message)
		} else {
			res.SignedBytes = rfc9591.SignedBytes(req.Msg.Message)
		}
		return res, err
	}))
}

func (s *service) messageHash(message []byte) string {
	hash := bitcoin.MessageHash(s.Charter.ID(), message)
	return hex.EncodeToString(hash[:])
}

func (s *service) Stop(context.Context, *connect.Request[v1.StopRequest]) (*connect.Response[v1.StopResponse], error) {
	s.Deps.Stop()
	return connect.NewResponse(&v1.StopResponse{}), nil
}
