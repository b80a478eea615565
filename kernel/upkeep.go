package kernel

import (
	"context"
	"time"

	"github.com/minoots/minoots/db"
)

const (
	upkeepEvery  = time.Hour        // partitions and old idempotency keys
	backlogEvery = 15 * time.Second // the backlog gauges
	backlogBound = 100_000          // past it the gauge says "at least"
	upkeepStep   = "upkeep"         // in the count of errors
)

// upkeep makes partitions ahead of time, forgets idempotency keys that are past
// their time, and measures the backlog. Every replica does it: the work is
// little, and it bears being done twice.
func (k *Kernel) upkeep(ctx context.Context) error {
	chores := time.NewTimer(0)
	backlog := time.NewTicker(backlogEvery)
	defer chores.Stop()
	defer backlog.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-chores.C:
			next := upkeepEvery
			if err = k.doChores(ctx); err != nil {
				next = time.Minute
			}
			chores.Reset(next)
		case <-backlog.C:
			err = k.measureBacklog(ctx)
		}
		if err != nil && ctx.Err() == nil {
			k.metrics.errors.WithLabelValues(upkeepStep).Inc()
			k.log.Warn("upkeep failed; trying again later", "error", err)
		}
	}
}

func (k *Kernel) doChores(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	made, err := k.db.PartitionsEnsure(ctx)
	if err != nil {
		return err
	}
	if made > 0 {
		k.log.Info("partitions made", "partitions", made)
	}
	if _, err := k.db.AcknowledgementForget(ctx); err != nil {
		return err
	}
	return k.forgetKeys(ctx)
}

// forgetKeys goes on until no old key is left: what was created in an hour may
// be more than one statement removes.
func (k *Kernel) forgetKeys(ctx context.Context) error {
	all := int64(0)
	for {
		forgotten, err := k.db.IdempotencyForget(ctx, db.IdempotencyKept)
		all += forgotten
		if err != nil || forgotten == 0 {
			if all > 0 {
				k.log.Info("idempotency keys forgotten", "keys", all)
			}
			return err
		}
	}
}

func (k *Kernel) measureBacklog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	n, oldest, err := k.db.TimerBacklog(ctx, backlogBound)
	if err != nil {
		return err
	}
	k.metrics.backlog.Set(float64(n))
	late := time.Duration(0)
	if !oldest.IsZero() {
		late = max(-k.clock.Until(oldest), 0)
	}
	k.metrics.oldest.Set(late.Seconds())
	return nil
}
