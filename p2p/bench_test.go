package p2p

import (
	"fmt"
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"frostfed/protocols"
)

var benchSizes = []int{66, 4 << 10, 64 << 10}

// BenchmarkRoundTrip is a frame there and one back, through queue, rate limit,
// inbox and event channel of both ends.
func BenchmarkRoundTrip(b *testing.B) {
	_, ids := roster(b, 2)
	alice, err := New(b.Context(), config(b, "alice", ids))
	if err != nil {
		b.Fatal(err)
	}
	defer alice.Close()
	bob, err := New(b.Context(), config(b, "bob", ids, alice.Addrs()[0]))
	if err != nil {
		b.Fatal(err)
	}
	defer bob.Close()
	up := func(h *Host) {
		for e := range h.Events() {
			if _, ok := e.(PeerUp); ok {
				return
			}
		}
	}
	up(alice)
	up(bob)
	// The rate limit is not what is measured.
	for _, h := range []*Host{alice, bob} {
		h.order[0].inbound.SetLimit(1 << 40)
	}
	go func() {
		for e := range bob.Events() {
			if f, ok := e.(Frame); ok {
				bob.Send(f.From, f.Protocol, f.Body)
			}
		}
	}()
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			body := make([]byte, size)
			for b.Loop() {
				if !alice.Send(bob.ID(), protocols.Sign, body) {
					b.Fatal("send refused")
				}
				for e := range alice.Events() {
					if _, ok := e.(Frame); ok {
						break
					}
				}
			}
		})
	}
}

// BenchmarkRawStream is the same over a bare libp2p stream: the floor.
func BenchmarkRawStream(b *testing.B) {
	alice, bob := stranger(b, "alice"), stranger(b, "bob")
	if err := bob.Network().Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
		b.Fatal(err)
	}
	bob.SetStreamHandler("/echo", func(s network.Stream) { io.Copy(s, s) })
	alice.Peerstore().AddAddrs(bob.ID(), bob.Addrs(), 1<<40)
	s, err := alice.NewStream(deadline(b), bob.ID(), "/echo")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Reset()
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			body := make([]byte, size)
			for b.Loop() {
				if _, err := s.Write(body); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(s, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
