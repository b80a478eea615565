package db

import (
	"context"
	_ "embed"
	"time"
)

//go:embed query/timer_crowd.sql
var timerCrowdSQL string

// TimerCrowd counts the tenant's timers that wait for a second, to bound at most.
func (d *DB) TimerCrowd(ctx context.Context, tenant string, second time.Time, bound int) (n int, err error) {
	err = d.pool.QueryRow(ctx, timerCrowdSQL, tenant, second, bound).Scan(&n)
	return n, translate(err)
}
