package kernel

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// drain fires until less than a batch is due. In a storm, when a batch comes
// back full, further streams join in; row locks keep them apart.
func (k *Kernel) drain(ctx context.Context, low time.Time) error {
	full, low, err := k.fire(ctx, low)
	if err != nil || !full {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	var done atomic.Bool
	for range k.cfg.Streams {
		low := low
		g.Go(func() error {
			for !done.Load() && ctx.Err() == nil {
				full, from, err := k.fire(ctx, low)
				if err != nil {
					return err
				}
				if !full {
					done.Store(true)
				}
				low = from
			}
			return nil
		})
	}
	return g.Wait()
}

// fire runs one fire transaction. It tells whether the batch was full, and from
// where the same stream goes on: it has nothing left below its last timer.
func (k *Kernel) fire(ctx context.Context, low time.Time) (full bool, next time.Time, err error) {
	began, now := time.Now(), k.clock.Now()
	fired, err := k.db.TimerClaim(ctx, db.ClaimRequest{LowWater: low, Limit: k.cfg.Batch}, func(tx db.Tx, fired []db.Fired) error {
		return k.cfg.Enqueuer.Enqueue(ctx, tx, deliveries(fired))
	})
	if err != nil {
		return false, low, fmt.Errorf("fire due timers: %w", err)
	}
	k.metrics.claimed(fired, time.Since(began))
	if len(fired) < k.cfg.Batch {
		k.low.raiseTo(now)
		return false, low, nil
	}
	return true, fired[len(fired)-1].DueAt, nil
}

// deliveries lists the first deliveries of each firing: as many as its bundle
// runs at once.
func deliveries(fired []db.Fired) []minoots.Delivery {
	out := make([]minoots.Delivery, 0, len(fired))
	for i := range fired {
		f := &fired[i]
		if f.Actions == 0 {
			continue
		}
		for _, action := range f.Bundle.Actions[:min(max(f.Bundle.Concurrency, 1), len(f.Bundle.Actions))] {
			out = append(out, minoots.Delivery{
				TenantID: f.TenantID,
				Timer: minoots.DeliveryTimer{
					ID: f.ID, Name: f.Name, RequestedBy: f.RequestedBy, Labels: f.Labels, Metadata: f.Metadata,
				},
				Occurrence: f.Occurrence,
				DueAt:      minoots.Instant{Time: f.DueAt}, FiredAt: minoots.Instant{Time: f.FiredAt},
				Action: action, Policy: f.Bundle.PolicyOf(action), AgentBinding: f.AgentBinding,
				Alone: f.Actions == 1,
			})
		}
	}
	return out
}
