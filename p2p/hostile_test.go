package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"frostfed/protocols"
)

// open connects mallory to n and opens a stream, on which she writes b.
func open(t *testing.T, mallory host.Host, n *node, id protocol.ID, b []byte) network.Stream {
	t.Helper()
	if err := mallory.Connect(deadline(t), info(t, n)); err != nil {
		t.Fatal(err)
	}
	s, err := mallory.NewStream(deadline(t), n.self, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return s
}

// resetCode reads s until it is reset by the other side.
func resetCode(t *testing.T, s network.Stream) network.StreamErrorCode {
	t.Helper()
	_, err := io.ReadAll(s)
	var reset *network.StreamError
	if !errors.As(err, &reset) || !reset.Remote {
		t.Fatalf("stream ended with %v, want a reset by the remote", err)
	}
	return reset.ErrorCode
}

// counter reads one of the host's counters.
func counter(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func (n *node) frames() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.seen {
		if _, ok := e.(Frame); ok {
			count++
		}
	}
	return count
}

func TestStrangerIsRefusedAndCounted(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	mallory := stranger(t, "mallory")
	for i, id := range []protocol.ID{wireID(protocols.Echo), wireID(protocols.Sign), heartbeatID} {
		s := open(t, mallory, alice, id, appendFrame(nil, []byte("let me in")))
		if code := resetCode(t, s); code != network.StreamGated {
			t.Errorf("%s: reset with %#x", id, code)
		}
		if got := counter(t, alice.metrics.refused); got != float64(i+1) {
			t.Errorf("refused %v streams, want %d", got, i+1)
		}
	}
	if alice.frames() != 0 {
		t.Error("a stranger's frame came through")
	}
	if alice.Send(protocols.NodeID(mallory.ID()), protocols.Echo, []byte("x")) {
		t.Error("sends to strangers")
	}
}

func TestNotListedByPeer(t *testing.T) {
	_, ids := roster(t, 3)
	alice := start(t, config(t, "alice", ids[2:]))               // does not know bob
	bob := start(t, config(t, "bob", ids, alice.Addrs()[0]))     // thinks alice is a member
	carol := start(t, config(t, "carol", ids, alice.Addrs()[0])) // both do
	carol.awaitUp(ids...)
	eventually(t, "bob learns why", func() bool {
		return bob.Peers()[0].LastError == errRefused.Error() || bob.Peers()[1].LastError == errRefused.Error()
	})
	for _, p := range bob.Peers() {
		if p.ID == alice.ID() && (p.Up || !p.Connected) {
			t.Errorf("alice, as bob sees her: %+v", p)
		}
	}
	if bob.Send(alice.ID(), protocols.Echo, []byte("x")) {
		t.Error("sends to a peer that refuses us")
	}
}

func TestBadFrameSizeIsAFault(t *testing.T) {
	_, ids := roster(t, 2)
	for name, header := range map[string]uint32{"zero": 0, "one too many": MaxFrame + 1, "all ones": 1<<32 - 1} {
		t.Run(name, func(t *testing.T) {
			alice := start(t, config(t, "alice", ids))
			bob := stranger(t, "bob") // a member that speaks its own dialect
			s := open(t, bob, alice, wireID(protocols.DKG), binary.BigEndian.AppendUint32(nil, header))
			if code := resetCode(t, s); code != network.StreamProtocolViolation {
				t.Errorf("reset with %#x", code)
			}
			alice.awaitEvent(PeerFault{protocols.Fault{
				Culprit: protocols.NodeID(bob.ID()), Kind: FaultFrameSize, Detail: string(protocols.DKG),
			}})
			if got := counter(t, alice.metrics.faults.WithLabelValues(FaultFrameSize)); got != 1 {
				t.Errorf("%v faults counted", got)
			}
			open(t, bob, alice, wireID(protocols.DKG), appendFrame(nil, []byte("sorry")))
			alice.awaitEvent(Frame{From: protocols.NodeID(bob.ID()), Protocol: protocols.DKG, Body: []byte("sorry")})
		})
	}
}

func TestTruncatedFrameTimesOut(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	bob := stranger(t, "bob")
	whole := appendFrame(nil, []byte("one whole frame"))
	s := open(t, bob, alice, wireID(protocols.Echo), append(whole, 0, 0, 1, 0, 'x'))
	alice.awaitEvent(Frame{From: protocols.NodeID(bob.ID()), Protocol: protocols.Echo, Body: []byte("one whole frame")})
	resetCode(t, s) // after timing.body, although the connection is fine
	if alice.frames() != 1 {
		t.Error("half a frame was delivered")
	}
}

// A flood of sockets that say nothing, or half a hello, must not keep members
// out: one address holds at most its share of the limits.
func TestHalfOpenFloodDoesNotBlockMembers(t *testing.T) {
	_, ids := roster(t, 3)
	alice := start(t, config(t, "alice", ids))
	target, err := manet.ToNetAddr(alice.host.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for i := range 300 { // the limit is 2*(2n+32) = 76 in all
		c, err := dialer.DialContext(deadline(t), "tcp", target.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			c.Write([]byte("\x13/multistream/1.0")) // an error means that it was closed already
		}
	}
	began := time.Now()
	for _, name := range []string{"bob", "carol"} {
		cfg := config(t, name, ids, alice.Addrs()[0])
		start(t, cfg).awaitUp(ids[0])
	}
	alice.awaitUp(ids...)
	if took := time.Since(began); took > 10*time.Second { // libp2p gives a handshake 15 s
		t.Errorf("members waited %v for half-open connections to time out", took)
	}
}

func TestTLSOnlyPeerIsRefused(t *testing.T) {
	_, ids := roster(t, 2)
	alice := start(t, config(t, "alice", ids))
	bob := stranger(t, "bob", libp2p.Security(libp2ptls.ID, libp2ptls.New))
	if err := bob.Connect(deadline(t), info(t, alice)); err == nil {
		t.Fatal("connected without noise")
	}
}

func TestRSAPeerIsRefused(t *testing.T) {
	alice := start(t, config(t, "alice", nil))
	k, _, err := crypto.GenerateKeyPair(crypto.RSA, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mallory, err := libp2p.New(libp2p.Identity(k), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer mallory.Close()
	// The handshake ends for the dialer before the listener refuses, so Connect
	// may succeed; identify, which needs an answer, may not.
	mallory.Connect(deadline(t), info(t, alice))
	eventually(t, "mallory is disconnected", func() bool {
		return mallory.Network().Connectedness(alice.self) != network.Connected
	})
	if alice.connected(mallory.ID()) {
		t.Error("connected to an RSA identity")
	}
}

// puppet is a libp2p host with a member's identity that alice can dial and that
// answers heartbeats, or not.
func puppet(t *testing.T, name string, answer bool) (host.Host, []string) {
	t.Helper()
	h := stranger(t, name)
	if err := h.Network().Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
		t.Fatal(err)
	}
	h.SetStreamHandler(heartbeatID, func(s network.Stream) {
		defer s.Reset()
		var ping [pingSize]byte
		for answer {
			if _, err := io.ReadFull(s, ping[:]); err != nil {
				return
			}
			if _, err := s.Write(append(ping[instanceSize:], statusOK)); err != nil {
				return
			}
		}
		io.Copy(io.Discard, s)
	})
	full, err := peer.AddrInfoToP2pAddrs(host.InfoFromHost(h))
	if err != nil {
		t.Fatal(err)
	}
	return h, []string{full[0].String()}
}

func TestSilentMemberIsDisconnected(t *testing.T) {
	_, ids := roster(t, 2)
	bob, addrs := puppet(t, "bob", false)
	gone := make(chan struct{}, 16)
	bob.Network().Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
		select {
		case gone <- struct{}{}:
		default:
		}
	}})
	cfg := config(t, "alice", ids, addrs...)
	cfg.timing.answer = 50 * time.Millisecond
	alice := start(t, cfg)
	for range 2 { // it is dialed again, and given up again
		select {
		case <-gone:
		case <-deadline(t).Done():
			t.Fatal("a member that answers nothing stays connected")
		}
	}
	alice.mu.Lock()
	defer alice.mu.Unlock()
	for _, e := range alice.seen {
		t.Errorf("event %#v of a member that never spoke", e)
	}
}

