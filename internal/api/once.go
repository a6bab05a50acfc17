package api

import (
	"context"
	"crypto/sha256"

	"google.golang.org/protobuf/proto"
)

const (
	// maxAnswers bounds the memory of idempotency keys. A caller repeats within
	// seconds, when an answer was lost; 1,024 payouts take longer than that.
	maxAnswers = 1024
	maxKey     = 64 // bytes: a UUID or a hash in hex
)

// answers remembers what was answered to which idempotency key, so that a call
// repeated after a lost answer does not propose a second time. It lives as long
// as the daemon: after a restart a caller looks at ListRequests first. The daemon
// answers one call at a time anyway, so a single lock is held throughout.
type answers struct {
	lock  chan struct{} // holds one token while free
	known map[answerKey]answer
	order []answerKey // oldest first
}

type answerKey struct{ procedure, key string }

type answer struct {
	request [32]byte // hash of the request
	reply   proto.Message
}

func newAnswers() *answers {
	a := &answers{lock: make(chan struct{}, 1), known: make(map[answerKey]answer)}
	a.lock <- struct{}{}
	return a
}

// once runs do, unless its key was answered before. Only success is remembered: a
// refusal may be lifted, and then the same call shall be made again.
func once[R proto.Message](ctx context.Context, a *answers, procedure, key string, request proto.Message, do func() (R, error)) (R, error) {
	var none R
	if key == "" {
		return do()
	}
	if len(key) > maxKey {
		return none, errKeyLength
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return none, err
	}
	hash := sha256.Sum256(encoded)
	select {
	case <-a.lock:
		defer func() { a.lock <- struct{}{} }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	id := answerKey{procedure, key}
	if earlier, ok := a.known[id]; ok {
		if earlier.request != hash {
			return none, errKeyReused
		}
		return earlier.reply.(R), nil // one procedure has one type of reply
	}
	reply, err := do()
	if err != nil {
		return none, err
	}
	if len(a.order) == maxAnswers {
		delete(a.known, a.order[0])
		a.order = a.order[1:]
	}
	a.known[id] = answer{hash, reply}
	a.order = append(a.order, id)
	return reply, nil
}
