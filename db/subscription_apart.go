package db

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/subscription_apart.sql
var subscriptionApartSQL string

// SubscriptionLane names the queue in which a subscription's deliveries wait apart
// from the others': the SQL function minoots.subscription_lane in Go.
func SubscriptionLane(id minoots.ID) string {
	return fmt.Sprintf("%s-%d", SubscriptionQueue, id[len(id)-1])
}

// SubscriptionApart has a subscription's deliveries wait in its lane: those that
// have a job, and those of the time to come.
func (d *DB) SubscriptionApart(ctx context.Context, id minoots.ID, within time.Duration) error {
	_, err := d.pool.Exec(ctx, subscriptionApartSQL, id, within.Seconds())
	return translate(err)
}
