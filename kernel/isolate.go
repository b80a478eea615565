package kernel

import (
	"context"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// refusedReason is what a caller is told; what Postgres said is for the log.
const refusedReason = "its definition holds a value that cannot be stored in a job, such as a number out of range"

// isolate fires when Postgres has refused the data of a batch. Somewhere in it
// is a timer of which no jobs can be made: one caller's mistake that must not
// keep the timers of all others from firing. It is looked for with ever smaller
// batches, and failed alone, with the reason.
func (k *Kernel) isolate(ctx context.Context, low time.Time) (until time.Time, err error) {
	for limit := max(k.cfg.Batch/4, 1); ctx.Err() == nil; {
		enqueue := k.enqueue
		if limit == 1 {
			enqueue = k.enqueueOrFail
		}
		c, err := k.fire(ctx, low, limit, enqueue)
		until = later(until, c.at)
		switch {
		case minoots.ErrorCode(err) == minoots.CodeInvalid && limit > 1:
			limit = max(limit/4, 1)
			continue
		case err != nil || !c.full:
			return until, err
		case limit >= k.cfg.Batch:
			k.pace.unfinished()
			return until, nil
		}
		limit, low = min(2*limit, k.cfg.Batch), c.next
	}
	return until, nil
}

// enqueueOrFail enqueues the one timer, or fails its firing.
func (k *Kernel) enqueueOrFail(ctx context.Context, tx db.Tx, fired []db.Fired) error {
	err := db.InSavepoint(ctx, tx, func(tx db.Tx) error { return k.enqueue(ctx, tx, fired) })
	if minoots.ErrorCode(err) != minoots.CodeInvalid {
		return err
	}
	f := &fired[0]
	k.metrics.refused.Inc()
	k.log.Error("timer failed: no jobs can be made of its actions", "timer", f.ID, "tenant", f.TenantID, "error", err)
	return db.FiringFail(ctx, tx, f.ID, f.Occurrence, f.DueAt, refusedReason)
}
