package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// rate has workers do something over and over, and gives how much of it was done
// a second, once they are warm: connections made, statements prepared, files of
// the database grown. do gets the worker's number and the count of calls before
// this one, over all workers, and says how much it has done. The first error
// ends it.
func rate(
	ctx context.Context, workers int, warm, window time.Duration, do func(ctx context.Context, worker, call int) (int, error),
) (float64, error) {
	var calls, done atomic.Int64
	var over atomic.Bool
	g, ctx := errgroup.WithContext(ctx)
	for worker := range workers {
		g.Go(func() error {
			for !over.Load() {
				n, err := do(ctx, worker, int(calls.Add(1)-1))
				if err != nil {
					return err
				}
				done.Add(int64(n))
			}
			return nil
		})
	}
	// What is under way at the edges of the window is counted at one of them
	// and not at the other, so that the errors even out.
	watch := func() (perSecond float64, err error) {
		if err := pause(ctx, warm); err != nil {
			return 0, err
		}
		before, began := done.Load(), time.Now()
		if err := pause(ctx, window); err != nil {
			return 0, err
		}
		return float64(done.Load()-before) / time.Since(began).Seconds(), nil
	}
	perSecond, err := watch()
	over.Store(true)
	if failed := g.Wait(); failed != nil {
		return 0, failed
	}
	if err == nil && perSecond == 0 {
		return 0, fmt.Errorf("nothing was done in %s", window)
	}
	return perSecond, err
}
