package acked

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Sizes in bytes.
const (
	// MaxFrame is the largest frame: what the transport carries in one piece.
	MaxFrame = 64 << 10
	// MaxMessage is the largest message; it travels as 17 frames.
	MaxMessage = 1 << 20

	dataHeader    = 1 + 8 + 8 + 8 + 4 + 8 // kind, from, to, ack, held, seq
	segmentHeader = 1 + 2                 // more, length
	maxSegments   = MaxFrame - dataHeader // room for segments in one data frame

	// window is the number of frames in flight on one lane. The held bitmap has
	// a bit for each of them but the first, so it must not exceed 33.
	window = 32
)

// Frame kinds. The values are part of the wire format.
const (
	kindHello = 1 // who I am; asks for or gives an answer
	kindAck   = 2 // acknowledgement alone
	kindData  = 3 // acknowledgement and messages
)

// A frame is one of three kinds; all integers are big-endian.
//
//	hello: kind u8=1 | from u64 | to u64 | ping u64 | pong u64
//	ack:   kind u8=2 | from u64 | to u64 | ack u64 | held u32
//	data:  kind u8=3 | from u64 | to u64 | ack u64 | held u32 | seq u64 | segment...
//
//	segment: more u8 | length u16 | that many bytes
//
// from is the boot of the sender, never 0. to is the boot of the receiver as far
// as the sender knows it; only a hello without pong may say 0, "unknown". ping
// and pong are 0 when absent.
//
// ack is the sequence number of the frame the receiver waits for: all before it
// were handed up. Bit i of held says that frame ack+1+i waits in its memory. seq
// counts the data frames of one lane and pair of boots, from 0. Both are below
// 2^63.
//
// A segment holds at least one byte. more is 1 if the message goes on in the next
// data frame, then this is the frame's last segment; otherwise 0, and the message
// is complete.
type frame struct {
	kind       byte
	from, to   uint64
	ping, pong uint64
	ack        uint64
	held       uint32
	seq        uint64
	segments   []segment
}

type segment struct {
	more bool
	data []byte
}

var errFrame = errors.New("malformed frame")

// maxSeq keeps sums of a sequence number and the window from wrapping. No honest
// sender lives to see it.
const maxSeq = 1 << 63

// decode parses a frame. Segments alias b. Whatever it accepts, encode turns into
// the same bytes again.
func decode(b []byte) (frame, error) {
	var f frame
	if len(b) > MaxFrame {
		return f, fmt.Errorf("%w: %d bytes", errFrame, len(b))
	}
	s := cryptobyte.String(b)
	if !s.ReadUint8(&f.kind) || !s.ReadUint64(&f.from) || !s.ReadUint64(&f.to) {
		return f, fmt.Errorf("%w: short header", errFrame)
	}
	if f.from == 0 {
		return f, fmt.Errorf("%w: no boot", errFrame)
	}
	switch f.kind {
	case kindHello:
		if !s.ReadUint64(&f.ping) || !s.ReadUint64(&f.pong) || !s.Empty() {
			return f, fmt.Errorf("%w: hello length", errFrame)
		}
		if f.pong != 0 && f.to == 0 {
			return f, fmt.Errorf("%w: answer to nobody", errFrame)
		}
		return f, nil
	case kindAck, kindData:
	default:
		return f, fmt.Errorf("%w: kind %d", errFrame, f.kind)
	}
	if !s.ReadUint64(&f.ack) || !s.ReadUint32(&f.held) {
		return f, fmt.Errorf("%w: short acknowledgement", errFrame)
	}
	if f.to == 0 || f.ack >= maxSeq || f.held>>(window-1) != 0 {
		return f, fmt.Errorf("%w: acknowledgement out of range", errFrame)
	}
	if f.kind == kindAck {
		if !s.Empty() {
			return f, fmt.Errorf("%w: trailing bytes", errFrame)
		}
		return f, nil
	}
	if !s.ReadUint64(&f.seq) || f.seq >= maxSeq || s.Empty() {
		return f, fmt.Errorf("%w: no data", errFrame)
	}
	for more := false; !s.Empty(); {
		var flag uint8
		var data cryptobyte.String
		if more || !s.ReadUint8(&flag) || flag > 1 || !s.ReadUint16LengthPrefixed(&data) || data.Empty() {
			return f, fmt.Errorf("%w: segment", errFrame)
		}
		more = flag == 1
		f.segments = append(f.segments, segment{more, data})
	}
	return f, nil
}

// encode writes a frame that decode accepts.
func (f frame) encode() []byte {
	size := dataHeader
	for _, s := range f.segments {
		size += segmentHeader + len(s.data)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, size))
	b.AddUint8(f.kind)
	b.AddUint64(f.from)
	b.AddUint64(f.to)
	if f.kind == kindHello {
		b.AddUint64(f.ping)
		b.AddUint64(f.pong)
		return b.BytesOrPanic() // fixed lengths: cannot overflow
	}
	b.AddUint64(f.ack)
	b.AddUint32(f.held)
	if f.kind == kindData {
		b.AddUint64(f.seq)
		for _, s := range f.segments {
			var flag uint8
			if s.more {
				flag = 1
			}
			b.AddUint8(flag)
			b.AddUint16LengthPrefixed(func(c *cryptobyte.Builder) { c.AddBytes(s.data) })
		}
	}
	return b.BytesOrPanic() // segments are cut to fit a frame, so below 2^16
}
