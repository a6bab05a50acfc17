package sign

// fifo is a map by request that forgets its oldest entry rather than grow.
type fifo[V any] struct {
	limit int
	keys  []requestID // oldest first
	vals  map[requestID]V
}

func newFIFO[V any](limit int) *fifo[V] {
	return &fifo[V]{limit: limit, vals: make(map[requestID]V)}
}

func (f *fifo[V]) get(k requestID) (V, bool) {
	v, ok := f.vals[k]
	return v, ok
}

func (f *fifo[V]) put(k requestID, v V) {
	if _, known := f.vals[k]; !known {
		if len(f.keys) >= f.limit {
			f.remove(f.keys[0])
		}
		f.keys = append(f.keys, k)
	}
	f.vals[k] = v
}

func (f *fifo[V]) remove(k requestID) {
	if _, known := f.vals[k]; !known {
		return
	}
	delete(f.vals, k)
	for i := range f.keys {
		if f.keys[i] == k {
			f.keys = append(f.keys[:i], f.keys[i+1:]...)
			return
		}
	}
}
