package api

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
)

const (
	defaultWait = 60 * time.Second
	maxWait     = 3600 // seconds
	fullID      = 64   // hex digits
)

// WaitRequest looks again after each event: the subscription begins before the
// first look, so that no change falls between them. A request named in full may
// be unknown at first, because even its proposer delivers it only when enough
// members have echoed it.
func (s *service) WaitRequest(ctx context.Context, req *connect.Request[v1.WaitRequestRequest]) (*connect.Response[v1.WaitRequestResponse], error) {
	wait := time.Duration(req.Msg.TimeoutSeconds) * time.Second
	if wait == 0 {
		wait = defaultWait
	}
	if req.Msg.TimeoutSeconds > maxWait {
		return nil, asError(errTimeout)
	}
	sub := s.Daemon.Subscribe()
	defer sub.Close()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for over := false; ; {
		r, err := s.findRequest(ctx, req.Msg.Id)
		awaited := errors.Is(err, federation.ErrRequestUnknown) && len(req.Msg.Id) == fullID && !over
		if err != nil && !awaited {
			return nil, asError(err)
		}
		if !awaited {
			reached, final, err := progress(r, req.Msg.Until)
			if err != nil {
				return nil, asError(err)
			}
			if reached || final || over {
				return connect.NewResponse(&v1.WaitRequestResponse{Request: r, Reached: reached}), nil
			}
		}
		select {
		case <-sub.C:
			for len(sub.C) > 0 { // one look serves all of them
				<-sub.C
			}
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return nil, asError(context.Cause(ctx))
		}
	}
}

// progress says whether r has reached a state, and whether it has come to an end.
func progress(r *v1.Request, until v1.RequestState) (reached, final bool, err error) {
	switch until {
	case v1.RequestState_REQUEST_STATE_UNSPECIFIED, v1.RequestState_REQUEST_STATE_SIGNED:
		reached = r.State == v1.RequestState_REQUEST_STATE_SIGNED || r.State == v1.RequestState_REQUEST_STATE_CONFIRMED
	case v1.RequestState_REQUEST_STATE_CONFIRMED:
		if r.Kind == v1.RequestKind_REQUEST_KIND_MESSAGE {
			return false, false, errUntil
		}
		reached = r.State == v1.RequestState_REQUEST_STATE_CONFIRMED
	default:
		return false, false, errUntil
	}
	final = r.State == v1.RequestState_REQUEST_STATE_REPLACED || r.State == v1.RequestState_REQUEST_STATE_EXPIRED
	return reached, final, nil
}
