package kernel

import (
	"context"
	"time"

	"github.com/minoots/minoots/db"
)

const (
	upkeepEvery = time.Hour // partitions and old idempotency keys
	upkeepStep  = "upkeep"  // in the count of errors
)

// upkeep makes partitions ahead of time and forgets idempotency keys that are past
// their time. Every replica does it: the work is little, and it bears being done
// twice.
func (k *Kernel) upkeep(ctx context.Context) error {
	chores := time.NewTimer(0)
	defer chores.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-chores.C:
		}
		next, err := upkeepEvery, k.doChores(ctx)
		if err != nil && ctx.Err() == nil {
			next = time.Minute
			k.metrics.errors.WithLabelValues(upkeepStep).Inc()
			k.log.Warn("upkeep failed; trying again later", "error", err)
		}
		chores.Reset(next)
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
