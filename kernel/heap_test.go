package kernel_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/minoots/minoots/kernel"
)

var epoch = time.UnixMicro(1_800_000_000_000_000)

func after(d time.Duration) time.Time { return epoch.Add(d) }

// heapModel is what the heap promises: all it was told of and did not drop, as
// far as "forgotten", the first instant that it said it may not know.
type heapModel struct {
	all       []int64 // sorted
	forgotten int64   // 0 for none
}

func (m *heapModel) add(at time.Time) {
	if i, found := slices.BinarySearch(m.all, at.UnixMicro()); !found {
		m.all = slices.Insert(m.all, i, at.UnixMicro())
	}
}

func (m *heapModel) forget(at time.Time) {
	if !at.IsZero() && (m.forgotten == 0 || at.UnixMicro() < m.forgotten) {
		m.forgotten = at.UnixMicro()
	}
}

func (m *heapModel) dropUntil(t time.Time) {
	m.all = slices.DeleteFunc(m.all, func(micros int64) bool { return micros <= t.UnixMicro() })
}

func (m *heapModel) check(t *rapid.T, h *kernel.Instants, limit int) {
	require.LessOrEqual(t, h.Len(), limit)
	first, ok := h.First()
	if len(m.all) > 0 && (m.forgotten == 0 || m.all[0] < m.forgotten) {
		require.True(t, ok, "something is known")
		require.Equal(t, m.all[0], first.UnixMicro())
	} else if ok {
		require.GreaterOrEqual(t, first.UnixMicro(), m.forgotten, "nothing earlier was ever told")
	}
}

func TestHeapIsASortedSetThatForgetsFromItsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		instant := rapid.Map(rapid.Int64Range(0, 40), func(n int64) time.Time { return epoch.Add(time.Duration(n) * time.Microsecond) })
		h, m := kernel.NewInstants(limit), &heapModel{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				at := instant.Draw(t, "at")
				m.add(at)
				m.forget(h.Add(at))
			},
			"drop": func(t *rapid.T) {
				until := instant.Draw(t, "until")
				h.DropUntil(until)
				m.dropUntil(until)
			},
			"renew": func(t *rapid.T) {
				from := instant.Draw(t, "after")
				window := rapid.SliceOfN(instant, 0, 20).Draw(t, "window")
				window = slices.DeleteFunc(window, func(at time.Time) bool { return !at.After(from) })
				slices.SortFunc(window, time.Time.Compare)
				m.all = slices.DeleteFunc(m.all, func(micros int64) bool { return micros > from.UnixMicro() })
				for _, at := range window {
					m.add(at)
				}
				if m.forgotten > from.UnixMicro() {
					m.forgotten = 0 // the window is the truth about all after it
				}
				m.forget(h.Renew(from, window))
			},
			"": func(t *rapid.T) { m.check(t, h, limit) },
		})
		// Emptied one by one, it gives what it promised, in order.
		var got []int64
		for first, ok := h.First(); ok; first, ok = h.First() {
			got = append(got, first.UnixMicro())
			h.DropUntil(first)
		}
		require.True(t, slices.IsSorted(got))
		require.Equal(t, slices.Compact(slices.Clone(got)), got, "each once")
		for _, micros := range m.all {
			if m.forgotten == 0 || micros < m.forgotten {
				require.Contains(t, got, micros)
			}
		}
	})
}

func TestHeapIsBounded(t *testing.T) {
	t.Parallel()
	h := kernel.NewInstants(kernel.MaxHeap)
	var forgotten time.Time
	for i := range 3 * kernel.MaxHeap {
		// From far to near, the worst order: what is near must push out what is far.
		if at := h.Add(after(time.Duration(-i) * time.Microsecond)); !at.IsZero() {
			forgotten = at
		}
	}
	assert.LessOrEqual(t, h.Len(), kernel.MaxHeap)
	first, _ := h.First()
	assert.Equal(t, after(-(3*kernel.MaxHeap-1)*time.Microsecond).UnixMicro(), first.UnixMicro())
	assert.False(t, forgotten.IsZero(), "it says that it forgot")
}

func TestHeapWithRoomForgetsNothing(t *testing.T) {
	t.Parallel()
	h := kernel.NewInstants(2)
	assert.True(t, h.Add(after(1)).IsZero())
	assert.True(t, h.Add(after(1)).IsZero(), "known already")
	assert.True(t, h.Add(after(time.Second)).IsZero())
	assert.Equal(t, 2, h.Len())
	assert.False(t, h.Add(after(time.Minute)).IsZero(), "the third does not fit")
}

func BenchmarkHeapAddAndDrop(b *testing.B) {
	h := kernel.NewInstants(kernel.MaxHeap)
	for i := 0; b.Loop(); i++ {
		h.Add(after(time.Duration(i*7919%1_000_000) * time.Microsecond))
		if i%1000 == 999 {
			first, _ := h.First()
			h.DropUntil(first.Add(time.Millisecond))
		}
	}
}
