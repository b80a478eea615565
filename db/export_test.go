package db

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

// AuditIn audits what a transaction sees.
var AuditIn = auditIn

// TimerPageFew is TimerPage with another bound in place of fewTimers.
var TimerPageFew = (*DB).timerPage

// BulkFindAmong is what a change of many is meant for, with other bounds in place
// of fewTimers and bulkStretch.
func BulkFindAmong(ctx context.Context, d *DB, tenant string, c *BulkChange, req BulkRequest, few, stretch int) ([]minoots.ID, minoots.ID, error) {
	found, err := d.bulkFindAmong(ctx, tenant, c, req, few, stretch)
	return found.ids, found.next, err
}

// Counted gives a DB like d that counts the statements it sends.
func Counted(ctx context.Context, d *DB, n *atomic.Int64) (*DB, error) {
	cfg := d.pool.Config()
	cfg.ConnConfig.Tracer = counter{n}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	return &DB{pool: pool, clock: d.clock, writes: d.writes}, err
}

type counter struct{ n *atomic.Int64 }

func (c counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Schedules is the memory of compiled recurrences.
type Schedules = schedules

// Of is of.
func (c *schedules) Of(recurrence []byte, anchor time.Time) (*cron.Schedule, error) {
	return c.of(recurrence, anchor)
}

// Held counts what is remembered.
func (c *schedules) Held() int { return len(c.young) + len(c.old) }
