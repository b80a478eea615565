package db

import (
	"context"
	_ "embed"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/subscription_create.sql
var subscriptionCreateSQL string

//go:embed query/subscription_get.sql
var subscriptionGetSQL string

//go:embed query/subscription_lock.sql
var subscriptionLockSQL string

//go:embed query/subscription_page.sql
var subscriptionPageSQL string

//go:embed query/subscription_update.sql
var subscriptionUpdateSQL string

//go:embed query/subscription_status.sql
var subscriptionStatusSQL string

//go:embed query/subscription_delete.sql
var subscriptionDeleteSQL string

// SubscriptionQueue is the queue, and the kind, of the jobs of subscriptions'
// deliveries.
const SubscriptionQueue = "subscription"

// SubscriptionCreate makes a subscription. It gets the events that happen from now
// on. A tenant that has MaxSubscriptions already gets CodeConflict.
func (d *DB) SubscriptionCreate(ctx context.Context, s minoots.Subscription) (minoots.Subscription, error) {
	after, err := d.EventLatest(ctx)
	if err != nil {
		return s, err
	}
	h, err := d.sealHeaders(&s)
	if err != nil {
		return s, err
	}
	made, err := scanSubscription(d.pool.QueryRow(ctx, subscriptionCreateSQL, s.ID, s.TenantID, s.Name, s.URL, s.Topics, s.TimerID,
		s.RetryPolicy, minoots.MaxSubscriptions, after.String(), h.plain, h.sealed, h.key, h.names))
	if minoots.ErrorCode(err) == minoots.CodeNotFound {
		return made, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the tenant has 100 subscriptions, which is the most", Hint: "delete one, or give one more topics",
		}
	}
	return made, err
}

// SubscriptionGet gives one.
func (d *DB) SubscriptionGet(ctx context.Context, tenant string, id minoots.ID) (minoots.Subscription, error) {
	s, err := scanSubscription(d.pool.QueryRow(ctx, subscriptionGetSQL, id, tenant))
	return s, notFound(err, "subscription")
}

// SubscriptionPage lists a tenant's subscriptions by age, after one.
func (d *DB) SubscriptionPage(ctx context.Context, tenant string, after minoots.ID, limit int) ([]minoots.Subscription, error) {
	rows, err := d.pool.Query(ctx, subscriptionPageSQL, tenant, after, limit)
	if err != nil {
		return nil, translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.Subscription, error) { return scanSubscription(row) })
	return all, translate(err)
}

// SubscriptionUpdate changes one by a function, which sees it as it is, with the
// values of its headers. They are sealed anew, with the first key, also if they were
// not. What waits is then sent as the subscription says now.
func (d *DB) SubscriptionUpdate(
	ctx context.Context, tenant string, id minoots.ID, change func(*minoots.Subscription) error,
) (s minoots.Subscription, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		if s, err = lockSubscription(ctx, tx, tenant, id); err != nil {
			return err
		}
		if s.Headers, _, err = d.headers(ctx, tx, tenant, id); err != nil {
			return err
		}
		if err = change(&s); err != nil {
			return err
		}
		h, err := d.sealHeaders(&s)
		if err != nil {
			return err
		}
		s, err = scanSubscription(tx.QueryRow(ctx, subscriptionUpdateSQL, id, s.Name, s.URL, s.Topics, s.TimerID, s.RetryPolicy,
			h.plain, h.sealed, h.key, h.names))
		if err != nil || s.Status == minoots.SubscriptionPaused {
			return err
		}
		// Jobs have their subscription's words in them: they are made anew.
		if _, err = tx.Exec(ctx, deliveryHoldSQL, id); err != nil {
			return err
		}
		s, err = scanSubscription(tx.QueryRow(ctx, subscriptionStatusSQL, id, false, nil, true))
		return err
	})
	return s, err
}

// SubscriptionPause pauses one. It keeps what happens meanwhile.
func (d *DB) SubscriptionPause(ctx context.Context, tenant string, id minoots.ID) (minoots.Subscription, error) {
	return d.pause(ctx, tenant, id, nil)
}

// pause takes the jobs away by a statement that begins after the subscription was
// locked, and so sees all that were made.
func (d *DB) pause(ctx context.Context, tenant string, id minoots.ID, reason *string) (s minoots.Subscription, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		s, err = lockSubscription(ctx, tx, tenant, id)
		if err != nil || s.Status == minoots.SubscriptionPaused {
			return err
		}
		if _, err = tx.Exec(ctx, deliveryHoldSQL, id); err != nil {
			return err
		}
		s, err = scanSubscription(tx.QueryRow(ctx, subscriptionStatusSQL, id, true, reason, false))
		return err
	})
	return s, err
}

// SubscriptionResume has one go on. What has waited is sent, the oldest first, or
// dropped. One that is active stays so.
func (d *DB) SubscriptionResume(ctx context.Context, tenant string, id minoots.ID, skip bool) (s minoots.Subscription, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		s, err = lockSubscription(ctx, tx, tenant, id)
		if err != nil || s.Status == minoots.SubscriptionActive {
			return err
		}
		if skip {
			if _, err = tx.Exec(ctx, deliveryDropSQL, id); err != nil {
				return err
			}
		}
		s, err = scanSubscription(tx.QueryRow(ctx, subscriptionStatusSQL, id, false, nil, !skip))
		return err
	})
	return s, err
}

// SubscriptionDelete removes one, and with it what waits.
func (d *DB) SubscriptionDelete(ctx context.Context, tenant string, id minoots.ID) error {
	return d.InTx(ctx, func(tx Tx) error {
		if _, err := lockSubscription(ctx, tx, tenant, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deliveryHoldSQL, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, subscriptionDeleteSQL, id, tenant)
		return err
	})
}

func lockSubscription(ctx context.Context, tx Tx, tenant string, id minoots.ID) (minoots.Subscription, error) {
	s, err := scanSubscription(tx.QueryRow(ctx, subscriptionLockSQL, id, tenant))
	return s, notFound(err, "subscription")
}

// scanSubscription reads the columns of subscription_page.sql: of the headers, their
// names. It needs no key.
func scanSubscription(row pgx.Row) (s minoots.Subscription, err error) {
	var policy []byte
	var paused *time.Time
	var created, updated time.Time
	err = row.Scan(&s.ID, &s.TenantID, &s.Name, &s.URL, &s.Topics, &s.TimerID, &s.HeaderNames, &policy, &s.Status, &s.PausedReason,
		&paused, &created, &updated, &s.Version)
	if err != nil {
		return s, translate(err)
	}
	if err := json.Unmarshal(policy, &s.RetryPolicy); err != nil {
		return s, translate(err)
	}
	slices.Sort(s.HeaderNames)
	s.PausedAt, s.CreatedAt, s.UpdatedAt = optionalInstant(paused), instant(created), instant(updated)
	return s, nil
}
