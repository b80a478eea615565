package chaos

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
)

// soakAway is when the timers are due that are due only long after the run: later
// than any retention looks.
const soakAway = 400 * 24 * time.Hour

// draft is a timer on its way.
type draft struct {
	spec    minoots.TimerSpec
	plan    plan // but for the instant, which the API says
	distant bool
	cancel  time.Duration // so long after its creation; 0 for never
}

// promised is the plan, from the first occurrence on, of a timer as the API says
// that it is now: that may be later than its creation, for a request is repeated.
func (d *draft) promised(made created) plan {
	p, number := d.plan, made.Occurrence
	if made.Status == minoots.StatusScheduled {
		number++ // FireAt is of the next
	}
	p.due = made.FireAt.Add(-time.Duration(max(number-1, 0)) * p.gap)
	return p
}

// draw makes up a timer and says whose it is.
func (l *soakLoad) draw() (draft, *caller, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	d := draft{plan: plan{times: 1}}
	key := fmt.Sprintf("soak-%d", l.next)
	d.spec = minoots.TimerSpec{Name: key, RequestedBy: "chaos"}
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(l.rng.Int64N(int64(to-from))) }
	in := between(2*time.Second, l.farthest) // the usual
	switch n := l.rng.IntN(100); {
	case n < 10:
		in, d.distant = soakAway, true
	case n < 15: // cancelled, maybe too late
		in = between(time.Second, 3*time.Second)
		d.cancel = between(time.Millisecond, in+200*time.Millisecond)
	case n < 55: // at once, by the service's clock
		near := minoots.Duration(between(50*time.Millisecond, 2*time.Second))
		d.spec.Duration = &near
	}
	switch kind := l.rng.IntN(100); {
	case d.distant || d.cancel > 0 || kind >= 16:
		l.usual(&d)
	case kind < 4:
		gap := time.Duration(1+l.rng.IntN(3)) * time.Second
		l.series(&d, gap, 2+l.rng.IntN(max(min(int(l.farthest/gap)-1, 4), 1)))
		l.usual(&d)
		return d, l.callers[l.rng.IntN(len(l.callers))], key
	case kind < 10:
		l.prompt(&d)
	default:
		l.failing(&d)
	}
	if d.spec.Duration == nil {
		at := minoots.InstantOf(time.Now().Add(in).Truncate(time.Microsecond))
		d.spec.FireAt = &at
	}
	return d, l.callers[l.rng.IntN(len(l.callers))], key
}

// standing makes up a timer that comes back for as long as the run lasts.
func (l *soakLoad) standing(gap, length time.Duration) draft {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := draft{spec: minoots.TimerSpec{Name: fmt.Sprintf("soak-every-%s", gap), RequestedBy: "chaos"}}
	l.series(&d, gap, int(length/gap))
	d.plan.actions = 1
	d.spec.ActionBundle = &minoots.Bundle{Actions: []minoots.Action{l.webhook(0, behaviourGood, 0)}}
	return d
}

// series has a timer come back: every so often, or by a cron with seconds that
// says the same. The lock is held.
func (l *soakLoad) series(d *draft, gap time.Duration, times int) {
	d.plan.gap, d.plan.times = gap, times
	d.spec.Duration = nil
	r := &minoots.Recurrence{MaxOccurrences: &times}
	if every := minoots.Duration(gap); l.rng.IntN(2) == 0 {
		r.Every = &every
	} else {
		r.Cron = fmt.Sprintf("*/%d * * * * *", int(gap.Seconds()))
	}
	d.spec.Recurrence = r
	// What is found late by more than the grace fires once only.
	d.spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireFireOnce, GraceMs: time.Hour.Milliseconds()}
}
