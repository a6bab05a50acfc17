package p2p

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"frostfed/protocols"
)

// fakeStream is the little of a stream that readFrame uses.
type fakeStream struct {
	network.Stream
	in []byte
}

func (s *fakeStream) Scope() network.StreamScope      { return &network.NullScope{} }
func (s *fakeStream) SetReadDeadline(time.Time) error { return nil }
func (s *fakeStream) Read(b []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

// Whatever is read encodes to the bytes it was read from.
func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, []byte("x")))
	f.Add(appendFrame(appendFrame(nil, []byte("one")), []byte("two")))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 9, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, ids := roster(t, 1)
		h := &Host{timing: fast}
		l := newLink(ids[0], []protocols.Protocol{protocols.Echo})
		s := &fakeStream{in: b}
		var again []byte
		for {
			before := len(b) - len(s.in)
			body, err := h.readFrame(t.Context(), l, s)
			if err != nil {
				if !bytes.Equal(again, b[:before]) {
					t.Fatalf("%x reads as %x", b[:before], again)
				}
				if rest := b[before:]; len(rest) == 0 && err != io.EOF {
					t.Fatalf("clean end reported as %v", err)
				} else if len(rest) >= headerSize && bytes.Equal(rest[:headerSize], make([]byte, headerSize)) && !errors.Is(err, errFrameSize) {
					t.Fatalf("empty frame reported as %v", err)
				}
				return
			}
			again = appendFrame(again, body)
		}
	})
}

func TestQueueBounds(t *testing.T) {
	q := &queue{frames: make(chan []byte, maxQueueFrames)}
	n := 0
	for q.push([]byte{1}) {
		n++
	}
	if n != maxQueueFrames {
		t.Errorf("%d small frames fit, want %d", n, maxQueueFrames)
	}
	q = &queue{frames: make(chan []byte, maxQueueFrames)}
	n = 0
	for q.push(make([]byte, MaxFrame)) {
		n++
	}
	if n != maxQueueBytes/MaxFrame {
		t.Errorf("%d large frames fit, want %d", n, maxQueueBytes/MaxFrame)
	}
	if !q.push(make([]byte, maxQueueBytes%MaxFrame)) {
		t.Error("a refused frame keeps its share of the queue")
	}
}

func TestInstances(t *testing.T) {
	a, b := [instanceSize]byte{1}, [instanceSize]byte{2}
	for name, test := range map[string]struct {
		spoke []byte
		want  bool
	}{
		"one process":                   {[]byte{1, 1, 1, 1}, false},
		"restarts":                      {[]byte{1, 1, 2, 2, 3, 4, 5, 6, 7}, false},
		"two turns":                     {[]byte{1, 2, 1, 2, 2}, true},
		"a late heartbeat, once":        {[]byte{1, 2, 1}, false},
		"two processes":                 {[]byte{1, 2, 1, 2, 1}, true},
		"three processes":               {[]byte{1, 2, 3, 1, 2, 3}, true},
		"the other one is long gone":    {append([]byte{1, 2, 1, 2}, bytes.Repeat([]byte{2}, calmRun)...), false},
		"a new start after two":         {[]byte{1, 2, 1, 2, 3}, false},
		"a new start beside two":        {[]byte{1, 2, 1, 2, 3, 1, 2}, true},
		"inventing more than are kept":  {[]byte{1, 2, 3, 4, 5, 6, 1, 2}, false},
		"nothing but zero, the default": {[]byte{0, 0, 0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var in instances
			for _, i := range test.spoke {
				in.spoke([instanceSize]byte{i})
			}
			if in.cloned() != test.want {
				t.Errorf("cloned = %v", in.cloned())
			}
		})
	}
	l := &link{}
	var news int
	for _, i := range [][instanceSize]byte{a, b, a, b, a, b} {
		if _, n := l.spoke(i); n {
			news++
		}
	}
	if news != 1 {
		t.Errorf("reported %d times, want once", news)
	}
}
