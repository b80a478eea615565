package kernel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// firstBatch is small, so that the first deliveries of a burst are on their way
// while the rest is being claimed; each further batch of a stream is twice the one
// before, up to Config.Batch, because great batches cost less a timer.
const firstBatch = 50

// drainFor is how long a drain may go on before the loop sees to its other steps.
const drainFor = time.Second

// drain fires until less than a batch is due. In a storm, when a batch comes
// back full, further streams join in; row locks keep them apart. It gives the
// database's time at the last claim that fired any, or the zero time.
func (k *Kernel) drain(ctx context.Context, low time.Time) (until time.Time, err error) {
	c, err := k.fire(ctx, low, min(firstBatch, k.cfg.Batch), k.enqueue)
	if err == nil && c.full {
		c.at, err = k.storm(ctx, c.next)
	}
	if minoots.ErrorCode(err) == minoots.CodeInvalid {
		c.at, err = k.isolate(ctx, low)
	}
	if err != nil {
		// A stream that came to the end may have raised the mark above timers
		// that another failed to fire.
		k.low.lowerTo(low)
	}
	return c.at, err
}

// storm fires in several streams until one comes to the end or drainFor is over.
// A stream that fails does not cut the transactions of the others.
func (k *Kernel) storm(ctx context.Context, low time.Time) (until time.Time, err error) {
	var (
		g     errgroup.Group
		mu    sync.Mutex
		ended bool
		stop  = time.Now().Add(drainFor)
	)
	for range k.cfg.Streams {
		g.Go(func() error {
			low, limit := low, firstBatch
			for more := ctx.Err() == nil; more; {
				limit = min(2*limit, k.cfg.Batch)
				c, err := k.fire(ctx, low, limit, k.enqueue)
				mu.Lock()
				until = later(until, c.at)
				ended = ended || err == nil && !c.full
				more = err == nil && !ended && ctx.Err() == nil && time.Now().Before(stop)
				mu.Unlock()
				if err != nil {
					return err
				}
				low = c.next
			}
			return nil
		})
	}
	err = g.Wait()
	if !ended {
		k.pace.unfinished()
	}
	return until, err
}

// catch is what one fire transaction did.
type catch struct {
	at   time.Time // the database's time, zero if it fired none
	full bool      // there may be more
	next time.Time // where the same stream goes on: it left nothing below
}

// fire runs one fire transaction.
func (k *Kernel) fire(ctx context.Context, low time.Time, limit int, enqueue enqueueFunc) (catch, error) {
	ctx, cancel := k.finishing(ctx)
	defer cancel()
	began, now := time.Now(), k.clock.Now()
	fired, err := k.db.TimerClaim(ctx, db.ClaimRequest{LowWater: low, Limit: limit}, func(tx db.Tx, fired []db.Fired) error {
		return enqueue(ctx, tx, fired)
	})
	if err != nil {
		return catch{next: low}, fmt.Errorf("fire due timers: %w", err)
	}
	k.metrics.claimed(fired, time.Since(began))
	if len(fired) < limit {
		k.low.raiseTo(now)
	}
	if len(fired) == 0 {
		return catch{next: low}, nil
	}
	last := &fired[len(fired)-1]
	return catch{at: last.FiredAt, full: len(fired) == limit, next: last.DueAt}, nil
}

type enqueueFunc func(ctx context.Context, tx db.Tx, fired []db.Fired) error

func (k *Kernel) enqueue(ctx context.Context, tx db.Tx, fired []db.Fired) error {
	for i := range fired {
		if fired[i].Unreadable != nil {
			return fired[i].Unreadable
		}
	}
	if first := deliveries(fired); len(first) > 0 {
		return k.cfg.Enqueuer.Enqueue(ctx, tx, first)
	}
	return nil
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
