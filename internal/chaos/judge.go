package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// onTime is the lateness that even a fault may cause at most, for what was
// merely due, and that recovery is measured by.
const onTime = 250 * time.Millisecond

// tally is what became of the load.
type tally struct {
	lost     []string // ids of timers
	late     []time.Duration
	worst    time.Duration // of what was not in flight on a replica that died
	added    time.Duration // the same, beyond what a control was late by just then
	unasked  int           // repeats of what was not in flight on one
	slowest  time.Duration // from a death to the repeat of what was in flight
	overlaps int
}

// judge fills the row, and holds the promises that every scenario has.
func (w *world) judge(ctx context.Context) (*tally, error) {
	known, arrived := w.load.known(), w.receiver.all()
	t := &tally{}
	r := w.row
	r.Acknowledged = len(known)
	recurring := 0
	for _, timer := range known {
		if timer.times > 1 {
			recurring++
		}
		whole := true
		for _, id := range timer.deliveries() {
			d, there := arrived[id]
			whole = whole && there
			if there {
				t.count(w, firingOf(id), d)
			}
		}
		if !whole {
			t.lost = append(t.lost, timer.id)
		}
	}
	for _, d := range arrived { // of what was not acknowledged too
		if d.arrivals[0].Before(d.due) {
			r.Early++
		}
		r.Repeated += len(d.arrivals) - 1
		t.overlaps += d.overlaps
		if d.overlaps > 0 {
			var at []string
			for _, a := range d.arrivals {
				at = append(at, a.Sub(d.due).Round(time.Millisecond).String())
			}
			w.say("overlapping deliveries, after the due instant (%s): %s", d.due.Format(time.TimeOnly), strings.Join(at, ", "))
		}
	}
	r.Lost, r.Delivered = len(t.lost), len(known)-len(t.lost)
	slices.Sort(t.late)
	if n := len(t.late); n > 0 {
		r.LatestMs = millis(t.late[n-1])
	}
	r.API = w.load.failures
	r.RecoverMs = millis(w.recovery(known, arrived))
	var err error
	if r.Missing, err = w.whereabouts(ctx, t.lost); err != nil {
		return nil, err
	}
	where := describe(r.Missing)
	r.must(r.Acknowledged >= w.load.given, "only %d timers were acknowledged, and %d were not", r.Acknowledged, w.load.given)
	r.must(r.Lost == 0, "%d lost%s", r.Lost, where)
	r.must(r.Lost > 0 || len(r.Missing) == 0, "outcomes not recorded%s", where)
	r.must(r.Early == 0, "%d early", r.Early)
	if ends := w.unexpected(); len(ends) > 0 {
		r.must(false, "%s", strings.Join(ends, "; "))
	}
	w.say("%d recurring, %d creations given up, requests failed: %v, p50/p99 %v/%v", recurring, w.load.given, w.load.failures, t.percentile(50), t.percentile(99))
	return t, w.doubles(ctx)
}

// count takes in one delivery of a firing.
func (t *tally) count(w *world, firing string, d delivery) {
	late := d.arrivals[0].Sub(d.due)
	t.late = append(t.late, late)
	var deaths []death // with this one in flight
	for _, x := range w.deaths {
		if x.inFlight[firing] {
			deaths = append(deaths, x)
		}
	}
	if len(deaths) == 0 {
		late -= w.held(d)
		t.worst = max(t.worst, late)
		if late > t.added {
			t.added = max(t.added, late-w.control.worst(d.due, d.arrivals[0]))
		}
	}
	if extra := len(d.arrivals) - 1 - len(deaths); extra > 0 {
		t.unasked += extra
	}
	for _, x := range deaths {
		again := slices.IndexFunc(d.arrivals, func(at time.Time) bool { return at.After(x.at) })
		if again >= 0 {
			t.slowest = max(t.slowest, d.arrivals[again].Sub(x.at))
		}
	}
}

// held is how long a delivery was late because a replica stood still for us to
// look at, before it was killed.
func (w *world) held(d delivery) (held time.Duration) {
	for _, x := range w.deaths {
		if x.frozen.IsZero() || !d.due.Before(x.at) || !d.arrivals[0].After(x.at) {
			continue
		}
		from := x.frozen
		if d.due.After(from) {
			from = d.due
		}
		held += x.at.Sub(from)
	}
	return held
}

// percentile is of the lateness at the receiver.
func (t *tally) percentile(p int) time.Duration {
	if len(t.late) == 0 {
		return 0
	}
	return t.late[min(len(t.late)*p/100, len(t.late)-1)].Round(100 * time.Microsecond)
}

// recovery is the longest time from a fault to the last first delivery that came
// too late because of it.
func (w *world) recovery(known []timer, arrived map[string]delivery) time.Duration {
	var longest time.Duration
	for _, timer := range known {
		for _, id := range timer.deliveries() {
			d, there := arrived[id]
			if !there || d.arrivals[0].Sub(d.due) <= onTime {
				continue
			}
			var fault time.Time
			for _, at := range w.faults {
				if at.Before(d.arrivals[0]) && at.After(fault) {
					fault = at
				}
			}
			if !fault.IsZero() {
				longest = max(longest, d.arrivals[0].Sub(fault))
			}
		}
	}
	return longest
}

func describe(missing map[string]int) string {
	var parts []string
	for _, where := range slices.Sorted(maps.Keys(missing)) {
		parts = append(parts, fmt.Sprintf("%d %s", missing[where], where))
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) == 1 && missing[onDead] > 0 {
		return " (only what was " + onDead + ": " + fmt.Sprint(missing[onDead]) + ")"
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
