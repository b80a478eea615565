package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/minoots/minoots"
)

//go:embed query/timer_bulk_cancel.sql
var timerBulkCancelSQL string

//go:embed query/timer_bulk_pause.sql
var timerBulkPauseSQL string

//go:embed query/timer_bulk_reschedule.sql
var timerBulkRescheduleSQL string

const (
	// BulkMost is the most timers that one call changes.
	BulkMost = 100_000
	// BulkCounted is up to how many a dry run counts.
	BulkCounted = 1_000_000
	// bulkBatch is how many are changed in one transaction: enough that the round
	// trip is cheap, few enough that nobody waits long for a lock.
	bulkBatch = 2000
	// bulkTime is after how long no further batch is begun.
	bulkTime = 20 * time.Second
	// bulkTries bounds how often a batch is begun anew that met a deadlock: it may
	// hold a timer that has just fired when the record of outcomes wants it.
	bulkTries = 4
)

// BulkChange is what to do to many timers: one of BulkCancel, BulkPause,
// BulkResume and BulkReschedule.
type BulkChange struct {
	name     string
	statuses []minoots.Status // that may change so
	oneShot  bool             // recurring timers are not meant
	apply    func(ctx context.Context, d *DB, filter []any, ids []minoots.ID) (changed int, due []time.Time, err error)
}

// Statuses lists those that a timer may have to be changed so.
func (c *BulkChange) Statuses() []minoots.Status { return c.statuses }

// BulkCancel cancels scheduled and paused timers.
func BulkCancel(reason, by *string) *BulkChange {
	return &BulkChange{
		name: "cancel", statuses: []minoots.Status{minoots.StatusScheduled, minoots.StatusPaused},
		apply: bulkStatement(timerBulkCancelSQL, reason, by),
	}
}

// BulkPause pauses scheduled timers.
func BulkPause() *BulkChange {
	return &BulkChange{name: "pause", statuses: []minoots.Status{minoots.StatusScheduled}, apply: bulkStatement(timerBulkPauseSQL)}
}

// BulkReschedule moves scheduled and paused one-shot timers: all to an instant, or
// each by a duration, which may be negative. Exactly one of them is given. None is
// moved beyond the horizon, and none into the past: it is then due now.
func BulkReschedule(at *minoots.Instant, by *minoots.Duration) *BulkChange {
	var to *time.Time
	if at != nil {
		to = &at.Time
	}
	var us *int64
	if by != nil {
		v := roundUp(*by).Microseconds()
		us = &v
	}
	return &BulkChange{
		name: "reschedule", statuses: []minoots.Status{minoots.StatusScheduled, minoots.StatusPaused}, oneShot: true,
		apply: bulkStatement(timerBulkRescheduleSQL, to, us, minoots.MaxHorizon.Microseconds()),
	}
}

// BulkResume resumes paused timers by a policy. It runs the statement for one
// timer once for each, a batch in one round trip and one transaction: so there is
// one place that knows what a policy does. Recurring ones, for which that is not
// all, are then resumed one by one.
func BulkResume(policy minoots.ResumePolicy) *BulkChange {
	return &BulkChange{
		name: "resume", statuses: []minoots.Status{minoots.StatusPaused},
		apply: func(ctx context.Context, d *DB, filter []any, ids []minoots.ID) (changed int, due []time.Time, err error) {
			batch := &pgx.Batch{}
			var recurring []minoots.ID
			for _, id := range ids {
				batch.Queue(timerResumeSQL, id, filter[0], policy, missedReason).QueryRow(func(row pgx.Row) error {
					var was minoots.Status
					var resumed bool
					var at *time.Time
					err := row.Scan(&was, &resumed, &at)
					if errors.Is(err, pgx.ErrNoRows) {
						return nil // retention has taken it
					}
					if resumed {
						changed++
					}
					if was == minoots.StatusPaused && !resumed {
						recurring = append(recurring, id)
					}
					if resumed && at != nil {
						due = append(due, *at)
					}
					return err
				})
			}
			err = d.pool.SendBatch(ctx, batch).Close()
			for _, id := range recurring {
				if err != nil {
					break
				}
				var done Changed
				done, err = d.TimerResume(ctx, filter[0].(string), id, policy)
				if code := minoots.ErrorCode(err); code == minoots.CodeConflict || code == minoots.CodeNotFound {
					err = nil // somebody else was first
					continue
				}
				if err == nil {
					changed++
					if !done.DueAt.IsZero() {
						due = append(due, done.DueAt)
					}
				}
			}
			return changed, due, err
		},
	}
}

