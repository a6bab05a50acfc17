package chain

import "sync"

// Wakeups is the Subscribe of a Notifier. Its channels have capacity one: a pending
// wake-up stands for any number, so a reader that does not keep up costs and
// delays nothing. The zero value is ready.
type Wakeups struct {
	mu  sync.Mutex
	all map[chan struct{}]bool
}

// Subscribe implements Notifier.
func (w *Wakeups) Subscribe() (changed <-chan struct{}, stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[chan struct{}]bool{}
	}
	ch := make(chan struct{}, 1)
	w.all[ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, ch)
	}
}

// Wake wakes all subscribers.
func (w *Wakeups) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.all {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
