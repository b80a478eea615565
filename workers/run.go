package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// What a stop may take beyond the grace, so that it ends whatever happens.
const (
	cutTimeout   = 1500 * time.Millisecond // for actions to end that were cut
	drainTimeout = 1500 * time.Millisecond // for the last outcomes to be committed
	leaveTimeout = time.Second             // for River to end
	// lostDrainTimeout is how long outcomes of a lost life are held.
	lostDrainTimeout = time.Minute
)

// Run works until ctx is done. Then it begins nothing more, lets what runs finish
// within the grace, cuts the rest, whose jobs go back to their queues, and
// returns when all outcomes are committed. With Postgres away they cannot be: it
// returns all the same, four seconds after the grace, and what was not recorded
// will be done again.
//
// If the life is lost, all is cut at once; see Crew.
func (w *Workers) Run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx)
	defer w.endLife()
	recorderCtx, giveUp := context.WithCancel(lasting)
	defer giveUp()
	go w.recorder.run(recorderCtx)
	defer w.drain(ctx, giveUp)
	w.errands.open(recorderCtx)
	defer w.errands.wait(drainTimeout)
	if began, err := w.startRiver(ctx); !began {
		return err
	}
	work, cut := context.WithCancel(lasting)
	defer cut()
	stopDesks := w.startDesks(work)
	select {
	case <-ctx.Done():
	case <-w.lost:
		w.endLife() // what follows may wait for Postgres
	}
	return w.stop(ctx, stopDesks, cut, giveUp)
}

// startRiver tells whether River has started. It first asks Postgres, and waits as
// long as that takes, so it is cut when the workers are asked to stop. Its one
// queue comes last: where it has not started it has fetched no job.
func (w *Workers) startRiver(ctx context.Context) (began bool, err error) {
	lasting, cut := context.WithCancel(context.WithoutCancel(ctx)) // the jobs' too
	started := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ctx.Done():
			cut()
		case <-w.lost:
			cut()
		case <-started:
		}
	})
	err = w.client.Start(lasting)
	close(started)
	watch.Wait()
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		w.log.Info("asked to stop before the first job", "error", err)
		return false, nil //nolint:nilerr // nothing had begun, and nothing is left
	}
	return false, fmt.Errorf("start river: %w", err)
}

// startDesks lets deliveries begin here, and gives how to end that: it begins no
// more and waits until those under way have ended.
func (w *Workers) startDesks(work context.Context) (stop func()) {
	looking, lookNoMore := context.WithCancel(work)
	var lanes sync.WaitGroup
	lanes.Go(func() { w.lanes.run(looking) })
	lanes.Go(func() { w.breaker.pump.run(looking, work) })
	for _, k := range w.desks {
		k.start(work)
	}
	return func() {
		lookNoMore()
		for _, k := range w.desks {
			k.close()
		}
		lanes.Wait()
		for _, k := range w.desks {
			k.wg.Wait()
		}
	}
}

// stop ends what runs, first gently, unless the life is lost.
func (w *Workers) stop(ctx context.Context, stopDesks, cut, giveUp func()) error {
	lasting := context.WithoutCancel(ctx)
	soft, cancel := context.WithTimeout(lasting, w.cfg.Grace)
	defer cancel()
	go func() {
		select {
		case <-w.lost:
			w.endLife()
			cancel()
		case <-soft.Done():
		}
	}()
	desks := make(chan struct{})
	go func() { stopDesks(); close(desks) }()
	ended := func(ctx context.Context, err error) bool {
		select {
		case <-desks:
			return err == nil
		case <-ctx.Done():
			return false
		}
	}
	if ended(soft, w.client.Stop(soft)) {
		return nil
	}
	if !w.isLost() {
		w.log.Warn("actions still running after the grace; cutting them", "grace", w.cfg.Grace)
	}
	cut()
	hard, cancelHard := context.WithTimeout(lasting, cutTimeout)
	defer cancelHard()
	if ended(hard, w.client.StopAndCancel(hard)) {
		return nil
	}
	// What still runs waits for the recorder, or does not heed its context.
	w.drain(ctx, giveUp)
	last, cancelLast := context.WithTimeout(lasting, leaveTimeout)
	defer cancelLast()
	select {
	case <-w.client.Stopped():
		if ended(last, nil) {
			return nil
		}
	case <-last.Done():
	}
	return errors.New("actions still running after they were cut")
}

func (w *Workers) isLost() bool {
	select {
	case <-w.lost:
		return true
	default:
		return false
	}
}

// drain ends the recorder when the last outcomes are committed, or it is time to
// give up. Those of a lost life it tries for longer: nobody waits for it, and
// they count if nobody has taken their jobs over yet.
func (w *Workers) drain(ctx context.Context, giveUp func()) {
	w.recorder.close()
	if w.isLost() {
		select {
		case <-w.recorder.ended:
			return
		case <-time.After(lostDrainTimeout):
		case <-ctx.Done():
		}
	}
	select {
	case <-w.recorder.ended:
	case <-time.After(drainTimeout):
		giveUp()
		<-w.recorder.ended
	}
}
