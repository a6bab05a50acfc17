package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"google.golang.org/protobuf/proto"

	"frostfed/bitcoin"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/daemon"
)

// Errors of the service itself.
var (
	errListAmbig  = errors.New("more than one payout list matches; give more digits of the ID")
	errNoList     = errors.New("name a payout list: list_id or file")
	errDryRunList = errors.New("a dry run changes nothing, so it cannot add the list; add it first with 'frostfed payouts add FILE'")
	errDryRunTx   = errors.New("a dry run plans this member's own transaction and does not go with another one")
	errFeeRate    = errors.New("the fee rate is in sat/vB, between 1 and 10,000")
	errUntil      = errors.New("a request can be waited for until it is signed, and a transaction until it is confirmed")
	errTimeout    = errors.New("a wait lasts at most 3,600 seconds")
	errKeyReused  = errors.New("this idempotency key belongs to another call; use a new one")
	errKeyLength  = errors.New("an idempotency key has at most 64 bytes")
)

// codes says what an error means to a caller. The first that matches counts.
var codes = []struct {
	err  error
	code connect.Code
}{
	{daemon.ErrStopped, connect.CodeUnavailable},
	{federation.ErrNoTip, connect.CodeUnavailable},
	{federation.ErrKeyNotReady, connect.CodeUnavailable},

	{federation.ErrKeyUnknown, connect.CodeNotFound},
	{federation.ErrListUnknown, connect.CodeNotFound},
	{federation.ErrRequestUnknown, connect.CodeNotFound},
	{federation.ErrEvidenceUnknown, connect.CodeNotFound},

	{federation.ErrLabelUsed, connect.CodeAlreadyExists},

	{federation.ErrTooManyKeys, connect.CodeResourceExhausted},
	{federation.ErrTooManyOpen, connect.CodeResourceExhausted},
	{federation.ErrGap, connect.CodeResourceExhausted},

	{errDryRunList, connect.CodeFailedPrecondition},
	{federation.ErrSuiteThreshold, connect.CodeFailedPrecondition},
	{federation.ErrOutsideBitcoin, connect.CodeFailedPrecondition},

	{federation.ErrLabel, connect.CodeInvalidArgument},
	{federation.ErrSuite, connect.CodeInvalidArgument},
	{federation.ErrKeyAmbig, connect.CodeInvalidArgument},
	{federation.ErrRequestAmbig, connect.CodeInvalidArgument},
	{federation.ErrEvidenceAmbig, connect.CodeInvalidArgument},
	{federation.ErrMessageSize, connect.CodeInvalidArgument},
	{bitcoin.ErrPSBT, connect.CodeInvalidArgument},
	{bitcoin.ErrTx, connect.CodeInvalidArgument},
	{errListAmbig, connect.CodeInvalidArgument},
	{errNoList, connect.CodeInvalidArgument},
	{errDryRunTx, connect.CodeInvalidArgument},
	{errFeeRate, connect.CodeInvalidArgument},
	{errUntil, connect.CodeInvalidArgument},
	{errTimeout, connect.CodeInvalidArgument},
	{errKeyReused, connect.CodeInvalidArgument},
	{errKeyLength, connect.CodeInvalidArgument},

	{context.Canceled, connect.CodeCanceled},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
}

// asError gives err its code and details. It returns nil for nil.
func asError(err error) error {
	if err == nil {
		return nil
	}
	var refused *federation.RefusedError
	var list *bitcoin.ListError
	switch {
	case errors.As(err, &refused):
		return detailed(connect.CodeFailedPrecondition, err, &v1.Refusal{Rule: string(refused.Verdict.Rule), Reason: refused.Verdict.Reason})
	case errors.As(err, &list):
		return detailed(connect.CodeInvalidArgument, err, &v1.Hint{Text: list.Hint})
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return connect.NewError(c.code, err)
		}
	}
	return connect.NewError(connect.CodeInternal, err)
}

func detailed(code connect.Code, err error, detail proto.Message) error {
	e := connect.NewError(code, err)
	if d, err := connect.NewErrorDetail(detail); err == nil { // our own message encodes
		e.AddDetail(d)
	}
	return e
}
