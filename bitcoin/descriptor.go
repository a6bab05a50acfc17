package bitcoin

import (
	"fmt"
	"strings"
)

// Descriptor is the output descriptor of receive and change addresses with its
// checksum, tr(xpub/<0;1>/*)#checksum (BIP 380, 386, 389): any descriptor wallet
// can import it to watch the federation's coins.
func (k Key) Descriptor() string {
	d := fmt.Sprintf("tr(%s/<%d;%d>/*)", k.Xpub(), Receive, Change)
	sum, _ := descriptorChecksum(d) // base58 and punctuation are always in the charset
	return d + "#" + sum
}

const (
	inputCharset    = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
	checksumCharset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

// descriptorChecksum computes the 8-character checksum, or returns false if s has
// a character that descriptors do not. Source: BIP 380, Checksum.
func descriptorChecksum(s string) (string, bool) {
	generator := [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd}
	c := uint64(1)
	feed := func(v uint64) {
		top := c >> 35
		c = (c&0x7ffffffff)<<5 ^ v
		for i, g := range generator {
			if top>>i&1 == 1 {
				c ^= g
			}
		}
	}
	// Each character gives 5 bits at once and 2 more with its two neighbours.
	group, size := 0, 0
	for _, r := range s {
		pos := strings.IndexRune(inputCharset, r)
		if pos < 0 {
			return "", false
		}
		feed(uint64(pos & 31))
		group = group*3 + pos>>5
		if size++; size == 3 {
			feed(uint64(group))
			group, size = 0, 0
		}
	}
	if size > 0 {
		feed(uint64(group))
	}
	for range 8 {
		feed(0)
	}
	c ^= 1
	var out [8]byte
	for i := range out {
		out[i] = checksumCharset[c>>(5*(7-i))&31]
	}
	return string(out[:]), true
}
