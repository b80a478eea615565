package kernel

import (
	"container/heap"
	"time"
)

// maxHeap bounds the instants that a kernel remembers: at 16 bytes each, and a
// map entry beside, about 3 MB. What does not fit is found by the next refresh.
const maxHeap = 50_000

// instants is a bounded min-heap of due instants, each once, to the microsecond.
type instants struct {
	order microHeap
	known map[int64]struct{}
}

func newInstants() *instants { return &instants{known: map[int64]struct{}{}} }

// add remembers an instant; a full heap forgets it.
func (h *instants) add(at time.Time) {
	micros := at.UnixMicro()
	if _, ok := h.known[micros]; ok || len(h.order) >= maxHeap {
		return
	}
	h.known[micros] = struct{}{}
	heap.Push(&h.order, micros)
}

// first gives the earliest instant.
func (h *instants) first() (time.Time, bool) {
	if len(h.order) == 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(h.order[0]), true
}

// dropUntil forgets all instants up to and including t.
func (h *instants) dropUntil(t time.Time) {
	for len(h.order) > 0 && h.order[0] <= t.UnixMicro() {
		delete(h.known, heap.Pop(&h.order).(int64))
	}
}

func (h *instants) len() int { return len(h.order) }

// microHeap implements heap.Interface.
type microHeap []int64

func (m microHeap) Len() int           { return len(m) }
func (m microHeap) Less(i, j int) bool { return m[i] < m[j] }
func (m microHeap) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *microHeap) Push(x any)        { *m = append(*m, x.(int64)) }
func (m *microHeap) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}