func TestLyingHeartbeatIsAFault(t *testing.T) {
	_, ids := roster(t, 2)
	bob, addrs := puppet(t, "bob", false)
	bob.SetStreamHandler(heartbeatID, func(s network.Stream) { s.Write(make([]byte, pongSize)) })
	alice := start(t, config(t, "alice", ids, addrs...))
	alice.awaitEvent(PeerFault{protocols.Fault{Culprit: protocols.NodeID(bob.ID()), Kind: FaultHeartbeat, Detail: "answer"}})
}

func TestFullQueueDrops(t *testing.T) {
	_, ids := roster(t, 2)
	bob, addrs := puppet(t, "bob", true)
	bob.SetStreamHandler(wireID(protocols.Echo), func(network.Stream) {}) // never reads
	alice := start(t, config(t, "alice", ids, addrs...))
	alice.awaitUp(ids...)
	to := protocols.NodeID(bob.ID())
	body := make([]byte, MaxFrame)
	full := alice.metrics.drops.WithLabelValues(dropFull)
	for sent := 0; alice.Send(to, protocols.Echo, body); sent += len(body) {
		if sent > 64<<20 {
			t.Fatal("64 MiB queued for a member that reads nothing")
		}
	}
	if counter(t, full) != 1 {
		t.Errorf("%v drops counted", counter(t, full))
	}
	for _, bad := range []struct {
		to   protocols.NodeID
		p    protocols.Protocol
		body []byte
	}{
		{to, protocols.Echo, nil},
		{to, protocols.Echo, make([]byte, MaxFrame+1)},
		{to, "echo/99", body},
		{"nobody", protocols.Echo, body},
	} {
		if alice.Send(bad.to, bad.p, bad.body) {
			t.Errorf("sent %d bytes to %q on %s", len(bad.body), bad.to, bad.p)
		}
	}
	if !alice.Send(to, protocols.Sign, []byte("x")) {
		t.Error("a full queue of one protocol blocks another")
	}
}

