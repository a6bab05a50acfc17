package sign

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// A signer vouches for each PSIG with its host key, over all that decides whether
// its partial signatures are right: the key, the items, the aggregate nonces as it
// was given them, and its own public nonces. Whether they are right is then plain
// to anyone, and nothing the coordinator says enters: see the package comment.

// Verify checks the signature of a member over preimage.
type Verify func(member protocols.NodeID, preimage, sig []byte) bool

// ErrProof is wrapped by the errors of VerifyProof: the proof shows nothing.
var ErrProof = errors.New("invalid proof of a bad partial signature")

// Conviction is what a proof shows: Culprit vouched for a partial signature, to
// the item of that index in the request, that does not verify.
type Conviction struct {
	Culprit protocols.NodeID
	Key     [32]byte // ID of the key
	Thresh  [33]byte // its plain threshold public key
	Request [32]byte
	Item    int
	Message [32]byte
}

// statement is what a signer vouches for:
//
//	federation 32 | signer 1+len | group 32 | request 32 | run 16 | sid 4 | u 1 | u * place 1 | first 4 |
//	refill 32 | k 2 | k * (message 32 | v 1 | v * (tweak 32, mode 1) | aggnonce 66 | pubnonce 66 | psig 32)
//
// signer is the member, place the index among the participants of the key: the
// signer id of BIP 445. group is the hash of the key (groupInfo), refill that of the
// pool in the same PSIG.
type statement struct {
	federation [32]byte
	signer     protocols.NodeID
	group      [32]byte
	request    requestID
	session    sessionID
	places     []int // T
	first      uint32
	refill     [32]byte
	parts      []part
}

// part is one item of a statement.
type part struct {
	item     Item
	aggnonce [pubnonceSize]byte
	pubnonce [pubnonceSize]byte // the signer's own
	psig     [psigSize]byte
}

const (
	vouchTag     = "frostfed/v1/sign/psig"
	groupTag     = "frostfed/v1/sign/group"
	proofVersion = 1
	// maxName bounds the name of a member in a statement.
	maxName = 255
)

// preimage is what the host key signs: the tag, and the hash of the statement
// under it.
func (s *statement) preimage() []byte {
	h := tagged(vouchTag, s.encode())
	return append([]byte(vouchTag), h[:]...)
}

func (s *statement) encode() []byte {
	var b cryptobyte.Builder
	b.AddBytes(s.federation[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.signer)) })
	b.AddBytes(s.group[:])
	b.AddBytes(s.request[:])
	s.session.put(&b)
	b.AddUint8(uint8(len(s.places)))
	for _, p := range s.places {
		b.AddUint8(uint8(p))
	}
	b.AddUint32(s.first)
	b.AddBytes(s.refill[:])
	b.AddUint16(uint16(len(s.parts)))
	for i := range s.parts {
		p := &s.parts[i]
		b.AddBytes(p.item.Message[:])
		b.AddUint8(uint8(len(p.item.Tweaks)))
		for j := range p.item.Tweaks {
			b.AddBytes(p.item.Tweaks[j][:])
			b.AddUint8(mode(p.item.XOnly[j]))
		}
		b.AddBytes(p.aggnonce[:])
		b.AddBytes(p.pubnonce[:])
		b.AddBytes(p.psig[:])
	}
	return b.BytesOrPanic() // names are bounded by Config, the rest by the machine
}

func mode(xonly bool) uint8 {
	if xonly {
		return 1
	}
	return 0
}

