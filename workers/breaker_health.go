package workers

import (
	"sync"
	"sync/atomic"
	"time"
)

// healthMost bounds how many flows are counted at once. More than that fail for a
// reason of ours, such as no network, and then breakers are no help.
const healthMost = 10_000

// healthSlices is in how many parts the window moves on.
const healthSlices = 6

// health counts the outcomes of flows that have failures: all others cost one
// look at a number. Safe for concurrent use.
type health struct {
	policy Breaker
	ailing atomic.Int64 // flows that are counted
	mu     sync.Mutex
	flows  map[flowKey]*ailment
}

// ailment is what is known of one flow since its first failure of late.
type ailment struct {
	row     int // failures in a row
	slices  [healthSlices]struct{ slice, attempts, failures int64 }
	failed  time.Time // when it last did
	started time.Time // the window's first moment
}

func newHealth(policy Breaker) *health {
	return &health{policy: policy, flows: map[flowKey]*ailment{}}
}

// counts tells whether successes are worth counting.
func (h *health) counts() bool { return h.ailing.Load() > 0 }

// count takes in an outcome. If it is one too many it gives the number of
// failures, else 0.
func (h *health) count(key flowKey, v verdict, now time.Time) (failures int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.flows[key]
	if a == nil {
		if v != sick || !h.room(now) {
			return 0
		}
		a = &ailment{started: now}
		h.flows[key] = a
		h.ailing.Store(int64(len(h.flows)))
	}
	return a.count(v, now, &h.policy)
}

// room makes room for another flow, if it can.
func (h *health) room(now time.Time) bool {
	if len(h.flows) >= healthMost {
		h.sweepLocked(now)
	}
	return len(h.flows) < healthMost
}

// forget has a flow begin anew.
func (h *health) forget(key flowKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.flows, key)
	h.ailing.Store(int64(len(h.flows)))
}

// sweep forgets the flows that have not failed for a window.
func (h *health) sweep(now time.Time) {
	if !h.counts() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweepLocked(now)
}

func (h *health) sweepLocked(now time.Time) {
	for key, a := range h.flows {
		if now.Sub(a.failed) > h.policy.Window {
			delete(h.flows, key)
		}
	}
	h.ailing.Store(int64(len(h.flows)))
}

func (a *ailment) count(v verdict, now time.Time, p *Breaker) int {
	slice := int64(now.Sub(a.started) / (p.Window / healthSlices))
	s := &a.slices[slice%healthSlices]
	if s.slice != slice {
		s.slice, s.attempts, s.failures = slice, 0, 0
	}
	s.attempts++
	if v == healthy {
		a.row = 0
		return 0
	}
	s.failures++
	a.row++
	a.failed = now
	if a.row >= p.Failures {
		return a.row
	}
	var attempts, failures int64
	for i := range a.slices {
		if slice-a.slices[i].slice < healthSlices {
			attempts += a.slices[i].attempts
			failures += a.slices[i].failures
		}
	}
	if attempts >= int64(p.Least) && float64(failures) >= p.Share*float64(attempts) {
		return int(failures)
	}
	return 0
}
