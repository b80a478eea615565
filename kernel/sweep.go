package kernel

import (
	"context"
	"fmt"
	"time"
)

const (
	backlogBound = 100_000 // past it the gauge says "at least"
	sweepStep    = "sweep" // in the count of errors
	// sweepShare bounds what sweeps cost beside a snapshot that keeps vacuum from
	// its work: one that took long is not repeated before so many times as long,
	// up to maxSweepPause, for which a timer that only a sweep finds may wait.
	sweepShare    = 50
	maxSweepPause = 5 * time.Minute
	// sweepTimeout bounds one: by then it has passed some 300 million dead entries.
	sweepTimeout = time.Minute
	// slowSweep is worth a line in the log: 200,000 dead entries take 20 to 40 ms
	// on a busy machine (bench P6).
	slowSweep = time.Second
)

// sweeper looks every now and then at all that is due, without the low-water bound.
// That walks over each entry of the due index which vacuum could not remove yet,
// and therefore goes on beside the loop, which has timers to fire meanwhile.
func (k *Kernel) sweeper(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		took, err := k.sweep(ctx)
		pause := nextSweep(k.cfg.SweepInterval, took)
		next.Reset(pause)
		switch {
		case err != nil && ctx.Err() == nil:
			k.metrics.errors.WithLabelValues(sweepStep).Inc()
			k.log.Warn("sweep failed; trying again later", "error", err)
		case took > slowSweep:
			k.log.Warn("sweep was slow: something keeps vacuum from claimed timers' index entries", "took", took, "next_in", pause)
		}
	}
}

// nextSweep gives the pause after a sweep.
func nextSweep(every, took time.Duration) time.Duration {
	return max(jittered(every), min(sweepShare*took, maxSweepPause))
}

// sweep measures the backlog, and tells the loop of what its polls pass over: a
// timer that was committed long after its due instant, or whose claim rolled back
// late.
func (k *Kernel) sweep(ctx context.Context) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	below, began := k.low.forPoll(), time.Now()
	n, oldest, err := k.db.TimerBacklog(ctx, backlogBound)
	took = time.Since(began)
	k.metrics.sweep.Set(took.Seconds())
	if err != nil {
		return 0, fmt.Errorf("look at all that is due: %w", err) // after Postgres' absence, look soon
	}
	k.metrics.backlog.Set(float64(n))
	late := time.Duration(0)
	if !oldest.IsZero() {
		late = max(-k.clock.Until(oldest), 0)
	}
	k.metrics.oldest.Set(late.Seconds())
	if !oldest.IsZero() && oldest.Before(below) {
		k.metrics.found.Inc()
		k.in.due([]time.Time{oldest}, false)
	}
	return took, nil
}
