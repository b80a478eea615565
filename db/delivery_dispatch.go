package db

import (
	"context"
	_ "embed"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/delivery_dispatch.sql
var deliveryDispatchSQL string

//go:embed query/delivery_enqueue.sql
var deliveryEnqueueSQL string

//go:embed query/delivery_resume.sql
var deliveryResumeSQL string

//go:embed query/subscription_resuming.sql
var subscriptionResumingSQL string

//go:embed query/subscription_match.sql
var subscriptionMatchSQL string

//go:embed query/subscription_after.sql
var subscriptionAfterSQL string

// Matcher is a subscription as the sender of events needs it.
type Matcher struct {
	minoots.Subscription
	// After is where in the log it was made: what that place sees is not for it.
	After EventCursor
}

// SubscriptionMatch gives the subscriptions of tenants. To miss no event of one
// that is being made, call it after the events have been read.
func (d *DB) SubscriptionMatch(ctx context.Context, tenants []string) ([]Matcher, error) {
	rows, err := d.pool.Query(ctx, subscriptionMatchSQL, tenants)
	if err != nil {
		return nil, translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Matcher, err error) {
		var after string
		if err = row.Scan(&m.ID, &m.TenantID, &m.Topics, &m.TimerID, &after); err == nil {
			m.After, err = ParseEventCursor(after)
		}
		return m, err
	})
	return all, translate(err)
}

// SubscriptionFirst gives the earliest place in the log at which a subscription was
// made that there is now: nothing before it is for any. ok is false if there is none.
func (d *DB) SubscriptionFirst(ctx context.Context) (first EventCursor, ok bool, err error) {
	rows, err := d.pool.Query(ctx, subscriptionAfterSQL)
	if err != nil {
		return first, false, translate(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return first, false, translate(err)
	}
	for _, text := range all {
		after, err := ParseEventCursor(text)
		if err != nil {
			return first, false, err
		}
		if !ok || after.Compare(first) < 0 {
			first, ok = after, true
		}
	}
	return first, ok, nil
}

// NewDelivery is an event for a subscription.
type NewDelivery struct {
	ID           minoots.ID
	Subscription minoots.ID
	Event        *LogEvent
	Body         []byte // the event as JSON
}

// Dispatched is what became of a page of events.
type Dispatched struct {
	Moved bool // else the lease is lost, and nothing was done
	Made  int  // deliveries that were new
	// Waiting is how many of those have a job; the others are for subscriptions that
	// are paused.
	Waiting int
}

// Dispatch makes deliveries of the events up to a place, and moves the reader there,
// in one transaction. If its outcome is unknown, doing it again is harmless.
func (r *EventReader) Dispatch(ctx context.Context, to EventCursor, events int, level bool, made []NewDelivery) (Dispatched, error) {
	n := len(made)
	ids, subscriptions, timers := make([]minoots.ID, n), make([]minoots.ID, n), make([]minoots.ID, n)
	seqs, types, bodies := make([]int64, n), make([]string, n), make([]string, n)
	for i := range made {
		m := &made[i]
		ids[i], subscriptions[i], timers[i] = m.ID, m.Subscription, m.Event.TimerID
		seqs[i], types[i], bodies[i] = m.Event.Seq, string(m.Event.Type), string(m.Body)
	}
	var out Dispatched
	batch := &pgx.Batch{} // without BEGIN it is a transaction all the same
	batch.Queue(deliveryDispatchSQL, r.Name, r.Replica, r.Lease.Seconds(), to.String(), events, level,
		ids, subscriptions, timers, seqs, types, bodies).QueryRow(func(row pgx.Row) error {
		return row.Scan(&out.Moved, &out.Made, &out.Waiting)
	})
	if n > 0 {
		batch.Queue(deliveryEnqueueSQL, ids, minoots.DefaultRetryPolicy.MaxAttempts)
	}
	return out, translate(r.DB.pool.SendBatch(ctx, batch).Close())
}

// DeliveryResume makes jobs of up to so many deliveries of one subscription that
// goes on after a pause, and gives how many.
func (d *DB) DeliveryResume(ctx context.Context, limit int) (resumed int, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		var id minoots.ID
		if err := tx.QueryRow(ctx, subscriptionResumingSQL).Scan(&id); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return err
		}
		rows, err := tx.Query(ctx, deliveryResumeSQL, id, limit)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[minoots.ID])
		if resumed = len(ids); err != nil || resumed == 0 {
			return err
		}
		_, err = tx.Exec(ctx, deliveryEnqueueSQL, ids, minoots.DefaultRetryPolicy.MaxAttempts)
		return err
	})
	return resumed, err
}