func parseStatement(raw []byte) (*statement, error) {
	st := new(statement)
	s := cryptobyte.String(raw)
	var name cryptobyte.String
	if !s.CopyBytes(st.federation[:]) || !s.ReadUint8LengthPrefixed(&name) || !s.CopyBytes(st.group[:]) {
		return nil, malformed("short statement")
	}
	st.signer = protocols.NodeID(name)
	if err := getSession(&s, &st.request, &st.session); err != nil {
		return nil, err
	}
	places, err := getIDs(&s)
	if err != nil {
		return nil, err
	}
	st.places = places
	if !s.ReadUint32(&st.first) || !s.CopyBytes(st.refill[:]) {
		return nil, malformed("short statement")
	}
	k, err := count(&s, maxLot, 32+1+2*pubnonceSize+psigSize)
	if err != nil {
		return nil, err
	}
	st.parts = make([]part, k)
	for i := range st.parts {
		p := &st.parts[i]
		var v uint8
		if !s.CopyBytes(p.item.Message[:]) || !s.ReadUint8(&v) || v > maxTweaks || len(s) < int(v)*33 {
			return nil, malformed("item of a statement")
		}
		p.item.Tweaks, p.item.XOnly = make([][32]byte, v), make([]bool, v)
		for j := range p.item.Tweaks {
			var m uint8
			s.CopyBytes(p.item.Tweaks[j][:])
			if s.ReadUint8(&m); m > 1 { // length checked above
				return nil, malformed("mode of a tweak")
			}
			p.item.XOnly[j] = m == 1
		}
		if !s.CopyBytes(p.aggnonce[:]) || !s.CopyBytes(p.pubnonce[:]) || !s.CopyBytes(p.psig[:]) {
			return nil, malformed("short part of a statement")
		}
	}
	if !s.Empty() {
		return nil, malformed("statement too long")
	}
	return st, nil
}

// groupInfo is the public part of a key as a statement means it:
//
//	key 32 | t 1 | thresh_pk 33 | n 1 | n * (pubshare 33 | member 1+len)
func (k *Key) groupInfo(participants []protocols.NodeID) []byte {
	var b cryptobyte.Builder
	b.AddBytes(k.ID[:])
	b.AddUint8(uint8(k.T))
	b.AddBytes(k.ThreshPK[:])
	b.AddUint8(uint8(len(participants)))
	for i, id := range participants {
		b.AddBytes(k.PubShares[i][:])
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
	}
	return b.BytesOrPanic() // as statement.encode
}

func parseGroupInfo(raw []byte) (*Key, error) {
	k := new(Key)
	s := cryptobyte.String(raw)
	var t, n uint8
	if !s.CopyBytes(k.ID[:]) || !s.ReadUint8(&t) || !s.CopyBytes(k.ThreshPK[:]) || !s.ReadUint8(&n) ||
		n > protocols.MaxMembers || len(s) < int(n)*34 {
		return nil, malformed("key")
	}
	k.T = int(t)
	for range n {
		var share [33]byte
		var name cryptobyte.String
		if !s.CopyBytes(share[:]) || !s.ReadUint8LengthPrefixed(&name) {
			return nil, malformed("participant of a key")
		}
		k.PubShares, k.Participants = append(k.PubShares, share), append(k.Participants, protocols.NodeID(name))
	}
	if !s.Empty() {
		return nil, malformed("key too long")
	}
	return k, nil
}

// encodeProof makes a Proof:
//
//	version 1 | signature 64 | key 3+len | statement to the end
func encodeProof(group, statement []byte, sig [sigSize]byte) []byte {
	return build(proofVersion, func(b *cryptobyte.Builder) {
		b.AddBytes(sig[:])
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(group) })
		b.AddBytes(statement)
	})
}

