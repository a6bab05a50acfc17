package api

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/daemon"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

var decisions = []federation.Decision{
	federation.Submit{}, federation.AskExternal{}, federation.Rescan{From: 7}, federation.PeerChanged{Connected: true},
	federation.PeerStalled{Stalled: true}, federation.KeyProposed{Label: "main"}, federation.KeyProgress{Have: 1, Need: 2},
	federation.KeyFailed{Reason: "bad share"}, federation.KeyReady{Acks: 3}, federation.PayoutListAdded{Payees: 4},
	federation.RequestProposed{Kind: federation.KindPayout}, federation.RequestJudged{}, federation.SigningProgress{Session: 5},
	federation.SigningFailed{Reason: "too few"}, federation.RequestSigned{Signatures: [][]byte{make([]byte, 64), make([]byte, 65)}},
	federation.RequestConfirmed{Height: 6}, federation.CoinReceived{Amount: 8}, federation.TipChanged{Reorg: true}, federation.RestoredOlder{Made: 9},
	federation.NoncesLow{Low: true}, federation.EvidenceFound{Kind: "bad_share"},
}

// TestNoDecisionIsLeftOut reads in the source of federation which decisions there
// are, so that a new one cannot be forgotten here.
func TestNoDecisionIsLeftOut(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../federation/decision.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "decision" {
			count++
		}
	}
	if count == 0 || count != len(decisions) {
		t.Errorf("federation has %d decisions, this test knows %d", count, len(decisions))
	}
	s := &service{Deps: Deps{Charter: &membership.Charter{}}}
	var seen []string
	for _, d := range decisions {
		e := s.event(daemon.Event{Decision: d})
		field := e.ProtoReflect().WhichOneof(e.ProtoReflect().Descriptor().Oneofs().ByName("event"))
		if field == nil || slices.Contains(seen, string(field.Name())) {
			t.Errorf("%T becomes %v", d, e)
			continue
		}
		seen = append(seen, string(field.Name()))
	}
}

func TestFaultAndSubmittedEvents(t *testing.T) {
	s := &service{Deps: Deps{Charter: &membership.Charter{}}}
	fault := s.event(daemon.Event{Fault: &protocols.Fault{Culprit: "\x00\x01a", Kind: "malformed", Detail: "short", Proof: []byte{1}}}).GetFault()
	want := &v1.Fault{Culprit: &v1.Member{PeerId: s.member("\x00\x01a").PeerId}, Kind: "malformed", Detail: "short", Proof: true}
	if !proto.Equal(fault, want) || fault.Culprit.PeerId == "" {
		t.Errorf("got %v, want %v", fault, want)
	}
	submitted := s.event(daemon.Event{Submitted: &daemon.Submitted{Err: errors.New("mempool full")}}).GetSubmitted()
	if submitted.Error != "mempool full" || submitted.Txid != "" {
		t.Errorf("got %v", submitted)
	}
}

func TestEveryStateAndKindHasAName(t *testing.T) {
	states := []federation.State{federation.StateWaiting, federation.StateRefused, federation.StateApproved, federation.StateSigned,
		federation.StateConfirmed, federation.StateReplaced, federation.StateExpired}
	for i, s := range states {
		if got := requestState(s); got != v1.RequestState(i+1) {
			t.Errorf("%s becomes %v", s, got)
		}
	}
	for i, k := range []federation.Kind{federation.KindPayout, federation.KindTransaction, federation.KindMessage} {
		if got := requestKind(k); got != v1.RequestKind(i+1) {
			t.Errorf("%v becomes %v", k, got)
		}
	}
	if requestState("") != 0 || requestKind(0) != 0 || len(v1.RequestState_name) != len(states)+1 {
		t.Error("a state or kind is missing")
	}
}
