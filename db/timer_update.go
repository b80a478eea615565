package db

import (
	"context"
	_ "embed"

	"github.com/minoots/minoots"
)

//go:embed query/timer_update.sql
var timerUpdateSQL string

// TimerUpdate is a new definition of a timer.
type TimerUpdate struct {
	// Version is that of the timer on which the definition was built.
	Version int64
	// Spec is the whole definition, validated. Without Duration, FireAt and
	// Recurrence the time stays, and a recurrence goes on; RequestedBy always does.
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
	fired := max(u.Occurrence-1, 0)
	if err := cols.add(&NewTimer{ID: id, TenantID: tenant, Spec: u.Spec}, minoots.InstantOf(d.clock.Now()), fired); err != nil {
		return Changed{}, err
	}
	var jitterUs *int64
	if u.MovesDue {
		us := jitter(id, u.Occurrence, u.Spec.JitterMs).Microseconds()
		jitterUs = &us
	}
	out, was, changed, err := d.change(ctx, timerUpdateSQL, id, tenant, u.Version, cols.durationUs[0], cols.at[0], jitterUs,
		cols.names[0], cols.labels[0], cols.metadata[0], cols.bundle[0], cols.binding[0], cols.misfires[0],
		cols.jitterMs[0], cols.actions[0], u.Fields, cols.recurrences[0], cols.anchors[0], cols.maySkip[0])
	switch {
	case err != nil || changed:
		return out, err
	case was != minoots.StatusScheduled && was != minoots.StatusPaused:
		return Changed{}, cannot(was, "changed")
	default:
		return Changed{}, Stale(out.Timer.Version)
	}
}
