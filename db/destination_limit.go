package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/destination_page.sql
var destinationPageSQL string

//go:embed query/destination_limit.sql
var destinationLimitSQL string

//go:embed query/destination_unlimit.sql
var destinationUnlimitSQL string

// DestinationPage lists the tenant's destinations of which there is anything to
// say, by name, after the one given.
func (d *DB) DestinationPage(ctx context.Context, tenant, after string, limit int) ([]minoots.Destination, error) {
	return d.destinations(ctx, tenant, after, limit, nil)
}

// DestinationGet gives one of them; CodeNotFound if there is nothing to say of it.
func (d *DB) DestinationGet(ctx context.Context, tenant, destination string) (minoots.Destination, error) {
	found, err := d.destinations(ctx, tenant, "", 1, &destination)
	if err == nil && len(found) == 0 {
		return minoots.Destination{}, &minoots.Error{
			Code: minoots.CodeNotFound, Message: "nothing is known of this destination: its breaker is closed and it has no limits",
		}
	}
	if err != nil {
		return minoots.Destination{}, err
	}
	return found[0], nil
}

func (d *DB) destinations(ctx context.Context, tenant, after string, limit int, only *string) ([]minoots.Destination, error) {
	rows, err := d.pool.Query(ctx, destinationPageSQL, tenant, after, limit, only)
	if err != nil {
		return nil, translate(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f minoots.Destination, err error) {
		var since time.Time
		var probe, waiting *time.Time
		err = row.Scan(&f.Destination, &f.State, &since, &probe, &f.Failures, &f.Reason, &f.Waiting, &waiting, &f.Running,
			&f.RatePerSecond, &f.MaxConcurrent)
		f.Since, f.NextProbeAt, f.WaitingSince = minoots.InstantOf(since), optionalInstant(probe), optionalInstant(waiting)
		return f, err
	})
	return found, translate(err)
}

// DestinationLimit sets a destination's limits, or takes them away if none is
// given. Replicas know within two seconds.
func (d *DB) DestinationLimit(ctx context.Context, tenant, destination string, limits minoots.DestinationLimits) error {
	var err error
	if limits == (minoots.DestinationLimits{}) {
		_, err = d.pool.Exec(ctx, destinationUnlimitSQL, tenant, destination)
	} else {
		_, err = d.pool.Exec(ctx, destinationLimitSQL, tenant, destination, HeldQueue(tenant, destination), limits.RatePerSecond, limits.MaxConcurrent)
	}
	return translate(err)
}
