package e2e

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"

	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/node"
	"frostfed/p2p"
	"frostfed/protocols"
)

// channels are what members speak with each other.
var channels = []protocols.Protocol{protocols.Echo, protocols.DKG, protocols.Sign, protocols.Roast, protocols.Federation}

// strangers attack alice from outside: noise on her port, half-open connections,
// and a libp2p host that is no member and announces frames of 4 GiB. She refuses
// its streams and goes on.
func (f *federation) strangers() {
	f.makeNoise()
	mallory := newHost(f.T, nil)
	defer mallory.Close()
	for _, p := range channels {
		if code := f.send(mallory, p, oversized()); code != network.StreamGated {
			f.Errorf("%s: a stranger's stream was reset with code %#x", p, code)
		}
	}
	f.alice.await("lives on", func(s *v1.GetStatusResponse) bool { return s.Connected == n })
}

// makeNoise sends what is no libp2p to alice's port.
func (f *federation) makeNoise() {
	random := make([]byte, 64<<10)
	rand.Read(random)
	for _, data := range [][]byte{
		random,
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, // the longest length prefix
		[]byte("\x13/multistream/1.0.0\n\x07/noise\n\xff\xff"),
		nil, // says nothing
	} {
		for range 4 {
			c, err := net.Dial("tcp", f.alice.listen)
			if err != nil {
				f.Fatal(err)
			}
			f.Cleanup(func() { c.Close() })
			c.Write(data) // fails if she has had enough already
			f.noise = append(f.noise, c)
		}
	}
}

// noiseGone makes sure that alice has closed every such connection by herself.
func (f *federation) noiseGone() {
	for _, c := range f.noise {
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			f.Error("alice keeps a connection that never was one")
		}
	}
}

// impostor has stolen erin's identity, while erin is down, and speaks the members'
// protocols: frames of 4 GiB, truncated ones, and well-formed ones of nonsense.
// Alice counts the faults and goes on.
func (f *federation) impostor() {
	phrase, err := os.ReadFile(f.erin.phrase)
	if err != nil {
		f.Fatal(err)
	}
	keys, err := node.Dir(f.erin.dir).OpenKeys(phrase[:len(phrase)-1])
	if err != nil {
		f.Fatal(err)
	}
	identity, err := crypto.UnmarshalEd25519PrivateKey(keys.Identity)
	if err != nil {
		f.Fatal(err)
	}
	mallory := newHost(f.T, identity)
	defer mallory.Close()
	for _, p := range channels {
		if code := f.send(mallory, p, oversized()); code != network.StreamProtocolViolation {
			f.Errorf("%s: an oversized frame: reset with code %#x", p, code)
		}
	}
	nonsense := make([]byte, 1000)
	rand.Read(nonsense)
	for _, p := range channels {
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(nonsense))), nonsense...)
		f.open(mallory, p, append(frame, frame[:500]...)) // one whole, one truncated
	}
	f.faultsOfErin(p2p.FaultFrameSize)
	f.alice.await("lives on", func(s *v1.GetStatusResponse) bool { return s.Connected >= threshold })
}

// faultsOfErin waits until alice has counted one of a kind.
func (f *federation) faultsOfErin(kind string) {
	f.Helper()
	eventually(f.T, "alice counts faults of erin: "+kind, func(ctx context.Context) error {
		var list v1.ListFaultsResponse
		if err := f.alice.try(ctx, &list, "faults"); err != nil {
			return err
		}
		for _, fault := range list.Faults {
			if fault.Member.GetName() == "erin" && fault.Kind == kind {
				return nil
			}
		}
		return errors.New("none in " + list.String())
	})
}

// oversized announces a frame of 4 GiB and sends a little of it.
func oversized() []byte {
	return append(binary.BigEndian.AppendUint32(nil, 1<<32-1), make([]byte, 100)...)
}

// newHost is a libp2p host that listens nowhere.
func newHost(t *testing.T, identity crypto.PrivKey) host.Host {
	t.Helper()
	options := []libp2p.Option{libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.DisableRelay()}
	if identity != nil {
		options = append(options, libp2p.Identity(identity))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// open opens a stream to alice and writes to it.
func (f *federation) open(from host.Host, p protocols.Protocol, data []byte) network.Stream {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	id, err := peer.Decode(f.alice.peerID())
	if err != nil {
		f.Fatal(err)
	}
	hostname, port, _ := net.SplitHostPort(f.alice.listen)
	addr := multiaddr.StringCast("/ip4/" + hostname + "/tcp/" + port)
	if err := from.Connect(ctx, peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{addr}}); err != nil {
		f.Fatalf("connect to alice: %v", err)
	}
	s, err := from.NewStream(ctx, id, protocol.ID(p2p.Prefix+string(p)))
	if err != nil {
		f.Fatalf("open stream to alice: %v", err)
	}
	s.Write(data) // fails if she has reset it already
	return s
}

// send is open, and returns the code with which alice resets the stream.
func (f *federation) send(from host.Host, p protocols.Protocol, data []byte) network.StreamErrorCode {
	f.Helper()
	s := f.open(from, p, data)
	s.SetReadDeadline(time.Now().Add(patience))
	_, err := io.ReadAll(s)
	var reset *network.StreamError
	if !errors.As(err, &reset) || !reset.Remote {
		f.Errorf("%s: the stream ended with %v, not with a reset by alice", p, err)
		return 0
	}
	return reset.ErrorCode
}