// VerifyProof checks the Proof of a FaultBadPartial from scratch. Whoever can
// verify signatures of the federation's members is convinced by it, and needs
// nothing else: the key's public part is in the proof, under the culprit's own
// signature. Errors wrap ErrProof: a malformed proof, one of another federation,
// one without the culprit's signature, and one whose partial signatures are right.
func VerifyProof(federation [32]byte, proof []byte, verify Verify) (Conviction, error) {
	fail := func(what string) (Conviction, error) { return Conviction{}, fmt.Errorf("%w: %s", ErrProof, what) }
	var version uint8
	var sig [sigSize]byte
	var info cryptobyte.String
	s := cryptobyte.String(proof)
	if !s.ReadUint8(&version) || version != proofVersion || !s.CopyBytes(sig[:]) || !s.ReadUint24LengthPrefixed(&info) {
		return fail("malformed")
	}
	st, err := parseStatement(s)
	if err != nil {
		return Conviction{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	k, err := parseGroupInfo(info)
	switch {
	case err != nil:
		return Conviction{}, fmt.Errorf("%w: %w", ErrProof, err)
	case st.federation != federation:
		return fail("another federation")
	case st.group != tagged(groupTag, info):
		return fail("another key")
	case !verify(st.signer, st.preimage(), sig[:]):
		return fail("signature of the culprit")
	}
	item, err := st.wrong(k)
	if err != nil {
		return Conviction{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if item < 0 {
		return fail("the partial signatures are right")
	}
	return Conviction{st.signer, k.ID, k.ThreshPK, st.request, int(st.first) + item, st.parts[item].item.Message}, nil
}

// wrong returns the first part whose partial signature does not verify, -1 if all
// do. An error means that the statement makes no sense, which is not the same: an
// honest signer never signs one, but what it is that is wrong nobody can tell.
func (s *statement) wrong(k *Key) (int, error) {
	info := bip445.ThresholdInfo{T: k.T, ThreshPK: k.ThreshPK}
	for i := range k.PubShares {
		info.PubShares = append(info.PubShares, k.PubShares[i][:])
	}
	group, err := bip445.NewGroup(info)
	if err != nil {
		return 0, err
	}
	set, err := group.SignerSet(s.places)
	if err != nil {
		return 0, err
	}
	pos := slices.IndexFunc(s.places, func(p int) bool { return k.Participants[p] == s.signer })
	if pos < 0 {
		return 0, errNoShare
	}
	for i := range s.parts {
		p := &s.parts[i]
		ctx, err := applyTweaks(group.TweakCtx(), &p.item)
		if err != nil {
			return 0, err
		}
		agg, err := bip445.ParseAggNonce(p.aggnonce[:])
		if err != nil {
			return 0, err
		}
		own, err := bip445.ParsePubNonce(p.pubnonce[:])
		if err != nil {
			return 0, err
		}
		session, err := bip445.NewSession(set, ctx, agg, p.item.Message[:])
		if err != nil {
			return 0, err
		}
		if session.PartialSigVerify(pos, own, p.psig) != nil {
			return i, nil
		}
	}
	return -1, nil
}

// statement is what the member at a position of a session vouched for with its
// reply, as this member as coordinator sees it: with the public nonces that it was
// given.
func (m *Machine) statement(r *request, s *session, pos int) *statement {
	st := m.newStatement(r, s.signers[pos], sessionID{m.cfg.Epoch, s.sid}, s.signers, s.first, s.k)
	rep := s.replies[pos]
	st.refill = rep.refill
	for j := range st.parts {
		p := &st.parts[j]
		p.aggnonce, p.pubnonce, p.psig = s.aggs[j].Bytes(), s.pairs[pos][j].pubnonce.Bytes(), rep.psigs[j]
	}
	return st
}

// newStatement fills in what both sides compute from their own request.
func (m *Machine) newStatement(r *request, signer int, id sessionID, signers []int, first, k int) *statement {
	st := &statement{federation: m.cfg.Federation, signer: m.cfg.Members[signer], group: r.key.groupHash,
		request: r.id, session: id, first: uint32(first), parts: make([]part, k)}
	for _, i := range signers {
		place, _ := slices.BinarySearch(r.key.signers, i) // the set was checked
		st.places = append(st.places, place)
	}
	for j := range st.parts {
		st.parts[j].item = r.items[first+j]
	}
	return st
}

// vouch signs a statement with the host key.
func (m *Machine) vouch(st *statement) (sig [sigSize]byte, err error) {
	raw, err := m.cfg.Sign(st.preimage())
	if err == nil && len(raw) != sigSize {
		err = fmt.Errorf("%w: host signature of %d bytes", ErrConfig, len(raw))
	}
	copy(sig[:], raw)
	return sig, err
}

func (n nonces) hash() [32]byte {
	var b cryptobyte.Builder
	n.put(&b)
	return sha256.Sum256(b.BytesOrPanic()) // fixed-width fields
}
