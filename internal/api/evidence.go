package api

import (
	"context"

	"connectrpc.com/connect"

	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/protocols"
)

func (s *service) evidence(v federation.EvidenceView) *v1.Evidence {
	return &v1.Evidence{Id: v.ID.String(), Culprit: s.member(v.Culprit), Kind: v.Kind, Place: v.Place, Height: uint32(v.Height), Own: v.Own}
}

func (s *service) ListEvidence(ctx context.Context, _ *connect.Request[v1.ListEvidenceRequest]) (*connect.Response[v1.ListEvidenceResponse], error) {
	type offence struct {
		culprit protocols.NodeID
		kind    string
	}
	proved := make(map[offence]bool)
	reply := &v1.ListEvidenceResponse{}
	err := s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) {
		for _, v := range core.Evidence() {
			proved[offence{v.Culprit, v.Kind}] = true
			reply.Evidence = append(reply.Evidence, s.evidence(v))
		}
	})
	for _, f := range s.faults() {
		if !proved[offence{f.Culprit, f.Kind}] {
			reply.Suspicions = append(reply.Suspicions, s.faultCount(f))
		}
	}
	return answered(reply, err)
}

func (s *service) ExportEvidence(ctx context.Context, req *connect.Request[v1.ExportEvidenceRequest]) (*connect.Response[v1.ExportEvidenceResponse], error) {
	reply := &v1.ExportEvidenceResponse{}
	var found error
	err := s.Daemon.View(ctx, func(_ protocols.Time, core *federation.Core) {
		var v federation.EvidenceView
		if v, reply.File, found = core.EvidenceFile(req.Msg.Id); found == nil {
			reply.Evidence = s.evidence(v)
		}
	})
	if err == nil {
		err = found
	}
	return answered(reply, err)
}
