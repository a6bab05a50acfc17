package api

import (
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"frostfed/bitcoin"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/api/frostfed/v1/frostfedv1connect"
	"frostfed/internal/daemon"
	"frostfed/p2p"
	"frostfed/protocols"
	"frostfed/protocols/membership"

	"github.com/libp2p/go-libp2p/core/peer"
)

// maxRequest bounds a request on the wire. The largest thing in one is a PSBT of
// bitcoin.MaxPSBT (4 MiB), which is 5.4 MiB as base64 in JSON.
const maxRequest = 6 << 20

// Host is what the service asks of the network.
type Host interface {
	Peers() []p2p.PeerInfo
	Seeds() []p2p.SeedInfo
	Addrs() []string
}

// Deps is what the service serves. All fields are required.
type Deps struct {
	Daemon  *daemon.Daemon
	Host    Host
	Charter *membership.Charter
	Network bitcoin.Network
	Version string
	Started time.Time
	// Stop asks the process to end and returns at once: the answer to the caller
	// still has to leave.
	Stop func()
}

type service struct {
	Deps
	answers *answers
}

// NewHandler serves frostfed.v1.MemberService over Connect, gRPC and gRPC-Web.
func NewHandler(d Deps) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(frostfedv1connect.NewMemberServiceHandler(&service{Deps: d, answers: newAnswers()},
		connect.WithReadMaxBytes(maxRequest), connect.WithCodec(strictJSON{})))
	return onlyHost(mux, func(host string) bool { return host == "frostfed" || host == "localhost" })
}

// onlyHost refuses requests to other hosts. No browser reaches a unix socket, but
// one may reach a port that somebody forwards to it, and then a web page whose
// name resolves to 127.0.0.1 (DNS rebinding) shows by its Host header.
func onlyHost(next http.Handler, allowed func(host string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !allowed(host) {
			http.Error(w, "this Host is not served here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// member names a peer as people know it.
func (s *service) member(id protocols.NodeID) *v1.Member {
	m := &v1.Member{PeerId: peer.ID(id).String()}
	if i := s.Charter.Index(id); i >= 0 {
		index := int32(i)
		m.Index, m.Name = &index, s.Charter.Cards[i].Name
	}
	return m
}

func (s *service) memberList(ids []protocols.NodeID) []*v1.Member {
	var out []*v1.Member
	for _, id := range ids {
		out = append(out, s.member(id))
	}
	return out
}
