package bench

import (
	"context"
	"fmt"
	"time"
)

// firedMetric counts the timers that a kernel has fired and committed.
const firedMetric = "minoots_timers_fired_total"

// claimBacklog is P3: a kernel alone meets a backlog, and claims, enqueues and
// commits until it is gone. Nobody works the jobs.
func claimBacklog(ctx context.Context, l *lab) error {
	d, err := l.database(ctx, "p3")
	if err != nil {
		return err
	}
	if err := d.seed(ctx, backlogOf(l, false)); err != nil {
		return err
	}
	fleet, err := l.replicas(ctx, d, 1, "kernel")
	if err != nil {
		return err
	}
	defer l.profile(ctx, "P3", fleet, 5*time.Second)()
	perSecond, err := watchCount(ctx, l.size.backlog, func() (float64, error) { return fleet[0].Metric(ctx, firedMetric) })
	if err != nil {
		return err
	}
	if err := d.noneWaiting(ctx); err != nil {
		return err
	}
	jobs, err := one[int](ctx, d, "SELECT count(*) FROM river.river_job")
	if err != nil {
		return err
	}
	if jobs != l.size.backlog {
		return fmt.Errorf("%w: %d timers were fired and %d jobs enqueued", errLost, l.size.backlog, jobs)
	}
	l.report.add("P3", fmt.Sprintf("%s due: claimed, enqueued and committed, one kernel", number(float64(l.size.backlog))),
		perSecond, "timers/s")
	return nil
}

// watchCount watches a count grow to its end and gives how fast it grew, from
// the first time that it was seen to have begun. Each look at a replica's metrics
// costs it about a millisecond: hence not more than twenty a second.
func watchCount(ctx context.Context, end int, count func() (float64, error)) (perSecond float64, err error) {
	const every, patience = 50 * time.Millisecond, 30 * time.Second
	var first, last float64
	var began, grew time.Time
	for grew = time.Now(); time.Since(grew) < patience; {
		n, err := count()
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if n > last {
			grew, last = now, n
		}
		if n > 0 && began.IsZero() {
			began, first = now, n
		}
		if n >= float64(end) {
			if first == n {
				return 0, fmt.Errorf("%w: a backlog of %d is gone before it can be watched", errSlow, end)
			}
			return (n - first) / now.Sub(began).Seconds(), nil
		}
		if err := pause(ctx, every); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: %s of %d were fired, and none for %s", errLost, number(last), end, patience)
}
