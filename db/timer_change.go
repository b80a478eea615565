package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/timer_pause.sql
var timerPauseSQL string

//go:embed query/timer_resume.sql
var timerResumeSQL string

//go:embed query/timer_snooze.sql
var timerSnoozeSQL string

//go:embed query/timer_fire.sql
var timerFireSQL string

// Changed is a timer as a change left it.
type Changed struct {
	Timer minoots.Timer
	// DueAt is when a kernel will claim it, if the change set that; else zero.
	DueAt time.Time
}

// missedReason stands with a timer, and its firing, that resume has skipped.
const missedReason = "it came due while it was paused, and was resumed with the policy skip"

// TimerPause takes a scheduled timer out of the kernels' sight. A paused one is
// given unchanged; one that has fired or is over is CodeConflict.
func (d *DB) TimerPause(ctx context.Context, tenant string, id minoots.ID) (Changed, error) {
	out, was, _, err := d.change(ctx, timerPauseSQL, id, tenant)
	if err == nil && was != minoots.StatusScheduled && was != minoots.StatusPaused {
		return Changed{}, cannot(was, "paused")
	}
	return out, err
}

// TimerResume lets a paused timer go on, by policy. A scheduled one is given
// unchanged; one that has fired or is over is CodeConflict.
func (d *DB) TimerResume(ctx context.Context, tenant string, id minoots.ID, policy minoots.ResumePolicy) (Changed, error) {
	out, was, changed, err := d.change(ctx, timerResumeSQL, id, tenant, policy, missedReason)
	if err == nil && !changed && was == minoots.StatusPaused {
		return d.resumeRecurring(ctx, out.Timer, policy)
	}
	if err == nil && was != minoots.StatusScheduled && was != minoots.StatusPaused {
		return Changed{}, cannot(was, "resumed")
	}
	return out, err
}

// TimerSnooze makes a scheduled timer due later: by a duration after its time, or
// after now if that has passed, or at an instant. Exactly one of them is given.
// An instant before its time, or a timer that is not scheduled, is CodeConflict.
func (d *DB) TimerSnooze(ctx context.Context, tenant string, id minoots.ID, by *minoots.Duration, until *minoots.Instant) (Changed, error) {
	var us *int64
	if by != nil {
		v := roundUp(*by).Microseconds()
		us = &v
	}
	var at *time.Time
	if until != nil {
		at = &until.Time
	}
	out, was, changed, err := d.change(ctx, timerSnoozeSQL, id, tenant, us, at, minoots.MaxHorizon.Microseconds())
	switch {
	case err != nil || changed:
		return out, err
	case was == minoots.StatusPaused:
		return Changed{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer is paused", Hint: "resume it first, or PATCH its fireAt or duration",
		}
	case was != minoots.StatusScheduled:
		return Changed{}, cannot(was, "snoozed")
	case until != nil && until.Equal(out.Timer.FireAt.Time):
		return out, nil
	case until != nil && until.Before(out.Timer.FireAt.Time):
		return Changed{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer is due later than that already", Hint: "to have it fire earlier, PATCH its fireAt",
		}
	default:
		return Changed{}, minoots.Errorf(minoots.CodeConflict, "the timer would be due in more than 100 years")
	}
}

// TimerFire makes a scheduled or paused timer due now. One that is due already is
// given unchanged; one that has fired or is over is CodeConflict.
func (d *DB) TimerFire(ctx context.Context, tenant string, id minoots.ID) (Changed, error) {
	out, was, changed, err := d.change(ctx, timerFireSQL, id, tenant)
	if err == nil && !changed && was == minoots.StatusPaused {
		return Changed{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer is paused, and recurs", Hint: "resume it; with the policy fire it fires at once if it has missed an occurrence",
		}
	}
	if err == nil && was != minoots.StatusScheduled && was != minoots.StatusPaused {
		return Changed{}, instead(cannot(was, "fired"), was, out.Timer.Recurrence != nil)
	}
	return out, err
}

// instead adds to a refusal what would do.
func instead(refused *minoots.Error, was minoots.Status, recurs bool) *minoots.Error {
	switch {
	case !recurs && (was == minoots.StatusSettled || was == minoots.StatusFailed):
		refused.Hint = "replay runs it again"
	case was.Terminal():
		refused.Hint = "create a new timer"
	}
	return refused
}

// change runs a statement that may change one timer, and reads the timer in the
// same round trip and transaction: it is given as the change left it. was is its
// status before.
func (d *DB) change(ctx context.Context, sql string, id minoots.ID, tenant string, args ...any) (out Changed, was minoots.Status, changed bool, err error) {
	batch := &pgx.Batch{}
	var dueAt *time.Time
	var missing error
	batch.Queue(sql, append([]any{id, tenant}, args...)...).QueryRow(func(row pgx.Row) error {
		if missing = row.Scan(&was, &changed, &dueAt); errors.Is(missing, pgx.ErrNoRows) {
			return nil
		}
		return missing
	})
	batch.Queue(timerGetSQL, id, tenant).QueryRow(func(row pgx.Row) (err error) {
		out.Timer, err = scanTimer(row)
		return err
	})
	err = d.pool.SendBatch(ctx, batch).Close()
	if missing != nil {
		err = missing
	}
	if err != nil {
		return Changed{}, was, false, notFound(translate(err), "timer")
	}
	if changed && dueAt != nil {
		out.DueAt = *dueAt
	}
	return out, was, changed, nil
}

// cannot says why a timer that has left scheduled and paused does not change.
func cannot(was minoots.Status, do string) *minoots.Error {
	if was.Terminal() {
		e := minoots.Errorf(minoots.CodeConflict, "the timer is over (%s); it can no longer be %s", was, do)
		if e.Hint = "create a new timer"; was != minoots.StatusCancelled {
			e.Hint = "replay it if it fired once, or create a new timer"
		}
		return e
	}
	return minoots.Errorf(minoots.CodeConflict, "the timer has fired and its actions are running; it can no longer be %s", do)
}

// Stale is the error for a change that was built on another version of a timer than
// the one it has by now.
func Stale(version int64) error {
	return &minoots.Error{
		Code: minoots.CodeStale, Message: fmt.Sprintf("the timer has changed: its version is %d by now", version),
		Hint: "get the timer, and send the change again with its ETag if it still fits",
	}
}
