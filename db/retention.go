package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/partition_drop.sql
var partitionDropSQL string

//go:embed query/firing_forget.sql
var firingForgetSQL string

//go:embed query/attempt_forget.sql
var attemptForgetSQL string

//go:embed query/event_forget.sql
var eventForgetSQL string

//go:embed query/timer_forget.sql
var timerForgetSQL string

// FinishedKept is the least time that a finished timer is kept: longer than its
// idempotency key, a repeat of which must find it.
const FinishedKept = IdempotencyKept + 24*time.Hour

// Drop says what became of an expired partition.
type Drop string

// What may become of one.
const (
	DropDone    Drop = "dropped"
	DropRunning Drop = "running" // kept: a firing in it still runs
	DropLocked  Drop = "locked"  // kept: somebody holds the table
)

// PartitionDrop drops the first weekly partition of history after one, by name
// ("" for the first), all of which is older than that. It gives its name, ""
// when there is none or another replica is at it, and what became of it.
func (d *DB) PartitionDrop(ctx context.Context, olderThan time.Duration, after string) (partition string, became Drop, err error) {
	var name, outcome *string
	err = d.pool.QueryRow(ctx, partitionDropSQL, olderThan.Seconds(), after).Scan(&name, &outcome)
	if err != nil || name == nil {
		return "", "", translate(err)
	}
	return *name, Drop(*outcome), nil
}

// HistoryForget removes history older than that which stands in no weekly
// partition, dead letters and subscriptions' deliveries among it, 10,000 rows of each table at most a call.
func (d *DB) HistoryForget(ctx context.Context, olderThan time.Duration) (int64, error) {
	rows := int64(0)
	for _, sql := range []string{firingForgetSQL, attemptForgetSQL, eventForgetSQL, deadLetterForgetSQL, deliveryForgetSQL} {
		tag, err := d.pool.Exec(ctx, sql, olderThan.Seconds())
		if err != nil {
			return rows, translate(err)
		}
		rows += tag.RowsAffected()
	}
	return rows, nil
}

// timerForgetPage is how many timers one statement looks at. On two busy cores
// 2,000 to remove take 130 ms, in which it holds nothing that anybody waits for,
// and 2,000 that stay 8 ms (BenchmarkTimerForget).
const timerForgetPage = 2000

// TimerForget looks at the timers after one, by id (zero for the first), and
// removes those that have been over for longer than that. It gives the last that
// it looked at, from which to go on, zero at the end.
func (d *DB) TimerForget(ctx context.Context, olderThan time.Duration, after minoots.ID) (last minoots.ID, forgotten int64, err error) {
	var looked int
	var id *minoots.ID
	err = d.pool.QueryRow(ctx, timerForgetSQL, max(olderThan, FinishedKept).Seconds(), after, timerForgetPage).Scan(&looked, &forgotten, &id)
	if err != nil || looked < timerForgetPage {
		return minoots.ID{}, forgotten, translate(err)
	}
	return *id, forgotten, nil
}
