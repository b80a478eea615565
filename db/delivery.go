package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/delivery_page.sql
var deliveryPageSQL string

//go:embed query/delivery_again.sql
var deliveryAgainSQL string

//go:embed query/delivery_hold.sql
var deliveryHoldSQL string

//go:embed query/delivery_drop.sql
var deliveryDropSQL string

//go:embed query/delivery_forget.sql
var deliveryForgetSQL string

// DeliveryFilter says which of a subscription's deliveries are meant.
type DeliveryFilter struct {
	Status minoots.DeliveryStatus // zero for all
	Before minoots.ID             // the last one of the page before; zero for the first page
	Limit  int
}

// DeliveryPage lists a subscription's log, the newest first.
func (d *DB) DeliveryPage(ctx context.Context, tenant string, id minoots.ID, f DeliveryFilter) ([]minoots.SubscriptionDelivery, error) {
	if _, err := d.SubscriptionGet(ctx, tenant, id); err != nil {
		return nil, err
	}
	rows, err := d.pool.Query(ctx, deliveryPageSQL, id, optional(string(f.Status)), optionalID(f.Before), f.Limit)
	if err != nil {
		return nil, translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.SubscriptionDelivery, error) { return scanDelivery(row) })
	return all, translate(err)
}

// DeliveryAgain sends one that has ended once more, under its webhook-id. One that
// has not ended is CodeConflict.
func (d *DB) DeliveryAgain(ctx context.Context, tenant string, subscription, id minoots.ID) (made minoots.SubscriptionDelivery, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		if _, err := lockSubscription(ctx, tx, tenant, subscription); err != nil {
			return err
		}
		var done bool
		made, err = scanDelivery(tx.QueryRow(ctx, deliveryAgainSQL, subscription, id, attemptsMost), &done)
		switch {
		case err != nil:
			return notFound(translate(err), "delivery")
		case !done && made.EndedAt != nil:
			return minoots.Errorf(minoots.CodeConflict, "the delivery has had more than %d attempts; it can no longer be sent again", attemptsMost)
		case !done:
			return minoots.Errorf(minoots.CodeConflict, "the delivery is %s: it has not ended, and cannot be sent again", made.Status)
		case made.Status == minoots.DeliveryWaiting:
			_, err = tx.Exec(ctx, deliveryEnqueueSQL, []minoots.ID{id}, minoots.DefaultRetryPolicy.MaxAttempts)
		}
		return err
	})
	return made, err
}

// scanDelivery reads the columns of delivery_page.sql, after others.
func scanDelivery(row pgx.Row, first ...any) (v minoots.SubscriptionDelivery, err error) {
	var created time.Time
	var ended *time.Time
	err = row.Scan(append(first, &v.ID, &v.SubscriptionID, &v.EventID, &v.Type, &v.TimerID, &v.Status, &v.Attempts, &v.HTTPStatus,
		&v.ErrorClass, &v.Error, &v.Response, &created, &ended)...)
	v.CreatedAt, v.EndedAt = instant(created), optionalInstant(ended)
	return v, err
}
