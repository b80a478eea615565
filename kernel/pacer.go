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
	stepSweep               // the same without the low-water bound
	stepRefresh             // read the window into the heap
)

func (s step) String() string {
	return [...]string{"fire", "backup", "poll", "sweep", "refresh"}[s]
}

const (
	// refreshEvery is less than the look-ahead, so that windows overlap.
	refreshEvery = db.LookAhead / 2
	// refreshGap keeps notifications of great batches from causing a read each.
	refreshGap = 100 * time.Millisecond
	// fireGap lets timers that are due within 2 ms share a claim: at 1,000
	// timers/s it halves the claims and costs 1 ms of lateness on average.
	fireGap = 2 * time.Millisecond
	// backupDelay is how late a timer is before the next seat looks for it,
	// and how far apart its looks are at most. Higher seats wait longer.
	backupDelay = 50 * time.Millisecond
	backupGap   = 100 * time.Millisecond
)

// pacer decides when the loop wakes and what for. It is only a schedule: what it
// forgets costs lateness up to the poll interval, never a timer.
type pacer struct {
	clock         interface{ Now() time.Time }
	poll, sweep   time.Duration
	seat          int
	heap          *instants
	lastFire      time.Time
	lastLook      time.Time
	nextPoll      time.Time
	nextSweep     time.Time
	nextRefresh   time.Time
	lastRefreshed time.Time
}

func newPacer(clock interface{ Now() time.Time }, poll, sweep time.Duration) *pacer {
	return &pacer{clock: clock, poll: poll, sweep: sweep, seat: db.NoSeat, heap: newInstants()}
}

// next gives the step to take and how long to wait for it. Steps that are
// overdue go in the order fire, refresh, sweep, poll.
func (p *pacer) next() (step, time.Duration) {
	now := p.clock.Now()
	best, at := stepRefresh, p.nextRefresh
	if p.nextSweep.Before(at) {
		best, at = stepSweep, p.nextSweep
	}
	if p.nextPoll.Before(at) {
		best, at = stepPoll, p.nextPoll
	}
	if due, ok := p.heap.first(); ok {
		s, wake := p.wakeFor(due)
		if !wake.After(at) || !wake.After(now) {
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
	p.nextPoll, p.nextRefresh = now, now
}

func (p *pacer) add(at time.Time) { p.heap.add(at) }
func (p *pacer) len() int         { return p.heap.len() }

// fired notes that a claim begins: it takes all that is due by now.
func (p *pacer) fired() {
	p.lastFire = p.clock.Now()
	p.heap.dropUntil(p.lastFire)
}

// looked notes that a look found the state of things at now.
func (p *pacer) looked(now time.Time) {
	p.lastLook = now
	p.heap.dropUntil(now)
}

func (p *pacer) polled() { p.nextPoll = p.clock.Now().Add(p.poll*9/10 + rand.N(p.poll/5+1)) }
func (p *pacer) swept() {
	p.nextSweep = p.clock.Now().Add(p.sweep*9/10 + rand.N(p.sweep/5+1))
	p.polled()
}

// refreshSoon asks for a read of the window, though not at once after another.
func (p *pacer) refreshSoon() {
	if soon := later(p.clock.Now(), p.lastRefreshed.Add(refreshGap)); soon.Before(p.nextRefresh) {
		p.nextRefresh = soon
	}
}

// refreshed takes in the window. A window that fills the heap is read again
// when its last instant comes.
func (p *pacer) refreshed(window []time.Time) {
	now := p.clock.Now()
	p.lastRefreshed, p.nextRefresh = now, now.Add(refreshEvery)
	for _, at := range window {
		p.heap.add(at)
	}
	if n := len(window); n >= maxHeap && window[n-1].Before(p.nextRefresh) {
		p.nextRefresh = later(window[n-1].Add(-time.Second), now.Add(refreshGap))
	}
}
