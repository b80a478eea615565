package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/destination_lock.sql
var destinationLockSQL string

//go:embed query/destination_take.sql
var destinationTakeSQL string

//go:embed query/destination_mine.sql
var destinationMineSQL string

// Taken is what came of asking for deliveries that wait for a destination.
type Taken struct {
	// Known is false for a destination that is ordinary again.
	Known bool
	State minoots.BreakerState // before
	// May is how many its breaker and its limits allowed, within what was asked for.
	May int
	// Recovered says that so many could be under way at once that there is no
	// need to bound them any more.
	Recovered bool
	// ProbeIn and TokenIn are when the breaker and the rate allow the next one; 0
	// if they do not bound it.
	ProbeIn, TokenIn time.Duration
	Jobs             []TakenJob
}

// TakenJob is one that now runs here.
type TakenJob struct {
	ID      int64
	Attempt int
	Args    []byte
}

// recoveredFrom is destination_close.sql's.
const recoveredFrom = 512

// DestinationTake takes deliveries that wait for a destination, in the order in
// which they came, as far as its breaker and its limits allow. They then run by
// this replica. A probe counts for the lease: then another may be made.
func (d *DB) DestinationTake(ctx context.Context, replica, queue string, want int, lease time.Duration) (t Taken, err error) {
	// One transaction and one round trip: a batch is both.
	batch := &pgx.Batch{}
	batch.Queue(destinationLockSQL, queue)
	batch.Queue(destinationTakeSQL, queue, want, replica, lease.Seconds())
	results := d.pool.SendBatch(ctx, batch)
	if _, err = results.Exec(); err == nil {
		t, err = readTaken(results)
	}
	return t, translate(firstError(err, results.Close()))
}

func readTaken(results pgx.BatchResults) (t Taken, err error) {
	rows, err := results.Query()
	if err != nil {
		return t, err
	}
	var slow int
	var probeIn, tokenIn *float64
	var id *int64
	var attempt *int
	var args []byte
	_, err = pgx.ForEachRow(rows, []any{&t.State, &t.May, &slow, &probeIn, &tokenIn, &id, &attempt, &args}, func() error {
		t.Known, t.Recovered = true, t.State == minoots.BreakerRecovering && slow >= recoveredFrom
		if probeIn != nil {
			t.ProbeIn = inSeconds(*probeIn)
		}
		if tokenIn != nil {
			t.TokenIn = inSeconds(*tokenIn)
		}
		if id != nil {
			t.Jobs = append(t.Jobs, TakenJob{ID: *id, Attempt: *attempt, Args: append([]byte{}, args...)})
		}
		return nil
	})
	return t, err
}

// DestinationMine gives the jobs in a destination's queue that a replica has
// running: what a take whose answer was lost has left behind is among them.
func (d *DB) DestinationMine(ctx context.Context, replica, queue string) (mine []HeldJob, err error) {
	batch := &pgx.Batch{}
	batch.Queue(destinationLockSQL, queue)
	batch.Queue(destinationMineSQL, queue, replica)
	results := d.pool.SendBatch(ctx, batch)
	if _, err = results.Exec(); err == nil {
		var rows pgx.Rows
		if rows, err = results.Query(); err == nil {
			job := HeldJob{Queue: queue}
			_, err = pgx.ForEachRow(rows, []any{&job.ID, &job.Attempt}, func() error {
				mine = append(mine, job)
				return nil
			})
		}
	}
	return mine, translate(firstError(err, results.Close()))
}
