package wiretap

import (
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols"
)

// frame puts messages of the signing channel into a data frame.
func frame(messages ...[]byte) []byte {
	b := cryptobyte.NewBuilder([]byte{3})
	b.AddBytes(make([]byte, 8+8+8+4+8))
	for _, m := range messages {
		b.AddUint8(0)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m) })
	}
	return b.BytesOrPanic()
}

func addPool(b *cryptobyte.Builder, epoch byte, index uint64, nonce byte) {
	b.AddBytes([]byte{15: epoch})
	b.AddUint64(0)
	b.AddUint16(1)
	b.AddUint64(index)
	b.AddBytes([]byte{65: nonce})
}

func nonces(epoch byte, index uint64, nonce byte) []byte {
	b := cryptobyte.NewBuilder([]byte{Nonces})
	addPool(b, epoch, index, nonce)
	return b.BytesOrPanic()
}

func addSession(b *cryptobyte.Builder, request byte, sid uint32) {
	b.AddBytes([]byte{31: request})
	b.AddBytes(make([]byte, 16))
	b.AddUint32(sid)
}

func signs(request byte, sid uint32, epoch byte, index uint64) []byte {
	b := cryptobyte.NewBuilder([]byte{Sign})
	addSession(b, request, sid)
	b.AddBytes(make([]byte, 32+4))
	b.AddUint8(3)
	b.AddBytes([]byte{0, 1, 2})
	b.AddBytes([]byte{15: epoch})
	b.AddUint16(1)
	b.AddBytes(make([]byte, 66))
	b.AddUint64(index)
	return b.BytesOrPanic()
}

func psig(request byte, sid uint32, value byte) []byte {
	b := cryptobyte.NewBuilder([]byte{PSig})
	addSession(b, request, sid)
	b.AddUint16(1)
	b.AddBytes([]byte{31: value})
	b.AddBytes(make([]byte, 64))
	addPool(b, 1, 99, 99)
	return b.BytesOrPanic()
}

// TestTap shows each misuse that the Tap must find, and what it must let pass.
func TestTap(t *testing.T) {
	const signer, coordinator, other = protocols.NodeID("s"), protocols.NodeID("c"), protocols.NodeID("o")
	type said struct {
		from, to protocols.NodeID
		message  []byte
	}
	in := func(m []byte) said { return said{coordinator, signer, m} }
	out := func(m []byte) said { return said{signer, coordinator, m} }
	for name, r := range map[string]struct {
		said []said
		want string // in the complaint; empty: none
	}{
		"one session":                       {[]said{out(nonces(1, 1, 1)), in(signs(1, 1, 1, 1)), out(psig(1, 1, 5))}, ""},
		"repeated":                          {[]said{out(nonces(1, 1, 1)), out(nonces(1, 1, 1)), in(signs(1, 1, 1, 1)), out(psig(1, 1, 5)), out(psig(1, 1, 5))}, ""},
		"two pairs":                         {[]said{in(signs(1, 1, 1, 1)), out(psig(1, 1, 5)), in(signs(2, 1, 1, 2)), out(psig(2, 1, 6))}, ""},
		"same index of two processes":       {[]said{in(signs(1, 1, 1, 1)), out(psig(1, 1, 5)), in(signs(2, 1, 2, 1)), out(psig(2, 1, 6))}, ""},
		"one pair, two requests":            {[]said{in(signs(1, 1, 1, 1)), out(psig(1, 1, 5)), in(signs(2, 1, 1, 1)), out(psig(2, 1, 6))}, "twice"},
		"one pair, two sessions, one value": {[]said{in(signs(1, 1, 1, 1)), out(psig(1, 1, 5)), in(signs(1, 2, 1, 1)), out(psig(1, 2, 5))}, "twice"},
		"two answers to one session":        {[]said{in(signs(1, 1, 1, 1)), out(psig(1, 1, 5)), out(psig(1, 1, 6))}, "twice"},
		"one nonce, two indices":            {[]said{out(nonces(1, 1, 1)), out(nonces(1, 2, 1))}, "one public nonce"},
		"one nonce, two processes":          {[]said{out(nonces(1, 1, 1)), out(nonces(2, 1, 1))}, "one public nonce"},
		"one nonce, two coordinators":       {[]said{out(nonces(1, 1, 1)), {signer, other, nonces(1, 1, 1)}}, "one public nonce"},
		"two nonces, one handle":            {[]said{out(nonces(1, 1, 1)), out(nonces(1, 1, 2))}, "two public nonces"},
		"an answer to nobody":               {[]said{out(psig(1, 1, 5))}, "nobody"},
	} {
		tap := New()
		var told int
		tap.Signs = func(protocols.NodeID, [32]byte) { told++ }
		for _, s := range r.said {
			tap.Frame(s.from, s.to, protocols.Sign, frame(s.message))
		}
		err := tap.Err()
		if (err == nil) != (r.want == "") || err != nil && !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %v", name, err)
		}
		if answered := strings.Contains(name, "nonce"); !answered && told == 0 {
			t.Errorf("%s: nobody was told of a signature", name)
		}
	}
	tap := New()
	tap.Frame(signer, coordinator, protocols.Sign, frame(nonces(1, 1, 1), nonces(2, 1, 2), append([]byte{No}, append(make([]byte, 32+16+4), 2)...)))
	tap.Frame(signer, coordinator, protocols.Echo, frame(nonces(3, 1, 1)))
	if tap.Epochs(signer) != 2 || tap.Stale(signer) != 1 || tap.Answers(signer) != 0 {
		t.Errorf("%d processes, %d stale, %d answers", tap.Epochs(signer), tap.Stale(signer), tap.Answers(signer))
	}
}
