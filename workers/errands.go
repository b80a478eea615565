package workers

import (
	"context"
	"sync"
	"time"
)

// errands are what the workers do in the background until Postgres answers, such
// as putting jobs back. Those that are asked for before the workers run, or when
// they have ended, do not run.
type errands struct {
	mu   sync.Mutex
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func (e *errands) open(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ctx, e.stop = context.WithCancel(ctx)
}

func (e *errands) run(errand func(context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil {
		return
	}
	ctx := e.ctx
	e.wg.Go(func() { errand(ctx) })
}

// wait takes no more errands and lets those under way end, within the patience.
func (e *errands) wait(patience time.Duration) {
	e.mu.Lock()
	e.ctx = nil
	stop := e.stop
	e.mu.Unlock()
	timer := time.AfterFunc(patience, stop)
	defer timer.Stop()
	e.wg.Wait()
	stop()
}
