package db

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/timer_pause.sql
var timerPauseSQL string

//go:embed query/timer_resume.sql
var timerResumeSQL string

//go:embed query/timer_update.sql
var timerUpdateSQL string

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
	out, was, _, err := d.change(ctx, timerResumeSQL, id, tenant, policy, missedReason)
	if err == nil && was != minoots.StatusScheduled && was != minoots.StatusPaused {
		return Changed{}, cannot(was, "resumed")
	}
	return out, err
}

// TimerUpdate is a new definition of a timer.
type TimerUpdate struct {
	// Version is that of the timer on which the definition was built.
	Version int64
	// Spec is the whole definition, validated. Without Duration and FireAt the
	// time stays; RequestedBy always does.
	Spec minoots.TimerSpec
	// MovesDue says that the due instant follows from the spec anew: the time or
	// the jitter has changed. Occurrence is the firing to come.
	MovesDue   bool
	Occurrence int
	// Fields names what was changed, for the log.
	Fields []string
}

// TimerUpdate changes the definition of a scheduled or paused timer. One that
// has another version by now is CodeStale; one that has fired or is over is
// CodeConflict.
func (d *DB) TimerUpdate(ctx context.Context, tenant string, id minoots.ID, u TimerUpdate) (Changed, error) {
	cols := newTimerColumns(1)
	if err := cols.add(&NewTimer{ID: id, TenantID: tenant, Spec: u.Spec}); err != nil {
		return Changed{}, err
	}
	var jitterUs *int64
	if u.MovesDue {
		us := jitter(id, u.Occurrence, u.Spec.JitterMs).Microseconds()
		jitterUs = &us
	}
	out, was, changed, err := d.change(ctx, timerUpdateSQL, id, tenant, u.Version, cols.durationUs[0], cols.at[0], jitterUs,
		cols.names[0], cols.labels[0], cols.metadata[0], cols.bundle[0], cols.binding[0], cols.misfires[0],
		cols.jitterMs[0], cols.actions[0], u.Fields)
	switch {
	case err != nil || changed:
		return out, err
	case was != minoots.StatusScheduled && was != minoots.StatusPaused:
		return Changed{}, cannot(was, "changed")
	default:
		return Changed{}, minoots.Errorf(minoots.CodeStale, "the timer has changed: its version is %d by now", out.Timer.Version)
	}
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
func cannot(was minoots.Status, do string) error {
	if was.Terminal() {
		return minoots.Errorf(minoots.CodeConflict, "the timer is over (%s); it can no longer be %s", was, do)
	}
	return minoots.Errorf(minoots.CodeConflict, "the timer has fired and its actions are running; it can no longer be %s", do)
}
