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
	over   chan struct{} // the receiver's: closed when nobody waits any more
	agents *agents       // who answer prompts; nil if nobody does

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
	Unasked      int `json:"unasked"`      // deliveries of what was not to run: behind a stop, a compensation without a failure
	Renamed      int `json:"renamed"`      // deliveries under the webhook-id of another instant than they are of
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
func (l *ledger) acknowledged(id string, promised plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.promise(id)
	if p.acked {
		return
	}
	p.acked, p.plan = true, promised
	l.sums.Acknowledged++
	for _, a := range p.before { // the answer
		l.hold(p, a)
	}
	p.before = nil
}

// hold holds an arrival to what is promised of its timer.
func (l *ledger) hold(p *promise, a arrival) {
	switch due := p.at(a.occurrence); {
	case !p.planned(a):
		l.sums.Unasked++
	case !a.due.Equal(due):
		l.sums.Renamed++
	case a.at.Before(due):
		l.sums.Early++
	case !a.again && a.action == 0: // others come when those before them have ended
		l.late = append(l.late, a.at.Sub(due))
	}
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
	for _, at := range p.first {
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

// heard notes that a timer's agent was taken at its word.
func (l *ledger) heard(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promise(id).heard = true
}

// arrive notes a delivery, and tells whether it is the first of its webhook-id.
// asked says that its receiver asks for repeats.
func (l *ledger) arrive(id string, a arrival, asked bool) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.promise(id)
	first = p.arrive(a)
	a.again = !first
	switch {
	case first && p.cancelled:
		l.sums.Undead++
	case first:
	case asked:
		l.sums.Retried++
	default:
		l.sums.Repeated++
	}
	if p.acked {
		l.hold(p, a)
	} else {
		p.before = append(p.before, a)
	}
	return first
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
		case !p.acked && p.first != nil:
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
