package federation

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/crypto/memberkey"
	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/sign"
)

// Before the first address of a new key is shown, its members sign something with
// it: what was generated can then be used, by t of those that will have to, with
// the shares as they compute them and over the network as it is. What they sign
// says which key, so it means nothing else, and it is the untweaked key that signs
// it, under which no coin lies. Each member computes the message from its own part
// of the ceremony and approves it by rule; nothing of it comes from a peer.
//
// The signature is kept with the key. A member that was away when it was made gets
// it from the others, who remember it for ever, the signing machine only for a
// while:
//
//	struct { uint8 kind = 5; opaque key[32]; opaque sig[64]; } Verified;
const (
	noticeVerified = 5

	verificationTag        = "frostfed/v1/key verification"
	verificationRequestTag = "frostfed/v1/key verification request"
)

// PhaseVerifying is the phase of a key after those of its generation.
const PhaseVerifying = "verifying"

// verification is how far a key is with it.
type verification struct {
	done    bool
	sig     [64]byte // zero for a key that was in use before members did this
	message [32]byte // once the key is active
	acks    int
}

// verificationMessage is what the members sign with a new key:
//
//	H[frostfed/v1/key verification](federation 32 | key 32 | t 1 | thresh_pk 33 | n 1 | n * (member 1, pubshare 33))
//
// Recovery data would name the ceremony too, but members may hold different
// certificates for one key: what it certifies is all here.
func (c *Core) verificationMessage(event dkg.KeyActive) [32]byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(uint8(event.T))
	b.AddBytes(event.ThreshPK[:])
	b.AddUint8(uint8(len(event.Participants)))
	for i, id := range event.Participants {
		b.AddUint8(uint8(c.cfg.Charter.Index(id)))
		b.AddBytes(event.PubShares[i][:])
	}
	return memberkey.Hash(verificationTag, c.id[:], event.SessionID[:], b.BytesOrPanic())
}

// VerificationRequest is the ID under which the members of a key sign it. No
// proposer can choose it: other requests are hashed under another tag.
func VerificationRequest(id KeyID) RequestID {
	return RequestID(memberkey.Hash(verificationRequestTag, id[:]))
}

// ready says whether a key may be used to receive coins.
func (k *key) ready() bool { return k.active && k.verification.done }

// verify has the key sign, unless it did.
func (c *Core) verify(now protocols.Time, out *Effects, k *key) {
	if k.verification.done {
		out.Out = append(out.Out, KeyReady{Key: k.id, Label: k.label, Acks: k.verification.acks})
		return
	}
	out.Out = append(out.Out, KeyProgress{Ceremony: k.ceremony, Phase: PhaseVerifying})
	c.fromSign(now, out, c.sign.Approve(now, VerificationRequest(k.id), k.id, []sign.Item{{Message: k.verification.message}}))
}

// verified takes the signature: the last thing before addresses.
func (c *Core) verified(now protocols.Time, out *Effects, k *key, sig [64]byte) {
	if k.verification.done {
		return
	}
	k.verification.done, k.verification.sig = true, sig
	c.saveKey(out, k)
	out.Out = append(out.Out, KeyReady{Key: k.id, Label: k.label, Acks: k.verification.acks, Fresh: true})
}

// tellVerified sends a member the signature of a key.
func (c *Core) tellVerified(now protocols.Time, to protocols.NodeID, k *key) {
	if !k.verification.done || k.verification.sig == ([64]byte{}) {
		return
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(noticeVerified)
	b.AddBytes(k.id[:])
	b.AddBytes(k.verification.sig[:])
	c.send(now, to, protocols.Federation, b.BytesOrPanic())
}

var errVerification = errors.New("the verification signature of a key does not verify")

// takeVerified takes the signature from another member. Before this member has the
// key it cannot check it; it is told again when it asks.
func (c *Core) takeVerified(now protocols.Time, out *Effects, s *cryptobyte.String) error {
	var id KeyID
	var sig [64]byte
	if !s.CopyBytes(id[:]) || !s.CopyBytes(sig[:]) || !s.Empty() {
		return errNotice
	}
	k := c.keys.keys[id]
	if k == nil || !k.active || k.verification.done {
		return nil
	}
	if !memberkey.Verify(k.threshPK[:], k.verification.message[:], sig[:]) {
		return errVerification
	}
	c.fromSign(now, out, c.sign.Cancel(now, VerificationRequest(id)))
	c.verified(now, out, k, sig)
	return nil
}
