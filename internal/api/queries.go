package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"google.golang.org/protobuf/types/known/timestamppb"

	"frostfed/bitcoin"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/daemon"
	"frostfed/p2p"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
)

func (s *service) GetStatus(ctx context.Context, _ *connect.Request[v1.GetStatusRequest]) (*connect.Response[v1.GetStatusResponse], error) {
	st, err := s.status(ctx)
	if err != nil {
		return nil, asError(err)
	}
	reply := &v1.GetStatusResponse{
		FederationId: st.Federation, FederationName: st.Name, Network: st.Network.String(), Self: s.member(st.Self),
		N: int32(st.N), T: int32(st.T), Connected: int32(st.Connected), Tip: block(st.Tip), ChainReady: st.ChainReady,
		ActiveKeys: int32(st.Keys), OpenRequests: int32(st.Open), Version: s.Version,
		UptimeSeconds: int64(time.Since(s.Started).Seconds()), ListenAddrs: s.Host.Addrs(),
	}
	trouble := s.Daemon.ChainTrouble()
	if trouble != nil {
		reply.ChainReason = trouble.Error()
	}
	for _, u := range unready(st, trouble) {
		reply.Unready = append(reply.Unready, &v1.Unready{Check: u.Check, Reason: u.Reason, Action: u.Action})
	}
	reply.Ready = len(reply.Unready) == 0
	return connect.NewResponse(reply), nil
}

func (s *service) status(ctx context.Context) (st federation.Status, err error) {
	err = s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) { st = core.Status() })
	return st, err
}

func (s *service) ListMembers(ctx context.Context, _ *connect.Request[v1.ListMembersRequest]) (*connect.Response[v1.ListMembersResponse], error) {
	var members []federation.MemberView
	if err := s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) { members = core.Members() }); err != nil {
		return nil, asError(err)
	}
	ways := make(map[protocols.NodeID]p2p.PeerInfo)
	for _, way := range s.Host.Peers() {
		ways[way.ID] = way
	}
	reply := &v1.ListMembersResponse{}
	for _, m := range members {
		reply.Members = append(reply.Members, s.memberStatus(m, ways[m.ID]))
	}
	for _, seed := range s.Host.Seeds() {
		reply.Seeds = append(reply.Seeds, &v1.Seed{PeerId: s.member(seed.ID).PeerId, Addresses: seed.Addrs,
			Connected: seed.Connected, LastError: seed.LastError})
	}
	return connect.NewResponse(reply), nil
}

func (s *service) memberStatus(m federation.MemberView, way p2p.PeerInfo) *v1.MemberStatus {
	out := &v1.MemberStatus{
		Member: s.member(m.ID), Self: m.Self, Connected: way.Connected, Up: m.Connected, Direct: way.Direct, Inbound: way.Inbound,
		Address: way.Addr, RttMs: float64(way.RTT) / float64(time.Millisecond), Agent: way.Agent, Version: m.Version,
		ChainHeight: uint32(m.Height), Nonces: int32(m.Nonces), NoncesLow: m.NoncesLow, LastError: way.LastError, Stalled: m.Stalled, Cloned: way.Cloned,
	}
	if m.Self {
		out.Connected, out.Up, out.Direct = true, true, true
	}
	if !way.LastSeen.IsZero() {
		out.LastSeen = timestamppb.New(way.LastSeen)
	}
	return out
}

func (s *service) ListKeys(ctx context.Context, _ *connect.Request[v1.ListKeysRequest]) (*connect.Response[v1.ListKeysResponse], error) {
	views, err := s.keys(ctx)
	reply := &v1.ListKeysResponse{}
	for _, v := range views {
		reply.Keys = append(reply.Keys, s.key(v))
	}
	return answered(reply, err)
}

func (s *service) keys(ctx context.Context) (out []federation.KeyView, err error) {
	err = s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) { out = core.Keys() })
	return out, err
}

