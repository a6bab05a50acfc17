package sim

import "container/heap"

// event is something that happens at a virtual time. Events of the same time
// happen in the order in which they were planned.
type event struct {
	at  int64
	seq uint64
	run func()
}

type queue struct {
	events []event
	seq    uint64
}

func (q *queue) Len() int { return len(q.events) }
func (q *queue) Less(i, j int) bool {
	a, b := &q.events[i], &q.events[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (q *queue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }
func (q *queue) Push(x any)    { q.events = append(q.events, x.(event)) }
func (q *queue) Pop() any {
	last := q.events[len(q.events)-1]
	q.events[len(q.events)-1] = event{}
	q.events = q.events[:len(q.events)-1]
	return last
}

func (q *queue) plan(at int64, run func()) {
	q.seq++
	heap.Push(q, event{at, q.seq, run})
}

func (q *queue) next() event { return heap.Pop(q).(event) }
