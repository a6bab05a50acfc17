package sign

import (
	"errors"
	"fmt"
	"slices"

	"frostfed/crypto/bip445"
	"frostfed/protocols"
)

// key is a Key, validated and decoded.
type key struct {
	id        [32]byte
	t         int
	group     *bip445.Group
	plain     bip445.TweakCtx
	signer    *bip445.Signer
	secshare  []byte
	pubshare  []byte
	signers   []int  // members that have a share, ascending: place i is signer id i
	info      []byte // groupInfo, for proofs
	groupHash [32]byte
	sets      map[string]*bip445.SignerSet
}

// maxSets bounds the cache of signer sets: 64 sets of 128 signers are about 2 MiB.
const maxSets = 64

// has says whether a member has a share of the key.
func (k *key) has(member int) bool {
	_, ok := slices.BinarySearch(k.signers, member)
	return ok
}

// set returns the set of the given members, ascending. Signer ids ascend with
// them, so places within the set are the same.
func (k *key) set(members []int) (*bip445.SignerSet, error) {
	ids, name := make([]int, len(members)), make([]byte, len(members))
	for i, member := range members {
		id, ok := slices.BinarySearch(k.signers, member)
		if !ok {
			return nil, errNoShare
		}
		ids[i], name[i] = id, byte(id)
	}
	if s := k.sets[string(name)]; s != nil {
		return s, nil
	}
	s, err := k.group.SignerSet(ids)
	if err != nil {
		return nil, err
	}
	if len(k.sets) >= maxSets {
		clear(k.sets)
	}
	k.sets[string(name)] = s
	return s, nil
}

// AddKey makes a key usable, and with the first one hands out nonce pools. It
// must come before Approve names the key. A key added twice stays as it was; one
// that is inconsistent is reported as KeyRejected and not added.
func (m *Machine) AddKey(now protocols.Time, k Key) protocols.Effects[Event] {
	return m.input(now, func(fx *effects) {
		if m.keys[k.ID] != nil {
			return
		}
		added, err := m.newKey(k)
		if err != nil {
			fx.Out = append(fx.Out, KeyRejected{Key: k.ID, Err: err})
			return
		}
		m.keys[k.ID] = added
		if m.hedge != nil {
			return
		}
		m.hedge = added
		for to := range m.peers {
			m.fill(fx, to)
		}
	})
}

func (m *Machine) newKey(k Key) (*key, error) {
	signers, self, err := m.participants(k.Participants)
	if err != nil {
		return nil, err
	}
	if len(k.PubShares) != len(signers) {
		return nil, fmt.Errorf("add key: %d public shares for %d participants", len(k.PubShares), len(signers))
	}
	info := bip445.ThresholdInfo{T: k.T, ThreshPK: k.ThreshPK}
	for i := range k.PubShares {
		info.PubShares = append(info.PubShares, k.PubShares[i][:])
	}
	group, err := bip445.NewGroup(info)
	if err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	signer, err := bip445.NewSigner(self, k.SecShare)
	if err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	if signer.PubShare() != k.PubShares[self] {
		signer.Wipe()
		return nil, errForeignShare
	}
	public := k.groupInfo(m.names(signers))
	return &key{
		info: public, groupHash: tagged(groupTag, public),
		id: k.ID, t: k.T, group: group, plain: group.TweakCtx(), signer: signer,
		secshare: slices.Clone(k.SecShare), pubshare: slices.Clone(k.PubShares[self][:]), signers: signers,
		sets: make(map[string]*bip445.SignerSet),
	}, nil
}

// participants returns the members of ids, ascending, and which of them is this
// one.
func (m *Machine) participants(ids []protocols.NodeID) (members []int, self int, err error) {
	if ids == nil {
		ids = m.cfg.Members
	}
	for _, id := range ids {
		i, ok := m.index[id]
		if !ok || len(members) > 0 && i <= members[len(members)-1] {
			return nil, 0, errParticipants
		}
		members = append(members, i)
	}
	self, ok := slices.BinarySearch(members, m.self)
	if !ok {
		return nil, 0, errNoShare
	}
	return members, self, nil
}

var (
	errParticipants = errors.New("add key: participants are no members, or not in the order of members")
	errNoShare      = errors.New("member has no share of the key")
)

var errForeignShare = errors.New("add key: secret share does not fit this member's public share")