func (s *service) ListCoins(ctx context.Context, req *connect.Request[v1.ListCoinsRequest]) (*connect.Response[v1.ListCoinsResponse], error) {
	var keys []federation.KeyView
	var coins []federation.Coin
	var tip federation.BlockID
	err := s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) {
		keys, coins, tip = core.Keys(), core.Coins(), core.Status().Tip
	})
	if err == nil && req.Msg.Key != "" {
		var only federation.KeyView
		only, err = findKey(keys, req.Msg.Key)
		keys = []federation.KeyView{only}
	}
	if err != nil {
		return nil, asError(err)
	}
	reply := &v1.ListCoinsResponse{}
	roots := make(map[federation.KeyID]bitcoin.Key)
	labels := make(map[federation.KeyID]string)
	for _, k := range keys {
		if !active(k) || k.Suite != dkg.Bitcoin {
			continue
		}
		root, err := bitcoin.NewKey(s.Network, k.ThreshPK, bitcoin.ChainCode(s.Charter.ID(), k.ThreshPK))
		if err != nil {
			return nil, asError(err)
		}
		roots[k.ID], labels[k.ID] = root, k.Label
	}
	for _, c := range coins {
		root, wanted := roots[c.Key]
		if !wanted {
			continue
		}
		d, err := root.Derive(c.Path)
		if err != nil {
			return nil, asError(err)
		}
		reply.Coins = append(reply.Coins, coin(c, labels[c.Key], d.Address, tip.Height))
	}
	return connect.NewResponse(reply), nil
}

// findKey finds a key by its label, or by the beginning of its ID.
func findKey(keys []federation.KeyView, name string) (federation.KeyView, error) {
	var found []federation.KeyView
	for _, k := range keys {
		if k.Label == name || active(k) && len(name) >= 4 && strings.HasPrefix(k.ID.String(), strings.ToLower(name)) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		return federation.KeyView{}, federation.ErrKeyUnknown
	case len(found) > 1:
		return federation.KeyView{}, federation.ErrKeyAmbig
	case !active(found[0]):
		return federation.KeyView{}, federation.ErrKeyNotReady
	}
	return found[0], nil
}

func (s *service) ListPayoutLists(ctx context.Context, _ *connect.Request[v1.ListPayoutListsRequest]) (*connect.Response[v1.ListPayoutListsResponse], error) {
	views, err := s.payoutLists(ctx)
	reply := &v1.ListPayoutListsResponse{}
	for _, v := range views {
		reply.Lists = append(reply.Lists, payoutList(v))
	}
	return answered(reply, err)
}

func (s *service) payoutLists(ctx context.Context) (out []federation.PayoutListView, err error) {
	err = s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) { out = core.PayoutLists() })
	return out, err
}

func (s *service) ListRequests(ctx context.Context, _ *connect.Request[v1.ListRequestsRequest]) (*connect.Response[v1.ListRequestsResponse], error) {
	reply := &v1.ListRequestsResponse{}
	err := s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) {
		for _, v := range core.Requests() {
			// Up to 100 kB each, for up to some hundred requests: GetRequest tells them.
			v.Tx, v.Signatures = nil, nil
			r := s.request(v)
			r.Message = nil
			reply.Requests = append(reply.Requests, r)
		}
	})
	return answered(reply, err)
}

func (s *service) GetRequest(ctx context.Context, req *connect.Request[v1.GetRequestRequest]) (*connect.Response[v1.GetRequestResponse], error) {
	r, err := s.findRequest(ctx, req.Msg.Id)
	return answered(&v1.GetRequestResponse{Request: r}, err)
}

func (s *service) findRequest(ctx context.Context, prefix string) (r *v1.Request, err error) {
	viewErr := s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) {
		var v federation.RequestView
		if v, err = core.Request(prefix); err == nil {
			r = s.request(v)
		}
	})
	return r, cmp.Or(viewErr, err)
}

func (s *service) ListFaults(context.Context, *connect.Request[v1.ListFaultsRequest]) (*connect.Response[v1.ListFaultsResponse], error) {
	reply := &v1.ListFaultsResponse{}
	for _, f := range s.faults() {
		reply.Faults = append(reply.Faults, s.faultCount(f))
	}
	return connect.NewResponse(reply), nil
}

// faults are what members did wrong since the start, by member, then kind.
func (s *service) faults() []daemon.FaultCount {
	faults := s.Daemon.Faults()
	slices.SortFunc(faults, func(a, b daemon.FaultCount) int {
		return cmp.Or(cmp.Compare(s.Charter.Index(a.Culprit), s.Charter.Index(b.Culprit)),
			cmp.Compare(a.Culprit, b.Culprit), cmp.Compare(a.Kind, b.Kind))
	})
	return faults
}

func (s *service) faultCount(f daemon.FaultCount) *v1.FaultCount {
	return &v1.FaultCount{Member: s.member(f.Culprit), Kind: f.Kind, Count: int64(f.Count)}
}
