package db

import (
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/lane_page.sql
var lanePageSQL string

//go:embed query/destination_open.sql
var destinationOpenSQL string

//go:embed query/destination_recover.sql
var destinationRecoverSQL string

//go:embed query/destination_close.sql
var destinationCloseSQL string

//go:embed query/destination_release.sql
var destinationReleaseSQL string

// Lane is a queue beside those of the kinds: one that has jobs waiting, or that of
// a destination which is not ordinary, or both.
type Lane struct {
	Queue  string
	Filled bool
	// Held is how many wait in the queue of a destination, counted up to 1,000.
	Held int
	// Tenant and Destination are empty for a lane that all flows may share, and
	// for the queue of a destination that is ordinary again.
	Tenant, Destination string
	State               minoots.BreakerState
}

// LanePage lists the lanes, and tells whether there are subscriptions: all that
// workers look at while nothing happens, in one statement.
func (d *DB) LanePage(ctx context.Context) (lanes []Lane, subscriptions bool, err error) {
	rows, err := d.pool.Query(ctx, lanePageSQL)
	if err != nil {
		return nil, false, translate(err)
	}
	lanes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Lane, err error) {
		var tenant, destination, state *string
		err = row.Scan(&l.Queue, &tenant, &destination, &state, &l.Filled, &l.Held)
		if tenant != nil {
			l.Tenant, l.Destination, l.State = *tenant, *destination, minoots.BreakerState(*state)
		}
		return l, err
	})
	all := len(lanes)
	lanes = slices.DeleteFunc(lanes, func(l Lane) bool { return l.Queue == "" })
	return lanes, len(lanes) < all, translate(err)
}

// Opening is a breaker that a replica opens.
type Opening struct {
	Tenant, Destination string
	Failures            int    // that it has seen
	Reason              string // the last one's error, without secrets
	Replica             string
	// WaitLeast and WaitMost bound the wait before the next probe, which doubles
	// each time and varies by a fifth.
	WaitLeast, WaitMost time.Duration
}

// DestinationOpen opens a breaker, and gives how often in a row that has happened
// and in which time it is to be tried; 0 if it was open already.
func (d *DB) DestinationOpen(ctx context.Context, o Opening) (opens int, probeIn time.Duration, err error) {
	var seconds float64
	err = d.pool.QueryRow(ctx, destinationOpenSQL, o.Tenant, o.Destination, HeldQueue(o.Tenant, o.Destination), o.Failures, o.Reason, o.Replica,
		o.WaitLeast.Seconds(), o.WaitMost.Seconds()).Scan(&opens, &seconds)
	if err = translate(err); minoots.ErrorCode(err) == minoots.CodeNotFound {
		return 0, 0, nil
	}
	return opens, inSeconds(seconds), err
}

// DestinationRecover has deliveries to a destination go on, few at first, and
// tells whether its breaker was open.
func (d *DB) DestinationRecover(ctx context.Context, tenant, destination string) (bool, error) {
	tag, err := d.pool.Exec(ctx, destinationRecoverSQL, tenant, destination)
	return tag.RowsAffected() == 1, translate(err)
}

// DestinationClose closes the breaker of a destination that has recovered, or that
// nobody has used for long, and tells whether it did.
func (d *DB) DestinationClose(ctx context.Context, tenant, destination string) (bool, error) {
	var closed int
	err := d.pool.QueryRow(ctx, destinationCloseSQL, tenant, destination).Scan(&closed)
	return closed == 1, translate(err)
}

// DestinationRelease lets go what waits in the queue of a destination that is
// ordinary again, a limited number at a time, and gives how many that were.
func (d *DB) DestinationRelease(ctx context.Context, queue string, limit int) (released int, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		rows, err := tx.Query(ctx, destinationReleaseSQL, queue, limit)
		if err != nil {
			return err
		}
		var lanes []string
		var lane string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&lane, &n}, func() error {
			lanes, released = append(lanes, lane), released+n
			return nil
		})
		if err != nil || released == 0 {
			return err
		}
		_, err = tx.Exec(ctx, jobNotifySQL, lanes)
		return err
	})
	return released, err
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