// Backpressure: a daemon that takes no events makes the sender's queue fill, and
// nothing in between grows; a flood of one member leaves room for another.
func TestFloodHoldsBackOnlyTheFlooder(t *testing.T) {
	_, ids := roster(t, 3)
	alice, err := New(t.Context(), config(t, "alice", ids)) // events stay where they are
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	bob := start(t, config(t, "bob", ids, alice.Addrs()[0]))
	carol := start(t, config(t, "carol", ids, alice.Addrs()[0]))
	bob.awaitUp(ids...)
	carol.awaitUp(ids...)
	ctx := deadline(t)
	next := func() Event {
		select {
		case e := <-alice.Events():
			return e
		case <-ctx.Done():
			t.Fatal("no event")
			return nil
		}
	}
	for range 2 {
		if _, ok := next().(PeerUp); !ok {
			t.Fatal("an event before PeerUp of both")
		}
	}
	for sent := 0; bob.Send(alice.ID(), protocols.Echo, make([]byte, MaxFrame)); sent += MaxFrame {
		if sent > 256<<20 {
			t.Fatal("256 MiB sent to a daemon that takes nothing")
		}
	}
	link := alice.links[bob.self]
	eventually(t, "bob's inbox is full", func() bool { return len(link.inbox) == maxInbox })
	if !carol.Send(alice.ID(), protocols.Echo, []byte("hello")) {
		t.Fatal("carol cannot send")
	}
	eventually(t, "carol's frame waits", func() bool { return len(alice.links[carol.self].inbox) > 0 })

	for others := 0; ; others++ {
		if f, ok := next().(Frame); ok && f.From == carol.ID() {
			break
		}
		if others == 2 { // one that the dispatcher holds, one that is bob's turn
			t.Fatal("carol waits for more than her turn")
		}
	}
}

func TestReadRateIsLimited(t *testing.T) {
	// In a bubble, so that a busy machine does not use up the deadline.
	synctest.Test(t, func(t *testing.T) {
		_, ids := roster(t, 2)
		h := &Host{timing: fast}
		l := newLink(ids[1], []protocols.Protocol{protocols.Echo})
		frame := appendFrame(nil, make([]byte, MaxFrame))
		n := 0
		for ; ; n++ {
			// A deadline before the bucket has what a frame costs fails at once.
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := h.readFrame(ctx, l, &fakeStream{in: frame})
			cancel()
			if err != nil {
				break
			}
		}
		if burst := inboundBurst / (MaxFrame + frameCost); n < burst || n > 2*burst {
			t.Errorf("read %d frames at once, want about %d", n, burst)
		}
	})
}
