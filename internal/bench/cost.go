package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Creating must be over before the first timer is due, or the groups in which
// timers are fired would depend on how fast they are created.
const (
	costLead      = 2 * time.Second
	costPerSecond = 1000
)

// cost is P10: what a timer takes of Postgres from its create, one at a time by
// the API, until it is settled.
func cost(ctx context.Context, l *lab) error {
	t, err := l.freshService(ctx, "p10", 1)
	if err != nil {
		return err
	}
	if err := t.database.calm(ctx); err != nil {
		return err
	}
	n := l.size.costTimers
	before, err := lookAtCost(ctx, t.database)
	if err != nil {
		return err
	}
	if err := createAndSettle(ctx, l, t, n); err != nil {
		return err
	}
	after, err := lookAtCost(ctx, t.database)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("create to settled, %s timers one at a time, each", number(float64(n)))
	if l.server.statements {
		list := after.statements.since(before.statements, float64(n))
		sum := 0.0
		for _, s := range list {
			sum += s.Calls
		}
		l.report.add("P10.statements", what, sum, "statements")
		l.report.Statements["P10"] = StatementReport{Per: "timer", Statements: list}
	} else {
		l.report.skip("P10.statements", what, noStatements)
	}
	l.report.add("P10.wal", what, (after.wal-before.wal)/float64(n), "bytes of WAL")
	return l.leave(t)
}

// createAndSettle creates timers one at a time and waits until the last is
// settled.
func createAndSettle(ctx context.Context, l *lab, t *target, n int) error {
	arrivals := l.receiver.expect("cost", n)
	lead := costLead + time.Duration(n)*time.Second/costPerSecond
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(clients)
	for i := range n {
		g.Go(func() error { return t.create(gctx, refSpec(i, time.Now().Add(lead), arrivals.url)) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("create timers: %w", err)
	}
	if l.sabotage != nil {
		if err := l.sabotage(ctx, t.database); err != nil {
			return err
		}
	}
	last := time.Now().Add(lead)
	if err := arrivals.wait(ctx, last, l.size.quiet); err != nil {
		return err
	}
	return t.database.settled(ctx, last, n, l.size.quiet)
}

// costs is what a database has taken so far.
type costs struct {
	statements statementCounts
	wal        float64 // bytes, of the whole server
}

func lookAtCost(ctx context.Context, d *database) (costs, error) {
	var c costs
	var err error
	if d.server.statements {
		if c.statements, err = d.statementCounts(ctx); err != nil {
			return c, err
		}
	}
	c.wal, err = one[float64](ctx, d, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8")
	return c, err
}
