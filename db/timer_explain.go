package db

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// TimerPagePlan runs the statement of TimerPage under EXPLAIN ANALYZE and gives the
// plan as JSON: which indexes it took, how many rows and buffers, and how long. It is
// for measurements of lists among many timers, and is what TimerPage would run.
func (d *DB) TimerPagePlan(ctx context.Context, tenant string, p TimerPageRequest) ([]byte, error) {
	args, err := p.args(tenant, fewTimers)
	if err != nil {
		return nil, err
	}
	row := d.pool.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+timerPageSQL, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	var plan []byte
	err = row.Scan(&plan)
	return plan, translate(err)
}
