package kernel

import (
	"container/heap"
	"slices"
	"time"
)

// maxHeap bounds the instants that a kernel remembers: at 8 bytes each, and a
// map entry beside, about 3 MB.
const maxHeap = 50_000

// instants is a bounded set of due instants, the earliest first, each once, to
// the microsecond.
type instants struct {
	order microHeap
	known map[int64]struct{}
	limit int
}

func newInstants(limit int) *instants {
	return &instants{known: map[int64]struct{}{}, limit: limit}
}

// add remembers an instant. A full heap forgets its later half to make room, and
// gives the first instant that it may not know any more; else the zero time.
func (h *instants) add(at time.Time) (forgotten time.Time) {
	micros := at.UnixMicro()
	if _, ok := h.known[micros]; ok {
		return time.Time{}
	}
	if len(h.order) >= h.limit {
		forgotten = h.halve()
		if !at.Before(forgotten) {
			return forgotten
		}
	}
	h.known[micros] = struct{}{}
	heap.Push(&h.order, micros)
	return forgotten
}

// halve forgets the later half and gives the first instant of it. A sorted slice
// is a heap. Its cost, 5 ms for a full heap, comes once in 25,000 adds.
func (h *instants) halve() time.Time {
	slices.Sort(h.order)
	keep := len(h.order) / 2
	first := h.order[keep]
	for _, micros := range h.order[keep:] {
		delete(h.known, micros)
	}
	h.order = h.order[:keep]
	return time.UnixMicro(first)
}

// renew replaces what lies after an instant by a window, which is sorted. Of one
// that does not fit it gives the first instant that was left out.
func (h *instants) renew(after time.Time, window []time.Time) (forgotten time.Time) {
	slices.Sort(h.order)
	keep, _ := slices.BinarySearch(h.order, after.UnixMicro()+1)
	h.order = h.order[:keep]
	clear(h.known)
	for _, micros := range h.order {
		h.known[micros] = struct{}{}
	}
	for _, at := range window {
		micros := at.UnixMicro()
		if _, ok := h.known[micros]; ok {
			continue
		}
		if len(h.order) >= h.limit {
			return at
		}
		h.known[micros] = struct{}{}
		h.order = append(h.order, micros)
	}
	return time.Time{}
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
