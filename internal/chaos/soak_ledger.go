package chaos

import (
	"slices"
	"sync"
	"time"
)

// ledger keeps account of a soak's timers, and receives their webhooks. It
// forgets those that have been settled for a while, so that an hour or a day
// takes it the same memory: what is left at the end is what is missing, and what
// is not due yet.
type ledger struct {
	over chan struct{} // the receiver's: closed when nobody waits any more

	mu       sync.Mutex
	promises map[string]*promise // by timer id
	sums     ledgerSums
	late     []time.Duration // of first arrivals
}

// ledgerSums count what was and what is forgotten by now.
type ledgerSums struct {
	Acknowledged int `json:"acknowledged"` // timers
	Delivered    int `json:"delivered"`    // of those, with all their actions
	Cancelled    int `json:"cancelled"`    // of those, as the API said
	Doubtful     int `json:"doubtful"`     // of those, maybe cancelled: no request for that was answered
	Early        int `json:"early"`        // deliveries
	Undead       int `json:"undead"`       // deliveries of what was cancelled
	Repeated     int `json:"repeated"`     // deliveries beyond the first, of receivers that do not ask for it
	Retried      int `json:"retried"`      // deliveries beyond the first, of those that do
	Unknown      int `json:"unknown"`      // timers that were delivered and never acknowledged
}

// promise is one timer, acknowledged or not.
type promise struct {
	acked     bool
	due       time.Time
	actions   int
	cancelled bool
	doubtful  bool // it is not known whether it was cancelled
	arrived   []time.Time
	moved     time.Time // of the last thing that happened
}

// whole tells that all that was to arrive has.
func (p *promise) whole() bool {
	n := 0
	for _, at := range p.arrived {
		if !at.IsZero() {
			n++
		}
	}
	return n >= p.actions
}

func newLedger(over chan struct{}) *ledger {
	return &ledger{over: over, promises: map[string]*promise{}}
}

// promise gives a timer's, made at need. The lock is held.
func (l *ledger) promise(id string) *promise {
	p := l.promises[id]
	if p == nil {
		p = &promise{}
		l.promises[id] = p
	}
	p.moved = time.Now()
	return p
}

// acknowledged notes what the API has promised.
func (l *ledger) acknowledged(id string, due time.Time, actions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.promise(id)
	if p.acked {
		return
	}
	p.acked, p.due, p.actions = true, due, actions
	l.sums.Acknowledged++
	for _, at := range p.arrived { // before the answer
		l.first(p, at)
	}
}

// first notes the first arrival of an action of a timer that is known.
func (l *ledger) first(p *promise, at time.Time) {
	if at.IsZero() {
		return
	}
	late := at.Sub(p.due)
	if late < 0 {
		l.sums.Early++
	}
	l.late = append(l.late, late)
}

// cancelled notes what the API has said of a cancel: whether it did.
func (l *ledger) cancelled(id string, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.promise(id)
	p.doubtful = false
	if !done || p.cancelled {
		return
	}
	p.cancelled = true
	l.sums.Cancelled++
	for _, at := range p.arrived {
		if !at.IsZero() {
			l.sums.Undead++
		}
	}
}

// doubt notes that a cancel was asked for and the answer is not known.
func (l *ledger) doubt(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promise(id).doubtful = true
}

// arrive notes a delivery, and tells whether it is the first.
func (l *ledger) arrive(id string, action int, behaviour string, at time.Time) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.promise(id)
	if p.arrived == nil {
		p.arrived = make([]time.Time, maxActions)
	}
	switch {
	case !p.arrived[action].IsZero() && behaviour == behaviourFlaky:
		l.sums.Retried++
		return false
	case !p.arrived[action].IsZero():
		l.sums.Repeated++
		return false
	}
	p.arrived[action] = at
	if p.cancelled {
		l.sums.Undead++
	}
	if p.acked {
		l.first(p, at)
	}
	return true
}

// ledgerKeep is how long a timer is remembered that is over: longer than anybody
// may stand still and then repeat it.
const ledgerKeep = time.Minute

// forget forgets what has been over for a while.
func (l *ledger) forget(keep time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, p := range l.promises {
		if time.Since(p.moved) < keep {
			continue
		}
		switch {
		case p.acked && p.cancelled:
		case p.acked && p.whole():
			l.sums.Delivered++
		case !p.acked && time.Since(p.moved) > 5*keep:
			l.sums.Unknown++
		default:
			continue
		}
		delete(l.promises, id)
	}
}

// waiting lists the timers that were acknowledged, not cancelled, and have not
// wholly arrived: those due by then, and those due later.
func (l *ledger) waiting(by time.Time) (missing, distant []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, p := range l.promises {
		switch {
		case !p.acked || p.cancelled || p.doubtful || p.whole():
		case p.due.After(by):
			distant = append(distant, id)
		default:
			missing = append(missing, id)
		}
	}
	return missing, distant
}

// total gives the sums, with what is not forgotten yet.
func (l *ledger) total() ledgerSums {
	l.mu.Lock()
	defer l.mu.Unlock()
	sums := l.sums
	for _, p := range l.promises {
		switch {
		case p.acked && p.cancelled:
		case p.acked && p.whole():
			sums.Delivered++
		case p.acked && p.doubtful:
			sums.Doubtful++
		case !p.acked && p.arrived != nil:
			sums.Unknown++
		}
	}
	return sums
}

// lateness gives percentiles of all first arrivals, in milliseconds.
func (l *ledger) lateness(percents ...float64) []float64 {
	l.mu.Lock()
	sorted := slices.Clone(l.late)
	l.mu.Unlock()
	slices.Sort(sorted)
	all := make([]float64, len(percents))
	for i, p := range percents {
		if n := len(sorted); n > 0 {
			all[i] = millis(sorted[min(int(float64(n)*p/100), n-1)])
		}
	}
	return all
}
