package chilldkg

import "frostfed/crypto/internal/secp"

// DealBadShares is Deal by a faulty participant: the shares of the victims, given
// by id, do not fit the commitments, and all else is right. Nobody but a victim can
// see it before the victim complains. It is there to show that the others cope.
func DealBadShares(hostseckey []byte, params *SessionParams, session SessionID, random []byte, victim func(id int) bool) ([]byte, error) {
	h, id, err := params.member(hostseckey)
	if err != nil {
		return nil, err
	}
	defer h.Wipe()
	d, err := deal(h, id, params, random)
	if err != nil {
		return nil, err
	}
	defer d.wipe()
	shares := d.pmsg1[len(d.pmsg1)-secp.ScalarSize*params.N():]
	for i := range params.N() {
		if i != id && victim(i) {
			c := shares[secp.ScalarSize*i : secp.ScalarSize*(i+1)]
			share, err := secp.ParseScalar(c)
			if err != nil {
				return nil, err // never: it was just made
			}
			wrong := share.Add(secp.ScalarFromUint(uint64(id + 1))).Bytes() // two dealers' errors must not cancel
			copy(c, wrong[:])
		}
	}
	return d.proved(session, id)
}
