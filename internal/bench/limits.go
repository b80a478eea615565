package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
)

// A limit is what Postgres and the driver allow for the rows that the service
// must write at least, with nothing around it. It is written here and not taken
// from the service's own statements: those may grow, and the limit is not to
// grow with them.

// limitInsertSQL writes a timer's two rows in one round trip.
const limitInsertSQL = `
	WITH definition AS (
		INSERT INTO minoots.timers (id, created_at, tenant_id, name, requested_by, labels, bundle)
		VALUES ($1, now(), $2, $3, $4, $5, $6)
	)
	INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id)
	VALUES ($1, $7, $7, now(), 1, $2)`

// limitInsert is L1: a timer's rows inserted one timer at a time.
func limitInsert(ctx context.Context, l *lab) error {
	d, err := l.database(ctx, "l1")
	if err != nil {
		return err
	}
	pool, err := open(ctx, d.url, clients)
	if err != nil {
		return err
	}
	defer pool.Close()
	before, after := refStored(l.receiver.url("far"))
	who := l.server.tenants[0].id
	perSecond, err := rate(ctx, clients, l.size.warm, l.size.window, func(ctx context.Context, _, call int) (int, error) {
		due := farDue(call)
		bundle := fmt.Sprintf("%s%d%s", before, due.UnixMicro(), after)
		_, err := pool.Exec(ctx, limitInsertSQL, minoots.NewID(), who, refName, refRequestedBy,
			map[string]string{refLabel: refSession(call)}, bundle, due)
		return 1, err
	})
	if err != nil {
		return err
	}
	l.report.add("L1", fmt.Sprintf("a timer's rows inserted one at a time, %d connections", clients), perSecond, "timers/s")
	return nil
}

const (
	claimBatch   = 1000
	claimStreams = 2
)

// limitClaimSQL is a claim and the update that it is for. The array keeps the
// planner to the primary key, as in the service's own.
const limitClaimSQL = `
	WITH due AS MATERIALIZED (
		SELECT id, due_at FROM minoots.timer_states
		WHERE due_at >= $1 AND due_at <= now()
		ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
	),
	moved AS (
		UPDATE minoots.timer_states s
		SET status = 'fired', due_at = NULL, fired_at = now(), updated_at = now(),
			occurrence = s.occurrence + 1, version = s.version + 1
		WHERE s.id = ANY (ARRAY(SELECT id FROM due))
	)
	SELECT count(*), max(due_at) FROM due`

// limitClaim is L2: claim and update alone, set-based, until a backlog is gone.
func limitClaim(ctx context.Context, l *lab) error {
	d, err := l.database(ctx, "l2")
	if err != nil {
		return err
	}
	if err := d.seed(ctx, backlogOf(l, true)); err != nil {
		return err
	}
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for range claimStreams {
		g.Go(func() error {
			for low := new(time.Time); ; { // from where a stream has not yet looked
				var n int
				next := low
				if err := d.pool.QueryRow(gctx, limitClaimSQL, *low, claimBatch).Scan(&n, &next); err != nil || n == 0 {
					return err
				}
				low = next
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	took := time.Since(began)
	if err := d.noneWaiting(ctx); err != nil {
		return err
	}
	l.report.add("L2", fmt.Sprintf("claim and update alone, %s due, by %s, %d streams",
		number(float64(l.size.backlog)), number(claimBatch), claimStreams), float64(l.size.backlog)/took.Seconds(), "timers/s")
	return nil
}

// backlogOf is the due timers of L2 and P3: spread over the last minutes, within
// the week for which history has a partition.
func backlogOf(l *lab, statesOnly bool) seed {
	const back = 10 * time.Minute
	return seed{
		tenant: l.server.tenants[0].id, timers: l.size.backlog, url: l.receiver.url("backlog"), statesOnly: statesOnly,
		first: time.Now().Add(-back), every: back / time.Duration(2*l.size.backlog),
	}
}

// farDue is an instant so far ahead that it concerns no kernel, not the same for
// each timer, for a heap of equal instants is not what an index meets in life.
func farDue(i int) time.Time {
	const year = 365 * 24 * time.Hour
	return time.Now().Add(year + time.Duration(i%100_000)*year/100_000)
}
