package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/timer_replay.sql
var timerReplaySQL string

// Replay says when a timer is to run again: now if both are nil.
type Replay struct {
	Delay *minoots.Duration // from now
	At    *minoots.Instant  // now if that has passed
	// Version, unless 0, is the one that the timer must have.
	Version int64
}

// TimerReplay has a settled or failed timer run once more, as another occurrence.
// One in any other status, or one that recurs, is CodeConflict; one of another
// version is CodeStale.
func (d *DB) TimerReplay(ctx context.Context, tenant string, id minoots.ID, r Replay) (Changed, error) {
	var us, version *int64
	if r.Delay != nil {
		v := roundUp(*r.Delay).Microseconds()
		us = &v
	}
	var at *time.Time
	if r.At != nil {
		at = &r.At.Time
	}
	if r.Version != 0 {
		version = &r.Version
	}
	out, was, changed, err := d.change(ctx, timerReplaySQL, id, tenant, us, at, version)
	switch {
	case err != nil || changed:
		return out, err
	case was == minoots.StatusCancelled:
		return Changed{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer was cancelled: it never fired, so there is nothing to replay",
			Hint: "create a new timer",
		}
	case !was.Terminal():
		return Changed{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer is not over (" + string(was) + "); only one that settled or failed can be replayed",
			Hint: "to have a scheduled or paused timer fire now, use fire",
		}
	case out.Timer.Recurrence != nil:
		return Changed{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer recurs, and its recurrence is over; it cannot be replayed",
			Hint: "create a new timer with the recurrence that is wanted",
		}
	default:
		return Changed{}, Stale(out.Timer.Version)
	}
}
