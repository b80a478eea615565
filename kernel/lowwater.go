package kernel

import (
	"sync"
	"time"
)

// Where claims begin to look. The index of due timers keeps an entry for each
// timer that was claimed until vacuum removes it, and vacuum removes nothing
// that a long-open snapshot might see. A claim from the index's beginning would
// walk over all of those (measured with the prototype: throughput falls by a
// third for each doubling); from the low-water mark it sees few.
const (
	// claimSlack covers transactions that commit a little after their now().
	claimSlack = 500 * time.Millisecond
	// pollSlack covers claims of other replicas that rolled back, and slow
	// transactions. What is older is left to the sweep.
	pollSlack = 10 * time.Second
)

// lowWater remembers the instant up to which a claim came back with less than it
// asked for: then no older timer was left, but for those that others held.
type lowWater struct {
	mu    sync.Mutex
	clean time.Time
}

// raiseTo notes that all timers due before at were claimed.
func (l *lowWater) raiseTo(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.After(l.clean) {
		l.clean = at
	}
}

// lowerTo makes claims see a timer that is due at an instant already passed.
func (l *lowWater) lowerTo(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Before(l.clean) {
		l.clean = at
	}
}

func (l *lowWater) forClaim() time.Time { return l.below(claimSlack) }
func (l *lowWater) forPoll() time.Time  { return l.below(pollSlack) }

func (l *lowWater) below(slack time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clean.IsZero() {
		return time.Time{}
	}
	return l.clean.Add(-slack)
}