// bulkStatement runs a statement on a batch; its own parameters come last.
func bulkStatement(sql string, own ...any) func(context.Context, *DB, []any, []minoots.ID) (int, []time.Time, error) {
	return func(ctx context.Context, d *DB, filter []any, ids []minoots.ID) (changed int, due []time.Time, err error) {
		args := slices.Concat([]any{pgx.QueryExecModeCacheDescribe, filter[0], ids}, filter[1:], own)
		err = d.pool.QueryRow(ctx, sql, args...).Scan(&changed, &due)
		return changed, due, err
	}
}

// BulkRequest says which timers are meant.
type BulkRequest struct {
	Filter TimerFilter
	After  minoots.ID // those with a greater id; zero for the beginning
	Limit  int        // BulkMost at most
}

// Bulk is what became of a change of many.
type Bulk struct {
	Matched int // that were meant and could change when they were looked for
	Changed int
	// Next is where to go on, zero if there are no more.
	Next minoots.ID
	// DueAt are instants at which some are now due soon, for a hint.
	DueAt []time.Time
}

// TimerBulkCount counts what a change would be made to, up to BulkCounted, and for
// as long as a change would look for it; more tells that there are more than that.
func (d *DB) TimerBulkCount(ctx context.Context, tenant string, c *BulkChange, filter TimerFilter) (matched int, more bool, err error) {
	found, err := d.bulkFind(ctx, tenant, c, BulkRequest{Filter: filter, Limit: BulkCounted})
	return len(found.ids), found.next != (minoots.ID{}), err
}

// TimerBulk changes all timers that are meant, in batches of one transaction
// each, in the order of their ids. What a claim or another change gets first is
// not changed and not counted. An error says how many had been changed: it is safe
// to ask again.
func (d *DB) TimerBulk(ctx context.Context, tenant string, c *BulkChange, req BulkRequest) (Bulk, error) {
	began := time.Now()
	found, err := d.bulkFind(ctx, tenant, c, req)
	if err != nil {
		return Bulk{}, err
	}
	var out Bulk
	for batch := range slices.Chunk(found.ids, bulkBatch) {
		if out.Matched > 0 && time.Since(began) > bulkTime {
			return out, nil // to go on after the last batch
		}
		changed, due, err := d.bulkApply(ctx, c, found.filter, batch)
		if err != nil {
			return out, stoppedAfter(err, c.name, out.Changed)
		}
		out.Matched += len(batch)
		out.Changed += changed
		out.DueAt = append(out.DueAt, due...)
		out.Next = batch[len(batch)-1]
	}
	out.Next = found.next
	return out, nil
}

func (d *DB) bulkApply(ctx context.Context, c *BulkChange, filter []any, ids []minoots.ID) (changed int, due []time.Time, err error) {
	for try := 1; ; try++ {
		changed, due, err = c.apply(ctx, d, filter, ids)
		var pg *pgconn.PgError
		if err == nil || !errors.As(err, &pg) || pg.Code != "40P01" || try == bulkTries {
			d.writes.note(writeCancel, err)
			return changed, due, err
		}
	}
}

// stoppedAfter is an error that came when some batches had been committed.
func stoppedAfter(err error, what string, changed int) error {
	err = translate(err)
	var ours *minoots.Error
	if changed == 0 || !errors.As(err, &ours) {
		return err
	}
	return &minoots.Error{
		Code: ours.Code, Err: ours.Err,
		Message: fmt.Sprintf("%s; %d timers had been changed by then", ours.Message, changed),
		Hint:    fmt.Sprintf("repeat the %s: what is changed does not match any more, or goes on at the cursor that was sent", what),
	}
}
