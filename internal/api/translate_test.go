package api

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/p2p"
	"frostfed/protocols"
	"frostfed/protocols/membership"
)

func TestMemberStatusJoinsBothViews(t *testing.T) {
	bob := &membership.Card{Name: "bob", Identity: [32]byte{2}}
	s := &service{Deps: Deps{Charter: &membership.Charter{Cards: []*membership.Card{{Name: "alice"}, bob}}}}
	seen := time.Unix(1_700_000_000, 0)
	view := federation.MemberView{Index: 1, ID: bob.NodeID(), Connected: true, Stalled: true, Version: "1.0", Height: 800_000, Nonces: 12}
	way := p2p.PeerInfo{ID: bob.NodeID(), Up: true, Connected: true, Direct: true, Inbound: true, Addr: "/ip4/192.0.2.7/tcp/4001",
		Agent: "frostfed/1.0", RTT: 1500 * time.Microsecond, LastSeen: seen, LastError: "reset", Cloned: true}
	index := int32(1)
	want := &v1.MemberStatus{
		Member: &v1.Member{Index: &index, Name: "bob", PeerId: s.member(bob.NodeID()).PeerId}, Connected: true, Up: true, Direct: true,
		Inbound: true, Address: way.Addr, RttMs: 1.5, LastSeen: timestamppb.New(seen), Agent: way.Agent, Version: "1.0",
		ChainHeight: 800_000, Nonces: 12, LastError: "reset", Stalled: true, Cloned: true,
	}
	if got := s.memberStatus(view, way); !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if never := s.memberStatus(view, p2p.PeerInfo{}); never.LastSeen != nil || never.Connected {
		t.Errorf("a peer never seen: %v", never)
	}
	if stranger := s.member(protocols.NodeID("stranger")); stranger.Index != nil || stranger.Name != "" || stranger.PeerId == "" {
		t.Errorf("a stranger becomes %v", stranger)
	}
}

func TestFindKey(t *testing.T) {
	keys := []federation.KeyView{
		{ID: federation.KeyID{0xab, 0xcd, 1}, Label: "main"}, {ID: federation.KeyID{0xab, 0xcd, 2}, Label: "cold"}, {Label: "new"},
		{ID: federation.KeyID{0xef}, Label: "abcd"},
	}
	for _, tc := range []struct {
		name string
		want string
		err  error
	}{
		{"main", "main", nil},
		{"abcd02", "cold", nil},
		{"ABCD01", "main", nil},
		{"ef00", "abcd", nil},
		{"abcd", "", federation.ErrKeyAmbig}, // a label, and the beginning of two IDs
		{"abc", "", federation.ErrKeyUnknown},
		{"new", "", federation.ErrKeyNotReady},
		{"0000", "", federation.ErrKeyUnknown}, // a key that is not active has no ID
		{"", "", federation.ErrKeyUnknown},
	} {
		got, err := findKey(keys, tc.name)
		if got.Label != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%q: got %q, %v", tc.name, got.Label, err)
		}
	}
}
