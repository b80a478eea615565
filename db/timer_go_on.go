package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/timer_go_on.sql
var timerGoOnSQL string

//go:embed query/timer_series.sql
var timerSeriesSQL string

// resumeTries bounds how often a resume is computed anew because something else
// changed the timer meanwhile.
const resumeTries = 20

// resumeRecurring lets a paused recurring timer go on as scheduled:
//
//	shift  with the next occurrence from now on; what was missed leaves no trace
//	fire   with an occurrence now, if any was missed
//	skip   as shift, and what was missed has firings that were skipped
//
// If nothing is left of the schedule it is cancelled.
func (d *DB) resumeRecurring(ctx context.Context, t minoots.Timer, policy minoots.ResumePolicy) (Changed, error) {
	for range resumeTries {
		now := minoots.InstantOf(d.clock.Now()).Time
		j := judged{id: t.ID, occurrence: t.Occurrence}
		var dueAt time.Time
		var version int64
		err := d.pool.QueryRow(ctx, timerSeriesSQL, t.ID, t.TenantID).
			Scan(&version, &j.occurrence, &j.fireAt, &dueAt, &j.unarmed, &j.jitterMs, &j.recurrence, &j.anchor)
		if err != nil {
			return Changed{}, notFound(translate(err), "timer")
		}
		v, err := d.goOn(&j, dueAt, now, policy)
		if err != nil {
			return Changed{}, err
		}
		var numbers []int32
		var due []time.Time
		var why []string
		for _, o := range v.skipped {
			numbers, due, why = append(numbers, int32(o.number)), append(due, o.due), append(why, o.reason)
		}
		out, was, changed, err := d.change(ctx, timerGoOnSQL, t.ID, t.TenantID, version, v.next.at, optionalTime(v.next.due), v.number,
			policy, v.reason, numbers, due, why)
		if err != nil || changed || was == minoots.StatusScheduled {
			return out, err
		}
		if was != minoots.StatusPaused {
			return Changed{}, cannot(was, "resumed")
		}
		if out.Timer.Recurrence == nil { // patched meanwhile
			return d.TimerResume(ctx, t.TenantID, t.ID, policy)
		}
	}
	return Changed{}, &minoots.Error{Code: minoots.CodeConflict, Message: "the timer is being changed by others all the time", Hint: "try again"}
}

// goOn computes what becomes of a paused timer that is resumed now. An end has no
// next.due.
func (d *DB) goOn(j *judged, dueAt, now time.Time, policy minoots.ResumePolicy) (verdict, error) {
	s, err := d.schedules.of(j.recurrence, j.anchor)
	if err != nil {
		return verdict{}, minoots.Errorf(minoots.CodeConflict, "its recurrence cannot be computed: %s", err)
	}
	v := verdict{number: j.occurrence, reason: "its recurrence ended while it was paused"}
	v.next = occurrence{at: j.fireAt}
	first := j.nth(j.occurrence+1, j.fireAt)
	first.due = dueAt
	switch {
	case j.unarmed:
	case dueAt.After(now): // nothing was missed
		v.next = first
		return v, nil
	case policy == minoots.ResumeFire:
		v.next = occurrence{number: first.number, at: now, due: now}
		return v, nil
	case policy == minoots.ResumeSkip:
		missed, _, whole := j.missed(s, first, now)
		var rest *occurrence
		if !whole {
			last := j.lastBy(s, missed[len(missed)-1], now)
			rest = &last
		}
		v.skip(missed, rest, func(occurrence) string { return missedReason })
	}
	if next, ok := s.Next(later(now, j.fireAt), v.number); ok {
		v.next = j.nth(v.number+1, next)
	}
	return v, nil
}
