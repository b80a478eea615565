package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// The rate and the replicas for which lateness has a goal, beside the pending
// timers.
const (
	goalRate     = 600
	goalReplicas = 3
)

// latenessAll is P5: rates by replicas by what else is pending.
func latenessAll(ctx context.Context, l *lab) error {
	if l.cfg.URL != "" {
		t := l.deployment()
		defer t.close()
		return latenessOn(ctx, l, t, "deployment", t.String())
	}
	for _, pending := range []bool{false, true} {
		for _, n := range l.size.replicas {
			if err := latenessBeside(ctx, l, n, pending); err != nil {
				return err
			}
		}
	}
	least := math.Inf(1)
	for _, f := range l.report.Figures {
		if f.Name == "P5" && f.Lateness != nil {
			least = min(least, f.Lateness.Min)
		}
	}
	l.report.add("P5.min", "the earliest of all these runs", least, "ms min")
	return nil
}

// latenessBeside measures with so many replicas on an empty database, or on the
// one with the pending timers.
func latenessBeside(ctx context.Context, l *lab, replicas int, pending bool) error {
	var d *database
	var err error
	where, what := fmt.Sprintf("%d.empty", replicas), "nothing pending"
	if pending {
		where, what = fmt.Sprintf("%d.pending", replicas), number(float64(l.size.pending))+" pending"
		d, err = l.withMillion(ctx)
	} else {
		d, err = l.database(ctx, fmt.Sprintf("p5_%d", replicas))
	}
	if err != nil {
		return err
	}
	t, err := l.service(ctx, d, replicas)
	if err != nil {
		return err
	}
	if err := latenessOn(ctx, l, t, where, fmt.Sprintf("%s, %s", replicaCount(replicas), what)); err != nil {
		return err
	}
	return l.leave(t)
}

// latenessOn measures at each rate.
func latenessOn(ctx context.Context, l *lab, t *target, where, what string) error {
	for _, perSecond := range l.size.rates {
		key := fmt.Sprintf("P5.%d.%s", perSecond, where)
		late, err := l.measure(ctx, t, key, perSecond)
		if err != nil {
			return fmt.Errorf("%d/s, %s: %w", perSecond, what, err)
		}
		l.report.addLateness(key, fmt.Sprintf("%s/s, %s", number(float64(perSecond)), what), late)
		if perSecond == goalRate && (where == fmt.Sprintf("%d.pending", goalReplicas) || where == "deployment") {
			l.report.add("P5.p50", fmt.Sprintf("of %d/s, %s", perSecond, what), late.P50, "ms p50")
			l.report.add("P5.p99", fmt.Sprintf("of %d/s, %s", perSecond, what), late.P99, "ms p99")
		}
	}
	return nil
}

// latenessSnapshot is P6: the same beside a transaction that has kept its
// snapshot since before many timers were fired. Vacuum can remove none of their
// dead rows and index entries: those of the claims', and those of River's jobs.
func latenessSnapshot(ctx context.Context, l *lab) error {
	d, err := l.withMillion(ctx)
	if err != nil {
		return err
	}
	release, err := d.holdSnapshot(ctx)
	if err != nil {
		return err
	}
	defer release()
	t, err := l.service(ctx, d, goalReplicas)
	if err != nil {
		return err
	}
	if err := fireBefore(ctx, l, t); err != nil {
		return fmt.Errorf("fire %d timers before: %w", l.size.firedBefore, err)
	}
	late, err := l.measure(ctx, t, "P6", goalRate)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d/s, %d replicas, beside a snapshot from before %s were fired",
		goalRate, goalReplicas, number(float64(l.size.firedBefore)))
	l.report.addLateness("P6", what, late)
	l.report.add("P6.p99", "the same", late.P99, "ms p99")
	l.report.add("P6.min", "the same", late.Min, "ms min")
	return l.leave(t)
}

// fireBefore has a backlog fired, delivered and settled, and written to disk: the
// machine begins to write what it holds in memory 30 s later, in the middle of
// what is measured, and commits then wait 20 to 140 ms for the same disk.
func fireBefore(ctx context.Context, l *lab, t *target) error {
	arrivals := l.receiver.expect("before", l.size.firedBefore)
	due := time.Now()
	s := seed{tenant: t.tenant.id, timers: l.size.firedBefore, first: due.Add(-time.Minute), url: arrivals.url}
	if err := t.database.seed(ctx, s); err != nil {
		return err
	}
	if err := arrivals.wait(ctx, due, l.size.quiet); err != nil {
		return err
	}
	_, err := t.database.pool.Exec(ctx, "CHECKPOINT") // which removes no dead row
	return err
}

// holdSnapshot opens a transaction that sees the database as it is now until it
// is released, as a backup or a forgotten psql does.
func (d *database) holdSnapshot(ctx context.Context) (release func(), err error) {
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	release = func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }
	if _, err := tx.Exec(ctx, "SELECT"); err != nil { // the first statement takes the snapshot
		release()
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	return release, nil
}
