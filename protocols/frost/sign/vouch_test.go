package sign

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"frostfed/crypto/memberkey"
	"frostfed/protocols"
)

// hostKey is the key a member of the tests vouches with.
func hostKey(i int) *memberkey.HostKey {
	hostKeys.Lock()
	defer hostKeys.Unlock()
	for len(hostKeys.all) <= i {
		keys, err := memberkey.Derive(bytes.Repeat([]byte{byte(len(hostKeys.all) + 1)}, memberkey.SeedSize), 0)
		if err != nil {
			panic(err)
		}
		hostKeys.all = append(hostKeys.all, &keys.Host)
	}
	return hostKeys.all[i]
}

var hostKeys struct {
	sync.Mutex
	all []*memberkey.HostKey
}

func (w *world) hostSign(i int) func([]byte) ([]byte, error) {
	return func(preimage []byte) ([]byte, error) {
		sig, err := hostKey(i).Sign(preimage, [32]byte{})
		return sig[:], err
	}
}

func verifyHost(member protocols.NodeID, preimage, sig []byte) bool {
	public := hostKey(index(member)).Public()
	return memberkey.Verify(public[:], preimage, sig)
}

func index(member protocols.NodeID) (i int) {
	if _, err := fmt.Sscanf(string(member), "member-%d", &i); err != nil || i >= protocols.MaxMembers {
		return 0 // no such member: its signatures are not member 0's either
	}
	return i
}

func (w *world) note(signer, coordinator int, n nonces) {
	for _, p := range n.pairs {
		w.pubs[pubName(signer, coordinator, n.epoch, p.index)] = p.pubnonce
	}
}

// statement is what the signer of a PSIG must vouch for, from what was seen on
// the network and the items of the test alone.
func (w *world) statement(signer, coordinator int, m psigMsg) *statement {
	sign, seen := w.signs[signName(coordinator, signer, m.request, m.session)]
	if !seen {
		return nil
	}
	names := w.keys[signer].Participants
	if names == nil {
		names = w.nodes[signer].m.cfg.Members
	}
	st := &statement{federation: [32]byte{1}, signer: name(signer), request: m.request, session: m.session,
		group: tagged(groupTag, w.keys[signer].groupInfo(names)), first: sign.first, refill: m.refill.hash()}
	for _, i := range sign.signers {
		st.places = append(st.places, slices.Index(names, name(i)))
	}
	for j := range min(len(m.psigs), len(sign.slots)) {
		st.parts = append(st.parts, part{w.asked[m.request][int(sign.first)+j], sign.slots[j].aggnonce,
			w.pubs[pubName(signer, coordinator, sign.epoch, sign.slots[j].index)], m.psigs[j]})
	}
	return st
}

// mustVouch checks that an honest signer vouches, and for nothing it could be
// convicted of.
func (w *world) mustVouch(from, to int, m psigMsg) {
	if _, measured := w.tb.(*testing.B); measured || w.asked[m.request] == nil {
		return // not to be measured; or approved by the test itself
	}
	st := w.statement(from, to, m)
	if st == nil || !verifyHost(name(from), st.preimage(), m.vouch[:]) {
		w.tb.Fatalf("member %d does not vouch for its PSIG", from)
	}
}

// liar makes a member lie in partial signatures, and vouch for them: change
// rewrites a PSIG, or has it dropped.
func (w *world) liar(i int, change func(to int, m *psigMsg) bool) func(int, []byte) [][]byte {
	return onPSig(func(to int, m *psigMsg) bool {
		if !change(to, m) {
			return false
		}
		if st := w.statement(i, to, *m); st != nil {
			sig, err := w.hostSign(i)(st.preimage())
			if err != nil {
				w.tb.Fatal(err)
			}
			m.vouch = [64]byte(sig)
		}
		return true
	})
}
