package evidence

import (
	"encoding/hex"
	"fmt"

	"frostfed/crypto/memberkey"
	"frostfed/protocols"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/sign"
	"frostfed/protocols/membership"
)

// ID names an offence: a hash of federation, culprit, kind and place. Members may
// hold different proofs of one offence, since signatures are not unique, but name
// it alike.
type ID [32]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Verdict is what evidence proves.
type Verdict struct {
	ID         ID
	Federation membership.FederationID
	Kind       string // as the fault that it was reported as, e.g. "bad_share"
	Culprit    int    // index in the charter
	Name       string
	Peer       protocols.NodeID
	HostKey    [33]byte
	Place      string // the topic, session or request in which it happened
	Words      string // one sentence for people, about the culprit
}

const idTag = "frostfed/v1/evidence"

// Verify judges the evidence from scratch. Errors wrap ErrProof.
func (e *Evidence) Verify() (Verdict, error) {
	f, err := find(e.Charter, e.Source, e.Proof)
	if err != nil {
		return Verdict{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	i := e.Charter.Index(f.culprit)
	if i < 0 {
		return Verdict{}, fmt.Errorf("%w: about somebody who is no member", ErrProof)
	}
	card, federation := e.Charter.Cards[i], e.Charter.ID()
	return Verdict{
		ID:         memberkey.Hash(idTag, federation[:], []byte{byte(i), byte(len(f.kind))}, []byte(f.kind), []byte(f.place)),
		Federation: federation, Kind: f.kind, Culprit: i, Name: card.Name, Peer: f.culprit, HostKey: card.Host,
		Place: f.place, Words: f.words,
	}, nil
}

// finding is what a protocol package makes of a proof.
type finding struct {
	culprit            protocols.NodeID
	kind, place, words string
}

func find(c *membership.Charter, source Source, proof []byte) (finding, error) {
	switch source {
	case Echo:
		eq, err := echo.VerifyEquivocation(c.ID(), proof, verifier(c))
		if err != nil {
			return finding{}, err
		}
		return finding{eq.Sender, echo.FaultEquivocation, readable(eq.Topic),
			fmt.Sprintf("signed two different broadcasts under the topic %s", readable(eq.Topic))}, nil
	case DKG:
		v, err := dkg.VerifyProof(KeyMembers(c), Notary(c), proof)
		if err != nil {
			return finding{}, err
		}
		return finding{v.Culprit, v.Kind, "dkg/" + v.Session.String(),
			fmt.Sprintf("%s, in session %s of a key generation", dkgWords[v.Kind], v.Session)}, nil
	case Sign:
		v, err := sign.VerifyProof(c.ID(), proof, sign.Verify(verifier(c)))
		if err != nil {
			return finding{}, err
		}
		return finding{v.Culprit, sign.FaultBadPartial, "req/" + hex.EncodeToString(v.Request[:]),
			fmt.Sprintf("signed request %x wrongly: its partial signature for item %d does not verify under key %x", v.Request, v.Item, v.Thresh)}, nil
	}
	return finding{}, fmt.Errorf("unknown source %d", source)
}

// readable is a topic as it can be shown: a liar may sign any bytes for one.
func readable(topic string) string {
	for _, r := range []byte(topic) {
		if r <= ' ' || r > '~' {
			return hex.EncodeToString([]byte(topic))
		}
	}
	return topic
}

var dkgWords = map[string]string{
	dkg.FaultFirstMessage: "broadcast a wrong first message",
	dkg.FaultShare:        "dealt a share that does not fit its commitments",
	dkg.FaultComplaint:    "made a false complaint about another member",
	dkg.FaultSigned:       "complained about a session and signed for it",
}

// verifier checks signatures of the host keys of the members.
func verifier(c *membership.Charter) echo.Verify {
	return func(member protocols.NodeID, preimage, sig []byte) bool {
		i := c.Index(member)
		return i >= 0 && memberkey.Verify(c.Cards[i].Host[:], preimage, sig)
	}
}

// Notary returns what key generation needs to know of the signatures of broadcasts.
func Notary(c *membership.Charter) dkg.Notary {
	id, verify := c.ID(), verifier(c)
	return dkg.Notary{
		Hash: func(payload []byte) [32]byte { return echo.HashPayload(payload) },
		Verify: func(sender protocols.NodeID, topic string, hash [32]byte, sig []byte) bool {
			return echo.VerifyBroadcast(id, sender, topic, hash, sig, verify)
		},
	}
}

// KeyMembers returns the members as key generation knows them.
func KeyMembers(c *membership.Charter) []dkg.Member {
	members := make([]dkg.Member, c.N())
	for i, card := range c.Cards {
		members[i] = dkg.Member{ID: card.NodeID(), HostKey: card.Host}
	}
	return members
}
