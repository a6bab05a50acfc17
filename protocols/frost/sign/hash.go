package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"frostfed/protocols"
)

// tagged is the tagged hash of BIP 340: SHA256(SHA256(tag)‖SHA256(tag)‖parts).
func tagged(tag string, parts ...[]byte) (out [32]byte) {
	t := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(t[:])
	h.Write(t[:])
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// digestItems is what a coordinator and a signer compare before they sign:
//
//	H[frostfed/v1/sign/items](federation ‖ request ‖ key ‖ b4(k) ‖ k * (message ‖ b2(v) ‖ v * (tweak ‖ b1(mode))))
//
// Only a digest travels; the items are each member's own.
func digestItems(federation, request, key [32]byte, items []Item) [32]byte {
	buf := binary.BigEndian.AppendUint32(nil, uint32(len(items)))
	for i := range items {
		it := &items[i]
		buf = append(buf, it.Message[:]...)
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(it.Tweaks)))
		for j := range it.Tweaks {
			buf = append(buf, it.Tweaks[j][:]...)
			buf = append(buf, mode(it.XOnly[j]))
		}
	}
	return tagged("frostfed/v1/sign/items", federation[:], request[:], key[:], buf)
}

// coordinators orders the indices of members by H[frostfed/v1/coord](request ‖
// member): the order in which they coordinate this request. No member can place
// itself first without choosing the request.
func coordinators(request [32]byte, members []protocols.NodeID) []int {
	hashes := make([][32]byte, len(members))
	order := make([]int, len(members))
	for i, id := range members {
		hashes[i] = tagged("frostfed/v1/coord", request[:], []byte(id))
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(hashes[a][:], hashes[b][:]) })
	return order
}
