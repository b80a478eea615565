package kernel

import (
	"context"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// isolate fires when Postgres has refused the data of a batch. Somewhere in it
// is a timer of which no jobs can be made: one caller's mistake that must not
// keep the timers of all others from firing. It is looked for with ever smaller
// batches, and failed alone, with the reason.
func (k *Kernel) isolate(ctx context.Context, low time.Time) (until time.Time, err error) {
	var refused minoots.ID // the one timer that the last claim took
	for limit := max(k.cfg.Batch/4, 1); ctx.Err() == nil; {
		plan := k.plan
		if refused != (minoots.ID{}) {
			plan = k.failing(refused)
		}
		c, err := k.fire(ctx, low, limit, plan)
		until = later(until, c.at)
		switch {
		case minoots.ErrorCode(err) == minoots.CodeInvalid && (limit > 1 || c.alone != refused):
			refused = c.alone
			limit = max(limit/4, 1)
			continue
		case err != nil || !c.full:
			return until, err
		case limit >= k.cfg.Batch:
			k.in.due([]time.Time{k.clock.Now()}, false) // the loop goes on
			return until, nil
		}
		refused = minoots.ID{}
		limit, low = min(2*limit, k.cfg.Batch), c.next
	}
	return until, nil
}

// failing plans nothing for the one timer, and fails its firing instead.
func (k *Kernel) failing(refused minoots.ID) planFunc {
	return func(ctx context.Context, tx db.Tx, fired []db.Fired) (*db.JobBatch, error) {
		f := &fired[0]
		if f.ID != refused { // another kernel has taken it meanwhile
			return k.plan(ctx, tx, fired)
		}
		k.metrics.refused.Inc()
		k.log.Error("timer failed: no jobs can be made of its actions", "timer", f.ID, "tenant", f.TenantID)
		return nil, f.Fail(ctx, tx, db.RefusedReason)
	}
}
