package federation

import (
	"encoding/hex"
	"strings"

	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
)

// Topics of reliable broadcast: "key/<id>" proposes a key, "req/<id>" a request,
// "dkg/<session>/m1" and "dkg/<session>/complaint" belong to key generation. Ids are
// 64 hex digits.
const (
	topicKey     = "key"
	topicRequest = "req"
	topicDKG     = "dkg"
)

func topic(kind string, id [32]byte) string { return kind + "/" + hex.EncodeToString(id[:]) }

// splitTopic returns the kind and the id, or "" if the topic is none of ours.
func splitTopic(topic string) (kind string, id [32]byte) {
	kind, rest, _ := strings.Cut(topic, "/")
	switch kind {
	case topicDKG:
		session, _, ok := dkg.ParseTopic(topic)
		if !ok {
			return "", id
		}
		return kind, session
	case topicKey, topicRequest:
	default:
		return "", id
	}
	raw, err := hex.DecodeString(rest)
	if err != nil || len(raw) != len(id) || hex.EncodeToString(raw) != rest {
		return "", id
	}
	copy(id[:], raw)
	return kind, id
}

// admit tells reliable broadcast which topics may take up memory. It need not
// remember what was forgotten: the ID of a request is the hash of its payload, so
// a second vote under its topic can only be for the same payload.
func (c *Core) admit(_ protocols.NodeID, topic string) bool {
	kind, _ := splitTopic(topic)
	return kind != ""
}
