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
// it stands; more says that there may be others. A timer counts for its own tenant
// only: tenants has those of all ids.
func (d *DB) TimerEnded(ctx context.Context, ids []minoots.ID, tenants []string) (ended []minoots.Timer, more bool, err error) {
	ended, err = d.timerPick(ctx, ids, tenants, true, overMost)
	return ended, len(ended) == overMost, err
}

func (d *DB) timerPick(ctx context.Context, ids []minoots.ID, tenants []string, over bool, most int) ([]minoots.Timer, error) {
	rows, err := d.pool.Query(ctx, timerPickSQL, ids, tenants, over, most)
	if err != nil {
		return nil, translate(err)
	}
	timers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.Timer, error) { return scanTimer(row) })
	return timers, translate(err)
}
