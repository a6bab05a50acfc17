package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"frostfed/federation"
	"frostfed/internal/daemon"
)

// phaseTimeout is far more than any phase takes; reaching it is a failure.
const phaseTimeout = 60 * time.Second

// watch receives the events of all members that run when it is made.
type watch struct {
	events chan memberEvent
	cancel context.CancelFunc
	subs   []*daemon.Subscription
}

type memberEvent struct {
	member int
	event  daemon.Event
}

func (s *show) watch() *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{events: make(chan memberEvent), cancel: cancel}
	for i, m := range s.members {
		if m.node == nil {
			continue
		}
		sub := m.node.Daemon.Subscribe()
		w.subs = append(w.subs, sub)
		go func() {
			for {
				select {
				case e := <-sub.C:
					select {
					case w.events <- memberEvent{i, e}:
					case <-ctx.Done():
						return
					}
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return w
}

func (w *watch) close() {
	w.cancel()
	for _, sub := range w.subs {
		sub.Close()
	}
}

// until hands decisions to enough, with the member's number, until it returns
// true.
func (w *watch) until(ctx context.Context, enough func(member int, d federation.Decision) bool) error {
	return w.untilEvent(ctx, func(i int, e memberEvent) bool {
		return e.event.Decision != nil && enough(i, e.event.Decision)
	})
}

// untilEvent is until for events of all kinds.
func (w *watch) untilEvent(ctx context.Context, enough func(member int, e memberEvent) bool) error {
	ctx, cancel := context.WithTimeout(ctx, phaseTimeout)
	defer cancel()
	for {
		select {
		case e := <-w.events:
			if enough(e.member, e) {
				return nil
			}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("waited %v in vain", phaseTimeout)
			}
			return ctx.Err()
		}
	}
}
