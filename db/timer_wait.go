package db

import (
	"context"
	_ "embed"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/timer_pick.sql
var timerPickSQL string

// overMost bounds the timers of one answer of TimerEnded.
const overMost = 1000

// TimerEnded gives those of some timers that are over, a thousand at most, each as
// it stands. A timer counts for its own tenant only: tenants has those of all ids.
func (d *DB) TimerEnded(ctx context.Context, ids []minoots.ID, tenants []string) ([]minoots.Timer, error) {
	return d.timerPick(ctx, ids, tenants, true, overMost)
}

func (d *DB) timerPick(ctx context.Context, ids []minoots.ID, tenants []string, over bool, most int) ([]minoots.Timer, error) {
	rows, err := d.pool.Query(ctx, timerPickSQL, ids, tenants, over, most)
	if err != nil {
		return nil, translate(err)
	}
	timers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.Timer, error) { return scanTimer(row) })
	return timers, translate(err)
}
