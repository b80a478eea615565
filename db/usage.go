package db

import (
	"context"
	_ "embed"

	"github.com/minoots/minoots"
)

//go:embed query/usage_get.sql
var usageGetSQL string

// UsageCounted is up to how many timers of a kind Usage counts.
const UsageCounted = 10_000

// Count is a number of things. AtLeast tells that there may be more.
type Count struct {
	Count   int
	AtLeast bool
}

// Usage is what a tenant has.
type Usage struct {
	Timers      map[minoots.Status]Count
	DueNextHour Count
	APIKeys     int // that are not revoked
}

// UsageGet counts what a tenant has, at a cost that does not grow with it.
func (d *DB) UsageGet(ctx context.Context, tenant string) (Usage, error) {
	var scheduled, paused, fired, settled, failed, cancelled, due, keys int
	var more bool
	err := d.pool.QueryRow(ctx, usageGetSQL, tenant, UsageCounted).
		Scan(&scheduled, &paused, &fired, &settled, &failed, &cancelled, &more, &due, &keys)
	if err != nil {
		return Usage{}, translate(err)
	}
	upTo := func(n int) Count { return Count{n, n >= UsageCounted} }
	return Usage{
		Timers: map[minoots.Status]Count{
			minoots.StatusScheduled: upTo(scheduled), minoots.StatusPaused: upTo(paused),
			minoots.StatusFired: {fired, more}, minoots.StatusSettled: {settled, more},
			minoots.StatusFailed: upTo(failed), minoots.StatusCancelled: upTo(cancelled),
		},
		DueNextHour: upTo(due), APIKeys: keys,
	}, nil
}
