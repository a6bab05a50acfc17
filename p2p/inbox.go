package p2p

import "context"

// post puts an event into the member's inbox, waiting while it is full. It
// returns false when the host is closing.
func (h *Host) post(ctx context.Context, l *link, e Event) bool {
	select {
	case l.inbox <- e:
	case <-ctx.Done():
		return false
	}
	select {
	case h.wake <- struct{}{}:
	default: // a scan is due already and will see the event
	}
	return true
}

// dispatch hands events to the daemon, one of each member per round: a member
// that floods fills its own inbox and waits, the others lose one place at most.
func (h *Host) dispatch(ctx context.Context) {
	for {
		idle := true
		for _, l := range h.order {
			select {
			case e := <-l.inbox:
				idle = false
				select {
				case h.events <- e:
				case <-ctx.Done():
					return
				}
			default:
			}
		}
		if !idle {
			continue
		}
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
	}
}
