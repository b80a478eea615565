package kernel

import (
	"math/rand/v2"
	"time"

	"github.com/minoots/minoots/db"
)

// step is what the loop does next.
type step int

const (
	stepFire    step = iota // something is due: claim it
	stepBackup              // something should have been claimed by a lower seat: look
	stepPoll                // look for what no hint told of
	stepRefresh             // read the window into the heap
	steps                   // their number
)

func (s step) String() string {
	return [...]string{"fire", "backup", "poll", "refresh"}[s]
}

const (
	// refreshEvery is less than the look-ahead, so that windows overlap.
	refreshEvery = db.LookAhead / 2
	// refreshAhead is how long before the end of what the heap knows it is read
	// again, where it could not hold the whole window.
	refreshAhead = time.Second
	// refreshGap keeps notifications of great batches from causing a read each.
	refreshGap = 100 * time.Millisecond
	// fireGap lets timers that are due within 2 ms share a claim: at 1,000
	// timers/s it halves the claims and costs 1 ms of lateness on average.
	fireGap = 2 * time.Millisecond
	// backupDelay is how late a timer is before the next seat looks for it,
	// and how far apart its looks are at most. Higher seats wait longer.
	backupDelay = 30 * time.Millisecond
	backupGap   = 50 * time.Millisecond
	// patience is how long what is due keeps other steps waiting. Under a steady
	// load there is always something due.
	patience = time.Second
)

// pacer decides when the loop wakes and what for. It is only a schedule: what it
// forgets costs lateness up to the poll interval, never a timer.
type pacer struct {
	clock         interface{ Now() time.Time }
	poll          time.Duration
	seat          int
	heap          *instants
	lastFire      time.Time
	lastLook      time.Time
	nextPoll      time.Time
	nextRefresh   time.Time
	lastRefreshed time.Time
}

func newPacer(clock interface{ Now() time.Time }, poll time.Duration) *pacer {
	return &pacer{clock: clock, poll: poll, seat: db.NoSeat, heap: newInstants(maxHeap)}
}

// next gives the step to take and how long to wait for it. What is due goes
// first, for as long as patience lasts; of the other steps the one that should
// have been taken first, and a look before a refresh, because it sets the clock
// by which the window is read.
func (p *pacer) next() (step, time.Duration) {
	now := p.clock.Now()
	best, at := stepPoll, p.nextPoll
	if p.nextRefresh.Before(at) {
		best, at = stepRefresh, p.nextRefresh
	}
	if due, ok := p.heap.first(); ok {
		s, wake := p.wakeFor(due)
		if !wake.After(at) || !wake.After(now) && at.After(now.Add(-patience)) {
			best, at = s, wake
		}
	}
	return best, max(at.Sub(now), 0)
}

// wakeFor gives when to wake for an instant: seat 0, and a kernel that has no
// seat, at the instant; higher seats a little later, and rarely.
func (p *pacer) wakeFor(due time.Time) (step, time.Time) {
	if p.seat <= 0 {
		return stepFire, later(due, p.lastFire.Add(fireGap))
	}
	rank := time.Duration(min(p.seat, 4))
	return stepBackup, later(due.Add(rank*backupDelay), p.lastLook.Add(rank*backupGap))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// setSeat changes the rank. A new connection may have missed hints: look again
// at everything.
func (p *pacer) setSeat(seat int) {
	p.seat = seat
	now := p.clock.Now()
	p.nextPoll, p.nextRefresh = earlier(p.nextPoll, now), earlier(p.nextRefresh, now)
}

func (p *pacer) len() int { return p.heap.len() }

// add learns of an instant.
func (p *pacer) add(at time.Time) {
	if forgotten := p.heap.add(at); !forgotten.IsZero() {
		p.refreshBy(forgotten)
	}
}

// refreshBy sees to it that the heap is read again before an instant from which
// on it knows nothing, or at that instant if it is near.
func (p *pacer) refreshBy(end time.Time) {
	by := end.Add(-refreshAhead)
	if by.Before(p.clock.Now()) {
		by = end
	}
	p.nextRefresh = earlier(p.nextRefresh, later(by, p.lastRefreshed.Add(refreshGap)))
}

// fires notes that a claim begins.
func (p *pacer) fires() { p.lastFire = p.clock.Now() }

// fired notes that all that was due by then is claimed, by the database's clock:
// what this one's error made wake too early stays in the heap.
func (p *pacer) fired(until time.Time) { p.heap.dropUntil(until) }

// looked notes that a look found the state of things at now.
func (p *pacer) looked(now time.Time) {
	p.lastLook = now
	p.heap.dropUntil(now)
}

func (p *pacer) polled() { p.nextPoll = p.clock.Now().Add(jittered(p.poll)) }

// jittered keeps kernels that were started together from staying together: it
// gives nine to eleven tenths of an interval.
func jittered(every time.Duration) time.Duration { return every*9/10 + rand.N(every/5+1) }

// failed makes a step that did not succeed due again: a poll does for any that
// looks for due timers. A refresh never stopped being due.
func (p *pacer) failed(s step) {
	now := p.clock.Now()
	switch s {
	case stepFire, stepBackup, stepPoll:
		p.nextPoll = now
	case stepRefresh:
	}
}

// refreshSoon asks for a read of the window, though not at once after another.
func (p *pacer) refreshSoon() {
	soon := later(p.clock.Now(), p.lastRefreshed.Add(refreshGap))
	p.nextRefresh = earlier(p.nextRefresh, soon)
}

// refreshed takes in the window of what is due after an instant. One that fills
// the heap may not be all there is, and is read again before it ends.
func (p *pacer) refreshed(after time.Time, window []time.Time) {
	now := p.clock.Now()
	p.lastRefreshed, p.nextRefresh = now, now.Add(refreshEvery)
	if n := len(window); n >= maxHeap {
		p.refreshBy(window[n-1])
	}
	if forgotten := p.heap.renew(after, window); !forgotten.IsZero() {
		p.refreshBy(forgotten)
	}
}
